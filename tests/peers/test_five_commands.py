"""The README's five commands, as a first-time user types them, but for the two installations that CI has done."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.peer
pytest.importorskip("snntorch")

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = TEXT[TEXT.index("### Five commands") :]


def test_five_commands_to_an_html_report(tmp_path):
    name, code = re.search(r"<!-- file: (\S+) -->\n```python\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE).groups()
    (tmp_path / name).write_text(code, encoding="utf-8")
    commands = re.findall(
        r"^    (.+)$", re.search(r"\n\n((?:    .+\n)+)\n", SECTION.split("```")[2]).group(1), re.MULTILINE
    )
    assert len(commands) == 5
    typed = [command for command in commands if command.startswith("snn-energy ")]
    assert len(typed) == 2
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    for command in typed:
        call = [sys.executable, "-m", "snn_energy", *shlex.split(command)[1:]]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
        assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert all(f"{layer}" in page for layer in ("hidden", "spikes", "out"))
