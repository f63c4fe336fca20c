"""What a method's total is made of: terms of a count and a price each, so that two methods can be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from snn_energy.costing.published_methods.sheets import Sheet

PARTS = (
    "first layer",
    "synapses",
    "attention",
    "bias",
    "neurons",
    "other arithmetic",
    "addressing",
    "inputs and outputs",
    "weights",
    "potentials",
    "movement",
    "static",
)
"""What terms are for, in the order they are printed. "inputs and outputs", "weights" and "potentials" are memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One count times one price: `count * price_pj` pJ over all samples. A rate times a count is no whole number."""

    part: str
    """One of PARTS."""
    layer: str
    action: str
    """What is counted: an action of the hardware profile, or an access, a hop, a cycle."""
    count: Fraction
    price_pj: Fraction

    @property
    def energy_pj(self) -> Fraction:
        """Count times price, exactly."""
        return self.count * self.price_pj


@dataclass(frozen=True, slots=True)
class Left:
    """Something the network did that a method does not charge, and why it does not."""

    part: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The total of one method, term by term, over all samples; or the reason why there is none."""

    sheet: Sheet
    hardware: str | None
    """Profile that the arithmetic is priced on; None for a method that prices nothing."""
    samples: int
    terms: tuple[Term, ...] = ()
    left: tuple[Left, ...] = ()
    measures: Mapping[str, Fraction] = field(default_factory=dict, hash=False)
    """Totals in units other than energy, over all samples."""
    refused: str | None = None
    """Why the method gives no energy for this trace on this hardware."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "measures", MappingProxyType(dict(self.measures)))

    @property
    def priced(self) -> bool:
        """Whether there is an energy: a refused method and one that counts bits have none."""
        return self.refused is None and self.sheet.hardware is not None

    @property
    def complete(self) -> bool:
        """Whether the energy is all that the publication charges, as far as a trace determines it."""
        return self.priced and self.sheet.partial is None

    @property
    def energy_pj(self) -> Fraction:
        """Energy over all samples, the exact sum of the terms."""
        return sum((term.energy_pj for term in self.terms), Fraction())

    @property
    def energy_per_inference_pj(self) -> Fraction:
        """Energy of one sample, averaged over all of them."""
        return self.energy_pj / self.samples

    def part(self, name: str) -> tuple[Fraction, Fraction]:
        """Count and energy (pJ) of one part for one inference."""
        mine = [term for term in self.terms if term.part == name]
        count = sum((term.count for term in mine), Fraction())
        energy = sum((term.energy_pj for term in mine), Fraction())
        return count / self.samples, energy / self.samples
