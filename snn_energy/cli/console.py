"""What commands print with: consoles, progress, JSON. rich is imported only once something is to be drawn."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class Advance(Protocol):
    """Moves a progress bar on by some steps and may change the note behind it."""

    def __call__(self, steps: int = 1, note: str = "") -> None:
        """Move on by `steps`; `note` replaces the text behind the bar, an empty one leaves it."""


def stdout_console() -> Console:
    """Console for results: colour only on a terminal, NO_COLOR respected, text printed as it is."""
    return _console(stderr=False)


def stderr_console() -> Console:
    """Console for progress and remarks, so that a redirected standard output holds results only."""
    return _console(stderr=True)


def print_line(text: str, *, style: str | None = None, to_stderr: bool = False) -> None:
    """Print one line, never wrapped and never read as markup; the style shows on terminals only."""
    _console(stderr=to_stderr).print(text, style=style, soft_wrap=True)


def print_block(block: RenderableType) -> None:
    """Print a table or a paragraph on standard output, without the blanks rich pads its lines with."""
    console = stdout_console()
    with console.capture() as captured:
        console.print(block)
    for line in captured.get().splitlines():
        console.out(line.rstrip(" "), highlight=False)


def emit_json(value: object) -> None:
    """Print a value as indented JSON on standard output; NaN and infinity are refused with ValueError."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Advance]:
    """Show a progress bar on standard error while the block runs; silent where that is no terminal.

    `total` is the number of steps, None where unknown. Yields a function that moves the bar on:
    `advance()`, `advance(5)`, `advance(note="loss 0.31")`.
    """
    console = stderr_console() if sys.stderr.isatty() else None
    if console is None or not console.is_terminal:
        yield _stand_still
        return

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(description, total=total, note="")

        def advance(steps: int = 1, note: str = "") -> None:
            bar.advance(task, steps)
            if note:
                bar.update(task, note=note)

        yield advance


def _stand_still(steps: int = 1, note: str = "") -> None:
    del steps, note


def _console(*, stderr: bool) -> Console:
    # Made anew for each use: tests and callers may have replaced sys.stdout since the last one.
    return _console_class()(stderr=stderr, highlight=False, markup=False, emoji=False)


@cache
def _console_class() -> type[Console]:
    from rich.console import Console

    class PipeConsole(Console):
        """A console that leaves a closed pipe to the application, which ends quietly."""

        def on_broken_pipe(self) -> None:
            raise  # rich calls this while it handles BrokenPipeError

    return PipeConsole
