"""The projection Omega, which joins two membranes to the one that a window starts from, and the range of its theta.

    cosine:  2 sin(theta a cos(theta b))        the paper's
    product: 2 sin(theta a) cos(theta b)
    mean:    (a + b) / 2
    sum:     a + b

What a window hands on is decay * Omega(a, b). Where both membranes are alike, u <- decay * Omega(u, u); near zero that
is u <- decay * gain * u with the gain d Omega(u, u) / du at 0: 2 theta for cosine and product, 1 for the mean, 2 for
the sum. So

- decay * gain < 1, for the cosine theta < 1 / (2 decay): silence is stable, membranes without input die out. Beyond,
  they sustain themselves (at theta = pi/2 and decay 0.4, at 0.378): over-activation.
- gain >= 1, for the cosine theta >= 1/2: the projection does not leak on top of the neuron's own leak.

Source: Yao et al., ACML 2023, arXiv:2401.10843 (the cosine form, theta = pi/4); variants and range are ours.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snn_energy.errors import UsageError
from snn_energy.models.suggest import unknown

THETA = math.pi / 4


class ProjectionWarning(UserWarning):
    """A projection outside the range in which membranes neither sustain themselves nor leak twice."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One form of Omega: `join(a, b, theta)` on tensors, `of_one(u, theta)` = Omega(u, u) and its `gain(theta)`."""

    join: Callable[[Tensor, Tensor, float], Tensor]
    of_one: Callable[[float, float], float]
    gain: Callable[[float], float]


VARIANTS: dict[str, Variant] = {
    "cosine": Variant(
        lambda a, b, theta: torch.sin((a * theta) * torch.cos(b * theta)) * 2,
        lambda u, theta: 2 * math.sin(theta * u * math.cos(theta * u)),
        lambda theta: 2 * theta,
    ),
    "product": Variant(
        lambda a, b, theta: torch.sin(a * theta) * torch.cos(b * theta) * 2,
        lambda u, theta: 2 * math.sin(theta * u) * math.cos(theta * u),
        lambda theta: 2 * theta,
    ),
    "mean": Variant(lambda a, b, _: (a + b) * 0.5, lambda u, _: u, lambda _: 1.0),
    "sum": Variant(lambda a, b, _: a + b, lambda u, _: 2 * u, lambda _: 2.0),
}


class Projection(nn.Module):
    """Omega(a, b) in one of its `VARIANTS`.

    It is arithmetic of its own and counted as it runs, for each element: 4 multiplications and 2 specials (sine and
    cosine) for cosine and product, one addition and one multiplication for the mean, one addition for the sum. The
    leak that follows belongs to the neuron.

    Errors: UsageError for an unknown variant, or a theta that is no finite number > 0.
    """

    def __init__(self, variant: str = "cosine", theta: float = THETA) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise unknown("projection", variant, VARIANTS)
        if isinstance(theta, bool) or not isinstance(theta, (int, float)) or not 0 < theta < math.inf:
            raise UsageError(f"projection: theta must be a finite number > 0 (got {theta!r})")
        self.variant, self.theta = variant, float(theta)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Membranes `...`, `...` -> the joined membrane `...`, before the leak."""
        return VARIANTS[self.variant].join(a, b, self.theta)

    def extra_repr(self) -> str:
        """Show variant and theta in the printed model."""
        return f"{self.variant}, theta={self.theta:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionRange:
    """What the small-signal analysis says of decay * Omega; see the text of this module."""

    gain: float
    """d Omega(u, u) / du at 0."""
    stable: bool
    """Whether membranes without input die out: decay * gain < 1."""
    leaks_twice: bool
    """Whether Omega damps small membranes on top of the leak: gain < 1."""
    sustained: float
    """The membrane that lasts without any input, the largest u with u = decay * Omega(u, u); 0 where none does."""


_SEARCHED = 1 << 14


def projection_range(variant: str = "cosine", theta: float = THETA, decay: float = 0.4) -> ProjectionRange:
    """Analyse u <- decay * Omega(u, u).

    The sustained membrane is searched for up to 2 decay, beyond which no sine can reach; the sum has none (it grows
    without bound where it is unstable: infinity). Errors: UsageError, as `Projection`, and for a decay out of range.
    """
    if not 0 <= decay <= 1:
        raise UsageError(f"projection_range: decay must be between 0 and 1 (got {decay!r})")
    form = VARIANTS[Projection(variant, theta).variant]
    gain = form.gain(theta)
    stable = decay * gain < 1
    sustained = 0.0
    if not stable and variant in ("mean", "sum"):
        sustained = math.inf
    else:
        step = 2 * decay / _SEARCHED

        def surplus(u: float) -> float:
            return decay * form.of_one(u, theta) - u

        for i in range(_SEARCHED, 0, -1):  # from above: the largest crossing
            if surplus(i * step) >= 0:
                low, high = i * step, (i + 1) * step
                for _ in range(60):
                    middle = (low + high) / 2
                    low, high = (middle, high) if surplus(middle) >= 0 else (low, middle)
                sustained = low
                break
    return ProjectionRange(gain=gain, stable=stable, leaks_twice=gain < 1, sustained=sustained)


def warn_outside_range(variant: str, theta: float, decay: float) -> None:
    """Warn with `ProjectionWarning`, one line, if this projection lets membranes sustain themselves or leak twice."""
    found = projection_range(variant, theta, decay)
    if found.stable and not found.leaks_twice:
        return
    below = f" to below {1 / (2 * decay):g}" if decay else ""
    remedy = f"use theta from 0.5{below}" if variant in ("cosine", "product") else "use 'cosine', or a smaller decay"
    if found.stable:
        problem = f"its gain {found.gain:g} < 1 leaks on top of the neuron's leak"
    else:
        problem = f"membranes sustain themselves at {found.sustained:.3g} without any input (over-activation)"
    warnings.warn(
        f"projection {variant!r} with theta={theta:g}, decay={decay:g}: {problem}; {remedy}",
        ProjectionWarning,
        stacklevel=3,
    )
