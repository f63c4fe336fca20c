"""Simulator inputs that hold every spike: what is in the files is what the network was fed, spike for spike."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
import torch
from layer_traces import Stepped
from networks import BATCH_AXIS, NETWORKS
from torch import nn

import snn_energy as se
from snn_energy.errors import DataError, UsageError
from snn_energy.exporting import ExportError
from snn_energy.exporting.losses import ExportRefused
from snn_energy.exporting.simulators.loas import export_loas
from snn_energy.exporting.simulators.prosperity import export_prosperity
from snn_energy.exporting.simulators.sanafe import Chip, export_sanafe
from snn_energy.exporting.simulators.spikes import patches, record_spikes
from snn_energy.exporting.simulators.workload import workloads_of


def recorded(model, x, **options):
    trace = se.trace(model, x, **options)
    return trace, record_spikes(model, x, trace, workloads_of(trace)[0], **options)


def spikes(*shape, rate=0.3):
    return (torch.rand(*shape) < rate).float()


def nested_patches(image, kernel, stride, padding, dilation):
    """[c h w] -> one row for each position: channel, tap down, tap right, in this order; 0 beyond the image."""
    channels, height, width = image.shape
    rows = []
    reach = [(k - 1) * d for k, d in zip(kernel, dilation)]
    for top in range(-padding[0], height + padding[0] - reach[0], stride[0]):
        for left in range(-padding[1], width + padding[1] - reach[1], stride[1]):
            row = []
            for c in range(channels):
                for i in range(kernel[0]):
                    for j in range(kernel[1]):
                        y, x = top + i * dilation[0], left + j * dilation[1]
                        row.append(bool(image[c, y, x]) if 0 <= y < height and 0 <= x < width else False)
            rows.append(row)
    return rows


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0)},
        {"kernel_size": 2, "dilation": (2, 1), "padding": (0, 1), "groups": 2},
    ],
)
def test_patches_equal_nested_loops(options):
    conv = nn.Conv2d(2, 4, **options)
    x = spikes(2, 3, 2, 7, 6)
    trace, recording = recorded(Stepped(conv), x)
    (train,) = recording.trains
    expected = [
        [nested_patches(step, conv.kernel_size, conv.stride, conv.padding, conv.dilation) for step in sample]
        for sample in x
    ]
    assert patches(train).tolist() == expected
    assert recording.losses == ()
    assert int(np.sum(expected)) * 4 // conv.groups == trace.events


@pytest.mark.parametrize("name", ["vgg", "spiking-transformer", "recurrent", "pruned"])
@pytest.mark.parametrize("stepped", [False, True])
def test_the_recorded_spikes_of_a_network_are_the_counted_ones(name, stepped):
    model, x = NETWORKS[name]("small", stepped)
    trace, recording = recorded(model, x, batch_axis=BATCH_AXIS[name])
    layers = {layer.name: layer for layer in trace.layers}
    assert len(recording.trains) >= 2
    for train in recording.trains:
        layer = layers[train.work.name]
        assert int(train.spikes.sum()) == layer.spikes
        assert train.spikes.size == layer.elements
        assert int(patches(train).sum()) * train.work.product.n == layer.events
    losses = (*recording.losses, *workloads_of(trace)[1])
    assert {train.work.name for train in recording.trains} | {loss.where for loss in losses} == set(layers)


def test_a_network_that_answers_another_way_the_second_time_is_refused():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(64, 2)

        def forward(self, x):
            return self.head((torch.rand_like(x) < 0.5).float())

    net, x = Noisy(), torch.ones(2, 64)
    trace = se.trace(net, x)
    with pytest.raises(ExportError, match=r"head: recorded \d+ spikes \(expected the \d+ of the trace"):
        record_spikes(net, x, trace, workloads_of(trace)[0])
    with pytest.raises(DataError, match="1 inputs"):
        record_spikes(net, x[:1], trace, workloads_of(trace)[0])


def test_padding_that_is_not_zero_is_refused(tmp_path):
    net, x = Stepped(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")), spikes(1, 2, 1, 5, 5)
    with pytest.raises(ExportRefused, match="circular padding"):
        export_loas(net, x, se.trace(net, x), tmp_path)


def test_recording_leaves_modes_and_hooks_as_they_were():
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    net[1].eval()
    before = [module.training for module in net.modules()]
    recorded(net, spikes(2, 4))
    assert [module.training for module in net.modules()] == before
    assert not any(module._forward_pre_hooks for module in net.modules())


# SANA-FE ---------------------------------------------------------------------------------------------------------


def test_sanafe_replays_these_very_spikes(tmp_path):
    linear = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]]))
    x = torch.tensor([[[1.0, 0, 0], [1, 0, 1]]])
    net = Stepped(linear)
    trace = se.trace(net, x, time_steps=2)
    export_sanafe(net, x, trace, tmp_path)
    assert (tmp_path / "network.yaml").read_text() == (
        "# Replays the spikes of 1 samples, 2 time steps each, on loihi.\n"
        "# l0: layer\n"
        "network:\n"
        "  name: replay\n"
        "  groups:\n"
        "    - name: l0_in\n"
        "      attributes: {}\n"
        "      neurons:\n"
        "        - 0: {spikes: [1, 1]}\n"
        "        - 1: {}\n"
        "        - 2: {spikes: [0, 1]}\n"
        "    - name: l0_out\n"
        "      attributes: {threshold: 1.0e+9, force_update: true, synapse_hw_name: loihi_dense_synapse}\n"
        "      neurons:\n"
        "        - 0..1: {}\n"
        "  edges:\n"
        "    - l0_in -> l0_out: {type: dense, weight: [1, 0.25, -2, 3, 0.5, -1]}\n"
        "mappings:\n"
        '  - l0_in.0: {core: 0.0, soma: "loihi_inputs[0]"}\n'
        '  - l0_in.1: {core: 0.0, soma: "loihi_inputs[1]"}\n'
        '  - l0_in.2: {core: 0.0, soma: "loihi_inputs[2]"}\n'
        "  - l0_out.0..1: {core: 0.1, soma: loihi_lif}\n"
    )
    assert "c.sim(2)" in json.loads((tmp_path / "snn_energy.json").read_text())["command"]


def sanafe_neurons(text):
    """Neurons of each group, and how often each is mapped to a core."""
    groups, mapped = {}, {}
    for name, body in re.findall(r"    - name: (\w+)\n.*?neurons:\n(.*?)(?=    - name|  edges:)", text, re.DOTALL):
        ids = [
            n
            for first, last in re.findall(r"- (\d+)(?:\.\.(\d+))?: \{", body)
            for n in range(int(first), int(last or first) + 1)
        ]
        groups[name] = ids
        mapped[name] = []
    for name, first, last in re.findall(r"^  - (\w+)\.(\d+)(?:\.\.(\d+))?: \{core", text, re.MULTILINE):
        mapped[name] += range(int(first), int(last or first) + 1)
    return groups, mapped


def sanafe_events(text):
    """Synaptic events of the file, as SANA-FE connects neurons: nested loops over its conv2d and dense edges."""
    total = 0
    for number, edge in re.findall(r"l(\d+)_in -> l\d+_out: \{(.*)\}", text):
        (group,) = re.findall(rf"name: l{number}_in\n.*?neurons:\n(.*?)    - name", text, re.DOTALL)
        fired = {int(n): train.count("1") for n, train in re.findall(r"- (\d+): \{spikes: \[(.*?)\]\}", group)}
        (targets,) = re.findall(rf"name: l{number}_out\n.*?- 0\.\.(\d+): ", text, re.DOTALL)
        if "type: sparse" in edge:
            total += sum(fired.get(int(source), 0) for source, _ in re.findall(r"\[(\d+), (\d+)\]", edge))
            continue
        if "type: dense" in edge:
            total += sum(fired.values()) * (int(targets) + 1)
            continue
        fact = {name: int(value) for name, value in re.findall(r"(\w+): (\d+)", edge)}
        down = (fact["input_height"] - fact["kernel_height"]) // fact["stride_height"] + 1
        right = (fact["input_width"] - fact["kernel_width"]) // fact["stride_width"] + 1
        assert fact["kernel_count"] * down * right == int(targets) + 1
        for c in range(fact["input_channels"]):
            for y in range(down):
                for x in range(right):
                    for i in range(fact["kernel_height"]):
                        for j in range(fact["kernel_width"]):
                            row = y * fact["stride_height"] + i
                            column = x * fact["stride_width"] + j
                            source = (c * fact["input_height"] + row) * fact["input_width"] + column
                            total += fired.get(source, 0) * fact["kernel_count"]
    return total


def test_the_events_of_sanafes_file_are_the_counted_ones(tmp_path):
    model, x = NETWORKS["vgg"]("small")
    trace = se.trace(model, x)
    with pytest.raises(ExportRefused, match="a layer without spikes"):
        export_sanafe(model, x, trace, tmp_path)
    written = export_sanafe(model, x, trace, tmp_path, force=True)
    kept = [layer["name"] for layer in json.loads((tmp_path / "snn_energy.json").read_text())["layers"]]
    left = {loss.where for loss in written.losses}
    assert set(kept) | left == {layer.name for layer in trace.layers}
    assert len(kept) >= 2
    events = sum(layer.events for layer in trace.layers if layer.name in kept)
    text = (tmp_path / "network.yaml").read_text()
    assert sanafe_events(text) == events > 0
    groups, mapped = sanafe_neurons(text)
    assert groups == mapped == {name: list(range(len(ids))) for name, ids in groups.items()}
    assert text.startswith("# lost in this format")


class Grouped(nn.Module):
    """Groups, dilation and tokens: what no edge of SANA-FE describes, `n t c h w` spikes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 6, (3, 2), groups=2, dilation=(1, 2), padding=1, stride=(2, 1), bias=False)
        self.tokens = nn.Linear(4, 3, bias=False)

    def forward(self, x):
        maps = torch.stack([self.conv(step) for step in x.unbind(1)]).sum(0).flatten(1).sum(1)
        return maps + torch.stack([self.tokens(step.flatten(2).mT) for step in x.unbind(1)]).sum((0, 2, 3))


