"""What can be recomputed from a table's own columns, and where it contradicts itself.

Every printed number stands for the interval that rounds to it, so a contradiction is one that no rounding explains.
"""

from __future__ import annotations

from collections.abc import Iterator

from snn_energy.reporting.numbers import energy_unit, short
from snn_energy.workflow.linting.claims import Claim, Claims, Prices, priced
from snn_energy.workflow.linting.columns import COLUMN_NAMES, count, energy_pj
from snn_energy.workflow.linting.quantities import Interval, exact

Finding = tuple[str, str]
"""Where, and what."""


def energies(claims: Claims) -> Iterator[Finding]:
    """Energy = ACs x price + MACs x price, where both are printed; with ACs alone, it cannot be less than theirs."""
    for row in claims.rows:
        if row.energy_pj is None or (row.acs is None and row.macs is None):
            continue
        expected = priced(row, claims.prices)
        if _twice(row, claims.prices):
            continue  # a finding of its own
        both = (row.acs is not None and row.macs is not None) or (row.is_ann and row.macs is not None)
        if both and not row.energy_pj.meets(expected):
            why = _explanation(row, claims.prices)
            yield row.where, f"{_sum(row, claims.prices)} = {_energy(expected)}, printed {_energy(row.energy_pj)}{why}"
        elif not both and row.energy_pj.high < expected.low:
            text = f"{_sum(row, claims.prices)} = {_energy(expected)} already, printed {_energy(row.energy_pj)} in all"
            yield row.where, text


def _sum(row: Claim, prices: Prices) -> str:
    parts = [
        f"{_count(found)} {word} x {float(price):g} pJ"
        for found, word, price in ((row.acs, "ACs", prices.ac), (row.macs, "MACs", prices.mac))
        if found is not None and found.high
    ]
    return " + ".join(parts) or "nothing"


def _explanation(row: Claim, prices: Prices) -> str:
    """A usual mistake that gives the printed energy."""
    assert row.energy_pj is not None
    none = exact(0)
    acs, macs = row.acs or none, row.macs or none
    tries = {
        "every MAC priced as an AC": (acs + macs).times(prices.ac),
        "every AC priced as a MAC": (acs + macs).times(prices.mac),
        "the ACs alone": acs.times(prices.ac),
        "the MACs alone": macs.times(prices.mac),
    }
    if row.time_steps and row.time_steps > 1:
        tries["ACs multiplied by T once more"] = (acs * exact(row.time_steps)).times(prices.ac) + macs.times(prices.mac)
        tries["MACs multiplied by T"] = acs.times(prices.ac) + (macs * exact(row.time_steps)).times(prices.mac)
        tries["MACs divided by T"] = acs.times(prices.ac) + macs.times(prices.mac / row.time_steps)
    fitting = [words for words, energy in tries.items() if energy.high and energy.meets(row.energy_pj)]
    return f"; that is {fitting[0]}" if fitting else ""


def _twice(row: Claim, prices: Prices) -> bool:
    """Whether the printed energy is that of ACs x rate, though the ACs hold the rate already."""
    if row.energy_pj is None or row.acs is None or row.rate is None or not row.acs.high:
        return False
    rest = (row.macs or exact(0)).times(prices.mac)
    doubled = (row.acs * row.rate).times(prices.ac) + rest
    once = row.acs.times(prices.ac) + rest
    return doubled.meets(row.energy_pj) and not once.meets(row.energy_pj)


def rates_twice(claims: Claims) -> Iterator[Finding]:
    """Energy = ACs x rate x price."""
    for row in claims.rows:
        if _twice(row, claims.prices):
            assert row.acs is not None
            assert row.rate is not None
            assert row.energy_pj is not None
            right = priced(row, claims.prices)
            yield (
                row.where,
                f"printed {_energy(row.energy_pj)} is {_count(row.acs)} ACs x rate {float(row.rate.middle):g} x "
                f"{float(claims.prices.ac):g} pJ: the ACs hold the rate already, without it {_energy(right)}",
            )


