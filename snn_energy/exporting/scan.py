"""The sequence form: one time step as the body of a Scan, the state at rest before it, the read-out behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from snn_energy.exporting.carrying import State
from snn_energy.exporting.forms import FRAMES, LOGITS
from snn_energy.exporting.graph import TIME

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

_STEP_LOGITS, _ALL_LOGITS, _BATCH_SIZE = "step_logits", "all_logits", "batch_size"
_REDUCTIONS = {"mean": "ReduceMean", "max": "ReduceMax", "sum": "ReduceSum"}


def as_sequence(proto: ModelProto, states: Sequence[State], readout: str) -> ModelProto:
    """The sequence form of a tidied step form.

    Shapes: frames `t n ...` -> logits `n classes`, or `t n classes` where the network returns all steps.
    """
    import onnx
    from onnx import helper

    step = proto.graph
    body = onnx.GraphProto()
    body.CopyFrom(step)
    body.name = f"{step.name}_step"
    frame, logits = body.input[0], body.output[0]
    _renamed(body, LOGITS, _STEP_LOGITS)
    inputs, outputs = [*body.input[1:], frame], [*body.output[1:], logits]
    del body.input[:], body.output[:]
    body.input.extend(inputs)
    body.output.extend(outputs)

    whole = onnx.ModelProto()
    whole.CopyFrom(proto)
    graph = whole.graph
    for field in ("node", "input", "output", "value_info", "initializer"):
        graph.ClearField(field)
    graph.input.append(_value(FRAMES, frame, TIME))
    nodes: list[NodeProto] = []
    if any(state.batch_axis is not None for state in states):
        nodes.append(helper.make_node("Shape", [FRAMES], [_BATCH_SIZE], name=_BATCH_SIZE, start=1, end=2))
        graph.value_info.append(helper.make_tensor_value_info(_BATCH_SIZE, onnx.TensorProto.INT64, [1]))
    for state, info in zip(states, step.input[1:], strict=True):
        nodes += _at_rest(graph, state, info)
    nodes.append(
        helper.make_node(
            "Scan",
            [*(f"{state.name}.rest" for state in states), FRAMES],
            [*(f"{state.name}.last" for state in states), _ALL_LOGITS if readout != "stack" else LOGITS],
            name="scan",
            body=body,
            num_scan_inputs=1,
        )
    )
    for state, info in zip(states, step.output[1:], strict=True):
        last = type(info).FromString(info.SerializeToString())
        last.name = f"{state.name}.last"
        graph.value_info.append(last)
    if readout == "stack":
        graph.output.append(_value(LOGITS, step.output[0], TIME))
    else:
        graph.value_info.append(_value(_ALL_LOGITS, step.output[0], TIME))
        graph.output.append(_value(LOGITS, step.output[0], None))
        nodes += _read_out(graph, readout)
    graph.node.extend(nodes)
    return whole


def step_of(graph: GraphProto) -> GraphProto | None:
    """The body of the Scan of a sequence form; None in a graph without."""
    bodies = (
        entry.g for node in graph.node if node.op_type == "Scan" for entry in node.attribute if entry.HasField("g")
    )
    return next(bodies, None)


def _at_rest(graph: GraphProto, state: State, info: ValueInfoProto) -> list[NodeProto]:
    """Nodes that make the state before the first time step."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    name, shape = f"{state.name}.rest", f"{state.name}.shape"
    kind = info.type.tensor_type.elem_type
    start = numpy_helper.from_array(np.array([state.rest], helper.tensor_dtype_to_np_dtype(kind)))
    filled = helper.make_node("ConstantOfShape", [shape], [name], name=name, value=start)
    rest = type(info).FromString(info.SerializeToString())
    rest.name = name
    graph.value_info.append(rest)
    sizes = np.array(state.shape, np.int64)
    if state.batch_axis is None:
        graph.initializer.append(numpy_helper.from_array(sizes, shape))
        return [filled]
    parts = []
    for part, piece in (("before", sizes[: state.batch_axis]), ("after", sizes[state.batch_axis + 1 :])):
        if len(piece):
            graph.initializer.append(numpy_helper.from_array(piece, f"{shape}.{part}"))
        parts.append([f"{shape}.{part}"] if len(piece) else [])
    joined = helper.make_node("Concat", [*parts[0], _BATCH_SIZE, *parts[1]], [shape], name=shape, axis=0)
    graph.value_info.append(helper.make_tensor_value_info(shape, onnx.TensorProto.INT64, [len(sizes)]))
    return [joined, filled]


def _read_out(graph: GraphProto, readout: str) -> list[NodeProto]:
    import numpy as np
    from onnx import helper, numpy_helper

    if readout == "last":
        graph.initializer.append(numpy_helper.from_array(np.array(-1, np.int64), "last_step"))
        return [helper.make_node("Gather", [_ALL_LOGITS, "last_step"], [LOGITS], name="readout", axis=0)]
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "time_axis"))
    operator = _REDUCTIONS[readout]
    return [helper.make_node(operator, [_ALL_LOGITS, "time_axis"], [LOGITS], name="readout", keepdims=0)]


def _value(name: str, like: ValueInfoProto, first: str | None) -> ValueInfoProto:
    """A value of this type and shape, with one more axis in front where `first` names it."""
    from onnx import helper

    tensor = like.type.tensor_type
    axes: list[Any] = [axis.dim_param or axis.dim_value for axis in tensor.shape.dim]
    return helper.make_tensor_value_info(name, tensor.elem_type, ([first] if first else []) + axes)


def _renamed(body: GraphProto, old: str, new: str) -> None:
    for node in body.node:
        node.output[:] = [new if value == old else value for value in node.output]
        node.input[:] = [new if value == old else value for value in node.input]
    for info in (*body.output, *body.value_info):
        info.name = new if info.name == old else info.name
