"""Finding, reading and checking hardware profiles."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from snn_energy.errors import ProfileError, UsageError
from snn_energy.hardware.catalogue import profiles_found, refuse, shipped_folder
from snn_energy.hardware.checking import problems_of
from snn_energy.hardware.machine_table import machine_of
from snn_energy.hardware.reading import SECTION_READERS, read_entries
from snn_energy.hardware.records import Hardware, Price, Scaling, Source
from snn_energy.hardware.scaling import node_name, scaled_prices, scaling_of
from snn_energy.hardware.scopes import Scope
from snn_energy.hardware.wording import shown as shown_text


class InvalidProfileError(ProfileError):
    """A profile that breaks the schema; `problems` holds one line per problem, the message is all of them."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[InvalidProfileError], tuple[str, ...]]:
        return type(self), self.problems


def list_hardware() -> tuple[str, ...]:
    """Names of all hardware profiles, sorted: shipped ones, the user's folders, installed distributions.

    Raises
    ------
    UsageError
        Two profiles share a name, or a place that should hold profiles holds none.
    """
    found, problems = profiles_found()
    refuse(problems)
    return tuple(sorted(found))


def all_hardware() -> tuple[Hardware, ...]:
    """Every profile of `list_hardware`, read and checked, in the order of their names; errors as there and on load."""
    found, problems = profiles_found()
    refuse(problems)
    return tuple(load_hardware(found[name]) for name in sorted(found))


def load_hardware(name_or_path: str | PathLike[str]) -> Hardware:
    """Read and check a hardware profile: one of `list_hardware` by name, or any TOML file by path.

    Text is a path if it ends in ".toml" or contains a slash, a name otherwise.

    Raises
    ------
    UsageError
        No profile has this name, or the path leads to no file.
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
    found, problems = profiles_found()
    if name_or_path in found:
        return found[name_or_path]
    refuse(problems)  # the name may be in the very place that cannot be read
    raise UsageError(f'unknown hardware "{name_or_path}"; {_hint(name_or_path)}')


def parse_hardware(document: Mapping[str, Any], *, stem: str, shown: str) -> Hardware:
    """Build the record from a parsed profile whose file is called `stem`.toml; errors call that file `shown`.

    A `[scaling]` table starts from another profile, which is found by name or path and read as well.

    Raises
    ------
    ProfileError
        The document breaks the schema; `problems` lists everything that is wrong with it.
    """
    problems = problems_of(document, stem)
    if problems:
        raise InvalidProfileError(*(f"{shown}: {problem}" for problem in problems))
    sections = {key: read_entries(document, key) for key in SECTION_READERS}
    optional = {key: document[key] for key in _OPTIONAL if key in document}
    fields: dict[str, Any] = {
        "name": document["name"],
        "title": document["title"],
        "integer_spikes": document["integer_spikes"],
        "category": document.get("class"),
        "unpriced": document.get("unpriced", {}),
        "included": document.get("included", {}),
        "sources": {key: Source(**entry) for key, entry in document["sources"].items()},
        **sections,
        "latency": machine_of(document),
        **optional,
    }
    if "scaling" in document:
        fields["scaling"], fields["energy_pj"] = _scaled(document, shown)
    return Hardware(scope=_scope(fields), **fields)


def display_path(path: Path) -> str:
    """How messages call a profile: `profiles/NAME.toml` for a shipped one, else the path as given."""
    return f"profiles/{path.name}" if path.parent == shipped_folder() else str(path)


_OPTIONAL = ("node_nm", "voltage_v", "datatype", "operand_bits", "notes")


def _scope(fields: Mapping[str, Any]) -> Scope | None:
    """The scope of all energies; system values contain everything, so they alone make a profile all-in."""
    for section in ("energy_pj", "memory_pj", "event_pj"):
        for entry in fields[section].values():
            scope: Scope = entry.scope  # the schema admits one scope per profile
            return scope
    return "all-in" if fields["system"] else None


def _scaled(document: Mapping[str, Any], shown: str) -> tuple[Scaling, dict[str, Price]]:
    entry = document["scaling"]
    try:
        path = locate_hardware(entry["from"])
    except UsageError as problem:
        raise InvalidProfileError(f"{shown}: scaling.from: {problem}") from problem
    origin = _read(path, display_path(path))
    if "scaling" in origin:  # before it is parsed: two profiles scaled from each other would never end
        raise InvalidProfileError(
            f"{shown}: scaling.from must name a profile that is not scaled itself (got {shown_text(entry['from'])}); "
            "scale from the one it starts from"
        )
    base = parse_hardware(origin, stem=path.stem, shown=display_path(path))
    if base.node_nm is None or node_name(base.node_nm) not in entry["coefficients"]:
        nodes = ", ".join(entry["coefficients"])
        got = "no node" if base.node_nm is None else f"{base.node_nm:g}"
        raise InvalidProfileError(
            f"{shown}: scaling.from must name a profile of a node in scaling.coefficients, one of {nodes} "
            f"(got {got} of {base.name})"
        )
    rule = scaling_of(entry, float(document["node_nm"]), float(document["voltage_v"]), base)
    prices = scaled_prices(base, rule)
    if not prices:
        raise InvalidProfileError(f"{shown}: scaling.from: {base.name} prices no arithmetic; name one that does")
    return rule, prices


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
    known = sorted(profiles_found()[0])
    close = [other for other in known if name and name in other] or get_close_matches(name, known, n=3)
    if not close:
        return "a name from: snn-energy hardware list"
    return f"one of: {', '.join(close)} (all: snn-energy hardware list)"
