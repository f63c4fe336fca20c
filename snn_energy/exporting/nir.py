"""NIR export: a network as a graph of neurons and weights, in a .nir file that simulators and chips read.

What the file says beyond NIR stands in its metadata, text that other readers pass over:

| key                     | value                                                                            |
|-------------------------|----------------------------------------------------------------------------------|
| snn_energy.convention   | how the equations become time steps, see `nirgraph.conventions`                  |
| snn_energy.dt           | the time step in the unit of the file's time constants                           |
| snn_energy.time_steps   | T of the run that the graph was taken from                                       |
| snn_energy.readout      | what the network makes of the output over time: none, mean, sum, max             |
| snn_energy.still_image  | "once": what only a still image reaches is computed once for all time steps      |
| snn_energy.losses       | JSON list of what was lost, where `force` wrote the file                         |
| snn_energy.model, ...   | of a checkpoint: name, input, classes, dataset, as in the ONNX file              |
| snn_energy.decay, ...   | on neurons: decay, gain, decay_syn, gain_syn as the network has them             |
| snn_energy.reset        | on neurons that reset in another way than NIR's: subtract, none, value           |
| snn_energy.max_pool     | on a SumPool2d and its Threshold: together they are a max pooling of spikes      |
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.evaluating import evaluating
from snn_energy.errors import MODEL_ERRORS, DataError, UsageError, first_line
from snn_energy.exporting.failures import ExportError
from snn_energy.exporting.losses import LOSSES_KEY, Loss, losses_json, refuse_or_list
from snn_energy.exporting.nirgraphs.assembling import Assembled, assemble
from snn_energy.exporting.nirgraphs.following import Followed, follow
from snn_energy.files import write_atomic
from snn_energy.nirgraph.conventions import find_convention
from snn_energy.nirgraph.hdf5 import graph_bytes
from snn_energy.nirgraph.network import NirNetwork
from snn_energy.nirgraph.records import PREFIX, NirGraph

LAYOUTS = ("N", "TN", "NT")
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeAgreement:
    """The written graph beside its network, on the example: spikes that differ, and where."""

    samples: int
    neurons: int
    spikes: int
    differing: int
    first: str
    """The first neuron layer that differs, "" if none does."""
    silent: tuple[str, ...]
    """Layers without a spike on the example, of which the comparison says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedNir:
    """One written file."""

    path: Path
    convention: str
    dt: float
    nodes: dict[str, int]
    """Primitive -> how many."""
    edges: int
    input_shape: tuple[int, ...]
    time_steps: int | None
    size_bytes: int
    sha256: str
    notes: tuple[str, ...]
    losses: tuple[Loss, ...]
    agreement: SpikeAgreement | None


def export_nir(
    model: nn.Module,
    example: Tensor,
    path: str | PathLike[str],
    *,
    layout: str = "N",
    convention: str = "nir",
    dt: float | None = None,
    force: bool = False,
    metadata: Mapping[str, str] | None = None,
    verify: bool = True,
) -> ExportedNir:
    """Write `model` as a NIR graph, found by running it once on `example`, and check that the graph fires the same.

    Args:
        model: any network of layers that NIR has (linear, convolutions, poolings, neurons of this package, snnTorch,
            Norse, SpikingJelly or Sinabs); it runs in eval mode and is left as it was.
        example: inputs on which it really fires; `layout` "N" `n ...`, "TN" `t n ...`, "NT" `n t ...`.
        convention: for whose reader, see `nirgraph.conventions`.
        dt: time step in seconds; default: the convention's.
        force: write it although something is lost; the list goes into the file.
        metadata: texts for the graph's metadata.
        verify: run the graph on the example too; nothing is written if a spike differs and nothing was said to be lost.

    Raises:
        ExportRefused: NIR does not carry all of the network, and `force` is off.
        ExportError: the network cannot be followed, holds what no node stands for, or the graph does not agree.
        UsageError, DataError: h5py is missing, an unknown convention or layout, no example.
    """
    written = _written(model, example, str(path), layout, convention, dt, force, metadata)
    run, assembled, graph, losses = written.run, written.assembled, written.graph, written.losses
    content = graph_bytes(graph)
    agreement = _compared(run, assembled, graph, example, layout) if verify else None
    if agreement is not None and agreement.differing and not losses:
        raise ExportError(
            f"{path}: not written: the graph does not fire as the network does: {agreement.differing:,} of "
            f"{agreement.spikes:,} spikes differ, first in {agreement.first}; where weights are not snapped, rounding "
            "may move a spike; where it kept the state of an earlier run, reset it: snap the network, or write it "
            "without the check (--no-verify)"
        )
    write_atomic(path, content)
    return ExportedNir(
        path=Path(path),
        convention=graph.metadata[PREFIX + "convention"],
        dt=float(graph.metadata[PREFIX + "dt"]),
        nodes=dict(sorted(Counter(node.kind for node in assembled.nodes.values()).items())),
        edges=len(assembled.edges),
        input_shape=run.nodes["input"].gives,
        time_steps=run.steps,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        notes=tuple(assembled.notes),
        losses=losses,
        agreement=agreement,
    )


