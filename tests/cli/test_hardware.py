"""`snn-energy hardware list | show | check | new | fit`."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.hardware import list_hardware, load_hardware, locate_hardware

GOLDEN = Path(__file__).parent / "golden_hardware"


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return lambda *words: CliRunner().invoke(app, ["hardware", *words])


def golden(name, text):
    """Compare with a file beside this one; a change must be looked at, then the file replaced."""
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


def test_list_names_every_profile_within_80_columns(run):
    result = run("list")
    assert (result.exit_code, result.stderr) == (0, "")
    golden("list.txt", result.stdout)
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert [line.split()[0] for line in result.stdout.split("\n\n")[0].splitlines()[1:]] == list(list_hardware())


@pytest.mark.parametrize("name", ["loihi", "speck", "truenorth-total", "scaled-7nm-int8", "horowitz-45nm-int8"])
def test_show_as_it_is_printed(run, name):
    golden(f"show-{name}.txt", run("show", name).stdout)


def test_list_as_json_is_what_show_prints_for_each(run):
    listed = json.loads(run("list", "--json").stdout)
    for name in ("horowitz-45nm-fp32", "loihi", "scaled-7nm-int8"):
        assert json.loads(run("show", name, "--json").stdout) in listed
    assert listed == [load_hardware(name).as_dict() for name in list_hardware()]


def check_shown(result, hardware):
    assert (result.exit_code, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert not any(line.endswith(" ") for line in result.stdout.splitlines())
    words = " ".join(result.stdout.split())
    for action, price in hardware.energy_pj.items():
        value = f"{price.value_pj:.3g}" if price.evidence == "scaled" else f"{price.value_pj:.12g}"
        assert f"{action} {value}" in words
    for section in ("memory_pj", "event_pj", "timing_ns", "limits", "system"):
        assert all(name in words for name in getattr(hardware, section))
    for source in hardware.sources.values():
        assert "".join(source.citation.split()) in "".join(result.stdout.split())
    assert all(action in words for action in (*hardware.unpriced, *hardware.included))


@pytest.mark.parametrize("name", ["horowitz-45nm-fp32", "loihi", "neuromc-32nm", "speck", "scaled-16nm-int8"])
def test_show_gives_every_number_its_source_within_80_columns(run, name):
    check_shown(run("show", name), load_hardware(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", list_hardware())
def test_show_any_profile(run, name):
    check_shown(run("show", name), load_hardware(name))


def test_show_a_range_and_a_file_of_ones_own(run, tmp_path):
    path = tmp_path / "horowitz-45nm-fp32.toml"
    text = locate_hardware("horowitz-45nm-fp32").read_text()
    path.write_text(text.replace("value = 4.6", "value = 4.6\nrange = [4, 5.5]"))
    assert "4.6 (4 to 5.5)" in run("show", str(path)).stdout


def test_show_an_unknown_name_is_wrong_usage(run):
    result = run("show", "horowitz-45nm-fp23")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        'error: unknown hardware "horowitz-45nm-fp23"; one of: horowitz-45nm-fp32, horowitz-45nm-fp16, '
        "horowitz-45nm-int32 (all: snn-energy hardware list)\n"
    )


def test_show_a_broken_profile_names_every_problem(run, tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("format = 1\ntitle = 3\n")
    result = run("show", str(path))
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert lines[1] == f"error: {path}: title must be non-empty text (got 3)"
    assert all(line.startswith(f"error: {path}: ") for line in lines)


def test_check_without_names_checks_all_shipped_profiles(run):
    result = run("check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"profiles/{name}.toml: ok" for name in list_hardware()]


def test_check_lists_problems_and_goes_on(run, tmp_path):
    broken, sound = tmp_path / "broken.toml", tmp_path / "horowitz-45nm-int8.toml"
    shutil.copy(locate_hardware("horowitz-45nm-int8"), sound)
    broken.write_text(sound.read_text().replace("value = 0.23", 'value = "0.23pJ"'))
    result = run("check", str(broken), str(sound))
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        f'{broken}: name must be the file name without .toml, "broken" (got "horowitz-45nm-int8")',
        f'{broken}: energy_pj.mac.value must be a number >= 0 in pJ (got "0.23pJ")',
        f"{sound}: ok",
    ]
    found = json.loads(run("check", str(broken), str(sound), "--json").stdout)
    assert [(row["path"], len(row["problems"])) for row in found] == [(str(broken), 2), (str(sound), 0)]
    assert found[0]["problems"] == result.stdout.splitlines()[:2]


def test_check_a_missing_file_is_wrong_usage_and_checks_nothing(run):
    result = run("check", "horowitz-45nm-int8", "nowhere.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith('error: hardware profile "nowhere.toml" does not exist; ')


@pytest.mark.parametrize("words", [(), ("list",), ("show",), ("check",), ("new",), ("fit",)])
def test_help_has_examples_and_fits_80_columns(run, words):
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert "  Examples:\n    snn-energy hardware " in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "..." not in result.stdout.replace("]...", "")


# ---------------------------------------------------------------- new


def test_new_writes_a_profile_to_fill_in(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("new", "my-chip", "--from", "odin")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "my-chip.toml: written; fill in what snn-energy hardware check my-chip.toml names\n"
    checked = run("check", "my-chip.toml")
    assert checked.exit_code == 1
    assert 'my-chip.toml: energy_pj.ac.value must be a number >= 0 in pJ (got "?")' in checked.stdout.splitlines()
    path = tmp_path / "my-chip.toml"
    text = re.sub(r'= "\?"  # odin: (\S+).*', r"= \1", path.read_text()).replace('= "?"', '= "stated"')
    path.write_text(text.replace('= " "', '= "Table 1"'))
    assert run("check", "my-chip.toml").stdout == "my-chip.toml: ok\n"


def test_new_prints_the_path_as_json(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert json.loads(run("new", "my-chip", "--json").stdout) == {"path": "my-chip.toml"}
    assert (tmp_path / "my-chip.toml").is_file()


def test_new_never_overwrites(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-chip.toml").write_text("mine")
    result = run("new", "my-chip")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: my-chip.toml: exists already and would be lost; choose another name, or remove it first\n"
    )
    assert (tmp_path / "my-chip.toml").read_text() == "mine"
    assert run("new", "My chip").stderr == (
        'error: name must be lower-case letters, digits, dots and hyphens (got "My chip")\n'
    )


# ---------------------------------------------------------------- fit


@pytest.fixture
def net(tmp_path):
    """A trace of two small layers: 4 -> 40 -> 3."""
    import torch
    from torch import nn

    import snn_energy as se
    from snn_energy.counting.tracefile import save_trace

    torch.manual_seed(0)
    trace = se.trace(nn.Sequential(nn.Linear(4, 40, bias=False), nn.Linear(40, 3, bias=False)), torch.ones(1, 4))
    path = tmp_path / "net.json"
    save_trace(trace, path)
    return str(path)


def test_fit_a_shipped_network(run):
    result = run("fit", "fashion-cnn", "--hardware", "loihi")
    assert (result.exit_code, result.stderr) == (0, "")
    golden("fit-fashion-cnn-loihi.txt", result.stdout)
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_fit_says_why_not_and_exits_with_1(run):
    result = run("fit", "fashion-cnn", "--hardware", "odin")
    assert (result.exit_code, result.stderr) == (1, "")
    golden("fit-fashion-cnn-odin.txt", result.stdout)
    assert "does not fit on odin" in result.stdout


def test_fit_a_trace(run, net):
    plain = json.loads(run("fit", net, "--hardware", "truenorth-total", "--json").stdout)
    assert (plain["fits"], plain["cores"], plain["weight_bits"]) == (True, 2, 1)
    assert [(row["neurons"], row["fan_in"]) for row in plain["layers"]] == [(40, 4), (3, 40)]
    narrow = run("fit", net, "--hardware", "truenorth-total", "--weight-bits", "2", "--json")
    assert narrow.exit_code == 1
    assert json.loads(narrow.stdout)["reasons"] == ["weights of 2 bits were asked for, and the chip's widest have 1"]


def test_fit_on_a_chip_of_which_little_is_published(run, net):
    result = run("fit", net, "--hardware", "akida-1000")
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    assert "no published limit of akida-1000 is exceeded; those of its cores are not published" in words


def test_fit_wants_a_profile_with_limits(run, net):
    result = run("fit", net, "--hardware", "horowitz-45nm-int8")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: fit: horowitz-45nm-int8 states no limits of a chip, so nothing can be ")
