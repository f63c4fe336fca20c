"""All-in energies already contain other terms: they are never added to energies of single terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, Protocol

from snn_energy.errors import PriceError

Scope = Literal["per-term", "all-in"]


class Scoped(Protocol):
    """A price that knows what it contains."""

    @property
    def scope(self) -> Scope: ...  # noqa: D102

    @property
    def value_pj(self) -> float: ...  # noqa: D102


def one_scope(where: str, prices: Mapping[str, Scoped]) -> Scope | None:
    """The scope that all `prices` share, None where there are none; `where` begins the message.

    Raises
    ------
    PriceError
        Some are all-in, others per-term: their sum would count memory, routing or neurons twice.
    """
    names: dict[Scope, list[str]] = {}
    for name, price in prices.items():
        names.setdefault(price.scope, []).append(name)
    if len(names) > 1:
        raise PriceError(
            f"{where}: all-in prices ({', '.join(names['all-in'])}) already contain other terms and cannot be added "
            f"to per-term prices ({', '.join(names['per-term'])}); leave one kind out, or declare what the all-in "
            "price contains under [included]"
        )
    return next(iter(names), None)


def total_pj(where: str, terms: Iterable[tuple[str, Scoped, int]]) -> float:
    """Sum of price x count over (name, price, count); `where` begins the message of an error.

    Raises
    ------
    PriceError
        Terms of both scopes.
    """
    listed = list(terms)
    one_scope(where, {name: price for name, price, _ in listed})
    return sum(price.value_pj * count for _, price, count in listed)
