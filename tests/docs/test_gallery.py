"""The gallery shows every kind of figure, and its commands run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from snn_energy.reporting.plots import KINDS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8")


def test_every_kind_is_shown():
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"\]\(gallery/(\w+)\.svg\)", page)
    assert sorted(shown) == sorted(KINDS)
    assert sorted(path.stem for path in (DOCS / "gallery").iterdir()) == sorted(KINDS)


@pytest.mark.slow
def test_the_commands_draw_it_again(tmp_path):
    done = subprocess.run(
        [sys.executable, str(DOCS / "gallery.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "gallery.md").read_bytes() == (DOCS / "gallery.md").read_bytes()
    for kind in KINDS:
        drawn = (tmp_path / "gallery" / f"{kind}.svg").read_bytes()
        assert b"</svg>" in drawn
        # Training differs from machine to machine, and matplotlib's places of text between its versions.
        if kind != "pareto" and f"\nmatplotlib=={mpl.__version__}\n" in PINS:
            assert drawn == (DOCS / "gallery" / f"{kind}.svg").read_bytes(), f"{kind}.svg is old: run make docs"
