"""Where another counter is right, the same number; where it is wrong, counting/test_traps has ours.

SpikingJelly's operator counter is right for plain convolutions and linear maps on binary spikes, NeuroBench's
synaptic operations for Conv2d and Linear called as modules in single precision, fvcore for dense counts.
"""

from __future__ import annotations

import pytest
import torch
from nets import SAMPLES, build, spikes_in
from torch import Tensor, nn

import snn_energy as se

pytestmark = pytest.mark.peer


def layers() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Layers without bias, and the shape of their input."""
    return {
        "linear": (nn.Linear(12, 7, bias=False), (3, 12)),
        "conv": (nn.Conv2d(3, 4, 3, bias=False), (2, 3, 8, 8)),
        "conv, padding": (nn.Conv2d(3, 4, 3, padding=1, bias=False), (2, 3, 8, 8)),
        "conv, stride": (nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False), (2, 2, 9, 7)),
        "conv, dilation": (nn.Conv2d(2, 4, 3, dilation=2, padding=2, bias=False), (1, 2, 9, 9)),
        "conv, depthwise": (nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), (2, 4, 6, 6)),
        "conv, 1 x 1": (nn.Conv2d(4, 6, 1, bias=False), (2, 4, 5, 5)),
    }


def spikes(shape: tuple[int, ...]) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) < 0.3).float()


EVERY = pytest.mark.parametrize("name", layers())


def made(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    layer, shape = layers()[name]
    return layer.eval(), spikes(shape)


def spikingjelly(model: nn.Module, x: Tensor) -> tuple[int, int]:
    """(accumulates, multiply-accumulates)"""
    counter = pytest.importorskip("spikingjelly.activation_based.op_counter")
    synops, macs = counter.SynOpCounter(), counter.MACCounter()
    with torch.no_grad(), counter.DispatchCounterMode([synops, macs]):
        model(x)
    return synops.get_total(), macs.get_total()


def neurobench(model: nn.Module, x: Tensor) -> dict[str, float]:
    """Effective_ACs, Effective_MACs and Dense of all samples."""
    models = pytest.importorskip("neurobench.models")
    workload = pytest.importorskip("neurobench.metrics.workload")
    wrapped = models.TorchModel(nn.Sequential(model))
    wrapped.register_hooks()
    metric = workload.SynapticOperations()
    with torch.no_grad():
        per_sample = metric(wrapped, wrapped(x), (x, None))
    wrapped.cleanup_hooks()
    return {key: value * len(x) for key, value in per_sample.items()}


def fvcore(model: nn.Module, x: Tensor) -> int:
    analysis = pytest.importorskip("fvcore.nn").FlopCountAnalysis(model, x)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return int(analysis.total())


@EVERY
def test_accumulates_of_spikes(name: str) -> None:
    layer, x = made(name)
    counts = se.trace(layer, x, strict=True)
    assert counts.acs == counts.events > 0
    assert spikingjelly(layer, x) == (counts.acs, 0)
    assert neurobench(layer, x) == pytest.approx(
        {"Effective_ACs": counts.acs, "Effective_MACs": 0, "Dense": counts.connections}
    )


@EVERY
def test_zero_weights(name: str) -> None:
    layer, x = made(name)
    with torch.no_grad():
        layer.weight.mul_(torch.rand(layer.weight.shape) < 0.5)
    counts = se.trace(layer, x, strict=True)
    assert counts.effective_events < counts.events
    assert neurobench(layer, x)["Effective_ACs"] == pytest.approx(counts.effective_events)


@EVERY
def test_dense_counts_of_a_real_input(name: str) -> None:
    layer, x = made(name)
    x = torch.rand(x.shape) + 0.5
    counts = se.trace(layer, x, strict=True)
    assert fvcore(layer, x) == counts.dense_macs
    assert spikingjelly(layer, x) == (0, counts.dense_macs)  # padding is counted by both: see trap T16
    assert neurobench(layer, x)["Effective_MACs"] == pytest.approx(counts.macs)


def test_a_whole_network_in_time() -> None:
    net, x = build("ours", "lif"), spikes_in()
    counts = se.trace(net, x, samples=SAMPLES, strict=True)
    assert counts.layers[1].spikes > 0
    assert spikingjelly(net, x) == (counts.acs, 0)
