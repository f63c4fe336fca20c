"""The quantised twin: an ANN of the same network that passes on as much in one go as the SNN does in T time steps.

T spikes of a neuron tell T + 1 values apart, which take ceil(log2(T + 1)) bits. So wherever the twin of `twin` has a
rectifier in the place of a neuron (or of a spike encoder), this one has an activation of the levels 0, 1, ... T times a
step. That is the opponent that Z. Yan, Z. Bai and W.-F. Wong, "Reconsidering the Energy Efficiency of Spiking Neural
Networks" (arXiv:2409.08290), hold SNNs against; of that paper this takes the bits and the zeros that the network skips,
not its prices. Its zeros are its own: it runs on the same data, and small activations round to 0.

Steps are calibrated on the same data, through the twin without levels: the step of an activation is the power of two at
which rounding to the levels loses the least, by the sum of squares, the usual rule of quantisation after training.
Powers of two keep sums exact and cost a shift. Values are taken down as counts in bins, 64 to the octave, and stand for
the middle of theirs; counts are whole numbers, so that the steps depend neither on batches nor on their order. The
weights are those of the SNN, as in the other twin: a network trained for these levels would have other zeros.

An operand of several bits costs a multiply-accumulate, for each connection on a dense machine and for each one that is
not 0 on a machine that skips zeros, at the price of the profile's data type: no profile prices multiplications by the
bits of one factor, so that this is an upper bound. An operand of one bit (T = 1) is a spike by the rules of counting,
and costs accumulates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snn_energy.baselines.twin import Rectifier, ann_twin
from snn_energy.costing.pricing import DEFAULT_HARDWARE, DEFAULT_METHOD, price
from snn_energy.costing.published_methods.yan_2024 import quantised_bits
from snn_energy.costing.report import Report
from snn_energy.counting.counts import LayerCounts, Trace
from snn_energy.counting.ops.levels import levels
from snn_energy.counting.tracing import batches, trace
from snn_energy.counting.values import REAL, ValueSet
from snn_energy.errors import DataError, TraceError, UsageError
from snn_energy.hardware import Hardware

BINS_LOG2 = 6
"""An octave has 2^6 bins, so that the middle of one is within 0.8 % of every value in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one activation was calibrated to."""

    name: str
    """Module path, as the neuron's."""
    step: float
    """A power of two; 1 where nothing was ever above 0."""
    top: float
    """The highest level: T steps."""
    lost: float
    """Share of the sum of squares that rounding and clamping take away on the calibration's data."""
    positive: int
    """Activations above 0 that the calibration saw."""


