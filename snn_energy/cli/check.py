"""`snn-energy check`: a gate for continuous integration, exit code 1 with each failed condition on one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.config import given
from snn_energy.cli.console import emit_json, print_line, progress
from snn_energy.cli.options import (
    BatchSizeOption,
    DataDirOption,
    DataOption,
    JsonOption,
    LayoutOption,
    ModelArgsOption,
    ModelOption,
    SamplesOption,
    SplitOption,
)

if TYPE_CHECKING:
    from snn_energy.reporting.document import Document
    from snn_energy.workflow.gathering import Factory

DEFAULT_HARDWARE = "horowitz-45nm-fp32"
DEFAULT_METHOD = "arithmetic"


def check_command(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="JSON report, saved trace, .onnx or .nir graph, checkpoint or name of a shipped one, function that "
            "makes a network (MODULE:FACTORY); with --model, a state dict.",
        ),
    ],
    max_uj: Annotated[
        str | None,
        typer.Option(metavar="UJ", help="Energy of one inference, at most; µJ.", show_default=False),
    ] = None,
    max_latency_ms: Annotated[
        str | None,
        typer.Option(metavar="MS", help="Time of one inference, at most; ms.", show_default=False),
    ] = None,
    min_accuracy: Annotated[
        str | None, typer.Option(metavar="PERCENT", help="Accuracy, at least, like 90%.", show_default=False)
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="REPORT.json", help="Report whose energy must not be exceeded.", show_default=False),
    ] = None,
    tolerance: Annotated[
        str, typer.Option(metavar="PERCENT", help="With --baseline: by how much it may be exceeded.")
    ] = "0%",
    require_complete: Annotated[
        bool, typer.Option("--require-complete", help="Everything that ran is counted and priced.")
    ] = False,
    hardware: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Of what is not a report: the profile. Default: the baseline's, else horowitz-45nm-fp32.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of what is not a report: the method. Default: the baseline's, else arithmetic.",
            show_default=False,
        ),
    ] = None,
    data: DataOption = None,
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    samples: SamplesOption = None,
    layout: LayoutOption = "N",
    batch_size: BatchSizeOption = 250,
    model: ModelOption = None,
    model_args: ModelArgsOption = None,
    github: Annotated[
        bool, typer.Option("--github", help="Failed conditions as annotations of GitHub Actions as well.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Hold a report to limits, as a CI gate.

    Exit code 0 if every condition holds, 1 with each failed one on a line, 2 for wrong usage. Energies are compared
    with their upper bound; what is unknown fails.

    \b
    Examples:
      snn-energy check report.json --max-uj 2.5 --min-accuracy 91%
      snn-energy check my.pt --baseline main.json --tolerance 1%
      snn-energy check report.json --require-complete --github
      snn-energy check w.pt --model my_net:build --data digits --max-uj 2

    \b
    In a workflow of GitHub Actions:
      - run: snn-energy profile my.pt --output report.json
      - run: snn-energy check report.json --baseline main.json
             --tolerance 1% --github
    """
    from snn_energy.cli.lists import percentage, positive
    from snn_energy.errors import UsageError
    from snn_energy.reporting.document import load_document
    from snn_energy.workflow.gate import Conditions, annotation, to_dict, verdicts
    from snn_energy.workflow.gathering import Factory

    if tolerance != "0%" and baseline is None:
        raise UsageError("--tolerance says how far --baseline may be exceeded: give --baseline REPORT.json as well")
    before = None if baseline is None else load_document(baseline)
    conditions = Conditions(
        max_uj=positive(max_uj, "--max-uj", "µJ"),
        max_latency_ms=positive(max_latency_ms, "--max-latency-ms", "ms"),
        min_accuracy=None if min_accuracy is None else percentage(min_accuracy, "--min-accuracy"),
        baseline=before,
        tolerance=percentage(tolerance, "--tolerance"),
        require_complete=require_complete,
    )
    if not conditions.asked:
        raise UsageError(
            "nothing to check: give --max-uj, --max-latency-ms, --min-accuracy, --baseline or --require-complete"
        )
    asked = given(context, hardware=hardware, method=method)
    wanted = {"source": data, "split": split, "data_dir": data_dir, "samples": samples, "layout": layout}
    document = _document(source, before, hardware, method, batch_size, wanted, Factory(model, model_args), asked)
    found = verdicts(document, conditions)
    if json:
        emit_json(to_dict(found))
    else:
        for verdict in found:
            style = "green" if verdict.passed else "red"
            print_line(f"{'ok    ' if verdict.passed else 'FAILED'}  {verdict.condition}: {verdict.text}", style=style)
    for verdict in found:
        if github and not verdict.passed:
            print_line(annotation(verdict), to_stderr=json)
    if not all(verdict.passed for verdict in found):
        raise typer.Exit(1)


def _document(
    source: str,
    before: Document | None,
    hardware: str | None,
    method: str | None,
    batch_size: int,
    data: Mapping[str, object],
    factory: Factory,
    asked: list[str],
) -> Document:
    """The report itself, or one made of what the word names, on the baseline's terms."""
    from snn_energy.errors import UsageError
    from snn_energy.reporting.document import load_document
    from snn_energy.workflow.sources import kind_of

    kind = kind_of(source)
    factory.refuse_idle([kind])
    if kind == "report":
        if asked:
            raise UsageError(f"{source}: a report keeps its hardware and its method; leave --hardware and --method out")
        return load_document(source)

    from snn_energy.hardware import load_hardware

    name = hardware or (DEFAULT_HARDWARE if before is None else before["hardware"]["name"])
    prices = load_hardware(name)
    chosen = method or (DEFAULT_METHOD if before is None else str(before.get("method")))
    if kind == "trace":
        from snn_energy.costing.pricing import price
        from snn_energy.counting.tracefile import load_trace

        return price(load_trace(source).without_samples(), prices, chosen).to_dict()

    from snn_energy.workflow.gathering import subject_of

    subject = subject_of(source, kind, data, factory)
    with progress("counting", len(subject.images)) as advance:
        assessment = subject.assess(
            batch_size=batch_size, hardware=prices, method=chosen, baseline=False, progress=advance
        )
    return assessment.to_dict()
