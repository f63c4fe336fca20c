"""Leaf modules whose one operator is known before it runs: counted from the hook, without the dispatch mode.

A module gets here only if its exact class is in the table and nothing can stand between its input and its operator:
no hooks of its own, no parametrisation, plain parameters. It is charged by the same rows as the operator would be;
what is saved is the way through Python for every operator below (the mode costs more than the counting does). What a
module that multiplies has to work out for that is kept as its site, and used again while the input looks the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.dispatch import is_foreign
from snn_energy.counting.ops import COUNTED, Call
from snn_energy.counting.ops.products import Feed, convolution, linear_layer
from snn_energy.counting.ops.registry import After
from snn_energy.counting.projections import Maps, WeightProjection
from snn_energy.counting.recorder import Charge, Entry, Recorder, Site
from snn_energy.counting.repeats import carry_rows, note_repeats
from snn_energy.counting.sights import ROWS, Sight, sight_of
from snn_energy.counting.tags import Origin, Tag, copied, hang_tag, version_of
from snn_energy.counting.wiring import Wiring

Finish = Callable[[Tensor | None], None]
"""Takes the module's output, or None after an exception."""
Shortcut = Callable[[Recorder, nn.Module, Tensor], After | None]
"""Looks at the input; returns what to do with the output, or None if dispatch must count the module."""

_SETTINGS = (
    *("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode", "ceil_mode"),
    *("return_indices", "training"),
)
HELD_INPUT = 1 << 15
"""Largest input that is copied to be looked at later, together with those of later calls."""
SITES = 8
"""Sites that one module may have."""


def _settings(module: nn.Module) -> tuple[object, ...]:
    """Attributes that decide what a call does, and that a caller may change between two calls."""
    return () if type(module) is nn.Linear else tuple(map(module.__dict__.get, _SETTINGS))


@dataclass(slots=True)
class ProductSite:
    """A module that multiplies by its weights, as its last call left it."""

    module: nn.Module
    weight: Tensor
    memory: int
    """Where the weight's values lay; `weight.data = ...` puts others in their place."""
    bias: Tensor | None
    settings: tuple[object, ...]
    shape: torch.Size
    dtype: torch.dtype
    bits: int | None
    projection: WeightProjection
    wiring: Wiring
    maps: Maps
    map_shape: torch.Size
    by_rows: bool
    """Whether all axes but the last are rows, as linear layers read them."""
    channel: int
    """Axis of the output channels."""
    rows: int
    bias_adds: int
    """Of one call."""
    operator: str
    small: bool
    """Whether inputs are copied, and looked at together."""
    size_out: torch.Size | None
    """For transposed convolutions, whose callers may ask for another one by a keyword that no hook sees."""
    entry: Entry | None = None
    """The operator's in the certificate."""
    other: Site | None = None

    def fits(self, x: Tensor, tag: Tag) -> bool:
        """True while everything that was worked out still holds for the input `x`."""
        own = self.module._parameters
        return (
            x.shape == self.shape
            and x.dtype is self.dtype
            and tag.padding is None
            and tag.bits == self.bits
            and own["weight"] is self.weight
            and own["bias"] is self.bias
            and _settings(self.module) == self.settings
            and self.weight.data_ptr() == self.memory
            and version_of(self.weight) == self.projection.version
            and not self.projection.stale
        )

    def count(self, recorder: Recorder, x: Tensor, tag: Tag) -> Finish:
        """Count one call with the input `x`, whose tag is `tag`."""
        early = self.size_out is None
        sight = self.look(recorder, x, tag) if early else None

        def finish(out: Tensor | None) -> None:
            nonlocal sight
            if out is None:
                return
            if not early:
                if out.shape[2:] != self.size_out:
                    recorder.at(recorder.paths[id(self.module)], [self.module], partial(self.anew, recorder, x, out))
                    return
                sight = self.look(recorder, x, tag)
            key, biased = self.projection.key, self.bias is not None
            hang_tag(out, Tag(recorder.token, Origin.DATA, biased=biased, projection=key, channel=self.channel))
            if tag.repeats is not None:
                carry_rows(recorder, x, out)
            self.add(recorder, x, tag, sight)

        return finish

    def look(self, recorder: Recorder, x: Tensor, tag: Tag) -> Sight | None:
        """Look at the input `x`, whose tag is `tag`, before the module runs; None where its copy is looked at later."""
        projection = self.projection
        recorder.products += 1
        note_repeats(recorder, projection, x, tag, self.wiring, self.rows)
        if self.small:
            copied(x, tag)  # the module may write its input
            return None
        apart = tag.scaled and tag.spike_scale is None and self.by_rows and x.dim() != 2
        apart = apart and projection.operand.track.alive  # else a reshape would copy other layouts for nothing
        rows = x.reshape(-1, x.shape[-1]) if apart else x  # channels are told apart on the axis after the rows
        return sight_of(projection.operand, rows, x, tag, self.map_shape, channels=1, order=ROWS)

    def anew(self, recorder: Recorder, x: Tensor, out: Tensor) -> None:
        """Count a call as if it were the first."""
        after = shortcut(recorder, self.module, (x,))
        assert after is not None
        after(out)

    def add(self, recorder: Recorder, x: Tensor, tag: Tag, sight: Sight | None) -> None:
        """Count a call that went well."""
        projection = self.projection
        if sight is None:
            projection.hold(self.wiring, x, tag, self.map_shape if self.by_rows else None)
        else:
            projection.calls += 1
            self.maps.put(self.rows, sight, self.map_shape)
        projection.bias_adds += self.bias_adds
        if self.entry is None:
            self.entry = recorder.entry("counted", self.operator, self.module)
        self.entry.again()


