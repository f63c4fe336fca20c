"""What each simulator's neuron does in one time step, in the form of `nirgraph.conventions`: one row for each class.

    I_t = decay_syn I_{t-1} + gain_syn X_t
    V_t = decay V_{t-1} + gain I_t + (1 - decay) V_leak
    S_t = [V_t > threshold], or >= ("ge")
    V_t <- V_reset where S_t ("value"), V_t - threshold S_t ("subtract"), or V_t ("none")

Rows are named as in `counting.neurons`, so that no simulator is imported and a subclass that overrides a method is not
taken for its base. What a class does beyond this form is listed with it: it is lost in NIR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from snn_energy.exporting.losses import Loss

Number = float | np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """One layer of neurons; arrays have the layer's shape, or one that broadcasts to it."""

    kind: str
    decay: Number = 1.0
    gain: Number = 1.0
    v_leak: Number = 0.0
    threshold: Number | None = None
    v_reset: Number = 0.0
    decay_syn: Number | None = None
    gain_syn: Number = 1.0
    fires_at: str = "gt"
    reset: str = "value"
    losses: tuple[tuple[str, str], ...] = ()
    """(What is lost, why), see `Loss`."""
    recurrent: nn.Module | np.ndarray | None = None
    """Weights from the layer's own spikes of the last time step: a module, or one weight for each neuron."""
    extra: Mapping[str, str] = field(default_factory=dict)

    def listed(self, where: str) -> list[Loss]:
        """The losses, as found at the module `where`."""
        return [Loss(what, where, why) for what, why in self.losses]


Reader = Callable[[Any], Dynamics]
READERS: dict[str, Reader] = {}
"""Qualified class name of a neuron's row -> how its attributes are read."""


def _reads(home: str, *names: str) -> Callable[[Reader], Reader]:
    def add(reader: Reader) -> Reader:
        READERS.update({f"{home}.{name}": reader for name in names})
        return reader

    return add


def _number(value: Any) -> Number:
    """A tensor or number as a float, or as an array where elements differ."""
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    array = array.astype(np.float64) if array.dtype.kind != "f" else array
    return float(array.flat[0]) if array.size == 1 or (array == array.flat[0]).all() else array


# -- this package ------------------------------------------------------------------------------------------------------


@_reads("snn_energy.models", "neurons.LIF", "neurons.IF", "cells.LIFCell", "cells.IFCell")
def _own(neuron: Any) -> Dynamics:
    reset = "value" if neuron.reset == "hard" else "subtract"
    kind = "IF" if neuron.decay == 1 else "LIF"
    return Dynamics(kind=kind, decay=neuron.decay, threshold=neuron.threshold, fires_at="ge", reset=reset)


@_reads("snn_energy.models", "cells.ALIFCell")
def _own_adaptive(neuron: Any) -> Dynamics:
    lost = ("a threshold that adapts", "NIR's thresholds are constants")
    return Dynamics(
        kind="LIF", decay=neuron.decay, threshold=neuron.threshold, fires_at="ge", reset="subtract", losses=(lost,)
    )


@_reads("snn_energy.models", "cells.LeakyIntegrator")
def _own_integrator(module: Any) -> Dynamics:
    return Dynamics(kind="I" if module.decay == 1 else "LI", decay=module.decay)


@_reads("snn_energy.nirgraph.neurons", "NirIF", "NirLIF", "NirCubaLIF", "NirI", "NirLI", "NirCubaLI")
def _imported(neuron: Any) -> Dynamics:
    kind = type(neuron).__name__.removeprefix("Nir")
    found: dict[str, Any] = {}
    if neuron.has_synapse:
        found |= {"decay_syn": _number(neuron.decay_syn), "gain_syn": _number(neuron.gain_syn)}
    if neuron.spiking:
        found |= {"threshold": _number(neuron.threshold), "v_reset": _number(neuron.v_reset)}
    if neuron.rest is not None and kind not in ("I", "IF"):
        found["v_leak"] = _number(neuron.rest)
    return Dynamics(
        kind=kind, decay=_number(neuron.decay), gain=_number(neuron.gain), fires_at=neuron.fires_at,
        reset=neuron.reset_rule, **found,
    )  # fmt: skip


