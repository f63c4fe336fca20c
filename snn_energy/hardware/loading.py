"""Finding, reading and checking hardware profiles."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from snn_energy.errors import ProfileError, UsageError
from snn_energy.hardware.checking import problems_of
from snn_energy.hardware.machine_table import machine_from_table
from snn_energy.hardware.records import Hardware, Price, Source


class InvalidProfileError(ProfileError):
    """A profile that breaks the schema; `problems` holds one line per problem, the message is all of them."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[InvalidProfileError], tuple[str, ...]]:
        return type(self), self.problems


def list_hardware() -> tuple[str, ...]:
    """Names of the shipped hardware profiles, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def load_hardware(name_or_path: str | PathLike[str]) -> Hardware:
    """Read and check a hardware profile: a shipped one by name, or any TOML file by path.

    Text is a path if it ends in ".toml" or contains a slash, a name otherwise.

    Raises
    ------
    UsageError
        No shipped profile has this name, or the path leads to no file.
    ProfileError
        The file cannot be read or breaks the schema; `problems` lists everything that is wrong with it.
    """
    path = locate_hardware(name_or_path)
    shown = display_path(path)
    return parse_hardware(_read(path, shown), stem=path.stem, shown=shown)


def locate_hardware(name_or_path: str | PathLike[str]) -> Path:
    """Path of the profile that `name_or_path` names; UsageError if there is none."""
    if isinstance(name_or_path, PathLike) or _looks_like_path(name_or_path):
        path = Path(name_or_path)
        try:
            if path.is_file():
                return path
            fault = "is no file" if path.exists() else "does not exist"
        except OSError as error:
            fault = f"cannot be read ({error.strerror})"
        raise UsageError(f'hardware profile "{path}" {fault}; give a TOML file, or {_hint(path.stem)}')
    if name_or_path in list_hardware():
        return _folder() / f"{name_or_path}.toml"
    raise UsageError(f'unknown hardware "{name_or_path}"; {_hint(name_or_path)}')


def parse_hardware(document: Mapping[str, Any], *, stem: str, shown: str) -> Hardware:
    """Build the record from a parsed profile whose file is called `stem`.toml; errors call that file `shown`.

    Raises
    ------
    ProfileError
        The document breaks the schema; `problems` lists everything that is wrong with it.
    """
    problems = problems_of(document, stem)
    if problems:
        raise InvalidProfileError(*(f"{shown}: {problem}" for problem in problems))
    prices = {action: _price(entry) for action, entry in document["energy_pj"].items()}
    optional = {key: document[key] for key in _OPTIONAL if key in document}
    return Hardware(
        name=document["name"],
        title=document["title"],
        scope=next(iter(prices.values())).scope,  # the schema admits one scope per profile
        integer_spikes=document["integer_spikes"],
        energy_pj=prices,
        unpriced=document.get("unpriced", {}),
        sources={key: Source(**entry) for key, entry in document["sources"].items()},
        latency=machine_from_table(document["latency"]) if "latency" in document else None,
        **optional,
    )


def display_path(path: Path) -> str:
    """How messages call a profile: `profiles/NAME.toml` for a shipped one, else the path as given."""
    return f"profiles/{path.name}" if path.parent == _folder() else str(path)


_OPTIONAL = ("node_nm", "voltage_v", "datatype", "operand_bits", "notes")


def _price(entry: Mapping[str, Any]) -> Price:
    bounds = entry.get("range")
    return Price(
        value_pj=float(entry["value"]),
        scope=entry["scope"],
        evidence=entry["evidence"],
        source=entry["source"],
        locator=entry["locator"],
        range_pj=None if bounds is None else (float(bounds[0]), float(bounds[1])),
    )


def _read(path: Path, shown: str) -> dict[str, Any]:
    try:
        # utf-8-sig: some editors put a byte order mark in front, which TOML does not allow.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        reason = f"not valid TOML: {error}"
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 text (byte {error.start}); save it as UTF-8"
    except RecursionError:
        reason = "nested too deeply; a profile needs three levels"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    raise InvalidProfileError(f"{shown}: {reason}")


def _looks_like_path(text: str) -> bool:
    return text.endswith(".toml") or "/" in text or "\\" in text


def _hint(name: str) -> str:
    known = list_hardware()
    close = get_close_matches(name, known, n=2) or known
    return f"one of: {', '.join(close)} (all: snn-energy hardware list)"


def _folder() -> Path:
    """The shipped profiles: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "profiles", package.parent / "profiles"):
        if folder.is_dir():
            return folder
    raise ProfileError(f'no hardware profiles in or beside "{package}"; reinstall snn-energy to restore them')
