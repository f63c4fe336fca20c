"""snn_energy: exact, certified energy reports for spiking neural networks.

Names resolve on first use, so that the command line answers `--help` without loading torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snn_energy.baselines.comparison import Comparison as Comparison
    from snn_energy.baselines.comparison import compare as compare
    from snn_energy.baselines.crossover import Crossover as Crossover
    from snn_energy.baselines.quantised import quantised_baseline as quantised_baseline
    from snn_energy.baselines.quantised import quantised_twin as quantised_twin
    from snn_energy.baselines.twin import ann_twin as ann_twin
    from snn_energy.callbacks import EnergyLog as EnergyLog
    from snn_energy.callbacks import lightning_callback as lightning_callback
    from snn_energy.costing.pricing import price as price
    from snn_energy.costing.profiling import profile as profile
    from snn_energy.costing.report import Report as Report
    from snn_energy.counting.counts import LayerCounts as LayerCounts
    from snn_energy.counting.counts import NeuronCounts as NeuronCounts
    from snn_energy.counting.counts import Trace as Trace
    from snn_energy.counting.neurons import NeuronRow as NeuronRow
    from snn_energy.counting.neurons import register_neuron as register_neuron
    from snn_energy.counting.ranks import merge_across_ranks as merge_across_ranks
    from snn_energy.counting.tracefile import load_trace as load_trace
    from snn_energy.counting.tracefile import save_trace as save_trace
    from snn_energy.counting.tracing import trace as trace
    from snn_energy.errors import SnnEnergyError as SnnEnergyError
    from snn_energy.hardware import list_hardware as list_hardware
    from snn_energy.hardware import load_hardware as load_hardware
    from snn_energy.models.checkpoints import load_checkpoint as load_checkpoint

_HOME = {
    "Comparison": "snn_energy.baselines.comparison",
    "EnergyLog": "snn_energy.callbacks",
    "Crossover": "snn_energy.baselines.crossover",
    "LayerCounts": "snn_energy.counting.counts",
    "NeuronCounts": "snn_energy.counting.counts",
    "NeuronRow": "snn_energy.counting.neurons",
    "Report": "snn_energy.costing.report",
    "SnnEnergyError": "snn_energy.errors",
    "Trace": "snn_energy.counting.counts",
    "ann_twin": "snn_energy.baselines.twin",
    "compare": "snn_energy.baselines.comparison",
    "lightning_callback": "snn_energy.callbacks",
    "list_hardware": "snn_energy.hardware",
    "load_checkpoint": "snn_energy.models.checkpoints",
    "load_hardware": "snn_energy.hardware",
    "load_trace": "snn_energy.counting.tracefile",
    "merge_across_ranks": "snn_energy.counting.ranks",
    "price": "snn_energy.costing.pricing",
    "profile": "snn_energy.costing.profiling",
    "quantised_baseline": "snn_energy.baselines.quantised",
    "quantised_twin": "snn_energy.baselines.quantised",
    "register_neuron": "snn_energy.counting.neurons",
    "save_trace": "snn_energy.counting.tracefile",
    "trace": "snn_energy.counting.tracing",
}
"""Public names and the module each lives in; other names are not part of the interface."""

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'snn_energy' has no attribute {name!r}; public names: {', '.join(__all__)}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
