"""TorchScript modules, counted like the eager module: their graph runs node by node under the trace's mode.

TorchScript runs in C++, where no module hook fires. Its graph, all calls inlined, tells for each node the modules
around it (`getModuleHierarchy`) and the line of code, so that rows get the eager names and neurons are found (see
`regions`). A graph with an operator that this file does not run is left to TorchScript: its operators are then counted
without paths.
"""

from __future__ import annotations

import linecache
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.dispatch import CountingMode
from snn_energy.counting.naming import Site, numbered_line, replayed
from snn_energy.counting.neurons import named_neurons
from snn_energy.counting.recorder import Recorder
from snn_energy.counting.regions import Call, Step, link, recognised, spike_steps
from snn_energy.counting.skeleton import Graph, Stage, skeleton
from snn_energy.counting.tags import tensors_in
from snn_energy.errors import DataError, TraceError

_MANGLED = re.compile(r"\.?___torch_mangle_\d+")

Inputs = list[Any]
Run = Callable[[Any, Inputs], Any]
"""Takes the node and its inputs; returns the list of its outputs."""


def _raise(_node: Any, inputs: Inputs) -> Any:
    raise RuntimeError(str(inputs[0]))


def _append(_node: Any, inputs: Inputs) -> Any:
    inputs[0].append(inputs[1])
    return [inputs[0]]


def _set_item(_node: Any, inputs: Inputs) -> Any:
    inputs[0][inputs[1]] = inputs[2]
    return [inputs[0]]


def _get_attribute(node: Any, inputs: Inputs) -> Any:
    return [getattr(inputs[0], node.s("name"))]


def _set_attribute(node: Any, inputs: Inputs) -> Any:
    setattr(inputs[0], node.s("name"), inputs[1])
    return []


RUN: dict[str, Run] = {
    "prim::GetAttr": _get_attribute,
    "prim::SetAttr": _set_attribute,
    "prim::Constant": lambda node, _: [node.output().toIValue()],
    "prim::ListConstruct": lambda _, inputs: [list(inputs)],
    "prim::TupleConstruct": lambda _, inputs: [tuple(inputs)],
    "prim::DictConstruct": lambda _, inputs: [dict(zip(inputs[::2], inputs[1::2], strict=True))],
    "prim::TupleUnpack": lambda _, inputs: list(inputs[0]),
    "prim::ListUnpack": lambda _, inputs: list(inputs[0]),
    "prim::TupleIndex": lambda _, inputs: [inputs[0][inputs[1]]],
    "prim::TupleSlice": lambda node, inputs: [inputs[0][node.i("beg") : node.i("end")]],
    "prim::unchecked_cast": lambda _, inputs: [inputs[0]],
    "prim::unchecked_unwrap_optional": lambda _, inputs: [inputs[0]],
    "aten::_unwrap_optional": lambda _, inputs: [inputs[0]],
    "prim::Uninitialized": lambda _node, _inputs: [None],
    "prim::RaiseException": _raise,
    "prim::dtype": lambda _, inputs: [inputs[0].dtype],
    "prim::device": lambda _, inputs: [inputs[0].device],
    "prim::layout": lambda _, inputs: [inputs[0].layout],
    "prim::data": lambda _, inputs: [inputs[0].detach()],
    "prim::requires_grad": lambda _, inputs: [inputs[0].requires_grad],
    "prim::NumToTensor": lambda _, inputs: [torch.tensor(inputs[0])],
    "aten::append": _append,
    "aten::_set_item": _set_item,
    "aten::__is__": lambda _, inputs: [inputs[0] is inputs[1]],
    "aten::__isnot__": lambda _, inputs: [inputs[0] is not inputs[1]],
    "aten::format": lambda _, inputs: [inputs[0].format(*inputs[1:])],
    "aten::len": lambda _, inputs: [len(inputs[0])],
    "aten::warn": lambda _node, _inputs: [],
}
"""What is not an operator of torch, or changes a list in place."""

BLOCKS = ("prim::If", "prim::Loop")
_RECURRENT = {"LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"}
"""Classes of torch that a frozen module, which has no submodules left, still names."""
_BUILT = ("prim::ListConstruct", "prim::TupleConstruct")
_SPLIT = ("prim::TupleUnpack", "prim::ListUnpack")

