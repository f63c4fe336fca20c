"""Defaults of a project: `snn-energy.toml`, found in the current folder or the nearest one above it.

    hardware = "horowitz-45nm-int8"       # every command that has --hardware

    [profile]                             # this command alone; [hardware.fit] for a subcommand
    batch-size = 500
    data-dir = "./data"                   # ./ and ../ count from the folder of the file

What the command line says wins over a command's table, which wins over the keys above the tables.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from snn_energy.errors import UsageError

FILE_NAME = "snn-energy.toml"
VARIABLE = "SNN_ENERGY_CONFIG"
"""Environment variable that names another file; empty, no file is read."""

# Commands and parameters are typed Any: newer releases of typer carry their own copy of click.


def find_config(folder: Path) -> Path | None:
    """Return the file that $SNN_ENERGY_CONFIG names, or the nearest `snn-energy.toml` from `folder` upwards.

    Errors: UsageError when the variable names no file.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        if named and not Path(named).is_file():
            raise UsageError(f"${VARIABLE}: no file {named!r}; name a TOML file, or unset the variable")
        return Path(named) if named else None
    above = (place / FILE_NAME for place in (folder, *folder.parents))
    return next((path for path in above if path.is_file()), None)


def given(context: typer.Context, **values: Any) -> list[str]:
    """The options among these that the user typed: one from a file is a wish, which a report may leave unmet."""
    return [name for name in values if _is_typed(context, name)]


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def read_config(path: Path, group: Any) -> dict[str, Any]:
    """Return the defaults in `path` as click's default map of `group`: command -> parameter -> value.

    Errors: UsageError for a file that is no TOML, an option or command that does not exist, or a value that the
    option does not take.
    """
    import tomllib  # read by few, so that the others do not wait for it

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a TOML file ({error}); correct it, or set ${VARIABLE} to nothing") from None
    shared = {key: value for key, value in content.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    used: set[str] = set()
    defaults = _of_group(path, group, shared, tables, used, prefix="")
    if unused := sorted(set(shared) - used):
        raise _unknown(path, unused[0], {option for command in _leaves(group) for option in _options(command)})
    return defaults


def _of_group(
    path: Path, group: Any, shared: Mapping[str, Any], tables: Mapping[str, Any], used: set[str], prefix: str
) -> dict[str, Any]:
    """The default map of a group; `used` collects the shared keys that some command took."""
    for name in tables:
        if name not in group.commands:
            raise _unknown(path, f"[{prefix}{name}]", {f"[{prefix}{command}]" for command in group.commands})
    defaults = {}
    for name, command in group.commands.items():
        table = tables.get(name, {})
        if not isinstance(table, dict):
            raise UsageError(f"{path}: [{prefix.rstrip('.')}] {name} is a command; write a table [{prefix}{name}]")
        if hasattr(command, "commands"):
            defaults[name] = _of_group(path, command, shared, table, used, prefix=f"{prefix}{name}.")
        else:
            defaults[name] = _of_command(path, command, shared, table, used, where=f"[{prefix}{name}]")
    return defaults


def _of_command(
    path: Path, command: Any, shared: Mapping[str, Any], table: Mapping[str, Any], used: set[str], where: str
) -> dict[str, Any]:
    options = _options(command)
    for key in table:
        if key.replace("_", "-") not in options:
            raise _unknown(path, f"{where} {key}", {f"{where} {option}" for option in options})
    taken = {key: value for key, value in shared.items() if key.replace("_", "-") in options}
    used |= set(taken)
    own = {key.replace("_", "-"): value for key, value in taken.items()}
    own |= {key.replace("_", "-"): value for key, value in table.items()}
    return {options[key].name: _checked(path, where, command, options[key], value) for key, value in own.items()}


def _checked(path: Path, where: str, command: Any, option: Any, value: Any) -> Any:
    """The value as the command line would have given it; UsageError where the option does not take it."""
    value = _from_file(path, value)
    name = f"{path}: {where} {option.opts[0].lstrip('-')}"
    if option.multiple and not isinstance(value, (list, bool)):
        value = [value]  # a key above the tables is one value for the commands that take one, and for these
    if option.is_flag and not isinstance(value, bool):
        raise UsageError(f"{name} must be true or false (got {value!r})")
    if not option.is_flag and (isinstance(value, bool) or isinstance(value, list) != bool(option.multiple)):
        raise UsageError(f"{name} must be {'a list' if option.multiple else 'one value'} (got {value!r})")
    try:
        option.process_value(typer.Context(command), value)
    except typer.BadParameter as error:
        raise UsageError(f"{name} does not take {value!r} ({error.message.rstrip('.')}); correct the file") from None
    return value


def _from_file(path: Path, value: Any) -> Any:
    """Paths that begin with ./ or ../ count from the folder of the file."""
    if isinstance(value, list):
        return [_from_file(path, item) for item in value]
    if isinstance(value, str) and value.startswith(("./", "../")):
        return str(path.resolve().parent / value)
    return value


def _options(command: Any) -> dict[str, Any]:
    """The options of a command by their long names, without the ones that only print and leave."""
    options = (parameter for parameter in command.params if parameter.param_type_name == "option")
    return {option.opts[0].lstrip("-"): option for option in options if not option.is_eager}


def _leaves(group: Any) -> Iterator[Any]:
    for command in group.commands.values():
        yield from _leaves(command) if hasattr(command, "commands") else (command,)


def _unknown(path: Path, name: str, known: set[str]) -> UsageError:
    from difflib import get_close_matches

    close = get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(sorted(known))}"
    return UsageError(f"{path}: nothing is called {name}; {hint}")
