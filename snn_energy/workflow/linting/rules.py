"""The rules, one row each: what a table of energy claims must say, and what must not contradict itself.

A rule about something unsaid has a pattern that the words of the table, its caption and its notes are searched for (in
lower case), and keys that a TOML file may state it by under `[assumptions]`. It applies only where `applies` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from snn_energy.costing.published_methods.sheets import load_sheet
from snn_energy.errors import UsageError
from snn_energy.hardware import load_hardware
from snn_energy.workflow.linting import recomputing
from snn_energy.workflow.linting.claims import USUAL_HARDWARE, Claims
from snn_energy.workflow.linting.recomputing import Finding

FORMAT = 1
"""Version of the JSON form."""

Kind = Literal["unsaid", "contradiction"]
EVERYWHERE, SILENT = "the table", "says nothing of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing to look for."""

    name: str
    kind: Kind
    asks: str
    """What a table should say, or what must hold."""
    why: str
    """What depends on it."""
    see: str
    """Where to read on: a method sheet of this package, a hardware profile, or a work."""
    find: Callable[[Claims], Iterator[Finding]]

    @property
    def reference(self) -> str:
        """`see`, spelled out: sheets and profiles by their citation."""
        kind, _, name = self.see.partition(":")
        if kind == "sheet":
            sheet = load_sheet(name)
            return f"{sheet.citation}, {sheet.url}" if sheet.url else sheet.citation
        if kind == "hardware":
            first = next(iter(load_hardware(name).sources.values()))
            return f"{first.citation}, {first.url}"
        return self.see


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A rule that a table breaks, and where."""

    rule: Rule
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "rule": self.rule.name,
            "kind": self.rule.kind,
            "asks": self.rule.asks,
            "why": self.rule.why,
            "reference": self.rule.reference,
            "findings": [{"where": where, "what": what} for where, what in self.findings],
        }


def _always(claims: Claims) -> bool:  # noqa: ARG001 (the signature of all conditions)
    return True


def _unsaid(
    pattern: str,
    keys: Sequence[str],
    applies: Callable[[Claims], bool] = _always,
    column: str = "",
    *,
    cells: bool = False,
) -> Callable[[Claims], Iterator[Finding]]:
    """Finds what no word, no key and no column says; `cells` counts the words in the rows as well."""

    def find(claims: Claims) -> Iterator[Finding]:
        if applies(claims) and not (
            claims.states(*keys) or column in claims.columns or claims.says(pattern, cells=cells)
        ):
            yield EVERYWHERE, SILENT

    return find


def _has_rates(claims: Claims) -> bool:
    return bool({"rate", "sparsity", "acs", "ops", "energy"} & set(claims.columns))


def _has_baseline(claims: Claims) -> bool:
    return bool(claims.anns) or bool({"ratio", "ann_energy"} & set(claims.columns))


def _has_flops(claims: Claims) -> bool:
    return "flops" in claims.columns


def _units(claims: Claims) -> Iterator[Finding]:
    """A column of energies without a unit in its heading or its cells."""
    for role in ("energy", "ann_energy"):
        column = claims.columns.get(role)
        if column is None or column.factor is not None:
            continue
        found = [row.energy_pj if role == "energy" else row.ann_energy_pj for row in claims.rows]
        cells = [row[column.place] for row in claims.table.rows]
        if any(
            value is None and any(letter.isdigit() for letter in cell) for value, cell in zip(found, cells, strict=True)
        ):
            yield f"column {column.heading!r}", "numbers without a unit of energy (pJ, nJ, µJ, mJ, J)"


def _no_energy(claims: Claims) -> Iterator[Finding]:
    if "energy" not in claims.columns:
        yield EVERYWHERE, f"no column is recognised as an energy (headings: {', '.join(claims.table.headings)})"


def _time_steps(claims: Claims) -> Iterator[Finding]:
    if claims.states("time_steps", "T", "t"):
        return
    bare = [row for row in claims.spiking if row.time_steps is None]
    if bare and len(bare) == len(claims.spiking) and not claims.says(r"\bt ?= ?\d|time ?steps?"):
        yield EVERYWHERE, SILENT
    elif bare and len(bare) < len(claims.spiking):
        yield "; ".join(row.where for row in bare[:3]), "no T, though other rows have one"


def _prices(claims: Claims) -> Iterator[Finding]:
    if claims.prices.stated or claims.states("hardware", "profile", "prices"):
        return
    if claims.says(r"\b\d+ ?nm\b|horowitz|\bloihi|truenorth|spinnaker|\bspeck\b|fpga|asic|measured on"):
        return
    yield EVERYWHERE, "names neither prices (pJ per MAC and per AC) nor hardware"


RULES: tuple[Rule, ...] = (
    Rule(
        name="energy-column",
        kind="unsaid",
        asks="a column of energies",
        why="nothing can be recomputed without it",
        see="this package's README, Reports",
        find=_no_energy,
    ),
    Rule(
        name="units",
        kind="unsaid",
        asks="a unit for every energy",
        why="mJ and µJ both occur in such tables, and differ by a thousand",
        see="sheet:spikformer",
        find=_units,
    ),
    Rule(
        name="time-steps",
        kind="unsaid",
        asks="the number of time steps T of every SNN",
        why="accumulates and neuron updates grow with T; at small T an SNN may win what it loses at large T",
        see="sheet:yan-2024",
        find=_time_steps,
    ),
    Rule(
        name="per-inference",
        kind="unsaid",
        asks="what an energy is for: one inference, one image, one second",
        why="sums over a test set, or over T, pass for energies of one inference otherwise",
        see="sheet:syops",
        find=_unsaid(
            r"per (inference|image|sample|frame|classification|input|clip|second)|/ ?(inference|image|sample|frame)|"
            r"(one|single|each|an) (inference|image|sample|frame|forward)",
            ("per", "energy_per"),
        ),
    ),
    Rule(
        name="rate-source",
        kind="unsaid",
        asks="where spike rates come from: which data, counted in the run or assumed, of which layers",
        why="energy is proportional to them, and they differ between training data, test data and single layers",
        see="sheet:rate-flops",
        find=_unsaid(
            r"(rate|spikes?|acs?|sops?|synops|operations|activity|sparsity)[^.\n]{0,80}"
            r"(measured|counted|averaged|mean|collected|recorded|estimated|over|on) [^.\n]{0,40}"
            r"(test|valid|train|image|sample|data|cifar|imagenet|mnist|run)",
            ("rates", "rate", "rate_source"),
            _has_rates,
        ),
    ),
    Rule(
        name="samples",
        kind="unsaid",
        asks="how many samples were run",
        why="a mean over few samples has a wide interval, and nobody can repeat it without their number",
        see="this package's README, Energy as a distribution",
        find=_unsaid(
            r"\d[\d,]* (test |validation |random )?(samples|images|inputs|clips|recordings)|"
            r"(whole|entire|full|all of the|complete) (test|validation|data)|(test|validation) (set|split)",
            ("samples", "images"),
        ),
    ),
    Rule(
        name="borders",
        kind="unsaid",
        asks="whether operations at padded borders count",
        why="padding adds operations that never touch a pixel: 9,216 instead of 7,744 for 16 3x3 kernels on 8x8",
        see="this package's README, What is counted",
        find=_unsaid(r"padd|border|boundar", ("borders", "padding")),
    ),
    Rule(
        name="batch-norm",
        kind="unsaid",
        asks="whether batch norms are folded into the layer before, or counted",
        why="a norm that does not fold makes spikes real values, and costs a MAC for each element",
        see="this package's README, What is counted",
        find=_unsaid(r"batch ?-?norm|\bbn\b|tdbn|normali[sz]ation|fold|fuse|no norm", ("batch_norm", "bn", "norms")),
    ),
    Rule(
        name="encoder",
        kind="unsaid",
        asks="how inputs become spikes, and how the first layer is charged",
        why="direct coding makes the first layer MACs at every time step, often the largest part of the energy",
        see="sheet:spikformer",
        find=_unsaid(
            r"encod|direct cod|poisson|rate[- ]cod|latency[- ]cod|first (conv|layer)|event[- ]based|event data|"
            r"input layer|dvs|stem",
            ("encoder", "encoding", "first_layer"),
        ),
    ),
    Rule(
        name="neurons",
        kind="unsaid",
        asks="whether neuron updates (leak, threshold, reset) are part of the energy",
        why="they happen at every time step whether or not a neuron spikes",
        see="sheet:lemaire-2022",
        find=_unsaid(
            r"neuron (update|dynamic|op|energy|cost)|membrane|leak|neuronal|soma|updates", ("neurons", "neuron_updates")
        ),
    ),
    Rule(
        name="memory",
        kind="unsaid",
        asks="whether memory traffic is part of the energy",
        why="it is the larger part on most machines, and an SNN reads weights and potentials anew at each step",
        see="sheet:dampfhoffer-2022",
        find=_unsaid(
            r"memory|\b[sd]?ram\b|data movement|arithmetic (only|alone)|compute[- ](only|energy)|cache", ("memory",)
        ),
    ),
    Rule(
        name="prices",
        kind="unsaid",
        asks="the price of a MAC and of an AC with their source, or the hardware that was measured",
        why="published tables of the same counts differ by more than ten times through their prices alone",
        see=f"hardware:{USUAL_HARDWARE}",
        find=_prices,
    ),
    Rule(
        name="bits",
        kind="unsaid",
        asks="the data type or bits of weights and operands",
        why="an 8-bit MAC costs a twentieth of a 32-bit one, and a T-step SNN rivals an ANN of log2(T + 1) bits",
        see="sheet:bit-budget",
        find=_unsaid(
            r"\b(fp|int|bf)-?\d+|\d+ ?-?bits?\b|bit ?width|(full|single) precision|floating[- ]point|quanti[sz]",
            ("bits", "weight_bits", "datatype", "precision"),
            column="bits",
            cells=True,
        ),
    ),
    Rule(
        name="baseline-kind",
        kind="unsaid",
        asks="what the ANN is: same shape or another, trained or converted, dense or skipping zeros, its bits",
        why="a quantised or zero-skipping ANN needs a fraction of what a dense 32-bit one does",
        see="sheet:yan-2024",
        find=_unsaid(
            r"same (architecture|structure|shape|network|topology)|counterpart|equivalent|twin|identical|"
            r"zero[- ]skipping|dense ann|quanti[sz]ed ann|iso-?",
            ("baseline", "ann", "baseline_kind"),
            _has_baseline,
            cells=True,
        ),
    ),
    Rule(
        name="flops-meaning",
        kind="unsaid",
        asks="whether a FLOP is a MAC or half of one",
        why="both are in use, and differ by two",
        see="sheet:rate-flops",
        find=_unsaid(
            r"flops? ?(=|are|is|count|means?|denotes?)|macs?\b|multiply[- ]accumulate|2 ?[x×] ?mac",
            ("flops",),
            _has_flops,
        ),
    ),
    Rule(
        name="energy-sum",
        kind="contradiction",
        asks="energy = ACs x price + MACs x price",
        why="the columns of one table must agree; known tables have rows that do not",
        see="sheet:syops",
        find=recomputing.energies,
    ),
    Rule(
        name="rate-twice",
        kind="contradiction",
        asks="the rate enters once: either in the ACs, or in the energy",
        why="ACs = rate x T x MACs hold the rate; multiplied by it again, the energy is too small by the rate",
        see="Front. Neurosci. 17:1091097, 2023, Table 3 (PMC10242054): a ratio of 273.77 that is 37.4 without it",
        find=recomputing.rates_twice,
    ),
    Rule(
        name="operations",
        kind="contradiction",
        asks="ACs = rate x T x dense MACs",
        why="it is how most tables arrive at their ACs, so a T that is missing shows here",
        see="sheet:rate-flops",
        find=recomputing.operations,
    ),
    Rule(
        name="first-layer",
        kind="contradiction",
        asks="a directly coded SNN has MACs",
        why="its first layer multiplies real-valued pixels",
        see="sheet:spikformer",
        find=recomputing.no_macs,
    ),
    Rule(
        name="ratio",
        kind="contradiction",
        asks="ratio = energy of the ANN / energy of the SNN",
        why="the headline must follow from the columns",
        see="this package's README, The baseline",
        find=recomputing.ratios,
    ),
    Rule(
        name="sum",
        kind="contradiction",
        asks="a total is the sum of its rows",
        why="a layer that is left out of a total shows here",
        see="this package's README, Reports",
        find=recomputing.sums,
    ),
    Rule(
        name="rate-range",
        kind="contradiction",
        asks="a spike rate of at most 1 per neuron and time step",
        why="larger ones are spikes per inference, percentages without a sign, or integers; ACs follow differently",
        see="sheet:rate-flops",
        find=recomputing.high_rates,
    ),
)


def lint(claims: Claims, ignored: Sequence[str] = ()) -> list[Broken]:
    """The rules that a table breaks, in the order of RULES.

    Raises:
        UsageError: a rule to ignore that there is not.
    """
    names = [rule.name for rule in RULES]
    for name in ignored:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"lint: unknown rule {name!r}; {meant}known: {', '.join(names)}")
    found = [(rule, tuple(rule.find(claims))) for rule in RULES if rule.name not in ignored]
    return [Broken(rule=rule, findings=findings) for rule, findings in found if findings]