def test_synapses_that_no_edge_describes_are_written_one_by_one(tmp_path):
    net, x = Grouped(), spikes(2, 3, 4, 5, 6)
    trace = se.trace(net, x, time_steps=3)
    export_sanafe(net, x, trace, tmp_path)
    text = (tmp_path / "network.yaml").read_text()
    assert text.count("type: sparse") == 2
    assert sanafe_events(text) == trace.events > 0
    groups, mapped = sanafe_neurons(text)
    assert groups == mapped == {name: list(range(len(ids))) for name, ids in groups.items()}
    assert sum(len(groups[name]) for name in ("l0_out", "l1_out")) * 3 * 2 == sum(row.outputs for row in trace.layers)
    (pairs, weights) = re.findall(
        r"l0_in -> l0_out: \{type: sparse, source_target_pairs: \[(.*)\], weight: \[(.*)\]\}", text
    )[0]
    pairs = [(int(a), int(b)) for a, b in re.findall(r"\[(\d+), (\d+)\]", pairs)]
    padded = nn.functional.pad(x[0, 0], (1, 1, 1, 1)).flatten()
    sums = torch.zeros(max(b for _, b in pairs) + 1)
    for (source, target), weight in zip(pairs, weights.split(", "), strict=True):
        sums[target] += padded[source] * float(weight)
    with torch.no_grad():
        torch.testing.assert_close(sums, net.conv(x[:1, 0]).flatten(), rtol=0, atol=1e-5)


