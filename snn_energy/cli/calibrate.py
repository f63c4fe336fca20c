"""`snn-energy calibrate`: a hardware profile out of measured energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.columns import prose, table_lines
from snn_energy.cli.console import emit_json, print_line, progress, stdout_console
from snn_energy.cli.options import JsonOption

if TYPE_CHECKING:
    from snn_energy.costing.calibration.fitting import Calibration, Weighting
    from snn_energy.costing.calibration.terms import Counts, Meter


def calibrate_command(
    measured: Annotated[
        Path,
        typer.Argument(metavar="MEASURED.csv", help="Measured energies: columns trace, energy_uj, sd_uj, repeats."),
    ],
    traces: Annotated[
        list[Path] | None,
        typer.Option(
            "--traces",
            metavar="FOLDER|FILE",
            help="Where the traces lie (several times: several files); default: beside the CSV file.",
            show_default=False,
        ),
    ] = None,
    terms: Annotated[
        str | None,
        typer.Option(
            metavar="TERM,TERM=TERM",
            help="Prices to fit; those joined by = share one. Default: mac,ac,neuron_update,time_step.",
            show_default=False,
        ),
    ] = None,
    hardware: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Base profile: its other prices are kept as they are. Default: none, the terms hold everything.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How counts are read; default: arithmetic, or arithmetic+memory where a memory is fitted.",
            show_default=False,
        ),
    ] = None,
    operand_bits: Annotated[
        int | None,
        typer.Option(
            "--operand-bits", metavar="N", min=1, help="Bits of a word of the term memory.", show_default=False
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="sd|relative|absolute",
            help="What a measurement's error is; default: sd where the file states it, else relative.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="K", help="Hold networks out in K parts; default: one network at a time.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the bootstrap and of the folds.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="NAME.toml", help="Write the calibrated profile here.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Fit prices to measured energies; write a hardware profile.

    Prices >= 0 by least squares, with 95 % intervals and the error on networks that were left out of the fit.
    What the measurements cannot tell apart is refused by name. Energies are per inference: energy_uj, _nj, _mj.
    Terms are actions (mac, ac, neuron_update, add, mul, compare, special, time_step, inference), and "memory",
    or the memories of the base profile.

    \b
    Examples:
      snn-energy calibrate measured.csv --traces traces/ --output my-chip.toml
      snn-energy calibrate measured.csv --terms mac=ac,neuron_update
      snn-energy calibrate measured.csv --terms ac,time_step --hardware loihi
      snn-energy price counts.json.gz --hardware my-chip.toml
    """
    from snn_energy.cli.rendering import check_writable
    from snn_energy.costing.calibration.calibrated import base_document, calibrated_profile, profile_name
    from snn_energy.costing.calibration.fitting import calibrated_prices
    from snn_energy.costing.calibration.measured import read_measurements
    from snn_energy.costing.calibration.terms import Meter, bench, default_method, parsed_terms
    from snn_energy.files import write_atomic
    from snn_energy.hardware import load_hardware

    name = None if output is None else profile_name(output)
    check_writable(output)
    rows = read_measurements(measured)
    base = None if hardware is None else load_hardware(hardware)
    tables = base_document(hardware)
    fitted = parsed_terms(terms, base)
    prices = bench(fitted, base, operand_bits)
    meter = Meter(terms=fitted, method=method or default_method(fitted), bench=prices)
    counts = _counts([row.source for row in rows.rows], meter, measured.parent, traces or [])
    kind: Weighting | None = weights  # type: ignore[assignment]  # checked where it is used
    found = calibrated_prices(rows, fitted, counts, weights=kind, folds=folds, seed=seed, drop_unused=terms is None)
    if output is not None and name is not None:
        write_atomic(output, calibrated_profile(found, name, prices, meter.method, tables))
    if json:
        emit_json({**found.to_dict(), "method": meter.method, "hardware": hardware})
    else:
        contained = prices.included if base is None else {}
        for text, style in calibration_lines(found, contained, stdout_console().width):
            print_line(text, style=style or None)
    if output is not None:
        print_line(f"wrote {output}", to_stderr=True)


def _counts(sources: Sequence[str], meter: Meter, beside: Path, places: Sequence[Path]) -> list[Counts]:
    """Counts of every measurement; each file is read once."""
    known: dict[str, Counts] = {}
    with progress("reading counts", len(set(sources))) as advance:
        for source in sources:
            if source not in known:
                known[source] = _read(_found(source, beside, places), meter)
                advance()
    return [known[source] for source in sources]


