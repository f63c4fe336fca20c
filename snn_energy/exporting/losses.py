"""What a format cannot carry: refused with the whole list, or written with that list inside the file.

Every writer goes the same way. It first collects all that its format would drop, one `Loss` each; then calls
`refuse_or_list`. Without `--force` that raises `ExportRefused`, one line naming every loss, and nothing is
written. With it the same losses come back, and the writer puts them into the file: as comments
(`comment_lines`) where the format has any, as a property (`LOSSES_KEY`, `losses_json`) where it has those.
A loss never goes unsaid.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from snn_energy.errors import UsageError
from snn_energy.exporting.failures import ExportError

LOSSES_KEY = "snn_energy.losses"
"""Key of the JSON list of losses, in formats that hold properties and in the JSON side-car."""

_PLACES = 4  # named for one loss on the error line; the rest is counted


@dataclass(frozen=True, slots=True, order=True)
class Loss:
    """One thing that a file will not hold.

    `what`: the thing, as a noun ("dilation 2"); `where`: the module path it was found in, "" for the whole
    network; `why`: what about the format makes it impossible ("the topology has no dilation").
    """

    what: str
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}{f' ({self.where})' if self.where else ''}: {self.why}"


class ExportRefused(ExportError, UsageError):  # noqa: N818  # it says who refused, not that something broke
    """A format cannot carry a network; `losses` lists all of what it would drop. Exit code 2: `--force` exists."""

    def __init__(self, message: str, losses: Sequence[Loss] = ()) -> None:
        super().__init__(message)
        self.losses = tuple(losses)


def refuse_or_list(losses: Iterable[Loss], force: bool, *, target: str = "this format") -> tuple[Loss, ...]:
    """Return the distinct losses in the order found, for the file to list; without `force`, refuse any.

    `target` names the file or format in the error line. Errors: ExportRefused, where there is a loss and
    `force` is false.
    """
    found = tuple(dict.fromkeys(losses))
    if found and not force:
        raise ExportRefused(
            f"{target}: not written: it cannot hold {_grouped(found)}; change the network, or write it with"
            " --force, which puts this list into the file",
            found,
        )
    return found


def comment_lines(losses: Iterable[Loss], prefix: str = "# ") -> tuple[str, ...]:
    """Return one comment line for each loss under a heading, each of them one line; () without losses."""
    lines = [" ".join(str(loss).split()) for loss in losses]
    return tuple(prefix + line for line in ("lost in this format (written with --force):", *lines)) if lines else ()


def losses_json(losses: Iterable[Loss]) -> str:
    """Return the losses as compact JSON, a list of objects with what, where and why."""
    return json.dumps(plain_losses(losses), separators=(",", ":"), ensure_ascii=True)


def plain_losses(losses: Iterable[Loss]) -> list[dict[str, Any]]:
    """Return the losses as plain dicts, for a JSON document."""
    return [asdict(loss) for loss in losses]


def _grouped(losses: Sequence[Loss]) -> str:
    """Return the losses as one text: those that differ only in the place are said once."""
    places: dict[tuple[str, str], list[str]] = {}
    for loss in losses:
        places.setdefault((loss.what, loss.why), []).append(loss.where)
    parts = []
    for (what, why), found in places.items():
        named = [place for place in found if place]
        more = f" and {len(named) - _PLACES} more" if len(named) > _PLACES else ""
        at = f" ({', '.join(named[:_PLACES])}{more})" if named else ""
        parts.append(f"{what}{at}: {why}")
    return "; ".join(" ".join(part.split()) for part in parts)