# -- snnTorch ----------------------------------------------------------------------------------------------------------

_LATE = (
    "a reset in the time step after the spike",
    "NIR resets with the spike: snnTorch's own NIR importer sets reset_delay=False",
)


def _snntorch(neuron: Any, *, late_is_equal: bool = False, **found: Any) -> Dynamics:
    losses = []
    if getattr(neuron, "inhibition", False):
        losses.append(("lateral inhibition", "NIR's neurons do not see each other"))
    if _number(getattr(neuron, "graded_spikes_factor", 1.0)) != 1.0:
        losses.append(("graded spikes", "NIR's spikes are 0 or 1"))
    reset = {"zero": "value", "subtract": "subtract", "none": "none"}[neuron.reset_mechanism]
    if getattr(neuron, "reset_delay", True) and reset != "none" and not (late_is_equal and reset == "value"):
        losses.append(_LATE)
    return Dynamics(
        decay=_number(neuron.beta.clamp(0, 1)),
        threshold=_number(neuron.threshold),
        reset=reset,
        losses=tuple(losses),
        **found,
    )


@_reads("snntorch._neurons", "leaky.Leaky")
def _leaky(neuron: Any) -> Dynamics:
    # With "zero" the membrane is zeroed before the next charge: the same, whenever that is said to happen.
    found = _snntorch(neuron, kind="LIF", late_is_equal=True)
    return found if found.decay != 1 else _snntorch(neuron, kind="IF", late_is_equal=True)


@_reads("snntorch._neurons", "synaptic.Synaptic")
def _synaptic(neuron: Any) -> Dynamics:
    return _snntorch(neuron, kind="CubaLIF", decay_syn=_number(neuron.alpha.clamp(0, 1)))


def _feedback(neuron: Any) -> Any:
    return neuron.recurrent if neuron.all_to_all else neuron.recurrent.V.detach().cpu().numpy()


@_reads("snntorch._neurons", "rleaky.RLeaky")
def _rleaky(neuron: Any) -> Dynamics:
    return _snntorch(neuron, kind="LIF", recurrent=_feedback(neuron))


@_reads("snntorch._neurons", "rsynaptic.RSynaptic")
def _rsynaptic(neuron: Any) -> Dynamics:
    return _snntorch(neuron, kind="CubaLIF", decay_syn=_number(neuron.alpha.clamp(0, 1)), recurrent=_feedback(neuron))


# -- Norse -------------------------------------------------------------------------------------------------------------


def _norse_leak(p: Any, dt: float) -> dict[str, Any]:
    share = _number(dt * p.tau_mem_inv)
    return {"decay": 1 - share, "gain": share, "v_leak": _number(p.v_leak)}


@_reads("norse.torch.module", "lif_box.LIFBoxCell")
def _norse_box(cell: Any) -> Dynamics:
    name = getattr(cell.p.reset_method, "__name__", "")
    reset = {"reset_value": "value", "reset_subtract": "subtract"}.get(name, "none")
    return Dynamics(
        kind="LIF", threshold=_number(cell.p.v_th), v_reset=_number(cell.p.v_reset), reset=reset,
        **_norse_leak(cell.p, cell.dt),
    )  # fmt: skip


@_reads("norse.torch.module", "iaf.IAFCell", "iaf.IAF")
def _norse_iaf(cell: Any) -> Dynamics:
    return Dynamics(kind="IF", threshold=_number(cell.p.v_th), v_reset=_number(cell.p.v_reset))


@_reads("norse.torch.module", "lif.LIFCell", "lif.LIF")
def _norse_lif(cell: Any) -> Dynamics:
    # The input jumps into the current, which charges the membrane and then decays.
    return Dynamics(
        kind="CubaLIF", threshold=_number(cell.p.v_th), v_reset=_number(cell.p.v_reset),
        decay_syn=1 - _number(cell.dt * cell.p.tau_syn_inv), **_norse_leak(cell.p, cell.dt),
    )  # fmt: skip


@_reads("norse.torch.module", "leaky_integrator_box.LIBoxCell")
def _norse_li_box(cell: Any) -> Dynamics:
    return Dynamics(kind="LI", **_norse_leak(cell.p, cell.dt))


