"""Neurons that nobody registered: what is detected by its behaviour, and what must not be."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from agree import trace
from torch import Tensor, nn

import snn_energy as se
from snn_energy.counting.recorder import Recorder
from snn_energy.models.neurons import LIF
from snn_energy.models.spiking_cnn import SpikingCNN

STEPS, SAMPLES, WIDTH = 5, 3, 4


def current() -> Tensor:
    """`t n f`, real-valued: some neurons fire, some do not."""
    return 1.5 * torch.rand(STEPS, SAMPLES, WIDTH, generator=torch.Generator().manual_seed(2)) - 0.2


def fired(x: Tensor, leak: float = 0.5) -> list[int]:
    """Spikes of each step of independent neurons that are reset to zero, by plain loops."""
    membrane = [0.0] * x[0].numel()
    steps = []
    for now in x.flatten(1).tolist():
        count = 0
        for i, drive in enumerate(now):
            membrane[i] = leak * membrane[i] + drive
            if membrane[i] >= 1:
                count, membrane[i] = count + 1, 0.0
        steps.append(count)
    return steps


# -- neurons by hand --------------------------------------------------------------------------------------------------


class Attribute(nn.Module):
    """State in a plain attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.membrane: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.membrane is None:
            self.membrane = torch.zeros_like(x)
        charged = 0.5 * self.membrane + x
        spikes = (charged >= 1).float()
        self.membrane = charged * (1 - spikes)
        return spikes


class Buffer(nn.Module):
    """State in a registered buffer, written in place."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("membrane", torch.zeros(SAMPLES, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        self.membrane.mul_(0.5).add_(x)
        spikes = (self.membrane >= 1).float()
        self.membrane.mul_(1 - spikes)
        return spikes


class Surrogate(nn.Module):
    """A stateless threshold, as a module of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return (x >= 1).to(x.dtype)


class WithSurrogate(Attribute):
    """Fires through a child."""

    def __init__(self) -> None:
        super().__init__()
        self.fire = Surrogate()

    def forward(self, x: Tensor) -> Tensor:
        before = torch.zeros_like(x) if self.membrane is None else self.membrane
        charged = 0.5 * before + x
        spikes = self.fire(charged)
        self.membrane = charged * (1 - spikes)
        return spikes


@dataclass
class State:
    membrane: Tensor


class Returned(nn.Module):
    """State handed in and out, in a dataclass."""

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        charged = x if state is None else 0.5 * state.membrane + x
        spikes = (charged >= 1).float()
        return spikes, State(charged * (1 - spikes))


class Steps(nn.Module):
    """A single-step neuron through time."""

    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.neuron = neuron

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.neuron(now) for now in x])


class HandedSteps(Steps):
    """The same with the state outside."""

    def forward(self, x: Tensor) -> Tensor:
        state, out = None, []
        for now in x:
            spikes, state = self.neuron(now, state)
            out.append(spikes)
        return torch.stack(out)


class Loop(nn.Module):
    """All time steps in one call, time on axis 0."""

    def forward(self, x: Tensor) -> Tensor:
        membrane, out = torch.zeros_like(x[0]), []
        for t in range(x.shape[0]):
            membrane = 0.5 * membrane + x[t]
            spikes = (membrane >= 1).float()
            membrane = membrane * (1 - spikes)
            out.append(spikes)
        return torch.stack(out)


class Dynamics(torch.autograd.Function):
    """The last axis is time; results are written into a buffer, as slayer does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        spikes = torch.zeros_like(x)
        membrane = torch.zeros_like(x[..., 0])
        for t in range(x.shape[-1]):
            membrane = 0.5 * membrane + x[..., t]
            spikes[..., t] = (membrane >= 1).to(x.dtype)
            membrane = membrane * (1 - spikes[..., t])
        return spikes


class Slayer(nn.Module):
    """All time steps in one call, time on the last axis, by a function of autograd."""

    def forward(self, x: Tensor) -> Tensor:
        return Dynamics.apply(x)


class LeakyIntegration(torch.autograd.Function):
    """A filter over the last axis that a threshold resets, if there is one; all its membranes are written down."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, decay: float, threshold: float | None) -> Tensor:
        out, now = torch.zeros_like(x), torch.zeros_like(x[..., 0])
        for t in range(x.shape[-1]):
            now = decay * now + x[..., t]
            out[..., t] = now
            if threshold is not None:
                now = now * (now < threshold)
        return out


