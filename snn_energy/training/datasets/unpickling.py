"""Reading the pickles of CIFAR's python version without running anything that they hold.

A pickle names functions and calls them. Here only the names by which NumPy's arrays of bytes are written mean
something, and none of them is NumPy's: they are stand-ins that keep what they are given, from which the array is made
afterwards. Any other name is refused before it is looked up.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from snn_energy.errors import DataError, first_line
from snn_energy.models.storage import DAMAGED

BYTE_ARRAY = ("|u1", "u1")


class _ForbiddenError(pickle.UnpicklingError):
    """The pickle names something that is not among the stand-ins."""


def read_pickle(where: str, content: bytes) -> dict[str, Any]:
    """Return the dict in `content`: keys as text, arrays of bytes as read-only uint8 arrays.

    Errors: DataError, naming `where`, for a pickle that names anything but arrays, and for one that is damaged.
    """
    try:
        value = _Reader(content).load()
        if isinstance(value, dict):
            return {_text(key): _plain(item) for key, item in value.items()}
    except _ForbiddenError as problem:
        raise DataError(
            f"{where}: expected plain values and arrays (got a pickle that names {problem}, which was not run); use the"
            " official file"
        ) from None
    except (*DAMAGED, MemoryError) as problem:
        raise DataError(f"{where}: damaged or foreign pickle ({first_line(problem)}); copy or download it again") from (
            None
        )
    raise DataError(f"{where}: expected a dict (got a {type(value).__name__}); use the official file")


class _Reader(pickle.Unpickler):
    """Strings of Python 2, which hold the pixels, are read as bytes."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._names = _stand_ins()

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in of a name; _ForbiddenError for any other."""
        if (module, name) not in self._names:
            raise _ForbiddenError(f"{module}.{name}")
        return self._names[module, name]


class _Array:
    """What `numpy.ndarray.__setstate__` would be given."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Kind:
    """What `numpy.dtype` would be given."""

    def __init__(self, name: Any = None, *_: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        """The byte order and the like mean nothing to bytes."""


def _stand_ins() -> dict[tuple[str, str], Any]:
    """The names that an array of bytes is written with, made anew for each file: a pickle may write on them."""

    class Array(_Array):
        """Stands for numpy.ndarray."""

    class Kind(_Kind):
        """Stands for numpy.dtype."""

    def reconstruct(*_: Any) -> _Array:
        return Array()

    def encode(text: str, encoding: str) -> bytes:
        """Python 3 writes bytes like this where it keeps to the old protocol."""
        if encoding != "latin1":
            raise _ForbiddenError(f"the encoding {encoding!r}")
        return text.encode("latin1")

    # NumPy moved the function from numpy.core to numpy._core.
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")
    return {
        **{(module, "_reconstruct"): reconstruct for module in modules},
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): Kind,
        ("_codecs", "encode"): encode,
    }


def _plain(value: Any) -> Any:
    if not isinstance(value, _Array):
        return value
    _, shape, kind, by_columns, raw = value.state
    name = _text(kind.name) if isinstance(kind, _Kind) else kind
    if name not in BYTE_ARRAY or not isinstance(raw, bytes):
        raise ValueError(f"expected an array of bytes, u1 (got {name})")
    return np.frombuffer(raw, dtype=np.uint8).reshape(shape, order="F" if by_columns else "C")


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)
