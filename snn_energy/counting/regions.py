"""Neurons in a graph: which nodes make up each call of a module, and which result of theirs is the spikes.

Used for programs of torch.export and for ONNX graphs alike; both are turned into `Step`s first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from snn_energy.counting.neurons import NEURONS, NeuronRow

Call = tuple[str, str]
"""A module's path, and which call of it."""


@dataclass(eq=False, slots=True)
class Step:
    """One node of a graph: its operator by the name it has in torch, its operands, the modules it was recorded in."""

    name: str
    sources: tuple[Step | float | None, ...] = ()
    """Other nodes; a number for a constant; None for anything else (inputs, weights)."""
    modules: tuple[Call, ...] = ()
    """Outermost first."""
    classes: tuple[str, ...] = ()
    """Qualified class name of each of them."""
    users: list[Step | None] = field(default_factory=list)
    """Nodes that read the result; None for the graph's own output."""

    def call_of(self, paths: Iterable[str]) -> Call | None:
        """The outermost of these modules that the node runs in."""
        known = set(paths)
        return next((call for call in self.modules if call[0] in known), None)


def link(steps: Iterable[Step]) -> None:
    """Enter every node into the `users` of its operands."""
    for step in steps:
        for source in step.sources:
            if isinstance(source, Step):
                source.users.append(step)


def recognised(steps: Iterable[Step], known: Mapping[str, NeuronRow] | None) -> dict[str, NeuronRow]:
    """The neuron layers of a graph by path: those that are known, or else those that its class names tell.

    A graph does not tell how a neuron was configured. A row with options is used only if it is known from elsewhere;
    a row whose only option is its reset is used if the graph shows which one. What is left out is counted as the
    operators it runs.
    """
    by_path: dict[str, list[Step]] = defaultdict(list)
    classes: dict[str, str] = {}
    for step in steps:
        for (path, _), qualified in zip(step.modules, step.classes, strict=True):
            by_path[path].append(step)
            classes[path] = qualified
    rows: dict[str, NeuronRow | None]
    if known is not None:
        rows = {path: known.get(path) for path in by_path}
    else:
        rows = {path: _resolved(NEURONS.get(classes[path]), nodes) for path, nodes in by_path.items()}
    return {
        path: row
        for path, row in rows.items()
        if row is not None and path and spikes_of(path, by_path[path], spiking=row.spiking)
    }


def spikes_of(path: str, nodes: Iterable[Step], *, spiking: bool = True) -> dict[Step, Call]:
    """The node of each call of a module whose result is the neuron's output; empty unless each call has just one.

    It leaves the module, and is a comparison, moved or scaled: a membrane that leaves as well is none. An integrator,
    which is not `spiking`, returns its membrane: whatever leaves it. Some exporters do not tell the calls of a module
    apart; nodes of one kind are then taken for one call each.
    """
    found: dict[Step, Call] = {}
    calls: set[Call] = set()
    for step in nodes:
        call = step.call_of((path,))
        if call is None:
            continue
        calls.add(call)
        leaves = any(user is None or user.call_of((path,)) is None for user in step.users)
        if leaves and (not spiking or holds_spikes(step)):
            found[step] = call
    if len(calls) == 1 and len({step.name for step in found}) == 1:
        return found
    return found if len(found) == len(calls) and set(found.values()) == calls else {}


_COMPARISONS = {"ge", "gt", "le", "lt", "heaviside"}
_MOVES = {"to", "_to_copy", "stack", "cat", "detach", "view", "reshape", "unsqueeze", "squeeze", "clone", "alias",
          "contiguous", "type_as", "transpose", "permute", "float", "select", "slice"}  # fmt: skip


def holds_spikes(step: Step) -> bool:
    """True for a comparison, and for what only moves, casts or scales the results of comparisons."""
    if step.name in _COMPARISONS:
        return True
    sources = [source for source in step.sources if isinstance(source, Step)]
    if step.name in _MOVES:
        return bool(sources) and all(map(holds_spikes, sources[:1] if step.name == "type_as" else sources))
    return step.name == "mul" and len(sources) == 1 and holds_spikes(sources[0])


def _resolved(row: NeuronRow | None, nodes: list[Step]) -> NeuronRow | None:
    """The row as far as the graph tells its options; None where it does not."""
    if row is None or row.variants or row.requires:
        return None
    if not row.soft_reset_adds:
        return row
    reset = _RESETS.get((any(map(_subtracts_spikes, nodes)), any(map(_keeps_the_silent, nodes))))
    return None if reset is None else reset(row)


_RESETS: dict[tuple[bool, bool], Callable[[NeuronRow], NeuronRow]] = {
    (True, False): lambda row: row,
    (False, True): lambda row: replace(row, soft_reset_adds=0),
}
"""(Spikes are subtracted, 1 - spike is computed) -> the row; anything else tells nothing."""


def _subtracts_spikes(step: Step) -> bool:
    """V - threshold * S."""
    if step.name != "sub" or len(step.sources) < 2:
        return False
    left, right = step.sources[:2]
    return isinstance(left, Step) and isinstance(right, Step) and holds_spikes(right)


def _keeps_the_silent(step: Step) -> bool:
    """1 - S, in either spelling."""
    if step.name not in ("sub", "rsub") or len(step.sources) < 2:
        return False
    one, spikes = step.sources[:2] if step.name == "sub" else step.sources[1::-1]
    return one == 1 and isinstance(spikes, Step) and holds_spikes(spikes)


def spike_steps(steps: Iterable[Step], neurons: Mapping[str, NeuronRow]) -> dict[Step, Call]:
    """All nodes whose results are the spikes of these neurons."""
    steps = list(steps)
    found: dict[Step, Call] = {}
    for path, row in neurons.items():
        inside = [step for step in steps if step.call_of((path,)) is not None]
        found |= spikes_of(path, inside, spiking=row.spiking)
    return found
