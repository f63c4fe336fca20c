"""Which module feeds which: a network runs once on an example, and its tensors are followed from module to module.

Modules that become nodes are looked at from outside: what they take and what they give. Between them only what NIR has
an edge for may happen: views, sums, taking time steps apart and putting them together. Every value knows the nodes it
is the sum of, and of which time step it is; anything else that is done to it is remembered by name and refused where a
node takes it. Loops over time in Python need no special care, since nothing is compiled or traced symbolically.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from snn_energy.counting.neurons import NeuronRow, neuron_row
from snn_energy.counting.tags import tensors_in
from snn_energy.exporting.losses import Loss

INPUT = "input"

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One addend of a value: what `node` put out at time step `step`; None: at all steps, along an axis or alike."""

    node: str
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """What a tensor holds."""

    parts: tuple[Part, ...] = ()
    barrier: str = ""
    """What was done to it that no node or edge stands for."""
    place: str = ""
    """The module in which that was done."""
    readout: str = ""
    """How it was joined over time: mean, sum or max."""
    state_of: str = ""
    """The neuron whose state it is."""


@dataclass(slots=True)
class Node:
    """One node to be: what it is made from, and each call."""

    name: str
    kind: str
    """weights, norm, neuron, or a primitive's name for what torch's functions did."""
    module: nn.Module | None = None
    row: NeuronRow | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    takes: Shape = ()
    gives: Shape = ()
    calls: list[tuple[tuple[Part, ...], int | None]] = field(default_factory=list)
    """The addends of the input, and the time step of the call."""
    outputs: list[Tensor] = field(default_factory=list)
    """What a neuron put out, call by call."""
    rows: int = 0
    """Vectors or maps in one call: the samples, or the samples times the time steps."""


@dataclass(slots=True)
class Followed:
    """What a run showed."""

    nodes: dict[str, Node]
    output: Flow | None
    steps: int | None
    fatal: list[Loss]
    result: Any
    samples: int
    squeezed: bool = False
    """Time and samples share the first axis, samples outermost."""


VIEWS = {
    "view", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "expand", "alias", "detach", "clone", "contiguous",
    "_to_copy", "lift_fresh", "_reshape_alias", "to", "copy", "view_as",
}  # fmt: skip
FRESH = {
    "zeros_like", "new_zeros", "ones_like", "new_ones", "empty_like", "new_empty", "full_like", "new_full",
    "new_empty_strided", "rand_like", "randn_like",
}  # fmt: skip
ASKS = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero"}
READOUTS = {"mean": "mean", "sum": "sum", "amax": "max"}


def follow(model: nn.Module, example: Tensor, *, layout: str) -> Followed:
    """Run `model` on `example` (layout "N": `n ...`, "TN": `t n ...`, "NT": `n t ...`) and say what feeds what."""
    run = _Run(model, example, layout)
    with run.hooked(), torch.no_grad(), run:
        result = model(example)
    return run.finish(result)


