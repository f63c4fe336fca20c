"""`snn-energy explain`: what every published method says of one network, and why they disagree."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.columns import prose, table_lines
from snn_energy.cli.console import emit_json, print_line, progress, stdout_console
from snn_energy.cli.options import DataDirOption, DataOption, FirstSamplesOption, JsonOption, SplitOption

if TYPE_CHECKING:
    from snn_energy.costing.published_methods.explanation import Explanation
    from snn_energy.costing.published_methods.waterfall import Step
    from snn_energy.counting.counts import Trace

DEFAULT_SAMPLES = 1000
"""Of a checkpoint's data set; methods differ by far more than further samples would change."""


def explain_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT|TRACE",
            help="Trace file (.json, .json.gz), checkpoint file, or name of a shipped one (fashion-cnn).",
        ),
    ],
    hardware: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Price the arithmetic of all methods on this; default: each publication's own.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    samples: FirstSamplesOption = None,
    between: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD,METHOD",
            help="Methods that the steps lead between; default: the lowest and the highest.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Price a network by every published method, and explain.

    One trace, every method: the energy that each gives, what it counts, and the steps that lead from the lowest
    to the highest, which add up exactly.

    \b
    Examples:
      snn-energy explain fashion-cnn
      snn-energy explain counts.json.gz --hardware horowitz-45nm-int8
      snn-energy explain my.pt --between syops,arithmetic
      snn-energy explain my.pt --samples 100 --json
    """
    from snn_energy.hardware import load_hardware

    prices = None if hardware is None else load_hardware(hardware)
    ends = None if between is None else _two(between)
    if source.endswith((".json", ".json.gz", ".gz")):
        named, trace = _saved(source, data=data, samples=samples)
    else:
        named, trace = _counted(source, data=data, split=split, data_dir=data_dir, samples=samples)

    from snn_energy.costing.published_methods.explanation import explain

    found = explain(trace, prices, ends)
    if json:
        emit_json({"source": named, **found.to_dict()})
        return
    for text, style in explain_lines(named, found, stdout_console().width, None if prices is None else prices.name):
        print_line(text, style=style or None)


def _two(text: str) -> tuple[str, str]:
    from snn_energy.errors import UsageError

    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise UsageError(f"--between must be two methods, like syops,arithmetic (got {text!r})")
    return names[0], names[1]


def _saved(path: str, *, data: str | None, samples: int | None) -> tuple[str, Trace]:
    from snn_energy.counting.tracefile import load_trace
    from snn_energy.errors import UsageError

    if data is not None or samples is not None:
        raise UsageError(f"{path} holds counts already: --data and --samples are for a checkpoint; leave them out")
    trace = load_trace(path)
    return f"{trace.model or 'network'} ({Path(path).name}), {trace.samples:,} samples", trace


def _counted(
    checkpoint: str, *, data: str | None, split: str, data_dir: Path | None, samples: int | None
) -> tuple[str, Trace]:
    from snn_energy.reporting.subject import DataRequest, checkpoint_subject

    wanted = DataRequest(source=data, split=split, data_dir=data_dir, samples=samples)
    subject = checkpoint_subject(checkpoint, wanted)
    if samples is None and len(subject.images) > DEFAULT_SAMPLES:
        wanted = DataRequest(source=data, split=split, data_dir=data_dir, samples=DEFAULT_SAMPLES)
        subject = checkpoint_subject(checkpoint, wanted)
    with progress("counting", len(subject.images)) as advance:
        trace = subject.assess(baseline=False, progress=advance).report.trace
    return f"{subject.name} ({subject.checkpoint}) on {subject.dataset}", trace


def explain_lines(named: str, found: Explanation, width: int, hardware: str | None = None) -> list[tuple[str, str]]:
    """The tables as lines and their styles; `hardware` is what the arithmetic of all methods was priced on, if any."""
    steps = found.trace.time_steps
    title = named if not steps else f"{named}, T = {steps}"
    lines = [(text, "bold") for text in prose(title, width)]
    heading = "Energy of one inference by each method"
    if hardware is not None:
        heading += f", arithmetic at the prices of {hardware}"
    lines += [("", ""), *((text, "bold") for text in prose(heading, width))]
    head, *rest = table_lines(_HEADINGS, [_method(found, i) for i in range(len(found.accounts))], width)
    lines += [(head, "dim"), *((text, "") for text in rest), ("", "")]
    lines += [(text, "dim") for remark in _remarks(found, hardware) for text in prose(remark, width)]
    if found.ends is None:
        return lines
    low, high = found.ends
    lines += [("", ""), (f"From {low.sheet.name} to {high.sheet.name}", "bold")]
    head, *rest = table_lines(("part", "step", "from", "to", "energy"), _waterfall(found), width, left=2)
    lines += [(head, "dim"), *((text, "") for text in rest), ("", "")]
    lines += [(text, "dim") for rule in _rules(found) for text in prose(rule, width)]
    return lines


_HEADINGS = ("method", "energy", "ratio", "layer 1", "padding", "attn", "neurons", "memory")


def _method(found: Explanation, index: int) -> list[str]:
    from snn_energy.costing.published_methods.sheets import COUNTS
    from snn_energy.reporting.numbers import ratio

    one = found.accounts[index]
    share = found.ratio(one)
    star = "*" if one.priced and not one.complete else ""
    energy = _energy(one.energy_per_inference_pj) if one.priced else "-"
    counts = [one.sheet.counts.get(name, "-") for name in COUNTS]
    return [one.sheet.name + star, energy, "-" if share is None else ratio(share), *counts]


def _energy(pj: Fraction) -> str:
    """Four significant digits are more than any of these methods is worth."""
    from snn_energy.reporting.numbers import energy_unit

    name, size = energy_unit(pj)
    value = pj / size
    decimals = max(0, 4 - len(str(int(value))))
    return f"{float(value):.{decimals}f} {name}"


def _remarks(found: Explanation, hardware: str | None) -> list[str]:
    from snn_energy.reporting.numbers import short

    remarks = ["attn: products of activations. ratio: to the lowest total that is complete."]
    remarks += [
        f"* {one.sheet.name}: {one.sheet.partial}." for one in found.accounts if one.priced and not one.complete
    ]
    own = [one.sheet.name for one in found.accounts if one.priced and one.hardware != hardware]
    if hardware is not None and own:
        remarks.append(f"{', '.join(own)}: at prices of its own, whatever the hardware.")
    for one in found.accounts:
        if one.measures:
            totals = ", ".join(f"{name} {short(round(value / one.samples))}" for name, value in one.measures.items())
            remarks.append(f"{one.sheet.name} prices nothing: {totals} bit operations for each inference.")
    refused: dict[str, list[str]] = {}
    for one in found.accounts:
        if one.refused is not None:
            refused.setdefault(one.refused, []).append(one.sheet.name)
    remarks += [f"{', '.join(names)}: {reason}." for reason, names in refused.items()]
    if not found.trace.coverage.complete:
        remarks.append("Work that the trace lists as uncounted is in none of the totals.")
    return remarks


def _waterfall(found: Explanation) -> list[list[str]]:
    """One row for each step; what is printed adds up, because each row is the difference of two rounded sums."""
    from snn_energy.reporting.numbers import energy_unit, fixed, nearest

    assert found.ends is not None
    low, high = found.ends
    unit, size = energy_unit(max(low.energy_per_inference_pj, high.energy_per_inference_pj))

    def rounded(pj: Fraction) -> int:
        return nearest(pj / size * 1000)

    total = low.energy_per_inference_pj
    rows = [[low.sheet.name, "", "", "", f"{fixed(rounded(total), 3)} {unit}"]]
    for step in found.steps:
        change = rounded(total + step.energy_pj) - rounded(total)
        total += step.energy_pj
        rows.append([step.part, *_change(step), f"{'-' if change < 0 else '+'}{fixed(abs(change), 3)} {unit}"])
    rows.append([high.sheet.name, "", "", "", f"{fixed(rounded(total), 3)} {unit}"])
    return rows


def _change(step: Step) -> list[str]:
    from snn_energy.reporting.numbers import short

    low, high = short(round(step.low_count)), short(round(step.high_count))
    if step.cause == "price":
        assert step.low_price_pj is not None
        assert step.high_price_pj is not None
        return [step.cause, f"{float(step.low_price_pj):.3g} pJ", f"{float(step.high_price_pj):.3g} pJ"]
    return [step.cause, "-" if step.cause == "charged" else low, "-" if step.cause == "left out" else high]


def _rules(found: Explanation) -> list[str]:
    """What the two methods assume of each part that differs."""
    assert found.ends is not None
    low, _ = found.ends
    by_part = {step.part: step for step in found.steps}
    return [
        f"{part}: {step.high_rule or 'not charged'} ({low.sheet.name}: {step.low_rule or 'not charged'})."
        for part, step in by_part.items()
    ]
