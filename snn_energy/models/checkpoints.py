"""Checkpoints, format versions 1 and 2: weights and everything needed to run them, in one file that holds no code.

A `.pt` checkpoint is one dict written by `torch.save` and read with `weights_only=True`; a `.safetensors`
checkpoint has the tensors as its tensors and the rest of the dict as JSON in the header, under the metadata
key `snn-energy-checkpoint`. The dict:

| key          | type          | meaning                                                                 |
|----------------|-----------------|-------------------------------------------------------------------------|
| format       | str           | always "snn-energy-checkpoint"                                          |
| format_version | int           | 1, or 2 with packed weights                                             |
| model        | str           | name of a registered network, like "spiking-cnn"                        |
| model_args   | dict          | constructor arguments, plain types, without time_steps                  |
| time_steps   | int >= 1      | time steps T per inference                                              |
| input        | dict          | shape [C, H, W]; scale; mean and std, one number per channel:           |
|              |               | pixel p becomes (p * scale - mean) / std                                |
| classes      | list of str   | class names in the order of the logits                                  |
| dataset      | str           | name of the data set that the network was trained on                    |
| training     | dict          | record of the training: recipe, seed, epochs, accuracies, versions      |
| state        | dict of tensors | the network's state dict: names and shapes as the registered network's|
| packed       | dict          | version 2 only: names of the weights that `state` holds as int8         |
|              |               | integers, to a list of exponents k, one or one per output channel:      |
|              |               | the weight is integer * 2^-k                                            |

Other tensors of `state` hold their values: float32, or float16 where a network was saved so, and int64 counters.
Packed weights and float16 ones are read as float32, to the values that were saved (see `packing`).

A file is written beside its destination and moved there when complete, so a checkpoint is never half-written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.errors import CheckpointError, UsageError
from snn_energy.files import write_atomic
from snn_energy.models import packing, storage
from snn_energy.models.inputs import InputSpec
from snn_energy.models.registry import build, name_of

FORMAT = "snn-energy-checkpoint"
FORMAT_VERSION = 1
PACKED_VERSION = 2
SUFFIXES = (".pt", ".safetensors")
STATE_WRAPPERS = ("state_dict", "model", "model_state_dict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A network read from a file, in eval mode on the CPU, with the record that came with it."""

    model: nn.Module
    model_name: str
    model_args: Mapping[str, Any]
    input: InputSpec
    time_steps: int
    classes: tuple[str, ...]
    dataset: str
    training: Mapping[str, Any]
    path: Path
    format_version: int


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    *,
    input: InputSpec,
    classes: tuple[str, ...],
    dataset: str,
    training: Mapping[str, Any],
    weight_bits: int | None = None,
    weight_dtype: str = "float32",
) -> Path:
    """Write `model`, a registered network, to `path` (.pt or .safetensors) and return the path.

    `weight_bits`, for a network snapped to at most so many bits (2 to 8): each weight takes one byte, and is read as
    exactly the value it was. `weight_dtype="float16"` rounds the weights and takes two bytes for each: measure the
    accuracy on the network read back.

    Errors: UsageError for another suffix, an unregistered network, a record that is not made of plain types, weights
    that are not on the grid asked for or too large for float16, or both options at once.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: a checkpoint's name must end in {' or '.join(SUFFIXES)} (got {path.suffix!r})")
    args = dict(model.constructor_args())  # type: ignore[operator]
    record = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": name_of(model),
        "time_steps": args.pop("time_steps"),
        "model_args": args,
        "input": input.to_plain(),
        "classes": list(classes),
        "dataset": dataset,
        "training": dict(training),
    }
    try:
        record = json.loads(json.dumps(record, allow_nan=False))
    except (TypeError, ValueError) as problem:
        raise UsageError(f"{path}: the checkpoint's record must be plain JSON values ({problem})") from problem
    state = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    if weight_bits is not None:
        if weight_dtype != "float32":
            raise UsageError(f"{path}: expected weight_bits or weight_dtype (got {weight_bits} and {weight_dtype!r})")
        state, exponents = packing.pack(state, weight_bits)
        record |= {"format_version": PACKED_VERSION, "packed": exponents}
    else:
        state = packing.rounded(state, weight_dtype)
    if path.suffix == ".pt":
        content = storage.torch_bytes({**record, "state": state})
    else:
        content = storage.safetensors_bytes(state, FORMAT, record)
    write_atomic(path, content)
    return path


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint of this package's format; nothing in the file is run.

    Errors: CheckpointError, one line, for every file that is not a sound checkpoint.
    """
    path = Path(path)
    payload = _read_payload(path)
    version = payload.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version not in (FORMAT_VERSION, PACKED_VERSION):
        raise CheckpointError(
            f"{path}: format_version must be {FORMAT_VERSION} or {PACKED_VERSION} (got {version!r}); read it"
            " with the release of snn-energy that wrote it, or train it again"
        )
    for key, (fits, expected) in _FIELDS.items():
        if key not in payload:
            raise CheckpointError(f"{path}: {key} is missing: expected {expected}; {_REMEDY}")
        if not fits(payload[key]):
            raise CheckpointError(f"{path}: {key} must be {expected} (got {_brief(payload[key])}); {_REMEDY}")
    if version == PACKED_VERSION:
        payload["state"] = _unpacked(path, payload)
    try:
        spec = InputSpec.from_plain(payload["input"])
    except ValueError as problem:
        raise CheckpointError(f"{path}: input.{problem}; {_REMEDY}") from problem
    return Checkpoint(
        model=_restore(path, payload),
        model_name=payload["model"],
        model_args=payload["model_args"],
        input=spec,
        time_steps=payload["time_steps"],
        classes=tuple(payload["classes"]),
        dataset=payload["dataset"],
        training=payload["training"],
        path=path,
        format_version=version,
    )


