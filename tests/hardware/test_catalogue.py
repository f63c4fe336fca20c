"""Profiles of other people: a folder in the environment, a package of another distribution."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from snn_energy.errors import UsageError
from snn_energy.hardware import all_hardware, list_hardware, load_hardware, locate_hardware

SHIPPED = locate_hardware("horowitz-45nm-int8")


def profile_at(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(SHIPPED.read_text().replace("horowitz-45nm-int8", name))


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Install a fake distribution whose entry point names the package `package`."""

    def install(package, *, name="their-chips", within=True):
        site = tmp_path / f"site-{name}"
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[snn_energy.profiles]\nchips = {package}\n")
        if within:
            folder = site.joinpath(*package.split("."))
            for parent in (folder, *folder.parents):
                if parent == site:
                    break
                parent.mkdir(parents=True, exist_ok=True)
                (parent / "__init__.py").write_text("")
            (folder / "__init__.py").write_text("raise RuntimeError('a package of profiles is found, not run')\n")
            profile_at(folder, f"chip-of-{name}")
        monkeypatch.syspath_prepend(site)
        return site

    before = set(sys.modules)
    yield install
    for module in set(sys.modules) - before:
        del sys.modules[module]


def test_a_folder_in_the_environment(tmp_path, monkeypatch):
    profile_at(tmp_path / "a", "chip-a")
    profile_at(tmp_path / "b", "chip-b")
    monkeypatch.setenv("SNN_ENERGY_PROFILES", os.pathsep.join(["", str(tmp_path / "a"), str(tmp_path / "b")]))
    assert {"chip-a", "chip-b", "horowitz-45nm-int8"} <= set(list_hardware())
    assert load_hardware("chip-a").name == "chip-a"
    assert [profile.name for profile in all_hardware()] == list(list_hardware())


def test_a_folder_that_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("SNN_ENERGY_PROFILES", str(tmp_path / "nowhere"))
    message = f'$SNN_ENERGY_PROFILES names "{tmp_path / "nowhere"}", which is no folder; correct or unset it'
    for ask in (list_hardware, all_hardware, lambda: load_hardware("chip-a")):
        with pytest.raises(UsageError) as caught:
            ask()
        assert str(caught.value) == message
    assert load_hardware("loihi").name == "loihi"  # what is found without that folder still loads


def test_a_name_that_two_files_bear_is_refused(tmp_path, monkeypatch):
    profile_at(tmp_path, "loihi")
    monkeypatch.setenv("SNN_ENERGY_PROFILES", str(tmp_path))
    with pytest.raises(UsageError, match=r'^two hardware profiles are called "loihi": .* and .*; rename one of them$'):
        load_hardware("loihi")
    with pytest.raises(UsageError, match="two hardware profiles"):
        list_hardware()
    assert load_hardware("horowitz-45nm-int8").name == "horowitz-45nm-int8"


def test_the_folder_of_the_shipped_profiles_named_again_is_no_clash(monkeypatch):
    monkeypatch.setenv("SNN_ENERGY_PROFILES", str(SHIPPED.parent))
    assert load_hardware("loihi").name == "loihi"
    assert list_hardware()


def test_a_package_of_another_distribution(distribution):
    distribution("their_chips.profiles")
    assert load_hardware("chip-of-their-chips").name == "chip-of-their-chips"
    assert "chip-of-their-chips" in list_hardware()


@pytest.mark.parametrize("package", ["missing_package", "missing.profiles", "tomllib"])
def test_an_entry_point_that_names_no_package(distribution, package):
    distribution(package, name="broken-chips", within=False)
    if package == "tomllib":  # a package, but without profiles: nothing is wrong with it
        assert list_hardware()
        return
    with pytest.raises(UsageError) as caught:
        list_hardware()
    assert str(caught.value) == (
        f'entry point "chips" of broken-chips names "{package}", which is no package; '
        "install that distribution again, or remove it"
    )
    assert load_hardware("loihi").name == "loihi"


def test_a_path_needs_no_folder(tmp_path):
    profile_at(tmp_path, "mine")
    shutil.copy(tmp_path / "mine.toml", tmp_path / "copy.toml")
    assert load_hardware(tmp_path / "mine.toml").name == "mine"
