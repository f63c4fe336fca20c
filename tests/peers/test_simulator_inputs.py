"""What we write is run by the simulators themselves, and they count what we counted."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys

import onnx
import pytest
import torch
from networks import BATCH_AXIS, NETWORKS
from torch import nn

import snn_energy as se
from snn_energy.counting.counts import LayerCounts
from snn_energy.counting.values import ValueSet
from snn_energy.exporting.simulators.sanafe import export_sanafe
from snn_energy.exporting.simulators.scalesim import DATAFLOWS, Array
from snn_energy.models import build
from snn_energy.simulating import simulate_scalesim, simulate_zigzag

pytestmark = pytest.mark.peer

needs_scalesim = pytest.mark.skipif(importlib.util.find_spec("scalesim") is None, reason="needs scalesim")
needs_zigzag = pytest.mark.skipif(importlib.util.find_spec("zigzag") is None, reason="needs zigzag-dse")
needs_sanafe = pytest.mark.skipif(importlib.util.find_spec("sanafecpp") is None, reason="needs sanafe")


TINY = {"in_channels": 2, "classes": 3, "image_size": 8, "widths": (4, 8)}


def built(name, **more):
    torch.manual_seed(0)
    return build(name, **TINY, **more).eval(), torch.rand(2, 2, 8, 8)


REFERENCE = {
    **{name: (lambda name=name: NETWORKS[name]("small")) for name in NETWORKS},
    "windowed-cnn": lambda: built("windowed-cnn", depths=(2, 1)),
    "windowed-rnn": lambda: built("windowed-rnn", depths=(2, 1)),
    "pure-cnn": lambda: built("pure-cnn", depths=(2, 1), stem=(3, 1)),
    "spiking-cnn": lambda: built("spiking-cnn", time_steps=3),
}


class Grouped(nn.Module):
    """Groups, dilation and tokens: synapses that SANA-FE gets one by one, `n t c h w` spikes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 6, (3, 2), groups=2, dilation=(1, 2), padding=1, stride=(2, 1))
        self.tokens = nn.Linear(4, 3)

    def forward(self, x):
        maps = torch.stack([self.conv(step) for step in x.unbind(1)]).sum(0).flatten(1).sum(1)
        return maps + torch.stack([self.tokens(step.flatten(2).mT) for step in x.unbind(1)]).sum((0, 2, 3))


def grouped():
    torch.manual_seed(0)
    return Grouped(), (torch.rand(2, 3, 4, 5, 6) < 0.3).float()


def report_of(name):
    model, x = REFERENCE[name]()
    return se.price(se.trace(model, x, batch_axis=BATCH_AXIS.get(name, 0)))


# SCALE-Sim -------------------------------------------------------------------------------------------------------


@needs_scalesim
@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("name", REFERENCE)
def test_scalesims_cycles_of_every_reference_network_are_our_latency_models(name, dataflow):
    report = report_of(name)
    # Products of two activations and transposed convolutions are no rows of its topology: written with a list.
    found = simulate_scalesim(report, array=Array(rows=8, cols=16, dataflow=dataflow), force=True)
    assert len(found.layers) >= 3
    for layer in found.layers:
        assert layer.cycles == layer.our_cycles > 0, layer
    assert found.cycles == found.our_cycles


@needs_scalesim
def test_scalesim_runs_products_as_well_and_agrees():
    found = simulate_scalesim(report_of("vgg"), array=Array(rows=5, cols=3), form="gemm")
    assert [layer.cycles for layer in found.layers] == [layer.our_cycles for layer in found.layers]


@needs_scalesim
@pytest.mark.parametrize("form", ["conv", "gemm"])
def test_scalesim_takes_the_declared_pattern_of_weights(tmp_path, form):
    from snn_energy.exporting.simulators.scalesim import export_scalesim

    layer = torch.nn.Linear(32, 8)
    with torch.no_grad():
        layer.weight.view(8, 8, 4)[..., 2:] = 0
    trace = se.trace(layer, torch.ones(4, 32))
    for pattern in ((4, 4), (2, 4)):
        folder = tmp_path / f"{pattern[0]}"
        export_scalesim(trace, folder, form=form, array=Array(rows=8, cols=8), sparsity=pattern)
        words = [sys.executable, "-m", "snn_energy.simulating.scalesim_main", str(folder), form]
        subprocess.run(words, cwd=folder, check=True, capture_output=True)
        storage = (folder / "run" / "SPARSE_REPORT.csv").read_text()
        assert "ellpack_block" in storage


# ZigZag ----------------------------------------------------------------------------------------------------------


@needs_zigzag
@pytest.mark.parametrize("name", REFERENCE)
def test_zigzag_runs_the_reference_networks_and_pays_for_every_mac(name):
    report = report_of(name)
    machine = se.load_hardware("han-45nm-int32")
    found = simulate_zigzag(report, machine=machine, rows=4, cols=8, force=True)
    mac_pj = machine.energy_pj["mac"].value_pj
    layers = {layer.name: layer for layer in report.trace.layers}
    for layer in found.layers:
        macs = layers[layer.name].dense_macs / report.trace.samples
        assert layer.energy_pj > macs * mac_pj
        assert layer.cycles >= macs / 32
    assert {layer.name for layer in found.layers} <= set(layers)