def load_state_dict_file(path: str | Path) -> dict[str, Tensor]:
    """Read a plain state dict (.pt, .pth or .safetensors), or one under "state_dict", "model" or the like.

    Errors: CheckpointError for a damaged or unsafe file, for one without tensors, and for NaN or infinite
    weights.
    """
    path = Path(path)
    head = storage.checked_file(path, "state dict", CheckpointError)
    if storage.is_safetensors(path, head):
        state: Any
        state, metadata = storage.read_safetensors(path, "state dict", CheckpointError)
        if FORMAT in metadata:
            state = _state_of(path, _read_payload(path))
    else:
        state = storage.read_torch(path, "state dict", CheckpointError)
        if isinstance(state, dict) and state.get("format") == FORMAT:
            state = _state_of(path, state)
        for key in ("state", *STATE_WRAPPERS):
            if isinstance(state, dict) and isinstance(state.get(key), dict):
                state = state[key]
                break
    if not _is_state(state) or not state:
        raise CheckpointError(
            f"{path}: expected a state dict, names to tensors (got {_brief(state)}); save it with"
            " torch.save(model.state_dict(), path)"
        )
    _check_finite(path, state)
    return dict(state)


def _read_payload(path: Path) -> dict[str, Any]:
    head = storage.checked_file(path, "checkpoint", CheckpointError)
    if storage.is_safetensors(path, head):
        tensors, metadata = storage.read_safetensors(path, "checkpoint", CheckpointError)
        if FORMAT not in metadata:
            raise _foreign(path)
        try:
            payload = json.loads(metadata[FORMAT])
        except ValueError as problem:
            raise CheckpointError(f"{path}: the header's record is not JSON ({problem}); {_REMEDY}") from problem
        if isinstance(payload, dict):
            payload = {**payload, "state": tensors}
    else:
        payload = storage.read_torch(path, "checkpoint", CheckpointError)
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise _foreign(path)
    return payload


def _state_of(path: Path, payload: Mapping[str, Any]) -> object:
    """The state dict of a checkpoint, unpacked; whatever stands in its place instead, for the caller to refuse."""
    state = payload.get("state")
    return _unpacked(path, payload) if payload.get("packed") is not None and _is_state(state) else state


def _unpacked(path: Path, payload: Mapping[str, Any]) -> dict[str, Tensor]:
    try:
        return packing.unpack(payload["state"], payload.get("packed"))
    except ValueError as problem:
        raise CheckpointError(f"{path}: packed {problem}; {_REMEDY}") from problem


def _foreign(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path}: not a checkpoint of this package (no {FORMAT!r} mark in it); for a plain state dict of your"
        " own network add --model package.module:factory"
    )


def _restore(path: Path, payload: Mapping[str, Any]) -> nn.Module:
    """Build the network and give it the weights, after every name, shape and value has been checked."""
    name, state = payload["model"], payload["state"]
    try:
        # On the meta device nothing is allocated, so a damaged size fails here and not by exhausting memory.
        with torch.device("meta"):
            model = build(name, **payload["model_args"], time_steps=payload["time_steps"])
    except (UsageError, RuntimeError, OverflowError) as problem:
        reason = str(problem).splitlines()[0]
        raise CheckpointError(f"{path}: cannot build the model: {reason}; {_REMEDY}") from problem
    wanted = model.state_dict()
    refuse_misfit(path, state, wanted, f"model {name!r}", _REMEDY, _REMEDY)
    for key, value in state.items():
        if value.is_floating_point() != wanted[key].is_floating_point():
            raise CheckpointError(
                f"{path}: {key} has the wrong type: expected {wanted[key].dtype} (got {value.dtype}); {_REMEDY}"
            )
    _check_finite(path, state)
    logits = payload["model_args"].get("classes", len(payload["classes"]))
    if logits != len(payload["classes"]):
        raise CheckpointError(
            f"{path}: classes must name the model's {logits} logits (got {len(payload['classes'])} names); {_REMEDY}"
        )
    model.load_state_dict({k: v.to(wanted[k].dtype).contiguous() for k, v in state.items()}, assign=True)
    return model.eval()


def refuse_misfit(
    path: Path,
    state: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    owner: str,
    names_remedy: str,
    shapes_remedy: str,
) -> None:
    """Raise CheckpointError unless `state` has the names and shapes that `owner` wants."""
    for what, names in (("missing", set(wanted) - set(state)), ("unexpected", set(state) - set(wanted))):
        if names:
            shown = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            raise CheckpointError(f"{path}: {what} weights for {owner}: {shown}; {names_remedy}")
    for key, value in state.items():
        if value.shape != wanted[key].shape:
            raise CheckpointError(
                f"{path}: {key} has the wrong shape: expected {list(wanted[key].shape)} for {owner}"
                f" (got {list(value.shape)}); {shapes_remedy}"
            )


def _check_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            raise CheckpointError(
                f"{path}: {name} holds NaN or infinity in {bad} of {value.numel()} values: expected finite"
                " weights; train again or use an earlier checkpoint"
            )


def _is_state(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_record(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _brief(value: object) -> str:
    text = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else f"a {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "..."


_REMEDY = "the file is damaged or was changed by hand: copy it again or train it again"
_FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "model": (_is_text, "the name of a registered model"),
    "model_args": (_is_record, "a dict of constructor arguments"),
    "time_steps": (_is_count, "an integer >= 1"),
    "input": (_is_record, "a dict with shape, scale, mean and std"),
    "classes": (_is_names, "a list of class names"),
    "dataset": (_is_text, "the name of a data set"),
    "training": (_is_record, "a dict, the training record"),
    "state": (_is_state, "a dict of tensors, the state dict"),
}
