"""Rebuild the committed reference reports: `python -m snn_energy.reporting.rebuild reports`.

`python -m snn_energy.reporting.rebuild tests/golden 256` does the same on the first 256 samples, for quick tests.

They are documentation and golden files at once: the shipped network's sums are exact in float32, so every
machine must write the same bytes. (The figure's bytes also depend on the version of matplotlib.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from snn_energy.errors import UsageError
from snn_energy.files import write_atomic
from snn_energy.reporting.document import Document
from snn_energy.reporting.formats import FORMATS
from snn_energy.reporting.plots import draw
from snn_energy.reporting.subject import DataRequest, checkpoint_subject
from snn_energy.reporting.terminal import terminal_text

REPORTS = ("fashion-cnn",)
"""Shipped checkpoints that have a committed report, each on its own whole test split."""

TERMINAL_WIDTH = 80
"""Columns of the text that `snn-energy profile` prints, for the README."""

RENDERERS: dict[str, Callable[[Document], str | bytes]] = {
    **{suffix: FORMATS[suffix] for suffix in ("json", "md", "csv")},
    "txt": lambda document: terminal_text(document, TERMINAL_WIDTH),
    "svg": lambda document: draw(document, "layers", "svg"),
}
"""Suffix -> what makes the file."""


def render(document: Document, stem: str) -> Iterator[tuple[str, bytes]]:
    """All files of one report: their names and contents."""
    for suffix, renderer in RENDERERS.items():
        content = renderer(document)
        yield f"{stem}.{suffix}", content.encode() if isinstance(content, str) else content


def reference_document(name: str, samples: int | None = None) -> Document:
    """Run the shipped checkpoint `name` on its own test split (its first `samples`) and return its report."""
    return checkpoint_subject(name, DataRequest(samples=samples)).assess().to_dict()


def rebuild(folder: str | Path, samples: int | None = None) -> list[Path]:
    """Write all reference reports into `folder`, which exists, and return their paths."""
    written = []
    for name in REPORTS:
        for file_name, content in render(reference_document(name, samples), name):
            path = Path(folder) / file_name
            write_atomic(path, content)
            written.append(path)
    return written


def main(arguments: list[str]) -> None:
    """Rebuild into the folder named on the command line, on the number of samples that may follow it."""
    folder, *rest = arguments or [""]
    if not folder or len(rest) > 1 or not all(word.isdecimal() for word in rest):
        raise UsageError(f"rebuild: expected a folder and perhaps a number of samples (got {arguments})")
    for path in rebuild(folder, int(rest[0]) if rest else None):
        sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
