"""Encoders: how numbers become input over time, as pure functions.

Images are `n ...` with values from 0 to 1; every encoder returns `t n ...` in float32. None looks at the batch: the
code of a sample depends on that sample alone (and on its place in the data, where chance is involved).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from snn_energy.errors import DataError, UsageError
from snn_energy.models.suggest import unknown

_CHANCES = 32
"""Bits of each random number that a probability is compared with."""


def direct(images: Tensor, steps: int) -> Tensor:
    """Direct coding: the image itself at every time step, x_t = x.

    Shapes: `n ... -> t n ...`. The result is a view: all time steps share the memory of the image, so that a network
    that multiplies each of them anew is seen to repeat itself. Values of any range. Source: Y. Wu et al., "Direct
    training for spiking neural networks: faster, larger, better", AAAI 2019. Errors: UsageError unless steps >= 1.
    """
    _check_steps(steps)
    return images.unsqueeze(0).expand(steps, *images.shape)


def rate(images: Tensor, steps: int, *, seed: int = 0, first: int = 0) -> Tensor:
    """Stochastic rate coding: at each time step a spike with probability x, independently (Bernoulli).

    P(s_t = 1) = x: the discrete-time form of a Poisson spike train, called Poisson encoder by many simulators.
    Shapes: `n ... -> t n ...`. The random numbers of a sample are the Philox stream of the key (seed, its place in the
    data); `first` is the place of the first sample. So the spikes depend neither on the batch size nor on the machine.
    Source: P. U. Diehl and M. Cook, "Unsupervised learning of digit recognition using spike-timing-dependent
    plasticity", Front. Comput. Neurosci. 9:99, 2015. Errors: DataError for values outside 0 to 1, UsageError unless
    steps >= 1 and seed, first >= 0.
    """
    _check_steps(steps)
    for name, value in (("seed", seed), ("first", first)):
        if not 0 <= value < 1 << 64:
            raise UsageError(f"rate: {name} must be from 0 to 2^64 - 1 (got {value})")
    bounds = _unit_interval("rate", images).double().cpu().numpy() * float(1 << _CHANCES)
    spikes = np.empty((steps, *images.shape), dtype=np.float32)
    for sample, bound in enumerate(bounds):
        # The raw stream is the same for all versions of NumPy and all machines; its floats need not be.
        stream = np.random.Philox(key=np.array([seed, first + sample], dtype=np.uint64))
        chances = stream.random_raw(steps * bound.size) >> np.uint64(64 - _CHANCES)
        spikes[:, sample] = chances.reshape(steps, *bound.shape) < bound
    return torch.from_numpy(spikes).to(images.device)


def rate_deterministic(images: Tensor, steps: int) -> Tensor:
    """Deterministic rate coding: accumulate and fire, with reset by subtraction (error diffusion over time).

    v_t = v_{t-1} + x - s_{t-1}, s_t = [v_t >= 1], v_0 = 0: after t steps floor(t x) spikes, computed from that closed
    form without rounding errors. Shapes: `n ... -> t n ...`. Source: an IF neuron driven by a constant current, as in
    B. Rueckauer et al., "Conversion of continuous-valued deep networks to efficient event-driven networks for image
    classification", Front. Neurosci. 11:682, 2017. Errors: DataError for values outside 0 to 1, UsageError unless
    steps >= 1.
    """
    _check_steps(steps)
    x = _unit_interval("rate-deterministic", images).double()  # t x is then exact: 24 bits times a few more
    counts = [torch.floor(x * step) for step in range(steps + 1)]
    return torch.stack([after - before for before, after in pairwise(counts)]).float()


def latency(images: Tensor, steps: int) -> Tensor:
    """Latency coding, linear: one spike per non-zero value, the earlier the larger it is; zeros stay silent.

    The spike comes at step round((T - 1) (1 - x)), counted from 0. Shapes: `n ... -> t n ...`. Source: time to first
    spike, S. Thorpe, A. Delorme and R. Van Rullen, "Spike-based strategies for rapid processing", Neural Networks
    14:715-725, 2001; in this form in SpikingJelly's LatencyEncoder ("linear"), which lets zeros fire last. Errors:
    DataError for values outside 0 to 1, UsageError unless steps >= 1.
    """
    _check_steps(steps)
    x = _unit_interval("latency", images).double()
    return _one_spike(x, (steps - 1) * (1 - x), steps)


def latency_log(images: Tensor, steps: int) -> Tensor:
    """Latency coding, logarithmic: as `latency`, with equal ratios of values a constant time apart.

    The spike comes at step round((T - 1) - ln(a x + 1)) with a = exp(T - 1) - 1, so that x = 1 fires at 0 and x -> 0
    at T - 1. Shapes, source and errors: as `latency` (SpikingJelly's "log").
    """
    _check_steps(steps)
    x = _unit_interval("latency-log", images).double()
    last = torch.tensor(float(steps - 1), dtype=torch.float64, device=x.device)
    # ln(a x + 1) = ln(x exp(T - 1) + (1 - x)), written so that no power of e overflows
    delay = last - torch.logaddexp(last + x.log(), (1 - x).log())
    return _one_spike(x, torch.where(x > 0, delay, 0), steps)


def delta(signals: Tensor, threshold: float) -> Tensor:
    """Delta modulation of signals: a spike of +1 or -1 whenever the signal has moved by `threshold` from where it was.

    s_t = +1 if x_t - r_t >= threshold, -1 if r_t - x_t >= threshold, else 0; r_{t+1} = r_t + threshold s_t, r_0 = x_0.
    Shapes: `t n ... -> t n ...` (time first; the signal has its own time steps); at most one spike per step. Source:
    F. Corradi and G. Indiveri, "A neuromorphic event-based neural recording system for smart brain-machine-interfaces",
    IEEE Trans. Biomed. Circuits Syst. 9(5):699-709, 2015. Errors: UsageError unless threshold > 0, DataError for
    signals without time steps.
    """
    if not threshold > 0:
        raise UsageError(f"delta: threshold must be > 0 (got {threshold})")
    if signals.dim() < 2 or not len(signals):
        raise DataError(f"delta: expected signals [T, N, ...] with T >= 1 (got {list(signals.shape)}); put time first")
    reference, spikes = signals[0].double(), []
    for now in signals.double():
        moved = now - reference
        spike = (moved >= threshold).double() - (moved <= -threshold).double()
        reference = reference + threshold * spike
        spikes.append(spike.float())
    return torch.stack(spikes)


def _one_spike(x: Tensor, delay: Tensor, steps: int) -> Tensor:
    at = delay.round().long()
    return torch.stack([((at == step) & (x > 0)).float() for step in range(steps)])


def _check_steps(steps: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise UsageError(f"encoding: expected at least 1 time step (got {steps!r}); give --encode-steps T")


def _unit_interval(name: str, images: Tensor) -> Tensor:
    if images.numel():
        low, high = (float(bound) for bound in torch.aminmax(images))
        if not (low >= 0 and high <= 1):  # also true of NaN
            raise DataError(
                f"{name} coding: expected values from 0 to 1 (got {low:.6g} to {high:.6g}); scale the data, or use "
                "direct coding"
            )
    return images


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """One row of the table of encoders: its function of images and steps, and whether it draws random numbers."""

    encode: Callable[..., Tensor]
    seeded: bool = False


ENCODERS: dict[str, Encoder] = {
    "direct": Encoder(encode=direct),
    "rate": Encoder(encode=rate, seeded=True),
    "rate-deterministic": Encoder(encode=rate_deterministic),
    "latency": Encoder(encode=latency),
    "latency-log": Encoder(encode=latency_log),
}
"""Name -> encoder of still images."""


def find_encoder(name: str) -> Encoder:
    """The encoder called `name`. Errors: UsageError for an unknown name."""
    if name not in ENCODERS:
        raise unknown("encoder", name, ENCODERS)
    return ENCODERS[name]
