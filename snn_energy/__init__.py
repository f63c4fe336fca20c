"""snn_energy: exact, certified energy reports for spiking neural networks.

Names resolve on first use, so that the command line answers `--help` without loading torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_energy.counting.counts import LayerCounts as LayerCounts
    from snn_energy.counting.counts import NeuronCounts as NeuronCounts
    from snn_energy.counting.counts import Trace as Trace
    from snn_energy.counting.neurons import NeuronRow as NeuronRow
    from snn_energy.counting.neurons import register_neuron as register_neuron
    from snn_energy.counting.tracing import trace as trace
    from snn_energy.hardware import list_hardware as list_hardware
    from snn_energy.hardware import load_hardware as load_hardware
    from snn_energy.models.checkpoints import load_checkpoint as load_checkpoint

_HOME = {
    "LayerCounts": "snn_energy.counting.counts",
    "NeuronCounts": "snn_energy.counting.counts",
    "NeuronRow": "snn_energy.counting.neurons",
    "Trace": "snn_energy.counting.counts",
    "list_hardware": "snn_energy.hardware",
    "load_checkpoint": "snn_energy.models.checkpoints",
    "load_hardware": "snn_energy.hardware",
    "register_neuron": "snn_energy.counting.neurons",
    "trace": "snn_energy.counting.tracing",
}
"""Public names and the module each lives in; other names are not part of the interface."""

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'snn_energy' has no attribute {name!r}; public names: {', '.join(__all__)}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