class Quantiser:
    """Rectifies and, once it has a step, rounds to a level; until then it takes down how large values are."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.step: float | None = None
        self.sizes: Counter[int] = Counter()
        """k -> values x > 0 in bin k: those with k = floor((e + f) 2^6) for x = (1 + f) 2^e, 0 <= f < 1."""

    def __call__(self, x: Tensor) -> Tensor:
        """Currents `...` -> activations `...`."""
        if self.step is not None:
            return levels(x, self.step, self.most)
        rectified = torch.relu(x)
        self._note(rectified)
        return rectified

    def _note(self, x: Tensor) -> None:
        """Read bins off the bits: exponent and first six bits of the fraction, which are in the order of the values.

        Zeros, and what is too small for a normal number, are in the lowest bins and left out.
        """
        x = x.to(torch.promote_types(x.dtype, torch.float32)).flatten()
        bits, fraction, bias = (torch.int64, 52, 1023) if x.dtype is torch.float64 else (torch.int32, 23, 127)
        counts = torch.bincount(x.view(bits) >> (fraction - BINS_LOG2))
        normal = 1 << BINS_LOG2
        for place in counts[normal:].nonzero().flatten().tolist():
            self.sizes[place + normal - (bias << BINS_LOG2)] += int(counts[place + normal])

    def settle(self, name: str) -> Step:
        """Choose the step: see the module. The smaller one of two that lose the same; 1 where nothing was above 0."""
        self.step, lost = 1.0, 0.0
        if self.sizes:
            bins = np.array(sorted(self.sizes))
            exponents, parts = bins >> BINS_LOG2, bins & ((1 << BINS_LOG2) - 1)
            middles = np.ldexp(1 + (parts + 0.5) / (1 << BINS_LOG2), exponents)
            counts = np.array([self.sizes[each] for each in bins.tolist()], dtype=np.float64)
            highest = int(exponents[-1]) + 1
            lowest = int(exponents[0]) - self.most.bit_length()
            losses = [
                (float((counts * (middles - _nearest(middles, 2.0**k, self.most)) ** 2).sum()), 2.0**k)
                for k in range(lowest, highest + 1)
            ]
            least, self.step = min(losses)
            lost = least / float((counts * middles**2).sum())
        positive = sum(self.sizes.values())
        return Step(name=name, step=self.step, top=self.step * self.most, lost=lost, positive=positive)


def _nearest(x: np.ndarray[Any, Any], step: float, most: int) -> np.ndarray[Any, Any]:
    """Values `n` -> the nearest levels `n`, as `levels` has them."""
    return np.clip(np.floor(x / step + 0.5), 0, most) * step


class QuantisedActivation(nn.Module):
    """A quantiser in the place of a module that rectifies, or hands on what an encoder made spikes of."""

    def __init__(self, quantiser: Quantiser) -> None:
        super().__init__()
        self.quantiser = quantiser

    def forward(self, x: Tensor) -> Tensor:
        """Currents `...` -> activations `...`."""
        return self.quantiser(x)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisedTwin:
    """The network, ready to run at one time step, and what it was calibrated to."""

    model: nn.Module
    time_steps: int
    """T of the SNN: the number of the highest level."""
    steps: tuple[Step, ...]

    @property
    def bits(self) -> int:
        """Bits of an activation: ceil(log2(T + 1))."""
        return quantised_bits(self.time_steps)


def quantised_twin(model: nn.Module, data: Any, time_steps: int) -> QuantisedTwin:
    """Build the twin with levels 0 ... T and calibrate it; see the module.

    Args:
        model: the spiking network; it is left as it was.
        data: what the twin is fed, at one time step (`twin.at_one_step`): a tensor, the arguments of one call, or an
            iterable of these, as `trace` takes them.
        time_steps: T of the spiking network.

    Raises:
        UsageError: T below 1.
        TraceError: the network has no twin, see `ann_twin`.
        DataError: no data.
    """
    if isinstance(time_steps, bool) or not isinstance(time_steps, int) or time_steps < 1:
        raise UsageError(
            f"quantised_twin: time_steps must be a whole number >= 1 (got {time_steps!r}); give T of the SNN"
        )
    twin = ann_twin(model)
    twin, found = _with_quantisers(twin, model, time_steps)
    if not found:
        raise TraceError(
            f"quantised_twin: no neuron of {type(model).__name__} fires, so there is nothing to quantise; compare with "
            "the plain twin"
        )
    calls = 0
    with torch.no_grad():
        for args, kwargs in batches(data):
            twin(*args, **kwargs)
            calls += 1
    if not calls:
        raise DataError("quantised_twin: the data are empty; pass at least one sample")
    steps = tuple(quantiser.settle(name) for name, quantiser in found.items())
    return QuantisedTwin(model=twin, time_steps=time_steps, steps=steps)


def quantised_baseline(
    model: nn.Module,
    data: Any,
    time_steps: int,
    hardware: str | Path | Hardware = DEFAULT_HARDWARE,
    method: str = DEFAULT_METHOD,
    **options: Any,
) -> Report:
    """The quantised twin calibrated, counted and priced: what `compare` sets a report of `model` against.

    Args:
        model: the spiking network.
        data: see `quantised_twin`; gone through three times.
        time_steps: T of the spiking network.
        hardware: see `price`; `method`, too.
        **options: passed to `trace` (samples, strict, batch_axis, fold).

    Raises:
        UsageError: data that can be gone through once only; and as `quantised_twin`.
        SnnEnergyError: what `trace` and `price` raise.
    """
    if isinstance(data, Iterator):
        raise UsageError(
            "quantised_baseline: data must be there three times (got an iterator); give a list or a tensor"
        )
    twin = quantised_twin(model, data, time_steps)
    plain = trace(ann_twin(model), data, **options)
    return price(multibit(trace(twin.model, data, **options), plain), hardware, method)


def multibit(quantised: Trace, plain: Trace) -> Trace:
    """The trace of a quantised twin as a machine for multi-bit operands runs it.

    Operands of several levels, which counting takes for small integers (n accumulates on a chip for spikes), are
    numbers of that many bits, and cost multiply-accumulates. Operands of one level stay spikes; those that hold the
    same values in the plain twin were not quantised (the data themselves, say), and stay what they are on either side.
    """
    before = {layer.name: layer for layer in plain.layers}
    layers = (
        layer if layer.name in before and _same(layer, before[layer.name]) else _multibit(layer)
        for layer in quantised.layers
    )
    return replace(quantised, layers=tuple(layers), per_sample=None)


def _same(layer: LayerCounts, other: LayerCounts) -> bool:
    """Whether two records show the same operands: as many, as many of them not 0, of the same values."""
    names = ("values", "partner_values", "elements", "spikes")
    return all(getattr(layer, name) == getattr(other, name) for name in names)


def _multibit(layer: LayerCounts) -> LayerCounts:
    if layer.operand.kind != "integer":
        return layer
    bits = [_bits(values) for values in (layer.values, layer.partner_values) if values is not None]
    return replace(
        layer,
        values=REAL,
        partner_values=None if layer.partner_values is None else REAL,
        operand_units=0,
        partner_units=0,
        operand_bits=max((each for each in bits if each), default=layer.operand_bits),
    )


def _bits(values: ValueSet) -> int:
    """Bits of the levels of an operand, with one for the sign where it has both; 0 where there are too many levels."""
    if values.many or not values.magnitudes:
        return 0
    return round(values.magnitudes[-1] / values.unit).bit_length() + (values.positive and values.negative)


def _with_quantisers(twin: nn.Module, model: nn.Module, most: int) -> tuple[nn.Module, Mapping[str, Quantiser]]:
    """Put quantisers where the twin rectifies and the network does not: in the place of its neurons."""
    found: dict[str, Quantiser] = {}
    made: dict[int, Quantiser] = {}
    for name, parent, child, module in _places(twin, model):
        quantiser = made.setdefault(id(module), Quantiser(most))
        if isinstance(module, Rectifier):
            module.quantiser = quantiser
        elif parent is None:
            twin = QuantisedActivation(quantiser)
        else:
            parent._modules[child] = QuantisedActivation(quantiser)
        if quantiser not in found.values():
            found[name] = quantiser
    return twin, found


def _places(twin: nn.Module, model: nn.Module) -> Iterator[tuple[str, nn.Module | None, str, nn.Module]]:
    """Path, parent, name in the parent, and module of all that stands for a neuron that fires, or for an encoder."""
    before = {name: type(module) for name, module in model.named_modules(remove_duplicate=False)}
    after = dict(twin.named_modules(remove_duplicate=False))
    for name, module in after.items():
        if isinstance(module, Rectifier):
            stands_in = module.spiking
        else:
            stands_in = type(module) in (nn.ReLU, nn.Identity) and before.get(name) is not type(module)
        if stands_in:
            parent, _, child = name.rpartition(".")
            yield name, after[parent] if name else None, child, module
