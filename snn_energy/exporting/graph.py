"""Tidying of an exported graph: names that say where a node comes from, nothing about the exporting machine.

A node that holds a layer's weight is called as its module, "blocks.0.conv"; so is the only node of a module
without children, like a pooling layer. Any other is module/operator, numbered where there are several: in a
neuron "blocks.0.neuron/GreaterOrEqual_2" is the spike of the third time step. A value has its node's name.
Weights keep their names in the state dict.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from snn_energy.exporting.failures import ExportError
from snn_energy.exporting.losses import Loss

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

    from snn_energy.exporting.carrying import State
    from snn_energy.exporting.forms import Call

BATCH, TIME = "batch", "time"
MODULE_KEY, CALL_KEY = "snn_energy.module", "snn_energy.call"
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
SLOTS = {1: "weight", 2: "bias"}
STANDARD_DOMAINS = ("", "ai.onnx")
RANDOM = (
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)
SUBGRAPHS = ("If", "Loop", "Scan")
COMPARISONS = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")
_REDUCTIONS = ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd")
_AXES_BACK = ("Unsqueeze", "Concat", "Identity", "Reshape")
# Written by torch: the paths of the modules around a node, outermost first, then the operator.
_SCOPES_KEY = "pkg.torch.onnx.name_scopes"
_UNKNOWN_SCOPE = "_empty_nn_module_stack_from_metadata_hook"


def refuse_unfit(proto: ModelProto, network: nn.Module) -> tuple[Loss, ...]:
    """Raise ExportError for a graph that holds more than standard, straight-line operators.

    Returns a loss for each module that draws random numbers: the file draws others, and others in each run.
    """
    losses = []
    for node in proto.graph.node:
        module = _scope(node)
        at = f"{module} ({type(network.get_submodule(module)).__qualname__})" if module else _name(network)
        if node.domain not in STANDARD_DOMAINS:
            raise ExportError(
                f"{at}: cannot be exported to ONNX: operator {node.domain}::{node.op_type} is outside the"
                " standard; write it with standard operators"
            )
        if node.op_type in RANDOM:
            why = f"it draws random numbers (operator {node.op_type}); use a deterministic encoder"
            losses.append(Loss("the same output in every run", at, why))
        if node.op_type in SUBGRAPHS:
            raise ExportError(
                f"{at}: cannot be exported to ONNX: control flow stays in the graph (operator"
                f" {node.op_type}), and the unrolled form has none; write the choice with torch.where, or the"
                " loop with a fixed number of steps"
            )
    if proto.functions:
        raise ExportError(
            f"{_name(network)}: cannot be exported to ONNX: the graph calls function"
            f" {proto.functions[0].name}; write it with standard operators"
        )
    return tuple(losses)


def tidy(
    proto: ModelProto,
    network: nn.Module,
    node_metadata: Mapping[str, Mapping[str, str]],
    neuron_metadata: Mapping[str, Mapping[str, str]],
    call: Call,
) -> None:
    """Rename the nodes and values of `proto` in place, and drop all that only tells how it was made."""
    graph = proto.graph
    outputs = _own_outputs(graph, call)
    modules = _owners(graph, network, call.carried)
    names = _node_names(graph, modules, network)
    values = _value_names(graph, names, modules, network, call.inputs, outputs)
    for node, module, name in zip(graph.node, modules, names, strict=True):
        node.name = name
        node.input[:] = [values[value] if value else "" for value in node.input]
        node.output[:] = [values[value] if value else "" for value in node.output]
        node.ClearField("doc_string")
        number = _call(node)
        properties = {MODULE_KEY: module} if module else {}
        properties |= {CALL_KEY: number} if module and number else {}
        measured = node_metadata.get(name, {})
        if node.op_type in COMPARISONS:
            measured = neuron_metadata.get(module, measured)
        set_properties(node, {**properties, **measured})
    for weight in graph.initializer:
        weight.name = values[weight.name]
        weight.ClearField("doc_string")
        weight.ClearField("metadata_props")
    symbol = graph.input[0].type.tensor_type.shape.dim[call.batch_axis].dim_param
    for info in (*graph.input, *graph.output, *graph.value_info):
        info.name = values[info.name]
        info.ClearField("doc_string")
        info.ClearField("metadata_props")
        for axis in info.type.tensor_type.shape.dim:
            if axis.HasField("dim_param"):
                axis.dim_param = re.sub(rf"\b{re.escape(symbol)}\b", BATCH, axis.dim_param)
    for field in ("doc_string", "metadata_props"):
        graph.ClearField(field)
        proto.ClearField(field)
    graph.name = _name(network)
    proto.producer_name, proto.producer_version = "snn-energy", ""
    standard = [opset for opset in proto.opset_import if opset.domain in STANDARD_DOMAINS]
    del proto.opset_import[:]
    proto.opset_import.extend(standard)


def drop_dead_states(proto: ModelProto, call: Call) -> tuple[State, ...]:
    """Take out of the graph, in place, the states that no output depends on, and all that only they need.

    Returns those that are left. A counter that a network keeps beside its neurons is such a state.
    """
    graph = proto.graph
    makers = {value: node for node in graph.node for value in node.output if value}
    inputs, outputs = [info.name for info in graph.input], [info.name for info in graph.output]
    after = dict(zip(inputs[1:], outputs[1:], strict=True))
    needed: set[str] = set()
    todo = [outputs[0]]
    while todo:
        value = todo.pop()
        if value in needed:
            continue
        needed.add(value)
        node = makers.get(value)
        todo += [] if node is None else [one for one in node.input if one]
        todo += [after[value]] if value in after else []
    alive = [name in needed for name in inputs[1:]]
    _keep(graph.node, [any(value in needed for value in node.output) for node in graph.node])
    _keep(graph.input, [True, *alive])
    _keep(graph.output, [True, *alive])
    used = {value for node in graph.node for value in node.input} | {info.name for info in graph.output}
    _keep(graph.initializer, [weight.name in used for weight in graph.initializer])
    made = {value for node in graph.node for value in node.output}
    _keep(graph.value_info, [info.name in made for info in graph.value_info])
    return tuple(state for state, lives in zip(call.states, alive, strict=True) if lives)


def drop_single_reductions(proto: ModelProto) -> None:
    """Turn reductions over one element, like the mean over a single time step, into what they are, in place."""
    from onnx import numpy_helper

    graph = proto.graph
    axes_of = {weight.name: weight for weight in graph.initializer}
    sizes = {info.name: info.type.tensor_type.shape.dim for info in (*graph.value_info, *graph.input)}
    for node in graph.node:
        if node.op_type not in _REDUCTIONS or len(node.input) < 2 or node.input[1] not in axes_of:
            continue
        dims, kept = sizes.get(node.input[0]), {entry.name: entry.i for entry in node.attribute}.get("keepdims", 1)
        axes = numpy_helper.to_array(axes_of[node.input[1]]).reshape(-1).tolist()
        if dims is not None and axes and all(dims[axis].dim_value == 1 for axis in axes):
            node.op_type = "Identity" if kept else "Squeeze"
            del node.attribute[:]
            if kept:
                del node.input[1:]


def _keep(entries: Any, wanted: list[bool]) -> None:
    kept = [type(entry).FromString(entry.SerializeToString()) for entry, keep in zip(entries, wanted) if keep]
    del entries[:]
    entries.extend(kept)


def _own_outputs(graph: GraphProto, call: Call) -> tuple[str, ...]:
    """Give each of the graph's outputs a value of its own: one may be an input, or another output, as it is."""
    from onnx import helper

    taken = {info.name for info in graph.input} | {weight.name for weight in graph.initializer}
    for k, info in enumerate(graph.output):
        if info.name in taken:
            node = helper.make_node("Identity", [info.name], [f"own output {k}"])
            graph.node.append(node)
            info.name = node.output[0]
        taken.add(info.name)
    return call.outputs


