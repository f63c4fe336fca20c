"""Finding profiles by name and by path, and files that are no profiles."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from snn_energy.errors import ProfileError, UsageError
from snn_energy.hardware import catalogue, list_hardware, load_hardware, loading, locate_hardware

SHIPPED = locate_hardware("horowitz-45nm-fp32")


def test_a_name_and_a_path_lead_to_the_same_profile(tmp_path):
    copy = tmp_path / SHIPPED.name
    shutil.copy(SHIPPED, copy)
    assert load_hardware("horowitz-45nm-fp32") == load_hardware(copy) == load_hardware(str(copy))


def test_names_are_sorted_and_all_load():
    assert list(list_hardware()) == sorted(list_hardware())
    assert [load_hardware(name).name for name in list_hardware()] == list(list_hardware())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", 'unknown hardware ""; a name from: snn-energy hardware list'),
        (
            "truenorth",
            'unknown hardware "truenorth"; one of: truenorth-peak, truenorth-total (all: snn-energy hardware list)',
        ),
        (
            "horowitz-45nm-fp64",
            'unknown hardware "horowitz-45nm-fp64"; one of: horowitz-45nm-fp16, horowitz-45nm-fp32, '
            "horowitz-45nm-int8 (all: snn-energy hardware list)",
        ),
    ],
)
def test_an_unknown_name(name, message):
    with pytest.raises(UsageError) as caught:
        load_hardware(name)
    assert str(caught.value) == message


def test_a_path_that_leads_nowhere(tmp_path):
    with pytest.raises(UsageError) as caught:
        load_hardware("nowhere/chip.toml")
    assert str(caught.value) == (
        'hardware profile "nowhere/chip.toml" does not exist; give a TOML file, '
        "or a name from: snn-energy hardware list"
    )
    with pytest.raises(UsageError, match=r" is no file; give a TOML file, or a name from: "):
        load_hardware(tmp_path)
    with pytest.raises(UsageError, match=r" cannot be read \(File name too long\); "):
        load_hardware("x" * 5000 + ".toml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; expected a hardware profile (start from snn-energy hardware new NAME)"),
        (
            b"# nothing\n",
            "the file is empty; expected a hardware profile (start from snn-energy hardware new NAME)",
        ),
        (
            b"format = 1\nname\n",
            "not valid TOML: Expected '=' after a key in a key/value pair (at line 2, column 5)",
        ),
        (b"format = 1\nformat = 1\n", "not valid TOML: Cannot overwrite a value (at line 2, column 11)"),
        (b"name = '\xff'\n", "not UTF-8 text (byte 8); save it as UTF-8"),
        (b"a = " + b"[" * 5000, "nested too deeply; a profile needs three levels"),
    ],
)
def test_a_file_that_is_no_profile(tmp_path, content, message):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ProfileError) as caught:
        load_hardware(path)
    assert str(caught.value) == f"{path}: {message}"


def test_a_file_that_cannot_be_read(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ProfileError) as caught:
        load_hardware("horowitz-45nm-fp32")
    assert str(caught.value) == "profiles/horowitz-45nm-fp32.toml: cannot be read: Permission denied"


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / SHIPPED.name
    path.write_bytes(b"\xef\xbb\xbf" + SHIPPED.read_bytes())
    assert load_hardware(path) == load_hardware("horowitz-45nm-fp32")


def test_a_shipped_profile_is_called_by_its_place_in_the_project(monkeypatch, tmp_path):
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "chip.toml").write_text("")
    for module in (catalogue, loading):
        monkeypatch.setattr(module, "shipped_folder", lambda: folder)
    with pytest.raises(ProfileError, match=r"\Aprofiles/chip\.toml: the file is empty"):
        load_hardware("chip")


@pytest.mark.parametrize("inside", [True, False])
def test_profiles_are_found_inside_the_package_and_beside_it(monkeypatch, tmp_path, inside):
    package = tmp_path / "snn_energy"
    (package / "hardware").mkdir(parents=True)
    monkeypatch.setattr(catalogue, "__file__", str(package / "hardware" / "catalogue.py"))
    with pytest.raises(ProfileError, match=r"\Ano hardware profiles in or beside .*; reinstall snn-energy"):
        list_hardware()
    shutil.copytree(SHIPPED.parent, (package if inside else tmp_path) / "profiles")
    assert "horowitz-45nm-fp32" in list_hardware()


def test_hardware_needs_the_standard_library_only():
    code = (
        "import sys, snn_energy.hardware as h; h.load_hardware(h.list_hardware()[0]);"
        "print(sorted(m for m in ('torch', 'numpy', 'pandas', 'rich', 'typer') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
