"""Rebuild the committed reference reports: `python -m snn_energy.reporting.rebuild reports`.

`python -m snn_energy.reporting.rebuild tests/golden 256` does the same on the first 256 samples, for quick tests.

They are documentation and golden files at once: the shipped networks' sums are exact in float32 on these images, so
every machine must write the same bytes. (The figure's bytes also depend on the version of matplotlib.) Reports on
images that the package may not hold are rebuilt where $SNN_ENERGY_DATA has them, and otherwise left as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from snn_energy.errors import DataError, UsageError
from snn_energy.files import write_atomic
from snn_energy.models.checkpoints import load_checkpoint
from snn_energy.models.zoo import pretrained
from snn_energy.reporting.document import Document
from snn_energy.reporting.explained import explanation_key
from snn_energy.reporting.formats import FORMATS
from snn_energy.reporting.plots import draw
from snn_energy.reporting.spread import uncertainty_key
from snn_energy.reporting.subject import DataRequest, checkpoint_subject
from snn_energy.reporting.terminal import terminal_text
from snn_energy.training.data import load_images

REPORTS = ("fashion-cnn",)
"""Shipped checkpoints that have a committed report, each on its own whole test split, which comes with the package."""

REPORTS_ON_OWN_DATA = ("cifar10-pure-cnn", "cifar10-vgg")
"""The same on images that the user has to download."""

TERMINAL_WIDTH = 80
"""Columns of the text that `snn-energy profile` prints, for the README."""

FIGURES = ("breakdown", "comparison", "crossover", "rates")
"""Kinds of figures beside that of the layers."""

RENDERERS: dict[str, Callable[[Document], str | bytes]] = {
    **{suffix: FORMATS[suffix] for suffix in ("json", "md", "csv", "html")},
    "tex": FORMATS["latex"],
    "bib": FORMATS["bibtex"],
    "methods.txt": FORMATS["methods"],
    "txt": lambda document: terminal_text(document, TERMINAL_WIDTH),
    "svg": lambda document: draw(document, "layers", "svg"),
    **{f"{kind}.svg": lambda document, kind=kind: draw(document, kind, "svg") for kind in FIGURES},  # type: ignore[misc]
}
"""Suffix -> what makes the file."""

HTML_ALONE = ("uncertainty", "explanation")
"""Keys that `snn-energy profile` adds for HTML, which has the room to show them."""


def render(document: Document, stem: str) -> Iterator[tuple[str, bytes]]:
    """All files of one report: their names and contents."""
    plain = {key: value for key, value in document.items() if key not in HTML_ALONE}
    for suffix, renderer in RENDERERS.items():
        if suffix == "crossover.svg" and not document.get("crossover"):
            continue
        content = renderer(document if suffix == "html" else plain)
        yield f"{stem}.{suffix}", content.encode() if isinstance(content, str) else content


def reference_document(name: str, samples: int | None = None) -> Document:
    """Run the shipped checkpoint `name` on its own test split (its first `samples`) and return its report."""
    assessment = checkpoint_subject(name, DataRequest(samples=samples)).assess()
    return {
        **assessment.to_dict(),
        **uncertainty_key(assessment.report, against=assessment.against),
        **explanation_key(assessment.report.trace),
    }


def names_with_data() -> tuple[str, ...]:
    """The reports whose images are here: the embedded ones, and those found through $SNN_ENERGY_DATA."""
    return REPORTS + tuple(name for name in REPORTS_ON_OWN_DATA if _has_data(name))


def _has_data(name: str) -> bool:
    try:
        load_images(load_checkpoint(pretrained(name)).dataset, "test")
    except DataError:
        return False
    return True


def rebuild(folder: str | Path, samples: int | None = None) -> list[Path]:
    """Write the reference reports into `folder`, which exists, and return their paths.

    On a number of samples, for quick tests, these are the reports on embedded images alone.
    """
    written = []
    for name in REPORTS if samples is not None else names_with_data():
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
    written = rebuild(folder, int(rest[0]) if rest else None)
    for path in written:
        sys.stdout.write(f"wrote {path}\n")
    if not rest and (missing := set(REPORTS_ON_OWN_DATA) - {path.stem for path in written}):
        sys.stdout.write(f"left as they are: {', '.join(sorted(missing))} (no images in $SNN_ENERGY_DATA)\n")


if __name__ == "__main__":
    main(sys.argv[1:])
