"""The matrix products a dense array runs for one inference, read off the recorded facts of a layer.

A convolution becomes a product of its patches with its filters (im2col): M output positions, N filters, K = taps x
input channels. Its groups are products of their own, as SCALE-Sim runs a depthwise layer ("DP" in its name) as one
layer for each channel. A transposed convolution is the product of its input positions with all taps (K = input
channels, N = taps x output channels), whose overlapping results are added up behind the array. A product of two
activations (the scores and the weighted values of attention) is itself: one for each sample, time step and head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from snn_energy.counting.counts import LayerCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """`copies` independent products [m k] x [k n], run `passes` times in one inference.

    m: positions or tokens that share the weights; n: filters or features; k: length of each sum.
    """

    m: int
    n: int
    k: int
    copies: int = 1
    passes: int = 1
    shared: bool = True
    """Whether all passes and samples multiply by one right-hand side: weights, not a second data operand."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, padding counted."""
        return self.m * self.n * self.k * self.copies * self.passes


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why a layer's products cannot be read off its record."""

    reason: str


def product_of(layer: LayerCounts, samples: int, steps: int | None) -> Product | Unknown:
    """The product that one inference makes of a layer; Unknown where the record does not determine it.

    Args:
        layer: counts over all samples.
        samples: how many.
        steps: time steps of the network, None where they differ. Rows of a linear layer are spread over them
            where their number is a multiple; else the layer is taken to run once.
    """
    facts = dict(layer.geometry or ())
    if layer.partner_values is not None and not facts:
        return Unknown("its products differ in size, or the trace was made before sizes of products were recorded")
    if layer.partner_values is not None and "m" not in facts:
        return Unknown("a bilinear form multiplies two data operands and a weight: it is no product of two matrices")
    if not facts:
        return Unknown("its calls differ in geometry, so that their sizes are not in the trace")
    per_run = _conv(layer.kind, facts) if "kernel" in facts else _pair(facts) if "m" in facts else _linear(facts)
    rows = layer.dense_macs // per_run.macs if per_run.macs else 0
    if not per_run.macs or rows * per_run.macs != layer.dense_macs or rows % samples:
        return Unknown("the samples differ in the number of their runs")
    runs = rows // samples
    if "kernel" in facts:
        return replace(per_run, passes=runs)
    if steps is None:
        return Unknown("the time steps differ between samples or layers, so that rows and steps cannot be told apart")
    passes = steps if runs % steps == 0 else 1
    if not per_run.shared:
        return replace(per_run, copies=runs // passes, passes=passes)
    return Product(m=runs // passes, n=per_run.n, k=per_run.k, copies=per_run.copies, passes=passes)


def passes_of(layer: LayerCounts, samples: int, steps: int) -> int:
    """How often one inference runs a layer: read off its record where that tells, else once in each time step."""
    product = product_of(layer, samples, steps)
    return steps if isinstance(product, Unknown) else product.passes


def _conv(kind: str, facts: dict[str, tuple[int, ...]]) -> Product:
    (c_in,), (c_out,), (groups,) = facts["c_in"], facts["c_out"], facts["groups"]
    taps = prod(facts["kernel"])
    if kind.startswith("conv_transpose"):
        return Product(m=prod(facts["size_in"]), n=c_out // groups * taps, k=c_in // groups, copies=groups)
    return Product(m=prod(facts["size_out"]), n=c_out // groups, k=c_in // groups * taps, copies=groups)


def _pair(facts: dict[str, tuple[int, ...]]) -> Product:
    (m,), (n,), (k,) = facts["m"], facts["n"], facts["k"]
    return Product(m=m, n=n, k=k, shared=False)


def _linear(facts: dict[str, tuple[int, ...]]) -> Product:
    (copies,), (n_in,), (n_out,) = facts.get("batch", (1,)), facts["c_in"], facts["c_out"]
    return Product(m=1, n=n_out, k=n_in, copies=copies)