def set_properties(target: ModelProto | NodeProto, properties: Mapping[str, str]) -> None:
    """Replace the `metadata_props` of a model or node, sorted by key."""
    target.ClearField("metadata_props")
    for key in sorted(properties):
        entry = target.metadata_props.add()
        entry.key, entry.value = key, properties[key]


def _scope(node: NodeProto) -> str:
    """Return the path of the module in whose forward the node was recorded, "" where that is not known."""
    return _recorded(node).partition("@")[0]


def _call(node: NodeProto) -> str:
    """Return which call of that module it was: "" for the first, "1" for the second."""
    return _recorded(node).partition("@")[2]


def _recorded(node: NodeProto) -> str:
    for entry in node.metadata_props:
        if entry.key == _SCOPES_KEY:
            paths = ast.literal_eval(entry.value)[:-1]
            path = str(paths[-1]) if paths else ""
            return "" if path == _UNKNOWN_SCOPE else path  # "@1": a module's second call
    return ""


def _owners(graph: GraphProto, network: nn.Module, carried: Container[str]) -> list[str]:
    """Return each node's module: the one whose weights it holds, else the one that it was recorded in.

    In a multi-step neuron that is run one step at a time, the axis that it puts back for that one step is no part of
    the neuron: what leaves it is the spikes, `n ...`.
    """
    known, modules = set(network.state_dict()), dict(network.named_modules())
    owners = []
    for node in graph.node:
        # A batch norm fused into a convolution leaves the norm's scope on it: weights know better.
        holders = {value.rpartition(".")[0] for value in node.input if value in known}
        scope = _scope(node)
        owner = holders.pop() if len(holders) == 1 and node.op_type in PRODUCTS else scope
        owners.append(owner if owner in modules else "")
    readers: dict[str, list[int]] = {}
    for index, node in enumerate(graph.node):
        for value in node.input:
            readers.setdefault(value, []).append(index)
    for index in reversed(range(len(graph.node))):  # from the outside in
        node, owner = graph.node[index], owners[index]
        if owner in carried and node.op_type in _AXES_BACK:
            users = [user for value in node.output for user in readers.get(value, ())]
            if all(owners[user] != owner for user in users):
                owners[index] = owner.rpartition(".")[0]
    return owners


