"""Programs of torch.export, counted like the eager module they came from.

Every node remembers the modules it was recorded in (`nn_module_stack`), with their classes. The nodes run one by one
under the trace's dispatch mode, each below the path of its module: rows get the eager names. The nodes of a neuron run
uncounted, and the neuron is charged from its equation, as in eager mode.

What a graph no longer tells is how a neuron was configured: rows of NEURONS with options are used only if the eager
module is at hand (`like`), or if the graph itself shows the option (a soft or a hard reset). A neuron that is not
recognised is counted as the operators it runs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export._tree_utils import reorder_kwargs
from torch.utils import _pytree as pytree

from snn_energy.counting.dispatch import CountingMode
from snn_energy.counting.naming import replayed
from snn_energy.counting.neurons import NEURONS, NeuronRow, named_neurons
from snn_energy.counting.ops.registry import table_name
from snn_energy.counting.recorder import Recorder
from snn_energy.counting.skeleton import Stage, skeleton
from snn_energy.counting.tags import tensors_in
from snn_energy.errors import DataError, TraceError

GUARDS = "_guards_fn"
"""The submodule in which torch.export keeps its checks of the inputs."""


class Program:
    """An exported program ready to be traced: `root` stands for its modules, `run` executes it under a trace."""

    def __init__(self, program: ExportedProgram, like: nn.Module | None = None) -> None:
        self.graph_module = program.module()
        self._in_spec = program.call_spec.in_spec
        places = [_place(node) for node in self.graph_module.graph.nodes]
        classes = {place.path: place.qualified for place in places if place is not None}
        for place in places:
            classes |= {} if place is None else dict(place.ancestors)
        held = {
            str(node.target): _attribute(self.graph_module, str(node.target))
            for node in self.graph_module.graph.nodes
            if node.op == "get_attr"
        }
        tensors = {name: value for name, value in held.items() if isinstance(value, Tensor)}
        name = classes.get("", "").rpartition(".")[2] or "ExportedProgram"
        self.root = skeleton(name, classes, tensors)
        self._regions = _Regions(self.graph_module.graph)
        self.neurons = self._regions.recognised(classes, None if like is None else named_neurons(like))

    def run(self, recorder: Recorder, mode: CountingMode, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the program on one call's arguments; the mode is on.

        Raises:
            DataError: arguments that the program was not exported for.
        """
        stage = Stage(self.root, recorder, mode)
        stage.declare_neurons(self.neurons)
        flat = self._flattened(args, kwargs)
        runner = _Replay(self.graph_module, stage, self._regions, self.neurons)
        out = runner.run(*flat, enable_io_processing=False)
        return self.graph_module.graph.process_outputs(out)

    def _flattened(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        try:
            ordered = reorder_kwargs(kwargs, self._in_spec)
        except ValueError as problem:
            raise DataError(f"trace: the exported program takes other arguments: {_first(problem)}") from None
        flat, spec = pytree.tree_flatten((args, ordered))
        if spec != self._in_spec:
            raise DataError(
                f"trace: the exported program takes arguments of the form {self._in_spec} (got {spec}); "
                "pass what it was exported with"
            )
        return list(flat)


@dataclass(frozen=True, slots=True)
class _Place:
    """The module that a node was recorded in: path, class, which call of it, and the modules around it."""

    path: str
    qualified: str
    call: str
    ancestors: tuple[tuple[str, str], ...]
    """(path, class) of all modules around the node, outermost first; the last is the node's own."""
    calls: tuple[str, ...]
    """For each of them, which call it is: "L__self__lif@1"."""


def _place(node: fx.Node) -> _Place | None:
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return None
    found = tuple((str(path), _qualified(kind)) for path, kind in stack.values())
    path, qualified = found[-1]
    return _Place(path, qualified, str(list(stack)[-1]), found, tuple(str(key) for key in stack))


def _qualified(kind: object) -> str:
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)


def _attribute(module: nn.Module, name: str) -> Any:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part)
    return value