Operator = tuple[Any, tuple[tuple[str, bool], ...]]
"""An operator of torch, and its arguments: name, and whether it goes by keyword."""


@dataclass(slots=True)
class Line:
    """One node, read off the graph once."""

    node: Any
    kind: str
    inputs: list[str]
    outputs: list[str]
    path: str
    kinds: dict[str, str]
    """Class name of each module around it, by path."""
    site: Site
    operator: Operator | None
    blocks: list[Block]
    constant: Any = None
    step: Step | None = None


@dataclass(slots=True)
class Block:
    """A graph, or the inside of a branch or loop."""

    lines: list[Line]
    inputs: list[str]
    outputs: list[str]

    def all(self) -> Iterator[Line]:
        """Every line, those of inner blocks behind the line that holds them."""
        for line in self.lines:
            yield line
            for block in line.blocks:
                yield from block.all()

    def blocks(self) -> Iterator[Block]:
        """This block and all inside it."""
        yield self
        for line in self.lines:
            for block in line.blocks:
                yield from block.blocks()


def _read(block: Any) -> Block:
    return Block(
        [_read_line(node) for node in block.nodes()],
        [value.debugName() for value in block.inputs()],
        [value.debugName() for value in block.outputs()],
    )


def _read_line(node: Any) -> Line:
    kind = node.kind()
    kinds = _kinds(node.getModuleHierarchy())
    return Line(
        node=node,
        kind=kind,
        inputs=[value.debugName() for value in node.inputs()],
        outputs=[value.debugName() for value in node.outputs()],
        path=next(reversed(kinds), ""),
        kinds=kinds,
        site=(str(node.sourceRange()), 0, 0),
        operator=None if kind in RUN or kind in BLOCKS else _operator(node),
        blocks=[_read(inner) for inner in node.blocks()],
        constant=node.output().toIValue() if kind == "prim::Constant" and _is_value(node) else None,
    )


def _is_value(node: Any) -> bool:
    return str(node.output().type()) != "Function"


def _kinds(hierarchy: str) -> dict[str, str]:
    """`blocks(Sequential).0(Conv1d).SELF(Conv1d)` is `blocks` and `blocks.0`; a function called there adds nothing."""
    found: dict[str, str] = {}
    path = ""
    for name, kind in _LEVELS.findall(hierarchy):
        if name not in ("SELF", "UNKNOWN_INSTANCE"):
            path = f"{path}.{name}" if path else name
            found[path] = kind
    return found


_LEVELS = re.compile(r"([^.()]+)\(([^()]*)\)")


def _operator(node: Any) -> Operator | None:
    """The operator of a node; None where torch offers none by that name."""
    text = node.schema()
    if "::" not in text:
        return None
    try:
        schema = torch._C.parse_schema(text)
    except RuntimeError:
        return None
    namespace, _, name = schema.name.partition("::")
    packet = getattr(getattr(torch.ops, namespace), name, None)
    overload = getattr(packet, schema.overload_name or "default", None)
    if overload is None or len(schema.arguments) != len(list(node.inputs())):
        return None
    return overload, tuple((argument.name, argument.kwarg_only) for argument in schema.arguments)


def scripted_subject(model: object, like: nn.Module | None) -> Script | None:
    """The graph of a TorchScript module; None for any other, and for a graph that holds what this file cannot run.

    Raises:
        TraceError: the module's weights are packed for one processor.
    """
    if not isinstance(model, torch.jit.ScriptModule):
        return None
    try:
        graph = _read(model.inlined_graph)
    except (RuntimeError, AttributeError):  # a module without a forward of its own
        return None
    packed = next((line.kind for line in graph.all() if "mkldnn" in line.kind.lower()), None)
    if packed is not None:
        raise TraceError(
            f"trace: the TorchScript module holds {packed}, which packs weights for one processor so that nothing can "
            "be read; trace the module as it was before torch.jit.optimize_for_inference"
        )
    if not all(line.kind in RUN or line.kind in BLOCKS or line.operator is not None for line in graph.all()):
        return None
    return Script(model, graph, like)


