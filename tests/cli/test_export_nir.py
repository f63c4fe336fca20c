"""`snn-energy export nir` where h5py is missing: one line that says what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from snn_energy.cli import app


@pytest.mark.parametrize(
    "words",
    [
        ("export", "nir", "fashion-cnn", "--samples", "2", "--no-verify", "-o", "net.nir"),
        ("profile", "net.nir", "--data", "digits"),
    ],
)
def test_without_h5py(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 2
    assert "h5py is not installed" in result.stderr
    assert "pip install 'snn-energy[nir]'" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(app, ["export", "nir", "--help"])
    assert result.exit_code == 0
    assert "snn-energy export nir fashion-cnn --output fashion-cnn.nir" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
