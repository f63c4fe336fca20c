"""The check that a written file computes what the network computes: both run on the same inputs, spike by spike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from snn_energy.counting.neurons import NeuronRow, named_neurons
from snn_energy.counting.onnxgraph.timed import READOUTS
from snn_energy.errors import DataError
from snn_energy.exporting.carrying import copied
from snn_energy.exporting.failures import ExportError, first_line
from snn_energy.exporting.forms import LOGITS, Timing
from snn_energy.exporting.listening import listening
from snn_energy.exporting.metadata import PREFIX
from snn_energy.exporting.scan import step_of

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

BATCH_SIZE = 32
AS_IT_IS = Timing(inside=True, framed=False, steps=1, readout="")
"""A network that takes its input whole, the samples on the first axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far a written file and its network are apart.

    `same_class`: samples with the same largest logit; `max_abs_diff`: largest difference between two logits;
    `largest`: largest magnitude among the network's logits; `bit_equal`: every logit is the same float; `spikes`: how
    many outputs of neurons were compared, one for each neuron and time step; `spikes_apart`: how many of them differ.
    """

    samples: int
    same_class: int
    max_abs_diff: float
    largest: float
    bit_equal: bool
    spikes: int = 0
    spikes_apart: int = 0

    def within(self, tolerance: float) -> bool:
        """True when all spikes are the same and no logit is off by more than `tolerance` times max(1, largest)."""
        return not self.spikes_apart and self.max_abs_diff <= tolerance * max(1.0, self.largest)


def verify_onnx(
    source: str | Path | bytes,
    model: nn.Module,
    inputs: Tensor,
    *,
    batch_size: int = BATCH_SIZE,
    timing: Timing = AS_IT_IS,
) -> Agreement:
    """Run `inputs` through an ONNX file (path or bytes) in onnxruntime and through `model`, and compare.

    A file of the step form is run for all time steps, from rest, and its outputs are read out. Spikes are compared for
    each neuron layer that the graph shows as one.

    Shapes: inputs `n ...` or, where `timing` says so, frames `t n ...`, as the network takes them (normalised); logits
    `n classes`. The model runs as a copy in eval mode and is left as it is. Errors: ExportError without onnxruntime,
    for a file that it cannot run or that gives another shape; DataError without inputs.
    """
    axis = timing.batch_axis
    if inputs.dim() <= axis or 0 in inputs.shape[: axis + 1]:
        axes = "[T, N, ...]" if timing.framed else "[N, ...]"
        raise DataError(
            f"verify_onnx: expected at least one input {axes} (got shape {list(inputs.shape)}); give some images"
        )
    name = "the exported model" if isinstance(source, bytes) else str(source)
    file = _File(_content(source, name), name)
    network = copied(model)
    whole = timing.whole(network)
    same, worst, largest, bit_equal, spikes, apart = 0, 0.0, 0.0, True, 0, 0
    for part in torch.split(inputs.detach().cpu(), batch_size, axis):
        with torch.no_grad(), listening(network, _rows(network, file.neurons)) as heard:
            expected = whole(part).numpy()
        got, fired = file(part.contiguous(), timing)
        if got.shape != expected.shape or got.dtype != expected.dtype:
            raise ExportError(
                f"{name}: expected logits {expected.dtype} {list(expected.shape)} (got {got.dtype}"
                f" {list(got.shape)}); export the network again"
            )
        lead = 1 if expected.shape[0] == part.shape[axis] else 2  # a network may return all of its time steps
        flat, wanted = (array.reshape(int(np.prod(array.shape[:lead])), -1) for array in (got, expected))
        agree = (flat.argmax(1) == wanted.argmax(1)).reshape(-1, part.shape[axis])
        same += int(agree.all(0).sum())
        bit_equal = bit_equal and bool(np.array_equal(got, expected, equal_nan=True))
        # A NaN on one side only is a difference without bound; on both sides it is agreement.
        off = np.where(np.isnan(flat) & np.isnan(wanted), 0.0, np.abs(flat.astype(np.float64) - wanted))
        worst = max(worst, float(np.nan_to_num(off, nan=np.inf).max()))
        largest = max(largest, float(np.nan_to_num(np.abs(wanted), posinf=0.0).max()))
        for path, trains in heard.items():
            mine, theirs = _joined([train.numpy() for train in trains], fired[path])
            spikes += mine.size
            apart += mine.size if mine.shape != theirs.shape else int((mine != theirs).sum())
    return Agreement(
        samples=inputs.shape[axis],
        same_class=same,
        max_abs_diff=worst,
        largest=largest,
        bit_equal=bit_equal,
        spikes=spikes,
        spikes_apart=apart,
    )


def _rows(network: nn.Module, paths: Sequence[str]) -> dict[str, NeuronRow]:
    """The neuron layers of the network among `paths`, in the order of these."""
    rows = named_neurons(network)
    return {path: rows[path] for path in paths if path in rows}


def _joined(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Both as flat arrays: a network folds time into one call where a file may have a value for each time step."""
    first, second = (np.concatenate([array.reshape(-1) for array in arrays]) for arrays in (mine, theirs))
    return first, second


