"""`snn-energy pareto`: the front between accuracy and energy over saved checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.columns import prose, table_lines
from snn_energy.cli.console import emit_json, print_line, progress, stdout_console
from snn_energy.cli.options import (
    BatchSizeOption,
    DataDirOption,
    HardwareOption,
    JsonOption,
    SamplesOption,
    SplitOption,
)
from snn_energy.cli.rendering import check_writable, deliver_figure

if TYPE_CHECKING:
    from snn_energy.reporting.assessment import Assessment
    from snn_energy.reporting.subject import Subject
    from snn_energy.tuning import Placed

FORMAT = 1
"""Version of the JSON form."""
SUFFIXES = (".pt", ".safetensors")


def pareto_command(
    checkpoints: Annotated[
        list[str],
        typer.Argument(metavar="CHECKPOINT...", help="Checkpoint files, names of shipped ones, or folders of them."),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Data set, folder of images, .npy, .npz or .pt; default: the checkpoints' own.",
            show_default=False,
        ),
    ] = None,
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    samples: SamplesOption = None,
    batch_size: BatchSizeOption = 250,
    hardware: HardwareOption = "horowitz-45nm-fp32",
    json: JsonOption = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", "--svg", metavar="FILE", help="Draw into a .png, .svg or .pdf.", show_default=False),
    ] = None,
) -> None:
    """List which checkpoints no other one beats.

    Every checkpoint is profiled on the same data. One is dominated if another is at least as accurate and
    needs no more energy, and is better in one of the two; the others are the front. Equal ones share a place.

    \b
    Examples:
      snn-energy pareto a.pt b.pt c.pt
      snn-energy pareto runs/ --samples 1000 --plot front.svg
      snn-energy pareto runs/ --hardware horowitz-45nm-int8 --json
    """
    check_writable(plot)
    if plot is not None:
        from snn_energy.reporting.style import figure_suffix

        figure_suffix(plot)
    from snn_energy.hardware import load_hardware

    prices = load_hardware(hardware)
    from snn_energy.tuning import Point, pareto_front

    subjects = _subjects(checkpoints, data, split, data_dir, samples)
    found: list[_Entry] = []
    with progress("profiling", sum(len(entry.images) for entry in subjects.values())) as advance:
        for name, subject in subjects.items():
            advance(0, note=name)
            assessment = subject.assess(batch_size=batch_size, hardware=prices, baseline=False, progress=advance)
            found.append(_Entry(name=name, subject=subject, assessment=_fit(name, assessment)))
    points = []
    for entry in found:
        accuracy = entry.assessment.accuracy
        assert accuracy is not None
        energy_pj = entry.assessment.report.energy_per_inference_pj
        points.append(Point(name=entry.name, energy_pj=energy_pj, correct=accuracy.correct, total=accuracy.total))
    placed = pareto_front(points)
    dataset = found[0].assessment.dataset or ""
    front = {"format": FORMAT, "hardware": prices.name, "dataset": dataset, "points": _plain(placed, found)}
    if json:
        emit_json(front)
    else:
        width, several = stdout_console().width, "" if len(found) == 1 else "s"
        for text in prose(f"{len(found)} checkpoint{several} on {dataset}, {prices.name}", width):
            print_line(text, style="bold")
        for text in _lines(placed, found, width):
            print_line(text)
    if plot is not None:
        deliver_figure(front, "pareto", plot)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A checkpoint and its measurement."""

    name: str
    subject: Subject
    assessment: Assessment


