"""A stand-in for the modules of a graph: the tree that module paths and weight names describe, without any code.

The recorder reads names, parameters and neurons off a module tree. An exported program or an ONNX graph has none, but
keeps the paths; the tree built from them makes the rows of a graph those of the eager module.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from snn_energy.counting.dispatch import CountingMode
from snn_energy.counting.neurons import NeuronRow
from snn_energy.counting.ops.products import RECURRENT
from snn_energy.counting.recorder import Recorder


class Place(nn.Module):
    """A node of the tree; it stands for a module and never runs."""


def skeleton(
    name: str, classes: Mapping[str, str], tensors: Mapping[str, Tensor], weights: Container[str] = ()
) -> nn.Module:
    """The tree of these module paths and tensor names.

    Args:
        name: class name of the whole model.
        classes: qualified class name of each module path; only those of torch.nn matter, the others may be "".
        tensors: parameters and buffers by their dotted name.
        weights: names of those that are parameters though their type does not say so.
    """
    root: nn.Module = type(name, (Place,), {})()
    owners = {tensor_name.rpartition(".")[0] for tensor_name in tensors}
    for path in sorted({*classes, *owners} - {""}):  # a parent sorts before its children
        _grow(root, path, classes)
    for tensor_name, tensor in tensors.items():
        owner, _, leaf = tensor_name.rpartition(".")
        place = place_at(root, owner)[-1]
        # Names of a graph may be no names of attributes, so they are not registered the usual way.
        is_weight = isinstance(tensor, nn.Parameter) or tensor_name in weights
        kept: dict[str, Any] = place._parameters if is_weight else place._buffers
        kept[leaf] = tensor
    return root


def place_at(root: nn.Module, path: str) -> list[nn.Module]:
    """The modules from the root down to `path`."""
    chain = [root]
    for part in path.split(".") if path else ():
        child = chain[-1]._modules[part]
        assert child is not None
        chain.append(child)
    return chain


def _grow(root: nn.Module, path: str, classes: Mapping[str, str]) -> None:
    parent, done = root, ""
    for part in path.split("."):
        done = f"{done}.{part}" if done else part
        if part not in parent._modules:
            parent._modules[part] = _place(classes.get(done, ""))
        child = parent._modules[part]
        assert child is not None
        parent = child


def _place(qualified: str) -> nn.Module:
    """A recurrent layer of torch keeps its class, which decides how its products are named; all others lose theirs."""
    module, _, name = qualified.rpartition(".")
    if module.startswith("torch.nn."):
        found = getattr(importlib.import_module(module), name, None)
        if isinstance(found, type) and issubclass(found, RECURRENT):
            place: nn.Module = found.__new__(found)
            nn.Module.__init__(place)
            return place
    return Place()


class Graph(ABC):
    """A graph ready to be traced: an exported program, an ONNX file."""

    root: nn.Module
    """Stands for its modules: paths, parameters, buffers."""
    properties: Mapping[str, str] = MappingProxyType({})
    """Text that its exporter wrote into the file."""

    def fixed_size(self, axis: int) -> int | None:  # noqa: ARG002
        """Size of this axis of the first input, where the graph takes no other."""
        return None

    @abstractmethod
    def run(self, recorder: Recorder, mode: CountingMode, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the graph on the arguments of one call, under the mode; returns its outputs."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the nodes of a graph run: below the paths of a skeleton, under the trace's dispatch mode."""

    root: nn.Module
    recorder: Recorder
    mode: CountingMode

    def declare_neurons(self, rows: Mapping[str, NeuronRow]) -> None:
        """Make these paths neuron layers."""
        for path, row in rows.items():
            self.recorder.neuron_rows[id(place_at(self.root, path)[-1])] = row

    @contextmanager
    def at(self, path: str) -> Iterator[None]:
        """What runs inside belongs to the module at `path`; recurrent kernels do not fuse."""
        chain = place_at(self.root, path)
        flags = (torch._C._get_mkldnn_enabled(), torch.backends.cudnn.enabled)
        for module in chain:
            self.recorder.enter(module)
        if isinstance(chain[-1], RECURRENT):
            torch._C._set_mkldnn_enabled(False)
            torch.backends.cudnn.enabled = False
        try:
            yield
        finally:
            torch._C._set_mkldnn_enabled(flags[0])
            torch.backends.cudnn.enabled = flags[1]
            for _ in chain:
                self.recorder.leave()

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """What runs inside is not counted."""
        if _get_current_dispatch_mode() is not self.mode:
            yield
            return
        self.mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            self.mode.__enter__()  # type: ignore[no-untyped-call]

    def fired(self, path: str, spikes: Tensor, *, unstacked: bool = False) -> None:
        """Record one call of the neuron at `path` from its spikes; `unstacked`: of one time step, without its axis."""
        module = place_at(self.root, path)[-1]
        axis = self.recorder.neuron_rows[id(module)].time_axis
        self.recorder.neuron(module, spikes.unsqueeze(axis) if unstacked and axis is not None else spikes)
        self.recorder.is_spikes(spikes, self.recorder.neuron_rows[id(module)].binary_scale)
