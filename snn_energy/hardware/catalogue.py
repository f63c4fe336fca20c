"""Where profiles lie: shipped with the package, in folders that the user names, in other distributions.

A folder in `$SNN_ENERGY_PROFILES` (several are separated as in PATH) offers its `*.toml` files. So does a package that
an installed distribution names as an entry point of the group `snn_energy.profiles`; the package is found, not run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from snn_energy.errors import ProfileError, UsageError

VARIABLE = "SNN_ENERGY_PROFILES"
GROUP = "snn_energy.profiles"


def profiles_found() -> tuple[dict[str, Path], list[str]]:
    """Path of each profile by name, and what is wrong with the places they were looked for in.

    A name that two files bear is left out: which of them is meant, nobody can tell.
    """
    found: dict[str, Path] = {}
    problems: list[str] = []
    clashes: set[str] = set()
    for folder in (shipped_folder(), *_user_folders(problems), *_installed_folders(problems)):
        for path in sorted(folder.glob("*.toml")):
            if path.stem not in found:
                found[path.stem] = path
            elif not path.samefile(found[path.stem]):
                problems.append(
                    f'two hardware profiles are called "{path.stem}": {found[path.stem]} and {path}; rename one of them'
                )
                clashes.add(path.stem)
    return {name: path for name, path in found.items() if name not in clashes}, problems


def shipped_folder() -> Path:
    """The shipped profiles: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "profiles", package.parent / "profiles"):
        if folder.is_dir():
            return folder
    raise ProfileError(f'no hardware profiles in or beside "{package}"; reinstall snn-energy to restore them')


def refuse(problems: list[str]) -> None:
    """Raise UsageError for what `profiles_found` found wrong, if anything."""
    if problems:
        raise UsageError("\n".join(problems))


def _user_folders(problems: list[str]) -> Iterator[Path]:
    for text in os.environ.get(VARIABLE, "").split(os.pathsep):
        if not text:
            continue
        if Path(text).is_dir():
            yield Path(text)
        else:
            problems.append(f'${VARIABLE} names "{text}", which is no folder; correct or unset it')


def _installed_folders(problems: list[str]) -> Iterator[Path]:
    for entry in entry_points(group=GROUP):
        folder = _package_folder(entry)
        if folder is None:
            owner = entry.dist.name if entry.dist is not None else "an unknown distribution"
            problems.append(
                f'entry point "{entry.name}" of {owner} names "{entry.value}", which is no package; '
                "install that distribution again, or remove it"
            )
        else:
            yield folder


def _package_folder(entry: EntryPoint) -> Path | None:
    try:
        spec = find_spec(entry.value)
    except (ImportError, ValueError):  # a parent that is missing; a name that is no dotted path
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
