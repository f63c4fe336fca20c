"""Spiking neurons, recognised by what they mean: one row for each class, by qualified name, so that none is imported.

A row states the neuron's equation and charges one update with its arithmetic; the element-wise operators that some
backend happens to run inside are never looked at. `register_neuron` adds a row for a neuron of one's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from snn_energy.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronRow:
    """What one neuron class means.

    Multi-step neurons hold time on `time_axis` of their output; single-step ones (None) are called once a time step.
    """

    qualified_name: str
    kind: str
    equation: str
    adds: int
    muls: int
    compares: int
    state_variables: int
    soft_reset_adds: int = 0
    time_axis: int | None = None
    binary_scale: float | None = None
    """Height of a spike where the class guarantees {0, height}; None where the data must prove it."""
    methods: tuple[str, ...] = ("forward",)
    """A subclass that overrides any of these means something else, and is not recognised."""


NEURONS: dict[str, NeuronRow] = {}


def register_neuron(row: NeuronRow) -> NeuronRow:
    """Add a row; a second row for one class is refused."""
    if row.qualified_name in NEURONS:
        raise UsageError(
            f"register_neuron: {row.qualified_name!r} is registered already (as {NEURONS[row.qualified_name].kind}); "
            "give the class another name"
        )
    NEURONS[row.qualified_name] = row
    return row


def neuron_row(module: nn.Module) -> NeuronRow | None:
    """The row of a module, also through subclasses that leave the neuron's own methods alone."""
    for base in type(module).__mro__:
        row = NEURONS.get(f"{base.__module__}.{base.__qualname__}")
        if row is not None:
            own = all(getattr(type(module), name, None) is getattr(base, name, None) for name in row.methods)
            return row if own else None
    return None


register_neuron(
    NeuronRow(
        qualified_name="snn_energy.models.neurons.LIF",
        kind="lif",
        equation="U <- decay * U + I; S = 1[U >= threshold]; reset",
        adds=1,
        muls=1,
        compares=1,
        state_variables=1,
        soft_reset_adds=1,
        time_axis=0,
        binary_scale=1.0,
        methods=("forward", "step"),
    )
)
register_neuron(
    NeuronRow(
        qualified_name="snn_energy.models.neurons.IF",
        kind="if",
        equation="U <- U + I; S = 1[U >= threshold]; reset",
        adds=1,
        muls=0,
        compares=1,
        state_variables=1,
        soft_reset_adds=1,
        time_axis=0,
        binary_scale=1.0,
        methods=("forward", "step"),
    )
)
