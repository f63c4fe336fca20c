"""Fitting a chip: tiles against nested loops over every neuron and input, answers worked out by hand."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import snn_energy as se
from snn_energy.costing.chipfit import fit
from snn_energy.costing.placing import matched, neurons_stored, weights_stored
from snn_energy.costing.populations import Population
from snn_energy.costing.tiles import Room, best_tile
from snn_energy.errors import TraceError, UsageError
from snn_energy.hardware import Hardware, Limit, load_hardware
from snn_energy.models.neurons import LIF

WHERE = {"evidence": "stated", "source": "paper", "locator": "Table 1"}


def chip(**limits: object) -> Hardware:
    """A chip with these limits and no others."""
    return replace(
        load_hardware("akida-1000"), name="my-chip", limits={k: Limit(value=v, **WHERE) for k, v in limits.items()}
    )


def traced(*layers: nn.Module, shape: tuple[int, ...], time_steps: int | None = None) -> se.Trace:
    torch.manual_seed(0)
    return se.trace(nn.Sequential(*layers).eval(), torch.rand(1, *shape).round(), time_steps=time_steps)


def layer(channels=6, size=(5, 4), channels_in=3, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), groups=1, pad=None):
    padding = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation)) if pad is None else pad
    size_in = tuple(
        (n - 1) * s + d * (k - 1) + 1 - 2 * p for n, s, k, d, p in zip(size, stride, kernel, dilation, padding)
    )
    return Population(
        name="layer", kind="conv2d", channels=channels, size=size, channels_in=channels_in, size_in=size_in,
        groups=groups, kernel=kernel, stride=stride, dilation=dilation, weight_bits=8,
        weights=channels * channels_in // groups * math.prod(kernel),
    ), padding  # fmt: skip


def inputs_read(population: Population, padding, neurons) -> set[tuple[int, ...]]:
    """Inputs that a set of neurons (channel, position...) reads, by nested loops over taps: the oracle."""
    of_group = population.channels // population.groups
    in_group = population.channels_in // population.groups
    found = set()
    for channel, *position in neurons:
        group = channel // of_group
        for taps in itertools.product(*map(range, population.kernel)):
            place = tuple(
                p * s + t * d - pad
                for p, s, t, d, pad in zip(position, population.stride, taps, population.dilation, padding)
            )
            if all(0 <= x < n for x, n in zip(place, population.size_in)):
                found |= {(group * in_group + c, *place) for c in range(in_group)}
    return found


def cut(population: Population, size, channels):
    """The neurons of every tile: boxes of `size` positions times runs of `channels`."""
    starts = [range(0, whole, part) for whole, part in zip(population.size, size)]
    for first in range(0, population.channels, channels):
        run = range(first, min(first + channels, population.channels))
        for corner in itertools.product(*starts):
            box = [range(a, min(a + n, whole)) for a, n, whole in zip(corner, size, population.size)]
            yield set(itertools.product(run, *box))


GEOMETRIES = [
    {},
    {"stride": (2, 2), "size": (4, 3)},
    {"dilation": (2, 1), "kernel": (3, 2), "pad": (0, 0)},
    {"stride": (3, 1), "kernel": (2, 1), "size": (3, 3), "pad": (0, 0)},
    {"groups": 3, "channels": 6, "channels_in": 3},
    {"groups": 3, "channels": 12, "channels_in": 6},
    {"channels": 7, "size": (1, 1), "kernel": (1, 1), "channels_in": 20},
    {"size": (9,), "kernel": (5,), "stride": (1,), "dilation": (1,), "channels": 4},
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("shared", [False, True])
@settings(max_examples=15)
@given(neurons=st.integers(1, 40), axons=st.integers(1, 90), words=st.integers(1, 400))
def test_every_tile_keeps_within_its_core(geometry, shared, neurons, axons, words) -> None:
    population, padding = layer(**geometry)
    room = Room(neurons=neurons, input_axons=axons, weight_memory_bits=words * 8, weight_bits=8, shared_weights=shared)
    tile = best_tile(population, room)
    if tile is None:  # then not even one neuron far from the border fits
        taps = math.prod(population.kernel) * population.channels_in // population.groups
        reach = population.inputs_of(tuple(1 for _ in population.size), 1)
        assert taps > words or reach > axons
        return
    tiles = list(cut(population, tile.size, tile.channels))
    assert len(tiles) == tile.cores
    assert set().union(*tiles) == set(itertools.product(range(population.channels), *map(range, population.size)))
    assert sum(map(len, tiles)) == population.neurons
    for box in tiles:
        assert len(box) <= tile.neurons <= neurons
        assert len(inputs_read(population, padding, box)) <= tile.input_axons <= axons
        stored = len({neuron[0] for neuron in box}) if shared else len(box)
        assert stored * population.fan_in * 8 <= tile.weight_memory_bits <= words * 8


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_inputs_of_a_tile_are_those_that_loops_find(geometry) -> None:
    """Equal where the tile lies inside the map, which padding can only make smaller."""
    population, padding = layer(**geometry)
    for size in itertools.product(*(range(1, n + 1) for n in population.size)):
        most = max(
            len(inputs_read(population, padding, box))
            for box in cut(population, size, population.channels // population.groups)
        )
        assert most <= population.inputs_of(size, population.channels // population.groups)
    one = tuple(1 for _ in population.size)
    middle = {(0, *(n // 2 for n in population.size))}
    if all(n >= 3 for n in population.size):
        assert population.inputs_of(one, 1) == len(inputs_read(population, padding, middle))
    whole = set(itertools.product(range(population.channels), *map(range, population.size)))
    assert population.inputs_of(population.size, population.channels) == len(inputs_read(population, padding, whole))


@given(neurons=st.integers(1, 60), axons=st.integers(20, 90), more=st.integers(0, 30))
def test_a_larger_core_never_takes_more_cores(neurons, axons, more) -> None:
    population, _ = layer()
    small = best_tile(population, Room(neurons=neurons, input_axons=axons))
    large = best_tile(population, Room(neurons=neurons + more, input_axons=axons + more))
    assert small is None or large.cores <= small.cores


def test_it_takes_the_fewest_cores_of_all_cuts_into_equal_tiles() -> None:
    """Against every tile size there is, by brute force."""
    population, _ = layer(channels=6, size=(5, 4))
    for neurons, axons in ((7, 40), (24, 60), (16, 200), (120, 45)):
        tile = best_tile(population, Room(neurons=neurons, input_axons=axons))
        fewest = min(
            sum(1 for _ in cut(population, (h, w), c))
            for h, w, c in itertools.product(range(1, 6), range(1, 5), range(1, 7))
            if h * w * c <= neurons and population.inputs_of((h, w), c) <= axons
        )
        assert tile.cores == fewest


# ---------------------------------------------------------------- worked out by hand

LINEAR = nn.Linear(500, 2000, bias=False)


def test_a_linear_layer_on_loihi() -> None:
    """500 synapses of 9 bits: a core's 2^20 bits hold 233 such neurons, and 2000 neurons take 9 cores."""
    result = fit(traced(LINEAR, shape=(500,)), "loihi")
    (row,) = result.layers
    assert (row.neurons, row.fan_in, row.weights) == (2000, 500, 1_000_000)
    assert (row.cores, row.neurons_per_core, row.input_axons_per_core) == (9, 233, 500)
    assert row.weight_memory_bits_per_core == 233 * 500 * 9 <= 2**20 < 234 * 500 * 9
    assert (result.fits, result.cores, result.cores_available, result.weight_bits) == (True, 9, 128, 9)
    assert "weights of 32 bits are quantised to 9, the widest of the chip" in result.assumptions