def _subjects(
    named: Sequence[str], data: str | None, split: str, data_dir: Path | None, samples: int | None
) -> dict[str, Subject]:
    """The checkpoints that the words name, by the shortest name that tells them apart."""
    from snn_energy.errors import UsageError
    from snn_energy.models import checkpoint_path
    from snn_energy.reporting.subject import DataRequest, checkpoint_subject

    paths: dict[Path, str] = {}
    for word in named:
        here = Path(word)
        inside = sorted(p for p in here.iterdir() if p.suffix in SUFFIXES) if here.is_dir() else None
        if inside == []:
            raise UsageError(f"{word}: no checkpoint in this folder (expected {' or '.join(SUFFIXES)} files)")
        for path in inside or [checkpoint_path(word)]:
            if path.resolve() in paths:
                raise UsageError(f"{path}: named twice; name each checkpoint once")
            paths[path.resolve()] = str(path) if inside or here.exists() else word
    stems = [path.name for path in paths]
    wanted = DataRequest(source=data, split=split, data_dir=data_dir, samples=samples)
    found: dict[str, Subject] = {}
    for path, word in paths.items():
        subject = checkpoint_subject(str(path), wanted)
        found[path.name if stems.count(path.name) == 1 else word] = subject
        first = next(iter(found.values()))
        if subject.dataset != first.dataset:
            raise UsageError(
                f"{word}: it was trained on other data (got {subject.dataset}; {next(iter(found))}: {first.dataset}); "
                "compare them on one data set with --data"
            )
    return found


def _fit(name: str, assessment: Assessment) -> Assessment:
    """The assessment if it can be compared: an accuracy, and nothing uncounted."""
    from snn_energy.counting.tracing import uncounted_message
    from snn_energy.errors import DataError, UncountedError

    if assessment.accuracy is None:
        raise DataError(f"{name}: no accuracy ({assessment.accuracy_missing}); a front needs labelled data")
    if not assessment.report.trace.coverage.complete:
        raise UncountedError(f"{name}: {uncounted_message(assessment.report.trace).removeprefix('strict: ')}")
    return assessment


def _lines(placed: Sequence[Placed], entries: Sequence[_Entry], width: int) -> list[str]:
    from snn_energy.reporting.numbers import energy, energy_unit, percent

    unit = energy_unit(placed[-1].point.energy_pj)
    networks = {entry.name: entry.subject.name for entry in entries}
    steps = {entry.name: entry.assessment.report.trace.time_steps for entry in entries}
    rows = [
        [
            place.point.name,
            networks[place.point.name],
            str(steps[place.point.name] or "-"),
            energy(place.point.energy_pj, unit),
            percent(place.point.correct, place.point.total),
            "front" if place.on_front else "",
        ]
        for place in placed
    ]
    lines = table_lines(["checkpoint", "network", "T", "energy", "accuracy", ""], rows, width, left=2)
    beaten: dict[str, list[str]] = {}
    for place in placed:
        if place.dominated_by is not None:
            beaten.setdefault(place.dominated_by, []).append(place.point.name)
    remarks = [f"{better} dominates {', '.join(names)}" for better, names in beaten.items()]
    remarks += [f"equal: {', '.join(g)}" for g in dict.fromkeys(_together(place) for place in placed if place.equals)]
    for entry in entries:
        actions = ", ".join(item.action for item in entry.assessment.report.unpriced)
        if actions:
            remarks.append(f"{entry.name}: {actions} unpriced on this hardware, not in its energy")
    wrapped = [part for text in remarks for part in prose(text, width)]
    return [*lines, *([""] if wrapped else []), *wrapped]


def _together(place: Placed) -> tuple[str, ...]:
    return tuple(sorted((place.point.name, *place.equals)))


def _plain(placed: Sequence[Placed], entries: Sequence[_Entry]) -> list[dict[str, object]]:
    by_name = {entry.name: entry for entry in entries}
    return [
        {
            "checkpoint": place.point.name,
            "network": by_name[place.point.name].subject.name,
            "time_steps": by_name[place.point.name].assessment.report.trace.time_steps or None,
            "energy_per_inference_pj": place.point.energy_pj,
            "correct": place.point.correct,
            "total": place.point.total,
            "on_front": place.on_front,
            "dominated_by": place.dominated_by,
            "equals": list(place.equals),
            "unpriced": [item.action for item in by_name[place.point.name].assessment.report.unpriced],
        }
        for place in placed
    ]
