"""Tiny files in the on-disk formats of the event data sets, written byte by byte from their published descriptions.

An event is (t in microseconds, x, y, p).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

Event = tuple[int, int, int, int]

INFO = """<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">
<node name="0" path="/mainloop/Recorder/outInfo/0/"><attr key="compression" type="string">NONE</attr>
<attr key="originalModuleName" type="string">converter</attr><attr key="originalOutputName" type="string">events</attr>
<attr key="typeDescription" type="string">Array of events.</attr><attr key="typeIdentifier" type="string">EVTS</attr>
<node name="info" path="/mainloop/Recorder/outInfo/0/info/"><attr key="sizeX" type="int">128</attr>
<attr key="sizeY" type="int">128</attr><attr key="source" type="string">DVS128</attr></node></node></node></dv>"""


def write_atis(path: Path, events: Sequence[Event]) -> None:
    """N-MNIST: 40 bits per event: x, y, polarity and 23 bits of time, most significant byte first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(bytes((x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)) for t, x, y, p in events))


def write_gesture(path: Path, events: Sequence[Event]) -> None:
    """DVS128 Gesture, as cut by tonic's authors: an array of rows x, y, p, t in milliseconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array([(x, y, p, t // 1000) for t, x, y, p in events], dtype=np.int64))


def write_aedat4(path: Path, events: Sequence[Event]) -> None:
    """CIFAR10-DVS: AEDAT 4.0, a header and one packet of events, each a FlatBuffer, not compressed.

    https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html
    """
    import flatbuffers

    path.parent.mkdir(parents=True, exist_ok=True)
    # IOHeader {compression: int32 = NONE, dataTablePosition: int64 = -1, infoNode: string}
    builder = flatbuffers.Builder(0)
    text = builder.CreateString(INFO)
    builder.StartObject(3)
    builder.PrependInt32Slot(0, 0, 1)
    builder.PrependInt64Slot(1, -1, 0)
    builder.PrependUOffsetTRelativeSlot(2, text, 0)
    builder.FinishSizePrefixed(builder.EndObject(), b"IOHE")
    header = bytes(builder.Output())
    # EventPacket {elements: [Event]}, struct Event {timestamp: int64, x: int16, y: int16, on: bool}
    builder = flatbuffers.Builder(0)
    builder.StartVector(16, len(events), 8)
    for t, x, y, p in reversed(events):
        builder.Prep(8, 16)
        builder.Pad(3)
        builder.PrependBool(bool(p))
        builder.PrependInt16(y)
        builder.PrependInt16(x)
        builder.PrependInt64(t)
    elements = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, elements, 0)
    builder.FinishSizePrefixed(builder.EndObject(), b"EVTS")
    packet = bytes(builder.Output())
    path.write_bytes(b"#!AER-DAT4.0\r\n" + header + struct.pack("<ii", 0, len(packet)) + packet)


def write_shd(path: Path, recordings: Sequence[Sequence[tuple[float, int]]], labels: Sequence[int]) -> None:
    """SHD: HDF5 with spikes/times (seconds, half precision), spikes/units, labels, and what tonic reads besides."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, kind, column in (("times", "float16", 0), ("units", "uint16", 1)):
            rows = file.create_dataset(f"spikes/{name}", (len(recordings),), h5py.vlen_dtype(np.dtype(kind)))
            for i, recording in enumerate(recordings):
                rows[i] = np.array([event[column] for event in recording], dtype=kind)
        file["labels"] = np.array(labels, dtype=np.uint16)
        file["extra/keys"] = np.array([b"null", b"eins"])
        file["extra/speaker"] = np.zeros(len(labels), dtype=np.uint16)
