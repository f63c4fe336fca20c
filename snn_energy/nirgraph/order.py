"""In which order the nodes of a graph run: layer by layer, and step by step where edges lead back."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from snn_energy.errors import DataError
from snn_energy.nirgraph.records import NEURONS

Edge = tuple[str, str]

REMEMBERS = (*NEURONS, "Delay")


@dataclass(frozen=True, slots=True)
class Stage:
    """Nodes that run together: one node on all time steps, or a loop of nodes, one time step after the other."""

    names: tuple[str, ...]
    loop: bool


@dataclass(frozen=True, slots=True)
class Order:
    """`stages` in the order they run; `late` are the edges that hand over the value of one time step earlier.

    A delay that a late edge leads to is `shortened` by that time step.
    """

    stages: tuple[Stage, ...]
    late: frozenset[Edge]
    shortened: frozenset[str]

    @property
    def looped(self) -> set[str]:
        """The nodes that run step by step."""
        return {name for stage in self.stages if stage.loop for name in stage.names}


def arrange(
    kinds: Mapping[str, str], edges: Sequence[Edge], start: str, where: str, slow: Container[str] = ()
) -> Order:
    """Order the nodes `kinds` (name -> primitive) from node `start` on; `slow` are delays of a time step or more.

    A cycle is cut where a delay in it lets it, else where the neuron hands its output on: that edge is late. Errors:
    DataError for a node that no edge leads to from `start`, and for a cycle in which nothing remembers.
    """
    after: dict[str, list[str]] = {name: [] for name in kinds}
    before: dict[str, list[str]] = {name: [] for name in kinds}
    for a, b in edges:
        after[a].append(b)
        before[b].append(a)
    closing, reached = _closing(start, after, kinds, where)
    lost = [name for name in kinds if name not in reached]
    if lost:
        raise DataError(f"{where}: no edge leads from {start} to node {lost[0]} ({kinds[lost[0]]}); connect or drop it")
    cuts = [_cut(cycle, kinds, before, after, slow) for cycle in closing]
    late = frozenset(cuts)
    shortened = frozenset(b for _, b in cuts if b in slow)
    rank = {name: i for i, name in enumerate(_sorted(kinds, [edge for edge in edges if edge not in late]))}
    stages: list[Stage] = []
    components = _components(list(rank), after)
    # A loop comes where its first node may run; what leads into it from outside lies in earlier components.
    for group in _sorted_groups(components, edges, rank):
        names = tuple(sorted(group, key=rank.__getitem__))
        stages.append(Stage(names, len(names) > 1 or (names[0], names[0]) in late))
    return Order(tuple(stages), late, shortened)


def _closing(
    start: str, after: Mapping[str, list[str]], kinds: Mapping[str, str], where: str
) -> tuple[list[list[str]], set[str]]:
    """The cycles that a depth-first walk from `start` closes, from their first node on, and all nodes reached."""
    closing: list[list[str]] = []
    path, on_path, seen = [start], {start}, {start}
    walks = [iter(after[start])]
    while walks:
        nxt = next(walks[-1], None)
        if nxt is None:
            walks.pop()
            on_path.discard(path.pop())
        elif nxt in on_path:
            cycle = path[path.index(nxt) :]
            if not any(kinds[name] in REMEMBERS for name in cycle):
                raise DataError(
                    f"{where}: the cycle {' -> '.join([*cycle, nxt])} holds no neuron and no delay, so that it has no "
                    "value in time steps; put one into it"
                )
            closing.append(cycle)
        elif nxt not in seen:
            seen.add(nxt)
            path.append(nxt)
            on_path.add(nxt)
            walks.append(iter(after[nxt]))
    return closing, seen


def _cut(
    cycle: Sequence[str],
    kinds: Mapping[str, str],
    before: Mapping[str, list[str]],
    after: Mapping[str, list[str]],
    slow: Container[str],
) -> Edge:
    """Before a delay of one input; else the closing edge, moved back to its neuron past nodes in single file."""
    delay = next((name for name in cycle if name in slow and len(before[name]) == 1), None)
    if delay is not None:
        return before[delay][0], delay
    node, nxt = edge = cycle[-1], cycle[0]
    while kinds[node] not in NEURONS:
        if len(before[node]) != 1 or len(after[node]) != 1:
            return edge
        node, nxt = before[node][0], node
    return node, nxt


def _sorted(names: Iterable[str], edges: Sequence[Edge]) -> list[str]:
    """Names so that every edge leads forward; those that are free to run come as they are given."""
    names = list(names)
    waits = dict.fromkeys(names, 0)
    after: dict[str, list[str]] = {name: [] for name in names}
    for a, b in edges:
        waits[b] += 1
        after[a].append(b)
    ready = [name for name in names if not waits[name]]
    order = []
    while ready:
        name = ready.pop(0)
        order.append(name)
        for nxt in after[name]:
            waits[nxt] -= 1
            if not waits[nxt]:
                ready.append(nxt)
    return order


def _components(names: Sequence[str], after: Mapping[str, list[str]]) -> list[set[str]]:
    """Strongly connected components, by Tarjan's algorithm without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []
    for root in names:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        walks = [(root, iter(after[root]))]
        while walks:
            node, walk = walks[-1]
            for nxt in walk:
                if nxt not in index:
                    index[nxt] = low[nxt] = len(index)
                    stack.append(nxt)
                    walks.append((nxt, iter(after[nxt])))
                    break
                if nxt in stack:
                    low[node] = min(low[node], index[nxt])
            else:
                walks.pop()
                if walks:
                    low[walks[-1][0]] = min(low[walks[-1][0]], low[node])
                if low[node] == index[node]:
                    cut = stack.index(node)
                    found.append(set(stack[cut:]))
                    del stack[cut:]
    return found


def _sorted_groups(groups: Sequence[set[str]], edges: Sequence[Edge], rank: Mapping[str, int]) -> list[set[str]]:
    home = {name: str(i) for i, group in enumerate(groups) for name in group}
    between = list(dict.fromkeys((home[a], home[b]) for a, b in edges if home[a] != home[b]))
    first = sorted(home.values(), key=lambda key: min(rank[name] for name in groups[int(key)]))
    return [groups[int(key)] for key in _sorted(dict.fromkeys(first), between)]
