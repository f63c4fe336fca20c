"""Operators that multiply and accumulate: everything a projection or an attention comes down to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from snn_energy.counting.fanout import Axis
from snn_energy.counting.naming import call_site, einsum_of_many
from snn_energy.counting.ops.registry import After, Call, multiplies
from snn_energy.counting.projections import PairProjection, WeightProjection
from snn_energy.counting.recorder import Recorder
from snn_energy.counting.repeats import note_repeats
from snn_energy.counting.sights import ROWS, Sight, sight_of
from snn_energy.counting.sums import whole
from snn_energy.counting.tags import Origin, Tag, version_of
from snn_energy.counting.wiring import BilinearWiring, ConvWiring, LinearWiring, Wiring

RECURRENT = (nn.RNNBase, nn.RNNCellBase)
WEIGHTED = (nn.Linear, nn.modules.conv._ConvNd, nn.Bilinear, *RECURRENT)
"""Modules that multiply by their weights whenever they run."""


@multiplies("convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution", factors=(0, 1))
def convolution(recorder: Recorder, call: Call) -> Feed:
    """Convolution or transposed convolution over 1 to 3 axes: x [n, c_in, *spatial], weight [c_out, c_in/g, *k]."""
    x, weight, bias = call.args[0], call.args[1], call.get(2, "bias")
    axes = weight.dim() - 2
    transposed = bool(call.get(6, "transposed", False))
    wiring = _conv_wiring(
        tuple(x.shape),
        tuple(weight.shape),
        tuple(tuple(call.get(position, name)) for position, name in _CONV_ARGS),
        transposed,
        int(call.get(8, "groups", 1)),
        _inside(recorder, x, axes),
    )
    kind = f"conv_transpose{axes}d" if transposed else f"conv{axes}d"
    projection = _weight_projection(recorder, kind, weight, weight)
    tag = recorder.tag(x)
    note_repeats(recorder, projection, x, tag, wiring, x.shape[0])
    sight = sight_of(projection.operand, x, x, tag, x.shape[1:], channels=1, order=ROWS)
    seen = Seen(wiring, x.shape[0], sight, x.shape[1:], recorder.bits(x))
    return Feed(recorder, call.name, projection, seen, bias is not None, channel=1)


_CONV_ARGS = ((3, "stride"), (4, "padding"), (5, "dilation"), (7, "output_padding"))


@lru_cache(maxsize=1024)
def _conv_wiring(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    per_axis: tuple[tuple[int, ...], ...],
    transposed: bool,
    groups: int,
    inside: tuple[tuple[int, int], ...],
) -> ConvWiring:
    """The wiring of these shapes; `per_axis` holds stride, padding, dilation and output padding."""
    axes = []
    for i, (size, kernel) in enumerate(zip(x[2:], weight[2:], strict=True)):
        stride, padding, dilation, extra = (values[i if len(values) > 1 else 0] for values in per_axis)
        reach = dilation * (kernel - 1) + 1
        if transposed:
            out = (size - 1) * stride - 2 * padding + reach + extra
        else:
            out = (size + 2 * padding - reach) // stride + 1
        axes.append(Axis(size, out, kernel, stride, padding, dilation, transposed))
    c_out = weight[1] * groups if transposed else weight[0]
    return ConvWiring(axes=tuple(axes), c_in=x[1], c_out=c_out, groups=groups, inside=inside)


def _inside(recorder: Recorder, x: Tensor, axes: int) -> tuple[tuple[int, int], ...]:
    """Image positions of each spatial axis: all of them, unless zeros were padded on by an operator of their own."""
    tag = recorder.tag(x)
    padding = () if tag is None or tag.padding is None else tag.padding[-axes:]
    padding = ((0, 0),) * (axes - len(padding)) + padding
    return tuple((before, x.shape[2 + i] - after) for i, (before, after) in enumerate(padding))


@multiplies("mm", "_int_mm", "bmm", "mv", "dot", "vdot", factors=(0, 1))
def product(recorder: Recorder, call: Call) -> After | None:
    """Plain matrix product of any rank up to three."""
    return _matrix_product(recorder, call, call.args[0], call.args[1], biased=False)


@multiplies("addmm", "baddbmm", "addmv", "addbmm", "_addmm_activation", factors=(1, 2))
def product_and_sum(recorder: Recorder, call: Call) -> After:
    """beta * input + alpha * (a @ b): the sum is the bias; a factor other than 0 or 1 multiplies every output."""
    beta, alpha = call.kwargs.get("beta", 1), call.kwargs.get("alpha", 1)
    finish = _matrix_product(recorder, call, call.args[1], call.args[2], biased=beta != 0)
    scalings = sum(factor not in (0, 1) for factor in (beta, alpha))
    batches = call.args[1].shape[0] if call.name == "addbmm" else 1

    def after(out: Tensor) -> None:
        if scalings:
            recorder.arithmetic("scaling", muls=scalings * out.numel())
        if batches > 1:
            recorder.arithmetic("addbmm", adds=(batches - 1) * out.numel())
        if finish is not None:
            finish(out)
        tag = recorder.tag(out)
        if tag is not None and alpha != 1:
            tag.grid = None  # what the factors are multiples of, the scaled product is not

    return after


def _matrix_product(
    recorder: Recorder, call: Call, a: Tensor, b: Tensor, *, biased: bool, noted: bool = False
) -> After | None:
    """Any product of two matrices; `noted` says that the caller looks for repeated rows itself."""
    left, right = recorder.origin(a), recorder.origin(b)
    if left is right is Origin.DATA or (left is right and left is Origin.CONSTANT):
        return _pair(recorder, call, a, b, biased=biased)
    if left > right:  # W @ x: transpose both, so that the operand comes first
        a, b, weight, operand = _columns(b), _columns(a), a, b
    else:
        weight, operand = b, a
    whole = a  # as torch was given it, rows first; the transpose of a weight product has no tag
    x = a.unsqueeze(0) if a.dim() == 1 else a
    w = b.unsqueeze(-1) if b.dim() == 1 else b
    channel = -2 if weight is not b and a.dim() > 1 and b.dim() > 1 else -1
    kind = type(recorder.module).__name__.lower() if isinstance(recorder.module, RECURRENT) else "linear"
    if x.dim() == 2:
        n_in, n_out = w.shape
        wiring, rows = LinearWiring(1, n_in, n_out), x.shape[0]
        stacked = w.unsqueeze(0)
    elif w.stride(0) == 0 or w.shape[0] == 1:  # one matrix for the whole batch
        n_in, n_out = w.shape[1:]
        wiring, rows = LinearWiring(1, n_in, n_out), x.shape[0] * x.shape[1]
        x, stacked = x.reshape(-1, n_in), w[:1]
    else:
        wiring, rows = LinearWiring(w.shape[0], w.shape[1], w.shape[2]), x.shape[1]
        stacked = w
    projection = _weight_projection(recorder, kind, weight, stacked)
    rows_first = x.transpose(0, 1) if x.dim() == 3 else x
    tag = recorder.tag(operand)
    if operand is whole and x.dim() < 3 and not noted:
        note_repeats(recorder, projection, operand, tag, wiring, rows)
    shape = torch.Size((wiring.batch, wiring.n_in))
    order = f"{'columns' if weight is not b else ROWS}{' of each' if wiring.batch > 1 else ''}"
    sight = sight_of(projection.operand, rows_first, operand, tag, shape, channels=x.dim() - 1, order=order)
    seen = Seen(wiring, rows, sight, shape, recorder.bits(operand))
    return Feed(recorder, call.name, projection, seen, biased, channel)


def linear_layer(recorder: Recorder, operator: str, x: Tensor, weight: Tensor, *, biased: bool) -> Feed:
    """A linear layer, counted before it runs: x [..., c_in] against weight [c_out, c_in]."""
    turned, known = weight.t(), recorder.tag(weight)
    recorder.mark(turned, Tag(recorder.token, Origin.WEIGHT, names=() if known is None else known.names))
    rows, tag = x, recorder.tag(x)
    if x.dim() != 2:
        rows = x.reshape(-1, x.shape[-1])
        recorder.mark(rows, Tag(recorder.token, Origin.DATA) if tag is None else replace(tag, copy=None))
    feed = _matrix_product(recorder, Call(operator, (), {}, (x, weight), None), rows, turned, biased=biased, noted=True)
    assert isinstance(feed, Feed)
    note_repeats(recorder, feed.projection, x, tag, feed.seen.wiring, feed.seen.rows)
    of_rows = recorder.tag(rows)
    if tag is not None and of_rows is not None and version_of(x) == version_of(rows):
        tag.sight = of_rows.sight
    return feed


def _columns(x: Tensor) -> Tensor:
    return x if x.dim() == 1 else x.transpose(-1, -2)


def _pair(recorder: Recorder, call: Call, a: Tensor, b: Tensor, *, biased: bool) -> After:
    """A product of two activations, told apart by the caller's line, and by its place before or after a softmax.

    An einsum of three operands or more makes several products of one line: they are told apart by their order.
    """
    tags = (recorder.tag(a), recorder.tag(b))
    after_softmax = any(tag is not None and tag.softmax for tag in tags)
    key = ("matmul", recorder.path, call_site(), after_softmax, recorder.step_in(einsum_of_many()))
    known = recorder.projections.get(key)
    if known is None:
        path = recorder.path
        name = recorder.numbered(f"{path}.matmul" if path else "matmul")
        known = PairProjection(name, "matmul", recorder.operand(name), recorder.operand(name))
        recorder.projections[key] = known
    assert isinstance(known, PairProjection)
    projection = known
    left = a.reshape(1, 1, -1) if a.dim() == 1 else a.unsqueeze(0) if a.dim() == 2 else a
    right = b.reshape(1, -1, 1) if b.dim() == 1 else b.unsqueeze(0) if b.dim() == 2 else b
    looks = (
        projection.first.look(left, recorder.spike_scale(a), recorder.grid(a)),
        projection.second.look(right, recorder.spike_scale(b), recorder.grid(b)),
    )
    bits = max(recorder.bits(a), recorder.bits(b))

    def after(out: Tensor) -> None:
        projection.feed(left, right, *looks)
        if biased:
            projection.bias_adds += left.shape[0] * left.shape[1] * right.shape[2]
        projection.operand_bits = max(projection.operand_bits, bits)
        recorder.note("counted", call.name)
        grids, tag = (recorder.grid(a), recorder.grid(b)), recorder.tag(out)
        exact = not biased and out.is_floating_point()  # whole numbers wrap around
        if tag is not None and grids[0] is not None and grids[1] is not None and exact:
            tag.grid = grids[0] * grids[1]  # sums of products of multiples >= 0

    return after


def einsum_product(recorder: Recorder, call: Call) -> None:
    """An einsum whose contracted axes have size one reaches us as a broadcast multiplication: k = 1, no sum."""
    a, b = (tensor.expand_as(call.out).reshape(-1) for tensor in call.tensors[:2])
    operands = sorted(call.tensors[:2], key=recorder.origin)
    if recorder.origin(operands[1]) is Origin.DATA:
        _pair(recorder, call, a.view(-1, 1, 1), b.view(-1, 1, 1), biased=False)(call.out)
        return
    if recorder.origin(call.tensors[0]) > recorder.origin(call.tensors[1]):
        a, b = b, a
    operand, weight = operands
    projection = _weight_projection(recorder, "linear", weight, b.view(-1, 1, 1))
    wiring = LinearWiring(a.numel(), 1, 1)
    shape = torch.Size((wiring.batch, wiring.n_in))
    known = Tag(None, Origin.DATA, spike_scale=recorder.spike_scale(operand))
    sight = sight_of(projection.operand, a.view(1, -1), operand, known, shape, channels=0, order="broadcast")
    seen = Seen(wiring, 1, sight, shape, recorder.bits(operand))
    Feed(recorder, call.name, projection, seen, biased=False, channel=None)(call.out)


@multiplies("_trilinear", factors=(0, 1, 2))
def bilinear(recorder: Recorder, call: Call) -> After | None:
    """nn.Bilinear: x1 [n, i], weight [o, i, j], x2 [n, j], summed over i and j."""
    first, weight, second = call.args[0], call.args[1], call.args[2]
    expand1, expand2, expand3, summed = (list(call.args[i]) for i in (3, 4, 5, 6))
    if (expand1, expand2, expand3, sorted(summed)) != ([1, 3], [0], [1, 2], [2, 3]):
        bound = prod(max(1, tensor.numel()) for tensor in (first, weight, second))
        recorder.note("uncounted", call.name, bound=bound)
        return None
    projection = _weight_projection(recorder, "bilinear", weight, weight)
    if projection.partner is None:
        projection.partner = recorder.operand(projection.name)
    one = projection.operand.look(first, recorder.spike_scale(first), now=True)
    two = projection.partner.look(second, recorder.spike_scale(second), now=True)
    first_mask, second_mask = (whole(look.mask).double() for look in (one, two))
    projection.operand.tally(first_mask.sum())
    projection.partner.tally(second_mask.sum())
    mask = first_mask.T @ second_mask
    if one.level is None or two.level is None:
        level, unit = None, 1.0
    elif one.level is one.mask and two.level is two.mask:
        level, unit = mask, one.unit_now * two.unit_now
    else:
        level, unit = whole(one.level).double().T @ whole(two.level).double(), one.unit_now * two.unit_now
    wiring = BilinearWiring(first.shape[1], second.shape[1], weight.shape[0])
    sight = Sight(0, mask, level, unit, projection.operand.values, exact=False, order="pairs")
    seen = Seen(wiring, first.shape[0], sight, mask.shape, max(recorder.bits(first), recorder.bits(second)))
    return Feed(recorder, call.name, projection, seen, biased=False)


def _weight_projection(recorder: Recorder, kind: str, weight: Tensor, as_wired: Tensor) -> WeightProjection:
    """The accumulator of this weight in this module; weights without a name are told apart by the caller's line."""
    recorder.products += 1
    tag = recorder.tag(weight)
    names = () if tag is None else tag.names
    name = recorder.weight_name(names, weight)
    site = call_site() if name is None else None
    owned = recorder.is_parameter_memory(weight)
    place = (as_wired.stride(), as_wired.storage_offset()) if owned else None  # W, its transpose and its slices differ
    key = (kind, recorder.path, name, site, tuple(as_wired.shape), place)
    projection = recorder.projections.get(key)
    if projection is None:
        path = recorder.path
        fresh = recorder.numbered(name or (f"{path}.{kind}" if path else kind))
        operand = recorder.operand(fresh)
        made = None if tag is None else tag.recipe
        owners = recorder.owners(names) if owned else ()
        unique = _unique_elements(weight)
        projection = WeightProjection(fresh, kind, key, operand, as_wired, weight, unique, recipe=made, owners=owners)
        projection.weight_bits = recorder.bits(weight)
        recorder.projections[key] = projection
        recorder.watch_weight(projection, names)
        return projection
    assert isinstance(projection, WeightProjection)
    recipe = None if tag is None else tag.recipe
    projection.check()
    if projection.stale:
        projection.renew(as_wired, weight, recipe)
    elif owned and projection.weight.data_ptr() != as_wired.data_ptr():  # `parameter.data = ...`
        if not torch.equal(projection.weight, as_wired):
            projection.settle()
        projection.renew(as_wired, weight, recipe)
        recorder.watch_weight(projection, names)
    elif not (owned or projection.source is weight or _made_alike(projection, weight, recipe)):
        projection.settle()
        projection.renew(as_wired, weight, recipe)
    return projection


