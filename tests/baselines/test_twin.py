"""The ANN side: built from the SNN, counted by the same rules, checked by another tool."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import snn_energy as se
from snn_energy.baselines.second_opinion import second_opinion
from snn_energy.baselines.twin import at_one_step
from snn_energy.errors import TraceError, UsageError
from snn_energy.models.neurons import IF, LIF
from snn_energy.models.spiking_cnn import SpikingCNN


def snn() -> SpikingCNN:
    torch.manual_seed(0)
    return SpikingCNN(1, 3, 8, widths=(4, 6), time_steps=4, threshold=0.2).eval()


def test_the_twin_has_no_neuron_and_one_step() -> None:
    model = snn()
    twin = se.ann_twin(model)
    assert not any(isinstance(m, LIF | IF) for m in twin.modules())
    assert sum(isinstance(m, nn.ReLU) for m in twin.modules()) == 2
    assert (twin.time_steps, model.time_steps) == (1, 4)
    assert any(isinstance(m, LIF) for m in model.modules()), "the SNN itself was changed"


def test_the_twin_computes_what_its_relu_network_computes() -> None:
    model, x = snn(), torch.rand(2, 1, 8, 8)
    hand = x
    for block in model.blocks:
        hand = block.pool(torch.relu(block.norm(block.conv(hand)))) if hasattr(block, "pool") else None
    torch.testing.assert_close(se.ann_twin(model)(x), model.head(hand.flatten(1)))


def test_the_same_rules_on_both_sides() -> None:
    """Connections of the SNN are T times those of the twin, but for the stem, which runs once on both sides."""
    model, x = snn(), torch.rand(2, 1, 8, 8)
    own, ann = se.trace(model, x), se.trace(se.ann_twin(model), x)
    assert [layer.name for layer in own.layers] == [layer.name for layer in ann.layers]
    assert own.layers[0].connections == ann.layers[0].connections
    for mine, theirs in zip(own.layers[1:], ann.layers[1:], strict=True):
        assert mine.connections == 4 * theirs.connections
    assert all(layer.operand.kind == "real" for layer in ann.layers)


def test_shared_and_nested_neurons_are_all_replaced() -> None:
    shared = LIF()
    twin = se.ann_twin(nn.Sequential(shared, nn.Sequential(nn.Identity(), IF()), shared))
    leaves = [module for module in twin.modules() if not list(module.children())]
    assert [isinstance(leaf, nn.ReLU) for leaf in leaves] == [True, False, True, True]
    assert isinstance(se.ann_twin(LIF()), nn.ReLU)


def test_no_neuron_no_twin() -> None:
    with pytest.raises(TraceError, match="no spiking neuron recognised in Linear") as caught:
        se.ann_twin(nn.Linear(2, 2))
    assert len(str(caught.value)) < 300  # simulators are named, not each of their classes


class Holder(nn.Module):
    def __init__(self, held: object) -> None:
        super().__init__()
        self.held, self.neuron = held, LIF()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.neuron(x)  # type: ignore[no-any-return]


def test_a_network_that_keeps_a_python_module_has_a_twin() -> None:
    twin = se.ann_twin(Holder(math))
    assert twin.held is math
    assert isinstance(twin.neuron, nn.ReLU)


def test_what_cannot_be_copied_is_named() -> None:
    with pytest.raises(TraceError, match=r"^ann_twin: Holder cannot be copied \(TypeError: .*generator.*\); "):
        se.ann_twin(Holder(each for each in ()))


def test_time_is_averaged_away() -> None:
    frames = torch.tensor([[[1.0, 0.0]], [[3.0, 0.0]]])  # [T, N, F]
    torch.testing.assert_close(at_one_step(frames, 0), torch.tensor([[[2.0, 0.0]]]))
    assert at_one_step(frames, None) is frames


def test_fvcore_agrees_on_the_twin() -> None:
    twin, x = se.ann_twin(snn()), torch.rand(1, 1, 8, 8)
    opinion = second_opinion(twin, (x,), se.trace(twin, x))
    # 3x3 convolutions, padding taps counted: 8x8x9x4, 4x4x9x4x6; then the head
    assert opinion.ours == opinion.fvcore == 64 * 9 * 4 + 16 * 9 * 4 * 6 + 6 * 4 * 3
    assert opinion.agrees
    assert not any(row.explanation for row in opinion.rows)


def test_differences_from_fvcore_are_explained() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(8, 8), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.lstm(x)[0])

    net, x = Net().eval(), torch.rand(4, 1, 8)
    opinion = second_opinion(net, (x,), se.trace(net, x))
    row = opinion.rows[0]
    assert (row.ours, row.fvcore) == (2048 + 64, 64)  # trap T13
    assert row.explanation == "fvcore has no row for recurrent layers"
    assert not opinion.agrees


def test_compare_refuses_to_compare_prices() -> None:
    model, x = snn(), torch.rand(1, 1, 8, 8)
    own, ann = se.trace(model, x), se.trace(se.ann_twin(model), x)
    comparison = se.compare(se.price(own), se.price(ann))
    assert comparison.ratio == pytest.approx(se.price(ann).energy_pj / se.price(own).energy_pj)
    with pytest.raises(UsageError, match="different hardware"):
        se.compare(se.price(own), se.price(ann, hardware="horowitz-45nm-int8"))
    with pytest.raises(UsageError, match="different methods"):
        se.compare(se.price(own), se.price(ann, method="arithmetic-zero-skipping"))
