"""The notebooks of docs/ run from top to bottom and print what stands in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder that one run of the build writes into; the kernel is a process of its own."""
    pytest.importorskip("nbclient", reason="needs the test extra: nbclient, nbformat, ipykernel")
    folder = tmp_path_factory.mktemp("docs")
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, str(ROOT / "docs" / "notebooks.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def printed(path: Path) -> list[str]:
    """What each code cell shows, as text."""
    shown = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            shown.append("".join(output.get("text") or data.get("text/html") or data.get("text/plain")))
    return shown


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_stands_in_it(path, built):
    """Words equal; numbers to a thousandth, for a spike at the edge of its threshold may fall on another machine."""
    here, now = printed(path), printed(built / path.name)
    assert len(here) == len(now) > 0
    for old, new in zip(here, now):
        assert NUMBER.sub("#", new) == NUMBER.sub("#", old)
        numbers = [[float(text.replace(",", "")) for text in NUMBER.findall(shown)] for shown in (new, old)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-3)


def test_there_is_a_notebook():
    assert [path.name for path in NOTEBOOKS] == ["first_steps.ipynb"]