class _File:
    """One file loaded by onnxruntime; calling it maps an input to the logits and the spikes of every neuron layer."""

    def __init__(self, content: bytes, name: str) -> None:
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as state
        except ImportError:
            raise ExportError(
                f"{name}: cannot be checked: onnxruntime is not installed; pip install onnxruntime, or go"
                " without the check (--no-verify)"
            ) from None
        self._name = name
        # onnxruntime's errors have no common base below Exception.
        self._failures = (
            state.Fail,
            state.InvalidArgument,
            state.InvalidGraph,
            state.InvalidProtobuf,
            state.NotImplemented,
            state.RuntimeException,
        )
        shown = _with_spikes(content, name)
        self._properties, self._spikes = shown.properties, shown.spikes
        self.neurons, self._time_axes = tuple(shown.spikes), shown.time_axes
        self._states = json.loads(self._properties.get(PREFIX + "states", "[]"))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: its warnings go to standard error
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(shown.content, options, providers=["CPUExecutionProvider"])
        except self._failures as problem:
            raise ExportError(f"{name}: onnxruntime cannot load it: {first_line(problem)}; {_REMEDY}") from None
        self._input = self._session.get_inputs()[0]

    def __call__(self, x: Tensor, timing: Timing) -> tuple[np.ndarray, dict[str, list[np.ndarray]]]:
        """The network's input -> logits, and the spikes of each neuron layer in order of time."""
        form = self._properties.get(PREFIX + "form", "unrolled")
        if form == "unrolled":
            return self._run({self._input.name: x.numpy()})
        steps = timing.steps
        frames = x if timing.framed else x.expand(steps, *x.shape)
        if form == "sequence":
            return self._run({self._input.name: frames.contiguous().numpy()})
        dtype = {entry.name: _NUMPY[entry.type] for entry in self._session.get_inputs()}
        feeds = {
            entry["input"]: np.full(
                [x.shape[timing.batch_axis] if size == "batch" else size for size in entry["shape"]],
                entry["rest"],
                dtype[entry["input"]],
            )
            for entry in self._states
        }
        outputs: list[np.ndarray] = []
        fired: dict[str, list[np.ndarray]] = {path: [] for path in self._spikes}
        for frame in frames.unbind(0):
            results = self._results({self._input.name: frame.contiguous().numpy(), **feeds})
            outputs.append(results[LOGITS])
            feeds = {entry["input"]: results[entry["output"]] for entry in self._states}
            for path, values in self._spikes.items():
                fired[path] += [results[value] for value in values]
        readout = READOUTS[self._properties.get(PREFIX + "readout") or "stack"]
        return readout(torch.from_numpy(np.stack(outputs))).numpy(), fired

    def _run(self, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, list[np.ndarray]]]:
        results = self._results(feeds)
        output = results[self._session.get_outputs()[0].name]
        fired = {
            path: [np.moveaxis(results[value], self._time_axes.get(path, 0), 0) for value in values]
            for path, values in self._spikes.items()
        }
        return output, fired

    def _results(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [entry.name for entry in self._session.get_outputs()]
        try:
            return dict(zip(names, map(np.asarray, self._session.run(None, feeds)), strict=True))
        except self._failures as problem:
            raise ExportError(f"{self._name}: onnxruntime cannot run it: {first_line(problem)}; {_REMEDY}") from None


@dataclass(slots=True)
class _Shown:
    """A file that returns its spikes as well."""

    content: bytes
    properties: dict[str, str] = field(default_factory=dict)
    spikes: dict[str, list[str]] = field(default_factory=dict)
    time_axes: dict[str, int] = field(default_factory=dict)


def ranks_of_spikes(model: ModelProto) -> dict[str, set[int]]:
    """How many axes the spikes of each neuron layer have in a graph without loops."""
    from snn_energy.counting.onnxgraph.graph import Body
    from snn_energy.counting.onnxgraph.names import written_neurons

    body = Body(model, model.graph, "the exported graph", written_neurons(model))
    known = {info.name: len(info.type.tensor_type.shape.dim) for info in (*model.graph.value_info, *model.graph.output)}
    return {path: {known[value] for value in values if value in known} for path, values in body.spike_values().items()}


def ranks_heard(network: nn.Module, run: Callable[[], Any]) -> dict[str, int]:
    """How many axes every neuron layer returns while `run` runs the network."""
    with torch.no_grad(), listening(network, named_neurons(network)) as heard:
        run()
    return {path: calls[0].ndim for path, calls in heard.items() if calls}


def _with_spikes(content: bytes, name: str) -> _Shown:
    import onnx
    from google.protobuf.message import DecodeError

    from snn_energy.counting.onnxgraph.graph import Body
    from snn_energy.counting.onnxgraph.names import written_neurons

    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError):
        return _Shown(content)  # onnxruntime says what is wrong with it
    properties = {entry.key: entry.value for entry in model.metadata_props}
    rows = written_neurons(model)
    if not rows:
        return _Shown(content, properties)
    whole = Body(model, model.graph, name, rows)
    body = step_of(model.graph)
    found = (whole if body is None else whole.inner(body)).spike_values()
    spikes = {path: values for path, values in found.items() if rows[path].spiking and not _inside(path, found)}
    if body is None:
        known = {info.name for info in model.graph.output}
        wanted = [value for values in spikes.values() for value in values if value not in known]
        model.graph.output.extend(onnx.ValueInfoProto(name=value) for value in dict.fromkeys(wanted))
    else:
        spikes = _out_of_scan(model, body, spikes)
    folded = properties.get(PREFIX + "form") == "unrolled"
    axes = {path: rows[path].time_axis or 0 for path in spikes if folded}
    return _Shown(model.SerializeToString(), properties, spikes, axes)