@dataclass(slots=True)
class Replay:
    """A module without weights of its own to multiply by: what its last call charged, to be charged again."""

    module: nn.Module
    settings: tuple[object, ...]
    shape: torch.Size
    before: tuple[object, ...]
    """What was known of the input."""
    charges: list[Charge]
    after: Tag
    """What was known of the output."""
    calls: int = 0
    """Not charged yet."""
    other: Site | None = None

    def fits(self, x: Tensor, tag: Tag) -> bool:
        """True if the next call would charge the same."""
        return x.shape == self.shape and _facts(tag) == self.before and _settings(self.module) == self.settings

    def count(self, recorder: Recorder, x: Tensor, tag: Tag) -> Finish:
        """Charge one call."""

        def finish(out: Tensor | None) -> None:
            if out is None:
                return
            hang_tag(out, self.after.again())
            if tag.repeats is not None:
                carry_rows(recorder, x, out)
            if not self.calls:
                recorder.uncharged.append(self)
            self.calls += 1

        return finish

    def charge(self) -> None:
        """Charge all calls since the last time."""
        calls, self.calls = self.calls, 0
        for charge in self.charges:
            charge(calls)


def _facts(tag: Tag) -> tuple[object, ...]:
    return (tag.projection, tag.biased, tag.channel, tag.spike_scale, tag.grid, tag.scaled, tag.bits)


def has_hooks(module: nn.Module) -> bool:
    """True if something stands between a module's input and its operator."""
    return bool(module._forward_pre_hooks or module._forward_hooks or "forward" in module.__dict__)


def revisit(recorder: Recorder, module: nn.Module, args: tuple[Any, ...], site: Site) -> Finish | None:
    """Count another call of a module that left a site; None where things have changed since.

    This runs for every call of every layer, and on small steps it is what counting costs: the commonest case first.
    """
    if len(args) != 1 or has_hooks(module):
        return None
    x = args[0]
    if type(x) is not Tensor or x.layout is not torch.strided or x.is_nested or x.is_meta:
        return None
    tag = recorder.tag(x)
    if tag is None or tag.origin is not Origin.DATA:
        return None
    fitting: Site | None = site
    while fitting is not None and not fitting.fits(x, tag):
        fitting = fitting.other
    if fitting is None:
        return None
    if torch._C._is_any_autocast_enabled() and torch.is_autocast_enabled(x.device.type):
        return None
    return fitting.count(recorder, x, tag)


def shortcut(recorder: Recorder, module: nn.Module, args: tuple[Any, ...]) -> Finish | None:
    """Count a leaf module from its input; returns what to do with its output, or None if dispatch must count it."""
    if len(args) != 1 or has_hooks(module):
        return None
    x = args[0]
    if type(x) is not Tensor or x.is_meta or torch.is_autocast_enabled(x.device.type):
        return None
    if x.layout is not torch.strided or x.is_nested:
        return None
    tag, observed = recorder.tag(x), bool(recorder.behaviour.running)
    if is_foreign(x) or recorder.origin(x) is not Origin.DATA:
        return None
    after = SHORTCUTS[type(module)](recorder, module, x)
    if after is None:
        return None
    past = None if tag is None or not observed else tag.past

    def finish(out: Tensor | None) -> None:
        if out is not None:
            recorder.mark(out, Tag(recorder.token, Origin.DATA, past=past))
            if recorder.repeating:
                carry_rows(recorder, x, out)
            after(out)

    return finish


def _convolution(recorder: Recorder, module: nn.Module, x: Tensor) -> After | None:
    assert isinstance(module, nn.modules.conv._ConvNd)
    weight, bias = module.weight, module.bias
    plain = module.padding_mode == "zeros" and not isinstance(module.padding, str)
    if not plain or x.dim() != weight.dim() or recorder.origin(weight) is not Origin.WEIGHT:
        return None
    args = (x, weight, bias, module.stride, module.padding, module.dilation, False, (0,), module.groups)
    after = convolution(recorder, Call("convolution", args, {}, (x, weight), None))
    return _remembered(recorder, module, x, after)


