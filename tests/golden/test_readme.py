"""What the README shows is what the program prints.

A line `<!-- golden: snn-energy profile fashion-cnn -->` says that the next fenced block is the output of this
command in a terminal of 80 columns; a first line that starts with "$ " repeats the command.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snn_energy.cli import app

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(r"^<!-- golden: snn-energy (.+?) -->\n+```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARKER = re.compile(r"^<!-- golden:", re.MULTILINE)

TEXT = README.read_text(encoding="utf-8") if README.exists() else ""
BLOCKS = BLOCK.findall(TEXT)


def cases():
    for command, output in BLOCKS:
        whole_split = command.startswith("profile") and "--samples" not in command
        yield pytest.param(command, output, marks=[pytest.mark.slow] if whole_split else [], id=command)
    if not BLOCKS:
        yield pytest.param("", "", marks=pytest.mark.skip(reason="README.md has no golden marker"))


def test_every_marker_is_followed_by_a_block():
    assert len(MARKER.findall(TEXT)) == len(BLOCKS)


@pytest.mark.parametrize(("command", "output"), list(cases()))
def test_readme_shows_the_real_output(monkeypatch, command, output):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    result = CliRunner().invoke(app, shlex.split(command))
    assert (result.exit_code, result.stderr) == (0, "")
    assert re.sub(r"\A\$ .*\n+", "", output) == result.stdout


def test_readme_python_runs(capsys):
    # Blocks behind a `file:` marker are files to save; tests/peers/test_five_commands.py runs them.
    blocks = re.findall(r"(?<!-->\n)^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(README), "exec"), {})
    assert "True" in capsys.readouterr().out
