"""One door to everything a network can be fed: images, arrays, events, and images that an encoder spreads over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snn_energy.errors import UsageError
from snn_energy.inputs.eventnames import EVENT_SETS, event_set_names, find_named, has_splits
from snn_energy.inputs.eventset import EventSet
from snn_energy.inputs.frames import Framing
from snn_energy.inputs.inputset import EncodedSet, Encoding, InputSet
from snn_energy.inputs.recordings import find_recordings, holds_events
from snn_energy.models.suggest import unknown
from snn_energy.training import dataset_names, load_images


def source_names() -> tuple[str, ...]:
    """Names of all data sets, of images and of events, in alphabetical order."""
    return tuple(sorted((*dataset_names(), *event_set_names())))


def describe_source(source: str, split: str) -> str:
    """What to call the data in a report: names without folders, so that reports agree between machines."""
    if source in dataset_names() or (source in EVENT_SETS and has_splits(source)):
        return f"{source}, {split} split"
    return source if source in EVENT_SETS else Path(source).resolve().name


def load_inputs(
    source: str | Path,
    split: str = "test",
    *,
    data_dir: str | Path | None = None,
    shape: tuple[int, ...] | None = None,
    layout: str = "N",
    resize: bool = False,
    classes: Sequence[str] | None = None,
    encoding: Encoding | None = None,
    framing: Framing | None = None,
) -> InputSet:
    """The data of `source`: a data set's name, or the path of a folder, .npy, .npz or .pt file.

    Still images with an `encoding` become `t n ...` (layout "TN") or `n t ...` ("NT"); events with a `framing` become
    frames in the same layouts. `shape` is (C, H, W) of an image, or (P, H, W) of a frame of the user's own events. The
    rest is as in `training.load_images`. Errors: UsageError for a name, path or combination of options that does not
    exist, DataError for data that cannot be used.
    """
    name, path = str(source), Path(source)
    named = name in EVENT_SETS
    if name not in source_names() and not path.exists():
        raise UsageError(f"{source}: no such file or folder, and {unknown('data set', name, source_names())}")
    if named or (name not in dataset_names() and path.exists() and holds_events(path)):
        if encoding is not None:
            raise UsageError(f"{source}: events are spikes already: an encoder takes still images; leave out --encode")
        if framing is None:
            raise UsageError(f"{source}: holds events: expected --frames T, the number of time steps (got none)")
        if named:
            recordings = find_named(name, split, None if data_dir is None else Path(data_dir))
            frame = EVENT_SETS[name].shape
        else:
            if shape is None:
                raise UsageError(
                    f"{source}: expected the size of the sensor (got none); give --image-size PxHxW, like 2x128x128"
                )
            frame = shape
            recordings = find_recordings(path, len(frame), classes)
        return EventSet(recordings=recordings, shape=frame, framing=framing, layout=layout, source=name)
    if framing is not None:
        raise UsageError(f"{source}: --frames and --bin-ms are for event data (got none); leave them out")
    images = load_images(
        source,
        split,
        data_dir=data_dir,
        shape=shape,
        layout=layout if encoding is None else "N",
        resize=resize,
        classes=classes,
    )
    return images if encoding is None else EncodedSet(images=images, encoding=encoding, layout=layout)
