"""The ONNX file: it computes the network's logits and spikes bit for bit, says where everything comes from,
holds standard operators only, and is the same file wherever it is written."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from lively_network import lively
from onnx import numpy_helper
from torch import nn

from snn_energy.errors import DataError, UsageError
from snn_energy.exporting import ExportError, export_onnx, report_metadata, verify_onnx
from snn_energy.models import IF, load_checkpoint, pretrained
from snn_energy.training import load_images


@pytest.fixture(scope="module")
def exported(snapped, digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    return export_onnx(snapped, digits[:2], path, metadata={"author": "test"}, verify=digits)


@pytest.fixture(scope="module")
def proto(exported):
    return onnx.load(exported.path)


def properties(holder):
    return {entry.key: entry.value for entry in holder.metadata_props}


def test_logits_of_the_snapped_network_are_bit_equal_on_every_test_image(exported, snapped, digits):
    agreement = exported.agreement
    assert (agreement.samples, agreement.same_class, agreement.max_abs_diff) == (360, 360, 0.0)
    assert agreement.bit_equal
    with torch.no_grad():
        logits = snapped(digits)
    assert len(logits.unique(dim=0)) > 300, "logits that hardly differ would make the comparison empty"


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_any_batch_size_runs(exported, snapped, digits, batch):
    assert verify_onnx(exported.path, snapped, digits[:20], batch_size=batch).bit_equal


def test_the_spikes_of_every_neuron_at_every_time_step_are_the_networks(proto, snapped, digits):
    spikes = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: spikes.update({name: out.numpy()}))
        for name, module in snapped.named_modules()
        if name.endswith("neuron")
    ]
    with torch.no_grad():
        snapped(digits[:16])
    for hook in hooks:
        hook.remove()
    opened = onnx.ModelProto.FromString(proto.SerializeToString())
    wanted = [f"{name}/Cast_{t}" for name in spikes for t in range(3)]
    shapes = {info.name: info for info in opened.graph.value_info}
    opened.graph.output.extend(shapes[name] for name in wanted)
    session = onnxruntime.InferenceSession(opened.SerializeToString(), providers=["CPUExecutionProvider"])
    got = dict(zip(wanted, session.run(wanted, {"images": digits[:16].numpy()}), strict=True))
    for name, expected in spikes.items():
        assert 0 < expected.mean() < 1
        for t in range(3):
            np.testing.assert_array_equal(got[f"{name}/Cast_{t}"], expected[t])


def test_the_shipped_network_is_bit_equal_on_real_images(tmp_path):
    checkpoint = load_checkpoint(pretrained("fashion-cnn"))
    images, _ = next(load_images("fashion-mnist", limit=48).batches(48, checkpoint.input))
    done = export_onnx(checkpoint.model, images[:2], tmp_path / "net.onnx", verify=images)
    assert done.agreement.bit_equal
    assert done.metadata["snn_energy.time_steps"] == str(checkpoint.time_steps)
    assert done.operators["GreaterOrEqual"] == checkpoint.time_steps * len(checkpoint.model.blocks)


@pytest.mark.parametrize(
    "options", [{"reset": "soft", "decay": 0.9}, {"time_steps": 1}], ids=["soft, unfolded", "one step"]
)
def test_networks_that_are_not_snapped_agree_to_rounding(options, digits, tmp_path):
    done = export_onnx(lively(**options), digits[:1], tmp_path / "net.onnx", verify=digits[:100])
    assert done.agreement.within(1e-5)
    # The fused batch norm leaves its scope on the convolution; the name must still be the convolution's.
    names = [node.name for node in onnx.load(done.path).graph.node if node.op_type == "Conv"]
    assert names == ["blocks.0.conv", "blocks.1.conv"]


def test_only_standard_operators_and_no_trace_of_the_exporting_machine(exported, proto):
    assert {node.domain for node in proto.graph.node} == {""}
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
    assert not proto.functions
    assert (proto.producer_name, proto.producer_version) == ("snn-energy", "")
    content = exported.path.read_bytes()
    for trace in (b".py", b"torch", str(Path.cwd()).encode(), str(Path.home()).encode(), sys.prefix.encode()):
        assert trace not in content


def test_names_are_module_paths_and_weights_are_the_state_dict(proto, snapped):
    names = [node.name for node in proto.graph.node]
    assert len(set(names)) == len(names)
    modules = dict(snapped.named_modules())
    assert {"blocks.0.conv", "blocks.1.conv", "blocks.0.pool", "blocks.1.pool", "head"} <= set(names)
    for node in proto.graph.node:
        assert properties(node).get("snn_energy.module", "") in modules
        assert "kernel_shape" in {a.name for a in node.attribute} or node.op_type not in ("Conv", "MaxPool")
    kept = {weight.name: numpy_helper.to_array(weight) for weight in proto.graph.initializer}
    for name, value in snapped.state_dict().items():
        np.testing.assert_array_equal(kept[name], value.numpy())


def test_every_value_has_its_shape_and_the_batch_axis_is_free(exported, proto):
    assert exported.input_shape == ("batch", 1, 8, 8)
    assert exported.output_shape == ("batch", 10)
    shaped = {info.name: info.type.tensor_type.shape.dim for info in (*proto.graph.value_info, *proto.graph.output)}
    assert {value for node in proto.graph.node for value in node.output} <= set(shaped)
    symbols = {axis.dim_param for axes in shaped.values() for axis in axes if axis.dim_param}
    assert symbols == {"batch", "3*batch"}


def test_metadata_tell_form_steps_and_neurons(exported, proto):
    found = properties(proto)
    assert found == dict(exported.metadata)
    assert list(found) == sorted(found)
    assert (found["author"], found["snn_energy.form"], found["snn_energy.time_steps"]) == (
        "test",
        "unrolled",
        "3",
    )
    neurons = json.loads(found["snn_energy.neurons"])
    assert [neuron["name"] for neuron in neurons] == ["blocks.0.neuron", "blocks.1.neuron"]
    constants = {(n["kind"], n["threshold"], n["decay"], n["reset"]) for n in neurons}
    assert constants == {("lif", 1.0, 0.5, "hard")}


def test_the_bytes_do_not_depend_on_example_process_or_folder(exported, snapped, digits, tmp_path):
    again = export_onnx(snapped, digits[5:10], tmp_path / "again.onnx", metadata={"author": "test"})
    assert again.path.read_bytes() == exported.path.read_bytes()
    assert exported.sha256 == hashlib.sha256(exported.path.read_bytes()).hexdigest()
    assert exported.size_bytes == exported.path.stat().st_size
    torch.save(snapped.state_dict(), tmp_path / "weights.pt")
    program = (
        "import torch\n"
        "from snn_energy.exporting import export_onnx\n"
        "from snn_energy.models import SpikingCNN\n"
        "net = SpikingCNN(1, 10, 8, widths=(4, 6), time_steps=3, folded=True)\n"
        "net.load_state_dict(torch.load('weights.pt', weights_only=True))\n"
        "export_onnx(net, torch.zeros(1, 1, 8, 8), 'other.onnx', metadata={'author': 'test'})\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": paths}
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "other.onnx").read_bytes() == exported.path.read_bytes()


def test_the_model_stays_as_it_is_and_is_exported_in_eval_mode(digits, tmp_path):
    net = lively().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    attributes = {name: set(vars(module)) for name, module in net.named_modules()}
    done = export_onnx(net, digits[:2], tmp_path / "net.onnx", verify=digits[:8])
    assert done.agreement.within(1e-5)
    assert net.training
    assert all(module.training for module in net.modules())
    assert {name: set(vars(module)) for name, module in net.named_modules()} == attributes
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert logging.root.manager.disable == logging.NOTSET


class Stepped(nn.Module):
    """T calls of one layer in a loop, the state in a variable: weights shared, nothing kept between calls."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.neuron = IF()

    def forward(self, x):
        membrane, total = torch.zeros_like(x), 0
        for _ in range(3):
            spikes, membrane = self.neuron.step(self.layer(x), membrane)
            total = total + spikes
        return total


