"""A NIR graph as a network: its equations against plain loops, its counts against counting by hand, its refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from nir_graphs import DT, chain, numbers, stepped

import snn_energy as se
from snn_energy.errors import DataError, UsageError
from snn_energy.nirgraph import CONVENTIONS, NirGraph, NirNetwork, NirNode, find_convention

INPUTS = [0.75, 0.0, 1.5, -0.25, 2.0, 1.0, 0.5, 3.0, 0.0, 1.25]

# Time constants are powers of two of the time step, so that binary fractions stay exact on both sides.
NEURONS = {
    "I": {"r": 0.5 / DT},
    "IF": {"r": 1 / DT, "v_threshold": 1.0, "v_reset": 0.25},
    "IF from 0": {"r": 1 / DT, "v_threshold": 1.0},
    "LI": {"tau": 4 * DT, "r": 2.0, "v_leak": 0.5},
    "LIF": {"tau": 2 * DT, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0},
    "LIF, all constants": {"tau": 4 * DT, "r": 2.0, "v_leak": 0.5, "v_threshold": 1.0, "v_reset": -0.25},
    "CubaLI": {"tau_syn": 2 * DT, "tau_mem": 4 * DT, "r": 4.0, "v_leak": 0.0, "w_in": 2.0},
    "CubaLIF": {"tau_syn": 2 * DT, "tau_mem": 2 * DT, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5},
}


@pytest.mark.parametrize("name", NEURONS)
def test_neurons_follow_their_equations(name: str) -> None:
    node = NirNode(name.partition(",")[0].partition(" ")[0], {key: numbers(v) for key, v in NEURONS[name].items()})
    out = NirNetwork(chain(("n", node), shape=(1,), out=(1,)))(torch.tensor(INPUTS).reshape(-1, 1, 1))
    wanted = stepped(node, INPUTS)
    assert len(set(wanted)) > 1
    assert out.flatten().tolist() == pytest.approx(wanted, rel=1e-6)


UPDATES = {
    # name of the node above: kind, additions, multiplications, comparisons, state variables of one update, by its terms
    "I": ("integrator", 1, 1, 0, 1),  # V + g I
    "IF": ("if", 1, 0, 1, 1),  # V + I
    "LI": ("li", 2, 1 + 1, 0, 1),  # d V + g I + offset, g = 1/2
    "LIF": ("lif", 1, 1, 1, 1),  # d V + I
    "LIF, all constants": ("lif", 2, 2, 1, 1),  # d V + g I + offset
    "CubaLI": ("cuba-li", 2, 2, 0, 2),  # e I + X, d V + I: both gains are 1
    "CubaLIF": ("cuba-lif", 2, 4, 1, 2),  # e I + h X, d V + g I
}


@pytest.mark.parametrize("name", UPDATES)
def test_an_update_costs_its_terms(name: str) -> None:
    """A factor of 1 and a leak potential of 0 cost nothing."""
    node = NirNode(name.partition(",")[0], {key: numbers(v) for key, v in NEURONS[name].items()})
    trace = se.trace(NirNetwork(chain(("n", node), shape=(1,), out=(1,))), torch.ones(4, 3, 1), batch_axis=1)
    (row,) = trace.neurons
    found = (row.kind, row.update_adds, row.update_muls, row.update_compares, row.state_variables)
    assert found == UPDATES[name]
    assert (row.updates, row.state_elements, trace.elementwise) == (12, UPDATES[name][-1], ())


def test_a_parameter_for_each_neuron() -> None:
    taus, thresholds = numbers(2 * DT, 4 * DT, DT), numbers(1.0, 0.5, 2.0)
    node = NirNode("LIF", {"tau": taus, "r": numbers(2.0), "v_leak": numbers(0.0), "v_threshold": thresholds})
    network = NirNetwork(chain(("n", node), shape=(3,), out=(3,)))
    out = network(torch.tensor(INPUTS).reshape(-1, 1, 1).expand(-1, 2, 3))
    for k in range(3):
        one = NirNode("LIF", {"tau": taus[k], "r": 2.0, "v_leak": 0.0, "v_threshold": thresholds[k]})
        assert out[:, 1, k].tolist() == stepped(one, INPUTS)


def lif(threshold: float = 1.0, **more: Any) -> NirNode:
    return NirNode(
        "LIF",
        {"tau": numbers(2 * DT), "r": numbers(2.0), "v_leak": numbers(0.0), "v_threshold": numbers(threshold), **more},
    )


def linear(*rows: tuple[float, ...]) -> NirNode:
    return NirNode("Linear", {"weight": np.array(rows, dtype=np.float32)})


def test_an_edge_back_hands_over_the_spikes_of_the_last_time_step() -> None:
    """One neuron of current 1, threshold 1, decay 1/2, weight -2 from its own spike; by hand:

    V = 1: silent; 1/2 + 1: fires; 1 - 2 = -1; -1/2 + 1 = 1/2; 1/4 + 1: fires; -1; 1/2; 5/4: fires.
    """
    graph = chain(("n", lif()), shape=(1,), out=(1,), extra=(("n", "rec"), ("rec", "n")))
    nodes = {**graph.nodes, "rec": linear((-2.0,))}
    network = NirNetwork(NirGraph(nodes, graph.edges))
    x = torch.ones(8, 1, 1)
    assert network(x).flatten().tolist() == [0, 1, 0, 0, 1, 0, 0, 1]
    trace = se.trace(network, x, batch_axis=1)
    (row,) = trace.layers
    # At each of the 8 steps the weight meets the spike before: none at first, and that of the last step has no step.
    assert (row.name, row.calls, row.connections, row.events) == ("rec", 8, 8, 2)
    (neuron,) = trace.neurons
    assert (neuron.kind, neuron.updates, neuron.spikes, neuron.time_steps) == ("lif", 8, 3, 8)
    assert (neuron.update_adds, neuron.update_muls, neuron.update_compares) == (1, 1, 1)


def test_delays_are_whole_time_steps_in_and_out_of_cycles() -> None:
    x = torch.arange(1.0, 7.0).reshape(-1, 1, 1).expand(-1, 1, 2)
    delay = NirNode("Delay", {"delay": numbers(2 * DT, 0.0)})
    out = NirNetwork(chain(("d", delay), shape=(2,), out=(2,)))(x)
    assert out[:, 0, 0].tolist() == [0, 0, 1, 2, 3, 4]
    assert out[:, 0, 1].tolist() == [1, 2, 3, 4, 5, 6]
    # y_t = x_t + y_{t-2}: of the steps 1, 2, ... the sums of every second one.
    graph = chain(("s", NirNode("Scale", {"scale": numbers(1.0)})), shape=(1,), out=(1,))
    nodes = {**graph.nodes, "d": NirNode("Delay", {"delay": numbers(2 * DT)})}
    network = NirNetwork(NirGraph(nodes, (*graph.edges, ("s", "d"), ("d", "s"))))
    assert network(x[:, :, :1]).flatten().tolist() == [1, 2, 4, 6, 9, 12]
    with pytest.raises(DataError, match=r"node d \(Delay\): delays must be whole time steps of 0.0003 \(got 0.66"):
        NirNetwork(NirGraph(nodes, (*graph.edges, ("s", "d"), ("d", "s"))), dt=3e-4)


def test_several_edges_into_a_node_add_up() -> None:
    graph = chain(
        ("a", linear((1.0,), (2.0,))), ("n", lif(3.0)), shape=(1,), out=(2,), extra=(("input", "b"), ("b", "n"))
    )
    network = NirNetwork(NirGraph({**graph.nodes, "b": linear((3.0,), (1.0,))}, graph.edges))
    # Currents 4 and 3: above 3, and at 3, which is not above.
    assert network(torch.ones(1, 1, 1)).flatten().tolist() == [1, 0]
    assert NirNetwork(NirGraph({**graph.nodes, "b": linear((3.0,), (1.0,))}, graph.edges), convention="spikingjelly")(
        torch.ones(1, 1, 1)
    ).flatten().tolist() == [1, 1]


def conv(**more: Any) -> NirNode:
    fields = {
        "weight": np.ones((1, 1, 2, 2), dtype=np.float32),
        "bias": np.zeros(1, dtype=np.float32),
        "stride": np.array([1, 1]),
        "padding": np.array([0, 0]),
        "dilation": np.array([1, 1]),
        "groups": 1,
    }
    return NirNode("Conv2d", fields | more)


def pool(kind: str) -> NirNode:
    return NirNode(kind, {"kernel_size": np.array([2, 2]), "stride": np.array([2, 2]), "padding": np.array([0, 0])})


def test_a_convolutional_graph_counts_what_happens() -> None:
    """4 x 4 map, kernel 2 x 2: 9 outputs of 4 synapses. Sum pooling of 2 x 2 of the 3 x 3 map: 3 additions."""
    flatten = NirNode("Flatten", {"start_dim": 0, "end_dim": -1})
    nodes = (("conv", conv()), ("n", lif()), ("pool", pool("SumPool2d")), ("flat", flatten), ("out", linear((1.0,))))
    network = NirNetwork(chain(*nodes, shape=(1, 4, 4), out=(1,)))
    x = torch.zeros(2, 1, 1, 4, 4)
    x[0, 0, 0, 0, 0] = x[0, 0, 0, 1, 1] = 1  # the corner meets 1 kernel, the other pixel 4
    trace = se.trace(network, x, batch_axis=1)
    rows = {row.name: (row.connections, row.events) for row in trace.layers}
    # The first window sums to 2 and fires: alone, so the pooled value is 1.
    assert rows == {"conv": (2 * 36, 5), "out": (2, 1)}
    assert [(row.kind, row.adds, row.muls) for row in trace.elementwise] == [("sum_pool", 2 * 3, 0)]
    assert trace.coverage.complete


def test_images_need_time_steps_and_frames_none() -> None:
    network = NirNetwork(chain(("n", lif()), shape=(1,), out=(1,)))
    with pytest.raises(DataError, match=r"images \[N, ...\] need a number of time steps"):
        network(torch.ones(2, 1))
    network = NirNetwork(chain(("n", lif()), shape=(1,), out=(1,)), time_steps=3)
    assert network(torch.full((2, 1), 0.75)).shape == (3, 2, 1)
    network.layout = "NT"
    assert network(torch.ones(2, 5, 1)).shape == (5, 2, 1)
    with pytest.raises(DataError, match=r"expected frames \[T, N, 1\] or images \[N, 1\] \(got \[4, 2\]\)"):
        network(torch.ones(4, 2))


def test_the_twin_of_a_graph_rectifies_at_one_step() -> None:
    delay = NirNode("Delay", {"delay": numbers(DT)})
    network = NirNetwork(chain(("a", linear((1.0,))), ("n", lif()), ("d", delay), shape=(1,), out=(1,)), time_steps=4)
    twin = se.ann_twin(network)
    assert twin(torch.full((1, 1), 0.5)).flatten().tolist() == [0.5]


REFUSED: dict[str, tuple[NirGraph, str]] = {
    "an edge to nowhere": (
        chain(("n", lif()), shape=(1,), out=(1,), extra=(("n", "m"),)),
        r"edge n -> m: there is no node 'm'",
    ),
    "a cycle without a neuron": (
        chain(("a", linear((1.0,))), ("b", linear((1.0,))), shape=(1,), out=(1,), extra=(("b", "a"),)),
        r"the cycle a -> b -> a holds no neuron",
    ),
    "a shape": (
        chain(("a", linear((1.0, 2.0))), shape=(3,), out=(1,)),
        r"node a \(Linear\): its weight \[1, 2\] takes \[2\] \(got \[3\]\); check the edges",
    ),
    "a map into a matrix": (
        chain(("a", linear((1.0, 2.0, 1.0, 1.0))), shape=(1, 2, 2), out=(1,)),
        r"takes \[4\] \(got \[1, 2, 2\]\); put a Flatten before it",
    ),
    "a map of channels": (
        chain(("c", conv()), shape=(2, 4, 4), out=(1, 3, 3)),
        r"node c \(Conv2d\): its weight \[1, 1, 2, 2\] in 1 groups takes 1 channels, 2 axes more \(got \[2, 4, 4\]\)",
    ),
    "a neuron's shape": (
        chain(("n", lif(tau=numbers(DT, DT, DT))), shape=(2,), out=(2,)),
        r"node n \(LIF\): tau has shape \[3\] \(expected \[2\], the layer's, or one number\)",
    ),
    "a time constant": (
        chain(("n", lif(tau=numbers(DT / 2))), shape=(2,), out=(2,)),
        r"node n \(LIF\): tau is 5e-05, shorter than the time step 0.0001; give the --dt",
    ),
    "a field": (
        chain(("n", lif(v_peak=numbers(1.0))), shape=(1,), out=(1,)),
        r"node n \(LIF\): unknown field 'v_peak'",
    ),
    "a number": (
        chain(("n", lif(float("nan"))), shape=(1,), out=(1,)),
        r"node n \(LIF\): v_threshold holds NaN or infinity",
    ),
    "a primitive": (
        chain(("n", NirNode("Tanh")), shape=(1,), out=(1,)),
        r"node n: unknown primitive 'Tanh' \(known: Input, Output, Affine",
    ),
    "a second input": (
        NirGraph({**chain(("n", lif()), shape=(1,), out=(1,)).nodes, "i": NirNode("Input", {"shape": numbers(1)})}, ()),
        r"expected one node Input \(got 2: input, i\)",
    ),
    "a node apart": (
        NirGraph({**chain(("n", lif()), shape=(1,), out=(1,)).nodes, "m": lif()}, (("input", "n"), ("n", "output"))),
        r"no edge leads from input to node m \(LIF\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_node(name: str) -> None:
    graph, message = REFUSED[name]
    with pytest.raises(DataError, match=message) as refused:
        NirNetwork(graph, where="x.nir")
    assert str(refused.value).startswith("x.nir: ")
    assert "\n" not in str(refused.value)


def test_conventions() -> None:
    tau, r = numbers(2.0), numbers(4.0)
    euler, exact, norse, sinabs = (CONVENTIONS[name] for name in ("nir", "exponential", "norse", "sinabs"))
    assert euler.decay(tau, 0.5) == 0.75
    assert euler.gain(tau, r, 0.5) == 1.0
    assert exact.decay(tau, 0.5) == pytest.approx(0.7788007830714049)  # e^-0.25
    assert exact.gain(tau, r, 0.5) == pytest.approx(4 * 0.2211992169285951)
    assert norse.gain(tau, r, 0.5) == 0.25
    assert sinabs.decay(tau, 1.0) == pytest.approx(0.6065306597126334)  # e^-0.5
    assert (sinabs.gain(tau, r, 1.0), norse.gain_without_leak(r, 0.5), euler.gain_without_leak(r, 0.5)) == (1, 1, 2)
    with pytest.raises(UsageError, match="did you mean 'norse'"):
        find_convention("nrose")


def test_simulators_differ_where_the_convention_says() -> None:
    """The same file: decay 1 - 1/2 or e^-(1/2), a gain of 1 or 1/2, a reset to 0 or by the threshold."""
    x = torch.tensor([1.5, 1.0, 1.0, 1.0]).reshape(-1, 1, 1)
    graph = chain(("n", NirNode("LIF", {k: numbers(v) for k, v in _FILE.items()})), shape=(1,), out=(1,))

    def spikes(convention: str) -> list[float]:
        out: list[float] = NirNetwork(graph, convention=convention, dt=1.0)(x).flatten().tolist()
        return out

    assert spikes("nir") == [1, 0, 1, 0]  # 1.5; 1, not above; 1.5; 1
    assert spikes("spikingjelly") == [1, 1, 1, 1]  # 1 is enough
    assert spikes("norse") == [0, 0, 0, 0]  # gain 1/2: 0.75, 0.875, 0.9375, ...
    assert spikes("sinabs") == [1, 1, 1, 1]  # 1.5 - 1, 0.5 e^-0.5 + 1, ...


_FILE = {"tau": 2.0, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0}