class _Regions:
    """Which nodes make up each call of each module, and which of their results leave it."""

    def __init__(self, graph: fx.Graph) -> None:
        self.places = {node: _place(node) for node in graph.nodes}

    def inside(self, node: fx.Node, paths: Iterable[str]) -> tuple[str, str] | None:
        """(path, call) of the outermost of these modules that the node runs in."""
        place = self.places.get(node)
        if place is None or node.op in ("get_attr", "placeholder", "output"):
            return None
        known = set(paths)
        for (path, _), call in zip(place.ancestors, place.calls, strict=True):
            if path in known:
                return path, call
        return None

    def recognised(self, classes: Mapping[str, str], known: Mapping[str, NeuronRow] | None) -> dict[str, NeuronRow]:
        """The rows of the neuron layers of this graph, by path."""
        rows: dict[str, NeuronRow] = {}
        for path, qualified in classes.items():
            nodes = [node for node in self.places if self.inside(node, (path,))]
            row = known.get(path) if known is not None else _resolved(NEURONS.get(qualified), nodes)
            if row is not None and path and self._spikes_are_clear(path, nodes):
                rows[path] = row
        return rows

    def _spikes_are_clear(self, path: str, nodes: list[fx.Node]) -> bool:
        calls = {region[1] for node in nodes if (region := self.inside(node, (path,))) is not None}
        found = Counter(region[1] for node in self.spikes(path, nodes) if (region := self.inside(node, (path,))))
        return bool(calls) and set(found) == calls and set(found.values()) == {1}

    def spikes(self, path: str, nodes: Iterable[fx.Node]) -> list[fx.Node]:
        """The node of each call whose result is the neuron's output: it leaves the module, and holds spikes."""
        leaving = [node for node in nodes if any(self.inside(user, (path,)) is None for user in node.users)]
        return [node for node in leaving if _holds_spikes(node)]


_COMPARISONS = {"ge", "gt", "le", "lt", "heaviside"}
_MOVES = {"to", "_to_copy", "stack", "cat", "detach", "view", "reshape", "unsqueeze", "squeeze", "clone", "alias",
          "contiguous", "type_as", "transpose", "permute", "float"}  # fmt: skip


