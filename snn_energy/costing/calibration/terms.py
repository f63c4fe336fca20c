"""What is fitted, and how often each network does it.

A term is one price to be found, written as the name of an action or of a memory; names joined by "=" share a price.
The counts are read off the pricing method itself: one price is 1 pJ and all others are 0, so that a profile with the
fitted prices gives exactly the energies of the fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from snn_energy.costing.memory.pricing_memory import DENSE
from snn_energy.costing.methods import find_method
from snn_energy.costing.static import STATIC
from snn_energy.counting.counts import DETECTED, MIXED, Trace
from snn_energy.errors import DataError, UsageError
from snn_energy.hardware import ACTIONS, COVERABLE, Hardware, MemoryPrice, Price
from snn_energy.hardware.wording import hint

MEMORY = "memory"
"""Name of the one memory that a fit without a base profile may price: one access moves one word, wherever it lies."""
DEFAULT_TERMS = ("mac", "ac", "neuron_update", "time_step")
KEY = "measurement"
"""Key of the source that fitted prices name."""

_PLAIN = {"add": "adds", "mul": "muls", "compare": "compares", "special": "specials"}
"""Action -> the field of a report's row that counts it."""


@dataclass(frozen=True, slots=True)
class FittedTerm:
    """One price to be found, common to all names."""

    names: tuple[str, ...]

    @property
    def label(self) -> str:
        """As it is written on the command line."""
        return "=".join(self.names)


def parsed_terms(text: str | None, base: Hardware | None) -> tuple[FittedTerm, ...]:
    """Terms out of words like `mac,ac=neuron_update,time_step`; None: DEFAULT_TERMS.

    Raises:
        UsageError: a name that is neither an action nor a memory of the base profile, or one that is named twice.
    """
    known = (*ACTIONS, *((MEMORY,) if base is None else base.memory_pj))
    words = list(DEFAULT_TERMS) if text is None else [word.strip() for word in text.split(",")]
    found = [FittedTerm(tuple(name.strip() for name in word.split("="))) for word in words]
    names = [name for term in found for name in term.names]
    for name in names:
        if name not in known:
            raise UsageError(f"terms: unknown term {name!r}; {hint(name, known, 'terms')}")
        if names.count(name) > 1:
            raise UsageError(f"terms: {name!r} is named twice; a price is fitted once")
    if not any(name in ACTIONS for name in names):
        raise UsageError(f"terms: at least one action must be fitted (got {text}); add one of {', '.join(ACTIONS)}")
    return tuple(found)


def bench(terms: Sequence[FittedTerm], base: Hardware | None, operand_bits: int | None) -> Hardware:
    """The profile that counts are read with: that of `base`, with every fitted price there and 0.

    Without a base all that is not fitted is contained in what is: energies were measured, so that nothing else can
    hold them.

    Raises:
        UsageError: a word of the memory has no width.
    """
    names = [name for term in terms for name in term.names]
    if base is None:
        return _whole_machine(names, operand_bits)
    scope = base.scope or "per-term"
    prices = {name: _zero(scope) for name in names if name in ACTIONS}
    return replace(
        base,
        scope=scope,
        energy_pj={**base.energy_pj, **prices},
        memory_pj={n: replace(p, value_pj=0.0) if n in names else p for n, p in base.memory_pj.items()},
        unpriced={action: reason for action, reason in base.unpriced.items() if action not in names},
        included={part: within for part, within in base.included.items() if part not in names},
    )


def _zero(scope: Any) -> Price:
    return Price(value_pj=0.0, scope=scope, evidence="measured", source=KEY, locator="not fitted yet")


def _whole_machine(names: Sequence[str], operand_bits: int | None) -> Hardware:
    moves = MEMORY in names
    if moves and operand_bits is None:
        raise UsageError(
            "terms: a word of memory has no width; say how wide the machine's values are with --operand-bits"
        )
    scope: Any = "per-term" if moves else "all-in"
    actions = [name for name in names if name in ACTIONS]
    memory = MemoryPrice(
        value_pj=0.0,
        scope=scope,
        evidence="measured",
        source=KEY,
        locator="not fitted yet",
        kind="dram",  # which holds everything: a tensor of any size
        access_bits=operand_bits or 1,
    )
    return Hardware(
        name="calibrated",
        title="calibrated",
        scope=scope,
        integer_spikes="accumulate-per-unit",
        energy_pj={name: _zero(scope) for name in actions},
        unpriced={},
        sources={},
        included=_contained(actions, moves=moves),
        memory_pj={MEMORY: memory} if moves else {},
        operand_bits=operand_bits,
    )


def _contained(actions: Sequence[str], *, moves: bool) -> dict[str, str]:
    """What has no price of its own -> the fitted price that its energy went into, the likeliest one first."""

    def into(*wanted: str) -> str:
        return next((name for name in wanted if name in actions), actions[0])

    homes = {
        "mac": into("ac"),
        "ac": into("mac"),
        **dict.fromkeys(_PLAIN, into("neuron_update", "ac", "mac")),
        "memory": into("ac", "mac"),
        "routing": into("ac", "mac"),
        "control": into("ac", "mac"),
        "leakage": into("time_step", "inference"),
    }
    assert set(COVERABLE) <= set(homes)
    left_out = {*actions, *(("memory",) if moves else ())}
    return {part: within for part, within in homes.items() if part not in left_out}