def _made_alike(projection: WeightProjection, weight: Tensor, recipe: tuple[object, ...] | None) -> bool:
    """True if a computed weight has the values it had before: told by how it was made, else by looking."""
    if recipe is not None and recipe == projection.recipe:
        return True
    return torch.equal(projection.source, weight)


def _unique_elements(weight: Tensor) -> int:
    """Elements in memory: axes of stride 0 repeat the same weights."""
    return prod(size for size, stride in zip(weight.shape, weight.stride(), strict=True) if stride or size == 0)


class Seen(NamedTuple):
    """What one call adds to its projection."""

    wiring: Wiring
    rows: int
    sight: Sight
    shape: torch.Size
    """That of the map."""
    bits: int


@dataclass(slots=True)
class Feed:
    """What is left to do for a product with weights once it has run: call it with the result."""

    recorder: Recorder
    operator: str
    projection: WeightProjection
    seen: Seen
    biased: bool
    channel: int | None = -1
    """Axis of the result that holds the output channels, if they have one of their own."""

    def __call__(self, out: Tensor) -> None:
        """Add the call to its projection, and tell the result where it comes from."""
        projection, seen = self.projection, self.seen
        projection.feed(*seen[:-1], bias=self.biased)
        projection.operand_bits = max(projection.operand_bits, seen.bits)
        self.recorder.note("counted", self.operator)
        tag = self.recorder.tag(out)
        if tag is not None:
            tag.biased, tag.projection = self.biased, projection.key
            tag.channel = None if self.channel is None or not out.dim() else self.channel % out.dim()
