"""A NIR graph as a torch module that can be run, traced and profiled like any other.

Modules lie under the names of the nodes, so that rows carry them. Each layer runs once on all time steps, except in a
cycle, whose nodes run step after step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.errors import DataError, UsageError
from snn_energy.nirgraph.building import Delay, Shape, Site, build
from snn_energy.nirgraph.conventions import Convention, find_convention
from snn_energy.nirgraph.hdf5 import read_graph
from snn_energy.nirgraph.neurons import NirNeuron
from snn_energy.nirgraph.order import Order, Stage, arrange
from snn_energy.nirgraph.records import PREFIX, NirGraph, NirNode

READOUTS = ("none", "mean", "sum", "max")
"""What becomes of the output of all time steps: handed over as it is, or joined over time."""


def load_nir(
    path: str | PathLike[str],
    *,
    convention: str | None = None,
    dt: float | None = None,
    time_steps: int | None = None,
) -> NirNetwork:
    """The network in a .nir file.

    Args:
        convention: how its equations become time steps, see `conventions`; default: what the file says (ours do), or
            "nir".
        dt: time step in the unit of the file's time constants; default: what the file says, or the convention's.
        time_steps: T where the data have no time axis; default: what the file says.

    Raises:
        UsageError: no h5py; an unknown convention; dt or T below or at 0.
        DataError: a file that is missing, damaged or no NIR; a graph that cannot run, naming the node and why.
    """
    return NirNetwork(read_graph(path), where=str(path), convention=convention, dt=dt, time_steps=time_steps)


class NirNetwork(nn.Module):
    """The network of a graph.

    Shapes: frames `t n ...` (`n t ...` where `layout` is "NT"), or images `n ...` that are shown at all of its
    `time_steps`; `...` is the shape that the graph's Input states. Returns the output of all time steps, `t n ...`, or
    what `readout` makes of them, `n ...`.

    Args and errors: see `load_nir`.
    """

    def __init__(
        self,
        graph: NirGraph,
        *,
        where: str = "NIR graph",
        convention: str | None = None,
        dt: float | None = None,
        time_steps: int | None = None,
    ) -> None:
        super().__init__()
        graph = graph.flat(where)
        said = graph.metadata
        named = convention or said.get(PREFIX + "convention", "nir")
        self.convention: Convention = find_convention(named)
        # The file's dt belongs to the file's convention: with another one it means nothing.
        kept = said.get(PREFIX + "dt") if convention in (None, said.get(PREFIX + "convention")) else None
        self.dt = _positive("dt", dt if dt is not None else _number(kept, where, "dt") or self.convention.dt)
        self._own_time = self.dt == (_number(kept, where, "dt") or -1.0)
        steps = time_steps if time_steps is not None else _number(said.get(PREFIX + "time_steps"), where, "time_steps")
        self.time_steps: int | None = None if steps is None else int(_positive("time_steps", steps, least=1))
        self.readout = said.get(PREFIX + "readout", "none")
        if self.readout not in READOUTS:
            raise DataError(f"{where}: readout must be one of {', '.join(READOUTS)} (got {self.readout!r})")
        self.input_once = said.get(PREFIX + "still_image") == "once"
        self.layout = "TN"
        self.properties: Mapping[str, str] = dict(said)
        self._where = where
        self._build(graph)

    def _build(self, graph: NirGraph) -> None:
        nodes = {name: node for name, node in graph.nodes.items() if isinstance(node, NirNode)}
        source, sink = graph.only("Input"), graph.only("Output")
        kinds = {name: node.kind for name, node in nodes.items()}
        self._order: Order = arrange(kinds, graph.edges, source, self._where, self._slow(nodes))
        self._into: dict[str, list[str]] = {name: [] for name in nodes}
        for a, b in graph.edges:
            self._into[b].append(a)
        self._source, self._sink = source, sink
        if not self._into[sink]:
            raise DataError(f"{self._where}: no edge leads into the Output {sink}; connect it")
        if self._into[source]:
            raise DataError(f"{self._where}: an edge leads into the Input {source}; an input takes data alone")
        if sink in self._order.looped:
            raise DataError(f"{self._where}: the Output {sink} lies in a cycle; an output hands data out alone")
        shape = tuple(int(size) for size in nodes[source].array("shape").reshape(-1))
        try:
            self._shapes, modules = self._infer(nodes, graph, shape)
        except DataError as problem:
            if len(shape) < 2 or shape[0] != 1:
                raise
            # Norse's exporter takes the batch axis of its sample for a part of the shape.
            try:
                self._shapes, modules = self._infer(nodes, graph, shape[1:])
            except DataError:
                raise problem from None
        self.input_shape: Shape = self._shapes[source]
        self._timed = {name for name, module in modules.items() if isinstance(module, (NirNeuron, Delay))}
        self._paths = dict(zip(modules, _paths(modules), strict=True))
        for name, module in modules.items():
            _plant(self, self._paths[name], module)
        self._last_use = self._uses()

    def _slow(self, nodes: Mapping[str, NirNode]) -> set[str]:
        """Delays of at least one time step: those that a cycle may be cut at."""
        delays = {name: node.array("delay") for name, node in nodes.items() if node.kind == "Delay"}
        return {name for name, delay in delays.items() if delay.size and float(delay.min()) > 0.5 * self.dt}

    def _infer(
        self, nodes: Mapping[str, NirNode], graph: NirGraph, shape: Shape
    ) -> tuple[dict[str, Shape], dict[str, nn.Module]]:
        """The shape that each node puts out and its module, found from the input on."""
        out: dict[str, Shape] = {self._source: shape}
        taken: dict[str, Shape] = {}
        modules: dict[str, nn.Module] = {}
        waiting = [self._source]
        after: dict[str, list[str]] = {name: [] for name in nodes}
        for a, b in graph.edges:
            after[a].append(b)
        while waiting:
            here = waiting.pop(0)
            for name in after[here]:
                if name in taken:
                    continue
                taken[name] = out[here]
                if name == self._sink:
                    continue
                site = Site(
                    name=name,
                    where=self._where,
                    convention=self.convention,
                    dt=self.dt,
                    stepped=name in self._order.looped,
                    own_time=self._own_time,
                    shortened=name in self._order.shortened,
                )
                modules[name], out[name] = build(nodes[name], out[here], site)
                waiting.append(name)
        for a, b in graph.edges:
            if out[a] != taken[b]:
                raise DataError(
                    f"{self._where}: edge {a} -> {b}: {a} ({nodes[a].kind}) puts out {list(out[a])}, but {b} "
                    f"({nodes[b].kind}) takes {list(taken[b])}, as from its other inputs; make them alike"
                )
        stated = tuple(int(size) for size in nodes[self._sink].array("shape").reshape(-1))
        if stated and stated != taken[self._sink] and stated[-len(taken[self._sink]) :] != taken[self._sink]:
            raise DataError(
                f"{self._where}: Output {self._sink} states shape {list(stated)} (got {list(taken[self._sink])}); "
                "export the graph again"
            )
        ranked = [name for stage in self._order.stages for name in stage.names]
        return out, {name: modules[name] for name in ranked if name in modules}

    def _uses(self) -> dict[str, int]:
        """The stage after which nobody asks for a node's output any more."""
        last: dict[str, int] = {}
        for i, stage in enumerate(self._order.stages):
            for name in stage.names:
                for source in self._into[name]:
                    last[source] = i
        return last

    def forward(self, x: Tensor) -> Tensor:
        """See the class. Errors: DataError for another shape, or images where T is not known."""
        rank = len(self.input_shape)
        if x.dim() < rank or tuple(x.shape[x.dim() - rank :]) != self.input_shape or x.dim() - rank not in (1, 2):
            sizes = ", ".join(map(str, self.input_shape))
            raise DataError(
                f"{self._where}: expected frames [T, N, {sizes}] or images [N, {sizes}] (got {list(x.shape)}); see "
                "--layout"
            )
        still = x.dim() - rank == 1
        if still and self.time_steps is None:
            raise DataError(
                f"{self._where}: images [N, ...] need a number of time steps, which the file does not tell (got "
                f"{list(x.shape)}); give --time-steps, or frames [T, N, ...] with --layout TN"
            )
        if not still and self.layout == "NT":
            x = x.transpose(0, 1)
        values = _Values(int(self.time_steps or 1) if still else x.shape[0])
        if still and not self.input_once:
            x = x.expand(values.steps, *x.shape)
        values.put(self._source, x, still=still and self.input_once)
        for i, stage in enumerate(self._order.stages):
            if stage.loop:
                self._loop(i, stage, values)
            elif stage.names[0] not in (self._source, self._sink):
                self._call(stage.names[0], values)
            if self._sink not in stage.names:
                values.drop(name for name, last in self._last_use.items() if last == i)
        return self._read_out(values.over_time(values.total(self._into[self._sink])))

    def _read_out(self, out: Tensor) -> Tensor:
        if self.readout == "mean":
            return torch.mean(out, 0)
        if self.readout == "sum":
            return torch.sum(out, 0)
        return torch.amax(out, 0) if self.readout == "max" else out

    def _call(self, name: str, values: _Values) -> None:
        """Run one node on all time steps; what only the same image reaches runs once."""
        module = self.module_of(name)
        x, still = values.total(self._into[name])
        if name in self._timed:
            values.put(name, module(values.over_time((x, still))))
        elif still:
            values.put(name, module(x), still=True)
        else:
            out = module(x.flatten(0, 1))
            values.put(name, out.reshape(*x.shape[:2], *out.shape[1:]))

    def _loop(self, i: int, stage: Stage, values: _Values) -> None:
        inside, late = set(stage.names), self._order.late
        outside = {name: [a for a in self._into[name] if a not in inside] for name in stage.names}
        given = {
            name: values.over_time(values.total(sources)).unbind(0) for name, sources in outside.items() if sources
        }
        states: dict[str, Any] = {}
        like = next(iter(given.values()))[0]
        held = {a: like.new_zeros(len(like), *self._shapes[a]) for a, b in late if a in inside and b in inside}
        outputs: dict[str, list[Tensor]] = {name: [] for name in stage.names}
        for t in range(values.steps):
            now: dict[str, Tensor] = {}
            for name in stage.names:
                parts = [given[name][t]] if name in given else []
                parts += [held[a] if (a, name) in late else now[a] for a in self._into[name] if a in inside]
                x = parts[0]
                for part in parts[1:]:
                    x = x + part
                if name in self._timed:
                    now[name], states[name] = self.module_of(name)(x, states.get(name))
                else:
                    now[name] = self.module_of(name)(x)
                outputs[name].append(now[name])
            held = {name: now[name] for name in held}
        for name in stage.names:
            if self._last_use.get(name, -1) > i:
                values.put(name, torch.stack(outputs[name]))

    def module_of(self, name: str) -> nn.Module:
        """The module of a node."""
        module: nn.Module = self
        for part in self._paths[name]:
            child = module._modules[part]
            assert child is not None
            module = child
        return module

    def steps_through(self, name: str) -> bool:
        """Whether a node lies in a cycle, and is called once for each time step."""
        return name in self._order.looped

    def extra_repr(self) -> str:
        """Show how time runs."""
        return f"convention={self.convention.name}, dt={self.dt:g}, time_steps={self.time_steps}"


