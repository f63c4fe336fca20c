"""Comparing files with the checksums that their authors publish."""

from __future__ import annotations

import hashlib
from pathlib import Path

from snn_energy.errors import DataError

ALGORITHMS = {32: "md5", 64: "sha256"}
"""Number of hexadecimal digits -> what they are; MD5 is what the authors of CIFAR publish. It finds damage, not malice:
nothing that is read here is run, whatever its checksum."""
WORDS = {"md5": "MD5", "sha256": "SHA-256"}


def word_for(digest: str) -> str:
    """What to call a checksum in a message: MD5 or SHA-256, and its digits."""
    return f"{WORDS[ALGORITHMS[len(digest)]]} {digest}"


def check_bytes(where: str, content: bytes, digest: str) -> None:
    """Raise DataError naming `where` unless `content` has this checksum."""
    found = hashlib.new(ALGORITHMS[len(digest)], content, usedforsecurity=False).hexdigest()
    _compare(where, found, digest)


def check_file(path: Path, digest: str) -> None:
    """Raise DataError unless the file has this checksum; it is read piece by piece."""
    algorithm = ALGORITHMS[len(digest)]
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    except OSError as problem:
        raise DataError(f"{path}: cannot read this file ({problem.strerror}); check its rights") from None
    _compare(str(path), found, digest)


def _compare(where: str, found: str, digest: str) -> None:
    if found != digest:
        raise DataError(
            f"{where}: expected {word_for(digest)} (got {found}); the file is damaged or another one: copy or download"
            " it again"
        )
