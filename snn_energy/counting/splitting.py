"""Cut batches into samples: along the batch axis of every tensor, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

from snn_energy.counting.tags import tensors_in
from snn_energy.errors import TraceError

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword arguments of one call of the model."""


def samples_of(tensors: Iterable[Tensor], batch_axis: int) -> int:
    """Size of the batch axis of the first tensor that has one; 1 where none has."""
    return next((tensor.shape[batch_axis] for tensor in tensors if tensor.dim() > batch_axis), 1)


def single_samples(calls: Iterable[Call], batch_axis: int) -> Iterator[Call]:
    """Each call cut into calls of one sample, in order; a call of one sample goes through as it is.

    Raises:
        TraceError: a tensor with axes has not as many samples along `batch_axis` as the first one, so that what belongs
            to a sample is not known.
    """
    for args, kwargs in calls:
        tensors = list(tensors_in((args, kwargs)))
        size = samples_of(tensors, batch_axis)
        if size == 1 or not tensors:
            yield args, kwargs
            continue
        for tensor in tensors:
            if tensor.dim() and (tensor.dim() <= batch_axis or tensor.shape[batch_axis] != size):
                raise TraceError(
                    f"trace: per_sample cuts every tensor of a batch into {size} samples along axis {batch_axis} "
                    f"(got one of shape {list(tensor.shape)}); check batch_axis, or pass batches of one sample"
                )
        for index in range(size):
            yield _one(args, batch_axis, index), _one(kwargs, batch_axis, index)


def _one(value: Any, axis: int, index: int) -> Any:
    """Sample `index` of all tensors of a nested structure; a tensor without axes belongs to every sample."""
    if isinstance(value, Tensor):
        return value.narrow(axis, index, 1) if value.dim() else value
    if isinstance(value, Mapping):
        return {key: _one(item, axis, index) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        items = [_one(item, axis, index) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if next(tensors_in(value), None) is not None:
        raise TraceError(
            f"trace: per_sample cannot cut a {type(value).__name__} into samples; pass tensors, tuples, lists or dicts"
        )
    return value