class TwoFilters(nn.Module):
    """Current, then membrane, then one threshold for all time steps: the spikes come last, and at once."""

    def forward(self, x: Tensor) -> Tensor:
        drive = LeakyIntegration.apply(x, 0.0, None)
        return (LeakyIntegration.apply(drive, 0.5, 1.0) >= 1).to(x.dtype)


class Whole(Steps):
    """A multi-step neuron; time is moved to `axis` for it."""

    def __init__(self, neuron: nn.Module, axis: int = 0) -> None:
        super().__init__(neuron)
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(x.movedim(0, self.axis)).movedim(self.axis, 0)


HANDMADE: dict[str, Callable[[], nn.Module]] = {
    "attribute": lambda: Steps(Attribute()),
    "buffer": lambda: Steps(Buffer()),
    "with a surrogate": lambda: Steps(WithSurrogate()),
    "returned": lambda: HandedSteps(Returned()),
    "loop": lambda: Whole(Loop()),
    "loop, time last": lambda: Whole(Slayer(), -1),
    "filters, threshold last": lambda: Whole(TwoFilters(), -1),
}


@pytest.mark.parametrize("name", HANDMADE)
def test_detected(name: str) -> None:
    x = current()
    counts = trace(HANDMADE[name](), x, samples=SAMPLES, strict=True)
    (neuron,) = counts.neurons
    assert (neuron.name, neuron.kind) == ("neuron", "detected")
    assert neuron.updates == STEPS * SAMPLES * WIDTH
    assert list(neuron.spikes_per_step) == fired(x)
    assert 0 < neuron.spikes < neuron.updates
    assert (neuron.state_elements, neuron.state_variables) == (WIDTH, 1)
    assert (neuron.adds, neuron.muls, neuron.compares, neuron.specials) == (0, 0, 0, 0)
    assert counts.time_steps == STEPS


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", HANDMADE)
def test_in_every_precision(name: str, dtype: torch.dtype) -> None:
    x = current().to(dtype)
    out: list[Tensor] = []
    (neuron,) = trace(HANDMADE[name]().to(dtype), x, samples=SAMPLES, on_output=out.append).neurons
    assert (neuron.kind, neuron.spikes) == ("detected", int(out[0].count_nonzero()))


class Doubled(LIF):
    """A registered neuron whose meaning a subclass changes."""

    def forward(self, current: Tensor) -> Tensor:
        return super().forward(2 * current)


def test_a_subclass_of_another_meaning() -> None:
    (neuron,) = trace(Whole(Doubled(decay=0.5)), current(), samples=SAMPLES).neurons
    assert (neuron.name, neuron.kind) == ("neuron", "detected")
    assert list(neuron.spikes_per_step) == fired(2 * current())


def test_an_integrator_that_is_silent_at_first() -> None:
    class Late(Attribute):
        """Its first results are all zero, as those of a neuron at rest."""

        def forward(self, x: Tensor) -> Tensor:
            self.membrane = x if self.membrane is None else 0.5 * self.membrane + x
            return self.membrane

    x = torch.cat([torch.zeros(4, SAMPLES, WIDTH), current()])
    assert trace(Steps(Late()), x, samples=SAMPLES).neurons == ()


def test_spikes_at_first_and_numbers_later() -> None:
    class Turning(Attribute):
        def forward(self, x: Tensor) -> Tensor:
            spikes = super().forward(x)
            assert self.membrane is not None
            return spikes if (x > 0).all() else self.membrane

    x = current().abs() + 0.6
    assert len(trace(Steps(Turning()), x, samples=SAMPLES).neurons) == 1
    x[-1] = -x[-1]
    assert trace(Steps(Turning()), x, samples=SAMPLES).neurons == ()


def test_its_operators_stay_counted_and_are_charged_once() -> None:
    x = current()
    counts = trace(Steps(Attribute()), x, samples=SAMPLES)
    elements = STEPS * SAMPLES * WIDTH
    # Each step of each neuron: leak, input, threshold, 1 - S, reset.
    assert sum(item.adds for item in counts.elementwise) == 2 * elements
    assert sum(item.muls for item in counts.elementwise) == 2 * elements
    assert sum(item.compares for item in counts.elementwise) == elements
    report = se.price(counts, hardware="horowitz-45nm-fp32")
    assert [row.energy_pj for row in report.rows if row.part == "neurons"] == [0]
    assert report.energy_pj > 0


