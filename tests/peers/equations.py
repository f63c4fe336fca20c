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
    late: bool | int = False
    """A spike pays for its reset in the next time step; a number: for so many of its additions."""
    spiking: bool = True
    trailing: int = 0
    """Axes of size 1 that the class wants behind the neurons."""


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


def fed_back(leak: float, weight: float, one_to_one: bool, subtract: bool = True) -> Step:
    """A recurrent neuron whose own spike comes back: to itself alone, or as one term of a product with all spikes."""

    def step(s: list[Any], x: Num, m: Meter) -> float:
        v = leak * s[0] + x
        if not one_to_one:
            v = v + weight * s[1]
        elif s[1]:
            with m.for_the_spike():
                v = v + weight
        if s[1] and subtract:
            with m.for_the_spike():
                v = v - 1.0
        fired = v.reaches(1.0)
        s[:] = [Num(0.0, m) if fired and not subtract else v, fired]
        return float(fired)

    return step


def fed_back_synaptic(s: list[Any], x: Num, m: Meter) -> float:
    i = 0.9 * s[0] + x + 0.5 * s[2]
    v = 0.8 * s[1] + i
    if s[2]:
        with m.for_the_spike():
            v = v - 1.0
    s[:] = [i, v, v.reaches(1.0)]
    return float(s[2])


def delta(s: list[Any], x: Num, m: Meter) -> float:
    v = 0.9 * s[0] + x
    change = v - s[0]
    s[0] = v
    up, down = change.reaches(1.0), Num(-change.value, m).reaches(1.0)
    return float(up or down)


def klif(scale_reset: bool) -> Step:
    def step(s: list[Any], x: Num, m: Meter) -> float:
        v = ((2.0 * 0.75) * s[0] + (2.0 * 0.25) * x).held_above(0.0)
        fired = v.reaches(1.0)
        v = 0.5 * v if scale_reset else v
        s[0] = Num(0.0, m) if fired else v
        return float(fired)

    return step


def ilif(s: list[Any], x: Num, m: Meter) -> float:
    v = 0.25 * s[0] + x
    spikes = v.times_reached(1.0, most=4)
    if spikes:
        with m.for_the_spike():
            v = v - spikes * 1.0
    s[0] = v
    return float(spikes)


def gated(s: list[Any], x: Num, m: Meter) -> float:
    """Every gate at one half: a = 3/4 or, after a spike, 3/8; c = 3/4; d = f = 1/4."""
    v = (0.375 if s[1] else 0.75) * s[0] + 0.75 * x - 0.25
    if s[1]:
        with m.for_the_spike():
            v = v - 0.25
    s[:] = [v, v.reaches(0.5)]
    return float(s[1])


def resonate(s: list[Any], x: Num, m: Meter) -> float:
    u, v = s
    cos, sin = math.exp(-0.2) * math.cos(1.0), math.exp(-0.2) * math.sin(1.0)
    u, v = cos * u - sin * v + x, sin * u + cos * v
    fired = v.reaches(1.0)
    s[:] = [u, Num(0.0, m) if fired else v]
    return float(fired)


def dsr(leak: float, gain: float, height: float) -> Step:
    """Fires at half the threshold, of 1, and subtracts all of it."""

    def step(s: list[Any], x: Num, m: Meter) -> float:
        v = (s[0] if leak == 1 else leak * s[0]) + (x if gain == 1 else gain * x)
        fired = v.reaches(0.5)
        if fired:
            with m.for_the_spike():
                v = v - 1.0
        s[0] = v
        return height * fired

    return step


def bipolar(threshold: float) -> Step:
    """Counts its spikes, and fires up or down while the count stays within its levels, here 0 to 15."""

    def step(s: list[Any], x: Num, m: Meter) -> float:
        q, count = s
        q = q + (x if threshold == 1 else (1 / threshold) * x)
        # All four comparisons are made, as a circuit would; "below" is the opposite of "reaches".
        up, down = q.reaches(1.0), not q.reaches(0.0)
        low, high = not count.reaches(15.0), count.reaches(1.0)
        fired = float(up and low) - float(down and high)
        if fired:
            with m.for_the_spike():
                count, q = count + fired, q - fired
        s[:] = [q, count]
        return threshold * fired

    return step


