"""The windowed networks: the paper's totals, their equations window by window in plain Python, gradients, files."""

from __future__ import annotations

import copy
import math
from itertools import product
from pathlib import Path
from typing import Any

import brute
import pytest
import torch
from brute import RecurrentWeights
from torch import Tensor, nn

from snn_energy.errors import DataError, UsageError
from snn_energy.exporting.failures import ExportError
from snn_energy.exporting.onnx import export_onnx
from snn_energy.models import build, load_checkpoint, model_names, save_checkpoint
from snn_energy.models.inputs import unit_pixels
from snn_energy.models.surrogate import SURROGATES
from snn_energy.models.windowed import GroupLIF, Projection, WindowGrid, use_encoder
from snn_energy.models.windowed.cnn_unit import CNNUnit
from snn_energy.models.windowed.rnn_unit import RNNUnit

NAMES = ("windowed-cnn", "windowed-rnn")
each_network = pytest.mark.parametrize("name", NAMES)
TINY: dict[str, Any] = {"in_channels": 2, "classes": 3, "image_size": 8, "widths": (4, 8), "depths": (2, 1)}
DECAY, THRESHOLD, THETA = 0.4, 0.5, math.pi / 4


def network(name: str, **more: Any) -> nn.Module:
    """A tiny network whose neurons fire: weights are doubled, and the head, which starts at zero, is drawn."""
    torch.manual_seed(0)
    model = build(name, **{**TINY, **more})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.0 if parameter.dim() == 0 else 2.0)
        nn.init.normal_(model.head.weight)
    return model


def images(n: int = 3) -> Tensor:
    torch.manual_seed(1)
    return torch.rand(n, 2, 8, 8) * 2


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(("name", "published"), [("windowed-cnn", 13_885_402), ("windowed-rnn", 14_925_466)])
def test_parameters_of_the_paper(name: str, published: int) -> None:
    with torch.device("meta"):
        model = build(name, in_channels=3, classes=10, image_size=32)
    assert sum(parameter.numel() for parameter in model.parameters()) == published


def test_the_schedule_of_the_paper() -> None:
    """Dilated are 0.1, 1.1, 2.1, 2.3 and 2.5; the RNN takes 1,204 LSTM steps for an image, window by window."""
    with torch.device("meta"):
        model = build("windowed-rnn", in_channels=3, classes=10, image_size=32)
    grids = {(i, j): block.grid for i, stage in enumerate(model.stages) for j, block in enumerate(stage.blocks)}
    assert [place for place, grid in grids.items() if grid.dilated] == [(0, 1), (1, 1), (2, 1), (2, 3), (2, 5)]
    assert sum(grid.windows * grid.size**2 for grid in grids.values()) == 1204


def test_the_schedule_is_an_argument() -> None:
    model = build("windowed-cnn", **TINY, dilated=[[0, 1], []])
    assert [block.grid.dilated for stage in model.stages for block in stage.blocks] == [True, True, False]


def test_initial_weights() -> None:
    torch.manual_seed(0)
    model = build("windowed-rnn", in_channels=3, classes=10, image_size=32, widths=(48, 96), depths=(1, 1))
    block = model.stages[1].blocks[0]
    assert not model.head.weight.any()
    assert not block.fc.bias.any()
    assert 0 < block.mlp.fc1.bias.std() < 2e-6
    for parameter in block.unit.lstm.parameters():
        assert 0.95 / math.sqrt(96) < parameter.abs().max() <= 1 / math.sqrt(96)
    bound = math.sqrt(6 / (96 + 288))  # Xavier-uniform: fan-in 96, fan-out 288
    assert 0.99 * bound < block.mlp.fc1.weight.abs().max() <= bound
    model = build("windowed-cnn", in_channels=3, classes=10, image_size=32, widths=(48, 96), depths=(1, 1))
    conv = model.stages[1].blocks[0].unit.conv1
    # LeCun: variance 1 / fan-in, here of 83,000 draws
    assert conv.weight.std().item() == pytest.approx(1 / math.sqrt(9 * 96), rel=0.02)
    assert not conv.bias.any()