def test_with_weights_of_one_bit_only_the_neurons_count() -> None:
    result = fit(traced(LINEAR, shape=(500,)), "loihi", weight_bits=1)
    assert result.layers[0].cores == 2  # 2000 / 1024
    assert fit(traced(LINEAR, shape=(500,)), "loihi", weight_bits=12).reasons == (
        "weights of 12 bits were asked for, and the chip's widest have 9",
    )


def test_a_neuron_with_more_inputs_than_a_core_has_axons() -> None:
    result = fit(traced(nn.Linear(257, 3, bias=False), shape=(257,)), "truenorth-total")
    assert not result.fits
    assert result.reasons == (
        "0: one neuron needs 257 of input_axons_per_core (different sources of spikes that one core can receive), "
        "and there are 256",
    )
    assert fit(traced(nn.Linear(256, 300, bias=False), shape=(256,)), "truenorth-total").cores == 2  # 300 / 256


def test_output_axons_spread_a_layer_over_more_cores() -> None:
    """8 neurons, each needed by all 4 cores of the next layer: 32 edges, so 10 of them a core allow 2 neurons each."""
    net = traced(nn.Linear(4, 8, bias=False), nn.Linear(8, 40, bias=False), shape=(4,))
    assert [row.cores for row in fit(net, chip(cores=9, neurons_per_core=10)).layers] == [1, 4]
    limited = fit(net, chip(cores=9, neurons_per_core=10, output_axons_per_core=10))
    assert [row.cores for row in limited.layers] == [4, 4]
    assert limited.fits
    short = fit(net, chip(cores=9, neurons_per_core=10, output_axons_per_core=3))
    assert short.reasons[0].startswith("0: one neuron needs 4 of output_axons_per_core (")