def eif(slope: float, rest: float) -> Step:
    def step(s: list[Any], x: Num, m: Meter) -> float:
        v = s[0]
        steep = (v if slope == 1 else (1 / slope) * v).exp()
        v = 0.5 * v + 0.5 * x + (0.5 * slope * math.exp(-0.8 / slope)) * steep
        v = v + 0.5 * rest if rest else v
        fired = v.reaches(1.0)
        s[0] = Num(-0.1, m) if fired else v
        return float(fired)

    return step


def norse_exponential(s: list[Any], x: Num, m: Meter, leak: float = 0.0, adapts: bool = False) -> float:
    v, i = s[:2]
    j = i + x
    upswing = (0.5 * math.exp(-2.0)) * (2.0 * v).exp() + j
    after = 0.9 * v + 0.1 * (upswing - s[2] if adapts else upswing)
    after = after + 0.1 * leak if leak else after
    s[1] = 0.8 * j
    if adapts:
        s[2] = 0.998 * s[2] + 0.008 * v
        s[2] = s[2] + -0.008 * leak if leak else s[2]
    fired = after.reaches(1.0)
    if fired and adapts:
        with m.for_the_spike():
            s[2] = s[2] + 0.02
    s[0] = Num(0.0, m) if fired else after
    return float(fired)


def norse_held_exponential(s: list[Any], x: Num, m: Meter) -> float:
    """A neuron at rest after a spike keeps its membrane; its adaptation goes on, a hidden spike's with it."""
    inner, rho = s[:3], s[3]
    before = inner[0]
    adds = m.spike_adds
    fired = norse_exponential(inner, x, m, adapts=True)
    resting = rho.reaches(1e-9)
    rho = rho - float(resting)
    if resting:
        inner[0], fired = before, 0.0
        m.spike_adds = adds
    s[:] = [*inner, Num(5.0, m) if fired else rho]
    return fired


def norse_izhikevich(s: list[Any], x: Num, m: Meter) -> float:
    v, u = s
    after = v * ((0.25 * 0.04) * v + (1 + 0.25 * 5)) + 0.25 * (x - u) + 0.25 * 140
    u = (1 - 0.25 * 0.02) * u + (0.25 * 0.02 * 0.2) * v
    fired = after.reaches(30.0)
    if fired:
        with m.for_the_spike():
            u = u + 8.0
    s[:] = [Num(-65.0, m) if fired else after, u]
    return float(fired)


def norse_recurrent(s: list[Any], x: Num, m: Meter) -> float:
    """Input weights of 1, recurrent weights of 1/2 from each neuron to itself."""
    inner = s[:2]
    fired = norse_lif(inner, x + 0.5 * s[2], m)
    s[:] = [*inner, bool(fired)]
    return fired


def norse_integrator(s: list[Any], x: Num, m: Meter) -> float:
    v, i = s
    j = i + x
    s[:] = [0.9 * v + 0.1 * j, 0.8 * j]
    return float(s[0].value)


def integrator(leak: float = 1.0, gain: float = 1.0) -> Step:
    def step(s: list[Any], x: Num, m: Meter) -> float:
        s[0] = (s[0] if leak == 1 else leak * s[0]) + (x if gain == 1 else gain * x)
        return float(s[0].value)

    return step


def rockpool(synapse: float | None, bias: float = 0.0, adapts: bool = False, fed: bool = False) -> Step:
    def step(s: list[Any], x: Num, m: Meter) -> float:
        v, i, a, spikes = s
        if fed:
            x = x + 0.5 * spikes
        if synapse is not None:
            x = i = synapse * (i + x)
        v = 0.9 * v + x
        if adapts:
            if spikes:
                with m.for_the_spike():
                    a = a + -0.25 * spikes
            a = math.exp(-0.5) * a
            v = v + a
        v = v + bias if bias else v
        fired = v.times_reached(1.0)
        if fired:
            with m.for_the_spike():
                v = v - fired * 1.0
        s[:] = [v, i, a, fired]
        return float(fired)

    return step


