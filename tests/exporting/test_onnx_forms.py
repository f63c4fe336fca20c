"""The three forms: the same logits and the same spikes as the network, and, profiled, the same counts."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from lively_network import lively
from torch import Tensor, nn

import snn_energy as se
from snn_energy.errors import UsageError
from snn_energy.exporting import ExportError, ExportRefused, export_onnx
from snn_energy.models import SpikingRecurrent, build, fold, load_checkpoint, pretrained

FORMS = ("unrolled", "step", "sequence")


def properties(holder):
    return {entry.key: entry.value for entry in holder.metadata_props}


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def facts(trace):
    """All that a form must not change: what ran, not in how many calls."""
    layers = [
        (one.name, one.dense_macs, one.connections, one.events, one.effective_events, one.acs, one.macs,
         one.spikes, one.elements, str(one.operand))
        for one in trace.layers
    ]  # fmt: skip
    neurons = [(one.name, one.updates, one.spikes_per_step, one.state_elements) for one in trace.neurons]
    # A batch norm that the file folds into the weights adds a shift in the network, and none in the file.
    other = [
        (one.name, one.kind.replace("amax", "max"), one.adds, one.muls, one.compares, one.specials)
        for one in trace.elementwise
        if one.kind != "batch_norm (folded)"
    ]
    return sorted(layers), sorted(neurons), sorted(other)


@pytest.fixture(scope="module")
def frames(digits):
    """Three different frames for each of six samples, `t n 1 8 8`."""
    return digits[:18].reshape(3, 6, 1, 8, 8)


@pytest.fixture(scope="module")
def files(snapped, frames, tmp_path_factory):
    """Every form of one network on frames, whose first convolution runs at every time step."""
    folder = tmp_path_factory.mktemp("forms")
    return {
        form: export_onnx(snapped, frames, folder / f"{form}.onnx", form=form, frames=True, verify=frames)
        for form in FORMS
    }


@pytest.mark.parametrize("form", FORMS)
def test_logits_are_bit_equal_and_every_spike_is_the_networks(files, form):
    agreement = files[form].agreement
    # 6 samples, 3 time steps, 4 maps of 8 x 8 and 6 of 4 x 4.
    assert (agreement.spikes, agreement.spikes_apart) == (6 * 3 * (4 * 64 + 6 * 16), 0)
    assert agreement.within(1e-6)
    assert agreement.same_class == 6


@pytest.mark.parametrize("form", FORMS)
def test_a_file_profiles_to_the_counts_of_the_network(files, snapped, frames, form):
    expected = se.trace(snapped, frames, batch_axis=1)
    found = se.trace(str(files[form].path), frames, batch_axis=1)
    assert facts(found) == facts(expected)
    assert found.coverage.complete
    assert min(neuron.spikes for neuron in expected.neurons) > 0


def test_the_step_form_run_by_hand_is_the_network(files, snapped, frames):
    """Nothing of ours between the file and onnxruntime: feed the state back, average the logits."""
    run = session(files["step"].path)
    names = [entry.name for entry in run.get_inputs()]
    assert names == ["frame", "blocks.0.neuron.membrane", "blocks.1.neuron.membrane"]
    assert [entry.name for entry in run.get_outputs()] == ["logits", *(f"{name}.next" for name in names[1:])]
    state = [np.zeros((6, 4, 8, 8), np.float32), np.zeros((6, 6, 4, 4), np.float32)]
    logits = []
    for frame in frames.numpy():
        out, *state = run.run(None, dict(zip(names, [frame, *state], strict=True)))
        logits.append(out)
    with torch.no_grad():
        np.testing.assert_allclose(np.mean(logits, 0), snapped(frames).numpy(), rtol=0, atol=1e-5)
    written = json.loads(properties(onnx.load(files["step"].path))["snn_energy.states"])
    assert [(entry["input"], entry["rest"], entry["shape"][0]) for entry in written] == [
        (name, 0.0, "batch") for name in names[1:]
    ]


def test_the_sequence_form_takes_any_number_of_time_steps(files, snapped, digits):
    run = session(files["sequence"].path)
    shown = digits[:10].reshape(5, 2, 1, 8, 8)
    with torch.no_grad():
        expected = snapped(shown).numpy()
    np.testing.assert_allclose(run.run(None, {"frames": shown.numpy()})[0], expected, rtol=0, atol=1e-5)
    (info,) = onnx.load(files["sequence"].path).graph.input
    assert [axis.dim_param or axis.dim_value for axis in info.type.tensor_type.shape.dim] == ["time", "batch", 1, 8, 8]


@pytest.mark.parametrize("form", FORMS)
def test_names_are_module_paths_and_operators_are_standard(files, snapped, form):
    proto = onnx.load(files[form].path)
    assert proto.ir_version >= 10
    modules = dict(snapped.named_modules())
    graphs = [proto.graph]
    for graph in graphs:
        graphs += [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    nodes = [node for graph in graphs for node in graph.node]
    names = [node.name for node in nodes]
    assert len(set(names)) == len(names)
    assert {"blocks.0.conv", "blocks.1.conv", "head"} <= set(names)
    assert {node.domain for node in nodes} == {""}
    assert all(properties(node).get("snn_energy.module", "") in modules for node in nodes)
    fired = [node for node in nodes if node.op_type == "GreaterOrEqual"]
    assert {properties(node)["snn_energy.threshold"] for node in fired} == {"1.0"}
    stored = {weight.name for graph in graphs for weight in graph.initializer}
    assert set(snapped.state_dict()) <= stored
    shaped_throughout(graphs)


def shaped_throughout(graphs):
    """Every result of every node has a type and a shape, with no axis unknown."""
    for graph in graphs:
        known = {info.name: info.type.tensor_type.shape.dim for info in (*graph.value_info, *graph.output)}
        for value in (value for node in graph.node for value in node.output):
            assert all(axis.dim_param or axis.HasField("dim_value") for axis in known[value]), value


@pytest.mark.slow
def test_a_network_on_images_is_shown_them_at_every_step(tmp_path):
    """Where the first layer runs at every time step anyway, step and sequence count as the network does on images."""
    from networks import vgg

    net, x = vgg()
    expected = facts(se.trace(net, x))
    for form in ("step", "sequence"):
        done = export_onnx(net, x, tmp_path / "net.onnx", form=form, verify=x)
        assert done.agreement.spikes_apart == 0
        assert facts(se.trace(str(done.path), x)) == expected


def recurrent():
    torch.manual_seed(0)
    net = SpikingRecurrent(inputs=5, classes=3, widths=(6, 4), neuron="alif", time_steps=4).eval()
    with torch.no_grad():
        for value in net.parameters():
            value.mul_(3)
    return net, (torch.rand(4, 2, 5) < 0.5).float()


@pytest.mark.parametrize(
    "form", ["sequence", *(pytest.param(form, marks=pytest.mark.slow) for form in ("unrolled", "step"))]
)
def test_spikes_that_come_back_and_a_leaking_read_out_are_carried(form, tmp_path):
    net, events = recurrent()
    done = export_onnx(net, events, tmp_path / "net.onnx", form=form, frames=True, verify=events)
    assert done.agreement.spikes_apart == 0
    assert done.agreement.spikes == 4 * 2 * (6 + 4)
    if form != "unrolled":
        assert set(done.states) == {
            *(f"layers.{i}.{state}" for i in (0, 1) for state in ("spikes", "neuron.membrane", "neuron.adaptation")),
            "readout.membrane",
        }
        assert done.metadata["snn_energy.readout"] == "max"
    assert facts(se.trace(str(done.path), events, batch_axis=1)) == facts(se.trace(net, events, batch_axis=1))


class Counting(nn.Module):
    """A network of one time step for each call: its membrane and a counter that nothing reads are attributes."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.membrane = 0.5
        self.seen = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + 1
        self.membrane = self.membrane * 0.5 + self.layer(x)
        fired = (self.membrane > 0.6).float()
        self.membrane = self.membrane - fired
        return fired