def _inside(path: str, others: Mapping[str, Any]) -> bool:
    """Whether a neuron is part of another one."""
    return any(path.startswith(f"{other}.") for other in others)


def _out_of_scan(model: ModelProto, body: GraphProto, spikes: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Give the spikes of all time steps out of the loop, time on the first axis."""
    import onnx
    from onnx import helper

    scan = next(node for node in model.graph.node if node.op_type == "Scan")
    types = {info.name: info for info in (*body.value_info, *body.output)}
    found: dict[str, list[str]] = {}
    for path, values in spikes.items():
        for value in values:
            inner, outer = f"{value}.seen", f"{value}.steps"
            body.node.append(helper.make_node("Identity", [value], [inner]))
            info = onnx.ValueInfoProto()
            info.CopyFrom(types[value])
            info.name = inner
            body.output.append(info)
            scan.output.append(outer)
            model.graph.output.append(onnx.ValueInfoProto(name=outer))
            found.setdefault(path, []).append(outer)
    return found


def _content(source: str | Path | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except OSError as problem:
        raise ExportError(f"{name}: cannot read it ({problem.strerror}); check the path") from None


_NUMPY = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
"""onnxruntime's name of a type -> numpy's, of those that states have."""
_REMEDY = "export in float32, in an opset that onnxruntime knows, or go without the check (--no-verify)"