@_reads("norse.torch.module", "leaky_integrator.LICell", "leaky_integrator.LI")
def _norse_li(cell: Any) -> Dynamics:
    decay_syn = 1 - _number(cell.dt * cell.p.tau_syn_inv)
    return Dynamics(kind="CubaLI", decay_syn=decay_syn, **_norse_leak(cell.p, cell.dt))


# -- SpikingJelly ------------------------------------------------------------------------------------------------------


def _spikingjelly(node: Any, **found: Any) -> Dynamics:
    soft = node.v_reset is None
    return Dynamics(
        threshold=_number(node.v_threshold),
        v_reset=0.0 if soft else float(node.v_reset),
        reset="subtract" if soft else "value",
        fires_at="ge",
        **found,
    )


@_reads("spikingjelly.activation_based.neuron", "integrate_and_fire.IFNode", "integrate_and_fire.SimpleIFNode")
def _if_node(node: Any) -> Dynamics:
    return _spikingjelly(node, kind="IF")


def _decaying(node: Any, tau: float) -> Dynamics:
    return _spikingjelly(
        node, kind="LIF", decay=1 - 1 / tau, gain=1 / tau if node.decay_input else 1.0,
        v_leak=0.0 if node.v_reset is None else float(node.v_reset),
    )  # fmt: skip


@_reads("spikingjelly.activation_based.neuron", "lif.LIFNode", "lif.SimpleLIFNode")
def _lif_node(node: Any) -> Dynamics:
    return _decaying(node, float(node.tau))


@_reads("spikingjelly.activation_based.neuron", "plif.ParametricLIFNode")
def _plif_node(node: Any) -> Dynamics:
    return _decaying(node, 1 / float(node.w.sigmoid()))


@_reads("spikingjelly.activation_based.neuron", "lif_variants.CUBALIFNode")
def _cuba_node(node: Any) -> Dynamics:
    return _spikingjelly(node, kind="CubaLIF", decay=float(node.v_decay), decay_syn=float(node.c_decay))


# -- Sinabs ------------------------------------------------------------------------------------------------------------


def _sinabs(layer: Any, **found: Any) -> Dynamics:
    losses = []
    if getattr(layer, "min_v_mem", None) is not None:
        losses.append(("a floor of the membrane (min_v_mem)", "NIR's membranes have none"))
    if layer.spike_fn is not None:
        fires, resets = (getattr(x, "__name__", type(x).__name__) for x in (layer.spike_fn, layer.reset_fn))
        if fires != "SingleSpike":
            losses.append((f"several spikes in one time step ({fires})", "NIR's spikes are 0 or 1"))
        value = float(getattr(layer.reset_fn, "reset_value", 0.0) or 0.0)
        found |= {
            "threshold": _number(layer.spike_threshold),
            "fires_at": "ge",
            "reset": "subtract" if resets == "MembraneSubtract" else "value",
            "v_reset": value,
        }
    if getattr(layer, "tau_syn", None) is not None or getattr(layer, "alpha_syn", None) is not None:
        alpha = _number(layer.alpha_syn_calculated)
        found |= {"kind": "Cuba" + found["kind"], "decay_syn": alpha, "gain_syn": alpha}
    return Dynamics(losses=tuple(losses), **found)


@_reads("sinabs.layers", "iaf.IAF", "iaf.IAFSqueeze")
def _sinabs_iaf(layer: Any) -> Dynamics:
    return _sinabs(layer, kind="IF")


def _sinabs_leak(layer: Any) -> dict[str, Any]:
    alpha = _number(layer.alpha_mem_calculated)
    return {"decay": alpha, "gain": 1 - alpha if layer.norm_input else 1.0}


@_reads("sinabs.layers", "lif.LIF", "lif.LIFSqueeze")
def _sinabs_lif(layer: Any) -> Dynamics:
    return _sinabs(layer, kind="LIF", **_sinabs_leak(layer))


@_reads("sinabs.layers", "exp_leak.ExpLeak", "exp_leak.ExpLeakSqueeze")
def _sinabs_leaky(layer: Any) -> Dynamics:
    return _sinabs(layer, kind="LI", **_sinabs_leak(layer))
