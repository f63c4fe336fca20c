"""Programs of torch.export, counted like the eager module they came from.

Every node remembers the modules it was recorded in (`nn_module_stack`), with their classes. The nodes run one by one
under the trace's dispatch mode, each below the path of its module: rows get the eager names. The nodes of a neuron run
uncounted, and the neuron is charged from its equation, as in eager mode (see `regions` for which are recognised).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, fx, nn
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.export._tree_utils import reorder_kwargs
from torch.utils import _pytree as pytree

from snn_energy.counting.dispatch import CountingMode
from snn_energy.counting.naming import Site, numbered_line, replayed
from snn_energy.counting.neurons import NeuronRow, named_neurons
from snn_energy.counting.ops.registry import table_name
from snn_energy.counting.recorder import Recorder
from snn_energy.counting.regions import Call, Step, link, recognised, spike_steps
from snn_energy.counting.skeleton import Graph, Stage, skeleton
from snn_energy.counting.tags import tensors_in
from snn_energy.errors import DataError, TraceError, first_line

GUARDS = "_guards_fn"
"""The submodule in which torch.export keeps its checks of the inputs."""


class Program(Graph):
    """An exported program ready to be traced."""

    def __init__(self, program: ExportedProgram, like: nn.Module | None = None) -> None:
        self.graph_module = program.module()
        self._in_spec = program.call_spec.in_spec
        nodes = list(self.graph_module.graph.nodes)
        self._steps = _steps(self.graph_module.graph)
        classes = {
            path: qualified
            for step in self._steps.values()
            for (path, _), qualified in zip(step.modules, step.classes, strict=True)
        }
        held = {str(n.target): _attribute(self.graph_module, str(n.target)) for n in nodes if n.op == "get_attr"}
        tensors = {name: value for name, value in held.items() if isinstance(value, Tensor)}
        name = classes.get("", "").rpartition(".")[2] or "ExportedProgram"
        self.root = skeleton(name, classes, tensors)
        self.neurons = recognised(self._steps.values(), None if like is None else named_neurons(like))

    def fixed_size(self, axis: int) -> int | None:
        """Size of this axis of the first input, where the program takes no other."""
        first = next((node for node in self.graph_module.graph.nodes if node.op == "placeholder"), None)
        value = None if first is None else first.meta.get("val")
        size = value.shape[axis] if isinstance(value, Tensor) and axis < value.dim() else None
        return size if isinstance(size, int) else None

    def run(self, recorder: Recorder, mode: CountingMode, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the program on one call's arguments; the mode is on.

        Raises:
            DataError: arguments that the program was not exported for.
        """
        stage = Stage(self.root, recorder, mode)
        stage.declare_neurons(self.neurons)
        flat = self._flattened(args, kwargs)
        runner = _Replay(self.graph_module, stage, self._steps, self.neurons)
        out = runner.run(*flat, enable_io_processing=False)
        return self.graph_module.graph.process_outputs(out)

    def _flattened(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        try:
            ordered = reorder_kwargs(kwargs, self._in_spec)
        except ValueError as problem:
            raise DataError(f"trace: the exported program takes other arguments: {first_line(problem)}") from None
        flat, spec = pytree.tree_flatten((args, ordered))
        if spec != self._in_spec:
            raise DataError(
                f"trace: the exported program takes arguments of the form {self._in_spec} (got {spec}); "
                "pass what it was exported with"
            )
        return list(flat)


def _attribute(module: nn.Module, name: str) -> Any:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _steps(graph: fx.Graph) -> dict[fx.Node, Step]:
    """The nodes that compute something."""
    steps: dict[fx.Node, Step] = {}
    for node in graph.nodes:
        if node.op not in ("call_function", "call_module"):
            continue
        stack = node.meta.get("nn_module_stack") or {}
        name = table_name(node.target) if isinstance(node.target, OpOverload) else str(node.target)
        steps[node] = Step(
            name=name,
            sources=tuple(_source(arg, steps) for arg in _flat_args(node)),
            modules=tuple((str(path), str(key)) for key, (path, _) in stack.items()),
            classes=tuple(_qualified(kind) for _, kind in stack.values()),
        )
    link(steps.values())
    for node in graph.nodes:
        if node.op == "output":
            for source in node.all_input_nodes:
                if source in steps:
                    steps[source].users.append(None)
    return steps


_OPERANDS = {"to": 1, "_to_copy": 1, "squeeze": 1, "unsqueeze": 1, "view": 1, "reshape": 1, "transpose": 1}
"""Operators whose later arguments are types and sizes."""


def _flat_args(node: fx.Node) -> list[Any]:
    name = table_name(node.target) if isinstance(node.target, OpOverload) else ""
    flat: list[Any] = []
    for arg in node.args[: _OPERANDS.get(name)]:
        flat.extend(arg if isinstance(arg, (list, tuple)) else (arg,))
    return flat


def _source(arg: Any, steps: Mapping[fx.Node, Step]) -> Step | float | None:
    if isinstance(arg, fx.Node):
        return steps.get(arg)
    return float(arg) if isinstance(arg, (int, float)) else None


def _qualified(kind: object) -> str:
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)


