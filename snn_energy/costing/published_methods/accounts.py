"""The registry of methods, and what all of them share: pricing, and refusing without a guess."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from fractions import Fraction

from snn_energy.costing.published_methods.sheets import Sheet, folder, load_sheet
from snn_energy.costing.published_methods.terms import Account, Left, Term
from snn_energy.counting.counts import MIXED, LayerCounts, Trace
from snn_energy.errors import PriceError, TraceError, UsageError
from snn_energy.hardware import Hardware, load_hardware


@dataclass(slots=True, kw_only=True)
class Book:
    """What one method writes its terms into."""

    sheet: Sheet
    trace: Trace
    hardware: Hardware | None
    terms: list[Term] = field(default_factory=list)
    left: dict[str, Left] = field(default_factory=dict)
    measures: dict[str, Fraction] = field(default_factory=dict)
    charged: bool = False
    """Whether the method asked for a price of the hardware profile."""

    def charge(self, part: str, layer: str, action: str, count: Fraction | int) -> None:
        """Add `count` actions at the price of the hardware profile.

        Raises:
            PriceError: the profile has no price for the action, or declares it unpriced.
        """
        if count:
            self.add(part, layer, action, count, self.price(action))

    def price(self, action: str) -> Fraction:
        """Price of an action in pJ; 0 where the price of another action contains it."""
        assert self.hardware is not None
        self.charged = True
        if self.hardware.covered_by(action):
            return Fraction()
        price = self.hardware.price(action)
        if price is None:
            raise PriceError(
                f'hardware "{self.hardware.name}" has no price for "{action}": {self.hardware.unpriced[action]}'
            )
        return Fraction(price.value_pj)

    def add(self, part: str, layer: str, action: str, count: Fraction | int, price_pj: Fraction) -> None:
        """Add `count` actions at a price of the method's own."""
        if count:
            self.terms.append(
                Term(part=part, layer=layer, action=action, count=Fraction(count), price_pj=Fraction(price_pj))
            )

    def leave(self, part: str, reason: str) -> None:
        """Say once that a part is not charged, and why."""
        self.left.setdefault(part, Left(part, reason))

    def own_memory(self) -> None:
        """To be called by methods that add memory of their own.

        Raises:
            PriceError: the prices of the profile contain memory already.
        """
        if self.hardware is not None and self.hardware.scope == "all-in":
            raise PriceError(
                f'hardware "{self.hardware.name}": its all-in prices contain memory already, which {self.sheet.name} '
                "would add again; choose a profile with per-term prices"
            )


Writer = Callable[[Book], None]
_WRITERS: dict[str, Writer] = {}


def account_of(name: str) -> Callable[[Writer], Writer]:
    """Register how a method's terms are written; a second one of the same name is refused."""

    def register(writer: Writer) -> Writer:
        if name in _WRITERS:
            raise UsageError(f"method {name!r} is registered already; give the new one another name")
        _WRITERS[name] = writer
        return writer

    return register


def account_names() -> tuple[str, ...]:
    """Names of all methods, those among them that only have a reason why they are missing last."""
    without = sorted({path.stem for path in folder().glob("*.toml")} - set(_WRITERS))
    return (*_WRITERS, *without)


def check_name(method: str, where: str) -> None:
    """Refuse what is no method.

    Raises:
        UsageError: with the closest name, if there is one; it begins with `where`.
    """
    if method not in account_names():
        close = get_close_matches(method, account_names(), n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"{where}: unknown method {method!r}; {meant}known: {', '.join(account_names())}")


def account(trace: Trace, method: str, hardware: Hardware | None = None) -> Account:
    """The total of one method, term by term.

    Args:
        trace: what happened.
        method: one of `account_names()`.
        hardware: prices of the arithmetic; None for those of the publication.

    Returns:
        An account whose `refused` says why, where the method or the prices cannot give an energy.

    Raises:
        UsageError: unknown method.
        TraceError: the trace holds no sample.
    """
    check_name(method, "account")
    if not trace.samples:
        raise TraceError("account: the trace holds no sample; trace at least one before pricing")
    sheet = load_sheet(method)
    if sheet.missing is not None:
        return Account(sheet=sheet, hardware=None, samples=trace.samples, refused=sheet.missing)
    prices = hardware if hardware is not None or sheet.hardware is None else load_hardware(sheet.hardware)
    book = Book(sheet=sheet, trace=trace, hardware=prices if sheet.hardware is not None else None)
    name = None if book.hardware is None else book.hardware.name
    try:
        _WRITERS[method](book)
    except PriceError as problem:
        return Account(sheet=sheet, hardware=name, samples=trace.samples, refused=str(problem))
    return Account(
        sheet=sheet,
        hardware=name if book.charged else sheet.hardware,  # a method with prices of its own alone keeps them
        samples=trace.samples,
        terms=tuple(book.terms),
        left=tuple(book.left.values()),
        measures=book.measures,
    )


def accounts(trace: Trace, hardware: Hardware | None = None) -> tuple[Account, ...]:
    """All methods on one trace; see `account`."""
    return tuple(account(trace, name, hardware) for name in account_names())


def steps_of(trace: Trace) -> int:
    """Time steps of one inference; 1 where nothing tells of any.

    Raises:
        PriceError: they differ between layers or samples, so that a formula with one T does not apply.
    """
    if trace.time_steps == MIXED:
        raise PriceError("the time steps differ between layers or samples, and the formulas have one T for all")
    return trace.time_steps or 1


def rate(layer: LayerCounts) -> Fraction:
    """Share of the operand elements that are not zero; of both factors together in a product of two activations."""
    return Fraction(layer.spikes, layer.elements) if layer.elements else Fraction()


def is_first(layer: LayerCounts, trace: Trace) -> bool:
    """Whether a layer is the first one with weights that runs, and its operand is real-valued: the encoding layer."""
    weighted = next((one for one in trace.layers if one.partner_values is None), None)
    return layer is weighted and layer.operand.kind == "real"


def is_attention(layer: LayerCounts) -> bool:
    """Whether a layer multiplies two activations instead of an activation and weights."""
    return layer.partner_values is not None and layer.kind != "bilinear"


def has_spikes(trace: Trace) -> bool:
    """Whether any operand spikes: a network without is the ANN of the comparison."""
    return any(layer.operand.kind != "real" for layer in trace.layers)


def weighted_layers(book: Book, *, attention: str | None = None) -> Iterator[LayerCounts]:
    """Layers with weights; products of activations are left out, for this reason, unless it is None."""
    for layer in book.trace.layers:
        if attention is not None and is_attention(layer):
            book.leave("attention", attention)
        else:
            yield layer
