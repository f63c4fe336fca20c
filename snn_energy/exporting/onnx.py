"""ONNX: one graph of standard operators, in one of three forms (see `forms`).

A spike is a comparison and a cast. The state of a neuron starts at rest in every run of the unrolled and of the
sequence form; of the step form it is an input and an output.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snn_energy.counting.neurons import named_neurons
from snn_energy.counting.onnxgraph.timed import READOUTS
from snn_energy.errors import DataError, UsageError
from snn_energy.exporting import forms
from snn_energy.exporting.agreement import Agreement, ranks_heard, ranks_of_spikes, verify_onnx
from snn_energy.exporting.carrying import copied, moving_attributes, snapshot
from snn_energy.exporting.converting import LOWEST_OPSET, checked_bytes, converted
from snn_energy.exporting.failures import ExportError
from snn_energy.exporting.forms import Call, Timing
from snn_energy.exporting.graph import drop_dead_states, drop_single_reductions, refuse_unfit, set_properties, tidy
from snn_energy.exporting.losses import LOSSES_KEY, Loss, losses_json, refuse_or_list
from snn_energy.exporting.metadata import (
    PREFIX,
    measured,
    network_metadata,
    neuron_metadata,
    report_metadata,
    state_metadata,
)
from snn_energy.exporting.scan import as_sequence
from snn_energy.exporting.sidecar import sidecar_of
from snn_energy.exporting.stepwise import checked_readout
from snn_energy.files import write_atomic

if TYPE_CHECKING:
    from onnx import ModelProto

    from snn_energy.counting.counts import Trace

TOLERANCE = 1e-4
"""Largest difference between logits that passes the check, as a part of the largest logit."""

_LARGEST_FILE = 2**31 - 1  # bytes in one protobuf message


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModel:
    """What was written: `operators` counts nodes by operator, `agreement` is None where none was checked.

    `sidecar` is the path of the JSON file beside it, if one was asked for; `losses` is what the file does not hold.
    """

    path: Path
    form: str
    opset: int
    ir_version: int
    input_shape: tuple[str | int, ...]
    output_shape: tuple[str | int, ...]
    operators: Mapping[str, int]
    size_bytes: int
    sha256: str
    metadata: Mapping[str, str]
    agreement: Agreement | None
    states: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    sidecar: Path | None = None

    @property
    def nodes(self) -> int:
        """Number of nodes in the graph, those inside a Scan among them."""
        return sum(self.operators.values())


def export_onnx(
    model: nn.Module,
    example: Tensor,
    path: str | Path,
    *,
    form: str = "unrolled",
    opset: int = LOWEST_OPSET,
    frames: bool = False,
    time_steps: int | None = None,
    readout: str = "mean",
    int8: bool = False,
    metadata: Mapping[str, str] | None = None,
    node_metadata: Mapping[str, Mapping[str, str]] | None = None,
    trace: Trace | None = None,
    sidecar: str | Path | None = None,
    verify: Tensor | None = None,
    tolerance: float = TOLERANCE,
    force: bool = False,
) -> ExportedModel:
    """Write `model` to `path` as ONNX; identical input gives identical bytes.

    A copy of the model is exported, in eval mode on the CPU: the model stays as it is. The axis of the samples is
    free. `metadata` goes into the file's properties beside those of `metadata.network_metadata`, `node_metadata` (by
    module path) to the node that holds the module's weight, and so do the counts and spike rates of `trace`.

    Args:
        model: any network. Reference networks, and those that take `frames`, run all their time steps in one call.
            Any other network that keeps state between calls, or returns it behind its output and takes it back, is
            called once for each time step; `time_steps` says how often, `readout` what becomes of the outputs.
        example: one batch as the network takes it, images `n ...` or frames `t n ...`.
        path: the file to write.
        form: "unrolled": all time steps in one straight graph, images or frames to logits. "step": one time step, its
            inputs `frame` and every state, its outputs `logits` and every state after it. "sequence": frames `t n ...`
            with T free, one Scan whose body is that step.
        opset: the operator set.
        frames: the example is frames `t n ...`.
        time_steps: T; needed for networks that are called once for each step, in the unrolled form.
        readout: of those networks: mean, max, sum, last, or stack (all of them, `t n ...`).
        int8: store weights as 8-bit integers times a scale, behind DequantizeLinear, and pass binary operands through
            QuantizeLinear and DequantizeLinear with scale 1. Exact for snapped networks; otherwise a loss.
        metadata: properties of the file.
        node_metadata: properties of nodes.
        trace: what running the network gave.
        sidecar: a JSON file to write beside it, see `sidecar`.
        verify: inputs on which the graph must agree with the model in onnxruntime, within `tolerance` and in every
            spike, before anything is written.
        tolerance: largest difference of logits, as a part of the largest.
        force: write what ONNX cannot hold faithfully all the same, with the list of it in the file.

    Shapes: logits `n classes`. Errors: UsageError for an opset out of range, an unknown form or readout; DataError for
    an example that is none; ExportRefused for losses; ExportError, naming the construct, for a network that the form
    cannot hold, that draws random numbers, or does not agree; no file is left then.
    """
    _check_request(model, example, opset, form, readout, time_steps, frames=frames)
    _check_modules(model, node_metadata or {})
    axis = 1 if frames else 0
    batch = forms.two_samples(example, axis)
    timing = _timing(model, batch, frames=frames, time_steps=time_steps, readout=readout)
    call = _call(model, batch, timing, form)
    try:
        proto = converted(call.network, call.args, call.sizes, call.inputs, call.outputs, opset)
    except ExportError as problem:
        raise _with_state(problem, model, batch, timing) from problem
    if form != "unrolled":
        drop_single_reductions(proto)
        call.states = drop_dead_states(proto, call)
        names = [state.name for state in call.states]
        call.inputs, call.outputs = (call.inputs[0], *names), (call.outputs[0], *(n + forms.NEXT for n in names))
    losses = refuse_or_list(refuse_unfit(proto, call.network), force, target=str(path))
    how = timing.readout or "mean"
    if not losses:
        _refuse_random(model, batch, timing)
    if form != "unrolled" and not losses:
        how = _readout(model, batch, timing, taken=_takes_frames(model, timing))

    whole, layers = dict(metadata or {}), {**(node_metadata or {})}
    rows: list[dict[str, Any]] = []
    if trace is not None:
        report = measured(trace)
        rows = report["rows"]
        found, nodes = report_metadata(report)
        whole, layers = {**found, **whole}, {**nodes, **layers}
    elif PREFIX + "report" in whole:
        rows = json.loads(whole[PREFIX + "report"])["layers"]
    properties = {**whole, **network_metadata(model, form, call.carried)}
    if timing.steps and not (timing.inside and not timing.framed):
        properties.setdefault(PREFIX + "time_steps", str(timing.steps))
    neurons = json.loads(properties[PREFIX + "neurons"])
    tidy(proto, call.network, layers, neuron_metadata(neurons, rows), call)
    set_properties(proto, properties)
    if unstacked := _unstacked(proto, model, batch, timing, call):
        properties |= network_metadata(model, form, call.carried, unstacked)
    if form != "unrolled":
        properties[PREFIX + "readout"] = how
    if form == "step":
        properties[PREFIX + "states"] = _json(state_metadata(call.states, forms.NEXT))
    if int8:
        from snn_energy.exporting.int8 import quantised

        losses += refuse_or_list(quantised(proto), force, target=f"{path} (--int8)")
        properties[PREFIX + "weights"] = "int8"
    if losses:
        properties[LOSSES_KEY] = losses_json(losses)
    if form == "sequence":
        proto = as_sequence(proto, call.states, how)
    set_properties(proto, properties)
    content = checked_bytes(proto, model)

    agreement = None
    if verify is not None:
        timing = Timing(inside=timing.inside, framed=frames, steps=timing.steps, readout=timing.readout)
        agreement = verify_onnx(content, model, verify, timing=timing)
        if not agreement.within(tolerance) and not losses:
            raise ExportError(
                f"{path}: not written: onnxruntime and the network disagree by up to"
                f" {agreement.max_abs_diff:.3g} on {agreement.samples} inputs (expected at most {tolerance:g}"
                f" of the largest logit, {agreement.largest:.3g}), {agreement.same_class} in the same class,"
                f" {agreement.spikes_apart} of {agreement.spikes} spikes apart;"
                " where weights are not snapped, rounding may move a spike: snap the network, or write it"
                " without the check"
            )
    done = ExportedModel(
        path=Path(path),
        form=form,
        opset=opset,
        ir_version=proto.ir_version,
        input_shape=_shape(proto.graph.input[0]),
        output_shape=_shape(proto.graph.output[0]),
        operators=dict(sorted(Counter(_operators(proto.graph)).items())),
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        metadata=dict(sorted(properties.items())),
        agreement=agreement,
        states=tuple(state.name for state in call.states),
        losses=losses,
        sidecar=None if sidecar is None else Path(sidecar),
    )
    write_atomic(path, content)
    if sidecar is not None:
        write_atomic(sidecar, sidecar_of(done, proto))
    return done


def _timing(model: nn.Module, batch: Tensor, *, frames: bool, time_steps: int | None, readout: str) -> Timing:
    """How the network takes its time steps; `time_steps` is T where it does not say itself."""
    own = getattr(model, "time_steps", None)
    if frames:
        return Timing(inside=True, framed=True, steps=len(batch), readout="")
    if isinstance(own, int):
        return Timing(inside=True, framed=False, steps=own, readout="")
    if time_steps is None:
        return Timing(inside=True, framed=False, steps=1, readout="")
    return Timing(inside=False, framed=False, steps=time_steps, readout=readout)


def _takes_frames(model: nn.Module, timing: Timing) -> bool:
    """Whether one call of the network takes frames `t n ...`: reference networks do, beside images."""
    return timing.framed or (timing.inside and isinstance(getattr(model, "time_steps", None), int))


def _call(model: nn.Module, batch: Tensor, timing: Timing, form: str) -> Call:
    if form == "unrolled":
        _run_once(model, batch, timing)
        return forms.unrolled(model, batch, timing)
    return forms.one_step(model, timing.frame_of(batch), timing.steps, frames=_takes_frames(model, timing))


def _readout(model: nn.Module, batch: Tensor, timing: Timing, *, taken: bool) -> str:
    how = checked_readout(model, timing.frame_of(batch), timing.steps, frames=taken)
    return how or timing.readout or "mean"


def _run_once(model: nn.Module, batch: Tensor, timing: Timing) -> None:
    """Run the network and check what comes out: one tensor of logits, which has the samples."""
    output = forms.run(copied(model), timing, batch)
    samples = batch.shape[timing.batch_axis]
    lead = output.shape[: 1 + timing.framed + (timing.readout == "stack")] if isinstance(output, Tensor) else ()
    if samples not in lead:
        got = f"shape {list(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise ExportError(
            f"{type(model).__qualname__}: expected one tensor of logits [N, ...] with N = {samples}"
            f" (got {got}); wrap the network in one that returns its logits alone"
        )


def _refuse_random(model: nn.Module, batch: Tensor, timing: Timing) -> None:
    """Refuse a network whose second call differs: state between calls, or randomness, that no graph shows."""
    network = copied(model)
    keeps = timing.inside and not timing.framed and not isinstance(getattr(model, "time_steps", None), int)
    with torch.no_grad():
        if keeps:
            first, second = network(batch), network(batch)
        else:
            again = timing.whole(network)
            first, second = again(batch), again(batch)
    if isinstance(first, tuple):
        return
    if first.shape != second.shape or not torch.allclose(first, second, rtol=0, atol=0, equal_nan=True):
        raise ExportError(
            f"{type(network).__qualname__}: cannot be exported to ONNX: a second call on the same input gives"
            " another result, so it keeps state between calls or draws random numbers; reset the state inside"
            " forward, say with time_steps how often it is called, or use a deterministic encoder"
        )


def _with_state(problem: ExportError, model: nn.Module, batch: Tensor, timing: Timing) -> ExportError:
    """The refusal, with a word on state that the network keeps between calls: torch sees constants in it."""
    if not timing.inside or timing.framed or isinstance(getattr(model, "time_steps", None), int):
        return problem
    network = copied(model)
    before = snapshot(network)
    forms.run(network, timing, batch)
    kept = [f"{slot.path}.{slot.key}".lstrip(".") for slot in moving_attributes(network, before)]
    if not kept:
        return problem
    return ExportError(
        f"{problem}; it keeps state between calls ({', '.join(kept[:4])}): reset that inside forward, or say with"
        " time_steps (--time-steps) how often it is called"
    )


def _unstacked(proto: ModelProto, model: nn.Module, batch: Tensor, timing: Timing, call: Call) -> frozenset[str]:
    """Multi-step neurons whose spikes lost the axis of their one time step on the way into the graph."""
    network = copied(model)
    heard = ranks_heard(network, lambda: forms.run(network, timing, batch))
    found = ranks_of_spikes(proto)
    return frozenset(
        path
        for path, row in named_neurons(model).items()
        if row.time_axis is not None and path not in call.carried and found.get(path) == {heard.get(path, 0) - 1}
    )


def _operators(graph: Any) -> list[str]:
    found = []
    for node in graph.node:
        found.append(node.op_type)
        for attribute in node.attribute:
            found += _operators(attribute.g) if attribute.HasField("g") else []
    return found


def _check_request(
    model: nn.Module, example: Tensor, opset: int, form: str, readout: str, time_steps: int | None, *, frames: bool
) -> None:
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if isinstance(opset, bool) or not isinstance(opset, int) or not LOWEST_OPSET <= opset <= newest:
        raise UsageError(
            f"export_onnx: opset must be an integer from {LOWEST_OPSET} to {newest} (got {opset!r});"
            f" {LOWEST_OPSET} is read by most tools"
        )
    forms.check_form(form)
    if readout not in READOUTS:
        raise UsageError(f"export_onnx: readout must be one of {', '.join(READOUTS)} (got {readout!r})")
    if time_steps is not None and (isinstance(time_steps, bool) or not isinstance(time_steps, int) or time_steps < 1):
        raise UsageError(f"export_onnx: time_steps must be an integer >= 1 (got {time_steps!r})")
    lead = 2 if frames else 1
    if not isinstance(example, Tensor) or example.dim() < lead or 0 in example.shape[:lead]:
        got = list(example.shape) if isinstance(example, Tensor) else type(example).__name__
        wanted = "[T, N, ...] with T and N >= 1" if frames else "[N, ...] with N >= 1"
        raise DataError(f"export_onnx: example must be a tensor {wanted} (got {got}); give a batch of inputs")
    size = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    if size > _LARGEST_FILE:
        raise ExportError(
            f"{type(model).__qualname__}: cannot be exported to one ONNX file: {size} bytes of weights"
            f" (expected at most {_LARGEST_FILE}); export parts of it"
        )


def _check_modules(model: nn.Module, node_metadata: Mapping[str, Mapping[str, str]]) -> None:
    known = [name for name, _ in model.named_modules()]
    if node_metadata and not set(node_metadata) & set(known):
        raise UsageError(
            f"export_onnx: node_metadata (of a report?) names {', '.join(list(node_metadata)[:3])}: expected"
            f" modules of {type(model).__qualname__} (got none of them); give those of this network"
        )


def _shape(info: object) -> tuple[str | int, ...]:
    axes = info.type.tensor_type.shape.dim  # type: ignore[attr-defined]
    return tuple(axis.dim_param or axis.dim_value for axis in axes)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
