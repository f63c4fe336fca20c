"""The table of export formats: what each one holds, what it needs, and what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One row: `command` is the word after `snn-energy export`, `form` how time is laid out in the file."""

    command: str
    form: str
    holds: str
    needs: str
    leaves_out: str


FORMATS: tuple[Format, ...] = (
    Format(
        command="onnx",
        form="unrolled",
        holds="the network with its T time steps unrolled, standard operators only: images to logits",
        needs="a network without control flow on data; onnxruntime for the check",
        leaves_out="surrogate gradients, membrane state between calls",
    ),
    Format(
        command="onnx --form step",
        form="step",
        holds="one time step, every membrane an input and an output: a frame to the logits of that step",
        needs="what unrolled needs, and a network that runs one time step after the other",
        leaves_out="surrogate gradients, the loop over time; the read-out is named in the file's properties",
    ),
    Format(
        command="onnx --form sequence",
        form="sequence",
        holds="the time step as the body of one Scan: frames of any number of time steps to logits",
        needs="what step needs, and a tool that reads Scan",
        leaves_out="surrogate gradients, membrane state between calls",
    ),
    Format(
        command="nir",
        form="graph",
        holds="neurons as differential equations, weights and edges, recurrent ones too; one time step dt",
        needs="h5py; layers that NIR has, and data on which the network fires, to follow and to compare it",
        leaves_out="encoder, read-out over time, surrogate gradients; refused: soft resets, max pooling of real values",
    ),
)
