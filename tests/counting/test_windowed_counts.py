"""What the windowed networks cost: the paper's totals, every count against nested loops, ANN twins, energies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import brute
import pytest
import torch
from agree import EVERYTHING, FACTS, pick, same
from torch import Tensor, nn

import snn_energy as se
from snn_energy.baselines.second_opinion import second_opinion
from snn_energy.baselines.twin import steps_kept
from snn_energy.models import build
from snn_energy.models.windowed import GroupLIF, SpikeEncoder

NAMES = ("windowed-cnn", "windowed-rnn")
each_network = pytest.mark.parametrize("name", NAMES)
TINY: dict[str, Any] = {"in_channels": 2, "classes": 3, "image_size": 8, "widths": (4, 8), "depths": (2, 1)}
CONV3 = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}


def network(name: str, **more: Any) -> nn.Module:
    torch.manual_seed(0)
    model = build(name, **{**TINY, **more}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
    return model


def images(n: int = 2) -> Tensor:
    torch.manual_seed(1)
    return torch.rand(n, 2, 8, 8) * 2


def run_with_inputs(model: nn.Module, x: Tensor) -> dict[str, tuple[list[Tensor], list[Tensor]]]:
    """First inputs and outputs of every module, call by call, of a run without any counting."""
    seen: dict[str, tuple[list[Tensor], list[Tensor]]] = {name: ([], []) for name, _ in model.named_modules()}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, args: Any, out: Any) -> None:
            seen[name][0].append(args[0])
            seen[name][1].append(out[0] if isinstance(out, tuple) else out)

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in model.named_modules()]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return seen


def blocks_of(model: nn.Module) -> Iterator[tuple[str, Any]]:
    for i, stage in enumerate(model.stages):
        for j, block in enumerate(stage.blocks):
            yield f"stages.{i}.blocks.{j}", block


# ---------------------------------------------------------------- against nested loops


@each_network
@pytest.mark.parametrize("more", [{}, {"time_steps": 2, "condense": "or"}], ids=["T1", "T2"])
def test_every_projection_against_nested_loops(name: str, more: dict[str, Any]) -> None:
    """Each layer's operands, caught in a plain run, counted one synapse at a time."""
    model, x = network(name, **more), images()
    facts = se.trace(model, x, strict=True)
    layers = {layer.name: layer for layer in facts.layers}
    seen = run_with_inputs(model, x)
    left = set(layers)
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            geometry = CONV3 if module.kernel_size == (3, 3) else {**CONV3, "stride": (2, 2), "padding": ((0, 0),) * 2}
            (operand,) = seen[path][0]
            same(layers[path], brute.conv(operand.tolist(), module.weight.tolist(), **geometry), FACTS)
            left.remove(path)
        elif isinstance(module, nn.Linear):
            rows = [operand.flatten(0, -2) for operand in seen[path][0]]
            same(layers[path], brute.linear(torch.cat(rows).tolist(), module.weight.tolist()), FACTS)
            left.remove(path)
        elif isinstance(module, nn.LSTM):
            (operand,) = seen[path][0]
            directions = [
                brute.RecurrentWeights(
                    **{
                        short: getattr(module, f"{long}_l0{way}").tolist()
                        for short, long in (
                            ("w_ih", "weight_ih"),
                            ("w_hh", "weight_hh"),
                            ("b_ih", "bias_ih"),
                            ("b_hh", "bias_hh"),
                        )
                    }
                )
                for way in ("", "_reverse")
            ]
            wanted = brute.recurrent("lstm", operand.transpose(0, 1).tolist(), [directions])
            for weight, tally in wanted.items():
                same(layers[f"{path}.{weight}"], tally, FACTS)
                left.remove(f"{path}.{weight}")
    assert left == set()


@each_network
def test_operand_classes(name: str) -> None:
    """Spikes where the method has spikes, quarters behind a condensed overlap, real numbers everywhere else."""
    layers = {layer.name: layer.operand for layer in se.trace(network(name), images(), strict=True).layers}
    for path, block in blocks_of(network(name)):
        binary = ["unit.conv1", "unit.conv2"] if name == "windowed-cnn" else ["unit.lstm.weight_ih_l0"]
        assert {layers[f"{path}.{part}"].kind for part in binary} == {"binary"}
        fc = layers[f"{path}.fc"]
        assert (fc.kind, fc.scale) == (("integer", 0.25) if block.grid.dilated else ("binary", 1.0))
        assert layers[f"{path}.mlp.fc1"].kind == layers[f"{path}.mlp.fc2"].kind == "real"
    assert layers["stem"].kind == layers["stages.0.merge.linear"].kind == layers["head"].kind == "real"
    if name == "windowed-rnn":
        assert layers["stages.0.blocks.0.unit.lstm.weight_hh_l0"].kind == "real"
        assert layers["stages.0.merge_memory.linear"].kind == "real"


