"""Spiking neurons, recognised by what they mean: one row for each class, by qualified name, so that none is imported.

A row states the neuron's equation and charges one update with its arithmetic; the element-wise operators that some
backend happens to run inside are never looked at. `register_neuron` adds a row for a neuron of one's own. The rows of
other simulators are in `simulators`.

A recurrent neuron holds weights: the products that they take part in are projections like any other and counted as
they run, while all else inside the neuron stays the row's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from snn_energy.errors import UsageError

Test = Callable[[Any], bool]
"""Asks the value of an attribute; None stands for an attribute that the instance lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What changes in a row where an attribute of the instance passes a test: numbers are added, `time_axis` is set."""

    attribute: str
    """Name, dotted if it is an attribute of an attribute; "" for the instance itself."""
    test: Test
    adds: int = 0
    muls: int = 0
    compares: int = 0
    specials: int = 0
    state_variables: int = 0
    soft_reset_adds: int = 0
    returned_states: int = 0
    time_axis: int | None = None


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
    specials: int = 0
    """Exponentials of one update."""
    soft_reset_adds: int = 0
    spiking: bool = True
    """False for an integrator: its output is real-valued and holds no spikes."""
    time_axis: int | None = None
    shaped_by_input: bool = False
    """True where the class returns something else than one value for each neuron and time step: its input tells."""
    returned_states: int = 0
    """How many values follow the spikes in what the class returns; 0 where it returns the spikes alone."""
    binary_scale: float | None = None
    """Height of a spike where the class guarantees {0, height}; None where the data must prove it."""
    methods: tuple[str, ...] = ("forward",)
    """A subclass or an instance that overrides any of these means something else, and is not recognised."""
    variants: tuple[Variant, ...] = ()
    """Options of the class that change its equation or its time axis."""
    requires: tuple[tuple[str, Test], ...] = ()
    """(Attribute, test): an instance that fails one of these means something else, and is not recognised."""
    weights: Test | None = None
    """Whether an instance multiplies by weights of its own; None for classes that never do, and must hold none."""
    input_weights: str = ""
    """Weights that the class multiplies its input by, as well as its spikes."""
    unused_after_last: str = ""
    """Child that a call multiplies by once more after its last time step, for nothing: its input then is no operand.

    One product goes into each time step, and what goes into the first is zero.
    """


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
    """The row of a module with its variants applied, also through subclasses that leave the neuron's methods alone.

    Where the row knows of no weights, an instance that holds some (a parameter with more than one axis, its own or a
    child's) is not recognised, and counted operator by operator: nobody knows what they are for.
    """
    for base in type(module).__mro__:
        row = NEURONS.get(f"{base.__module__}.{base.__qualname__}")
        if row is not None:
            return _resolved(row, module) if _means(row, base, module) else None
    return None


def multiplies(row: NeuronRow, module: nn.Module) -> bool:
    """True if products run inside this neuron, as in recurrent ones."""
    return row.weights is not None and row.weights(module)


def named_neurons(model: nn.Module) -> dict[str, NeuronRow]:
    """The rows of all neurons of a model, by module path; a shared neuron under its first path."""
    found = ((name, neuron_row(module)) for name, module in model.named_modules())
    return {name: row for name, row in found if row is not None}


def _means(row: NeuronRow, base: type, module: nn.Module) -> bool:
    own = all(getattr(type(module), name, None) is getattr(base, name, None) for name in row.methods)
    return (
        own
        and (row.weights or not holds_weights(module))
        and not any(name in module.__dict__ for name in row.methods)
        and all(test(_read(module, attribute)) for attribute, test in row.requires)
    )


def holds_weights(module: nn.Module) -> bool:
    """True if a module or anything below it has a parameter with more than one axis, or one that is not made yet."""
    return any(is_lazy(parameter) or parameter.dim() > 1 for _, parameter in module.named_parameters())


def _resolved(row: NeuronRow, module: nn.Module) -> NeuronRow:
    """The row of this instance. Where it has a text as `reset`, spikes pay for their reset only if that is "soft"."""
    reset = getattr(module, "reset", None)
    if isinstance(reset, str) and reset != "soft":
        row = replace(row, soft_reset_adds=0)
    for variant in row.variants:
        if variant.test(_read(module, variant.attribute)):
            row = replace(
                row,
                adds=row.adds + variant.adds,
                muls=row.muls + variant.muls,
                compares=row.compares + variant.compares,
                specials=row.specials + variant.specials,
                state_variables=row.state_variables + variant.state_variables,
                soft_reset_adds=row.soft_reset_adds + variant.soft_reset_adds,
                returned_states=row.returned_states + variant.returned_states,
                time_axis=row.time_axis if variant.time_axis is None else variant.time_axis,
            )
    return row


def _read(value: Any, attribute: str) -> Any:
    for name in attribute.split(".") if attribute else ():
        value = getattr(value, name, None)
    return value


_LIF = register_neuron(
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
    replace(
        _LIF,
        qualified_name="snn_energy.models.neurons.IF",
        kind="if",
        equation="U <- U + I; S = 1[U >= threshold]; reset",
        muls=0,
    )
)

from snn_energy.counting import (  # noqa: E402  # their rows need NeuronRow: they come last
    cells,  # noqa: F401
    groups,  # noqa: F401
    nir_neurons,  # noqa: F401
    simulators,  # noqa: F401
)
