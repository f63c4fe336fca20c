"""ZigZag 3.9: an ONNX graph of the projections alone, a mapping, and an accelerator made of a profile's prices.

Each projection is a node of its own between a graph input and a graph output; weights are graph inputs too, so that
the file holds sizes and no numbers. ZigZag parses Conv, MatMul and Gemm and skips all else, so nothing else is in it
but an Identity before each factor of a product of two activations: that is how ZigZag tells them from weights. A node
is one run of a layer: ZigZag knows neither time steps nor spikes, and `runs` in the side-car says how often one
inference runs it. What was measured stands in the nodes' `metadata_props`, which ZigZag leaves alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snn_energy.counting.counts import Trace
from snn_energy.errors import UsageError
from snn_energy.exporting.graph import set_properties
from snn_energy.exporting.losses import LOSSES_KEY, Loss, comment_lines, losses_json, refuse_or_list
from snn_energy.exporting.metadata import PREFIX
from snn_energy.exporting.simulators.folder import Written, layer_rows, side_car, write_folder
from snn_energy.exporting.simulators.workload import ConvShape, Workload, distinct_names, workloads_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

WORKLOAD, MAPPING, ACCELERATOR = "workload.onnx", "mapping.yaml", "accelerator.yaml"
OPSET, IR_VERSION = 18, 10  # from IR 10 on, nodes have metadata_props
_READ_BITS = 8  # what ZigZag takes an operand for where a node does not say
FACTS = ("operand", "spike_rate", "operand_density", "weight_density", "events", "acs", "macs", "passes", "copies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One memory of the accelerator: what one access of `access_bits` costs; `kind` is register, sram or dram."""

    name: str
    kind: str
    size_bits: int
    access_bits: int
    read_pj: float
    write_pj: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A weight-stationary array: input channels along its rows, filters along its columns; prices of one profile."""

    name: str
    rows: int
    cols: int
    operand_bits: int
    mac_pj: float
    levels: tuple[Level, ...]
    """From the units outwards: one register level at most, one SRAM, one DRAM."""


def export_zigzag(trace: Trace, folder: str | Path, accelerator: Accelerator, *, force: bool = False) -> Written:
    """Write a network for ZigZag: workload.onnx, mapping.yaml, accelerator.yaml, and the side-car.

    Errors: ExportRefused (1-D, 3-D and transposed convolutions, sizes that differ between the axes of a kernel),
    UsageError (an array without units), TraceError (an empty trace).
    """
    if accelerator.rows < 1 or accelerator.cols < 1:
        raise UsageError(f"zigzag: the array must be at least 1x1 (got {accelerator.rows}x{accelerator.cols})")
    works, losses = workloads_of(trace)
    losses += tuple(Loss(what, work.name, why) for work in works for what, why in _lost(work.conv))
    listed = refuse_or_list(losses, force, target=f"{folder} (ZigZag)")
    names = distinct_names([node_name(work.name) for work in works])
    head = "\n".join(comment_lines(listed))
    files: dict[str, str | bytes] = {
        WORKLOAD: _graph(trace, works, names, listed, accelerator.operand_bits).SerializeToString(deterministic=True),
        MAPPING: "\n".join(filter(None, [head, mapping_text(accelerator)])),
        ACCELERATOR: "\n".join(filter(None, [head, accelerator_text(accelerator)])),
    }
    car = side_car("zigzag", trace, layer_rows(works, names, whole=True), listed, accelerator=accelerator.name)
    return write_folder("zigzag", folder, files, car, listed)


def node_name(name: str) -> str:
    """Return a layer name that ZigZag makes file names of: no slash."""
    return name.replace("/", "_") or "layer"


_PRODUCT = "it is written as the product of its patches, whose overlap is lost"
_MIXED = f"ZigZag takes the first entry for the wrong axis; {_PRODUCT}"

# Why a convolution cannot stand as Conv: noun, test, reason.
_UNFIT: tuple[tuple[str, Callable[[ConvShape], bool], str], ...] = (
    ("a transposed convolution", lambda c: c.transposed, "ZigZag skips ConvTranspose; its outputs' overlap is lost"),
    ("a convolution of one or three dimensions", lambda c: c.axes != 2, f"ZigZag reads two axes; {_PRODUCT}"),
    ("an oblong kernel", lambda c: len(set(c.kernel)) > 1, _MIXED),
    ("unequal strides", lambda c: len(set(c.stride)) > 1, _MIXED),
    ("unequal dilations", lambda c: len(set(c.dilation)) > 1, _MIXED),
    ("unequal paddings", lambda c: len(set(c.padding)) > 1, _MIXED),
)


def _lost(conv: ConvShape | None) -> Iterator[tuple[str, str]]:
    if conv is not None:
        yield from ((what, why) for what, test, why in _UNFIT if test(conv))


def _graph(
    trace: Trace, works: Sequence[Workload], names: Sequence[str], losses: Sequence[Loss], bits: int
) -> ModelProto:
    from onnx import checker, helper

    nodes: list[NodeProto] = []
    inputs: list[ValueInfoProto] = []
    outputs: list[ValueInfoProto] = []
    hidden: list[ValueInfoProto] = []
    for work, name in zip(works, names, strict=True):
        plain = work.conv is None or any(True for _ in _lost(work.conv))
        node, before, given, made = _product(work, name) if plain else _convolution(work, name)
        facts = work.facts()
        set_properties(node, {PREFIX + "layer": work.name, **{PREFIX + key: str(facts[key]) for key in FACTS}})
        nodes += [*before, node]
        inputs += given
        shapes = {value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in given}
        hidden += [_value(copy.output[0], tuple(shapes[copy.input[0]])) for copy in before]
        outputs.append(made)
    graph = helper.make_graph(nodes, trace.model or "network", inputs, outputs)
    graph.value_info.extend(hidden)  # ZigZag infers no shapes
    model = helper.make_model(graph, producer_name="snn-energy", opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    set_properties(model, {PREFIX + "samples": str(trace.samples), LOSSES_KEY: losses_json(losses)})
    checker.check_model(model, full_check=True)
    if bits != _READ_BITS:  # ZigZag's own attributes, which no standard operator has: after the check
        widths = {"act_size": bits, "weight_size": bits, "output_size": 2 * bits}
        for node in model.graph.node:
            if node.op_type != "Identity":
                node.attribute.extend(helper.make_attribute(key, value) for key, value in widths.items())
    return model


_Pieces = tuple["NodeProto", list["NodeProto"], list["ValueInfoProto"], "ValueInfoProto"]


def _convolution(work: Workload, name: str) -> _Pieces:
    """A Conv over one image, `1 c h w`."""
    from onnx import helper

    assert work.conv is not None
    conv = work.conv
    sizes = zip(conv.padded, conv.padding, conv.size_in, strict=True)
    after = [max(0, padded - before - size) for padded, before, size in sizes]
    node = helper.make_node(
        "Conv",
        [f"{name}.input", f"{name}.weight"],
        [f"{name}.output"],
        name=name,
        kernel_shape=conv.kernel,
        strides=conv.stride,
        dilations=conv.dilation,
        group=conv.groups,
        pads=[*conv.padding, *after],
    )
    given = [
        _value(f"{name}.input", (1, conv.c_in, *conv.size_in)),
        _value(f"{name}.weight", (conv.c_out, conv.c_in // conv.groups, *conv.kernel)),
    ]
    return node, [], given, _value(f"{name}.output", (1, conv.c_out, *conv.size_out))


def _product(work: Workload, name: str) -> _Pieces:
    """A MatMul, `m k` by weights `k n`; heads and matrices of their own lead, `copies m k` by `copies k n`."""
    from onnx import helper

    product = work.product
    lead = (product.copies,) if product.copies > 1 else ()
    given = [
        _value(f"{name}.input", (*lead, product.m, product.k)),
        _value(f"{name}.weight", (*lead, product.k, product.n)),
    ]
    made = _value(f"{name}.output", (*lead, product.m, product.n))
    ends = [value.name for value in given]
    if not lead and product.shared:
        return helper.make_node("MatMul", ends, [made.name], name=name), [], given, made
    # Two factors that come from nodes: otherwise ZigZag drops the leading axis of the second.
    before = [helper.make_node("Identity", [end], [f"{end}.value"], name=f"{end}.value") for end in ends]
    node = helper.make_node("MatMul", [f"{end}.value" for end in ends], [made.name], name=name)
    return node, before, given, made


def _value(name: str, shape: tuple[int, ...]) -> ValueInfoProto:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def mapping_text(accelerator: Accelerator) -> str:
    """Return mapping.yaml: input channels along the rows, filters along the columns, for every layer."""
    return f"""- name: default
  spatial_mapping:
    D1:
      - C, {accelerator.rows}
    D2:
      - K, {accelerator.cols}
  memory_operand_links:
    O: O
    W: I2
    I: I1