# ---------------------------------------------------------------- equations, in plain Python


def omega(a: float, b: float) -> float:
    return 2 * math.sin(THETA * a * math.cos(THETA * b))


def convolve(x: Any, conv: nn.Conv2d) -> Any:
    """3x3 with padding 1 on nested lists: x[row][column][channel]."""
    weight, bias = conv.weight.tolist(), conv.bias.tolist()  # type: ignore[union-attr]
    size = len(x)
    out = [[[0.0] * len(bias) for _ in range(size)] for _ in range(size)]
    for row, column, o in product(range(size), range(size), range(len(bias))):
        total = bias[o]
        for dy, dx, i in product((-1, 0, 1), (-1, 0, 1), range(len(x[0][0]))):
            if 0 <= row + dy < size and 0 <= column + dx < size:
                total += weight[o][i][dy + 1][dx + 1] * x[row + dy][column + dx][i]
        out[row][column][o] = total
    return out


def lif(currents: list[Any], start: Any) -> tuple[list[Any], Any]:
    """All time steps of one window, flat lists of neurons: U <- decay U (1 - S) + I, S = 1[U > threshold]."""
    volts, spikes, fired = list(start), [0.0] * len(start), []
    for current in currents:
        volts = [DECAY * u * (1 - s) + i for u, s, i in zip(volts, spikes, current)]
        spikes = [float(u > THRESHOLD) for u in volts]
        fired.append(spikes)
    return fired, volts


def to_window(flat: list[float], size: int, channels: int) -> Any:
    return [[flat[(r * size + c) * channels : (r * size + c + 1) * channels] for c in range(size)] for r in range(size)]


@pytest.mark.parametrize("steps", [1, 3])
def test_the_cnn_unit_by_hand(steps: int) -> None:
    """Window after window, in each window step after step."""
    torch.manual_seed(0)
    channels, size = 2, 2
    unit = CNNUnit(channels, GroupLIF, Projection()).double()
    with torch.no_grad():
        for parameter in unit.parameters():
            parameter.mul_(2)
    spikes = (torch.rand(4, steps, 1, size, size, channels, dtype=torch.float64) < 0.5).double()
    with torch.no_grad():
        got, _ = unit(spikes)
    neurons = channels * size**2
    u1, u2 = [0.0] * neurons, [0.0] * neurons
    fired = 0.0
    for k in range(4):
        start2 = [0.0] * neurons if k == 0 else [omega(a, b) for a, b in zip(u1, u2)]
        first = [brute.flat(convolve(spikes[k, t, 0].tolist(), unit.conv1)) for t in range(steps)]
        s1, u1 = lif(first, u1)
        second = [brute.flat(convolve(to_window(s1[t], size, channels), unit.conv2)) for t in range(steps)]
        s2, u2 = lif(second, start2)
        for t in range(steps):
            assert got[k, t, 0].flatten().tolist() == s2[t]
            fired += sum(s2[t])
    assert 0 < fired < 4 * steps * neurons


def bilstm(tokens: list[list[float]], lstm: nn.LSTM) -> list[list[float]]:
    outputs: list[list[float]] = [[] for _ in tokens]
    for suffix, order in (("", range(len(tokens))), ("_reverse", reversed(range(len(tokens))))):
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        w_ih, w_hh, b_ih, b_hh = (getattr(lstm, name + suffix).tolist() for name in names)
        weights = RecurrentWeights(w_ih=w_ih, w_hh=w_hh, b_ih=b_ih, b_hh=b_hh)
        h, c = [0.0] * len(w_hh[0]), [0.0] * len(w_hh[0])
        for t in order:
            _, h, c = brute.recurrent_step("lstm", tokens[t], h, c, weights)
            outputs[t] = outputs[t] + h
    return outputs


