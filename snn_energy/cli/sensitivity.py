"""`snn-energy sensitivity`: what the energy and the accuracy of a network depend on, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.columns import change_text, points_text, prose, table_lines
from snn_energy.cli.console import emit_json, print_line, progress, stdout_console
from snn_energy.cli.options import (
    BatchSizeOption,
    DataDirOption,
    DataOption,
    FirstSamplesOption,
    HardwareOption,
    JsonOption,
    SplitOption,
)

if TYPE_CHECKING:
    from snn_energy.tuning import Sensitivity
    from snn_energy.tuning.study import Variation

FORMAT = 1
"""Version of the JSON form."""


def sensitivity_command(
    checkpoint: Annotated[
        str, typer.Argument(metavar="CHECKPOINT", help="Checkpoint file, or name of a shipped one (fashion-cnn).")
    ],
    data: DataOption = None,
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    samples: FirstSamplesOption = None,
    batch_size: BatchSizeOption = 250,
    hardware: HardwareOption = "horowitz-45nm-fp32",
    step: Annotated[float, typer.Option(metavar="SHARE", help="Thresholds fall and rise by this share.")] = 0.1,
    max_time_steps: Annotated[
        int | None,
        typer.Option(metavar="T", help="Largest T; default: twice the network's own; 0: none.", show_default=False),
    ] = None,
    datatypes: Annotated[
        str, typer.Option(metavar="NAME,...", help="Data types of the weights: fp16, int8, int4, int2.")
    ] = "fp16,int8,int4",
    json: JsonOption = False,
) -> None:
    """Show what energy and accuracy depend on, layer by layer.

    Thresholds, time steps and the precision of weights are changed for real, one at a time: the network runs
    again, is counted exactly, and is scored again. The slope of the energy over a rate is a closed form.

    \b
    Examples:
      snn-energy sensitivity fashion-cnn
      snn-energy sensitivity my.pt --samples 500 --hardware horowitz-45nm-int8
      snn-energy sensitivity my.pt --datatypes int8 --max-time-steps 0 --json
    """
    from snn_energy.hardware import load_hardware

    prices = load_hardware(hardware)
    from snn_energy.errors import UsageError
    from snn_energy.reporting.subject import DataRequest, checkpoint_subject
    from snn_energy.tuning import Study

    if batch_size < 1:
        raise UsageError(f"--batch-size must be >= 1 (got {batch_size})")
    subject = checkpoint_subject(checkpoint, DataRequest(source=data, split=split, data_dir=data_dir, samples=samples))
    if samples is None and len(subject.images) > DEFAULT_SAMPLES:
        wanted = DataRequest(source=data, split=split, data_dir=data_dir, samples=DEFAULT_SAMPLES)
        subject = checkpoint_subject(checkpoint, wanted)
    with progress("counting", len(subject.images)) as advance:
        study = Study(
            subject.model,  # type: ignore[arg-type]  # a checkpoint's subject is a module, never a graph
            lambda: subject.images.batches(batch_size, subject.spec),
            prices,
            step=step,
            max_time_steps=max_time_steps,
            datatypes=[name.strip() for name in datatypes.split(",") if name.strip()],
            progress=advance,
        )
    with progress("varying", study.runs) as advance:
        found = study.run(advance)
    if json:
        emit_json(
            {
                "format": FORMAT,
                "network": subject.name,
                "checkpoint": subject.checkpoint,
                "dataset": subject.dataset,
                **found.to_dict(),
            }
        )
        return
    steps = "" if found.time_steps is None else f", T = {found.time_steps}"
    width = stdout_console().width
    for text in prose(f"{subject.name} ({subject.checkpoint}) on {subject.dataset}{steps}", width):
        print_line(text, style="bold")
    for text, style in sensitivity_lines(found, width):
        print_line(text, style=style or None)


DEFAULT_SAMPLES = 1000
"""Each of some thirty runs takes as long as a profile."""


def sensitivity_lines(found: Sensitivity, width: int) -> list[tuple[str, str]]:
    """The tables as lines and their styles."""
    from snn_energy.reporting.numbers import energy, percent

    base = found.base
    assert base.energy_pj is not None
    score = "" if base.correct is None else (
        f"; accuracy {percent(base.correct, base.samples)} ({base.correct:,} of {base.samples:,})"
    )  # fmt: skip
    summary = f"{energy(base.energy_pj)} per inference on {found.hardware}{score}"
    lines = [(text, "") for text in prose(summary, width)]

    def section(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
        if rows:
            head, *rest = table_lines(headings, rows, width, left)
            lines.extend([("", ""), (title, "bold"), (head, "dim"), *((text, "") for text in rest)])

    factors = list(dict.fromkeys(v.setting for v in found.thresholds))
    headings = ["neurons", *(text for f in factors for text in (f"x {f:g}: %", "points"))]
    section(
        "Threshold: counted anew, one layer at a time; energy in %, accuracy in points",
        headings,
        _by_layer(found.thresholds, factors, found),
    )
    section(
        "Time steps: counted anew",
        ["T", "energy", "change", "accuracy", "points"],
        [
            [
                str(v.setting),
                _energy(v.measured.energy_pj),
                change_text(v.measured.energy_pj, base.energy_pj),
                _share(v.measured.correct, v.measured.samples),
                points_text(v.measured.accuracy, base.accuracy),
            ]
            for v in found.steps
        ],
    )
    section(
        "Rate: energy of the accumulates, and by how much 0.01 more of nonzero raises it",
        ["layer", "operand", "nonzero", "accumulates", "per 0.01"],
        [
            [r.layer, r.operand.split(" ")[0], f"{r.rate:.4f}", energy(r.energy_pj), energy(r.slope_pj / 100)]
            for r in found.rates
        ],
        left=2,
    )
    names = list(dict.fromkeys(v.setting for v in found.precisions))
    headings = ["weights", *(text for n in names for text in (f"{n}: %", "points"))]
    section(
        "Precision: weights rounded, one layer at a time; energy in %, accuracy in points",
        headings,
        _by_layer(found.precisions, names, found),
    )
    remarks = ["Energies change in percent; points: change of the accuracy in percentage points."]
    if found.precisions:
        remarks.append("Rounded layers are priced on the profile of their data type; - where there is none.")
    remarks += [f"left out: {text}" for text in found.left_out]
    lines.append(("", ""))
    lines += [(text, "dim") for remark in remarks for text in prose(remark, width)]
    return lines


def _by_layer(
    variations: Sequence[Variation], settings: Sequence[float | int | str], found: Sensitivity
) -> list[list[str]]:
    rows: dict[str, list[str]] = {}
    by_place = {(v.layer, v.setting): v.measured for v in variations}
    for layer in dict.fromkeys(v.layer for v in variations):
        measured = [by_place[layer, setting] for setting in settings]
        rows[layer] = [
            text
            for one in measured
            for text in (
                change_text(one.energy_pj, found.base.energy_pj).removesuffix(" %"),
                points_text(one.accuracy, found.base.accuracy),
            )
        ]
    return [[layer, *cells] for layer, cells in rows.items()]


def _energy(pj: float | None) -> str:
    from snn_energy.reporting.numbers import energy

    return "-" if pj is None else energy(pj)


def _share(correct: int | None, samples: int) -> str:
    from snn_energy.reporting.numbers import percent

    return "-" if correct is None else percent(correct, samples)