class _Replay(fx.Interpreter):
    """Runs the nodes one by one, each below the path of its module."""

    def __init__(
        self,
        module: fx.GraphModule,
        stage: Stage,
        steps: Mapping[fx.Node, Step],
        neurons: Mapping[str, NeuronRow],
    ) -> None:
        super().__init__(module)
        self.extra_traceback = False  # errors say what the operator says, no more
        self._stage, self._steps, self._neurons = stage, steps, neurons
        self._spikes: dict[Step, Call] = spike_steps(steps.values(), neurons)
        self._sites = _sites(module.graph, steps)

    def run_node(self, n: fx.Node) -> Any:
        """Run one node where it belongs."""
        step = self._steps.get(n)
        if step is None:
            return super().run_node(n)
        stage = self._stage
        if n.op == "call_module" and n.target == GUARDS:
            with stage.unseen():
                return self._guarded(n)
        neuron = step.call_of(self._neurons)
        if neuron is not None:
            with stage.at(neuron[0]), stage.unseen():
                out = super().run_node(n)
                for tensor in tensors_in(out):
                    stage.recorder.is_data(tensor)
                if step in self._spikes:
                    stage.fired(neuron[0], out)
            return out
        inner = _INNER.get(step.name)
        with stage.at(step.modules[-1][0] if step.modules else ""):
            if inner is not None:
                return self._inner(n, inner)
            with replayed(self._sites[n], einsum=step.name == "einsum"):
                return super().run_node(n)

    def _guarded(self, n: fx.Node) -> Any:
        try:
            return super().run_node(n)
        except (AssertionError, RuntimeError) as problem:
            raise DataError(
                f"trace: the data do not fit the exported program: {first_line(problem)}; "
                "pass inputs of its shapes, or export it with dynamic_shapes"
            ) from None

    def _inner(self, n: fx.Node, choose: Callable[[tuple[Any, ...]], tuple[Any, tuple[Any, ...]]]) -> Any:
        """Run the graph inside a higher-order operator."""
        args, _ = self.fetch_args_kwargs_from_env(n)
        graph, operands = choose(args)
        if not isinstance(graph, fx.GraphModule):
            raise TraceError(f"trace: {n.target} holds no graph (got {type(graph).__name__}); export the model again")
        return _Replay(graph, self._stage, _steps(graph.graph), self._neurons).run(*operands)


def _cond(args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """cond(predicate, graph if true, graph if false, operands)."""
    return (args[1] if bool(args[0]) else args[2]), tuple(args[3])


_INNER: dict[str, Callable[[tuple[Any, ...]], tuple[Any, tuple[Any, ...]]]] = {
    "cond": _cond,
    "wrap_with_set_grad_enabled": lambda args: (args[1], tuple(args[2:])),
    "wrap_with_autocast": lambda args: (args[4], tuple(args[5:])),
}
"""Higher-order operators whose graph runs once: which of the arguments it is, and what it is given."""


def _sites(graph: fx.Graph, steps: Mapping[fx.Node, Step]) -> dict[fx.Node, Site]:
    """The line of code of each node, see `numbered_line`."""
    seen: Counter[tuple[str, ...]] = Counter()
    sites = {}
    for node in graph.nodes:
        step = steps.get(node)
        if step is not None:
            where = (step.name, step.modules[-1][1] if step.modules else "")
            sites[node] = numbered_line(node.meta.get("stack_trace") or "", where, seen) or (node.name, 0, 0)
    return sites