def rockpool_integrator(s: list[Any], x: Num, m: Meter) -> float:
    s[0] = math.exp(-0.5) * (s[0] + x)
    return float(s[0].value)


def _tau(alpha: float) -> float:
    """The time constant whose decay for one step is alpha."""
    return -1 / math.log(alpha)


SNN, SJ, NORSE, SINABS = "snntorch", "spikingjelly.activation_based.neuron", "norse.torch", "sinabs.layers"
ROCKPOOL = "rockpool.nn.modules.torch"
NEURONS, STEPS = 6, 40
"""Size of the layer and of the run."""


def _to_itself(weight: float) -> torch.Tensor:
    return weight * torch.eye(NEURONS)


def _snn_recurrent(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        module.recurrent.weight.copy_(_to_itself(0.5))
        module.recurrent.bias.zero_()
    return module


def _sinabs_recurrent(weight: float = 0.5) -> nn.Module:
    connect = nn.Linear(NEURONS, NEURONS, bias=False)
    with torch.no_grad():
        connect.weight.copy_(_to_itself(weight))
    return connect


def _norse_recurrent(made: Any, *args: Any, **options: Any) -> nn.Module:
    weights = {"input_weights": _to_itself(1.0), "recurrent_weights": _to_itself(0.5)}
    weights = {name: nn.Parameter(weight) for name, weight in weights.items()}
    return made(NEURONS, NEURONS, *args, autapses=True, **weights, **options)


def _half_gates(node: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in node.parameters():
            parameter.zero_()
    return node


def _klif(p: Any, **options: Any) -> nn.Module:
    node = p.KLIFNode(tau=4.0, **options)
    with torch.no_grad():
        node.k.fill_(2.0)
    return node


def _izhikevich(p: Any) -> Any:
    from norse.torch.functional.izhikevich import IzhikevichParameters, IzhikevichSpikingBehavior, IzhikevichState

    return IzhikevichSpikingBehavior(
        p=IzhikevichParameters(a=0.02, b=0.2, c=-65.0, d=8.0),
        s=IzhikevichState(v=torch.tensor(20.0, requires_grad=True), u=torch.tensor(-13.0)),
    )


def _norse_class(module: str, name: str) -> Any:
    import importlib

    return getattr(importlib.import_module(f"norse.torch.module.{module}"), name)


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

_STILL: dict[str, Any] = {"spiking": False}
CASES |= {
    "RLeaky": Case(
        SNN,
        lambda p: _snn_recurrent(p.RLeaky(beta=0.9, linear_features=NEURONS, init_hidden=True)),
        fed_back(0.9, 0.5, one_to_one=False),
        (0.0, False),
        late=True,
    ),
    "RLeaky to zero at once": Case(  # its back end multiplies the spikes twice in each time step
        SNN,
        lambda p: _snn_recurrent(
            p.RLeaky(beta=0.9, linear_features=NEURONS, reset_mechanism="zero", reset_delay=False, init_hidden=True)
        ),
        fed_back(0.9, 0.5, one_to_one=False, subtract=False),
        (0.0, False),
    ),
    "RLeaky, one to one": Case(
        SNN,
        lambda p: p.RLeaky(beta=0.9, V=0.5, all_to_all=False, init_hidden=True),
        fed_back(0.9, 0.5, one_to_one=True),
        (0.0, False),
        late=True,
    ),
    "RSynaptic": Case(
        SNN,
        lambda p: _snn_recurrent(p.RSynaptic(alpha=0.9, beta=0.8, linear_features=NEURONS, init_hidden=True)),
        fed_back_synaptic,
        (0.0, 0.0, False),
        late=True,
    ),
    "DeltaLeaky": Case(SNN, lambda p: p.DeltaLeaky(beta=0.9, init_hidden=True), delta),
    "Leaky, a decay for each neuron": Case(
        SNN,
        lambda p: p.Leaky(beta=torch.full((1, NEURONS), 0.9), learn_beta=True, init_hidden=True),
        late_subtract(0.9),
        (0.0, False),
        late=True,
    ),
    "EIFNode": Case(SJ, lambda p: p.EIFNode(), eif(1.0, 0.0), (-0.1,)),
    "EIFNode, gentler, multi-step": Case(
        SJ, lambda p: p.EIFNode(delta_T=2.0, v_rest=0.2, step_mode="m"), eif(2.0, 0.2), (-0.1,)
    ),
    "KLIFNode": Case(SJ, _klif, klif(False)),
    "KLIFNode scaled back": Case(SJ, lambda p: _klif(p, scale_reset=True, step_mode="m"), klif(True)),
    "ILIFNode": Case(SJ, lambda p: p.ILIFNode(), ilif),
    "GatedLIFNode": Case(
        SJ, lambda p: _half_gates(p.GatedLIFNode(T=STEPS)), gated, (0.0, False), late=True, trailing=2
    ),
    "RAFNode": Case(SJ, lambda p: p.RAFNode(), resonate, (0.0, 0.0)),
    "ActivationAwareIFNode": Case(
        SJ,
        lambda p: p.ActivationAwareIFNode(v_threshold=torch.full((NEURONS,), 1.25), v_offset=0.25, v_reset=0.0),
        first_order(),
    ),
    "STBIFNode": Case(SJ, lambda p: p.STBIFNode(0.5, level=16), bipolar(0.5), (0.5, 0.0)),
    "STBIFNode of unit threshold, multi-step": Case(
        SJ, lambda p: p.STBIFNode(1.0, level=16, step_mode="m"), bipolar(1.0), (0.5, 0.0)
    ),
    "OTTTLIFNode": Case(SJ, lambda p: p.OTTTLIFNode(tau=4.0), first_order(leak=0.75, reset=None)),
    "SLTTLIFNode": Case(SJ, lambda p: p.SLTTLIFNode(tau=4.0), first_order(leak=0.75, gain=0.25)),
    "DSRIFNode": Case(SJ, lambda p: p.DSRIFNode(T=STEPS, v_threshold=1.0), dsr(1.0, 1.0, 1.0)),
    "DSRLIFNode": Case(
        SJ,
        lambda p: p.DSRLIFNode(T=STEPS, tau=0.5, delta_t=0.25, alpha=0.5),
        dsr(math.exp(-0.5), 1 - math.exp(-0.5), 4.0),
    ),
    "NonSpikingIFNode": Case(SJ, lambda p: p.NonSpikingIFNode(), integrator(), **_STILL),
    "NonSpikingLIFNode": Case(SJ, lambda p: p.NonSpikingLIFNode(tau=4.0), integrator(0.75, 0.25), **_STILL),
    "norse LIFExCell": Case(NORSE, lambda p: p.LIFExCell(), norse_exponential, (0.0, 0.0)),
    "norse LIFEx": Case(NORSE, lambda p: p.LIFEx(), norse_exponential, (0.0, 0.0)),
    "norse LIFAdExCell": Case(
        NORSE, lambda p: p.LIFAdExCell(), lambda s, x, m: norse_exponential(s, x, m, adapts=True), (0.0, 0.0, 0.0)
    ),
    "norse LIFAdEx": Case(
        NORSE, lambda p: p.LIFAdEx(), lambda s, x, m: norse_exponential(s, x, m, adapts=True), (0.0, 0.0, 0.0)
    ),
    "norse LIFAdExRefracCell": Case(
        NORSE, lambda p: _norse_class("lif_adex_refrac", "LIFAdExRefracCell")(), norse_held_exponential, (0.0,) * 4
    ),
    "norse IzhikevichCell": Case(NORSE, lambda p: p.IzhikevichCell(_izhikevich(p)), norse_izhikevich, (20.0, -13.0)),
    "norse LIFRecurrentCell": Case(
        NORSE, lambda p: _norse_recurrent(p.LIFRecurrentCell), norse_recurrent, (0.0, 0.0, False)
    ),
    "norse LIFRecurrent": Case(NORSE, lambda p: _norse_recurrent(p.LIFRecurrent), norse_recurrent, (0.0, 0.0, False)),
    "norse LICell": Case(NORSE, lambda p: p.LICell(), norse_integrator, (0.0, 0.0), **_STILL),
    "norse LI": Case(NORSE, lambda p: p.LI(), norse_integrator, (0.0, 0.0), **_STILL),
    "norse LIBoxCell": Case(
        NORSE, lambda p: _norse_class("leaky_integrator_box", "LIBoxCell")(), integrator(0.9, 0.1), **_STILL
    ),
    "sinabs LIFRecurrent": Case(
        SINABS,
        lambda p: p.LIFRecurrent(
            tau_mem=_tau(0.9),
            rec_connect=_sinabs_recurrent(),
            norm_input=False,
            spike_fn=_activation().SingleSpike,
            reset_fn=_activation().MembraneReset(),
        ),
        fed_back(0.9, 0.5, one_to_one=False, subtract=False),
        (0.0, False),
    ),
    "sinabs IAFRecurrent": Case(
        SINABS,
        lambda p: p.IAFRecurrent(
            rec_connect=_sinabs_recurrent(-0.5),
            spike_fn=_activation().SingleSpike,
            reset_fn=_activation().MembraneReset(),
        ),
        lambda s, x, m: _fed_back_integrate(s, x, m),
        (0.0, False),
    ),
    "sinabs ExpLeak": Case(SINABS, lambda p: p.ExpLeak(tau_mem=_tau(0.9)), integrator(0.9), **_STILL),
    "sinabs ExpLeak, normalised": Case(
        SINABS, lambda p: p.ExpLeak(tau_mem=_tau(0.9), norm_input=True), integrator(0.9, 1 - 0.9), **_STILL
    ),
    "rockpool LIFTorch": Case(
        ROCKPOOL,
        lambda p: p.LIFTorch(NEURONS, leak_mode="decays", alpha=_same(0.9), beta=_same(0.8, 1)),
        rockpool(0.8),
        (0.0, 0.0, 0.0, False),
    ),
    "rockpool LIFTorch, biased and recurrent": Case(
        ROCKPOOL,
        lambda p: p.LIFTorch(
            NEURONS,
            leak_mode="decays",
            alpha=_same(0.9),
            beta=_same(0.8, 1),
            bias=_same(0.125),
            has_rec=True,
            w_rec=_to_itself(0.5),
        ),
        rockpool(0.8, bias=0.125, fed=True),
        (0.0, 0.0, 0.0, False),
    ),
    "rockpool aLIFTorch": Case(
        ROCKPOOL,
        lambda p: p.aLIFTorch(
            NEURONS,
            leak_mode="decays",
            alpha=_same(0.9),
            beta=_same(0.8, 1),
            w_ahp=_same(-0.25),
            tau_ahp=_same(0.002),
        ),
        rockpool(0.8, adapts=True),
        (0.0, 0.0, 0.0, False),
        late=1,
    ),
    "rockpool LIFNeuronTorch": Case(
        ROCKPOOL,
        lambda p: p.LIFNeuronTorch(NEURONS, tau_mem=_same(-0.001 / math.log(0.9)), bias=_same(0.0)),
        rockpool(None),
        (0.0, 0.0, 0.0, False),
    ),
    "rockpool ExpSynTorch": Case(
        ROCKPOOL, lambda p: p.ExpSynTorch(NEURONS, tau=_same(0.002)), rockpool_integrator, **_STILL
    ),
}


def _same(value: float, *axes: int) -> torch.Tensor:
    return torch.full((NEURONS, *axes), value)


def _fed_back_integrate(s: list[Any], x: Num, m: Meter) -> float:
    v = s[0] + x + -0.5 * s[1]
    fired = v.reaches(1.0)
    s[:] = [Num(0.0, m) if fired else v, fired]
    return float(fired)