@pytest.mark.parametrize("dilated", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
def test_the_rnn_unit_by_hand(steps: int, dilated: bool) -> None:
    torch.manual_seed(0)
    channels, grid = 2, WindowGrid(4, 2, dilated)
    unit = RNNUnit(channels, grid, GroupLIF(), Projection()).double()
    with torch.no_grad():
        for parameter in unit.parameters():
            parameter.mul_(3)
    size = grid.size
    spikes = (torch.rand(4, steps, 1, size, size, channels, dtype=torch.float64) < 0.5).double()
    memory = torch.rand(1, 4, 4, 2 * channels, dtype=torch.float64)
    with torch.no_grad():
        got, after = unit(spikes, memory)
    corners = [(0, 0), (0, 4 - size), (4 - size, 0), (4 - size, 4 - size)]
    m = [memory[0, r : r + size, c : c + size].flatten().tolist() for r, c in corners]
    u: list[list[float]] = []
    fired = 0.0
    for k in range(4):
        a, b = ((m[0], m[1]), (u[0] if u else [], m[1]), (m[2], u[-1] if u else []), (m[3], u[-1] if u else []))[k]
        currents = [brute.flat(bilstm(spikes[k, t, 0].flatten(0, 1).tolist(), unit.lstm)) for t in range(steps)]
        s, volts = lif(currents, [omega(p, q) for p, q in zip(a, b)])
        u.append(volts)
        for t in range(steps):
            assert got[k, t, 0].flatten().tolist() == s[t]
            fired += sum(s[t])
    assert 0 < fired < 4 * steps * len(m[0])
    for row, column, channel in product(range(4), range(4), range(2 * channels)):
        values = [
            u[k][((row - r) * size + column - c) * 2 * channels + channel]
            for k, (r, c) in enumerate(corners)
            if r <= row < r + size and c <= column < c + size
        ]
        assert after[0, row, column, channel].item() == pytest.approx(sum(values) / len(values), abs=1e-12)


@each_network
def test_the_skeleton_by_hand(name: str) -> None:
    """Stem, blocks, merging and head with plain torch, around units that are tested above."""
    model, x = network(name).eval(), images()
    with torch.no_grad():
        out = model(x)
        y = nn.functional.conv2d(x, model.stem.weight, model.stem.bias, stride=2).permute(0, 2, 3, 1)
        memory = None
        for stage in model.stages:
            for block in stage.blocks:
                grid = block.grid
                windows = torch.stack([y[:, r : r + grid.size, c : c + grid.size] for r, c in grid.corners])
                spikes, memory = block.unit((windows > 0.5).float()[:, None], memory)
                weight, joined = torch.zeros(y.shape[:3]), torch.zeros(*y.shape[:3], spikes.shape[-1])
                for (r, c), window in zip(grid.corners, spikes[:, 0]):
                    weight[:, r : r + grid.size, c : c + grid.size] += 1
                    joined[:, r : r + grid.size, c : c + grid.size] += window
                y = y + block.fc(joined / weight[..., None])
                hidden = nn.functional.gelu(block.mlp.fc1(y))
                y = y + block.mlp.fc2(hidden)
            for merge in ("merge", "merge_memory"):
                module = getattr(stage, merge)
                if module is not None:
                    wide = y if merge == "merge" else memory
                    four = [wide[:, r::2, c::2] for r, c in product((0, 1), (0, 1))]
                    merged = torch.cat(four, -1) @ module.linear.weight.T
                    y, memory = (merged, memory) if merge == "merge" else (y, merged)
        torch.testing.assert_close(out, model.head(y.mean((1, 2))))


# ---------------------------------------------------------------- time


@each_network
def test_an_image_is_shown_at_every_step(name: str) -> None:
    model, x = network(name, time_steps=3).eval(), images()
    with torch.no_grad():
        assert torch.equal(model(x), model(torch.stack([x] * 3)))
        assert not torch.equal(model(x), model(torch.stack([x] * 2)))


@each_network
def test_nothing_is_kept_between_calls(name: str) -> None:
    model, x = network(name, time_steps=2).eval(), images()
    with torch.no_grad():
        assert torch.equal(model(x), model(x))


@each_network
def test_samples_do_not_mix(name: str) -> None:
    model, x = network(name, time_steps=2).eval(), images()
    with torch.no_grad():
        torch.testing.assert_close(model(x)[1:2], model(x[1:2]))


# ---------------------------------------------------------------- gradients


@each_network
@pytest.mark.parametrize("surrogate", sorted(SURROGATES))
@pytest.mark.parametrize("more", [{}, {"time_steps": 2, "learn_threshold": True, "condense": "or"}], ids=["T1", "T2"])
def test_every_parameter_gets_a_gradient(name: str, surrogate: str, more: dict[str, Any]) -> None:
    """None is cut off by an encoder: what lies before one is reached by the residual sums."""
    model = network(name, surrogate=surrogate, **more).train()
    model(images()).square().sum().backward()
    missing = [path for path, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert missing == []
    flat = [path for path, p in model.named_parameters() if not p.grad.any()]
    # One token per window: the last stage's recurrent weights only ever meet a state of zero.
    expected = [f"stages.1.blocks.0.unit.lstm.weight_hh_l0{way}" for way in ("", "_reverse")]
    assert flat == (expected if name == "windowed-rnn" else [])


@each_network
def test_features_get_no_gradient_through_the_unit(name: str) -> None:
    model = network(name).train()
    block, x = model.stages[0].blocks[0], torch.rand(1, 1, 4, 4, 4, requires_grad=True)
    out, _ = block(x, None)
    residual = torch.autograd.grad((out - block.mlp(out)).sum(), x, retain_graph=True)
    assert residual[0] is not None
    spikes, _ = block.unit(block.encoder(block.grid.cut(x)), None)
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        torch.autograd.grad(spikes.sum(), x)


@each_network
def test_mixed_precision(name: str) -> None:
    """In bfloat16 the gradients still arrive in the type of the parameters."""
    model = network(name, learn_threshold=True).train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = nn.functional.cross_entropy(model(images()), torch.tensor([0, 1, 2]))
    loss.backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype is torch.float32
        assert parameter.grad.isfinite().all()


@each_network
@pytest.mark.parametrize("more", [{}, {"projection": "mean"}, {"condense": "or"}, {"time_steps": 2}], ids=str)
def test_a_network_learns(name: str, more: dict[str, Any]) -> None:
    """From the initial weights, on six images of three classes; the head is 0, so the first guess is even."""
    torch.manual_seed(0)
    model = build(name, **TINY, **more).train()
    x, labels = images(6), torch.tensor([0, 1, 2, 0, 1, 2])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(3))
    assert sum(losses[-5:]) / 5 < 0.7 * math.log(3)


# ---------------------------------------------------------------- encoders, files, export


@each_network
def test_evaluation_is_deterministic_unless_asked_otherwise(name: str) -> None:
    model, x = network(name).eval(), images()
    with torch.no_grad():
        assert torch.equal(model(x), model(x))
        assert use_encoder(model, "bernoulli") == 3
        assert not torch.equal(model(x), model(x))
    assert model.constructor_args()["eval_encoder"] == "bernoulli"


@each_network
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_checkpoints(name: str, suffix: str, tmp_path: Path) -> None:
    more = {"time_steps": 2, "learn_threshold": True, "dilated": [[0], []], "encoder": "deterministic", "grid": 2}
    model = network(name, **more).eval()
    classes = ("a", "b", "c")
    path = save_checkpoint(
        tmp_path / f"net{suffix}", model, input=unit_pixels(2, 8, 8), classes=classes, dataset="none", training={}
    )
    again = load_checkpoint(path)
    assert (again.model_name, again.time_steps) == (name, 2)
    assert again.model.constructor_args() == model.constructor_args()
    with torch.no_grad():
        assert torch.equal(again.model(images()), model(images()))


LSTM_WRITES_TO_ITSELF = pytest.mark.filterwarnings("ignore:The tensor attribute")
SMALLEST: dict[str, Any] = {"widths": (4,), "depths": (1,), "image_size": 4, "dilated": [[]]}


@each_network
@LSTM_WRITES_TO_ITSELF
def test_torch_export(name: str) -> None:
    model, x = network(name, **SMALLEST).eval(), torch.rand(3, 2, 4, 4) * 2
    program = torch.export.export(model, (x,))
    with torch.no_grad():
        torch.testing.assert_close(program.module()(x), model(x))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more"),
    [("windowed-cnn", {"time_steps": 2, "condense": "or", "learn_threshold": True}), ("windowed-rnn", {})],
)
def test_onnx_with_the_deterministic_encoder(name: str, more: dict[str, Any], tmp_path: Path) -> None:
    model, x = network(name, **more).eval(), images()
    written = export_onnx(model, x, tmp_path / "net.onnx", verify=images(8))
    assert written.agreement is not None
    assert written.agreement.same_class == 8