def _holds_spikes(node: fx.Node) -> bool:
    """True for a comparison, and for what only moves, casts or scales the results of comparisons."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    name = table_name(node.target)
    if name in _COMPARISONS:
        return True
    sources = [source for source in node.all_input_nodes if source.op == "call_function"]
    if name in _MOVES:
        return bool(sources) and all(map(_holds_spikes, sources[:1] if name in ("to", "type_as") else sources))
    return name == "mul" and len(sources) == 1 and len(node.all_input_nodes) <= 2 and _holds_spikes(sources[0])


def _resolved(row: NeuronRow | None, nodes: list[fx.Node]) -> NeuronRow | None:
    """The row as far as the graph tells its options; None where it does not."""
    if row is None or row.variants or row.requires:
        return None
    if not row.soft_reset_adds:
        return row
    return _RESETS.get((_subtracts_spikes(nodes), _keeps_where_silent(nodes)), lambda _: None)(row)


def _without_soft_reset(row: NeuronRow) -> NeuronRow:
    return replace(row, soft_reset_adds=0)


_RESETS: dict[tuple[bool, bool], Callable[[NeuronRow], NeuronRow | None]] = {
    (True, False): lambda row: row,
    (False, True): _without_soft_reset,
}
"""(Spikes are subtracted, the membrane is multiplied by 1 - spike) -> the row; anything else tells nothing."""


def _subtracts_spikes(nodes: list[fx.Node]) -> bool:
    """V - threshold * S."""
    return any(
        _is(node, "sub") and all(isinstance(arg, fx.Node) for arg in node.args) and _holds_spikes(node.args[1])
        for node in nodes
    )


def _keeps_where_silent(nodes: list[fx.Node]) -> bool:
    """1 - S."""
    return any(
        (_is(node, "rsub") and isinstance(node.args[0], fx.Node) and _holds_spikes(node.args[0]))
        or (_is(node, "sub") and node.args[0] == 1 and isinstance(node.args[1], fx.Node))
        for node in nodes
        if node.args
    )


def _is(node: fx.Node, name: str) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and table_name(node.target) == name


class _Replay(fx.Interpreter):
    """Runs the nodes one by one, each below the path of its module."""

    def __init__(
        self, module: fx.GraphModule, stage: Stage, regions: _Regions, neurons: Mapping[str, NeuronRow]
    ) -> None:
        super().__init__(module)
        self.extra_traceback = False  # errors say what the operator says, no more
        self._stage, self._regions, self._neurons = stage, regions, neurons
        nodes = [node for node in module.graph.nodes if regions.inside(node, neurons)]
        self._spikes = {node for path in neurons for node in regions.spikes(path, nodes)}
        self._sites = _sites(module.graph, regions)

    def run_node(self, n: fx.Node) -> Any:
        """Run one node where it belongs."""
        stage = self._stage
        if n.op == "call_module" and n.target == GUARDS:
            with stage.unseen():
                return self._guarded(n)
        if n.op in ("placeholder", "get_attr", "output"):
            return super().run_node(n)
        region = self._regions.inside(n, self._neurons)
        if region is not None:
            with stage.unseen():
                out = super().run_node(n)
            for tensor in tensors_in(out):
                stage.recorder.is_data(tensor)
            if n in self._spikes:
                with stage.at(region[0]), stage.unseen():
                    stage.fired(region[0], out)
            return out
        place = self._regions.places.get(n)
        with stage.at("" if place is None else place.path), replayed(self._sites[n], einsum=_is(n, "einsum")):
            inner = _INNER.get(str(n.target))
            return self._inner(n, inner) if inner is not None else super().run_node(n)

    def _guarded(self, n: fx.Node) -> Any:
        try:
            return super().run_node(n)
        except (AssertionError, RuntimeError) as problem:
            raise DataError(
                f"trace: the data do not fit the exported program: {_first(problem)}; "
                "pass inputs of its shapes, or export it with dynamic_shapes"
            ) from None

    def _inner(self, n: fx.Node, choose: Callable[[tuple[Any, ...]], tuple[Any, tuple[Any, ...]]]) -> Any:
        """Run the graph inside a higher-order operator."""
        args, _ = self.fetch_args_kwargs_from_env(n)
        graph, operands = choose(args)
        if not isinstance(graph, fx.GraphModule):
            raise TraceError(f"trace: {n.target} holds no graph (got {type(graph).__name__}); export the model again")
        regions = _Regions(graph.graph)
        return _Replay(graph, self._stage, regions, {}).run(*operands)


def _cond(args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """cond(predicate, graph if true, graph if false, operands)."""
    return (args[1] if bool(args[0]) else args[2]), tuple(args[3])


_INNER: dict[str, Callable[[tuple[Any, ...]], tuple[Any, tuple[Any, ...]]]] = {
    "cond": _cond,
    "wrap_with_set_grad_enabled": lambda args: (args[1], tuple(args[2:])),
    "wrap_with_autocast": lambda args: (args[4], tuple(args[5:])),
}
"""Higher-order operators whose graph runs once: which of the arguments it is, and what it is given."""


_PRODUCT_IN_SOURCE = re.compile(r"@(?!=)|\b(?:matmul|bmm|mm|mv|dot|einsum|baddbmm|scaled_dot_product_attention)\s*\(")


def _sites(graph: fx.Graph, regions: _Regions) -> dict[fx.Node, tuple[str, int, int]]:
    """The line of code of each node: it joins the turns of a loop, and tells products of one line apart.

    A line with k products gives them numbers 0 ... k-1 in turn.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    sites = {}
    for node in graph.nodes:
        trace = [line.strip() for line in (node.meta.get("stack_trace") or "").splitlines() if line.strip()]
        at = max((i for i, line in enumerate(trace) if line.startswith("File ")), default=None)
        if at is None:
            sites[node] = (node.name, 0, 0)
            continue
        products = max(1, len(_PRODUCT_IN_SOURCE.findall(" ".join(trace[at + 1 :]))))
        place = regions.places[node]
        key = (trace[at], str(node.target), "" if place is None else place.call)
        sites[node] = (trace[at], 0, seen[key] % products)
        seen[key] += 1
    return sites


def _first(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")
