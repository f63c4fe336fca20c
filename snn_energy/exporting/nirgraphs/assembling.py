"""From what a run showed to a NIR graph: nodes with their fields, edges, and the list of what the graph does not hold.

Batch norms fold into the layer before them. NIR has no max pooling; of spikes it is the sum over the window and a
threshold of 1/2, which says the same, and is written so. Where a map meets a linear layer a Flatten comes between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from snn_energy.exporting.losses import Loss
from snn_energy.exporting.nirgraphs.dynamics import READERS, Dynamics
from snn_energy.exporting.nirgraphs.encoding import feedback_node, neuron_node, weight_node
from snn_energy.exporting.nirgraphs.following import Followed, Node, Shape
from snn_energy.nirgraph.building import POOL_KEY
from snn_energy.nirgraph.conventions import Convention
from snn_energy.nirgraph.records import PREFIX, NirGraph, NirNode

OUTPUT = "output"


@dataclass(slots=True)
class Assembled:
    """The graph as far as it can be written: `fatal` says why it cannot, `losses` what is lost, `notes` what is left
    outside of the graph by NIR's nature."""

    nodes: dict[str, NirNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    fatal: list[Loss] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    neurons: dict[str, str] = field(default_factory=dict)
    """Neuron's module path -> its node."""

    @property
    def graph(self) -> NirGraph:
        """The graph."""
        return NirGraph(self.nodes, tuple(self.edges), self.metadata)


def assemble(run: Followed, how: Convention, dt: float) -> Assembled:
    """The graph of a run, for readers of convention `how` with the time step `dt`."""
    return _Assembly(run, how, dt).result()


class _Assembly:
    def __init__(self, run: Followed, how: Convention, dt: float) -> None:
        self._run, self._how, self._dt = run, how, dt
        self._out = Assembled(fatal=list(run.fatal))
        self._gives: dict[str, Shape] = {}
        self._ends: dict[str, str] = {}
        """The node whose output stands for that of a followed node: a folded norm's is its layer's."""
        self._edges: list[tuple[str, str]] = []
        self._spiking: set[str] = set()

    def result(self) -> Assembled:
        out, run = self._out, self._run
        self._find_edges()
        norms = self._norms()
        for node in run.nodes.values():
            self._add(node, norms)
        self._flatten()
        self._finish(norms)
        return out

    def _refuse(self, what: str, where: str, why: str) -> None:
        loss = Loss(what, where, why)
        if loss not in self._out.fatal:
            self._out.fatal.append(loss)

    def _find_edges(self) -> None:
        late: dict[tuple[str, str], bool] = {}
        for node in self._run.nodes.values():
            seen: dict[int | None, object] = {}
            sources: set[str] = set()
            for parts, step in node.calls:
                if step in seen and (step is not None or seen[step] != parts):
                    self._refuse("a module called more than once in a time step", node.name, "a node runs once in each")
                seen[step] = parts
                sources |= {part.node for part in parts}
                for part in parts:
                    lag = 0 if part.step is None or step is None else step - part.step
                    edge = (part.node, node.name)
                    if lag not in (0, 1) or late.setdefault(edge, bool(lag)) != bool(lag):
                        self._refuse(
                            f"an edge from {part.node} over {lag} time steps", node.name,
                            "an edge leads on in the same time step, or to the next one where it leads back",
                        )  # fmt: skip
            for parts, _ in node.calls[1:]:
                if parts and {part.node for part in parts} != sources and len(node.calls) > 1:
                    self._refuse("inputs that change from one time step to another", node.name, "edges do not change")
            self._edges += [(source, node.name) for source in self._in_order(node, sources)]

    def _in_order(self, node: Node, sources: set[str]) -> list[str]:
        """Sources in the order of the fullest call, so that sums round alike."""
        fullest = max((parts for parts, _ in node.calls), key=len, default=())
        ranked = [part.node for part in fullest]
        return ranked + sorted(sources - set(ranked))

    def _norms(self) -> dict[str, Node]:
        """Layer -> the batch norm that follows it and nothing else does."""
        found: dict[str, Node] = {}
        for node in self._run.nodes.values():
            if node.kind != "norm":
                continue
            before = [a for a, b in self._edges if b == node.name]
            users = [b for a, b in self._edges if a == before[0]] if len(before) == 1 else []
            layer = self._run.nodes[before[0]] if len(before) == 1 else None
            if layer is None or layer.kind != "weights" or users != [node.name] or len(layer.gives) != len(node.takes):
                self._refuse("a batch norm", node.name, "NIR has none, and no layer right before it takes it up")
                continue
            found[layer.name] = node
            self._ends[node.name] = layer.name
        return found

    def _add(self, node: Node, norms: dict[str, Node]) -> None:
        out, name = self._out, node.name
        module: Any = node.module
        self._gives[name] = node.gives
        if node.kind == "Input":
            out.nodes[name] = NirNode("Input", {"shape": np.array(node.gives)})
        elif node.kind == "norm":
            pass
        elif node.kind == "weights":
            if getattr(module, "padding_mode", "zeros") != "zeros":
                self._refuse(f"padding with {module.padding_mode}", name, "NIR pads with zeros")
                return
            norm = norms.get(name)
            out.nodes[name] = weight_node(module, node.takes, None if norm is None else norm.module)
        elif node.kind == "neuron":
            self._add_neuron(node)
        elif node.kind in ("Scale", "Delay"):
            module = node.module
            steps = node.kind == "Delay"
            value = (module.steps + module.shortened) * self._dt if steps else module.scale.detach()
            full = np.broadcast_to(value.cpu().numpy(), node.takes)
            out.nodes[name] = NirNode(node.kind, {node.kind.lower(): full.astype(np.float32)})
        else:
            self._add_pool(node)

    def _add_neuron(self, node: Node) -> None:
        row, out, name = node.row, self._out, node.name
        assert row is not None
        if row.kind == "threshold":
            threshold: Any = node.module
            value = torch.as_tensor(threshold.threshold).cpu().numpy()
            full = np.broadcast_to(value, node.takes).astype(np.float32)
            out.nodes[name] = NirNode("Threshold", {"threshold": full})
            out.neurons[name] = name
            self._spiking.add(name)
            return
        reader = READERS.get(row.qualified_name)
        if reader is None:
            self._refuse(
                f"a {row.kind} neuron ({row.qualified_name.rpartition('.')[2]})", name,
                "NIR has IF, LIF, CubaLIF and the integrators I, LI, CubaLI",
            )  # fmt: skip
            return
        dynamics: Dynamics = reader(node.module)
        if not node.takes:
            self._refuse("a neuron that nothing leads to", name, "a node has an input")
            return
        out.nodes[name], losses, notes = neuron_node(dynamics, node.takes, name, self._how, self._dt)
        out.losses += losses
        out.notes += notes
        if dynamics.threshold is not None:
            self._spiking.add(name)
            out.neurons[name] = name
        if dynamics.recurrent is not None:
            # Named as the weights are in the network, so that rows are called alike.
            inner = f"{name}.recurrent"
            out.nodes[inner] = feedback_node(dynamics.recurrent, node.takes)
            self._gives[inner] = node.takes
            lif = f"{name}.neuron"
            out.nodes[lif] = out.nodes.pop(name)
            out.neurons[name] = lif
            self._gives[lif] = node.gives
            self._ends[name] = lif
            self._edges = [(a, lif) if b == name else (a, b) for a, b in self._edges]
            self._edges += [(inner, lif), (lif, inner)]

    def _add_pool(self, node: Node) -> None:
        fields = dict(node.fields) or _module_pool(node)
        name, odd = node.name, fields.pop("odd", False)
        pairs = {key: np.array(_pair(value)) for key, value in fields.items()}
        kind = "SumPool2d" if node.kind == "SumPool2d" else node.kind
        if odd:
            self._refuse(f"{_POOLS[kind]} with rounding up, dilation or a divisor of its own", name, "NIR has none")
            return
        if kind != "MaxPool2d":
            self._out.nodes[name] = NirNode(kind, pairs)
            return
        before = [self._ends.get(a, a) for a, b in self._edges if b == name]
        if len(before) != 1 or before[0] not in self._spiking:
            self._refuse("max pooling of what is no spike", name, "NIR has no maximum; of spikes it is a threshold")
            return
        fires = f"{name}_fires"
        mark = {POOL_KEY: "true"}
        self._out.nodes[name] = NirNode("SumPool2d", pairs, mark)
        self._out.nodes[fires] = NirNode("Threshold", {"threshold": np.full(node.gives, 0.5, dtype=np.float32)}, mark)
        self._gives[fires] = node.gives
        self._ends[name] = fires
        self._spiking |= {name, fires}
        self._edges.append((name + "\0", fires))  # apart from the edges that lead on from the pooling

    def _flatten(self) -> None:
        """Put a Flatten where a map leads to a layer that takes a vector; refuse other changes of shape."""
        edges: list[tuple[str, str]] = []
        for a, b in self._edges:
            start = a.rstrip("\0") if a.endswith("\0") else self._ends.get(a, a)
            taker = self._run.nodes.get(b)
            if b not in self._out.nodes or start not in self._out.nodes:
                continue
            gives = self._gives[start]
            takes = taker.takes if taker is not None else self._gives[b]
            if gives == takes or taker is None:
                edges.append((start, b))
            elif prod(gives) == prod(takes) and len(takes) == 1:
                flat = f"{start}_flatten"
                if flat not in self._out.nodes:
                    shape = np.array(gives)
                    self._out.nodes[flat] = NirNode("Flatten", {"start_dim": 0, "end_dim": -1, "input_type": shape})
                    edges.append((start, flat))
                edges.append((flat, b))
            else:
                self._refuse(
                    f"a change of shape from {list(gives)} to {list(takes)}", b, "NIR flattens, and has no other view"
                )
        self._edges = list(dict.fromkeys(edges))

    def _finish(self, norms: dict[str, Node]) -> None:
        out, run = self._out, self._run
        steps = run.steps
        flow = run.output
        ends = [] if flow is None else list(dict.fromkeys(self._ends.get(p.node, p.node) for p in flow.parts))
        ends = [end for end in ends if end in out.nodes]
        if flow is None or not ends:
            self._refuse("an output that no node puts out", "", "a graph ends at a node")
            return
        if flow.barrier:
            out.losses.append(Loss(flow.barrier, flow.place, "it comes behind the last node, where the graph ends"))
        output = OUTPUT
        while output in out.nodes:
            output += "_"
        out.nodes[output] = NirNode("Output", {"shape": np.array(self._gives[ends[0]])})
        out.edges = [*self._edges, *((end, output) for end in ends)]
        readout = flow.readout or "none"
        if flow.readout:
            out.notes.append(f"the {flow.readout} over time behind the last node is left to who runs the graph")
        once = [
            node.name for node in run.nodes.values()
            if node.row is None and node.rows == run.samples and len(node.calls) == 1 and (steps or 1) > 1
        ]  # fmt: skip
        if once:
            out.notes.append(f"a still image is the input at every time step; {once[0]} may compute it once")
        out.metadata |= {
            PREFIX + "convention": self._how.name,
            PREFIX + "dt": repr(self._dt),
            PREFIX + "readout": readout,
            **({PREFIX + "time_steps": str(steps)} if steps is not None else {}),
            **({PREFIX + "still_image": "once"} if once else {}),
        }
        if norms:
            out.notes.append(f"{len(norms)} batch norms are folded into the layers before them")


_POOLS = {"MaxPool2d": "max pooling", "AvgPool2d": "average pooling", "SumPool2d": "sum pooling"}


def _module_pool(node: Node) -> dict[str, Any]:
    """Kernel, stride and padding of a pooling module, and whether it does more than NIR's."""
    module: Any = node.module
    if isinstance(module, nn.AdaptiveAvgPool2d):
        whole = all(a % b == 0 for a, b in zip(node.takes[1:], node.gives[1:], strict=True))
        kernel = [a // b for a, b in zip(node.takes[1:], node.gives[1:], strict=True)]
        return {"kernel_size": kernel, "stride": kernel, "padding": 0, "odd": not whole}
    padding = getattr(module, "padding", 0)
    divides = getattr(module, "divisor_override", None) is not None
    skips = not getattr(module, "count_include_pad", True) and any(_pair(padding))
    return {
        "kernel_size": module.kernel_size,
        "stride": module.kernel_size if module.stride is None else module.stride,
        "padding": padding,
        "odd": bool(module.ceil_mode) or getattr(module, "dilation", 1) not in (1, (1, 1)) or divides or skips,
    }


def _pair(value: Any) -> list[int]:
    return [value, value] if isinstance(value, int) else [int(each) for each in value]
