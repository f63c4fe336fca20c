"""Reading and writing files of plain values and tensors, without ever running code that a file contains.

Both readers name the file in every error and raise the error class that the caller gives, so that a
checkpoint and a data file fail in their own words.
"""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snn_energy.errors import SnnEnergyError

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
# The callables that torch.save itself names in a pickle of tensors; any other name is the file's own code.
TENSOR_NAMES = re.compile(r"collections OrderedDict|torch\._utils _rebuild_\w+|torch(\.storage)? \w+")
NAMING_OPCODES = ("GLOBAL", "INST", "STACK_GLOBAL")
# What a reader of damaged bytes may raise; none of these comes from running the file's content.
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
)


def checked_file(path: Path, what: str, error: type[SnnEnergyError]) -> bytes:
    """Return the first 16 bytes of the non-empty file at `path`, or raise `error` naming what is there."""
    if path.is_dir():
        raise error(f"{path}: expected a {what} (got a directory); name the file itself")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise error(f"{path}: no such {what}; check the path") from None
    except OSError as problem:
        raise error(f"{path}: cannot read this {what} ({problem.strerror}); check the path and its rights") from None
    if not head:
        raise error(f"{path}: expected a {what} (got an empty file); copy or create it again")
    return head


def is_safetensors(path: Path, head: bytes) -> bool:
    """Say whether the file is to be read as safetensors: by its suffix, or by a header length and a brace."""
    return path.suffix == ".safetensors" or head[8:9] == b"{"


def read_torch(path: Path, what: str, error: type[SnnEnergyError]) -> Any:
    """Return what `torch.save` wrote to `path`: tensors and plain types only, on the CPU.

    Errors: `error` for a missing, empty, damaged or foreign file, and for one that contains code.
    """
    head = checked_file(path, what, error)
    try:
        if head.startswith(ZIP_MAGIC):
            with zipfile.ZipFile(path) as archive:
                # torch does not compare the checksums that it stores; a flipped bit would go unseen.
                if bad := archive.testzip():
                    raise error(f"{path}: damaged {what}: {bad} fails its checksum; copy or create it again")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about foreign pickle protocols; an error follows where it matters
            return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED:
        if _names_code(path, head):
            raise error(
                f"{path}: this {what} contains code, which was not run; save tensors and plain values only,"
                " like torch.save(model.state_dict(), path)"
            ) from None
        expected = "a file written by torch.save or safetensors"
        raise error(
            f"{path}: damaged or foreign {what}: expected {expected} (got bytes starting with {head[:8]!r});"
            " copy or create it again"
        ) from None


def _names_code(path: Path, head: bytes) -> bool:
    """Say whether a refused file names functions or classes: its opcodes are read, not run."""
    pickles = []
    try:
        if head.startswith(ZIP_MAGIC):
            with zipfile.ZipFile(path) as archive:
                if any("/code/" in name for name in archive.namelist()):
                    return True  # TorchScript
                pickles = [archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl")]
        elif head.startswith(PICKLE_MAGIC):
            pickles = [path.read_bytes()]
        for content in pickles:
            stream = io.BytesIO(content)
            while stream.tell() < len(content):  # torch's old format is several pickles in a row
                for opcode, argument, _ in pickletools.genops(stream):
                    if opcode.name in NAMING_OPCODES and not TENSOR_NAMES.fullmatch(str(argument)):
                        return True
    except DAMAGED:
        return False
    return False


def read_safetensors(path: Path, what: str, error: type[SnnEnergyError]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the header's metadata of a safetensors file; errors as `read_torch`."""
    from safetensors import SafetensorError, safe_open

    head = checked_file(path, what, error)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, *DAMAGED) as problem:
        raise error(
            f"{path}: damaged or foreign {what}: expected a safetensors file (got bytes starting with"
            f" {head[:8]!r}, {str(problem).splitlines()[0]}); copy or create it again"
        ) from None


def torch_bytes(payload: Any) -> bytes:
    """Return `payload` as `torch.save` writes it; equal payloads give equal bytes."""
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    return buffer.getvalue()


def safetensors_bytes(tensors: dict[str, Tensor], key: str, record: dict[str, Any]) -> bytes:
    """Return a safetensors file with `record` as JSON under the one metadata `key`."""
    from safetensors.torch import save

    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    return bytes(save(contiguous, {key: json.dumps(record, sort_keys=True)}))