def test_too_many_cores_and_more_chips() -> None:
    net = traced(nn.Linear(4, 40, bias=False), shape=(4,))
    small = chip(cores=3, neurons_per_core=10)
    assert fit(net, small).reasons == ("it takes 4 cores, and there are 3; 2 chips have them",)
    both = fit(net, small, chips=2)
    assert (both.fits, both.cores_available) == (True, 6)
    assert "what passes between chips is not limited" in both.assumptions


def test_totals_of_a_chip() -> None:
    net = traced(nn.Conv2d(1, 2, 3, bias=False), shape=(1, 6, 6))  # 2 x 4 x 4 neurons, 9 synapses each, 18 weights
    assert fit(net, chip(neurons_per_chip=32, synapses_per_chip=288, weight_memory_bits_per_chip=18 * 32)).fits
    result = fit(net, chip(neurons_per_chip=31, synapses_per_chip=287, weight_memory_bits_per_chip=18 * 32 - 1))
    assert result.reasons == (
        "it has 32 neurons, and there is room for 31",
        "it has 288 synapses (no sharing of weights is stated), and there is room for 287",
        "it has 576 bits of weights, and there is room for 575",
    )
    assert result.cores is None
    assert fit(net, chip(synapses_per_chip=18, shared_weights=True)).fits  # stored once for the whole map
    assert not fit(net, chip(fan_in_per_neuron=8)).fits


def test_shared_weights_are_stored_once_a_core() -> None:
    net = traced(nn.Conv2d(1, 2, 3, bias=False), shape=(1, 6, 6))
    bits = 2 * 9 * 32
    assert fit(net, chip(cores=1, weight_memory_bits_per_core=bits, shared_weights=True)).cores == 1
    assert fit(net, chip(cores=16, weight_memory_bits_per_core=bits)).cores == 16  # each core holds 2 of 32 neurons


def test_tokens_are_rows_of_one_time_step() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.neuron = nn.Linear(3, 5, bias=False), LIF()

        def forward(self, x: torch.Tensor) -> torch.Tensor:  # n tokens c -> T n tokens c
            return self.neuron(self.linear(x.expand(4, *x.shape)))

    trace = se.trace(Tokens().eval(), torch.rand(2, 7, 3))
    assert trace.time_steps == 4
    (row,) = fit(trace, chip(cores=1, neurons_per_core=35)).layers
    assert (row.neurons, row.fan_in) == (7 * 5, 3)


def test_transposed_convolutions() -> None:
    """Stride 2, kernel 3: two neighbouring outputs read at most two inputs along an axis."""
    net = traced(nn.ConvTranspose2d(3, 4, 3, stride=2, bias=False), shape=(3, 5, 5))
    (row,) = fit(net, chip(cores=100, neurons_per_core=1000)).layers
    assert (row.neurons, row.cores, row.input_axons_per_core) == (4 * 11 * 11, 1, 75)
    (row,) = fit(net, chip(cores=999, input_axons_per_core=12)).layers  # 3 channels x 2 x 2 positions
    assert row.cores is not None
    assert row.input_axons_per_core == 12


def test_products_of_activations_have_no_core() -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x.transpose(-1, -2)

    result = fit(se.trace(Attention(), torch.ones(1, 3, 4)), chip(cores=9, neurons_per_core=100))
    assert not result.fits
    assert result.reasons[0].endswith(": multiplies two activations: a core joins spikes with stored weights only")