class Script(Graph):
    """A TorchScript module ready to be traced."""

    def __init__(self, model: torch.jit.ScriptModule, graph: Block, like: nn.Module | None = None) -> None:
        self._model, self._graph = model, graph
        self._schema: Any = model._c._get_method("forward").schema
        classes = {name: _class_of(module) for name, module in model.named_modules()}
        for line in graph.all():
            for path, kind in line.kinds.items():
                classes.setdefault(path, f"torch.nn.modules.rnn.{kind}" if kind in _RECURRENT else "")
        self._steps = _as_steps(graph, classes)
        weights = dict(model.named_parameters())  # of a loaded module, these are plain tensors
        tensors: dict[str, Tensor] = {**weights, **dict(model.named_buffers())}
        _name_frozen_weights(graph, tensors)
        _number_sites(graph)
        self.root = skeleton(str(getattr(model, "original_name", "ScriptModule")), classes, tensors, weights)
        self.neurons = recognised(self._steps, None if like is None else named_neurons(like))
        self._spikes: dict[Step, Call] = spike_steps(self._steps, self.neurons)

    def run(self, recorder: Recorder, mode: CountingMode, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the graph on one call's arguments; the mode is on.

        Raises:
            DataError: arguments that the module does not take.
        """
        stage = Stage(self.root, recorder, mode)
        stage.declare_neurons(self.neurons)
        values = [self._model, *self._bound(args, kwargs)]
        env: dict[str, Any] = dict(zip(self._graph.inputs, values, strict=True))
        results = self._block(self._graph, stage, env, set())
        return results[0] if len(results) == 1 else tuple(results)

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        wanted = self._schema.arguments[1:]
        names = [argument.name for argument in wanted]
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        missing = [one.name for one in wanted if one.name not in given and not one.has_default_value()]
        if missing or len(args) > len(names) or set(given) - set(names):
            raise DataError(
                f"trace: the TorchScript module takes {', '.join(names)} (got {len(args)} by position"
                f"{''.join(f', {name}' for name in kwargs)}); pass these"
            )
        return [given.get(one.name, one.default_value) for one in wanted]

    def _block(self, block: Block, stage: Stage, env: dict[str, Any], sizes: set[str]) -> list[Any]:
        for line in block.lines:
            inputs = [env[name] for name in line.inputs]
            if line.kind == "prim::If":
                chosen = line.blocks[0 if inputs[0] else 1]
                results = self._block(chosen, stage, env, sizes)
            elif line.kind == "prim::Loop":
                results = self._loop(line, inputs, stage, env, sizes)
            elif line.kind in RUN:
                with stage.unseen():
                    results = [line.constant] if line.kind == "prim::Constant" else RUN[line.kind](line.node, inputs)
                if line.kind == "prim::NumToTensor":
                    sizes.update(line.outputs)
            else:
                results = self._operation(line, inputs, stage, sizes)
            env |= dict(zip(line.outputs, results, strict=False))
        return [env[name] for name in block.outputs]

    def _loop(self, line: Line, inputs: Inputs, stage: Stage, env: dict[str, Any], sizes: set[str]) -> list[Any]:
        """Inputs: most turns, first condition, state ...; the block: turn, state ... -> condition, state ..."""
        (body,) = line.blocks
        most, going, *state = inputs
        turn = 0
        while turn < most and going:
            env |= dict(zip(body.inputs, [turn, *state], strict=True))
            going, *state = self._block(body, stage, env, sizes)
            turn += 1
        return state

    def _operation(self, line: Line, inputs: Inputs, stage: Stage, sizes: set[str]) -> list[Any]:
        assert line.operator is not None
        function, arguments = line.operator
        positional = [value for value, (_, keyword) in zip(inputs, arguments, strict=True) if not keyword]
        named = {name: value for value, (name, keyword) in zip(inputs, arguments, strict=True) if keyword}
        step = line.step
        neuron = None if step is None else step.call_of(self.neurons)
        if neuron is not None:
            with stage.at(neuron[0]), stage.unseen():
                out = function(*positional, **named)
                for tensor in tensors_in(out):
                    stage.recorder.is_data(tensor)
                if step in self._spikes:
                    stage.fired(neuron[0], out)
        elif self._only_sizes(line, inputs, sizes):
            with stage.unseen():
                out = function(*positional, **named)
            sizes.update(line.outputs)
        else:
            with stage.at(line.path), replayed(line.site, einsum=line.kind == "aten::einsum"):
                out = function(*positional, **named)
        return list(out) if len(line.outputs) > 1 else [out]

    def _only_sizes(self, line: Line, inputs: Inputs, sizes: set[str]) -> bool:
        """True for arithmetic on sizes, which a trace writes as tensors."""
        tensors = [
            name for name, value in zip(line.inputs, inputs, strict=True) if next(tensors_in(value), None) is not None
        ]
        return bool(tensors) and all(name in sizes for name in tensors)


def _class_of(module: nn.Module) -> str:
    """Qualified class name of the module that a TorchScript module was made from."""
    if not isinstance(module, torch.jit.ScriptModule):
        return f"{type(module).__module__}.{type(module).__qualname__}"
    name = str(module._c._type().qualified_name())
    return _MANGLED.sub("", name).removeprefix("__torch__.")


def _as_steps(graph: Block, classes: dict[str, str]) -> list[Step]:
    """The operators as `regions` reads them. One run of neighbours in one module is one call of it."""
    made: dict[str, Any] = {}
    steps: list[Step] = []
    calls: Counter[str] = Counter()
    before = ""
    for line in graph.all():
        inputs = [made.get(name) for name in line.inputs]
        if line.kind == "prim::Constant":
            made[line.outputs[0]] = float(line.constant) if isinstance(line.constant, (int, float)) else None
        elif line.kind in _BUILT:
            made[line.outputs[0]] = tuple(inputs)
        elif line.kind in _SPLIT:
            parts = inputs[0] if isinstance(inputs[0], tuple) else (None,) * len(line.outputs)
            made |= dict(zip(line.outputs, parts, strict=True))
        elif line.kind not in RUN or line.kind == "aten::append":
            if line.kind != "aten::append" and line.path != before:
                calls[line.path] += 1
                before = line.path
            levels = line.path.split(".") if line.path else []
            paths = [".".join(levels[: depth + 1]) for depth in range(len(levels))]
            line.step = Step(
                name=_STEP_NAMES.get(line.kind, line.kind.partition("::")[2].removesuffix("_")),
                sources=tuple(_flat(inputs)),
                modules=tuple((path, f"{path}@{calls[line.path]}") for path in paths),
                classes=tuple(classes.get(path, "") for path in paths),
            )
            steps.append(line.step)
            if line.kind not in BLOCKS:
                made |= dict.fromkeys(line.outputs, line.step)
    link(steps)
    for block in graph.blocks():
        for source in _flat([made.get(name) for name in block.outputs]):
            if isinstance(source, Step):
                source.users.append(None)
    return steps


_STEP_NAMES = {"aten::append": "append", "prim::If": "if", "prim::Loop": "loop"}


_TRACED_FROM = re.compile(r"^(.*)\((\d+)\): ")


def _number_sites(graph: Block) -> None:
    """A trace keeps the line of a node but, unlike a script, not the column: number the products of one line."""
    seen: Counter[tuple[str, ...]] = Counter()
    for line in graph.all():
        found = _TRACED_FROM.match(line.site[0])
        if found is not None and line.operator is not None:
            text = linecache.getline(found[1], int(found[2]))
            call = "" if line.step is None or not line.step.modules else line.step.modules[-1][1]
            line.site = numbered_line(f"File {line.site[0]}\n{text}", (line.kind, call), seen) or line.site


def _flat(values: Iterable[Any]) -> Iterator[Step | float | None]:
    for value in values:
        if isinstance(value, tuple):
            yield from _flat(value)
        else:
            yield value


def _name_frozen_weights(graph: Block, tensors: dict[str, Tensor]) -> None:
    """Make weights that freezing turned into constants parameters again, named for the module that uses them."""
    users: dict[str, str] = {}
    for line in graph.all():
        for name in line.inputs[1:]:
            if line.operator is not None:
                users.setdefault(name, line.path)
    for line in graph.all():
        if line.kind != "prim::Constant":
            continue
        path = users.get(line.outputs[0], "")
        if isinstance(line.constant, list):  # the weights of a recurrent layer
            line.constant = [_named(value, path, tensors) for value in line.constant]
        else:
            line.constant = _named(line.constant, path, tensors)


def _named(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.dim() == 0:
        return value
    wanted = f"{path}.{'weight' if value.dim() > 1 else 'bias'}".strip(".")
    number, name = 2, wanted
    while name in tensors:
        name, number = f"{wanted}_{number}", number + 1
    tensors[name] = nn.Parameter(value.detach(), requires_grad=False)
    return tensors[name]