def by_hand(net, frames):
    """The equations of `Counting`, in numpy."""
    weight, bias = net.layer.weight.detach().numpy(), net.layer.bias.detach().numpy()
    membrane, outputs = np.float32(0.5), []
    for frame in frames.numpy():
        membrane = membrane * np.float32(0.5) + frame @ weight.T + bias
        fired = (membrane > 0.6).astype(np.float32)
        membrane = membrane - fired
        outputs.append(fired)
    return np.stack(outputs)


def test_state_in_attributes_is_found_and_starts_where_the_network_does(tmp_path):
    torch.manual_seed(1)
    net, frames = Counting(), torch.randn(5, 7, 4)
    done = export_onnx(net, frames[0], tmp_path / "step.onnx", form="step", time_steps=5, verify=frames[0])
    assert done.states == ("membrane",), "a counter that no output depends on is no state"
    assert json.loads(done.metadata["snn_energy.states"])[0]["rest"] == 0.5
    assert done.agreement.bit_equal
    assert net.membrane == 0.5, "the network stays as it is"
    sequence = export_onnx(net, frames[0], tmp_path / "all.onnx", form="sequence", time_steps=5, readout="stack")
    expected = by_hand(net, frames)
    assert 0 < expected.mean() < 1
    np.testing.assert_array_equal(session(sequence.path).run(None, {"frames": frames.numpy()})[0], expected)