def default_method(terms: Sequence[FittedTerm]) -> str:
    """Arithmetic, with memory where a memory is fitted."""
    return "arithmetic" if all(name in ACTIONS for term in terms for name in term.names) else DENSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What one inference of one network does: a count for each term, and the energy at prices that are not fitted."""

    terms: tuple[float, ...]
    fixed_pj: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """Reads the counts of the terms off traces and reports."""

    terms: tuple[FittedTerm, ...]
    method: str
    bench: Hardware

    def of_trace(self, trace: Trace, where: str) -> Counts:
        """Counts of one inference; `where` names the trace in errors.

        Raises:
            DataError: work is uncounted, or happened at no price; the time steps differ where they have a price.
            PriceError: what the method asks of the base profile is not there.
        """
        if not trace.coverage.complete:
            names = ", ".join(record.name for record in trace.coverage.uncounted)
            raise DataError(
                f"{where}: work is uncounted ({names}), so that its energy would pass for that of the terms"
            )
        if trace.time_steps == MIXED and "time_step" in self.bench.energy_pj:
            raise DataError(f"{where}: samples or layers differ in time steps; leave the term time_step out")
        price = find_method(self.method)
        fixed = price(trace, self.bench)
        if fixed.unpriced:
            raise self._unpriced(where, [item.action for item in fixed.unpriced])
        at_one = [
            sum(price(trace, self._one_pj(name)).energy_per_inference_pj for name in term.names) for term in self.terms
        ]
        return Counts(terms=tuple(at_one), fixed_pj=fixed.energy_per_inference_pj)

    def of_report(self, document: Mapping[str, Any], where: str) -> Counts:
        """The same from the rows of a report, which hold no traffic; it must have been priced by the same method.

        Raises:
            DataError: a report that does not tell, see `of_trace`.
            UsageError: memory is fitted, which takes a trace.
        """
        if any(name not in ACTIONS for term in self.terms for name in term.names) or self.method.partition("+")[1]:
            raise UsageError(f"{where}: a report holds no memory traffic; name the trace file, or fit actions alone")
        policy = document["hardware"].get("integer_spikes")
        if (document.get("method"), policy) != (self.method, self.bench.integer_spikes):
            raise DataError(
                f"{where}: priced by {document.get('method')!r} with integer spikes as {policy!r} (expected "
                f"{self.method!r} and {self.bench.integer_spikes!r}); price its trace anew, or name the trace file"
            )
        if not document["coverage"]["complete"]:
            raise DataError(f"{where}: work is uncounted, so that its energy would pass for that of the terms")
        found = self._row_counts(document, where)
        samples: int = document["samples"]
        fitted = {name for term in self.terms for name in term.names}
        fixed, lacking = 0.0, []
        for action, count in found.items():
            if action in fitted or not count or self.bench.covered_by(action):
                continue
            known = self.bench.price(action)
            lacking += [action] if known is None else []
            fixed += 0.0 if known is None else count * known.value_pj
        if lacking:
            raise self._unpriced(where, lacking)
        return Counts(
            terms=tuple(sum(found[name] for name in term.names) / samples for term in self.terms),
            fixed_pj=fixed / samples,
        )

    def _row_counts(self, document: Mapping[str, Any], where: str) -> dict[str, int]:
        found = dict.fromkeys(ACTIONS, 0)
        found["inference"] = document["samples"]
        if "time_step" in self.bench.energy_pj:
            steps = document.get("time_steps")
            if steps is None and any(row["part"] == "neurons" for row in document["rows"]):
                raise DataError(f"{where}: does not say its time steps; leave the term time_step out")
            found["time_step"] = document["samples"] * (steps or 1)
        for row in document["rows"]:
            found["mac"] += row["macs"]
            found["ac"] += row["acs"]
            if row["part"] == "neurons" and row["kind"] != DETECTED and self.bench.mentions("neuron_update"):
                found["neuron_update"] += row["updates"]
            elif row["name"] != STATIC:
                for action, counted in _PLAIN.items():
                    found[action] += row[counted]
        for action in ("time_step", "inference"):
            found[action] *= self.bench.mentions(action)
        return found

    def _one_pj(self, name: str) -> Hardware:
        """The bench with one price of 1 pJ and no other."""

        def only(prices: Mapping[str, Any]) -> dict[str, Any]:
            return {key: replace(p, value_pj=float(key == name), range_pj=None) for key, p in prices.items()}

        return replace(self.bench, energy_pj=only(self.bench.energy_pj), memory_pj=only(self.bench.memory_pj))

    def _unpriced(self, where: str, actions: Iterable[str]) -> DataError:
        names = ", ".join(actions)
        return DataError(
            f'{where}: {names} happened, and "{self.bench.name}" has no price for it; add it to the terms, or choose '
            "another base"
        )
