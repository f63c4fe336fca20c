"""The records a hardware profile is read into: frozen, comparable, picklable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from snn_energy.errors import PriceError
from snn_energy.hardware.actions import ACTIONS
from snn_energy.hardware.scopes import Scope, one_scope
from snn_energy.hardware.wording import hint

if TYPE_CHECKING:
    from snn_energy.hardware.machines import Machine

Evidence = Literal["stated", "derived", "simulated", "measured", "scaled"]
"""How a number came about. "scaled" marks what a rule computed from another profile; no file may state it."""
Confidence = Literal["high", "medium", "low"]
"""How sure the number is: the primary text was read; a copy or one quotation; a claim of unclear conditions."""
IntegerSpikes = Literal["accumulate-per-unit", "graded-mac"]
MemoryKind = Literal["register", "sram", "dram"]


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
    confidence: Confidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPrice:
    """The energy in pJ of ONE access to a memory; an access moves `access_bits` bits, whatever is asked of it."""

    value_pj: float
    scope: Scope
    evidence: Evidence
    source: str
    locator: str
    kind: MemoryKind
    access_bits: int
    size_bytes: int | None = None
    """Capacity of the memory that the price holds for; None where the source names none."""
    access: Literal["read", "write"] | None = None
    """None where the source does not tell reads from writes."""
    range_pj: tuple[float, float] | None = None
    confidence: Confidence | None = None

    @property
    def pj_per_bit(self) -> float:
        """Energy of one bit where every bit of an access is used; anything less wastes the rest."""
        return self.value_pj / self.access_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPrice:
    """The energy in pJ of an event that only this hardware has: a hop, an instruction; `per` says of what."""

    value_pj: float
    scope: Scope
    evidence: Evidence
    source: str
    locator: str
    per: str
    range_pj: tuple[float, float] | None = None
    confidence: Confidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The time in ns that something takes; `per` says what."""

    value_ns: float
    evidence: Evidence
    source: str
    locator: str
    per: str
    range_ns: tuple[float, float] | None = None
    confidence: Confidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a chip has room for: see `LIMITS` and `TRAITS` for the names; a tuple holds one number for each core."""

    value: int | bool | tuple[int, ...]
    evidence: Evidence
    source: str
    locator: str
    confidence: Confidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemValue:
    """A published value of a whole chip or board; its unit is the end of its name. It contains everything inside."""

    value: float
    evidence: Evidence
    source: str
    locator: str
    range: tuple[float, float] | None = None
    confidence: Confidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """The rule by which the prices of another profile were scaled to this one's node: see `scaling`."""

    base: str
    """Name of the profile that the prices come from."""
    from_node_nm: float
    from_voltage_v: float
    node_nm: float
    voltage_v: float
    factor: float
    coefficients: Mapping[str, tuple[float, float, float]] = field(hash=False)
    """Node in nm -> a, b, c of f(V) = a V^2 + b V + c."""
    source: str
    locator: str
    confidence: Confidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """A price list: what each action costs on one piece of hardware, in pJ.

    `energy_pj` maps an action to its price, `unpriced` an action to the reason why the sources give none, `included`
    an action (or one of `COVERABLE`) to the action whose price contains it; an action is in one of them or in none.

    `scope` is common to all prices: "per-term" (energies of single operations) or "all-in" (energies that
    already contain memory and routing); None where nothing is priced. `integer_spikes` says what a spike of integer
    value n costs: n accumulates ("accumulate-per-unit"), or one multiply-accumulate ("graded-mac", a chip with
    graded spikes).

    Beside the price list: `memory_pj` (energy of an access), `event_pj` (energy of events that only this hardware
    has), `timing_ns`, `limits` (what fits on a chip), `system` (values of whole chips and boards).
    """

    name: str
    title: str
    scope: Scope | None
    integer_spikes: IntegerSpikes
    energy_pj: Mapping[str, Price] = field(hash=False)
    unpriced: Mapping[str, str] = field(hash=False)
    sources: Mapping[str, Source] = field(hash=False)
    node_nm: float | None = None
    voltage_v: float | None = None
    datatype: str | None = None
    operand_bits: int | None = None
    notes: str | None = None
    included: Mapping[str, str] = field(default_factory=dict, hash=False)
    scaling: Scaling | None = None
    category: str | None = None
    memory_pj: Mapping[str, MemoryPrice] = field(default_factory=dict, hash=False)
    event_pj: Mapping[str, EventPrice] = field(default_factory=dict, hash=False)
    timing_ns: Mapping[str, Timing] = field(default_factory=dict, hash=False)
    limits: Mapping[str, Limit] = field(default_factory=dict, hash=False)
    system: Mapping[str, SystemValue] = field(default_factory=dict, hash=False)
    latency: Machine | None = None
    """The machine whose time is counted; None: the profile states no timing."""

    def __post_init__(self) -> None:
        one_scope(f'hardware "{self.name}"', {**self.energy_pj, **self.memory_pj, **self.event_pj})
        for name in _MAPPINGS:
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy cannot be pickled; the plain dictionaries behind it can.
        state = {f.name: getattr(self, f.name) for f in fields(self)}
        return _rebuild, (state | {name: dict(state[name]) for name in _MAPPINGS},)

    def price(self, action: str) -> Price | None:
        """Price of one `action`; None where the profile declares it unpriced (why: `unpriced[action]`).

        None is no zero: whoever adds energies must name what stayed unpriced. Ask `covered_by` first.

        Raises
        ------
        PriceError
            The profile neither prices the action nor declares it unpriced; another price contains it already; or no
            such action exists.
        """
        if action in self.energy_pj:
            return self.energy_pj[action]
        if action in self.unpriced:
            return None
        if action in self.included:
            raise PriceError(
                f'hardware "{self.name}": the price of "{self.included[action]}" contains "{action}" already; '
                "leave it out of the sum"
            )
        if action not in ACTIONS:
            raise PriceError(
                f'hardware "{self.name}": there is no action "{action}"; {hint(action, ACTIONS, "actions")}'
            )
        if not self.energy_pj:
            held = ", ".join(section for section in _BESIDE if section != "category" and getattr(self, section))
            raise PriceError(
                f'hardware "{self.name}" prices no action, so not "{action}" either: it holds {held} alone; '
                "choose another profile (snn-energy hardware list)"
            )
        raise PriceError(
            f'hardware "{self.name}" has no price for "{action}" ({ACTIONS[action]}); '
            f"add [energy_pj.{action}] to the profile, or the reason why there is none under [unpriced]"
        )

    def covered_by(self, action: str) -> str | None:
        """The action whose price already contains `action` (or memory, routing, ...); None where none does."""
        return self.included.get(action)

    def mentions(self, action: str) -> bool:
        """Whether the profile says anything of this action: a price, why there is none, or what contains it."""
        return action in self.energy_pj or action in self.unpriced or action in self.included

    def as_dict(self) -> dict[str, object]:
        """The profile as plain values, ready for JSON; keys are the field names, energies in pJ."""
        plain = {f.name: _plain(getattr(self, f.name)) for f in fields(self) if not _absent(self, f.name)}
        return plain if self.latency is None else {**plain, "latency": self.latency.as_table()}

    def price_list(self) -> dict[str, object]:
        """`as_dict` without memory, timing, limits and the like: all that the arithmetic methods read."""
        return {name: value for name, value in self.as_dict().items() if name not in _BESIDE}


_BESIDE = ("category", "memory_pj", "event_pj", "timing_ns", "limits", "system")
_MAPPINGS = ("energy_pj", "unpriced", "sources", "included", "memory_pj", "event_pj", "timing_ns", "limits", "system")
_SINCE_2 = frozenset({"included", "scaling", "confidence", "latency", *_BESIDE})
"""Fields that profiles of format 1 lack: left out where they hold nothing, so that old reports stay as they are."""


def _rebuild(state: dict[str, object]) -> Hardware:
    return Hardware(**state)  # type: ignore[arg-type]


def _absent(record: object, name: str) -> bool:
    return name in _SINCE_2 and not getattr(record, name)


def _plain(value: object) -> object:
    """Records and mappings as dictionaries, tuples as lists, all else as it is."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if not _absent(value, f.name)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