def test_a_network_of_one_step_is_unrolled_over_the_steps_asked_for(tmp_path):
    torch.manual_seed(1)
    net, x = Counting(), torch.randn(7, 4)
    done = export_onnx(net, x, tmp_path / "net.onnx", time_steps=3, readout="sum", verify=x)
    expected = by_hand(net, x.expand(3, 7, 4)).sum(0)
    np.testing.assert_array_equal(session(done.path).run(None, {"images": x.numpy()})[0], expected)
    assert done.metadata["snn_energy.time_steps"] == "3"


class Returning(nn.Module):
    """A network that returns its state behind its output, and takes it back."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        charged = self.layer(x) + (0 if state is None else state)
        fired = (charged >= 0.5).float()
        return fired, charged * (1 - fired)


@pytest.mark.parametrize("form", FORMS)
def test_state_that_is_returned_and_taken_back_is_carried(form, tmp_path):
    torch.manual_seed(1)
    net, x = Returning(), torch.randn(7, 4)
    done = export_onnx(net, x, tmp_path / "net.onnx", form=form, time_steps=4, verify=x)
    assert done.agreement.within(1e-6)
    assert done.agreement.largest > 0


class Hidden(nn.Module):
    """A network whose state is no tensor: every second call passes nothing on."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * (self.calls % 2)