def test_a_chip_that_is_too_small_is_named(tmp_path):
    net, x = Stepped(nn.Linear(5, 3)), spikes(1, 1, 5)
    trace = se.trace(net, x, time_steps=1)
    chip = Chip(name="tiny", tiles=2, cores_per_tile=2, neurons_per_core=2)
    with pytest.raises(UsageError, match=r"needs 5 cores of 2 neurons \(expected at most the 4 of tiny\)"):
        export_sanafe(net, x, trace, tmp_path, chip=chip)


# LoAS and Prosperity ---------------------------------------------------------------------------------------------


def array(folder, name):
    return np.load(io.BytesIO((folder / name).read_bytes()), allow_pickle=False)


def test_loas_matrices_multiply_to_what_the_layer_computes(tmp_path):
    conv = nn.Conv2d(2, 3, 3, padding=1, bias=False)
    x = spikes(1, 4, 2, 5, 5)
    net = Stepped(conv)
    export_loas(net, x, se.trace(net, x), tmp_path)
    matrix, weight = array(tmp_path, "Layer_0_x.npy"), array(tmp_path, "Layer_0_w.npy")
    assert (matrix.shape, matrix.dtype, weight.shape) == ((4, 25, 18), np.bool_, (18, 3))
    with torch.no_grad():
        expected = conv(x[0]).flatten(2).transpose(1, 2).numpy()
    np.testing.assert_allclose(matrix.astype(np.float32) @ weight, expected, atol=1e-6)


