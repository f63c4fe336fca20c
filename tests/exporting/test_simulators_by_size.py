"""Simulator inputs that hold sizes: what each tool would compute from them is what was counted."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction

import pytest
import torch
from layer_traces import conv_outputs, trace_of
from networks import BATCH_AXIS, NETWORKS
from torch import nn

import snn_energy as se
from snn_energy.counting.counts import LayerCounts
from snn_energy.counting.values import ValueSet
from snn_energy.errors import TraceError, UsageError
from snn_energy.exporting.losses import ExportRefused
from snn_energy.exporting.simulators.sata import export_sata
from snn_energy.exporting.simulators.scalesim import Array, export_scalesim
from snn_energy.exporting.simulators.timeloop import export_timeloop
from snn_energy.exporting.simulators.zigzag import Accelerator, Level, export_zigzag

ARRAY = Accelerator(
    name="a test",
    rows=4,
    cols=8,
    operand_bits=8,
    mac_pj=2.0,
    levels=(
        Level(name="register", kind="register", size_bits=8, access_bits=8, read_pj=1.0, write_pj=1.0),
        Level(name="sram", kind="sram", size_bits=2**18, access_bits=64, read_pj=16.0, write_pj=32.0),
        Level(name="dram", kind="dram", size_bits=2**30, access_bits=64, read_pj=256.0, write_pj=256.0),
    ),
)


@pytest.fixture(scope="module", params=["vgg", "spiking-transformer", "recurrent", "pruned"])
def traced(request):
    model, x = NETWORKS[request.param]("small")
    return se.trace(model, x, batch_axis=BATCH_AXIS[request.param])


def side_car(folder):
    return json.loads((folder / "snn_energy.json").read_text())


def kept(trace, folder):
    """The layers that were written, whose number is not zero."""
    names = {layer["name"] for layer in side_car(folder)["layers"]}
    layers = [layer for layer in trace.layers if layer.name in names]
    assert len(layers) == len(names) >= 3
    return layers


def dense_macs(trace, folder):
    return sum(layer.dense_macs for layer in kept(trace, folder))


# SCALE-Sim -------------------------------------------------------------------------------------------------------


def scalesim_macs(cells):
    """As its topology_utils has it: outputs rounded up, times the window, times the filters."""
    height, width, kernel_h, kernel_w, channels, filters, stride = cells
    outputs = math.ceil((height - kernel_h + stride) / stride) * math.ceil((width - kernel_w + stride) / stride)
    return outputs * kernel_h * kernel_w * channels * filters


def topology(folder):
    """Names and numbers as SCALE-Sim reads them: without the first line, without what follows the last comma."""
    rows = [line.strip().split(",")[:-1] for line in (folder / "topology.csv").read_text().splitlines()[1:]]
    return [(row[0].strip(), tuple(int(cell) for cell in row[1:])) for row in rows]


@pytest.mark.parametrize("form", ["conv", "gemm"])
def test_scalesim_computes_the_dense_macs_of_a_network(traced, tmp_path, form):
    export_scalesim(traced, tmp_path, form=form, force=True)
    macs = scalesim_macs if form == "conv" else math.prod
    runs = [layer["runs"] for layer in side_car(tmp_path)["layers"]]
    total = sum(macs(cells) * run for (_, cells), run in zip(topology(tmp_path), runs, strict=True))
    assert total * traced.samples == dense_macs(traced, tmp_path)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"), [(8, 3, 1, 1), (9, 3, 2, 0), (10, 4, 3, 1), (5, 1, 2, 0)]
)
def test_scalesim_rows_hold_what_the_kernel_reaches(tmp_path, size, kernel, stride, padding):
    layer = nn.Conv2d(2, 5, kernel, stride=stride, padding=padding)
    export_scalesim(trace_of(layer, 2, size, size), tmp_path)
    ((name, cells),) = topology(tmp_path)
    out = conv_outputs(size, kernel, stride, padding, 1)
    reached = max(position * stride + tap for position in range(out) for tap in range(kernel)) + 1
    assert (name, cells) == ("(model)", (reached, reached, kernel, kernel, 2, 5, stride))


def test_scalesim_writes_these_very_files(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(32, 4))
    written = export_scalesim(trace_of(net, 1, 4, 4), tmp_path / "out", array=Array(rows=8, cols=16))
    assert written.files == ("topology.csv", "layout.csv", "scale.cfg", "snn_energy.json")
    assert (tmp_path / "out" / "topology.csv").read_text() == (
        "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
        "0, 6, 6, 3, 3, 1, 2, 1,\n"
        "2, 1, 32, 1, 32, 1, 4, 1,\n"
    )
    assert (tmp_path / "out" / "layout.csv").read_text() == "Layer name,\n"
    config = (tmp_path / "out" / "scale.cfg").read_text()
    assert "ArrayHeight : 8\nArrayWidth : 16\n" in config
    assert "Dataflow : os\n" in config


def test_a_declared_pattern_of_weights_is_a_column_of_its_own(tmp_path):
    layer = nn.Linear(8, 3)
    with torch.no_grad():
        layer.weight.view(3, 2, 4)[..., 2:] = 0
    export_scalesim(trace_of(layer, 8), tmp_path, form="gemm", sparsity=(2, 4))
    assert (tmp_path / "topology.csv").read_text() == "Layer, M, N, K, N:M,\n(model), 1, 3, 8, 2:4,\n"
    assert "SparsitySupport : true" in (tmp_path / "scale.cfg").read_text()


def test_a_pattern_that_the_weights_cannot_have_is_refused(tmp_path):
    """Ten inputs make two blocks of four and one of two: 2:4 leaves 6 of 10 weights in each row, so 12 of 20."""
    layer = nn.Linear(10, 2)
    with torch.no_grad():
        layer.weight.fill_(1)
        layer.weight.flatten()[:7] = 0  # 13 are left
    with pytest.raises(ExportRefused, match="it cannot hold 2:4 weights") as refusal:
        export_scalesim(trace_of(layer, 10), tmp_path / "out", sparsity=(2, 4))
    assert [loss.what for loss in refusal.value.losses] == ["2:4 weights"]
    assert not (tmp_path / "out").exists()
    assert export_scalesim(trace_of(layer, 10), tmp_path / "forced", sparsity=(2, 4), force=True).losses
    with torch.no_grad():
        layer.weight.flatten()[:8] = 0
    assert not export_scalesim(trace_of(layer, 10), tmp_path / "out", sparsity=(2, 4)).losses


def test_names_that_scalesim_misreads_are_changed(tmp_path):
    net = nn.Sequential()
    net.add_module("DP,a", nn.Linear(4, 4))
    net.add_module("D_P_a", nn.Linear(4, 4))
    export_scalesim(trace_of(net, 4), tmp_path)
    assert [name for name, _ in topology(tmp_path)] == ["D_P_a", "D_P_a_2"]
    assert [layer["name"] for layer in side_car(tmp_path)["layers"]] == ["DP,a", "D_P_a"]


UNFIT = [
    ("4 groups", nn.Conv2d(4, 8, 3, groups=4), (4, 6, 6)),
    ("dilation", nn.Conv2d(2, 3, 3, dilation=2), (2, 8, 8)),
    ("unequal strides", nn.Conv2d(2, 3, 3, stride=(1, 2)), (2, 7, 7)),
    ("a transposed convolution", nn.ConvTranspose2d(2, 3, 2, stride=2), (2, 3, 3)),
    ("a three-dimensional convolution", nn.Conv3d(1, 2, 2), (1, 3, 3, 3)),
]


@pytest.mark.parametrize(("what", "layer", "shape"), UNFIT, ids=[row[0] for row in UNFIT])
def test_scalesim_refuses_what_its_topology_has_no_column_for(tmp_path, what, layer, shape):
    trace = trace_of(layer, *shape)
    with pytest.raises(ExportRefused, match=re.escape(what)):
        export_scalesim(trace, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export_scalesim(trace, tmp_path / "out", force=True)
    ((_, cells),) = topology(tmp_path / "out")
    car = side_car(tmp_path / "out")
    assert scalesim_macs(cells) * car["layers"][0]["runs"] == trace.dense_macs
    assert what in (tmp_path / "out" / "topology.csv").read_text().splitlines()[0]
    assert f"# {what}" in (tmp_path / "out" / "scale.cfg").read_text()
    assert [loss["what"] for loss in car["snn_energy.losses"]] == [what]


def test_one_dimension_is_an_image_of_height_one(tmp_path):
    trace = trace_of(nn.Conv1d(2, 3, 4, stride=3, padding=1), 2, 11)
    export_scalesim(trace, tmp_path)
    ((_, cells),) = topology(tmp_path)
    assert cells == (1, 13, 1, 4, 2, 3, 3)
    assert scalesim_macs(cells) == trace.dense_macs


# ZigZag ----------------------------------------------------------------------------------------------------------


def zigzag_macs(model):
    """As its parsers have it: Conv from kernel_shape and group, MatMul from the shapes of input and output."""
    shapes = {
        value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    for node in model.graph.node:
        if node.op_type == "Identity":
            shapes[node.output[0]] = shapes[node.input[0]]
    found = []
    for node in model.graph.node:
        if node.op_type == "Identity":
            continue
        before, after = shapes[node.input[0]], shapes[node.output[0]]
        if node.op_type == "MatMul":
            found.append(math.prod(after) * before[-1])
            continue
        facts = {entry.name: entry for entry in node.attribute}
        found.append(math.prod(after) * before[1] // facts["group"].i * math.prod(facts["kernel_shape"].ints))
    return found


def test_zigzag_computes_the_dense_macs_of_a_network(traced, tmp_path):
    import onnx

    export_zigzag(traced, tmp_path, ARRAY, force=True)
    model = onnx.load(tmp_path / "workload.onnx")
    runs = [layer["runs"] for layer in side_car(tmp_path)["layers"]]
    total = sum(a * b for a, b in zip(zigzag_macs(model), runs, strict=True))
    assert total * traced.samples == dense_macs(traced, tmp_path)


def test_zigzag_nodes_carry_what_was_measured(traced, tmp_path):
    import onnx

    export_zigzag(traced, tmp_path, ARRAY, force=True)
    nodes = [node for node in onnx.load(tmp_path / "workload.onnx").graph.node if node.op_type != "Identity"]
    told = [{entry.key: entry.value for entry in node.metadata_props} for node in nodes]
    assert [row["snn_energy.layer"] for row in told] == [layer.name for layer in kept(traced, tmp_path)]
    assert [int(row["snn_energy.events"]) for row in told] == [layer.events for layer in kept(traced, tmp_path)]


def test_zigzag_takes_dilation_and_groups_and_refuses_what_it_mixes_up(tmp_path):
    import onnx

    trace = trace_of(nn.Conv2d(4, 6, 3, groups=2, dilation=2, padding=2, stride=2), 4, 9, 7)
    export_zigzag(trace, tmp_path / "a", ARRAY)
    assert zigzag_macs(onnx.load(tmp_path / "a" / "workload.onnx")) == [trace.dense_macs]
    for what, layer, shape in (
        ("an oblong kernel", nn.Conv2d(2, 3, (3, 1)), (2, 5, 5)),
        ("unequal strides", nn.Conv2d(2, 3, 3, stride=(2, 1)), (2, 5, 5)),
        ("a transposed convolution", nn.ConvTranspose2d(2, 3, 2), (2, 5, 5)),
        ("a convolution of one or three dimensions", nn.Conv1d(2, 3, 2), (2, 5)),
    ):
        trace = trace_of(layer, *shape)
        with pytest.raises(ExportRefused, match=what):
            export_zigzag(trace, tmp_path / "b", ARRAY)
        export_zigzag(trace, tmp_path / "b", ARRAY, force=True)
        assert zigzag_macs(onnx.load(tmp_path / "b" / "workload.onnx")) == [trace.dense_macs]
        assert (tmp_path / "b" / "mapping.yaml").read_text().startswith("# lost in this format")


def pair(**sizes):
    """A product of two activations, `heads m k` by `heads k n`, two time steps and one sample."""
    half = ValueSet(magnitudes=(1.0,), positive=True)
    geometry = tuple((name, (size,)) for name, size in sizes.items())
    macs = sizes["m"] * sizes["n"] * sizes["k"] * 3 * 2
    return LayerCounts(
        name="scores", kind="matmul", values=half, partner_values=half, dense_macs=macs, connections=macs,
        events=macs // 4, geometry=geometry,
    )  # fmt: skip


def test_zigzag_gets_two_activations_and_heads_as_such(tmp_path):
    import onnx

    trace = se.Trace(layers=(pair(m=5, n=4, k=6),), samples=1, time_steps=2)
    export_zigzag(trace, tmp_path, ARRAY)
    model = onnx.load(tmp_path / "workload.onnx")
    assert [node.op_type for node in model.graph.node] == ["Identity", "Identity", "MatMul"]
    assert [[axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in model.graph.input] == [
        [3, 5, 6],
        [3, 6, 4],
    ]
    assert side_car(tmp_path)["layers"][0]["runs"] == 2


def test_the_accelerator_costs_what_the_levels_cost(tmp_path):
    export_zigzag(trace_of(nn.Linear(4, 4), 4), tmp_path, ARRAY)
    text = (tmp_path / "accelerator.yaml").read_text()
    memories = dict(re.findall(r"^  (\w+):\n    size: \d+\n    r_cost: ([\d.]+)", text, re.MULTILINE))
    # A weight of 8 bits is one access of a register, a sum of 16 bits two. A row of 8 sums of 16 bits is two accesses
    # of 64 bits to the SRAM.
    assert memories == {"reg_W": "1.0", "reg_O": "2.0", "sram": "32.0", "dram": "256.0"}
    assert "  unit_energy: 2.0\n" in text
    assert "  sizes: [4, 8]\n" in text


# Timeloop --------------------------------------------------------------------------------------------------------


def problems(folder):
    """Sizes of the dimensions and densities of each problem, as written."""
    found = []
    for path in sorted(folder.glob("*.problem.yaml")):
        text = path.read_text()
        (dimensions,) = re.findall(r"dimensions: \[(.*)\]", text)
        sizes = [int(re.findall(rf"^    {name}: (\d+)$", text, re.MULTILINE)[0]) for name in dimensions.split(", ")]
        densities = dict(
            re.findall(r"^      (\w+): \{distribution: hypergeometric, density: (\S+)\}", text, re.MULTILINE)
        )
        found.append((sizes, {name: float(value) for name, value in densities.items()}))
    return found


def test_timeloop_loops_are_the_dense_macs_and_its_densities_give_the_events(traced, tmp_path):
    export_timeloop(traced, tmp_path, force=True)
    found = problems(tmp_path)
    assert sum(math.prod(sizes) for sizes, _ in found) * traced.samples == dense_macs(traced, tmp_path)
    for (sizes, densities), layer in zip(found, kept(traced, tmp_path), strict=True):
        computes = math.prod(sizes) * traced.samples
        assert round(computes * densities["Inputs"], 6) == layer.events
        assert densities["Weights"] == pytest.approx(1 - layer.zero_weights / (layer.weights or 1), abs=1e-12)


def test_timeloop_indexes_every_tensor_as_the_layer_does(tmp_path):
    export_timeloop(trace_of(nn.Conv2d(4, 6, (3, 2), stride=(2, 1), dilation=(1, 2), groups=2), 4, 9, 7), tmp_path)
    text = (tmp_path / "0_(model).problem.yaml".replace("(", "_").replace(")", "_")).read_text()
    assert "dimensions: [N, G, C, M, P, Q, R, S]" in text
    for line in (
        "projection: [[[G]], [[M]], [[C]], [[R]], [[S]]]",
        "projection: [[[N]], [[G]], [[C]], [[P, stride_P], [R, dilation_R]], [[Q, stride_Q], [S, dilation_S]]]",
        "projection: [[[N]], [[G]], [[M]], [[P]], [[Q]]]",
    ):
        assert line in text
    (told,) = re.findall(r"instance:\n((?:    \w+: \d+\n)+)", text)
    sizes = {name: int(value) for name, value in re.findall(r"(\w+): (\d+)", told)}
    assert sizes == {
        "N": 1, "G": 2, "C": 2, "M": 3, "P": 4, "Q": 5, "R": 3, "S": 2,
        "stride_P": 2, "stride_Q": 1, "dilation_R": 1, "dilation_S": 2,
    }  # fmt: skip


# SATA_Sim --------------------------------------------------------------------------------------------------------


def sata_macs(text):
    """As its energy-cal has it: padding 1 on both sides, one sparsity for all layers."""
    steps = int(re.findall(r"timestep: (\d+)", text)[0])
    sparsity = float(re.findall(r"sparsity: (\S+)", text)[0])
    total = 0.0
    for block in text.split("    attributes:\n")[1:]:
        height, width, kernel_h, kernel_w, channels, filters, stride = map(
            int, re.findall(r": (-?\d+)$", block, re.MULTILINE)[:7]
        )
        wide = math.floor((width + 2 - kernel_w) / stride) + 1
        high = math.floor((height + 2 - kernel_h) / stride) + 1
        total += filters * wide * high * kernel_w * kernel_h * channels * steps * (1 - sparsity)
    return total


@pytest.mark.parametrize(
    "shape", [(8, 3, 1, 1), (8, 3, 1, 0), (12, 5, 2, 2), (3, 3, 1, 0), (9, 2, 3, 0), (2, 3, 1, 1), (7, 1, 1, 0)]
)
def test_sata_computes_the_dense_macs_where_all_spikes_are_there(tmp_path, shape):
    size, kernel, stride, padding = shape
    net = nn.Sequential(nn.Conv2d(2, 3, kernel, stride=stride, padding=padding), nn.Flatten(), nn.LazyLinear(4))
    image = torch.ones(1, 2, size, size)
    net(image)  # the lazy layer learns its size
    trace = se.trace(net.eval(), image)
    export_sata(trace, tmp_path, force=True)
    assert sata_macs((tmp_path / "workload.yaml").read_text()) == pytest.approx(trace.events, rel=1e-12)
    written = (tmp_path / "workload.yaml").read_text()
    images, filters = (re.findall(rf"{what} Height: (-?\d+)", written) for what in ("IFMAP", "Filter"))
    assert all(int(image) >= int(kernel) for image, kernel in zip(images, filters, strict=True))


def test_sata_computes_the_events_of_a_network(traced, tmp_path):
    export_sata(traced, tmp_path, force=True)
    total = sata_macs((tmp_path / "workload.yaml").read_text())
    events = sum(layer.events for layer in kept(traced, tmp_path))
    assert total == pytest.approx(float(Fraction(events, traced.samples)), rel=1e-9)


# All of them -----------------------------------------------------------------------------------------------------

WRITERS = {
    "scalesim": export_scalesim,
    "zigzag": lambda trace, folder, **options: export_zigzag(trace, folder, ARRAY, **options),
    "timeloop": export_timeloop,
    "sata": export_sata,
}


@pytest.mark.parametrize("name", WRITERS)
def test_identical_input_gives_identical_bytes(traced, tmp_path, name):
    for folder in ("a", "b"):
        WRITERS[name](traced, tmp_path / folder, force=True)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == files
    assert sorted(side_car(tmp_path / "a")["files"]) == [file for file in files if file != "snn_energy.json"]
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("name", WRITERS)
def test_uncounted_work_and_layers_of_unknown_sizes_are_refused_by_name(tmp_path, name):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 2)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            self.conv(x[..., :3, :3])
            return self.head(self.conv(x)[..., :2, :2].flatten(1))

    trace = trace_of(Twice(), 1, 5, 5)
    with pytest.raises(ExportRefused, match=r"a layer of unknown sizes \(conv\): its calls differ in geometry"):
        WRITERS[name](trace, tmp_path / "out", force=False)
    WRITERS[name](trace, tmp_path / "out", force=True)
    assert [layer["name"] for layer in side_car(tmp_path / "out")["layers"]] == ["head"]


def test_an_empty_trace_and_wrong_words_are_one_line(tmp_path):
    with pytest.raises(TraceError, match="holds no sample"):
        export_timeloop(se.Trace(), tmp_path)
    trace = trace_of(nn.Linear(2, 2), 2)
    with pytest.raises(TraceError, match="no projection of known size"):
        export_timeloop(trace_of(nn.ReLU(), 2), tmp_path)
    for options, said in (({"form": "x"}, "form must be one of"), ({"sparsity": (3, 2)}, "sparsity must be N:M")):
        with pytest.raises(UsageError, match=said):
            export_scalesim(trace, tmp_path, **options)
    with pytest.raises(UsageError, match="dataflow must be one of"):
        Array(dataflow="os")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="it is a file"):
        export_timeloop(trace, tmp_path / "file")
    with pytest.raises(UsageError, match="no folder"):
        export_timeloop(trace, tmp_path / "a" / "b")


def test_a_second_export_leaves_no_layer_of_the_first_and_nothing_else_is_touched(tmp_path):
    export_timeloop(trace_of(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), 2), tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    export_timeloop(trace_of(nn.Sequential(nn.Linear(2, 3)), 2), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0_0.problem.yaml", "mine.txt", "snn_energy.json"]
    (tmp_path / "snn_energy.json").write_text('{"format": "something else"}')
    with pytest.raises(UsageError, match="no side-car of an export"):
        export_timeloop(trace_of(nn.Linear(2, 3), 2), tmp_path)
