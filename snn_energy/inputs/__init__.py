"""What a network is fed: encoders of still images and signals, and event data as frames."""

from __future__ import annotations

from snn_energy.inputs.encoding import ENCODERS, delta, direct, latency, latency_log, rate, rate_deterministic
from snn_energy.inputs.eventset import EventSet, Recording
from snn_energy.inputs.frames import Events, Framing, to_frames
from snn_energy.inputs.inputset import EncodedSet, Encoding, InputSet
from snn_energy.inputs.loading import describe_source, load_inputs, source_names

__all__ = [
    "ENCODERS",
    "EncodedSet",
    "Encoding",
    "EventSet",
    "Events",
    "Framing",
    "InputSet",
    "Recording",
    "delta",
    "describe_source",
    "direct",
    "latency",
    "latency_log",
    "load_inputs",
    "rate",
    "rate_deterministic",
    "source_names",
    "to_frames",
]
