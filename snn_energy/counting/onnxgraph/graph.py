"""An ONNX graph as a subject of a trace.

onnxruntime runs the graph as written and returns every result that a row needs. Each node is then charged below the
path of its module: products, pools, norms and softmax run once more in torch, under the dispatch mode, on the operands
that onnxruntime computed, so that they go through the very rows of eager models; their results must agree. What works
element by element is charged by table; what only moves values is free; all else is listed as uncounted, with a bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snn_energy.counting.dispatch import CountingMode
from snn_energy.counting.naming import Site, numbered_line, replayed
from snn_energy.counting.neurons import NeuronRow, named_neurons
from snn_energy.counting.onnxgraph import elementwise, layers, products  # noqa: F401  # their rows
from snn_energy.counting.onnxgraph.loading import STANDARD_DOMAINS, opset_of, read_model
from snn_energy.counting.onnxgraph.names import (
    TRACE_KEY,
    Scope,
    scope_of,
    unstacked_neurons,
    weight_name,
    written_neurons,
)
from snn_energy.counting.onnxgraph.node import CHARGED, MOVES, REPLAYED, Node, NotRead
from snn_energy.counting.onnxgraph.recurrent import GATES, Weights, weights_of
from snn_energy.counting.onnxgraph.session import Session, Value, fitted, to_tensor
from snn_energy.counting.onnxgraph.timed import READOUTS, Timed
from snn_energy.counting.recorder import Recorder
from snn_energy.counting.regions import Call, Step, link, recognised, spike_steps
from snn_energy.counting.skeleton import Graph, Stage, skeleton
from snn_energy.counting.tags import Origin, Tag, hang_tag, read_tag
from snn_energy.errors import DataError, TraceError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

WEIGHT_SLOTS: dict[str, int] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul", "ConvInteger", "MatMulInteger"), 1),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), 3),
}
"""Operators that multiply by weights, and which operand these are (of a MatMul, either)."""

CONTROL = ("If", "Loop", "Scan")


class OnnxGraph(Graph):
    """An ONNX model ready to be traced."""

    def __init__(self, model: ModelProto, name: str, like: nn.Module | None = None) -> None:
        self.name = name
        self._recurrent: dict[int, tuple[str, Weights]] = {}
        self._keep = model  # nodes are told apart by identity
        rows = written_neurons(model) if like is None else named_neurons(like)
        self.body = Body(model, model.graph, name, rows)
        tensors: dict[str, Tensor] = {}
        classes: dict[str, str] = {}
        for body in self.body.all():
            classes |= body.classes
            self._take_constants(body, tensors, classes)
        kind = classes.get("", "").rpartition(".")[2] or model.graph.name.rpartition(".")[2]
        kind = kind if like is None else type(like).__name__
        self.root = skeleton(kind if kind.isidentifier() else "OnnxGraph", classes, tensors)
        self.neurons = {path: row for body in self.body.all() for path, row in body.neurons.items()}
        self.properties = {entry.key: entry.value for entry in model.metadata_props}
        self.timed = Timed.read(self.properties, name)
        self._computed: tuple[object, dict[tuple[int, str], Value]] = (None, {})

    def fixed_size(self, axis: int) -> int | None:
        """Size of this axis of the first input, where the graph takes no other."""
        first = next((entry for entry in self.body.graph.input if entry.name in self.body.inputs), None)
        axes = [] if first is None else list(first.type.tensor_type.shape.dim)
        return int(axes[axis].dim_value) or None if axis < len(axes) else None

    @classmethod
    def load(cls, source: Any, like: nn.Module | None = None) -> OnnxGraph:
        """The graph of an .onnx file or of a loaded model."""
        name = Path(source).name if isinstance(source, (str, Path)) else "the ONNX model"
        return cls(read_model(source), name, like)

    @property
    def computed(self) -> dict[tuple[int, str], Value]:
        """Results that depend on constants alone, by their graph's identity and name: kept for all of a trace."""
        return self._computed[1]

    def run(self, recorder: Recorder, mode: CountingMode, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the graph on one call's arguments, in the order of its inputs or by name; the mode is on.

        Raises:
            DataError: arguments that the graph does not take.
            TraceError: onnxruntime cannot run it, or a result differs from what the node is read as.
        """
        if self._computed[0] is not recorder.token:
            self._computed = (recorder.token, {})
        stage = Stage(self.root, recorder, mode)
        stage.declare_neurons(self.neurons)
        given = dict(zip(self.body.inputs, args, strict=False)) | kwargs
        x = given.get(self.body.inputs[0]) if self.body.inputs else None
        if isinstance(x, Tensor) and self.timed.needs_state(given):
            return self._run_steps(stage, x)
        if isinstance(x, Tensor) and self.timed.form == "sequence":
            with stage.unseen():
                args, kwargs = (self.timed.frames(x, self._rank() - 1, self.name),), {}
        env: dict[str, Value] = dict(self._inputs(stage, args, kwargs))
        self.body.run(self, stage, env)
        outputs = [env[name] for name in self.body.outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _run_steps(self, stage: Stage, x: Tensor) -> Tensor:
        """All time steps of a step form, from rest, and the read-out that its exporter noted."""
        with stage.unseen():
            frames = self.timed.frames(x, self._rank(), self.name)
            state = self.timed.at_rest(frames.shape[1], frames)
            state = {name: state[name] for name in self.body.inputs[1:]}
        outputs = []
        for frame in frames.unbind(0):
            env: dict[str, Value] = dict(self._inputs(stage, (frame, *state.values()), {}))
            self.body.run(self, stage, env)
            outputs.append(env[self.body.outputs[0]])
            state = {name: env[after] for name, after, *_ in self.timed.states}
        with stage.at(""):
            return READOUTS[self.timed.readout](torch.stack(outputs))

    def _rank(self) -> int:
        """Number of axes of the first input."""
        first = next(entry for entry in self.body.graph.input if entry.name == self.body.inputs[0])
        return len(first.type.tensor_type.shape.dim)

    def recurrent_weights(self, node: NodeProto) -> Weights | None:
        """The weights of a recurrent node, if they are constants."""
        found = self._recurrent.get(id(node))
        return None if found is None else found[1]

    def _inputs(self, stage: Stage, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Tensor]:
        names = self.body.inputs
        given = dict(zip(names, args, strict=False)) | kwargs
        if set(given) != set(names) or len(args) > len(names) or not all(isinstance(v, Tensor) for v in given.values()):
            raise DataError(
                f"{self.name}: expected the inputs {', '.join(names)} as tensors (got {len(args)} by position"
                f"{''.join(f', {name}' for name in kwargs)}); pass a tuple in this order, or a dict"
            )
        types = self.body.session().inputs
        with stage.unseen():
            found = {name: fitted(value, types.get(name, ""), name, self.name) for name, value in given.items()}
        for value in found.values():
            stage.recorder.is_data(value)
        return found

    # -- constants and their names -------------------------------------------------------------------------------

    def _take_constants(self, body: Body, tensors: dict[str, Tensor], classes: dict[str, str]) -> None:
        wanted = body.weight_names()
        of_layers = {one for node, _ in body.recurrent_nodes() for one in node.input[1:4]}
        for name, value in body.constants().items():
            known = tensors.get(wanted.get(name, ""))
            if isinstance(value, Tensor) and _is_weight(name, value, name in wanted):
                value = known if _is_copy(value, known) else nn.Parameter(value, requires_grad=False)
            body.stored[name] = value
            if isinstance(value, Tensor) and value is not known and name not in of_layers:
                tensors[_unused(wanted.get(name, name), tensors)] = value
        levels: Counter[str] = Counter()
        for node, path in body.recurrent_nodes():
            parts = [body.stored.get(one) if one else None for one in (*node.input[1:3], _fourth(node))]
            if not all(isinstance(part, Tensor) for part in parts[:2]) or (_fourth(node) and parts[2] is None):
                continue
            w, r, b = parts
            assert isinstance(w, Tensor)
            assert isinstance(r, Tensor)
            weights = weights_of(node.op_type, w.detach(), r.detach(), None if b is None else b.detach(), levels[path])
            levels[path] += 1
            self._recurrent[id(node)] = (path, weights)
            classes[path] = f"torch.nn.modules.rnn.{node.op_type}"
            for name, parameter in weights.by_name.items():
                tensors[_unused(f"{path}.{name}" if path else name, tensors)] = parameter


def _recurrent_path(node: NodeProto, scope: Scope) -> str:
    return scope.path or node.name.replace("/", ".").strip(".") or node.op_type.lower()


def _with_weights(node: NodeProto, scope: Scope) -> Scope:
    """A batch norm fused into a convolution leaves the norm's scope on it: the weight's name knows better."""
    slot = WEIGHT_SLOTS.get(node.op_type)
    weight = node.input[slot] if slot is not None and len(node.input) > slot else ""
    owner, _, leaf = weight.rpartition(".")
    inside = not scope.path or owner == scope.path or owner.startswith(f"{scope.path}.")
    if not owner or inside or leaf != "weight" or not scope.modules:
        return scope
    return Scope((*scope.modules[:-1], (owner, owner)), scope.classes)


def _fourth(node: NodeProto) -> str:
    return node.input[3] if len(node.input) > 3 else ""


def _is_weight(name: str, value: Tensor, multiplied: bool) -> bool:
    """Constants that a parameter of the network became; not a number, not the zeros that a state starts from."""
    if multiplied or not value.is_floating_point() or value.numel() < 2:
        return multiplied
    return "." in name or bool(value.any())


def _is_copy(value: Tensor, known: Tensor | None) -> bool:
    """True if an exporter wrote one weight of one module twice: once for each of its turns, say."""
    return isinstance(known, nn.Parameter) and known.dtype is value.dtype and torch.equal(known, value)


def _unused(name: str, taken: Mapping[str, object]) -> str:
    number, candidate = 2, name
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate


class Body:
    """One graph: the model's own, or that of a branch or loop inside it."""

    def __init__(
        self,
        model: ModelProto,
        graph: GraphProto,
        name: str,
        rows: Mapping[str, NeuronRow] | None,
        outside: frozenset[str] = frozenset(),
    ) -> None:
        self._model, self.graph, self.name = model, graph, name
        self._outside = outside
        self._constants: dict[str, Value] | None = None
        self.opset = opset_of(model)
        stored = {tensor.name for tensor in graph.initializer}
        self.inputs = [entry.name for entry in graph.input if entry.name not in stored]
        self.outputs = [entry.name for entry in graph.output]
        self.nodes: list[NodeProto] = list(graph.node)
        self._scopes = [_with_weights(node, scope_of(node)) for node in self.nodes]
        here = {entry.name for entry in graph.input} | stored | {out for node in self.nodes for out in node.output}
        self._inner = {
            id(attribute.g): Body(model, attribute.g, f"{name}, {node.name or node.op_type}", rows, outside | here)
            for node in self.nodes
            for attribute in node.attribute
            if attribute.HasField("g")
        }
        self.static = self._find_static(frozenset(entry.name for entry in graph.input) - stored)
        """Results that depend on constants alone."""
        self.captured = sorted(self._reads() - here - {""})
        """Values of the graphs around this one that it reads."""
        self._steps = self._as_steps()
        self.neurons = recognised(self._steps, rows)
        self.classes = {
            path: qualified
            for step in self._steps
            for (path, _), qualified in zip(step.modules, step.classes, strict=True)
        }
        self._spikes = spike_steps(self._steps, self.neurons)
        self._unstacked = unstacked_neurons(model)
        self._sites = self._find_sites()
        self._session: Session | None = None
        self.stored: dict[str, Value] = {}
        """Its constants, as the trace knows them."""

    def all(self) -> Iterable[Body]:
        """This graph and all graphs inside it."""
        yield self
        for inner in self._inner.values():
            yield from inner.all()

    def spike_values(self) -> dict[str, list[str]]:
        """The results that are each neuron's spikes, by module path, in the order of the nodes."""
        found: dict[str, list[str]] = {}
        for node, step in zip(self.nodes, self._steps, strict=True):
            if step in self._spikes:
                found.setdefault(self._spikes[step][0], []).append(node.output[0])
        return found

    def inner(self, graph: GraphProto) -> Body:
        """The graph that a node holds."""
        return self._inner[id(graph)]

    def _reads(self) -> set[str]:
        own = {name for node in self.nodes for name in node.input} | set(self.outputs)
        return own.union(*(inner.captured for inner in self._inner.values()))

    # -- what is known before it runs ----------------------------------------------------------------------------

    def constants(self) -> dict[str, Value]:
        """Initialisers and constant nodes, by name."""
        if self._constants is not None:
            return self._constants
        from onnx import numpy_helper

        found = {tensor.name: to_tensor(numpy_helper.to_array(tensor)) for tensor in self.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant":
                found[node.output[0]] = _constant(node)
        self._constants = found
        return found

    def _find_static(self, given: frozenset[str]) -> set[str]:
        moving = set(given | self._outside)
        for node in self.nodes:
            holds_graph = any(attribute.HasField("g") for attribute in node.attribute)
            if holds_graph or node.op_type.startswith(("Random", "Bernoulli")) or not moving.isdisjoint(node.input):
                moving.update(node.output)
        return {name for node in self.nodes for name in node.output} - moving

    def weight_names(self) -> dict[str, str]:
        """For each constant that a node multiplies by: its name in the tree."""
        makers = {name: node for node in self.nodes for name in node.output if name in self.static}
        stored = {tensor.name for tensor in self.graph.initializer}
        stored |= {node.output[0] for node in self.nodes if node.op_type == "Constant"}
        names: dict[str, str] = {}
        for node, scope in zip(self.nodes, self._scopes, strict=True):
            slot = WEIGHT_SLOTS.get(node.op_type)
            if slot is None or len(node.input) <= slot:
                continue
            candidates = [node.input[slot], node.input[0]] if node.op_type == "MatMul" else [node.input[slot]]
            for value in candidates:
                while value in makers and value not in stored and makers[value].input:
                    value = makers[value].input[0]
                if value in stored:
                    names.setdefault(value, weight_name(value, scope.path, node.name))
                    break
        return names

    def recurrent_nodes(self) -> list[tuple[NodeProto, str]]:
        """Recurrent layers and their paths."""
        return [
            (node, _recurrent_path(node, scope))
            for node, scope in zip(self.nodes, self._scopes, strict=True)
            if node.op_type in GATES
        ]

    def _as_steps(self) -> list[Step]:
        numbers = {
            name: float(value)
            for name, value in self.constants().items()
            if isinstance(value, Tensor) and value.numel() == 1
        }
        steps: list[Step] = []
        makers: dict[str, Step] = {}
        for node, scope in zip(self.nodes, self._scopes, strict=True):
            operands = node.input[:1] if node.op_type in _SIZED else node.input
            step = Step(
                name=_STEP_NAMES.get(node.op_type, node.op_type),
                sources=tuple(makers.get(name, numbers.get(name)) for name in operands),
                modules=scope.modules,
                classes=scope.classes,
            )
            steps.append(step)
            makers |= dict.fromkeys(node.output, step)
        link(steps)
        for name in self.outputs:
            if name in makers:
                makers[name].users.append(None)
        return steps

    def _find_sites(self) -> list[Site]:
        seen: Counter[tuple[str, ...]] = Counter()
        sites = []
        for node, scope in zip(self.nodes, self._scopes, strict=True):
            trace = next((entry.value for entry in node.metadata_props if entry.key == TRACE_KEY), "")
            where = (node.op_type, scope.modules[-1][1] if scope.modules else "")
            sites.append(numbered_line(trace, where, seen) or (node.name or node.output[0], 0, 0))
        return sites

    # -- running -------------------------------------------------------------------------------------------------

    def session(self, env: Mapping[str, Value] | None = None) -> Session:
        """onnxruntime with this graph; the first call of an inner graph needs the values around it, for their types."""
        if self._session is None:
            self._session = Session(self._runnable(env or {}), self._fetched(), self.name)
        return self._session

    def _runnable(self, env: Mapping[str, Value]) -> ModelProto:
        if self.graph is self._model.graph:
            return self._model
        import onnx

        graph = onnx.GraphProto()
        graph.CopyFrom(self.graph)
        for entry in graph.input:  # a type that the loop leaves open is that of the value
            value = env.get(entry.name)
            if isinstance(value, Tensor):
                entry.CopyFrom(_typed(entry.name, value))
        graph.input.extend(_typed(name, env[name]) for name in self.captured if isinstance(env[name], Tensor))
        for entry in graph.output:
            entry.ClearField("type")
        graph.name = graph.name or "body"
        return onnx.helper.make_model(graph, opset_imports=self._model.opset_import, ir_version=self._model.ir_version)

    def _fetched(self) -> list[str]:
        """Results to read: all but those that stay inside a neuron."""
        read_by: dict[str, list[int]] = {}
        for index, node in enumerate(self.nodes):
            inside = [self._inner[id(a.g)].captured for a in node.attribute if a.HasField("g")]
            for name in (*node.input, *(name for names in inside for name in names)):
                read_by.setdefault(name, []).append(index)
        fetched = []
        for node, step in zip(self.nodes, self._steps, strict=True):
            neuron = step.call_of(self.neurons)
            for name in node.output:
                stays = neuron is not None and step not in self._spikes and name not in self.outputs
                if name and not (stays and all(self._is_in(index, neuron) for index in read_by.get(name, ()))):
                    fetched.append(name)
        return fetched

    def _is_in(self, index: int, neuron: Call | None) -> bool:
        other = self._steps[index].call_of(self.neurons)
        return other is not None and neuron is not None and other[0] == neuron[0]

    def run(self, owner: OnnxGraph, stage: Stage, env: dict[str, Value]) -> None:
        """Run the graph on the values in `env`, enter all results there, and charge every node."""
        env |= self.stored
        with stage.unseen():
            session = self.session(env)
            values = session.run({name: env[name] for name in session.inputs})
        for node, step, scope, site in zip(self.nodes, self._steps, self._scopes, self._sites, strict=True):
            neuron = step.call_of(self.neurons)
            if neuron is not None:
                self._take(node, step, neuron, stage, env, values)
                continue
            if node.op_type == "Constant":
                continue
            layer = node.op_type in GATES and owner.recurrent_weights(node) is not None
            path = _recurrent_path(node, scope) if layer else scope.path
            with stage.at(path), replayed(site, einsum=node.op_type == "Einsum"):
                self._count(owner, node, path, stage, env, values)

    def _take(
        self,
        node: NodeProto,
        step: Step,
        neuron: Call,
        stage: Stage,
        env: dict[str, Value],
        values: Mapping[str, Value],
    ) -> None:
        """The results of a node inside a neuron: the neuron is charged from its spikes."""
        for name in node.output:
            if name not in values:
                continue
            env[name] = values[name]
            with stage.unseen(), stage.at(neuron[0]):
                stage.recorder.is_data(env[name])
                if step in self._spikes:
                    stage.fired(neuron[0], env[name], unstacked=neuron[0] in self._unstacked)

    def _count(
        self,
        owner: OnnxGraph,
        proto: NodeProto,
        path: str,
        stage: Stage,
        env: dict[str, Value],
        values: Mapping[str, Value],
    ) -> None:
        recorder, label = stage.recorder, proto.name or proto.op_type
        node = Node(
            op=proto.op_type,
            name=label,
            path=path,
            attributes=_attributes(proto),
            inputs=[env[name] if name else None for name in proto.input],
            results=[values.get(name) if name else None for name in proto.output],
            opset=self.opset,
            recorder=recorder,
            stage=stage,
        )
        names = [name for name in proto.output if name]
        if proto.op_type in GATES:
            node.attributes = {**node.attributes, "weights": owner.recurrent_weights(proto)}
        if all((id(self), name) in owner.computed for name in names):
            env |= {name: owner.computed[id(self), name] for name in names}
            return
        env |= {name: values[name] for name in names}
        at_load = not self._depends_on_data(node) and not self._starts_from_rest(node, proto)
        if at_load and proto.op_type not in CONTROL:
            self._keep_constant(node, owner, names, env)
            return
        if proto.op_type in CONTROL:
            from snn_energy.counting.onnxgraph.control import run_inner

            run_inner(self, owner, stage, proto, node, env)
            for name in names:
                _tag(env[name], Tag(recorder.token, Origin.DATA))
            return
        self._charge(node, proto, names, env)

    def _depends_on_data(self, node: Node) -> bool:
        """True if a value comes from the samples; their sizes alone are no data."""
        if node.op in ("Shape", "Size"):
            return False
        if node.op.startswith(("Random", "Bernoulli")):
            return True
        return any(
            not isinstance(value, Tensor) or node.recorder.origin(value) is Origin.DATA
            for value in node.inputs
            if value is not None
        )

    def _starts_from_rest(self, node: Node, proto: NodeProto) -> bool:
        """True for a product of weights with a state at rest: its size is the batch's, so no one computes it before."""
        if proto.op_type not in WEIGHT_SLOTS or proto.output[0] in self.static:
            return False
        origins = {node.recorder.origin(value) for value in node.tensors}
        return Origin.CONSTANT in origins and Origin.WEIGHT in origins

    def _keep_constant(self, node: Node, owner: OnnxGraph, names: list[str], env: dict[str, Value]) -> None:
        """Computed from weights and sizes alone: done once, at load time, or by the program around the network."""
        recorder = node.recorder
        tags = [tag for value in node.tensors if (tag := recorder.tag(value)) is not None]
        parameters = tuple(dict.fromkeys(name for tag in tags for name in tag.names if tag.origin is Origin.WEIGHT))
        origin = Origin.WEIGHT if parameters else Origin.CONSTANT
        for name in names:
            _tag(env[name], Tag(recorder.token, origin, names=parameters))
            if parameters:
                owner.computed[id(self), name] = env[name]
        reason = MOVES.get(node.op, ("", False))[0]
        recorder.note("free", f"onnx::{node.op}", reason=reason or "constants only: computed once, at load time")

    def _charge(self, node: Node, proto: NodeProto, names: list[str], env: dict[str, Value]) -> None:
        recorder = node.recorder
        if proto.domain not in STANDARD_DOMAINS:
            self._uncounted(node, f"{proto.domain}::{node.op}")
        elif node.op in REPLAYED:
            self._replay(node, proto, env)
            return
        elif node.op in CHARGED:
            try:
                with node.stage.unseen():
                    CHARGED[node.op](node)
            except NotRead as problem:
                self._uncounted(node, f"onnx::{node.op} ({problem})")
        elif node.op in MOVES:
            reason, keeps = MOVES[node.op]
            recorder.note("free", f"onnx::{node.op}", reason=reason)
            scale = _common_scale(recorder, node) if keeps else None
            for name in names:
                _tag(env[name], Tag(recorder.token, Origin.DATA, spike_scale=scale))
            return
        else:
            self._uncounted(node, f"onnx::{node.op}")
        for name in names:
            value = env[name]
            if isinstance(value, Tensor) and read_tag(value, recorder.token) is None:
                _tag(value, Tag(recorder.token, Origin.DATA))

    def _replay(self, node: Node, proto: NodeProto, env: dict[str, Value]) -> None:
        """Run the node in torch under the mode, compare, and go on with onnxruntime's values under torch's tags."""
        recorder = node.recorder
        try:
            results = REPLAYED[node.op](node)
        except NotRead as problem:
            self._uncounted(node, f"onnx::{node.op} ({problem})")
            results = ()
        results = (results,) if isinstance(results, Tensor) else tuple(results)
        with node.stage.unseen():
            for index, name in enumerate(proto.output):
                if not name or not isinstance(env[name], Tensor):
                    continue
                mine = results[index] if index < len(results) else None
                tag = None if mine is None else recorder.tag(mine)
                if mine is not None:
                    self._compare(node, mine, env[name])
                fresh = Tag(recorder.token, Origin.DATA) if tag is None else replace(tag)
                _tag(env[name], fresh)

    def _compare(self, node: Node, mine: Tensor, theirs: Tensor) -> None:
        same = mine.shape == theirs.shape
        if same and mine.numel():
            a, b = mine.double(), theirs.double()
            apart = torch.where(a == b, torch.zeros_like(a), (a - b).abs()).nan_to_num(nan=0.0)
            step = _STEPS.get(theirs.dtype, 0.0)
            largest = b.abs().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).max()
            same = bool(apart.max() <= step * max(1.0, float(largest)))
        if not same:
            raise TraceError(
                f"{self.name}, node {node.name!r}: {node.op} is read as an operator of torch that gives"
                f" {list(mine.shape)}, but onnxruntime gives other values, {list(theirs.shape)}; report this graph"
            )

    def _uncounted(self, node: Node, name: str) -> None:
        """Every result against every operand: no operator whose results are sums over operands does more."""
        sizes = [prod(value.shape) for value in (*node.inputs,) if isinstance(value, Tensor)]
        results = sum(value.numel() for value in node.results if isinstance(value, Tensor))
        node.recorder.note("uncounted", name, bound=max(1, results) * max(1, sum(sizes)))


_STEPS = {torch.float32: 1e-4, torch.float64: 1e-9, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Largest difference of two correctly summed results, as a part of the largest of them."""

_STEP_NAMES = {
    "GreaterOrEqual": "ge",
    "Greater": "gt",
    "LessOrEqual": "le",
    "Less": "lt",
    "Cast": "to",
    "CastLike": "type_as",
    "Concat": "cat",
    "Unsqueeze": "unsqueeze",
    "Squeeze": "squeeze",
    "Reshape": "reshape",
    "Flatten": "reshape",
    "Identity": "clone",
    "Transpose": "permute",
    "Gather": "select",
    "Slice": "slice",
    "Sub": "sub",
    "Mul": "mul",
}
"""ONNX operators by the names that `regions` knows."""

_SIZED = ("Unsqueeze", "Squeeze", "Reshape", "CastLike", "Gather", "Slice")
"""Operators whose later operands are axes, sizes and types."""


def _tag(value: Value, tag: Tag) -> None:
    if isinstance(value, Tensor):
        hang_tag(value, tag)


def _common_scale(recorder: Recorder, node: Node) -> float | None:
    data = [value for value in node.tensors if recorder.origin(value) is Origin.DATA and value.is_floating_point()]
    scales = {recorder.spike_scale(value) for value in data}
    return scales.pop() if len(scales) == 1 and len(data) in (1, len(node.tensors)) else None


def _constant(node: NodeProto) -> Value:
    import numpy as np
    from onnx import helper, numpy_helper

    attribute = node.attribute[0]
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return to_tensor(numpy_helper.to_array(value))
    if attribute.name in ("value_float", "value_floats"):
        return to_tensor(np.asarray(value, dtype=np.float32))
    if attribute.name in ("value_int", "value_ints"):
        return to_tensor(np.asarray(value, dtype=np.int64))
    return value


def _attributes(node: NodeProto) -> dict[str, Any]:
    from onnx import helper

    found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def _typed(name: str, value: Tensor) -> Any:
    import onnx

    array = value.detach().cpu().numpy()
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), None)
