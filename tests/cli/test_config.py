"""Defaults from a project's snn-energy.toml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import snn_energy as se
from snn_energy.cli import app
from snn_energy.cli.config import find_config

PROFILES = Path(__file__).parents[2] / "profiles"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty folder, current, with what runs in it shielded from files above."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNN_ENERGY_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def trace_file(project, two_layers):
    model, data = two_layers
    se.save_trace(se.trace(model, data), project / "counts.json")
    return "counts.json"


@pytest.fixture
def two_layers():
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.randn(5, 4)


def run(*words):
    return CliRunner().invoke(app, list(words))


def hardware_of(*words):
    done = run("price", *words, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)["hardware"]["name"]


def config(folder, text):
    (folder / "snn-energy.toml").write_text(text, encoding="utf-8")


def test_the_order_is_command_line_then_table_then_top(project, trace_file):
    assert hardware_of(trace_file) == "horowitz-45nm-fp32"
    config(project, 'hardware = "horowitz-45nm-int32"')
    assert hardware_of(trace_file) == "horowitz-45nm-int32"
    config(project, 'hardware = "horowitz-45nm-int32"\n[price]\nhardware = "horowitz-45nm-int8"')
    assert hardware_of(trace_file) == "horowitz-45nm-int8"
    assert hardware_of(trace_file, "--hardware", "horowitz-45nm-fp16") == "horowitz-45nm-fp16"


def test_the_nearest_file_upwards_counts_and_its_paths_are_its_own(project, trace_file, monkeypatch):
    profile = (PROFILES / "horowitz-45nm-int8.toml").read_text(encoding="utf-8")
    (project / "mine.toml").write_text(
        profile.replace('name = "horowitz-45nm-int8"', 'name = "mine"'), encoding="utf-8"
    )
    config(project, 'hardware = "./mine.toml"')
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert find_config(inner) == project / "snn-energy.toml"
    assert hardware_of(str(project / trace_file)) == "mine"


def test_the_variable_names_another_file_or_none(project, trace_file, monkeypatch):
    config(project, 'hardware = "horowitz-45nm-int32"')
    (project / "other.toml").write_text('hardware = "horowitz-45nm-fp16"', encoding="utf-8")
    monkeypatch.setenv("SNN_ENERGY_CONFIG", "other.toml")
    assert hardware_of(trace_file) == "horowitz-45nm-fp16"
    monkeypatch.setenv("SNN_ENERGY_CONFIG", "")
    assert hardware_of(trace_file) == "horowitz-45nm-fp32"
    monkeypatch.setenv("SNN_ENERGY_CONFIG", "gone.toml")
    done = run("price", trace_file)
    assert (done.exit_code, done.stderr) == (
        2,
        "error: $SNN_ENERGY_CONFIG: no file 'gone.toml'; name a TOML file, or unset the variable\n",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('hardwear = "x"', "nothing is called hardwear; did you mean hardware?"),
        ("[profil]\n", "nothing is called [profil]; did you mean [profile]?"),
        ("[hardware.fitt]\n", "nothing is called [hardware.fitt]; did you mean [hardware.fit]?"),
        ("[price]\nbatch-size = 3", "nothing is called [price] batch-size; "),
        ('[profile]\nbatch_size = "many"', "[profile] batch-size does not take 'many' ("),
        ("[profile]\nstrict = 1", "[profile] strict must be true or false (got 1)"),
        ("[profile]\nbatch-size = [1, 2]", "[profile] batch-size must be one value (got [1, 2])"),
        ("hardware = ", "not a TOML file (Invalid value"),
        ('hardware = "x"\nhelp = true', "nothing is called help; "),
    ],
)
def test_a_wrong_file_is_one_clear_line(project, trace_file, text, said):
    config(project, text)
    done = run("price", trace_file)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {project / 'snn-energy.toml'}: {said}"), done.stderr
    assert done.stderr.count("\n") == 1


def test_help_shows_the_default_of_the_file(project):
    config(project, 'hardware = "loihi"')
    assert "loihi" in run("price", "--help").stdout