class _Values:
    """What the nodes put out, over all time steps; sums of several are computed once."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._held: dict[frozenset[str], tuple[Tensor, bool]] = {}

    def put(self, name: str, value: Tensor, *, still: bool = False) -> None:
        self._held[frozenset((name,))] = (value, still)

    def drop(self, names: Iterable[str]) -> None:
        gone = set(names)
        self._held = {key: value for key, value in self._held.items() if not key & gone}

    def total(self, names: Sequence[str]) -> tuple[Tensor, bool]:
        """The sum of these outputs, and whether it is the same in all time steps."""
        wanted = frozenset(names)
        if wanted not in self._held:
            # The largest sum that is there already is a part of this one: residual sums grow block by block.
            known = max((key for key in self._held if key < wanted), key=len)
            rest = [name for name in names if name not in known]
            total, still = self._held[known]
            for name in rest:
                other, other_still = self._held[frozenset((name,))]
                if still != other_still:
                    total, other = self.over_time((total, still)), self.over_time((other, other_still))
                    still = False
                total = total + other
            self._held[wanted] = (total, still)
        return self._held[wanted]

    def over_time(self, value: tuple[Tensor, bool]) -> Tensor:
        x, still = value
        return x.unsqueeze(0).expand(self.steps, *x.shape) if still else x


def _paths(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Module paths of node names; a name that lies within that of a node with parameters keeps clear of it."""
    taken: set[tuple[str, ...]] = set()
    found = []
    for name in names:
        path = tuple(part or "_" for part in name.split("."))
        while any(path[: len(each)] == each or each[: len(path)] == path for each in taken):
            path = (*path[:-1], path[-1] + "_") if path in taken else ("_".join(path),)
        taken.add(path)
        found.append(path)
    return found


def _plant(root: nn.Module, path: tuple[str, ...], module: nn.Module) -> None:
    """Put a module at its path; names of a graph may be no names of attributes, so not in the usual way."""
    for part in path[:-1]:
        child = root._modules.get(part)
        if child is None:
            child = root._modules[part] = nn.Module()
        root = child
    root._modules[path[-1]] = module


def _number(text: str | None, where: str, what: str) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{where}: its metadata {PREFIX}{what} is damaged (got {text!r}); export it again") from None


def _positive(name: str, value: float, least: float = 0.0) -> float:
    if not (value >= least and 0 < value < float("inf")):
        raise UsageError(f"NIR: {name} must be above 0 (got {value!r})")
    return value