def test_prosperity_takes_maps_and_sizes(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(2, 3, 3, padding=1, stride=2), nn.Linear(27, 4)

        def forward(self, x):  # n t c h w
            y = (self.conv(x.flatten(0, 1)) > 0).float().flatten(1)
            return self.head(y).unflatten(0, x.shape[:2]).mean(1)

    x = spikes(1, 4, 2, 5, 5)
    net = Two()
    trace = se.trace(net, x, time_steps=4)
    export_prosperity(net, x, trace, tmp_path)
    np.testing.assert_array_equal(array(tmp_path, "conv2d_0.npy"), x[0].bool().numpy())
    assert array(tmp_path, "fc_1.npy").shape == (4, 1, 27)
    rows = json.loads((tmp_path / "snn_energy.json").read_text())["layers"]
    # Conv2D(size, channels in and out, kernel, padding, stride, samples, T); FC(in, out, tokens, samples, T)
    assert [row["prosperity"] for row in rows] == [[5, 2, 3, 3, 1, 2, 1, 4], [27, 4, 1, 1, 4]]
    with pytest.raises(UsageError, match="expected one input"):
        export_prosperity(net, x, se.trace(net, x.expand(2, -1, -1, -1, -1), time_steps=4), tmp_path)


@pytest.mark.parametrize("export", [export_loas, export_prosperity])
def test_groups_are_refused(tmp_path, export):
    net = nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.ReLU())
    x = spikes(1, 2, 5, 5)
    with pytest.raises(ExportRefused, match="groups"):
        export(net, x, se.trace(net, x), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("export", [export_loas, export_prosperity, export_sanafe])
def test_identical_input_gives_identical_bytes(tmp_path, export):
    net, x = Stepped(nn.Conv2d(2, 4, 3)), spikes(1, 3, 2, 5, 5)
    for folder in ("a", "b"):
        export(net, x, se.trace(net, x, time_steps=3), tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("export", "script", "made"), [
    (export_loas, "to_loas.py", "net_final_matrices_dict.pth"), (export_prosperity, "to_prosperity.py", "net.pkl"),
])  # fmt: skip
def test_the_converters_make_what_the_tools_load(tmp_path, export, script, made):
    import pickle
    import subprocess
    import sys

    net, x = Stepped(nn.Conv2d(2, 4, 3, padding=1)), spikes(1, 3, 2, 5, 5)
    export(net, x, se.trace(net, x, time_steps=3), tmp_path)
    subprocess.run([sys.executable, script, "net"], cwd=tmp_path, check=True, capture_output=True)
    if made.endswith(".pth"):
        loaded = torch.load(tmp_path / made, weights_only=True)
        assert loaded["Layer_0"]["x"].shape == (3, 25, 18)
        assert int(loaded["Layer_0"]["x"].sum()) * 4 == se.trace(net, x).events
    else:
        loaded = pickle.loads((tmp_path / made).read_bytes())
        assert torch.equal(loaded["conv2d_0"], x[0].bool())