def test_two_state_variables() -> None:
    class Synaptic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.state: tuple[Tensor, Tensor] | None = None

        def forward(self, x: Tensor) -> Tensor:
            current, membrane = (torch.zeros_like(x),) * 2 if self.state is None else self.state
            current = 0.5 * current + x
            membrane = 0.5 * membrane + current
            spikes = (membrane >= 1).float()
            self.state = (current, membrane - spikes)
            return spikes

    (neuron,) = trace(Steps(Synaptic()), current(), samples=SAMPLES).neurons
    assert (neuron.state_variables, neuron.state_elements) == (2, 2 * WIDTH)
    assert neuron.state_reads == 2 * neuron.updates


def test_integer_and_signed_spikes() -> None:
    class Graded(Attribute):
        def forward(self, x: Tensor) -> Tensor:
            charged = x if self.membrane is None else self.membrane + 3 * x
            spikes = charged.round().clamp(-2, 4)
            self.membrane = charged - spikes
            return spikes

    out: list[Tensor] = []
    (neuron,) = trace(Steps(Graded()), current(), samples=SAMPLES, on_output=out.append).neurons
    assert len(out[0].unique()) > 3
    assert neuron.spikes == int(out[0].count_nonzero())


def test_weights_inside_stay_projections() -> None:
    class Block(Attribute):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(WIDTH, 2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(self.fc(x))

    x = (current() > 0.4).float()
    net = Steps(Block())
    nn.init.constant_(net.neuron.fc.weight, 0.6)
    counts = trace(net, x, samples=SAMPLES)
    assert counts.events == int(x.sum()) * 2
    assert [(n.name, n.updates) for n in counts.neurons] == [("neuron", STEPS * SAMPLES * 2)]


def test_a_recurrent_network_in_one_loop() -> None:
    class Net(nn.Module):
        """Spikes in, spikes out; the weights make a current in between."""

        def __init__(self) -> None:
            super().__init__()
            self.fc, self.back = nn.Linear(WIDTH, 2, bias=False), nn.Linear(2, 2, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            spikes = membrane = torch.zeros(x.shape[1], 2)
            out = []
            for now in x:
                membrane = 0.5 * membrane * (1 - spikes) + self.fc(now) + self.back(spikes)
                spikes = (membrane >= 0.5).float()
                out.append(spikes)
            return torch.stack(out)

    counts = trace(Net(), (current() > 0.4).float(), samples=SAMPLES)
    (neuron,) = counts.neurons
    assert (neuron.name, neuron.updates, neuron.time_steps) == ("(model)", STEPS * SAMPLES * 2, STEPS)
    assert len(counts.layers) == 2


# -- what is no neuron ------------------------------------------------------------------------------------------------


class Threshold(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x > 0.5).float()


class Watched(Threshold):
    """Keeps what it returned, and how much, for whoever wants to look: read by nobody in the network."""

    def __init__(self) -> None:
        super().__init__()
        self.last: Tensor | None = None
        self.total: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        spikes = super().forward(x)
        self.last = spikes
        self.total = spikes.sum() if self.total is None else self.total + spikes.sum()
        return spikes


class PerStep(nn.Module):
    """A threshold in a loop: nothing goes from one step to the next."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([(now > 0.5).float() for now in x])


class Gate(nn.Module):
    """Slices meet, but not one after another."""

    def forward(self, x: Tensor) -> Tensor:
        a, b, c = x[:3]
        return (a * b + c > 0.2).float()


class Memory(nn.Module):
    """State, but real-valued."""

    def __init__(self) -> None:
        super().__init__()
        self.state: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.state = x if self.state is None else 0.5 * self.state + x
        return self.state


class Pool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.max_pool1d(Threshold()(x), 2)


class Twice(nn.Module):
    """One threshold, applied to its own result."""

    def __init__(self) -> None:
        super().__init__()
        self.fire = Threshold()

    def forward(self, x: Tensor) -> Tensor:
        return self.fire(self.fire(x))


PLAIN: dict[str, Callable[[], nn.Module]] = {
    "threshold": lambda: Steps(Threshold()),
    "watched threshold": lambda: Steps(Watched()),
    "threshold in a loop": lambda: Whole(PerStep()),
    "gate": Gate,
    "real-valued memory": lambda: Steps(Memory()),
    "max pool over spikes": lambda: Steps(Pool()),
    "its own result again": lambda: Steps(Twice()),
}


@pytest.mark.parametrize("name", PLAIN)
def test_not_detected(name: str) -> None:
    assert trace(PLAIN[name](), current(), samples=SAMPLES, strict=True).neurons == ()


def test_containers_are_no_neurons() -> None:
    inner = nn.Sequential(Attribute(), Threshold())
    counts = trace(Steps(Steps2(inner)), current(), samples=SAMPLES)
    assert [neuron.name for neuron in counts.neurons] == ["neuron.inner.0"]
    known = trace(Whole(Whole(nn.Sequential(LIF(decay=0.5)))), current(), samples=SAMPLES)
    assert [neuron.kind for neuron in known.neurons] == ["lif"]


class Steps2(nn.Module):
    """A container of a user's own."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def test_only_what_may_be_a_neuron_is_observed() -> None:
    known = SpikingCNN(1, 3, 8, widths=(4, 6), time_steps=2)
    assert not any(Recorder(known).behaviour.watches(module) for module in known.modules())
    mixed = nn.Sequential(nn.Linear(2, 2), Memory(), Attribute(), nn.ReLU())
    recorder = Recorder(mixed)
    assert [recorder.behaviour.watches(module) for module in mixed] == [False, True, True, False]


def test_a_container_that_was_taken_for_one_is_dropped() -> None:
    """The outer module reads state of its own before the inner one can show that it has some."""

    class Outer(Attribute):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.calls = Attribute(), 0

        def forward(self, x: Tensor) -> Tensor:
            spikes = super().forward(x)
            self.calls += 1
            return self.inner(0.8 * spikes) if self.calls > 2 else spikes

    assert [neuron.name for neuron in trace(Steps(Outer()), current(), samples=SAMPLES).neurons] == ["neuron.inner"]


# -- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HANDMADE)
def test_nothing_is_left_on_the_module(name: str) -> None:
    net = HANDMADE[name]()
    plain = copy.deepcopy(net)
    with torch.no_grad():
        want = plain(current())
    got: list[Tensor] = []
    trace(net, current(), samples=SAMPLES, on_output=got.append)
    assert torch.equal(got[0], want)
    assert vars(net.neuron).keys() == vars(plain.neuron).keys()
    for tensor in (t for t in (*vars(net.neuron).values(), *net.neuron.buffers()) if isinstance(t, Tensor)):
        assert not [key for key in vars(tensor) if "energy" in key]


def test_batches_add_up() -> None:
    x = current()
    (whole,) = trace(Whole(Loop()), x, samples=SAMPLES).neurons
    (split,) = trace(Whole(Loop()), list(x.split(1, dim=1)), samples=SAMPLES).neurons
    parts = [trace(Whole(Loop()), part, samples=1) for part in x.split(1, dim=1)]
    (merged,) = (parts[0] + parts[1] + parts[2]).neurons
    assert whole.spikes_per_step == split.spikes_per_step == merged.spikes_per_step
    assert whole.updates == split.updates == merged.updates
    assert whole.state_elements == split.state_elements == merged.state_elements


def test_the_report_says_so() -> None:
    from snn_energy.reporting.facts import facts

    report = se.price(trace(Steps(Attribute()), current(), samples=SAMPLES), hardware="horowitz-45nm-fp32")
    said = dict(facts(report.to_dict()))
    assert said["detected"].startswith("neuron: a neuron by its behaviour")
    (row,) = report.to_dict()["neurons"]
    assert (row["kind"], row["state_reads"], row["state_writes"]) == ("detected", row["updates"], row["updates"])


def test_a_price_of_an_update_is_not_charged_on_top() -> None:
    hardware = se.load_hardware("horowitz-45nm-fp32")
    from dataclasses import replace

    price = next(iter(hardware.energy_pj.values()))
    with_updates = replace(hardware, energy_pj={**hardware.energy_pj, "neuron_update": price})
    counts = trace(Steps(Attribute()), current(), samples=SAMPLES)
    assert se.price(counts, with_updates).energy_pj == se.price(counts, hardware).energy_pj > 0