@pytest.mark.slow
def test_onnx_refuses_the_random_encoder(tmp_path: Path) -> None:
    model = network("windowed-cnn", **SMALLEST, eval_encoder="bernoulli")
    with pytest.raises(ExportError, match=r"SpikeEncoder\)\): it draws random numbers"):
        export_onnx(model, torch.rand(3, 2, 4, 4), tmp_path / "net.onnx")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of itself
def test_a_compiled_network_has_the_same_gradients() -> None:
    more = {"time_steps": 2, "condense": "or", "learn_threshold": True}
    model, x = network("windowed-cnn", encoder="deterministic", **more).double(), images().double()
    twin = copy.deepcopy(model)
    compiled = torch.compile(twin, backend="aot_eager")
    for each in (model, compiled):
        each(x).square().sum().backward()
    torch.testing.assert_close(compiled(x), model(x))
    for (path, own), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(other.grad, own.grad, msg=path)


# ---------------------------------------------------------------- registry and errors


@each_network
def test_constructor_args_build_it_again(name: str) -> None:
    assert name in model_names()
    model = build(name, **TINY, time_steps=7, projection="product", theta=1.0, condense="or", mlp_ratio=2)
    args = model.constructor_args()
    again = build(name, **args)
    assert again.constructor_args() == args
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