"""


def accelerator_text(accelerator: Accelerator) -> str:
    """Return accelerator.yaml; areas are not priced, and ZigZag wants a number."""
    bits = accelerator.operand_bits
    lines = [
        f"# Array and prices: {accelerator.name}. Energies in pJ for each access; areas are not known (0).",
        "name: snn_energy",
        "",
        "memories:",
    ]
    for level in accelerator.levels:
        lines += _level(level, accelerator)
    lines += [
        "operational_array:",
        f"  input_precision: [{bits}, {bits}]",
        f"  unit_energy: {float(accelerator.mac_pj)!r}",
        "  unit_area: 0.0",
        "  dimensions: [D1, D2]",
        f"  sizes: [{accelerator.rows}, {accelerator.cols}]",
    ]
    return "\n".join(lines) + "\n"


def _level(level: Level, accelerator: Accelerator) -> Iterator[str]:
    """Registers are one for weights in each unit and one for sums in each column; other levels hold everything."""
    bits = accelerator.operand_bits
    if level.kind == "register":
        yield from _memory("reg_W", level, bits, ["I2"], "", bits)
        yield from _memory("reg_O", level, 2 * bits, ["O"], "D1", 2 * bits)
    else:
        # As many memories side by side as feed a row of the array in each cycle; each costs what one costs.
        wide = max(accelerator.rows, accelerator.cols) * 2 * bits if level.kind == "sram" else level.access_bits
        width = -(-wide // level.access_bits) * level.access_bits
        yield from _memory(level.name.replace("-", "_"), level, level.size_bits, ["I1", "I2", "O"], "D1, D2", width)


def _memory(name: str, level: Level, size: int, operands: list[str], served: str, width: int) -> Iterator[str]:
    share = width / level.access_bits
    flows = [f"{operand}, {way}" for operand in operands for way in ("fh", "tl")]
    flows += ["O, fl", "O, th"] if "O" in operands else []
    yield f"  {name}:"
    yield f"    size: {size}"
    yield f"    r_cost: {level.read_pj * share!r}"
    yield f"    w_cost: {level.write_pj * share!r}"
    yield "    area: 0.0"
    yield "    latency: 1"
    yield "    auto_cost_extraction: False"
    yield f"    operands: [{', '.join(operands)}]"
    yield "    ports:"
    for kind, ways in (("read", ("tl", "th")), ("write", ("fh", "fl"))):
        yield f"      - name: {kind[0]}_port_1"
        yield f"        type: {kind}"
        yield f"        bandwidth_min: {min(width, level.access_bits)}"
        yield f"        bandwidth_max: {width}"
        yield "        allocation:"
        yield from (f"          - {flow}" for flow in flows if flow.endswith(ways))
    yield f"    served_dimensions: [{served}]"
    yield ""
