"""Writing files in one step."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from snn_energy import files
from snn_energy.errors import DataError, UsageError
from snn_energy.files import write_atomic


def test_text_and_bytes_are_written_as_they_are(tmp_path):
    write_atomic(tmp_path / "a.txt", "µ\r\n\n")
    write_atomic(str(tmp_path / "b.bin"), b"\0\xff")
    assert (tmp_path / "a.txt").read_bytes() == "µ\r\n\n".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\0\xff"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.bin"]


def test_permissions_stay_and_new_files_follow_the_umask(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("old")
    kept.chmod(0o640)
    old = os.umask(0o027)
    try:
        write_atomic(kept, "new")
        write_atomic(tmp_path / "fresh", "new")
    finally:
        os.umask(old)
    assert kept.read_text() == "new"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_atomic(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_device_is_written_to_and_not_replaced():
    write_atomic(os.devnull, "nothing")
    assert Path(os.devnull).is_char_device()


def test_a_folder_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(UsageError) as caught:
        write_atomic(tmp_path, "x")
    assert str(caught.value) == f'cannot write "{tmp_path}": it is a folder; give a file name'
    lost = tmp_path / "no" / "a.txt"
    with pytest.raises(UsageError) as caught:
        write_atomic(lost, "x")
    assert str(caught.value) == f'cannot write "{lost}": no folder "{lost.parent}"; create it first'


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DataError) as caught:
        write_atomic(path, "new")
    assert str(caught.value) == f'cannot write "{path}": No space left on device; choose another place'
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a.txt", "new")
    assert list(tmp_path.iterdir()) == []