@each_network
@pytest.mark.parametrize("grid", [3, 4])
def test_larger_grids(name: str, grid: int) -> None:
    model = build(name, **{**TINY, "image_size": 4 * grid, "grid": grid, "dilated": [[1], []]}).eval()
    with torch.no_grad():
        assert model(torch.rand(2, 2, 4 * grid, 4 * grid)).shape == (2, 3)


@each_network
@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"time_steps": 0}, r"time_steps must be an integer >= 1 \(got 0\)"),
        ({"widths": (4, 6)}, r"twice as wide as the one before \(got widths \[4, 6\]\)"),
        ({"depths": (2,)}, "widths and depths need one number for each stage"),
        ({"depths": (2, 0)}, r"depths\[1\] must be an integer >= 1 \(got 0\)"),
        ({"image_size": 6}, r"image_size must be a multiple of 4, .* \(got 6\)"),
        ({"dilated": [[2], []]}, r"a list of its dilated blocks, counted from 0 \(got \[\[2\], \[\]\]"),
        ({"dilated": [[1]]}, "dilated must hold, for each of the 2 stages"),
        ({"dilated": [[1], [0]]}, r"plain windows 1 wide, on a map 2 wide"),
        ({"grid": 4, "dilated": [[], []]}, "a map 2 wide cannot be cut into 4 x 4"),
        ({"condense": "xor"}, "unknown condense rule 'xor'"),
        ({"encoder": "rate"}, "unknown encoder 'rate'"),
        ({"surrogate": "box"}, "unknown surrogate 'box'"),
        ({"colour": 1}, "see its constructor"),
    ],
)
def test_bad_arguments(name: str, args: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(name, **{**TINY, **args})


def test_a_recurrent_network_needs_two_windows() -> None:
    with pytest.raises(UsageError, match="grid must be at least 2"):
        build("windowed-rnn", **TINY, grid=1, dilated=[[], []])
    assert build("windowed-cnn", **TINY, grid=1, dilated=[[], []])(images()).shape == (3, 3)


@each_network
@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 2, 7, 8), (8, 8)])
def test_bad_shapes(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=f"{name}: expected images .*got \\[{', '.join(map(str, shape))}\\]"):
        build(name, **TINY)(torch.zeros(shape))
