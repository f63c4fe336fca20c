"""The manners shared by all commands: help without arguments, suggestions, errors as one line, exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from snn_energy.cli.config import find_config, read_config
from snn_energy.errors import DataError, SnnEnergyError

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells report it."""

BROKEN_PIPE = 141
"""Exit code when the reader of our output went away: 128 + SIGPIPE, as shells report it."""

# Contexts are typed Any: newer releases of typer carry their own copy of click, older ones use the plain one.


class Group(TyperGroup):
    """A command group that prints its help when called bare and suggests a name for a mistyped command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Print the help and leave with 0 where nothing was asked for."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            ctx.exit(0)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (the signature is that of click)
        """Commands in the order they were added; some releases of typer sort them."""
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, or fail with the closest name."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            known = self.list_commands(ctx)
            close = get_close_matches(name, known, n=1)
            ctx.fail(
                f'no command "{name}"; ' + (f'did you mean "{close[0]}"?' if close else f"commands: {', '.join(known)}")
            )
        return super().resolve_command(ctx, args)


class RootGroup(Group):
    """The outermost group: turns what commands raise into one line on standard error and an exit code."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the options of the program itself; `--help` and `--version` print here."""
        with _manners():
            context = super().make_context(*args, **kwargs)
            if not context.resilient_parsing:
                _take_defaults(context, self)
            return context

    def invoke(self, ctx: Any) -> Any:
        """Read the command's options and run it."""
        with _manners():
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe should show here, not while the interpreter shuts down
            return result


def _take_defaults(context: Any, group: Group) -> None:
    """Give every command the defaults of the project's file, and say so to a person who watches."""
    path = find_config(Path.cwd())
    if path is None:
        return
    context.default_map = read_config(path, group)
    if sys.stderr.isatty():
        typer.echo(f"defaults from {path}", err=True)


@contextmanager
def _manners() -> Iterator[None]:
    """Exit codes: 0 done, 1 found wanting, 2 usage, 130 interrupted, 141 reader gone."""
    try:
        yield
    except SnnEnergyError as error:
        for line in str(error).splitlines():
            typer.echo(f"error: {line}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # Python flushes standard output once more on exit; give that flush somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(BROKEN_PIPE) from None
    except OSError as error:  # what the operating system alone knows of a name: too long, a loop of links, a dead disk
        if error.filename is None:
            raise
        typer.echo(f"error: {error.filename}: {error.strerror}; give another path", err=True)
        raise typer.Exit(DataError.exit_code) from None
