"""Writing files so that a reader finds the old content or the new one, never half of it."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from os import PathLike
from pathlib import Path

from snn_energy.errors import DataError, UsageError


def write_atomic(path: str | PathLike[str], content: str | bytes) -> None:
    """Write `content` to `path` in one step: a temporary file in the same folder takes its place at the end.

    Text is written as UTF-8, line ends as they are. An existing file keeps its permissions, a symbolic link
    stays one and its target is replaced; a device or pipe (`/dev/stdout`) is written to directly.

    Raises
    ------
    UsageError
        `path` is a folder, or its folder does not exist.
    DataError
        The operating system refuses to write; the old file is untouched and nothing is left behind.
    """
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        if target.is_dir():
            raise UsageError(f'cannot write "{target}": it is a folder; give a file name')
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        final = target.resolve()
        if not final.parent.is_dir():
            raise UsageError(f'cannot write "{target}": no folder "{target.parent}"; create it first')
        _replace(final, data)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f'cannot write "{target}": {reason}; choose another place') from None


def _replace(target: Path, data: bytes) -> None:
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    # os.open rather than tempfile: the kernel then applies the umask, as for any newly created file.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:  # also an interrupt: whatever stops the writing, the temporary file must go
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
