"""Every recognised class beside its equation, written once more from its documentation, on numbers that count.

An equation takes the state (a list of numbers, changed in place), the input of one step and the meter, and returns
what the neuron puts out. Constants are folded; a reset to a constant selects and costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from metered import Meter, Num
from torch import nn

Step = Callable[[list[Any], Num, Meter], float]


@dataclass(frozen=True)
class Case:
    simulator: str
    make: Callable[[Any], nn.Module]
    """Takes the imported module of that name."""
    step: Step
    state: tuple[float | bool, ...] = (0.0,)
    """At rest: numbers, and whether the neuron has just fired."""
    late: bool = False
    """A spike pays for its reset in the next time step."""


def first_order(
    leak: float = 1.0,
    gain: float = 1.0,
    offset: float = 0.0,
    reset: float | None = 0.0,
    threshold: float = 1.0,
    ternary: bool = False,
) -> Step:
    """V <- leak V + gain X + offset, terms and factors of 0 or 1 left out; reset None subtracts the threshold."""

    def step(s: list[Any], x: Num, m: Meter) -> float:
        v = (s[0] if leak == 1 else leak * s[0]) + (x if gain == 1 else gain * x)
        v = v + offset if offset else v
        fired = float(v.reaches(threshold))
        if ternary and Num(-v.value, m).reaches(threshold):
            fired = -1.0
        if fired:
            with m.for_the_spike():
                v = v - fired * threshold if reset is None else Num(reset, m)
        s[0] = v
        return fired

    return step


def late_subtract(leak: float = 1.0, gain: float = 1.0) -> Step:
    """snnTorch subtracts one step later, after the leak."""

    def step(s: list[Any], x: Num, m: Meter) -> float:
        v = (s[0] if leak == 1 else leak * s[0]) + (x if gain == 1 else gain * x)
        if s[1]:
            with m.for_the_spike():
                v = v - 1.0
        s[:] = [v, v.reaches(1.0)]
        return float(s[1])

    return step


def synaptic(s: list[Any], x: Num, m: Meter) -> float:
    i = 0.9 * s[0] + x
    v = 0.8 * s[1] + i
    if s[2]:
        with m.for_the_spike():
            v = v - 1.0
    s[:] = [i, v, v.reaches(1.0)]
    return float(s[2])


def alpha(s: list[Any], x: Num, m: Meter) -> float:
    tau = math.log(0.9) / (math.log(0.8) - math.log(0.9)) + 1
    e, n = 0.9 * s[0] + x, 0.8 * s[1] - x
    u = tau * (e + n)
    if s[2]:
        e, n, u = Num(0.0, m), Num(0.0, m), Num(0.0, m)
    s[:] = [e, n, u.reaches(0.05)]
    return float(s[2])


def cuba(s: list[Any], x: Num, m: Meter) -> float:
    c = 0.5 * s[0] + x
    v = 0.75 * s[1] + c
    fired = v.reaches(0.5)
    s[:] = [c, Num(0.0, m) if fired else v]
    return float(fired)


def qif(rest: float) -> Step:
    def step(s: list[Any], x: Num, m: Meter) -> float:
        v = s[0]
        v = v + 0.5 * (x + 0.9 * ((v - rest if rest else v) * (v - 0.8)))
        fired = v.reaches(1.0)
        s[0] = Num(-0.1, m) if fired else v
        return float(fired)

    return step


def izhikevich(rest: float) -> Step:
    def step(s: list[Any], x: Num, m: Meter) -> float:
        v, w = s
        v = v + 0.5 * (x + 0.9 * ((v - rest if rest else v) * (v - 0.8)) - w)
        w = 0.75 * w + (0.2 / 4) * (v - rest if rest else v)
        fired = v.reaches(1.0)
        if fired:
            with m.for_the_spike():
                w = w + 0.3
        s[:] = [Num(0.0, m) if fired else v, w]
        return float(fired)

    return step


def norse_lif(s: list[Any], x: Num, m: Meter, leak: float = 0.0) -> float:
    v, i = s
    j = i + x
    v = 0.9 * v + 0.1 * j
    v = v + 0.1 * leak if leak else v
    i = 0.8 * j
    fired = v.reaches(1.0)
    s[:] = [Num(0.0, m) if fired else v, i]
    return float(fired)


def norse_refractory(s: list[Any], x: Num, m: Meter) -> float:
    v, i, rho = s
    inner = [v, i]
    fired = norse_lif(inner, x, m)
    resting = rho.reaches(1.0)
    rho = rho - float(resting)
    if resting:
        inner[0], fired = v, 0.0
    s[:] = [*inner, Num(5.0, m) if fired else rho]
    return fired


def norse_adaptive(s: list[Any], x: Num, m: Meter) -> float:
    v, i, b = s
    v = 0.9 * v + 0.1 * i
    i = 0.8 * i + x
    b = (1 - 1.2e-6) * b + 1.2e-6 * 1.0
    fired = v.reaches(b)
    if fired:
        with m.for_the_spike():
            b = b + 1.8
    s[:] = [Num(0.0, m) if fired else v, i, b]
    return float(fired)


def sinabs(
    leak: float = 1.0,
    gain: float = 1.0,
    synapse: float | None = None,
    several: bool = False,
    subtract: bool = True,
    floor: float | None = None,
) -> Step:
    def step(s: list[Any], x: Num, m: Meter) -> float:
        if synapse is not None:
            x = s[1] = synapse * (s[1] + x)
        v = (s[0] if leak == 1 else leak * s[0]) + (x if gain == 1 else gain * x)
        spikes = v.times_reached(1.0) if several else int(v.reaches(1.0))
        if spikes:
            with m.for_the_spike():
                v = v - spikes * 1.0 if subtract else Num(0.0, m)
        s[0] = v if floor is None else v.held_above(floor)
        return float(spikes)

    return step


def sinabs_adaptive(s: list[Any], x: Num, m: Meter) -> float:
    v = 0.9 * s[0] + (1 - 0.9) * x
    threshold = 1.8 * s[1] + 0.3
    fired = v.reaches(threshold)
    b = 0.7 * s[1]
    if fired:
        with m.for_the_spike():
            v = v - threshold
            b = b + (1 - 0.7)
    s[:] = [v, b]
    return float(fired)


def _tau(alpha: float) -> float:
    """The time constant whose decay for one step is alpha."""
    return -1 / math.log(alpha)


SNN, SJ, NORSE, SINABS = "snntorch", "spikingjelly.activation_based.neuron", "norse.torch", "sinabs.layers"


def _activation() -> Any:
    import sinabs.activation

    return sinabs.activation


def _lif_parameters(norse: Any, **more: float) -> Any:
    return norse.LIFParameters(**{k: torch.tensor(v) for k, v in more.items()})


CASES: dict[str, Case] = {
    "Leaky": Case(SNN, lambda p: p.Leaky(beta=0.9, init_hidden=True), late_subtract(0.9), (0.0, False), late=True),
    "Leaky to zero": Case(
        SNN, lambda p: p.Leaky(beta=0.9, reset_mechanism="zero", init_hidden=True), first_order(leak=0.9)
    ),
    "Leaky, no leak": Case(
        SNN, lambda p: p.Leaky(beta=1.0, init_hidden=True), late_subtract(), (0.0, False), late=True
    ),
    "Lapicque": Case(
        SNN,
        lambda p: p.Lapicque(R=2.0, C=3.0, reset_mechanism="subtract", init_hidden=True),
        late_subtract(1 - 1 / 6, 1 / 3),
        (0.0, False),
        late=True,
    ),
    "Synaptic": Case(
        SNN, lambda p: p.Synaptic(alpha=0.9, beta=0.8, init_hidden=True), synaptic, (0.0, 0.0, False), late=True
    ),
    "Alpha": Case(
        SNN, lambda p: p.Alpha(alpha=0.9, beta=0.8, threshold=0.05, init_hidden=True), alpha, (0.0, 0.0, False)
    ),
    "IFNode": Case(SJ, lambda p: p.IFNode(), first_order()),
    "IFNode soft, multi-step": Case(SJ, lambda p: p.IFNode(v_reset=None, step_mode="m"), first_order(reset=None)),
    "IFNode reset below": Case(SJ, lambda p: p.IFNode(v_reset=-0.5), first_order(reset=-0.5), (-0.5,)),
    "HalfThresholdIFNode": Case(SJ, lambda p: p.HalfThresholdIFNode(), first_order(reset=None), (0.5,)),
    "LIFNode": Case(SJ, lambda p: p.LIFNode(tau=4.0), first_order(leak=0.75, gain=0.25)),
    "LIFNode, whole input, multi-step": Case(
        SJ, lambda p: p.LIFNode(tau=4.0, decay_input=False, step_mode="m"), first_order(leak=0.75)
    ),
    "LIFNode, rest elsewhere": Case(
        SJ,
        lambda p: p.LIFNode(tau=4.0, decay_input=False, v_reset=-0.4),
        first_order(leak=0.75, offset=-0.1, reset=-0.4),
        (-0.4,),
    ),
    "SimpleLIFNode": Case(
        SJ,
        lambda p: p.SimpleLIFNode(tau=4.0, decay_input=True, v_reset=0.0),
        first_order(leak=0.75, gain=0.25),
    ),
    "ParametricLIFNode": Case(SJ, lambda p: p.ParametricLIFNode(init_tau=4.0), first_order(leak=0.75, gain=0.25)),
    "CUBALIFNode": Case(SJ, lambda p: p.CUBALIFNode(), cuba, (0.0, 0.0)),
    "QIFNode": Case(SJ, lambda p: p.QIFNode(a0=0.9), qif(0.0), (-0.1,)),
    "QIFNode, rest elsewhere": Case(SJ, lambda p: p.QIFNode(a0=0.9, v_rest=0.2), qif(0.2), (-0.1,)),
    "IzhikevichNode": Case(
        SJ, lambda p: p.IzhikevichNode(a0=0.9, a=0.2, b=0.3, tau_w=4.0), izhikevich(-0.1), (0.0, 0.0)
    ),
    "IzhikevichNode, rest at 0": Case(
        SJ, lambda p: p.IzhikevichNode(a0=0.9, a=0.2, b=0.3, tau_w=4.0, v_rest=0.0), izhikevich(0.0), (0.0, 0.0)
    ),
    "TernaryIFNode": Case(SJ, lambda p: p.TernaryIFNode(), first_order(ternary=True)),
    "TernaryLIFNode soft": Case(
        SJ,
        lambda p: p.TernaryLIFNode(tau=4.0, decay_input=False, v_reset=None, step_mode="m"),
        first_order(leak=0.75, reset=None, ternary=True),
    ),
    "norse IAFCell": Case(NORSE, lambda p: p.IAFCell(), first_order()),
    "norse IAF": Case(NORSE, lambda p: p.IAF(), first_order()),
    "norse LIFCell": Case(NORSE, lambda p: p.LIFCell(), norse_lif, (0.0, 0.0)),
    "norse LIF": Case(NORSE, lambda p: p.LIF(), norse_lif, (0.0, 0.0)),
    "norse LIF, leak elsewhere": Case(
        NORSE,
        lambda p: p.LIF(_lif_parameters(p, v_leak=0.5)),
        lambda s, x, m: norse_lif(s, x, m, leak=0.5),
        (0.5, 0.0),
    ),
    "norse LIFBoxCell": Case(NORSE, lambda p: p.LIFBoxCell(), first_order(leak=0.9, gain=0.1)),
    "norse LIFRefracCell": Case(NORSE, lambda p: p.LIFRefracCell(), norse_refractory, (0.0, 0.0, 0.0)),
    "norse LSNNCell": Case(NORSE, lambda p: p.LSNNCell(), norse_adaptive, (0.0, 0.0, 1.0)),
    "norse LSNN": Case(NORSE, lambda p: p.LSNN(), norse_adaptive, (0.0, 0.0, 1.0)),
    "sinabs IAF": Case(SINABS, lambda p: p.IAF(), sinabs(several=True)),
    "sinabs IAF, single": Case(
        SINABS,
        lambda p: p.IAF(
            spike_fn=_activation().SingleSpike,
            reset_fn=_activation().MembraneReset(),
            min_v_mem=-0.25,
            tau_syn=_tau(0.5),
        ),
        sinabs(synapse=0.5, subtract=False, floor=-0.25),
        (0.0, 0.0),
    ),
    "sinabs LIF": Case(SINABS, lambda p: p.LIF(tau_mem=_tau(0.9)), sinabs(leak=0.9, gain=1 - 0.9, several=True)),
    "sinabs LIF, whole input": Case(
        SINABS,
        lambda p: p.LIF(tau_mem=_tau(0.9), tau_syn=_tau(0.5), norm_input=False, train_alphas=True),
        sinabs(leak=0.9, synapse=0.5, several=True),
        (0.0, 0.0),
    ),
    "sinabs ALIF": Case(
        SINABS,
        lambda p: p.ALIF(tau_mem=_tau(0.9), tau_adapt=_tau(0.7), spike_threshold=torch.tensor(0.3)),
        sinabs_adaptive,
        (0.0, 0.0),
    ),
}