@needs_zigzag
def test_zigzag_reads_our_onnx_files_with_the_counted_sizes(tmp_path):
    """Both the workload of sizes and the network that `export onnx` writes: its loops are the dense MACs."""
    from snn_energy.exporting import export_onnx
    from snn_energy.exporting.simulators.zigzag import export_zigzag
    from snn_energy.simulating.accelerators import accelerator_of

    parser = importlib.import_module("zigzag.parser.onnx.onnx_model_parser").ONNXModelParser
    model, x = REFERENCE["spiking-cnn"]()
    trace = se.trace(model, x)
    machine = accelerator_of(se.load_hardware("han-45nm-int32"), rows=4, cols=4)
    export_zigzag(trace, tmp_path, machine)
    export_onnx(model, x, tmp_path / "net.onnx")

    def macs(path):
        workload = parser(str(path), str(tmp_path / "mapping.yaml")).run()
        layers = [node for node in workload.topological_sort() if hasattr(node, "layer_dim_sizes")]
        return [math.prod(layer.layer_dim_sizes.data.values()) for layer in layers]

    runs = [layer["runs"] for layer in json.loads((tmp_path / "snn_energy.json").read_text())["layers"]]
    sizes = macs(tmp_path / "workload.onnx")
    assert sum(a * b for a, b in zip(sizes, runs, strict=True)) * trace.samples == trace.dense_macs
    onnx.save(one_image(onnx.load(tmp_path / "net.onnx")), tmp_path / "one.onnx")
    assert sum(macs(tmp_path / "one.onnx")) * trace.samples == trace.dense_macs


@needs_zigzag
def test_zigzag_takes_heads_and_two_activations_for_what_they_are(tmp_path):
    """Scores of attention: 3 heads of 5 x 6 by 6 x 4, both factors from the network, at two time steps."""
    half = ValueSet(magnitudes=(1.0,), positive=True)
    macs = 3 * 5 * 6 * 4 * 2
    layer = LayerCounts(
        name="scores", kind="matmul", values=half, partner_values=half, dense_macs=macs, connections=macs, events=60,
        geometry=(("m", (5,)), ("n", (4,)), ("k", (6,))),
    )  # fmt: skip
    report = se.price(se.Trace(layers=(layer,), samples=1, time_steps=2))
    found = simulate_zigzag(report, machine=se.load_hardware("han-45nm-int32"), rows=2, cols=4)
    (row,) = found.layers
    # C along 2 rows, K along 4 columns, and the rest in time: 3 heads, 5 rows, 3 passes over C; two time steps
    assert (row.runs, row.cycles) == (2, 2 * 3 * 5 * 3)


def one_image(model):
    """A network for one image: ZigZag takes a free batch size for 0."""
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model.graph.output[0].type.tensor_type.shape.dim[0].Clear()
    model.graph.ClearField("value_info")
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


# SANA-FE: GPL, in a process of its own ---------------------------------------------------------------------------

RUN = """
import json, sanafe
arch = sanafe.load_loihi()
chip = sanafe.SpikingChip(arch)
chip.load(sanafe.load_net("network.yaml", arch))
found = chip.sim({steps})
print(json.dumps({{key: found[key] for key in ("spikes", "neurons_fired", "neurons_updated", "energy", "sim_time")}}))
"""


@needs_sanafe
@pytest.mark.parametrize("name", ["vgg", "spiking-cnn", "recurrent", "spiking-transformer", "grouped"])
def test_sanafe_counts_the_very_spikes_and_events_and_pays_for_them(tmp_path, name):
    model, x = grouped() if name == "grouped" else REFERENCE[name]()
    axis = BATCH_AXIS.get(name, 0)
    trace = se.trace(model, x, batch_axis=axis, time_steps=3 if name == "grouped" else None)
    export_sanafe(model, x, trace, tmp_path, force=True, batch_axis=axis)
    car = json.loads((tmp_path / "snn_energy.json").read_text())
    script = RUN.format(steps=car["time_steps_in_all"])
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    kept = {layer["name"] for layer in car["layers"]}
    layers = [layer for layer in trace.layers if layer.name in kept]
    assert len(layers) >= 2
    assert found["neurons_fired"] == sum(layer.spikes for layer in layers)
    assert found["spikes"] == sum(layer.events for layer in layers)
    targets = sum(layer.outputs for layer in layers)
    assert found["neurons_updated"] == targets + found["neurons_fired"]
    synapses = {"conv2d": 24.0e-12, "linear": 35.5e-12}  # loihi.yaml of SANA-FE 2.2.9
    assert found["energy"]["synapse"] == pytest.approx(sum(synapses[layer.kind] * layer.events for layer in layers))
    assert found["sim_time"] > 0
