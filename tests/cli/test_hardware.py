"""`snn-energy hardware list | show | check`."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.hardware import list_hardware, load_hardware, locate_hardware


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return lambda *words: CliRunner().invoke(app, ["hardware", *words])


def test_list_names_every_profile_with_its_two_headline_prices(run):
    result = run("list")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "name                 data type  node nm  mac pJ  ac pJ  scope",
        "horowitz-45nm-fp16   fp16            45     1.5    0.4  per-term",
        "horowitz-45nm-fp32   fp32            45     4.6    0.9  per-term",
        "horowitz-45nm-int32  int32           45     3.2    0.1  per-term",
        "horowitz-45nm-int8   int8            45    0.23   0.03  per-term",
    ]


def test_list_as_json_is_what_show_prints_for_each(run):
    listed = json.loads(run("list", "--json").stdout)
    assert listed == [json.loads(run("show", name, "--json").stdout) for name in list_hardware()]
    assert listed == [load_hardware(name).as_dict() for name in list_hardware()]


@pytest.mark.parametrize("name", list_hardware())
def test_show_gives_every_number_its_source_within_80_columns(run, name):
    result = run("show", name)
    assert (result.exit_code, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert not any(line.endswith(" ") for line in result.stdout.splitlines())
    words = " ".join(result.stdout.split())
    hardware = load_hardware(name)
    for action, price in hardware.energy_pj.items():
        assert f"{action} {price.value_pj:g} {price.evidence} {price.source}, " in words
    for source in hardware.sources.values():
        assert " ".join(source.citation.split()) in words
    assert hardware.unpriced["special"] in words


def test_show_a_range_and_a_file_of_ones_own(run, tmp_path):
    path = tmp_path / "horowitz-45nm-fp32.toml"
    text = locate_hardware("horowitz-45nm-fp32").read_text()
    path.write_text(text.replace("value = 4.6", "value = 4.6\nrange = [4, 5.5]"))
    assert "4.6 (4 to 5.5)" in run("show", str(path)).stdout


def test_show_an_unknown_name_is_wrong_usage(run):
    result = run("show", "horowitz-45nm-fp23")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        'error: unknown hardware "horowitz-45nm-fp23"; one of: horowitz-45nm-fp32, horowitz-45nm-fp16 '
        "(all: snn-energy hardware list)\n"
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


def test_check_a_missing_file_is_wrong_usage_and_checks_nothing(run):
    result = run("check", "horowitz-45nm-int8", "nowhere.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith('error: hardware profile "nowhere.toml" does not exist; ')


@pytest.mark.parametrize("words", [(), ("list",), ("show",), ("check",)])
def test_help_has_examples_and_fits_80_columns(run, words):
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert "  Examples:\n    snn-energy hardware " in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "..." not in result.stdout.replace("]...", "")