def operations(claims: Claims) -> Iterator[Finding]:
    """ACs = rate x T x dense MACs, where all are printed; or without T where the rate is one of an inference."""
    for row in claims.spiking:
        dense = row.dense_macs or (None if row.acs is None else _ann_macs(claims))
        if row.acs is None or row.rate is None or dense is None:
            continue
        once = row.rate * dense
        steps = row.time_steps
        if steps is None:
            if not once.meets(row.acs) and not _whole_multiple(row.acs, once):
                yield row.where, f"rate x MACs = {_count(once)}, printed {_count(row.acs)} ACs; no T explains it"
            continue
        full = once * exact(steps)
        if full.meets(row.acs):
            continue
        if steps > 1 and once.meets(row.acs):
            yield (
                row.where,
                f"ACs = rate x MACs without T = {steps} ({_count(once)}; with T {_count(full)}): "
                "say whether the rate is per time step or per inference",
            )
        else:
            yield row.where, f"rate x T x MACs = {_count(full)}, printed {_count(row.acs)} ACs"


def _ann_macs(claims: Claims) -> Interval | None:
    """Dense MACs of the only ANN in the table, if there is one."""
    found = [ann.macs or ann.dense_macs for ann in claims.anns]
    return found[0] if len(found) == 1 else None


def _whole_multiple(acs: Interval, once: Interval) -> bool:
    if once.low <= 0:
        return True
    quotient = acs / once
    return quotient.high >= 1 and quotient.high // 1 >= quotient.low


def ratios(claims: Claims) -> Iterator[Finding]:
    """Ratio = ANN's energy / SNN's energy, where all three are printed."""
    anns = [row.energy_pj for row in claims.anns if row.energy_pj is not None]
    for row in claims.spiking:
        ann = row.ann_energy_pj or (anns[0] if len(anns) == 1 else None)
        if row.ratio is None or ann is None or row.energy_pj is None or min(row.energy_pj.low, ann.low) <= 0:
            continue
        expected = ann / row.energy_pj
        inverse = row.energy_pj / ann
        if not expected.meets(row.ratio) and not inverse.meets(row.ratio):
            yield row.where, f"ANN / SNN = {float(expected.middle):.4g}, printed {float(row.ratio.middle):.4g}"


def sums(claims: Claims) -> Iterator[Finding]:
    """A row called total is the sum of the rows above it."""
    for i, row in enumerate(claims.rows):
        if not row.is_sum or not i:
            continue
        for role, read in (("acs", count), ("macs", count), ("dense_macs", count), ("energy", energy_pj)):
            column = claims.columns.get(role)
            if column is None:
                continue
            above = [read(claims.table.rows[k][column.place], column) for k in range(i) if not claims.rows[k].is_sum]
            printed = read(claims.table.rows[i][column.place], column)
            known = [value for value in above if value is not None]
            if printed is None or not known or len(known) < len(above):
                continue
            total = sum(known, exact(0))
            if not total.meets(printed):
                show = _energy if role == "energy" else _count
                yield row.where, f"{COLUMN_NAMES[role]} above add up to {show(total)}, printed {show(printed)}"


def high_rates(claims: Claims) -> Iterator[Finding]:
    """A spike rate per neuron and time step is at most 1."""
    for row in claims.spiking:
        if row.rate is not None and row.rate.low > 1:
            yield row.where, f"rate {float(row.rate.middle):g} is above 1 spike per neuron and time step"


def no_macs(claims: Claims) -> Iterator[Finding]:
    """Direct coding means real-valued pixels in the first layer, so an SNN without MACs contradicts it."""
    if not claims.says(
        r"direct(ly)? (en)?cod|analog(ue)? input|real-valued input|constant input|pixel values? (are )?(fed|as)"
    ):
        return
    for row in claims.spiking:
        if row.macs is not None and row.acs is not None and row.macs.high == 0 and row.acs.high > 0:
            yield (
                row.where,
                "0 MACs, though the first layer of a directly coded network multiplies pixels at every step",
            )


def _energy(found: Interval) -> str:
    unit, size = energy_unit(found.middle)
    return f"{float(found.middle / size):#.4g} {unit}"


def _count(found: Interval) -> str:
    middle = found.middle
    return short(round(middle)) if middle >= 10 or middle.denominator == 1 else f"{float(middle):.3g}"
