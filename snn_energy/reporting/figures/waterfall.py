"""The waterfall figure: from the lowest method to the highest, term by term, out of what `explain --json` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snn_energy.errors import DataError, UsageError
from snn_energy.reporting.numbers import energy_unit
from snn_energy.reporting.style import GREY, PALE, SCREEN, SKY, VERMILION, Style, row_axes, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 1
"""The version of the form that is read here; the same number as `explanation.FORMAT`."""
_REMEDY = "write it again with: snn-energy explain ... --json > explain.json"


def load_explanation(path: str | Path) -> Mapping[str, Any]:
    """Read and check what `snn-energy explain ... --json` printed.

    Raises:
        DataError: no such file, or another one.
    """
    path = Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such explanation; {_REMEDY}") from None
    except (ValueError, RecursionError):
        raise DataError(f"{path}: expected an explanation as JSON (got other bytes); {_REMEDY}") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}); check its name and rights") from None
    return checked_explanation(value, str(path))


def checked_explanation(value: object, where: str) -> Mapping[str, Any]:
    """Return `value` if it is an explanation with all that the figure reads.

    Raises:
        DataError: it is not; the message names `where` and what is wrong.
    """
    if not isinstance(value, dict) or "waterfall" not in value or "methods" not in value:
        got = "a report" if isinstance(value, dict) and "rows" in value else "other JSON"
        raise DataError(f"{where}: expected what explain --json prints, with a waterfall (got {got}); {_REMEDY}")
    if value.get("format") != FORMAT or isinstance(value["format"], bool):
        raise DataError(f"{where}: format must be {FORMAT} (got {value.get('format')!r}); {_REMEDY}")
    fall = value["waterfall"]
    steps = fall.get("steps") if isinstance(fall, dict) else None
    sound = isinstance(steps, list) and all(
        isinstance(step, dict)
        and isinstance(step.get("part"), str)
        and isinstance(step.get("cause"), str)
        and _is_number(step.get("energy_pj"))
        for step in steps
    )
    if not sound:
        raise DataError(f"{where}: waterfall.steps must be a list of part, cause and energy_pj; {_REMEDY}")
    methods = value["methods"]
    known = isinstance(methods, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("method"), str)
        and (one.get("energy_per_inference_pj") is None or _is_number(one["energy_per_inference_pj"]))
        for one in methods
    )
    if not known:
        raise DataError(f"{where}: methods must be a list of method and energy_per_inference_pj; {_REMEDY}")
    priced = {one["method"] for one in methods if one["energy_per_inference_pj"] is not None}
    if steps and not {fall.get("from"), fall.get("to")} <= priced:
        raise DataError(f"{where}: waterfall.from and waterfall.to must be methods with an energy; {_REMEDY}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def waterfall_figure(document: Mapping[str, Any], style: Style = SCREEN) -> Figure:
    """One bar for each step, hung between the sum before it and the sum behind it; the two totals stand at the ends.

    Raises:
        UsageError: fewer than two methods give an energy, so that there is no way from one to another.
    """
    from matplotlib.figure import Figure

    fall = document["waterfall"]
    if not fall["steps"]:
        raise UsageError(
            "waterfall: the explanation has no steps, since fewer than two methods give an energy; choose another "
            "profile with snn-energy explain --hardware"
        )
    energies = {one["method"]: one["energy_per_inference_pj"] for one in document["methods"]}
    bars = waterfall_bars(fall, energies)
    name, size = energy_unit(max(max(start, end) for _, start, end in bars))
    figure = Figure(figsize=(style.width, style.height(len(bars))), layout="constrained")
    axes = figure.subplots()
    last = len(bars) - 1
    for row, (_, start, end) in enumerate(bars):
        low, width = float(min(start, end) / size), float(abs(end - start) / size)
        is_end = row in (0, last)
        axes.barh(row, width, 0.6, left=low, color=GREY if is_end else VERMILION if end > start else SKY)
        text = f"{float(end / size):.4g}" if is_end else f"{float((end - start) / size):+.3g}"
        axes.annotate(
            text,
            (low + width, row),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.small,
            color=GREY,
        )
        if row < last:  # the sum is carried on to the next bar
            axes.vlines(float(end / size), row + 0.3, row + 0.7, color=PALE, linewidth=0.8)
    row_axes(axes, [label for label, _, _ in bars])
    # Room for the number behind the longest bar.
    longest = max(max(start, end) for _, start, end in bars)
    axes.set_xlim(0, float(longest / size) * (1.12 if style.titled else 1.25))
    axes.set_xlabel(f"energy per inference ({name})")
    named = document.get("source") or document.get("model") or "network"
    title(figure, f"{named}\n{fall['from']} to {fall['to']}", style)
    return figure


def waterfall_bars(fall: Mapping[str, Any], energies: Mapping[str, float]) -> list[tuple[str, Fraction, Fraction]]:
    """Label, start and end of each bar in pJ, exactly: the first and the last begin at 0."""
    total = Fraction(energies[fall["from"]])
    bars = [(str(fall["from"]), Fraction(), total)]
    for step in fall["steps"]:
        change = Fraction(step["energy_pj"])
        bars.append((f"{step['part']}, {step['cause']}", total, total + change))
        total += change
    return [*bars, (str(fall["to"]), Fraction(), Fraction(energies[fall["to"]]))]
