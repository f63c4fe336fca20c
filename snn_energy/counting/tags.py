"""What the recorder knows of a tensor beyond its values: where it comes from, and what is already proven about it.

Tags are hung on the intermediate tensors of a trace, never on parameters, buffers or the caller's inputs (those are
looked up by identity), and die with the tensors. A tag belongs to one recorder and one version of the data: an
in-place write makes it stale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

ATTRIBUTE = "_snn_energy_tag"

Past = dict[int, tuple[int, int]]
"""Module (its identity) -> first and last of its steps that a tensor follows from; see `stateful`."""


class Origin(IntEnum):
    """What a tensor depends on: samples, neither samples nor parameters (buffers, constants), or parameters alone."""

    DATA = 0
    CONSTANT = 1
    WEIGHT = 2


class Repeat(NamedTuple):
    """The value at the linear index i of a tensor, in logical order, does not depend on (i // inner) % times."""

    times: int
    inner: int


class Sums(Protocol):
    """Sums over the leading axes of a tensor; see `sights`."""

    @property
    def shape(self) -> torch.Size:
        """Of the sums."""

    def total(self) -> Tensor:
        """The sums."""


class Sight(Protocol):
    """What was found in a tensor, to be found no second time; see `observe`."""

    @property
    def version(self) -> int:
        """Write counter of the data that were looked at."""


@dataclass(slots=True)
class Tag:
    """Knowledge about one tensor; None where nothing is known."""

    owner: object
    origin: Origin
    version: int = 0
    names: tuple[str, ...] = ()
    """Parameters it was computed from."""
    recipe: tuple[object, ...] | None = None
    """How it was computed from parameters and constants in their present state: equal recipes make equal values."""
    kept: tuple[str, ...] = ()
    """Buffers and plain attributes it was computed from, where no data were; see `kept`."""
    padding: tuple[tuple[int, int], ...] | None = None
    """Explicit zero padding of the last axes: zeros before and after, outermost axis first."""
    biased: bool | None = None
    """For the output of a weight projection: whether it has a bias. A batch norm right behind folds into it."""
    projection: tuple[object, ...] | None = None
    """For the output of a weight projection: its key, for a bias added or a batch norm applied right behind."""
    spike_scale: float | None = None
    """Height of a spike, where every value is known to be 0 or that height."""
    grid: float | None = None
    """A power of two of which every value is known to be a multiple >= 0, where values are no plain spikes."""
    top: int | None = None
    """No value is more than so many times the grid, where that is known."""
    terms: tuple[tuple[Tensor | Sums, float], ...] = ()
    """For a sum: sums of the levels of its terms over their leading axes, and the units of these."""
    sight: Sight | None = None
    """What the projections fed so far found in it."""
    channel: int | None = None
    """For the output of a weight projection: the axis of its output channels."""
    scaled: bool = False
    """Whether constants of the network gave it heights, so that each channel may have one of its own."""
    bits: int | None = None
    """Bits of one value, where they are fewer than the tensor's type has: after a quantiser."""
    past: Past | None = None
    softmax: bool = False
    """Output of a softmax: tells the two products of an attention apart."""
    repeats: Repeat | None = None
    """What is known to repeat; None also where strides of 0 say it."""
    root: Tag | None = None
    """For a view: the tag of the tensor whose memory it shows."""
    shift: int = 0
    """For a slice of a tensor whose slices are equal: elements from the first of them to this one."""
    fed: list[tuple[object, ...]] | None = None
    """For the owner of the memory: which projections it went to, and as what; see `repeats`."""
    copy: Tensor | None = None
    """A copy of a small tensor, shared by all that will look at it later."""

    def again(self) -> Tag:
        """A fresh tag that says the same of another tensor; what belongs to this very tensor stays behind."""
        return Tag(
            self.owner,
            self.origin,
            0,
            self.names,
            self.recipe,
            self.kept,
            self.padding,
            self.biased,
            self.projection,
            self.spike_scale,
            self.grid,
            self.top,
            (),
            None,
            self.channel,
            self.scaled,
            self.bits,
            None,
            self.softmax,
        )

    def forget_values(self) -> None:
        """Drop what was known of data that have been overwritten."""
        self.padding = self.biased = self.projection = self.channel = None
        self.spike_scale = self.grid = self.top = self.bits = None
        self.terms = ()
        self.softmax = False
        self.copy = None


def version_of(tensor: Tensor) -> int:
    """Write counter of the data; -1 for inference tensors, which keep none."""
    return -1 if tensor.is_inference() else tensor._version


def read_tag(tensor: Tensor, owner: object) -> Tag | None:
    """The tag that `owner` hung on a tensor; if the data were written since, only where they come from."""
    tag: Any = getattr(tensor, ATTRIBUTE, None)
    if tag is None or tag.owner is not owner:
        return None
    if tensor.is_inference() or tag.version != version_of(tensor):  # an inference tensor does not tell writes
        return Tag(owner, tag.origin, names=tag.names, kept=tag.kept, past=tag.past)
    return tag  # type: ignore[no-any-return]


def hang_tag(tensor: Tensor, tag: Tag, version: int | None = None) -> None:
    """Hang or replace the tag of an intermediate tensor.

    Inside a dispatch mode a view does not share its base's write counter yet: pass the base's `version`.
    """
    if version is None:
        version = -1 if tensor.is_inference() else tensor._version  # as `version_of`: this runs for every result
    tag.version = version
    setattr(tensor, ATTRIBUTE, tag)


def copied(tensor: Tensor, tag: Tag) -> Tensor:
    """A copy of a small tensor that holds what it holds now; `tag` is the tensor's, and keeps the copy for others."""
    if tag.copy is None:
        tag.copy = tensor.clone()
    return tag.copy


def drop_tag(tensor: Tensor) -> None:
    """Remove a tag, if there is one."""
    if hasattr(tensor, ATTRIBUTE):
        delattr(tensor, ATTRIBUTE)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors of a nested structure of tuples, lists, mappings and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from tensors_in(getattr(value, field.name))