@each_network
def test_the_region_threshold_makes_accumulates(name: str) -> None:
    layers = {layer.name: layer for layer in se.trace(network(name, condense="or"), images(), strict=True).layers}
    fc = layers["stages.0.blocks.1.fc"]
    assert fc.operand.kind == "binary"
    assert (fc.acs, fc.macs) == (fc.events, 0)
    assert fc.events > 0


@each_network
@pytest.mark.parametrize("steps", [1, 3])
def test_neurons_and_projections_against_nested_loops(name: str, steps: int) -> None:
    """One update for each window, step, position and channel; Omega for each window that starts from a membrane."""
    samples = 2
    model, x = network(name, time_steps=steps, learn_threshold=steps > 1), images(samples)
    facts, seen = se.trace(model, x, strict=True), run_with_inputs(model, x)
    neurons = {neuron.name: neuron for neuron in facts.neurons}
    arithmetic = {(record.name, record.kind): record for record in facts.elementwise}
    width = 1 if name == "windowed-cnn" else 2
    parts = ("neuron1", "neuron2") if name == "windowed-cnn" else ("neuron",)
    assert facts.time_steps == steps
    assert set(neurons) == {f"{path}.unit.{part}" for path, _ in blocks_of(model) for part in parts}
    for path, block in blocks_of(model):
        channels = block.fc.out_features * width
        updates = starts = encoded = 0
        for k, _sample in product(range(4), range(samples)):
            for _row, _column, _channel in product(range(block.grid.size), range(block.grid.size), range(channels)):
                updates += steps
                starts += 0 if name == "windowed-cnn" and k == 0 else 1
        for _ in product(range(4), range(samples), range(steps), range(block.grid.size**2), range(channels // width)):
            encoded += 1
        for part in parts:
            neuron = neurons[f"{path}.unit.{part}"]
            spikes = [sum(out[t].sum().item() for out in seen[f"{path}.unit.{part}"][1]) for t in range(steps)]
            assert (neuron.calls, neuron.updates) == (4, updates)
            assert (neuron.adds, neuron.muls, neuron.compares, neuron.specials) == (updates, updates, updates, 0)
            assert list(neuron.spikes_per_step) == spikes
            assert neuron.state_elements == block.grid.size**2 * channels
        omega = f"{path}.unit.projection"
        assert arithmetic[omega, "mul"].muls == 4 * starts
        assert (arithmetic[omega, "sin"].specials, arithmetic[omega, "cos"].specials) == (starts, starts)
        assert arithmetic[f"{path}.encoder", "gt"].compares == encoded


@pytest.mark.parametrize(("variant", "adds", "muls", "specials"), [("mean", 1, 1, 0), ("sum", 1, 0, 0)])
def test_the_other_projections_cost_less(variant: str, adds: int, muls: int, specials: int) -> None:
    facts = se.trace(network("windowed-cnn", projection=variant), images(1), strict=True)
    starts = 3 * 2 * 2 * 4  # three windows of 2 x 2 positions and 4 channels
    own = [record for record in facts.elementwise if record.name == "stages.0.blocks.0.unit.projection"]
    found = tuple(sum(getattr(record, what) for record in own) for what in ("adds", "muls", "specials"))
    assert found == (adds * starts, muls * starts, specials * starts)


@pytest.mark.parametrize("rule", ["average", "or"])
def test_what_a_condensed_overlap_costs(rule: str) -> None:
    """n - 1 additions and one multiplication where n windows overlap; n - 1 comparisons for an OR."""
    facts = se.trace(network("windowed-cnn", condense=rule), images(2), strict=True)
    totals = {}
    for path in ("stages.0.blocks.0.condense", "stages.0.blocks.1.condense"):
        own = [record for record in facts.elementwise if record.name == path]
        totals[path] = tuple(sum(getattr(record, what) for record in own) for what in ("adds", "muls", "compares"))
    joins = scaled = 0
    for row, column, _channel, _sample in product(range(4), range(4), range(4), range(2)):
        # dilated windows of a map 4 wide are 3 wide, at 0 and at 1
        n = sum(top <= row < top + 3 and left <= column < left + 3 for top, left in product((0, 1), (0, 1)))
        joins += n - 1
        scaled += n > 1
    assert totals["stages.0.blocks.0.condense"] == (0, 0, 0)
    assert totals["stages.0.blocks.1.condense"] == ((joins, scaled, 0) if rule == "average" else (0, 0, joins))


@each_network
def test_random_encoders_are_counted(name: str) -> None:
    """A draw is one special for each element, beside the comparison."""
    facts = se.trace(network(name, eval_encoder="bernoulli"), images(2), strict=True)
    own = {record.kind: record for record in facts.elementwise if record.name == "stages.0.blocks.1.encoder"}
    elements = 4 * 2 * 3 * 3 * 4
    assert (own["gt"].compares, own["rand_like"].specials) == (elements, elements)


@each_network
def test_batches_add_up(name: str) -> None:
    model, x = network(name, time_steps=2).double(), images(3).double()  # so that no rounding moves a spike
    whole = se.trace(model, x, strict=True)
    parts = se.trace(model, [x[:1], x[1:]], strict=True)
    for one, other in zip(whole.layers, parts.layers, strict=True):
        names = [fact for fact in EVERYTHING if fact not in ("weights", "zero_weights")]
        assert pick(one, names) == pick(other, names)
    for one, other in zip(whole.neurons, parts.neurons, strict=True):
        assert (one.updates, one.spikes_per_step) == (other.updates, other.spikes_per_step)


# ---------------------------------------------------------------- the paper's totals


@cache
def paper(name: str) -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    model = build(name, in_channels=3, classes=10, image_size=32).eval()
    return model, se.trace(model, torch.rand(1, 3, 32, 32), strict=True)


PUBLISHED = {"windowed-cnn": 246_992_640, "windowed-rnn": 246_697_728}


@each_network
def test_dense_macs_of_the_paper(name: str) -> None:
    assert paper(name)[1].dense_macs == PUBLISHED[name]


def test_the_paper_s_blocks() -> None:
    """Plain: convolutions 2 x 5,308,416, FC 589,824, MLP 2 x 1,769,472; a dilated block's window costs 2.25 times."""
    model, facts = paper("windowed-cnn")
    macs = {layer.name: layer.dense_macs for layer in facts.layers}
    for path, block in blocks_of(model):
        conv = 5_308_416 * 9 // 4 if block.grid.dilated else 5_308_416
        assert [macs[f"{path}.unit.{part}"] for part in ("conv1", "conv2")] == [conv, conv]
        assert macs[f"{path}.fc"] == 589_824
        assert [macs[f"{path}.mlp.{part}"] for part in ("fc1", "fc2")] == [1_769_472, 1_769_472]


def spiking(layer: Any) -> bool:
    """Whether the method feeds this projection spikes."""
    return layer.name.endswith((".conv1", ".conv2", ".fc", ".weight_ih_l0", ".weight_ih_l0_reverse"))


def dense(facts: Any, *, spikes: bool) -> int:
    return sum(layer.dense_macs for layer in facts.layers if spiking(layer) == spikes)


def price(action: str) -> float:
    return se.load_hardware("horowitz-45nm-fp32").energy_pj[action].value_pj


def test_the_classes_in_the_trace_are_those_of_the_method() -> None:
    _, facts = paper("windowed-cnn")
    assert {layer.operand.kind for layer in facts.layers if not spiking(layer)} == {"real"}
    assert {layer.operand.kind for layer in facts.layers if spiking(layer)} <= {"binary", "integer", "silent"}
    assert facts.macs == dense(facts, spikes=False)


@pytest.mark.parametrize(("rate", "microjoules", "ratio"), [(0.05, 221, 5.13), (0.25, 258, 4.41), (0.50, 303, 3.75)])
def test_the_strict_energies_of_the_paper(rate: float, microjoules: int, ratio: float) -> None:
    """Every real operand a MAC, every spike an accumulate, padding taps included as the paper's totals have them."""
    _, facts = paper("windowed-cnn")
    strict = price("mac") * dense(facts, spikes=False) + rate * price("ac") * dense(facts, spikes=True)
    assert round(strict / 1e6) == microjoules
    assert round(price("mac") * facts.dense_macs / strict, 2) == ratio


@pytest.mark.parametrize(("rate", "microjoules", "ratio"), [(0.05, 11.1, 102), (0.25, 55.6, 20), (0.50, 111, 10.2)])
def test_the_energies_if_every_operation_was_an_accumulate(rate: float, microjoules: float, ratio: float) -> None:
    _, facts = paper("windowed-cnn")
    claimed = rate * price("ac") * facts.dense_macs
    assert claimed / 1e6 == pytest.approx(microjoules, abs=0.5 if microjoules > 100 else 0.05)
    assert price("mac") * facts.dense_macs / claimed == pytest.approx(ratio, abs=0.5 if ratio > 11 else 0.05)


@pytest.mark.parametrize(("name", "bound"), [("windowed-cnn", 5.35), ("windowed-rnn", 1.68)])
def test_what_strict_counting_can_never_exceed(name: str, bound: float) -> None:
    _, facts = paper(name)
    assert math.floor(100 * facts.dense_macs / dense(facts, spikes=False)) / 100 == bound


# ---------------------------------------------------------------- twins


@each_network
def test_the_twin_costs_the_paper_s_dense_macs(name: str) -> None:
    model, facts = paper(name)
    twin, x = se.ann_twin(model), torch.rand(1, 3, 32, 32)
    other = se.trace(twin, x, strict=True)
    assert other.dense_macs == PUBLISHED[name]
    assert [layer.name for layer in other.layers] == [layer.name for layer in facts.layers]
    assert not other.neurons
    assert steps_kept(facts, other) == 1
    opinion = second_opinion(twin, (x,), other)
    assert opinion.ours == PUBLISHED[name]
    if name == "windowed-cnn":
        assert opinion.fvcore == PUBLISHED[name]
        assert opinion.agrees
    else:  # fvcore does not see the LSTMs: 16 c^2 for each token of each window
        tokens = [(4 * block.grid.size**2, block.fc.out_features) for _, block in blocks_of(model)]
        assert opinion.fvcore == PUBLISHED[name] - sum(16 * n * c**2 for n, c in tokens)


@each_network
def test_the_twin_has_neither_spikes_nor_time(name: str) -> None:
    model = network(name, time_steps=3)
    twin = se.ann_twin(model)
    assert twin.time_steps == 1
    assert not any(isinstance(module, GroupLIF | SpikeEncoder) for module in twin.modules())
    assert any(isinstance(module, GroupLIF) for module in model.modules()), "the network itself was changed"
    own, ann = se.trace(model, images(), strict=True), se.trace(twin, images(), strict=True)
    assert not any(record.kind in ("sin", "cos", "gt") for record in ann.elementwise)
    rectified = {record.name: record.compares for record in ann.elementwise if record.kind == "relu"}
    assert rectified == {neuron.name: neuron.updates // 3 for neuron in own.neurons}


def test_the_cnn_twin_computes_its_relu_network() -> None:
    model, x = network("windowed-cnn", condense="average"), torch.rand(1, 2, 4, 4, 4)
    block, twin = model.stages[0].blocks[1], se.ann_twin(model).stages[0].blocks[1]
    with torch.no_grad():
        windows = torch.stack([x[:, :, r : r + 3, c : c + 3] for r, c in product((0, 1), (0, 1))])
        hidden = windows.flatten(0, 2).permute(0, 3, 1, 2)
        for conv in (block.unit.conv1, block.unit.conv2):
            hidden = torch.relu(conv(hidden))
        hidden = hidden.permute(0, 2, 3, 1).reshape(windows.shape)
        total, n = torch.zeros_like(x), torch.zeros(4, 4, 1)
        for k, (r, c) in enumerate(product((0, 1), (0, 1))):
            total[:, :, r : r + 3, c : c + 3] += hidden[k]
            n[r : r + 3, c : c + 3] += 1
        y = x + block.fc(total / n)
        torch.testing.assert_close(twin(x, None)[0], y + block.mlp(y))


def test_the_rnn_twin_computes_its_relu_network() -> None:
    """The membrane map is a skip connection from block to block: u = m + I, S = ReLU(u)."""
    model = network("windowed-rnn")
    x, memory = torch.rand(1, 2, 4, 4, 4), torch.randn(2, 4, 4, 8)
    block, twin = model.stages[0].blocks[0], se.ann_twin(model).stages[0].blocks[0]
    with torch.no_grad():
        joined = torch.zeros(2, 4, 4, 8)
        for r, c in product((0, 2), (0, 2)):
            tokens = x[0, :, r : r + 2, c : c + 2].flatten(1, 2)
            joined[:, r : r + 2, c : c + 2] = block.unit.lstm(tokens)[0].reshape(2, 2, 2, 8)
        joined += memory
        y = x + block.fc(torch.relu(joined))
        out, after = twin(x, memory)
        torch.testing.assert_close(after, joined)
        torch.testing.assert_close(out, y + block.mlp(y))


@each_network
def test_network_and_twin_are_priced(name: str) -> None:
    model, x = network(name), images()
    comparison = se.compare(se.profile(model, x), se.profile(se.ann_twin(model), x))
    assert comparison.ratio is not None
    assert comparison.ratio > 1