def test_a_layer_called_at_every_time_step_is_numbered_by_step(tmp_path):
    torch.manual_seed(0)
    x = torch.randn(5, 4)
    done = export_onnx(Stepped(), x, tmp_path / "net.onnx", verify=x)
    assert done.agreement.same_class == 5
    names = [node.name for node in onnx.load(done.path).graph.node if node.op_type == "Gemm"]
    assert names in ([f"layer_{t}" for t in range(3)], ["layer"])  # the optimiser may merge equal calls


def test_a_newer_opset_on_request(exported, snapped, digits, tmp_path):
    done = export_onnx(snapped, digits[:2], tmp_path / "net.onnx", opset=21, verify=digits[:8])
    assert (done.opset, onnx.load(done.path).opset_import[0].version) == (21, 21)
    assert done.agreement.bit_equal


def test_measured_rates_and_counts_travel_with_the_layers(snapped, digits, tmp_path):
    row = {"name": "head", "part": "synapses", "operand": "binary", "spike_rate": 0.25, "acs": 12, "macs": 0}
    neuron = {"name": "blocks.0.neuron", "part": "neurons", "spike_rate": 0.5}
    whole, layers = report_metadata({"samples": 4, "rows": [row, neuron]})
    path = tmp_path / "net.onnx"
    export_onnx(snapped, digits[:2], path, metadata=whole, node_metadata=layers)
    written = onnx.load(path)
    head = next(node for node in written.graph.node if node.name == "head")
    assert properties(head) == {
        "snn_energy.module": "head",
        "snn_energy.operand": "binary",
        "snn_energy.spike_rate": "0.25",
        "snn_energy.acs": "12",
        "snn_energy.macs": "0",
    }
    report = json.loads(properties(written)["snn_energy.report"])
    assert report["samples"] == 4
    assert [layer["spike_rate"] for layer in report["layers"]] == [0.25, 0.5]


def test_a_report_of_another_network_is_refused(snapped, digits, tmp_path):
    with pytest.raises(UsageError, match=r"names conv9: expected modules of SpikingCNN \(got none of them\)"):
        export_onnx(snapped, digits[:2], tmp_path / "net.onnx", node_metadata={"conv9": {"a": "b"}})


def test_verify_sees_another_network(exported, digits):
    agreement = verify_onnx(exported.path, lively(reset="soft"), digits[:50])
    assert not agreement.bit_equal
    assert not agreement.within(1e-2)


def test_verify_without_onnxruntime_says_how_to_get_it(exported, snapped, digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match="pip install onnxruntime"):
        verify_onnx(exported.path, snapped, digits[:2])


def test_verify_refuses_what_it_cannot_compare(exported, snapped, digits, tmp_path):
    with pytest.raises(DataError, match="at least one input"):
        verify_onnx(exported.path, snapped, digits[:0])
    with pytest.raises(ExportError, match="cannot read it"):
        verify_onnx(tmp_path / "none.onnx", snapped, digits[:2])
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(ExportError, match="onnxruntime cannot load it"):
        verify_onnx(tmp_path / "bad.onnx", snapped, digits[:2])
    with pytest.raises(ExportError, match=r"expected logits float32 \[2, 4\] \(got float32 \[2, 10\]\)"):
        verify_onnx(exported.path, nn.Sequential(nn.Flatten(), nn.Linear(64, 4)), digits[:2])
