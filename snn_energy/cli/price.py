"""`snn-energy price`: price saved traces on any hardware, without the network and without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_energy.cli.console import print_line
from snn_energy.cli.options import HardwareOption
from snn_energy.cli.rendering import (
    FormatOption,
    JsonOption,
    OutputOption,
    UncertaintyOption,
    check_writable,
    chosen_format,
    deliver,
)

if TYPE_CHECKING:
    from snn_energy.counting.counts import Trace

NOT_IN_A_TRACE: Mapping[str, Any] = {
    "network": None,
    "checkpoint": None,
    "dataset": None,
    "accuracy": None,
    "accuracy_missing": "a trace holds counts, not predictions; snn-energy profile scores labelled data",
    "baseline": None,
    "baseline_missing": "a trace holds one network; snn-energy profile runs its ANN twin as well",
    "comparison": [],
    "second_opinion": None,
    "second_opinion_missing": "there is no ANN baseline to check",
    "stopping": None,
    "quantised": None,
    "quantised_missing": "a trace holds one network; snn-energy profile runs its quantised twin as well",
}
"""What `profile` adds to a priced trace, with the reason why it is not here."""


def price_command(
    traces: Annotated[
        list[Path],
        typer.Argument(metavar="TRACE", help="Trace files of one network; several are merged exactly."),
    ],
    hardware: HardwareOption = "horowitz-45nm-fp32",
    method: Annotated[
        str, typer.Option(metavar="NAME", help="How energies are computed: arithmetic, arithmetic+memory, ...")
    ] = "arithmetic",
    uncertainty: UncertaintyOption = False,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            metavar="N",
            min=1,
            help="Say how long N inferences take together, on hardware that states timing.",
            show_default=False,
        ),
    ] = None,
    format: FormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Price saved traces on any hardware; nothing is run.

    A trace holds exact counts, so the same file can be priced again on every hardware; traces of several parts
    of the data add up to the trace of all of them.

    \b
    Examples:
      snn-energy profile fashion-cnn --trace counts.json.gz
      snn-energy price counts.json.gz --hardware horowitz-45nm-int8
      snn-energy price counts.json --method arithmetic+memory:outputs,aer
      snn-energy price counts.json.gz --uncertainty
      snn-energy price counts.json.gz --hardware sata-sim-int8 --batch 64
      snn-energy price part1.json part2.json --json --output report.json
    """
    form = chosen_format(format, json, output)
    check_writable(output)
    _refuse_clashes(traces, output)

    from snn_energy.costing.pricing import price
    from snn_energy.hardware import load_hardware

    prices = load_hardware(hardware)
    trace = _merged(traces)
    report = price(trace, prices, method)
    document = {**report.to_dict(), **NOT_IN_A_TRACE}
    if uncertainty or form == "html":
        from snn_energy.reporting.spread import uncertainty_key

        document |= uncertainty_key(report)
    if form == "html":
        from snn_energy.reporting.explained import explanation_key

        document |= explanation_key(trace)
    if batch is not None:
        from snn_energy.costing.timing.throughput import throughput_of

        document["throughput"] = throughput_of(report.trace, prices, batch).to_dict()
    deliver(document, form, output)


def _refuse_clashes(traces: Sequence[Path], output: Path | None) -> None:
    """A file named twice would count its samples twice; a report written over a trace would destroy it."""
    from snn_energy.errors import UsageError

    seen: set[Path] = set()
    for path in traces:
        if path.resolve() in seen:
            raise UsageError(f"{path}: named twice, so its samples would count twice; name each trace file once")
        seen.add(path.resolve())
    if output is not None and output.resolve() in seen:
        raise UsageError(f"{output}: --output would overwrite this trace file; give another file name")


def _merged(paths: Sequence[Path]) -> Trace:
    from snn_energy.counting.tracefile import load_trace
    from snn_energy.errors import TraceError

    total = load_trace(paths[0])
    for path in paths[1:]:
        part = load_trace(path)
        if (total.per_sample is None) != (part.per_sample is None):
            bare = path if part.per_sample is None else paths[0]
            print_line(f"no distribution: {bare} has no per-sample records", to_stderr=True)
            total, part = total.without_samples(), part.without_samples()
        try:
            total = total + part
        except TraceError as problem:
            raise TraceError(f"{path}: {problem}") from None
    return total
