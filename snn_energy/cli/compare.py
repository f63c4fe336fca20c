"""`snn-energy compare`: checkpoints, traces and reports in one table, on several profiles."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.columns import prose, table_lines
from snn_energy.cli.config import given
from snn_energy.cli.console import emit_json, print_line, progress, stdout_console
from snn_energy.cli.options import (
    BatchSizeOption,
    DataDirOption,
    DataOption,
    LayoutOption,
    ModelArgsOption,
    ModelOption,
    SamplesOption,
    SplitOption,
)
from snn_energy.cli.rendering import OutputOption, check_writable

if TYPE_CHECKING:
    from snn_energy.hardware import Hardware
    from snn_energy.workflow.gathering import Source
    from snn_energy.workflow.grids import Grid
    from snn_energy.workflow.lines import Line

FORMAT = 1
"""Version of the JSON form."""
FORMATS = ("table", "json", "csv", "md", "latex")
SUFFIXES = {".json": "json", ".csv": "csv", ".md": "md", ".tex": "latex"}
DEFAULT_HARDWARE = "horowitz-45nm-fp32"

HardwaresOption = Annotated[
    list[str] | None,
    typer.Option(
        "--hardware",
        metavar="NAME|PATH",
        help="Hardware profile; may be given several times. Default: that of the reports, else horowitz-45nm-fp32.",
        show_default=False,
    ),
]
TimeStepsOption = Annotated[
    str | None,
    typer.Option(metavar="T,...", help="Time steps to run checkpoints with; default: their own.", show_default=False),
]
BitsOption = Annotated[
    str | None,
    typer.Option(
        metavar="BITS,...",
        help="Round the weights of checkpoints: own, 16, 8, 4, 2; priced on the profile of that data type.",
        show_default=False,
    ),
]


def compare_command(
    context: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Checkpoints (files or names of shipped ones), .onnx and .nir graphs, saved traces, JSON reports, "
            "functions that make a network (MODULE:FACTORY); with --model, state dicts.",
        ),
    ],
    hardware: HardwaresOption = None,
    time_steps: TimeStepsOption = None,
    bits: BitsOption = None,
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How energies are computed; default: as in the reports, else arithmetic."),
    ] = None,
    data: DataOption = None,
    split: SplitOption = "test",
    data_dir: DataDirOption = None,
    samples: SamplesOption = None,
    layout: LayoutOption = "N",
    batch_size: BatchSizeOption = 250,
    model: ModelOption = None,
    model_args: ModelArgsOption = None,
    baseline: Annotated[bool, typer.Option("--baseline/--no-baseline", help="Run the ANN twins as well.")] = True,
    fold: Annotated[
        bool, typer.Option("--fold/--no-fold", help="Fold a batch norm right behind a layer into it, or count it.")
    ] = True,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(FORMATS),
            help="Form of the table; default: what the suffix of --output says, else a table.",
            autocompletion=lambda: list(FORMATS),
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Short for --format json; energies in pJ.")] = False,
    output: OutputOption = None,
) -> None:
    """Compare networks x hardware x time steps x bits.

    One line for each: accuracy, spike rate, operations, energy, ratio to the dense ANN twin, latency where known.
    Differences in method are refused; those in data, samples or batch norms are named, and nothing is called best.

    \b
    Examples:
      snn-energy compare fashion-cnn my.pt --hardware horowitz-45nm-int8
      snn-energy compare fashion-cnn --time-steps 1,2,4 --bits own,8
      snn-energy compare a.pt b.pt --model my_net:build --data x.npy
      snn-energy compare my_net:small my_net:large --data digits
      snn-energy compare a.json.gz b.json.gz --hardware loihi --json
      snn-energy compare old.json new.json --format latex --output table.tex
    """
    form = _form(format, json, output)
    check_writable(output)
    steps, weights = _variants(time_steps, bits)
    from snn_energy.hardware import load_hardware

    profiles = [load_hardware(name) for name in hardware or ()]
    refuse_twice(profiles)

    from snn_energy.workflow.gathering import Factory, Request, gather, sources_of

    wanted = {"source": data, "split": split, "data_dir": data_dir, "samples": samples, "layout": layout}
    found = sources_of(sources, wanted, Factory(model, model_args))
    typed = given(context, hardware=hardware, method=method, time_steps=time_steps, bits=bits)
    _refuse_idle(found, [name for name in ("time_steps", "bits") if name in typed])
    if any(source.document is not None for source in found):  # which defaults of a project cannot change
        profiles, method = profiles if "hardware" in typed else [], method if "method" in typed else None
    names = _own_hardware(found)
    request = Request(
        sources=found,
        names=[profile.name for profile in profiles] or names,
        hardware=profiles or _loaded(found, names),
        changes=[(t, w) for t in steps for w in weights],
        method=method,
        batch_size=batch_size,
        baseline=baseline,
        fold=fold,
    )
    with progress("comparing", request.runs() or None) as advance:
        tables = gather(request, advance)
    _deliver(tables, request.names, form, output)


def _form(name: str | None, json: bool, output: Path | None) -> str:
    from snn_energy.errors import UsageError

    if json and name not in (None, "json"):
        raise UsageError(f"--json and --format {name} exclude each other; give one of them")
    if json or name is None:
        return "json" if json else SUFFIXES.get(output.suffix.lower() if output else "", "table")
    if name not in FORMATS:
        from snn_energy.models.suggest import unknown

        raise unknown("format", name, FORMATS)
    return name


def _variants(time_steps: str | None, bits: str | None) -> tuple[list[int | None], list[str | None]]:
    from snn_energy.cli.lists import weights, whole_numbers

    steps: list[int | None] = [*whole_numbers(time_steps, "--time-steps")]
    return steps or [None], weights(bits, "--bits") or [None]


def refuse_twice(profiles: Sequence[Hardware]) -> None:
    """Refuse a profile that is given twice: its table would come twice.

    Raises:
        UsageError: there is one.
    """
    from snn_energy.errors import UsageError

    names = [profile.name for profile in profiles]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--hardware {name} is given twice; give each profile once")


def _refuse_idle(sources: Sequence[Source], typed: Sequence[str]) -> None:
    """Options for checkpoints where there is none would change nothing in silence."""
    from snn_energy.errors import UsageError
    from snn_energy.workflow.sources import RUNS_ANEW

    if typed and not any(source.kind in RUNS_ANEW for source in sources):
        name = typed[0].replace("_", "-")
        raise UsageError(f"--{name} is for checkpoints, which run again; these sources are counted already")


def _own_hardware(sources: Sequence[Source]) -> list[str]:
    """The names of the profiles that the reports were priced on; without reports, the default."""
    named = [source.document["hardware"]["name"] for source in sources if source.document is not None]
    return list(dict.fromkeys(named)) or [DEFAULT_HARDWARE]


def _loaded(sources: Sequence[Source], names: Sequence[str]) -> list[Hardware]:
    """The profiles, where something is to be priced: reports alone need none, not even one that is still there."""
    from snn_energy.hardware import load_hardware

    return [] if all(source.document is not None for source in sources) else [load_hardware(name) for name in names]


# -- what is shown -------------------------------------------------------------------------------------------------


def _deliver(tables: Sequence[Sequence[Line]], names: Sequence[str], form: str, output: Path | None) -> None:
    from snn_energy.files import write_atomic

    if form == "table" and output is None:
        for text, style in compare_lines(tables, names, stdout_console().width):
            print_line(text, style=style or None)
        return
    if form == "json" and output is None:
        emit_json(document_of(tables, names))
        return
    text = TEXTS[form](tables, names)
    if output is None:
        sys.stdout.write(text)
        return
    write_atomic(output, text)
    print_line(f"wrote {output}", to_stderr=True)


def document_of(tables: Sequence[Sequence[Line]], names: Sequence[str]) -> dict[str, object]:
    """The JSON form: the lines of each profile, the best ones marked, and in what they differ."""
    from snn_energy.workflow.lines import best, differences

    parts = []
    for name, lines in zip(names, tables, strict=True):
        unlike = differences(lines)
        marked = {} if unlike else best(lines)
        rows = [
            {**line.to_dict(), "best": [column for column, places in marked.items() if i in places]}
            for i, line in enumerate(lines)
        ]
        parts.append({"hardware": name, "differences": unlike, "lines": rows})
    return {"format": FORMAT, "tables": parts}


def compare_lines(tables: Sequence[Sequence[Line]], names: Sequence[str], width: int) -> list[tuple[str, str]]:
    """The tables as lines and their styles."""
    from snn_energy.workflow.comparing import grid_of, remarks

    shown: list[tuple[str, str]] = []
    for name, lines in zip(names, tables, strict=True):
        if not lines:
            continue
        shown += [("", "")] * bool(shown)
        shown += [(text, "bold") for text in prose(_title(lines, name), width)]
        grid = grid_of(lines)
        head, *rest = table_lines(*grid.marked(), width, left=grid.left)
        shown += [(head, "dim"), *((text, "") for text in rest), ("", "")]
        shown += [(text, "dim") for remark in remarks(lines, name) for text in prose(remark, width)]
    return shown


def _title(lines: Sequence[Line], hardware: str) -> str:
    data = {line.dataset for line in lines}
    where = f" on {lines[0].dataset}" if len(data) == 1 and lines[0].dataset else ""
    return f"{hardware}, method {lines[0].method}{where}"


def _blocks(
    tables: Sequence[Sequence[Line]], names: Sequence[str], title: Callable[[str], str], draw: Callable[[Grid], str]
) -> str:
    from snn_energy.workflow.comparing import grid_of, remarks

    blocks = []
    for name, lines in zip(names, tables, strict=True):
        if lines:
            said = "".join(title(text) for text in remarks(lines, name))
            blocks.append(f"{title(_title(lines, name))}\n{draw(grid_of(lines))}\n{said}")
    return "\n".join(blocks)


def _markdown(tables: Sequence[Sequence[Line]], names: Sequence[str]) -> str:
    from snn_energy.workflow.grids import markdown_grid, markdown_text

    return _blocks(tables, names, lambda text: f"{markdown_text(text)}\n", markdown_grid).replace("\n\n\n", "\n\n")


def _latex(tables: Sequence[Sequence[Line]], names: Sequence[str]) -> str:
    from snn_energy.workflow.grids import latex_grid

    return _blocks(tables, names, lambda text: f"% {text}\n", latex_grid).replace("\n\n", "\n")


def _csv(tables: Sequence[Sequence[Line]], names: Sequence[str]) -> str:
    from snn_energy.workflow.grids import csv_grid

    rows = [{"asked_hardware": name, **line.to_dict()} for name, lines in zip(names, tables) for line in lines]
    plain = [{**row, "unpriced": " ".join(row["unpriced"])} for row in rows]
    return csv_grid(list(plain[0]), [list(row.values()) for row in plain])


def _json(tables: Sequence[Sequence[Line]], names: Sequence[str]) -> str:
    import json

    return json.dumps(document_of(tables, names), indent=2, allow_nan=False) + "\n"


def _table(tables: Sequence[Sequence[Line]], names: Sequence[str]) -> str:
    from snn_energy.reporting.formats import FILE_WIDTH

    return "\n".join(text for text, _ in compare_lines(tables, names, FILE_WIDTH)) + "\n"


TEXTS: dict[str, Callable[[Sequence[Sequence[Line]], Sequence[str]], str]] = {
    "table": _table, "json": _json, "csv": _csv, "md": _markdown, "latex": _latex,
}  # fmt: skip
"""Format -> what makes the text of all tables."""