def _transposed_convolution(recorder: Recorder, module: nn.Module, x: Tensor) -> After | None:
    assert isinstance(module, nn.modules.conv._ConvTransposeNd)
    weight, bias = module.weight, module.bias
    if x.dim() != weight.dim() or recorder.origin(weight) is not Origin.WEIGHT:
        return None

    def after(out: Tensor) -> None:
        # The caller may ask for an output size by keyword, which no hook sees: the result tells what was padded on.
        geometry = zip(x.shape[2:], out.shape[2:], weight.shape[2:], module.stride, module.padding, module.dilation)
        extra = tuple(
            size_out - ((size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1)
            for size, size_out, kernel, stride, padding, dilation in geometry
        )
        args = (x, weight, bias, module.stride, module.padding, module.dilation, True, extra, module.groups)
        feed = convolution(recorder, Call("convolution", args, {}, (x, weight), None))
        _remembered(recorder, module, x, feed, size_out=out.shape[2:])(out)

    return after


def _linear(recorder: Recorder, module: nn.Module, x: Tensor) -> After | None:
    assert isinstance(module, nn.Linear)
    weight, bias = module.weight, module.bias
    if x.dim() < 2 or not x.numel() or x.shape[-1] != weight.shape[-1]:
        return None
    if recorder.origin(weight) is not Origin.WEIGHT or x.dtype is not weight.dtype:
        return None
    operator = "mm" if bias is None else "addmm"
    after = linear_layer(recorder, operator, x, weight, biased=bias is not None)
    return _remembered(recorder, module, x, after, by_rows=True)


def _remembered(
    recorder: Recorder,
    module: nn.Module,
    x: Tensor,
    after: Feed,
    *,
    by_rows: bool = False,
    size_out: torch.Size | None = None,
) -> Feed:
    """`after`, once it has left a site for the next call of the module."""
    weight, tag = module._parameters.get("weight"), recorder.tag(x)
    plain = weight is not None and "bias" in module._parameters and id(module) in recorder.paths
    if weight is not None and plain and (tag is None or tag.padding is None):
        bias = module._parameters["bias"]
        seen = after.seen
        site = ProductSite(
            module,
            weight,
            weight.data_ptr(),
            bias,
            _settings(module),
            x.shape,
            x.dtype,
            None if tag is None else tag.bits,
            after.projection,
            seen.wiring,
            after.projection.maps_of(seen.wiring),
            seen.shape,
            by_rows,
            x.dim() - 1 if by_rows else 1,
            seen.rows,
            0 if bias is None else seen.rows * seen.wiring.outputs_per_row,
            after.operator,
            x.numel() <= HELD_INPUT,
            size_out,
        )
        _leave_site(recorder, site)
    return after


def _leave_site(recorder: Recorder, site: ProductSite | Replay) -> None:
    """Remember a site beside those for inputs of other shapes: one pool may serve many layers."""
    others: list[Site] = []
    other = recorder.sites.get(id(site.module))
    while other is not None:
        if other.shape != site.shape:
            others.append(other)
        other = other.other
    recorder.sites[id(site.module)] = site
    chain = [site, *others][:SITES]
    for one, following in zip(chain, [*chain[1:], None], strict=True):
        one.other = following


def _batch_norm(recorder: Recorder, module: nn.Module, x: Tensor) -> After | None:
    assert isinstance(module, nn.modules.batchnorm._BatchNorm)
    if module.running_mean is None or module.training:
        return None
    return _counted(recorder, module, "native_batch_norm", (x,))


def _max_pool(recorder: Recorder, module: nn.Module, x: Tensor) -> After | None:
    assert isinstance(module, nn.modules.pooling._MaxPoolNd)
    if module.return_indices:
        return None
    name = {nn.MaxPool2d: "max_pool2d_with_indices", nn.MaxPool3d: "max_pool3d_with_indices"}[type(module)]
    return _counted(recorder, module, name, (x, module.kernel_size))


def _counted(recorder: Recorder, module: nn.Module, name: str, args: tuple[Any, ...]) -> After:
    """Charge the operator `name` of these arguments, the first of which is the input, when its result is there."""
    x, tag = args[0], recorder.tag(args[0])

    def after(out: Tensor) -> None:
        recorder.journal = []
        try:
            COUNTED[name](recorder, Call(name, args, {}, args[:1], out))
            charges = recorder.journal
        finally:
            recorder.journal = None
        known = recorder.tag(out)
        if tag is not None and known is not None and id(module) in recorder.paths:
            made = known.again()
            _leave_site(recorder, Replay(module, _settings(module), x.shape, _facts(tag), charges, made))

    return after


SHORTCUTS: dict[type[nn.Module], Shortcut] = {
    nn.Linear: _linear,
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolution),
    **dict.fromkeys((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), _transposed_convolution),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _batch_norm),
    **dict.fromkeys((nn.MaxPool2d, nn.MaxPool3d), _max_pool),
}