def _found(source: str, beside: Path, places: Sequence[Path]) -> Path:
    """The file that a row names: in a folder of --traces, among its files, or beside the CSV file."""
    from snn_energy.errors import DataError

    tried: list[Path] = []
    for place in places:
        if place.is_dir():
            tried.append(place / source)
        elif place.name == Path(source).name:
            tried.append(place)
    if not places:
        tried.append(beside / source)
    found = next((path for path in tried if path.is_file()), None)
    if found is None:
        looked = ", ".join(str(path.parent) for path in tried)
        where = f"looked in {looked}" if looked else f"none of {', '.join(map(str, places))} has this name"
        raise DataError(f"{source}: no such trace or report ({where}); say where they lie with --traces")
    return found


def _read(path: Path, meter: Meter) -> Counts:
    from snn_energy.counting.tracefile import FORMAT, file_bytes, trace_of_bytes
    from snn_energy.reporting.document import load_document

    data = file_bytes(path)
    if path.suffix == ".gz" or f'"{FORMAT}"'.encode() in data[:200]:  # a trace begins with its format
        return meter.of_trace(trace_of_bytes(data, path), str(path))
    return meter.of_report(load_document(path), str(path))


def calibration_lines(found: Calibration, contained: Mapping[str, str], width: int) -> list[tuple[str, str]]:
    """The result as lines and their styles; `contained` says what went into which fitted price."""
    many = len(found.points)
    title = f"{many} measured energies of one inference ({found.measurements.name}), weights: {found.weights}"
    lines = [(text, "bold") for text in prose(title, width)]
    rows = [[one.term, _digits(one.value_pj), _digits(one.low_pj), _digits(one.high_pj)] for one in found.coefficients]
    lines += [("", ""), ("Fitted prices, pJ", "bold"), *_table(("term", "price", "95 % from", "to"), rows, width)]
    errors = [
        [
            p.source,
            _energy(p.measured_pj),
            _energy(p.fitted_pj),
            _percent(p.fitted_error),
            "-" if p.held_out_pj is None else _energy(p.held_out_pj),
            "-" if p.held_out_error is None else _percent(p.held_out_error),
        ]
        for p in found.points
    ]
    lines += [("", ""), ("Measured energies and what the prices say of them", "bold")]
    lines += _table(("network", "measured", "fitted", "error", "held out", "error"), errors, width)
    lines += [("", "")]
    lines += [(text, "") for remark in _remarks(found, contained) for text in prose(remark, width)]
    return lines


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[tuple[str, str]]:
    head, *rest = table_lines(headings, rows, width)
    return [(head, "dim"), *((text, "") for text in rest)]


def _remarks(found: Calibration, contained: Mapping[str, str]) -> list[str]:
    from snn_energy.reporting.numbers import short

    median, largest = found.median_error, found.largest_error
    remarks = []
    if median is not None and largest is not None:
        remarks.append(
            f"Held-out error: median {100 * median:.3g} %, largest {100 * largest:.3g} % "
            f"({len(found.held_out)} of {len(found.points)} measurements, {found.folds} parts)."
        )
    if len(found.held_out) < len(found.points):
        remarks.append('held out "-": without this network the terms cannot be told apart.')
    condition = found.identifiability.condition or 0.0
    remarks.append(
        f"Condition of the scaled counts: {short(round(condition))} (from 30 on, prices trade with each other)."
    )
    remarks += [
        f"Barely told apart: {' and '.join(group)}; their sum is sure, each price is not."
        for group in found.identifiability.weak
    ]
    zero = [one.term for one in found.coefficients if one.at_zero]
    if zero:
        remarks.append(f"At 0, where the measurements would have it lower: {', '.join(zero)}.")
    within: dict[str, list[str]] = {}
    for part, price in contained.items():
        within.setdefault(price, []).append(part)
    if within:
        held = "; ".join(f"in {price}: {', '.join(parts)}" for price, parts in within.items())
        remarks.append(f"Without a price of their own, and contained {held}.")
    if found.never:
        remarks.append(f"Never happened, so not fitted: {', '.join(found.never)}.")
    if len(found.points) < 2 * len(found.terms) + 1:
        remarks.append("Few measurements for so many terms: the intervals are rough.")
    return remarks


def _digits(pj: float) -> str:
    return f"{pj:.4g}"


def _energy(pj: float) -> str:
    from fractions import Fraction

    from snn_energy.reporting.numbers import energy_unit

    name, size = energy_unit(Fraction(abs(pj)))
    return f"{pj / size:.4g} {name}"


def _percent(share: float) -> str:
    return f"{100 * share:+.1f} %"