class Reversed(nn.Module):
    """Its output at a time step depends on later ones."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames.flip(0).cumsum(0)


@pytest.mark.parametrize("form", ["step", "sequence"])
def test_what_does_not_carry_over_is_refused_by_name(form, tmp_path):
    out = {"form": form, "path": tmp_path / "net.onnx"}
    with pytest.raises(ExportError, match=r"Hidden: cannot be exported one time step at a time: 4 steps"):
        export_onnx(Hidden(), torch.ones(2, 3), time_steps=4, **out)
    with pytest.raises(ExportError, match=r"Reversed: .* looks ahead in time"):
        export_onnx(Reversed(), torch.rand(3, 2, 4), frames=True, **out)
    assert not list(tmp_path.iterdir())


def test_windows_that_hand_membranes_on_have_no_single_step_at_more_than_one(tmp_path):
    from snn_energy.models import WindowedCNN

    torch.manual_seed(0)
    net = WindowedCNN(1, 3, 8, widths=(4,), depths=(1,), grid=2, time_steps=2, dilated=[[]]).eval()
    x = torch.rand(2, 1, 8, 8)
    with pytest.raises(ExportError, match=r"stages\.0\.blocks\.0\.unit\.neuron1 \(GroupLIF\): .*inside a time step"):
        export_onnx(net, x, tmp_path / "net.onnx", form="step")
    net.time_steps = 1
    done = export_onnx(net, x, tmp_path / "net.onnx", form="step", verify=x)
    assert done.states == ()
    assert done.agreement.spikes_apart == 0


WINDOWED = [
    pytest.param(name, form, marks=pytest.mark.slow)
    for name in ("windowed-cnn", "windowed-rnn", "pure-cnn")
    for form in FORMS
]


@pytest.mark.parametrize(("name", "form"), WINDOWED)
def test_windowed_networks_of_one_time_step_in_every_form(name, form, tmp_path):
    from networks import settle

    torch.manual_seed(0)
    net = build(name, in_channels=1, classes=3, image_size=8, widths=(4,), depths=(1,), dilated=[[]], time_steps=1)
    x = 4 * torch.rand(6, 1, 8, 8)
    settle(net, x)
    with torch.no_grad():
        for value in net.parameters():  # large enough that an LSTM, whose output is below 1, makes neurons fire
            value.mul_(5 if name == "windowed-rnn" else 1)
        net.head.weight.normal_()
    done = export_onnx(net, x, tmp_path / "net.onnx", form=form, verify=x)
    assert done.states == ()
    assert done.agreement.spikes_apart == 0
    expected, found = se.trace(net, x), se.trace(str(done.path), x)
    assert sum(neuron.spikes for neuron in expected.neurons) > 0
    assert facts(found)[:2] == facts(expected)[:2]


def test_measured_counts_and_rates_travel_on_layers_and_neurons(snapped, digits, tmp_path):
    trace = se.trace(snapped, digits[:20])
    done = export_onnx(snapped, digits[:2], tmp_path / "net.onnx", trace=trace, sidecar=tmp_path / "net.json")
    nodes = {node.name: properties(node) for node in onnx.load(done.path).graph.node}
    head = next(layer for layer in trace.layers if layer.name == "head")
    assert nodes["head"]["snn_energy.acs"] == str(head.acs)
    assert float(nodes["head"]["snn_energy.spike_rate"]) == head.spike_rate
    first = nodes["blocks.0.neuron/GreaterOrEqual_0"]
    assert float(first["snn_energy.spike_rate"]) == trace.neurons[0].spike_rate
    assert (first["snn_energy.kind"], first["snn_energy.reset"]) == ("lif", "hard")
    beside = json.loads((tmp_path / "net.json").read_text())
    assert beside["samples"] == 20
    assert {layer["name"]: layer["acs"] for layer in beside["layers"]} == {one.name: one.acs for one in trace.layers}
    assert [layer["nodes"] for layer in beside["layers"]] == [["blocks.0.conv"], ["blocks.1.conv"], ["head"]]


def test_int8_weights_of_a_snapped_network_are_the_weights(snapped, digits, tmp_path):
    plain = export_onnx(snapped, digits[:2], tmp_path / "plain.onnx")
    done = export_onnx(snapped, digits[:2], tmp_path / "int8.onnx", int8=True, verify=digits[:50])
    assert done.losses == ()
    assert done.agreement.bit_equal
    assert done.agreement.spikes_apart == 0
    shaped_throughout([onnx.load(done.path).graph])
    stored = {weight.name: onnx.numpy_helper.to_array(weight) for weight in onnx.load(done.path).graph.initializer}
    for name, value in snapped.state_dict().items():
        if value.dim() > 1:
            integers, scale = stored[f"{name}_quantized"], stored[f"{name}_scale"]
            assert integers.dtype == np.int8
            np.testing.assert_array_equal(np.moveaxis(integers, 0, -1) * scale, np.moveaxis(value.numpy(), 0, -1))
    assert facts(se.trace(str(done.path), digits[:9])) == facts(se.trace(str(plain.path), digits[:9]))


def test_int8_of_other_weights_is_a_loss_that_force_writes_down(digits, tmp_path):
    net = fold(lively())
    with pytest.raises(ExportRefused, match=r"cannot hold the exact weights \(blocks\.0\.conv\.weight, .*snap"):
        export_onnx(net, digits[:2], tmp_path / "net.onnx", int8=True)
    assert not list(tmp_path.iterdir())
    done = export_onnx(net, digits[:2], tmp_path / "net.onnx", int8=True, force=True, verify=digits[:50])
    listed = json.loads(properties(onnx.load(done.path))["snn_energy.losses"])
    assert [loss["where"] for loss in listed] == ["blocks.0.conv.weight", "blocks.1.conv.weight", "head.weight"]
    # Rounding to 127 levels moves a weight by at most half of one: logits move, though not far.
    assert done.agreement.max_abs_diff > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "stepp"}, r"form must be one of unrolled, step, sequence \(got 'stepp'\); did you mean step\?"),
        ({"time_steps": 0}, r"time_steps must be an integer >= 1 \(got 0\)"),
        ({"readout": "average"}, r"readout must be one of mean, max, sum, last, stack \(got 'average'\)"),
    ],
)
def test_unknown_words_are_refused(snapped, digits, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        export_onnx(snapped, digits[:2], tmp_path / "net.onnx", **options)


@pytest.mark.slow
def test_every_form_is_the_same_bytes_in_another_process(files, tmp_path):
    """The weights come from the unrolled file; the hash seed differs."""
    net = load_weights(files["unrolled"].path)
    torch.save(net, tmp_path / "weights.pt")
    program = (
        "import torch\n"
        "from snn_energy.exporting import export_onnx\n"
        "from snn_energy.models import SpikingCNN\n"
        "net = SpikingCNN(1, 10, 8, widths=(4, 6), time_steps=3, folded=True)\n"
        "net.load_state_dict(torch.load('weights.pt', weights_only=True))\n"
        "for form in ('step', 'sequence'):\n"
        "    export_onnx(net, torch.zeros(1, 1, 1, 8, 8), f'{form}.onnx', form=form, frames=True)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, env=environment("7"))
    for form in ("step", "sequence"):
        assert (tmp_path / f"{form}.onnx").read_bytes() == files[form].path.read_bytes()


def load_weights(path):
    names = ("blocks.0.conv.weight", "blocks.0.conv.bias", "blocks.1.conv.weight", "blocks.1.conv.bias")
    names += ("head.weight", "head.bias")
    stored = {weight.name: weight for weight in onnx.load(path).graph.initializer}
    return {name: torch.from_numpy(onnx.numpy_helper.to_array(stored[name]).copy()) for name in names}


def environment(seed):
    import os
    from pathlib import Path

    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": paths}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["fashion-cnn", "cifar10-vgg", "cifar10-pure-cnn"])
def test_shipped_networks_in_every_form(name, form, tmp_path):
    checkpoint = load_checkpoint(pretrained(name))
    draw = torch.Generator().manual_seed(0)
    images = checkpoint.input.apply(torch.randint(0, 256, (4, *checkpoint.input.shape), generator=draw).float())
    done = export_onnx(checkpoint.model, images[:2], tmp_path / "net.onnx", form=form, verify=images)
    assert done.agreement.spikes_apart == 0
    assert done.agreement.spikes > 0
