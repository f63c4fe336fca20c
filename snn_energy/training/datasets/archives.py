"""Files of a folder, or of a .tar.gz archive read without unpacking it."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from snn_energy.errors import DataError, first_line

UNREADABLE = (tarfile.TarError, OSError, EOFError, zlib.error)


def read_members(archive: Path, folder: str, names: Collection[str]) -> dict[str, bytes]:
    """Return the content of the regular files `folder/name` of a .tar.gz, by name.

    Nothing is written to the disk: links, devices and whatever else an archive may hold are passed over. Errors:
    DataError for a damaged archive, or one that lacks a file.
    """
    wanted = {PurePosixPath(folder) / name: name for name in names}
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r|gz") as stream:
            for member in stream:
                name = wanted.get(PurePosixPath(member.name))
                if name is None or not member.isreg():
                    continue
                content = stream.extractfile(member)
                assert content is not None, "a regular file has content"
                found[name] = content.read()
                if len(found) == len(wanted):
                    break
    except UNREADABLE as problem:
        raise DataError(
            f"{archive}: expected a .tar.gz archive (got {first_line(problem)}); download it again"
        ) from None
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"{archive}: expected {folder}/{missing[0]} in it (got no such file); is it the official archive? Download"
            " it again"
        )
    return found


def read_file(path: Path) -> bytes:
    """Return the content of a file; DataError where the system refuses."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise DataError(f"{path}: cannot read this file ({problem.strerror}); check its rights") from None
