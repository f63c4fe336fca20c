"""The wheel as users get it: built, installed into an environment of its own, run from another folder."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LARGEST_BYTES = 16_000_000
"""Of which the shipped networks and the embedded images are 10."""


def run(*words, cwd):
    """Run a program that sees neither this checkout nor our options, and return what it prints."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "FORCE_COLOR")}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=cwd, env=kept)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory):
    """Folder of the programs of a new environment that holds the wheel and borrows the libraries of this one."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    paths = sysconfig.get_paths(vars={"base": str(home), "platbase": str(home)})
    # Path files inside a borrowed folder are not followed, so an editable installation there stays out of sight.
    borrowed = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    Path(paths["purelib"], "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    folder = Path(paths["scripts"])
    python = folder / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", wheel, cwd=home)
    return folder


def test_everything_it_needs_is_inside(names):
    folders = {
        "profiles": "*.toml",
        "snn_energy/data": "*",
        "snn_energy/models/pretrained": "*",
        "snn_energy/reporting/html": "report.*",
    }
    for folder, pattern in folders.items():
        files = [path for path in (ROOT / folder).rglob(pattern) if path.is_file()]
        inside = {f"snn_energy/{path.relative_to(ROOT).as_posix().removeprefix('snn_energy/')}" for path in files}
        assert inside
        assert inside <= names
    sources = (path for path in (ROOT / "snn_energy").rglob("*.py"))
    assert {path.relative_to(ROOT).as_posix() for path in sources} <= names


def test_nothing_else_is_inside(names):
    # A file beside the package, like our launcher cli.py, would become a module in everybody's environment.
    assert {name.split("/")[0].split("-")[0] for name in names} == {"snn_energy"}
    strangers = {"tests", "benchmarks", "reports", "__pycache__"}
    assert [name for name in names if strangers & set(name.split("/"))] == []


def test_it_is_small(wheel):
    print(f"{wheel.name}: {wheel.stat().st_size:,} bytes")
    assert wheel.stat().st_size < LARGEST_BYTES


def test_it_asks_only_for_what_the_package_imports(wheel, names):
    (path,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read(path))
    plain = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert any(line.startswith("torch") for line in plain)
    assert [line for line in plain if "pytest" in line or "scikit-learn" in line] == []


def test_it_runs_from_anywhere(programs, tmp_path):
    where = "import snn_energy, importlib.util as u; print(snn_energy.__file__, u.find_spec('cli'))"
    module, top_level_cli = run(programs / "python", "-c", where, cwd=tmp_path).split()
    assert Path(module).is_relative_to(programs.parent)
    assert top_level_cli == "None"
    shipped = {path.stem for path in (ROOT / "profiles").glob("*.toml")}
    listed = run(programs / "snn-energy", "hardware", "list", cwd=tmp_path)
    assert [name for name in shipped if name not in listed] == []


@pytest.mark.slow
def test_it_reports_what_the_checkout_reports(programs, tmp_path):
    words = ("profile", "fashion-cnn", "--samples", "32", "--json")
    installed = json.loads(run(programs / "snn-energy", *words, cwd=tmp_path))
    assert installed == json.loads(run(sys.executable, ROOT / "cli.py", *words, cwd=ROOT))
