"""The manners of the command line as a whole."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.cli.app import COMMANDS, build
from snn_energy.cli.console import emit_json, print_block, print_line, progress
from snn_energy.errors import DataError, PriceError, ProfileError, UsageError
from snn_energy.hardware import list_hardware

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = str(ROOT / "cli.py")


def launch(*words, **env):
    environment = {key: value for key, value in os.environ.items() if key != "FORCE_COLOR"}
    environment |= {"COLUMNS": "80", **env}
    return subprocess.run([sys.executable, LAUNCHER, *words], capture_output=True, text=True, env=environment)


def run(*words):
    return CliRunner().invoke(app, list(words))


# ---------------------------------------------------------------- help and version


@pytest.mark.parametrize("words", [("--help",), ("-h",), ()])
def test_help_is_printed_also_without_arguments(words):
    done = launch(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "  Examples:\n    snn-energy " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    listed = re.findall(r"^  (\w+)  ", done.stdout.split("Commands:\n")[1], flags=re.M)
    assert listed == list(COMMANDS)


def every_command():
    """The words of all commands, those of groups included."""

    def below(command, words):
        yield words
        for name, child in getattr(command, "commands", {}).items():
            yield from below(child, (*words, name))

    return list(below(typer.main.get_command(app), ()))[1:]


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_the_help_of_every_command_fits_and_has_an_example(words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = run(*words, "--help").stdout
    assert [line for line in shown.splitlines() if len(line) > 80] == []
    assert re.search(rf"Examples?:\n( {{4}}.*\n)* {{4}}snn-energy {words[0]}\b", shown)


def test_help_imports_nothing_heavy_and_answers_at_once():
    code = (
        "import sys, time\n"
        "from snn_energy.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'onnx', 'rich'} & set(sys.modules)\n"
        "print(sorted(heavy), time.process_time(), file=sys.stderr)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    heavy, seconds = done.stderr.rsplit(maxsplit=1)
    assert heavy == "[]"
    assert float(seconds) < 0.5


def test_version_is_that_of_the_project():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"snn-energy {version}\n")


def test_a_mistyped_command_gets_a_suggestion():
    result = run("hardwear", "list")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == 'Error: no command "hardwear"; did you mean "hardware"?'
    result = run("hardware", "zzz")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == 'Error: no command "zzz"; commands: list, show, check, new, fit'


def test_a_mistyped_option_is_wrong_usage():
    result = run("hardware", "list", "--jso")
    assert result.exit_code == 2
    assert "--json" in result.stderr


def test_completion_knows_the_commands_and_the_profiles():
    def complete(line):
        code = "from snn_energy.cli import app; app(prog_name='snn-energy')"
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "_SNN_ENERGY_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        return done.stdout.split()

    assert complete("snn-energy hard") == ["hardware"]
    assert complete("snn-energy hardware show ") == list(list_hardware())


# ---------------------------------------------------------------- errors and exit codes


def app_that(action):
    """The root application with one more command, which does `action`."""

    def act() -> None:
        """Do it."""
        action()

    return build({**COMMANDS, "act": act})


def raising(error):
    def action():
        raise error

    return CliRunner().invoke(app_that(action), ["act"])


@pytest.mark.parametrize(
    ("error", "code"),
    [(DataError("no data"), 1), (ProfileError("bad"), 1), (PriceError("none"), 1), (UsageError("what?"), 2)],
)
def test_an_error_raised_on_purpose_is_one_line_and_an_exit_code(error, code):
    result = raising(error)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == f"error: {error}\n"


def test_an_error_of_several_lines_marks_each():
    assert raising(ProfileError("a: x\na: y")).stderr == "error: a: x\nerror: a: y\n"


def test_an_interrupt_is_no_traceback():
    result = raising(KeyboardInterrupt())
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.strip() == "interrupted"


def test_a_mistake_of_ours_keeps_its_traceback():
    result = raising(ZeroDivisionError("ours"))
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_command_may_leave_with_its_own_code():
    assert raising(typer.Exit(1)).exit_code == 1


@pytest.mark.parametrize("words", [["--help"], ["hardware", "show", "horowitz-45nm-fp32"], ["hardware", "check"]])
def test_a_closed_pipe_ends_quietly(words):
    reading, writing = os.pipe()
    os.close(reading)  # nobody will ever read
    try:
        done = subprocess.run([sys.executable, LAUNCHER, *words], stdout=writing, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_commands_come_in_the_order_of_the_table():
    result = CliRunner().invoke(build({"act": lambda: None, **COMMANDS}), ["--help"])
    assert result.stdout.index("  act") < result.stdout.index("  hardware")


# ---------------------------------------------------------------- printing


def on_terminal(*words, **env):
    """Output of the command on a pseudo-terminal, standard output and standard error together."""
    pty = pytest.importorskip("pty")
    main, other = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key not in {"FORCE_COLOR", "NO_COLOR"}}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "80", **env}
    process = subprocess.Popen([sys.executable, *words], stdout=other, stderr=other, env=environment)
    os.close(other)
    output = b""
    while True:
        try:
            chunk = os.read(main, 4096)
        except OSError:  # Linux reports the end of a pseudo-terminal as an input/output error
            break
        if not chunk:
            break
        output += chunk
    os.close(main)
    process.wait()
    return output.decode()


def test_colour_shows_on_a_terminal_only_and_not_with_no_color():
    words = (LAUNCHER, "hardware", "check")
    assert "\x1b[32m" in on_terminal(*words)
    assert "\x1b[32m" not in on_terminal(*words, NO_COLOR="1")
    assert "\x1b" not in launch(*words[1:]).stdout


PROGRESS = """
import sys
from snn_energy.cli.console import progress
with progress("training", total=3) as advance:
    for step in range(3):
        advance(note=f"[loss] {step}")
print("done", "rich" in sys.modules)
"""


def test_progress_shows_on_a_terminal_and_is_silent_elsewhere():
    shown = on_terminal("-c", PROGRESS, PYTHONPATH=str(ROOT))
    assert "training" in shown
    assert "3/3" in shown
    assert "[loss] 2" in shown
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PROGRESS], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("done False\n", "")


def test_progress_leaves_errors_alone():
    with pytest.raises(DataError), progress("reading"):
        raise DataError("no data")


def test_lines_are_printed_as_they_are(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    line = "[bold]not markup[/bold] :smile: " + "long " * 30 + "end"
    print_line(line)
    print_line(line, to_stderr=True)
    assert capsys.readouterr() == (line + "\n", line + "\n")


def test_blocks_lose_their_padding(capsys):
    from rich.table import Table

    table = Table("a", "b", box=None)
    table.add_row("1", "[x]")
    print_block(table)
    assert capsys.readouterr().out == " a  b\n 1  [x]\n"


def test_json_is_indented_and_strict(capsys):
    emit_json({"µ": [1, None]})
    assert json.loads(capsys.readouterr().out) == {"µ": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        emit_json(float("nan"))


def test_json_can_be_printed_where_only_ascii_is(monkeypatch):
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    emit_json("µ")