def nir_graph(
    model: nn.Module,
    example: Tensor,
    *,
    layout: str = "N",
    convention: str = "nir",
    dt: float | None = None,
    force: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> NirGraph:
    """The graph that `export_nir` writes, without a file and without the check; arguments and errors as there."""
    return _written(model, example, "NIR graph", layout, convention, dt, force, metadata).graph


@dataclass(frozen=True, slots=True)
class _Written:
    run: Followed
    assembled: Assembled
    graph: NirGraph
    losses: tuple[Loss, ...]


def _written(
    model: nn.Module,
    example: Tensor,
    target: str,
    layout: str,
    convention: str,
    dt: float | None,
    force: bool,
    metadata: Mapping[str, str] | None,
) -> _Written:
    how = find_convention(convention)
    step = how.dt if dt is None else dt
    if not 0 < step < float("inf"):
        raise UsageError(f"export nir: dt must be above 0 (got {dt!r})")
    if layout not in LAYOUTS:
        raise UsageError(f"export nir: layout must be one of {', '.join(LAYOUTS)} (got {layout!r})")
    if not isinstance(example, Tensor) or example.dim() < 2 + (layout != "N") or not example.numel():
        got = list(example.shape) if isinstance(example, Tensor) else type(example).__name__
        raise DataError(f"export nir: example must be inputs in layout {layout} (got {got}); give a batch of inputs")
    run = _followed(model, example, layout)
    assembled = assemble(run, how, step)
    _refuse_fatal(assembled, model, target)
    losses = refuse_or_list(assembled.losses, force, target=target)
    texts = {**(metadata or {}), **assembled.metadata}
    if losses:
        texts[LOSSES_KEY] = losses_json(losses)
    return _Written(run, assembled, NirGraph(assembled.nodes, tuple(assembled.edges), texts), losses)


def _followed(model: nn.Module, example: Tensor, layout: str) -> Followed:
    try:
        with evaluating(model):
            return follow(model, example, layout=layout)
    except MODEL_ERRORS as problem:
        raise ExportError(
            f"{type(model).__qualname__}: cannot run on an example of shape {list(example.shape)} (layout "
            f"{layout}): {first_line(problem)}; give an example that the network takes"
        ) from problem


def _refuse_fatal(assembled: Assembled, model: nn.Module, target: str) -> None:
    if not assembled.fatal:
        return
    places: dict[tuple[str, str], list[str]] = {}
    for loss in assembled.fatal:
        places.setdefault((loss.what, loss.why), []).append(loss.where or "the network")
    named = [f"{what} ({_few(where)}): {why}" for (what, why), where in places.items()]
    more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    raise ExportError(
        f"{target}: {type(model).__qualname__} cannot be written as NIR, not with --force either: "
        f"{'; '.join(named[:_NAMED])}{more}; replace it by what NIR has"
    )


def _few(places: list[str]) -> str:
    shown = ", ".join(places[:_NAMED])
    return f"{shown} and {len(places) - _NAMED} more" if len(places) > _NAMED else shown


def _compared(run: Followed, assembled: Assembled, graph: NirGraph, example: Tensor, layout: str) -> SpikeAgreement:
    """Run the graph on the example, and compare the spikes of every neuron layer, one by one."""
    network = NirNetwork(graph).eval()
    x = example.detach().float().cpu()
    if run.squeezed:
        x, layout = x.reshape(run.samples, -1, *x.shape[1:]), "NT"
    network.layout = layout
    put_out: dict[str, list[Tensor]] = {}
    with ExitStack() as undo, torch.no_grad():
        for name, node in assembled.neurons.items():
            found = put_out.setdefault(name, [])
            handle = network.module_of(node).register_forward_hook(_keeping(found))
            undo.callback(handle.remove)
        network(x)
    spikes = differing = 0
    first, silent = "", []
    for name, node in assembled.neurons.items():
        followed = run.nodes[name]
        was = _by_step(followed.outputs, run, followed.row.time_axis if followed.row else None)
        now = torch.stack(put_out[name]) if network.steps_through(node) else put_out[name][0]
        was = was.reshape(now.shape).cpu() != 0
        off = int((was != (now != 0)).sum())
        spikes, differing = spikes + int(was.sum()), differing + off
        silent += [] if was.any() else [name]
        first = first or (name if off else "")
    return SpikeAgreement(
        samples=run.samples,
        neurons=len(assembled.neurons),
        spikes=spikes,
        differing=differing,
        first=first,
        silent=tuple(silent),
    )


def _keeping(found: list[Tensor]) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG001
        found.append(output[0] if isinstance(output, tuple) else output)

    return hook


def _by_step(outputs: Sequence[Tensor], run: Followed, time_axis: int | None) -> Tensor:
    """What a neuron put out, `t n ...`."""
    if run.squeezed and len(outputs) == 1 and time_axis is None:
        return outputs[0].reshape(run.samples, -1, *outputs[0].shape[1:]).transpose(0, 1)
    if time_axis is None:
        return torch.stack(list(outputs))
    return outputs[0].movedim(time_axis, 0)
