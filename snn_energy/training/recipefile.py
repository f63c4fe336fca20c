"""Recipes as TOML files: flat keys are the fields of `Recipe`, `[model_args]` and `[augmentation]` its tables.

The shipped ones lie in `recipes/`; a user's own is read the same way.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snn_energy.errors import UsageError
from snn_energy.models.suggest import unknown
from snn_energy.training.recipe import Recipe

FOLDER = Path(__file__).parent / "recipes"


def recipe_names() -> tuple[str, ...]:
    """Return the names of the shipped recipes in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def find_recipe(name_or_path: str | Path) -> Recipe:
    """Return the shipped recipe of a name, or the one in a TOML file.

    Errors: UsageError with a suggestion for a name that does not exist; for a file, the file, the key, what it got
    and what was expected.
    """
    if str(name_or_path) in recipe_names():
        return read_recipe(FOLDER / f"{name_or_path}.toml")
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.exists():
        return read_recipe(path)
    raise unknown("recipe", str(name_or_path), recipe_names())


def read_recipe(path: Path) -> Recipe:
    """Read the recipe in the TOML file `path`. Errors: UsageError as `find_recipe`."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such recipe file; shipped recipes: {', '.join(recipe_names())}") from None
    except OSError as problem:
        raise UsageError(f"{path}: cannot read this recipe ({problem.strerror}); check the path") from None
    except ValueError as problem:  # tomllib.TOMLDecodeError and UnicodeDecodeError are both
        raise UsageError(f"{path}: not a TOML file ({problem}); correct the line") from None
    return Recipe.from_plain(values, str(path))


def changed(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """Return `recipe` with single values changed, each written key=value like a line of its TOML file.

    `epochs=5`, `optimizer=adamw` (quotes may be left out), `model_args.widths=[8,16]`, `augmentation.flip=true`,
    `augmentation={}`. Errors: UsageError that names the change.
    """
    values = recipe.to_plain()
    for change in changes:
        key, equals, text = change.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UsageError(f"--set {change}: expected key=value, like epochs=5 or model_args.widths=[8,16]")
        values = _with(values, key, _value(text.strip()), change)
    return Recipe.from_plain(values, "--set")


def _with(values: Mapping[str, Any], key: str, value: object, change: str) -> dict[str, Any]:
    table, dot, inner = key.partition(".")
    if not dot:
        return {**values, key: value}
    if not isinstance(values.get(table), Mapping):
        raise UsageError(f"--set {change}: {table} is no table of a recipe; tables are model_args and augmentation")
    return {**values, table: {**values[table], inner: value}}


def _value(text: str) -> Any:
    """What TOML reads in `text`; a word that it does not know is itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text