def test_real_valued_inputs_are_named() -> None:
    said = "real-valued inputs are turned into spikes or currents before these layers: 0"
    real = se.trace(nn.Sequential(nn.Linear(4, 2)), torch.rand(1, 4, generator=torch.Generator().manual_seed(0)))
    assert said in fit(real, "loihi").assumptions
    assert said not in fit(traced(nn.Linear(4, 2), shape=(4,)), "loihi").assumptions


# ---------------------------------------------------------------- whole layers on cores that differ


def power(n: float) -> int:
    return 2 ** math.ceil(math.log2(n))


@given(
    channels=st.integers(1, 70), size=st.tuples(st.integers(1, 40), st.integers(1, 40)), inputs=st.integers(1, 40),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)  # fmt: skip
def test_powers_of_two(channels, size, inputs, kernel) -> None:
    """Sinabs: c * 2^(ceil(log2 kx*ky) + ceil(log2 f)) words of kernel, f * 2^(ceil(log2 y) + ceil(log2 x)) neurons."""
    population, _ = layer(channels=channels, size=size, channels_in=inputs, kernel=kernel, pad=(0, 0))
    f = channels
    assert weights_stored(population, powers_of_two=True) == inputs * power(kernel[0] * kernel[1]) * power(f)
    assert neurons_stored(population, powers_of_two=True) == f * power(size[0]) * power(size[1])
    assert weights_stored(population, powers_of_two=False) == population.weights
    assert neurons_stored(population, powers_of_two=False) == population.neurons


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=4))
def test_matching_finds_an_assignment_where_there_is_one(allowed) -> None:
    some = any(len(set(choice)) == len(choice) for choice in itertools.product(*allowed))
    found = matched(allowed)
    assert (found is not None) == some
    if found is not None:
        assert len(set(found)) == len(allowed)
        assert all(core in cores for core, cores in zip(found, allowed))


def test_speck_places_layers_on_cores_that_hold_them() -> None:
    """64 Ki words of weights are in two cores only: two such layers fit, three do not."""
    wide = [nn.Conv2d(64, 64, 3, padding=1, bias=False) for _ in range(3)]  # 64 * 16 * 64 words = 64 Ki each
    assert fit(traced(*wide[:2], shape=(64, 4, 4)), "speck").fits
    result = fit(traced(*wide, shape=(64, 4, 4)), "speck")
    assert result.reasons == (
        "3 layers need a core each, and no assignment to the 9 cores gives every layer enough memory",
    )
    huge = fit(traced(nn.Conv2d(64, 65, 3, bias=False), shape=(64, 4, 4)), "speck")  # 65 is addressed as 128
    assert huge.reasons == ("0: it takes 260 neurons and 1,048,576 bits of weights of one core, and no core has both",)


# ---------------------------------------------------------------- what is asked wrongly, what is given back


def test_what_is_asked_wrongly() -> None:
    net = traced(LINEAR, shape=(500,))
    with pytest.raises(
        UsageError, match=r"^fit: horowitz-45nm-int8 states no limits of a chip.*profiles that do: akida"
    ):
        fit(net, "horowitz-45nm-int8")
    with pytest.raises(UsageError, match=r"^fit: weight_bits must be a whole number >= 1 \(got 0\)$"):
        fit(net, "loihi", weight_bits=0)
    with pytest.raises(UsageError, match=r"^fit: chips must be a whole number >= 1 \(got 0\)$"):
        fit(net, "loihi", chips=0)
    with pytest.raises(TraceError, match="no sample or no layer"):
        fit(se.Trace(), "loihi")


def test_limits_that_are_not_stated_are_named() -> None:
    net = traced(nn.Linear(4, 2, bias=False), shape=(4,))
    assert [line.split(":")[0] for line in fit(net, chip(cores=1)).unchecked] == [
        "neurons_per_core", "input_axons_per_core", "weight_memory_bits_per_core", "weight_bits",
    ]  # fmt: skip


def test_the_result_is_plain_json() -> None:
    plain = fit(traced(LINEAR, shape=(500,)), "loihi").to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["layers"][0]["neurons"] == 2000
