"""Draws the gallery: every kind of figure, by the commands that stand above it in gallery.md.

python docs/gallery.py [FOLDER]      # into this folder, or into another one
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent

TITLE = """# Gallery

Every kind of figure that `snn-energy plot` draws, with the commands that drew it; `make docs` runs them again. For
papers: `--width single` or `double`, and an `--output` that ends in .pdf.
"""


@dataclass(frozen=True)
class Figure:
    """One figure: the question that it answers, and the commands that lead to it; the last one draws."""

    kind: str
    question: str
    commands: tuple[str, ...]


PROFILE = "profile fashion-cnn --samples 500 --output report.json"
FIGURES = (
    Figure("breakdown", "Where does the energy go?", (PROFILE, "plot breakdown report.json --output breakdown.svg")),
    Figure("layers", "Which layers gain over the ANN?", (PROFILE, "plot layers report.json --output layers.svg")),
    Figure(
        "comparison",
        "How does it compare with its baselines?",
        (PROFILE, "plot comparison report.json --output comparison.svg"),
    ),
    Figure(
        "crossover",
        "Up to which spike rates does it win?",
        (PROFILE, "plot crossover report.json --output crossover.svg"),
    ),
    Figure("rates", "Who fires, and when?", (PROFILE, "plot rates report.json --output rates.svg")),
    Figure(
        "tornado",
        "Which price matters?",
        (
            "profile fashion-cnn --samples 500 --hardware loihi --uncertainty --output loihi.json",
            "plot tornado loihi.json --output tornado.svg",
        ),
    ),
    Figure(
        "waterfall",
        "Why do published methods disagree?",
        (
            "explain fashion-cnn --samples 500 --json > explain.json",
            "plot waterfall explain.json --output waterfall.svg",
        ),
    ),
    Figure(
        "pareto",
        "Which networks does nothing beat?",
        (
            *(f"train --recipe digits-cnn --set epochs={n} --seed {n} --out runs/epochs-{n}.pt" for n in (1, 2, 4, 8)),
            "pareto runs/ --json > front.json",
            "plot pareto front.json --output pareto.svg",
        ),
    ),
)


def build(target: Path) -> None:
    """Run the commands in a scratch folder; write gallery.md and the figures into `target`."""
    figures = target / "gallery"
    figures.mkdir(parents=True, exist_ok=True)
    page, done = [TITLE], set()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "runs").mkdir()
        for figure in FIGURES:
            for command in figure.commands:
                if command not in done:
                    _run(command, Path(scratch))
                    done.add(command)
            name = f"{figure.kind}.svg"
            (figures / name).write_bytes((Path(scratch) / name).read_bytes())
            shown = "\n".join(f"    snn-energy {command}" for command in figure.commands)
            page.append(f"## {figure.question}\n\n{shown}\n\n![{figure.question}](gallery/{name})\n")
    (target / "gallery.md").write_text("\n".join(page), encoding="utf-8")
    print(f"wrote {target / 'gallery.md'}")


def _run(command: str, folder: Path) -> None:
    """Run `snn-energy` with the words of `command`; `> FILE` takes what it prints."""
    words, _, file = command.partition(" > ")
    call = [sys.executable, "-m", "snn_energy", *words.split()]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"snn-energy {command}: {done.stderr}")
    if file:
        (folder / file).write_text(done.stdout, encoding="utf-8")


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