class _Run(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, model: nn.Module, example: Tensor, layout: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._model, self._layout = model, layout
        self._flows: dict[int, tuple[Tensor, Flow]] = {}
        self._nodes: dict[str, Node] = {}
        self._functions: dict[tuple[str, str, frozenset[str]], str] = {}
        self._inside: list[str] = []
        self._depth = 0
        self._fatal: dict[Loss, None] = {}
        self._time_axis = 1 if layout == "NT" else 0
        own = getattr(model, "time_steps", None)
        self._steps: int | None = own if layout == "N" and isinstance(own, int) else None
        if layout != "N":
            self._steps = example.shape[self._time_axis]
        self._samples = example.shape[1 if layout == "TN" else 0]
        self._squeezed = False
        shape = tuple(example.shape[1 if layout == "N" else 2 :])
        self._nodes[INPUT] = Node(INPUT, "Input", takes=shape, gives=shape)
        self._set(example, Flow((Part(INPUT),)))

    # -- modules -------------------------------------------------------------------------------------------------------

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Hooks on every module of the model, gone at the end whatever happens."""
        with ExitStack() as undo:
            for path, module in self._model.named_modules():
                kind = leaf_kind(module)
                before = module.register_forward_pre_hook(self._entering(path, kind), with_kwargs=True)
                after = module.register_forward_hook(self._leaving(path, kind), with_kwargs=True, always_call=True)
                undo.callback(before.remove)
                undo.callback(after.remove)
            yield

    def _entering(self, path: str, kind: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:  # noqa: ARG001
            if not self._depth:
                self._inside.append(path)
            if kind:
                self._depth += 1
                if self._depth == 1 and kind == "unknown":
                    self._refuse(type(module).__name__, path, "NIR has no node for it")

        return hook

    def _leaving(self, path: str, kind: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            if kind:
                self._depth -= 1
            if not self._depth:
                self._inside.pop()
                if kind and kind != "unknown" and output is not None:
                    self._called(path or type(module).__name__, kind, module, args, kwargs, output)

        return hook

    def _called(self, path: str, kind: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        tensors, results = list(tensors_in((args, kwargs))), list(tensors_in(output))
        if not tensors or not results:
            self._refuse(f"a {type(module).__name__} called without tensors", path, "a node has an input and an output")
            return
        x, out = tensors[0], results[0]
        parts = self._taken(x, path)
        if kind.endswith("Pool2d"):
            path = self._place_of(path, parts)
        node = self._nodes.get(path)
        if node is None:
            row = neuron_row(module) if kind == "neuron" else None
            node = self._nodes[path] = Node(path, kind, module, row)
        step = self._step_of(node, parts, out)
        for state in tensors[1:]:
            self._check_state(state, path)
        self._shape(node, x, out, parts)
        node.calls.append((parts, step))
        if kind == "neuron":
            node.outputs.append(out.detach().clone())
        self._set(out, Flow((Part(path, step),)))
        for state in results[1:]:
            if state is not out:
                self._set(state, Flow(barrier="its state is read", place=path, state_of=path))

    def _place_of(self, path: str, parts: tuple[Part, ...]) -> str:
        """The node of a pooling: one module may pool in several places, each of which is a node of its own."""
        key = (path, "", frozenset(part.node for part in parts))
        if key not in self._functions:
            name, k = path, 0
            while name in self._nodes:
                k += 1
                name = f"{path}_{k}"
            self._functions[key] = name
        return self._functions[key]

    def _taken(self, x: Tensor, path: str) -> tuple[Part, ...]:
        flow = self._flow(x)
        if flow is None:
            if x.any():
                self._refuse("an input that does not come from the network's input", path, "an edge starts at a node")
            return ()
        if flow.readout:
            self._refuse(f"a {flow.readout} over time before it", path, "NIR's nodes know one time step alone")
        elif flow.barrier:
            self._refuse(flow.barrier, flow.place or path, "NIR has no node for it")
        return flow.parts

    def _step_of(self, node: Node, parts: tuple[Part, ...], out: Tensor) -> int | None:
        if node.row is None:
            steps = [part.step for part in parts if part.step is not None]
            return max(steps) if steps else None if parts else len(node.calls) - 1
        if type(node.module).__name__.endswith("Squeeze"):
            module: Any = node.module
            self._steps = module.num_timesteps if module.num_timesteps > 0 else out.shape[0] // module.batch_size
            self._samples, self._squeezed = out.shape[0] // int(self._steps or 1), True
            return None
        if node.row.time_axis is None:
            return len(node.calls)
        if self._steps is None:
            self._steps = out.shape[node.row.time_axis]
        return None

    def _check_state(self, state: Tensor, path: str) -> None:
        flow = self._flow(state)
        if flow is None:
            if state.is_floating_point() and state.any():
                self._refuse("a state that does not start at rest", path, "NIR's neurons start at rest")
        elif flow.state_of != path and (not flow.parts or {part.node for part in flow.parts} != {path}):
            self._refuse("a state handed in from elsewhere", path, "NIR's neurons keep their own state")

    def _shape(self, node: Node, x: Tensor, out: Tensor, parts: tuple[Part, ...]) -> None:
        rank = {"weights": None, "neuron": 0, "Scale": 0, "Delay": 0}.get(node.kind, 3)
        if rank is None:
            rank = 1 if isinstance(node.module, nn.Linear) else 2 if isinstance(node.module, nn.Conv1d) else 3
        if node.kind == "norm":
            rank = len(self._nodes[parts[0].node].gives) if parts else 1
        if rank:
            node.takes, node.gives = tuple(x.shape[-rank:]), tuple(out.shape[-rank:])
        elif parts and not node.takes:
            node.takes = node.gives = self._nodes[parts[0].node].gives
        rows, steps = x.numel() // max(1, prod(node.takes)), self._steps or 1
        if node.takes and rows not in (self._samples, self._samples * steps):
            self._refuse(
                f"several positions at once ({rows} of {list(node.takes)} for {self._samples} samples)",
                node.name,
                "a node takes one vector or map",
            )
        node.rows = rows

    # -- what happens between them -------------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not self._depth:
            name = func._schema.name.partition("::")[2]
            tensors = list(tensors_in((args, kwargs)))
            if any(id(tensor) in self._flows for tensor in tensors):
                self._follow(name, args, kwargs, tensors, out)
        return out

    def _follow(self, name: str, args: Any, kwargs: Any, tensors: list[Tensor], out: Any) -> None:
        flows = [self._flow(tensor) for tensor in tensors]
        results = list(tensors_in(out))
        if name in FRESH:
            return
        if name in ASKS:
            self._refuse("control flow that asks the data", self._scope, "a graph is the same for all data")
            return
        first = flows[0]
        found: list[Flow] | None = None
        if name in VIEWS and first is not None:
            found = [first] * len(results)
        elif first is not None and self._keeps_all(name, args, tensors[0], results[0]):
            found = [first]
        elif name in ("select", "unbind") and first is not None:
            found = self._taken_apart(name, args, tensors[0], first, len(results))
        elif name in ("stack", "cat"):
            found = self._put_together(flows)
        elif name in ("add", "add_") and len(tensors) == 2 and kwargs.get("alpha", 1) == 1:
            found = self._sum(tensors, flows)
        elif name in READOUTS and first is not None:
            found = self._joined(name, args, kwargs, tensors[0], first, results[0])
        elif name in _FUNCTIONS and first is not None and not first.barrier:
            found = [self._function(_FUNCTIONS[name], _pool_fields(args), tensors[0], results[0], first)]
        elif name in ("div", "div_", "mul", "mul_") and first is not None and first.readout == "sum":
            scalar = args[1] if len(args) > 1 and isinstance(args[1], (int, float)) else None
            if scalar is not None and self._steps in (scalar, 1 / scalar if scalar else None):
                found = [replace(first, readout="mean")]
        if found is None:
            known = [flow for flow in flows if flow is not None]
            parts = tuple(dict.fromkeys(part for flow in known for part in flow.parts))
            told = next((flow for flow in known if flow.barrier), None)
            barrier, place = (told.barrier, told.place) if told else (f"the operator {name}", self._scope)
            state = next((flow.state_of for flow in known if flow.state_of), "")
            found = [Flow(parts, barrier, place, state_of="" if told is None else state)] * len(results)
        for result, flow in zip(results, found, strict=False):
            self._set(result, flow)

    def _keeps_all(self, name: str, args: Any, x: Tensor, out: Tensor) -> bool:
        """Whether a slice leaves nothing out, or only the axes of time and samples change places."""
        if name == "slice":
            return out.shape == x.shape
        if name not in ("transpose", "permute"):
            return False
        order = list(args[1]) if len(args) == 2 else list(range(x.dim()))
        if len(args) == 3:
            a, b = (int(axis) % x.dim() for axis in args[1:])
            order[a], order[b] = order[b], order[a]
        moved = [i for i, axis in enumerate(order) if axis % x.dim() != i]
        return not moved or moved == [0, 1]

    def _taken_apart(self, name: str, args: Any, x: Tensor, flow: Flow, count: int) -> list[Flow] | None:
        axis = (args[1] if len(args) > 1 else 0) % max(1, x.dim())
        if flow.barrier or x.shape[axis] != self._steps or any(part.step is not None for part in flow.parts):
            return [flow] * count if flow.barrier else None
        first = int(args[2]) % x.shape[axis] if name == "select" else 0
        return [replace(flow, parts=tuple(Part(part.node, first + i) for part in flow.parts)) for i in range(count)]

    def _put_together(self, flows: Sequence[Flow | None]) -> list[Flow] | None:
        known = [flow for flow in flows if flow is not None]
        if len(known) != len(flows) or any(flow.readout for flow in known):
            return None
        if any(flow.barrier for flow in known):
            return [known[0]] if all(flow.barrier for flow in known) else None
        nodes = {tuple(part.node for part in flow.parts) for flow in known}
        in_order = all(part.step in (None, t) for t, flow in enumerate(known) for part in flow.parts)
        if len(nodes) != 1 or not in_order:
            return None
        if self._steps is None:
            self._steps = len(known)
        return [Flow(tuple(Part(part.node) for part in known[0].parts))]

    def _sum(self, tensors: Sequence[Tensor], flows: Sequence[Flow | None]) -> list[Flow] | None:
        for x, flow, other in ((tensors[0], flows[0], flows[1]), (tensors[1], flows[1], flows[0])):
            if flow is None and other is not None and not x.any():
                return [other]
        a, b = flows
        if a is None or b is None or a.barrier or b.barrier or tensors[0].shape != tensors[1].shape:
            return None
        same = {part.node for part in a.parts} == {part.node for part in b.parts}
        if same and not set(a.parts) & set(b.parts) and not b.readout:
            return [Flow(a.parts, readout="sum")]
        if {part.node for part in a.parts} & {part.node for part in b.parts} or a.readout or b.readout:
            return None
        return [Flow((*a.parts, *b.parts))]

    def _joined(self, name: str, args: Any, kwargs: Any, x: Tensor, flow: Flow, out: Tensor) -> list[Flow] | None:
        axes = args[1] if len(args) > 1 else kwargs.get("dim")
        if axes is None or flow.barrier:
            return None
        wanted = sorted(axis % x.dim() for axis in ([axes] if isinstance(axes, int) else axes))
        if wanted == [self._time_axis] and x.shape[self._time_axis] == self._steps and not flow.readout:
            return [replace(flow, readout=READOUTS[name])]
        if name == "mean" and wanted == [x.dim() - 2, x.dim() - 1] and x.dim() >= 4 and not flow.readout:
            kernel = list(x.shape[-2:])
            fields = {"kernel_size": kernel, "stride": kernel, "padding": [0, 0]}
            return [self._function("AvgPool2d", fields, x, out, flow, gives=(x.shape[-3], 1, 1))]
        return None

    def _function(
        self, kind: str, fields: Mapping[str, Any], x: Tensor, out: Tensor, flow: Flow, gives: Shape | None = None
    ) -> Flow:
        """A node for what a function of torch did."""
        scope = self._inside[-1] if self._inside else ""
        key = (scope, kind, frozenset(part.node for part in flow.parts))
        if key not in self._functions:
            stem = f"{scope}.{kind.lower()}" if scope else kind.lower()
            name, k = stem, 0
            while name in self._nodes:
                k += 1
                name = f"{stem}_{k}"
            self._functions[key] = name
            self._nodes[name] = Node(name, kind, fields=fields)
        node = self._nodes[self._functions[key]]
        node.takes, node.gives = tuple(x.shape[-3:]), gives or tuple(out.shape[-3:])
        parts = self._taken(x, node.name)
        step = self._step_of(node, parts, out)
        node.calls.append((parts, step))
        return Flow((Part(node.name, step),))

    # -- bookkeeping ---------------------------------------------------------------------------------------------------

    @property
    def _scope(self) -> str:
        return self._inside[-1] if self._inside else ""

    def _flow(self, tensor: Tensor) -> Flow | None:
        found = self._flows.get(id(tensor))
        return None if found is None else found[1]

    def _set(self, tensor: Tensor, flow: Flow) -> None:
        self._flows[id(tensor)] = (tensor, flow)  # the tensor is kept, so that nobody else gets its identity

    def _refuse(self, what: str, where: str, why: str) -> None:
        self._fatal[Loss(what, where, why)] = None

    def finish(self, result: Any) -> Followed:
        """What was found, with the flow of the first result that comes from a node."""
        flows = [self._flow(tensor) for tensor in tensors_in(result)]
        plain = [flow for flow in flows if flow is not None and flow.parts]
        best = next((flow for flow in plain if not flow.barrier), plain[0] if plain else None)
        return Followed(
            self._nodes, best, self._steps, list(self._fatal), result, self._samples, squeezed=self._squeezed
        )


_FUNCTIONS = {
    "max_pool2d_with_indices": "MaxPool2d",
    "max_pool2d": "MaxPool2d",
    "mkldnn_max_pool2d": "MaxPool2d",
    "avg_pool2d": "AvgPool2d",
}


def _pool_fields(args: Any) -> dict[str, Any]:
    kernel = args[1]
    stride = args[2] if len(args) > 2 and args[2] else kernel
    rest = list(args[4:])
    return {
        "kernel_size": kernel,
        "stride": stride,
        "padding": args[3] if len(args) > 3 else 0,
        "odd": any(value not in (False, True, None, 1, [1, 1], (1, 1)) for value in rest) or rest[:1] == [True],
    }


def leaf_kind(module: nn.Module) -> str:
    """What a module is to the graph: weights, norm, neuron, a pooling, unknown; "" for what is looked into."""
    if neuron_row(module) is not None:
        return "neuron"
    for kinds, name in _LEAVES:
        if isinstance(module, kinds):
            return name
    qualified = f"{type(module).__module__}.{type(module).__qualname__}"
    return _BY_NAME.get(qualified, "")


_BY_NAME = {
    "sinabs.layers.pool2d.SumPool2d": "SumPool2d",
    "snn_energy.nirgraph.building.SumPool2d": "SumPool2d",
    "snn_energy.nirgraph.building.Scale": "Scale",
    "snn_energy.nirgraph.building.Delay": "Delay",
}
_LEAVES: tuple[tuple[Any, str], ...] = (
    ((nn.Conv1d, nn.Conv2d, nn.Linear), "weights"),
    (nn.modules.batchnorm._BatchNorm, "norm"),
    (nn.MaxPool2d, "MaxPool2d"),
    (nn.AvgPool2d, "AvgPool2d"),
    (nn.AdaptiveAvgPool2d, "AvgPool2d"),
    (
        (
            nn.Conv3d,
            nn.modules.conv._ConvTransposeNd,
            nn.RNNBase,
            nn.RNNCellBase,
            nn.MultiheadAttention,
            nn.Embedding,
            nn.Bilinear,
            nn.LayerNorm,
            nn.GroupNorm,
        ),
        "unknown",
    ),
)
