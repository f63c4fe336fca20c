"""The records a hardware profile is read into: frozen, comparable, picklable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from snn_energy.errors import PriceError
from snn_energy.hardware.actions import ACTIONS
from snn_energy.hardware.wording import hint

if TYPE_CHECKING:
    from snn_energy.hardware.machines import Machine

Evidence = Literal["stated", "derived", "simulated", "measured"]
Scope = Literal["per-term", "all-in"]
IntegerSpikes = Literal["accumulate-per-unit", "graded-mac"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A publication that prices come from; `note` says how it was read and how far to trust it."""

    citation: str
    url: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The energy of one action in pJ, with the place it was read from.

    `source` is a key of `Hardware.sources`; `range_pj` holds the lowest and the highest published value.
    """

    value_pj: float
    scope: Scope
    evidence: Evidence
    source: str
    locator: str
    range_pj: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """A price list: what each action costs on one piece of hardware, in pJ.

    `energy_pj` maps an action to its price, `unpriced` an action to the reason why the sources give none; an
    action is in one of them, in the other, or in neither.

    `scope` is common to all prices: "per-term" (energies of single operations) or "all-in" (energies that
    already contain memory and routing). `integer_spikes` says what a spike of integer value n costs: n
    accumulates ("accumulate-per-unit"), or one multiply-accumulate ("graded-mac", a chip with graded spikes).
    """

    name: str
    title: str
    scope: Scope
    integer_spikes: IntegerSpikes
    energy_pj: Mapping[str, Price] = field(hash=False)
    unpriced: Mapping[str, str] = field(hash=False)
    sources: Mapping[str, Source] = field(hash=False)
    node_nm: float | None = None
    voltage_v: float | None = None
    datatype: str | None = None
    operand_bits: int | None = None
    notes: str | None = None
    latency: Machine | None = None
    """The machine whose time is counted; None: the profile states no timing."""

    def __post_init__(self) -> None:
        for name in _MAPPINGS:
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy cannot be pickled; the plain dictionaries behind it can.
        state = {f.name: getattr(self, f.name) for f in fields(self)}
        return _rebuild, (state | {name: dict(state[name]) for name in _MAPPINGS},)

    def price(self, action: str) -> Price | None:
        """Price of one `action`; None where the profile declares it unpriced (why: `unpriced[action]`).

        None is no zero: whoever adds energies must name what stayed unpriced.

        Raises
        ------
        PriceError
            The profile neither prices the action nor declares it unpriced, or no such action exists.
        """
        if action in self.energy_pj:
            return self.energy_pj[action]
        if action in self.unpriced:
            return None
        if action not in ACTIONS:
            raise PriceError(
                f'hardware "{self.name}": there is no action "{action}"; {hint(action, ACTIONS, "actions")}'
            )
        raise PriceError(
            f'hardware "{self.name}" has no price for "{action}" ({ACTIONS[action]}); '
            f"add [energy_pj.{action}] to the profile, or the reason why there is none under [unpriced]"
        )

    def as_dict(self) -> dict[str, object]:
        """The profile as plain values, ready for JSON; keys are the field names, energies in pJ."""
        plain = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "latency"}
        return plain if self.latency is None else {**plain, "latency": self.latency.as_table()}


_MAPPINGS = ("energy_pj", "unpriced", "sources")


def _rebuild(state: dict[str, object]) -> Hardware:
    return Hardware(**state)  # type: ignore[arg-type]


def _plain(value: object) -> object:
    """Records and mappings as dictionaries, tuples as lists, all else as it is."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