def _node_names(graph: GraphProto, modules: list[str], network: nn.Module) -> list[str]:
    matrices = {weight.name for weight in graph.initializer if len(weight.dims) > 1}
    crowd = Counter(modules)
    wanted = []
    for node, module in zip(graph.node, modules, strict=True):
        weighted = node.op_type in PRODUCTS and not matrices.isdisjoint(node.input)
        alone = crowd[module] == 1 and next(network.get_submodule(module).children(), None) is None
        if module and (weighted or alone):
            wanted.append(module)
        else:
            wanted.append(f"{module}/{node.op_type}" if module else node.op_type)
    return _numbered(wanted, set())


def _value_names(
    graph: GraphProto,
    names: list[str],
    modules: list[str],
    network: nn.Module,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> dict[str, str]:
    """Return the new name of every value: the interface first, then weights, results and constants."""
    known = set(network.state_dict())
    new = {info.name: name for info, name in zip(graph.input, inputs, strict=True)}
    new |= {info.name: name for info, name in zip(graph.output, outputs, strict=True)}
    new |= {weight.name: weight.name for weight in graph.initializer if weight.name in known}
    taken = set(new.values())
    for node, name in zip(graph.node, names, strict=True):
        several = sum(map(bool, node.output)) > 1
        for k, value in enumerate(node.output):
            if value and value not in new:
                new[value] = _unused(f"{name}:{k}" if several else name, taken)
    rest = {weight.name for weight in graph.initializer} - set(new)
    for node, module in zip(graph.node, modules, strict=True):
        for slot, value in enumerate(node.input):
            if value in rest:
                rest.remove(value)
                layer = f"{module}.{SLOTS[slot]}" if node.op_type in PRODUCTS and slot in SLOTS else ""
                new[value] = _unused(layer or "constant_0", taken)
    for value in sorted(rest):
        new[value] = _unused("constant_0", taken)
    return new


def _numbered(wanted: Iterable[str], taken: set[str]) -> list[str]:
    """Return the names with _0, _1, ... behind those that are wanted more than once."""
    wanted = list(wanted)
    several = {name for name, count in Counter(wanted).items() if count > 1}
    return [_unused(f"{name}_0" if name in several else name, taken) for name in wanted]


def _unused(name: str, taken: set[str]) -> str:
    """Return `name`, with its number raised until nobody else has it, and mark it as taken."""
    stem, _, number = name.rpartition("_")
    if not (stem and number.isdigit()):
        stem, number = name, "0"
    k, candidate = int(number), name
    while candidate in taken:
        k += 1
        candidate = f"{stem}_{k}"
    taken.add(candidate)
    return candidate


def _name(network: nn.Module) -> str:
    return type(network).__qualname__
