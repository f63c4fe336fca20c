"""A recorder of spikes: what each layer was fed, element by element, for simulators that replay real activity.

A trace holds sums over time steps and samples; these simulators want every spike. So the network runs once more, one
sample at a time, and hooks on its convolutions and linear layers keep their inputs. What was recorded is compared with
the trace of the same samples, spike for spike: a network that answers another way the second time is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from snn_energy.counting.counts import Trace
from snn_energy.counting.evaluating import evaluating
from snn_energy.errors import MODEL_ERRORS, DataError
from snn_energy.exporting.failures import ExportError, first_line
from snn_energy.exporting.losses import Loss
from snn_energy.exporting.simulators.workload import Workload

RECORDED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeTrain:
    """What one layer was fed: `spikes` is bool `samples runs ...`, runs being its calls or folded time steps in order.

    A convolution's is `samples runs c *spatial`, a linear layer's `samples runs features`, tokens among the runs.
    """

    work: Workload
    spikes: Bits
    weight: npt.NDArray[np.float32]


def record_spikes(
    model: nn.Module, inputs: Tensor, trace: Trace, works: tuple[Workload, ...], *, batch_axis: int = 0
) -> Recording:
    """Run `model` on `inputs`, one sample at a time, and return the spikes that its layers were fed.

    `inputs` hold their samples along `batch_axis`: `n ...`, or `t n ...` with 1.

    `trace` is that of the same inputs. Layers without spikes (real-valued operands) and products that no module of
    RECORDED makes are left out, each with its Loss. Errors: DataError, where the inputs are not those of the trace;
    ExportError, where the network fails or does not repeat itself.
    """
    given = inputs.shape[batch_axis]
    if given != trace.samples:
        raise DataError(
            f"record_spikes: {given} inputs (expected the {trace.samples} of the trace); trace these inputs first"
        )
    modules = dict(model.named_modules())
    losses: list[Loss] = []
    wanted: dict[str, Workload] = {}
    for work in works:
        module = modules.get(work.name)
        if not work.layer.operand.accumulates:
            losses.append(Loss("a layer without spikes", work.name, f"its operand is {work.layer.operand.kind}"))
        elif work.layer.operand.kind == "ternary":
            losses.append(Loss("signed spikes", work.name, "a spike matrix holds 0 and 1"))
        elif not isinstance(module, RECORDED) or work.layer.calls == 0:
            losses.append(Loss("a product without a module", work.name, "only the inputs of modules are recorded"))
        elif getattr(module, "padding_mode", "zeros") != "zeros":
            losses.append(Loss(f"{module.padding_mode} padding", work.name, "maps are padded with zeros alone"))
        else:
            wanted[work.name] = work
    kept: dict[str, list[list[Tensor]]] = {name: [] for name in wanted}
    with _listening({name: modules[name] for name in wanted}, kept):
        for sample in torch.split(inputs, 1, batch_axis):
            for calls in kept.values():
                calls.append([])
            _run(model, sample)
    trains = tuple(_train(work, kept[name], modules[name]) for name, work in wanted.items())
    return Recording(trains=trains, losses=tuple(losses))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The spike trains of a network, in the order of its layers, and what has none."""

    trains: tuple[SpikeTrain, ...]
    losses: tuple[Loss, ...]


@contextmanager
def _listening(modules: Mapping[str, nn.Module], kept: dict[str, list[list[Tensor]]]) -> Iterator[None]:
    def keeper(name: str) -> Any:
        def keep(_: nn.Module, args: tuple[Any, ...]) -> None:
            kept[name][-1].append((args[0].detach() != 0).cpu())

        return keep

    with ExitStack() as hooks:
        for name, module in modules.items():
            hooks.callback(module.register_forward_pre_hook(keeper(name)).remove)
        yield


def _run(model: nn.Module, sample: Tensor) -> None:
    try:
        with evaluating(model), torch.no_grad():
            model(sample)
    except MODEL_ERRORS as problem:
        raise ExportError(
            f"{type(model).__qualname__}: cannot run on one input of shape {list(sample.shape)}:"
            f" {first_line(problem)}; give inputs that it takes, and the axis of their samples"
        ) from problem


def _train(work: Workload, kept: list[list[Tensor]], module: nn.Module) -> SpikeTrain:
    """Join the calls of each sample; the shape of one run is the layer's own."""
    axes = 1 if isinstance(module, nn.Linear) else module.weight.dim() - 1  # type: ignore[operator]
    rows = [
        torch.cat([call.reshape(-1, *call.shape[call.dim() - axes :]) for call in calls]) if calls else torch.zeros(0)
        for calls in kept
    ]
    counted = sum(int(row.sum()) for row in rows)
    if len({tuple(row.shape) for row in rows}) != 1 or counted != work.layer.spikes:
        raise ExportError(
            f"{work.name}: recorded {counted} spikes (expected the {work.layer.spikes} of the trace, as many runs for"
            " each sample): the network draws random numbers or keeps state between calls; reset it, or use a"
            " deterministic encoder"
        )
    weight = module.weight.detach().to("cpu", torch.float32).numpy()  # type: ignore[operator]
    return SpikeTrain(work=work, spikes=torch.stack(rows).numpy(), weight=weight)


def patches(train: SpikeTrain) -> Bits:
    """Return the rows that meet the filters: bool `samples runs m k`, k ordered as `c_in *kernel` of the weight.

    A linear layer's rows are `samples passes tokens features`. Groups are not divided: `k` then spans all of them.
    """
    work, conv = train.work, train.work.conv
    samples, runs = train.spikes.shape[:2]
    if conv is None:
        return train.spikes.reshape(samples, work.product.passes, -1, train.spikes.shape[-1])
    padded = padded_maps(train)
    windows = np.lib.stride_tricks.sliding_window_view(padded, conv.span, axis=tuple(range(3, 3 + conv.axes)))
    # samples runs c *positions *span: strides thin out positions, dilation thins out the span
    thin = (
        slice(None),
        slice(None),
        slice(None),
        *(slice(None, None, stride) for stride in conv.stride),
        *(slice(None, None, dilation) for dilation in conv.dilation),
    )
    taken = windows[thin]
    places = tuple(range(3, 3 + conv.axes))
    ordered = np.transpose(taken, (0, 1, *places, 2, *range(3 + conv.axes, taken.ndim)))
    rows = np.ascontiguousarray(ordered).reshape(samples, runs, prod(conv.size_out), -1)
    met = int(np.count_nonzero(rows)) * work.product.n
    if met != work.layer.events:
        raise ExportError(
            f"{work.name}: its patches hold {met} synaptic events (expected the {work.layer.events} of the trace); call"
            " each layer with inputs of one size"
        )
    return rows


def padded_maps(train: SpikeTrain) -> Bits:
    """Return a convolution's maps with their zero padding, cut to what the kernel reaches: `samples runs c *padded`."""
    conv = train.work.conv
    assert conv is not None
    widths = [(0, 0), (0, 0), (0, 0)]
    sizes = train.spikes.shape[3:]
    for size, padded, before in zip(sizes, conv.padded, conv.padding, strict=True):
        widths.append((before, max(0, padded - before - size)))
    full = np.pad(train.spikes, widths)
    return full[(slice(None), slice(None), slice(None), *(slice(0, size) for size in conv.padded))]
