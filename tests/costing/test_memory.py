"""Memory by hand and by nested loops: where tensors lie, what moves, and the same rules for the SNN and its ANN."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import snn_energy as se
from snn_energy.baselines.comparison import compare
from snn_energy.costing.memory.encodings import Frame, encoded_bits
from snn_energy.costing.memory.levels import hierarchy
from snn_energy.costing.memory.policy import Encoding, Policy, parsed_policy
from snn_energy.counting.counts import Coverage, OperatorRecord
from snn_energy.errors import PriceError, UsageError
from snn_energy.hardware import Hardware, load_hardware
from snn_energy.hardware.records import MemoryPrice
from snn_energy.models.neurons import IF, LIF

FP32 = load_hardware("horowitz-45nm-fp32")
INT8 = load_hardware("horowitz-45nm-int8")


def memory_price(value_pj: float, kind: str, bits: int, size: int | None, access: str | None = None) -> MemoryPrice:
    return MemoryPrice(
        value_pj=value_pj,
        scope="per-term",
        evidence="stated",
        source="horowitz-2014",
        locator="made up for a test",
        kind=kind,  # type: ignore[arg-type]
        access_bits=bits,
        size_bytes=size,
        access=access,  # type: ignore[arg-type]
    )


# 16 bytes at 2 pJ to read and 3 to write a byte; 64 bytes at 7 pJ for two bytes; DRAM at 100 pJ for four.
TINY = replace(
    INT8,
    memory_pj={
        "dram": memory_price(100, "dram", 32, None),
        "small-write": memory_price(3, "sram", 8, 16, "write"),
        "small-read": memory_price(2, "sram", 8, 16, "read"),
        "large": memory_price(7, "sram", 16, 64),
        "somewhere": memory_price(1, "sram", 8, None),
        "registers": memory_price(0.1, "register", 8, 4),
    },
)


REUSES = tuple(
    tuple(kind for kind, chosen in zip(("weights", "inputs", "outputs"), choice) if chosen)
    for choice in product((False, True), repeat=3)
)
"""Everything that may stay through a pass."""


class Steps(nn.Module):
    """Linear - neuron - Linear over T = 3 steps of the same input."""

    def __init__(self, neuron: nn.Module, hidden: int = 5) -> None:
        super().__init__()
        self.first, self.neuron, self.second = nn.Linear(6, hidden), neuron, nn.Linear(hidden, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.neuron(self.first(x).expand(3, -1, -1)))


def traced(neuron: nn.Module | None = None, n: int = 2, seed: int = 0, hidden: int = 5) -> se.Trace:
    torch.manual_seed(seed)
    return se.trace(Steps(neuron or LIF(), hidden).eval(), torch.rand(n, 6) * 4)


def moved(report: se.Report) -> dict[tuple[str, str], tuple[str, int, int, int]]:
    assert report.memory is not None
    return {
        (row.name, row.tensor): (row.level, row.footprint_bits, row.read_bits, row.write_bits)
        for row in report.memory.rows
    }


def test_levels_are_sized_sram_and_then_dram() -> None:
    found = [(level.name, level.size_bytes, level.read_pj, level.write_pj) for level in hierarchy(TINY)]
    assert found == [("small", 16, 2, 3), ("large", 64, 7, 7), ("dram", None, 100, 100)]


def test_a_network_by_hand() -> None:
    """Two samples, T = 3. Values of 8 bits; the first layer runs once, the second in every time step."""
    trace = traced()
    spikes = trace.neurons[0].spikes
    assert 0 < spikes < 30
    report = se.price(trace, TINY, "arithmetic+memory")
    assert moved(report) == {
        # (6 * 5 weights + 5 biases) bytes do not fit 16: they are read once for each sample.
        ("first", "weights"): ("large", 35 * 8, 2 * 35 * 8, 0),
        ("first", "inputs"): ("small", 6 * 8, 2 * 6 * 8, 2 * 6 * 8),
        # (5 * 4 + 4) bytes, for each sample and time step; five spikes are five bits.
        ("second", "weights"): ("large", 24 * 8, 2 * 3 * 24 * 8, 0),
        ("second", "inputs"): ("small", 5, 2 * 3 * 5, 2 * 3 * 5),
        ("neuron", "state"): ("small", 5 * 8, 2 * 3 * 5 * 8, 2 * 3 * 5 * 8),
    }
    weights = (2 * 35 + 6 * 24) * 7 / 2
    inputs = 12 * 2 + 12 * 3 + 30 / 8 * 2 + 30 / 8 * 3
    state = 30 * 2 + 30 * 3
    plain = se.price(trace, TINY, "arithmetic")
    assert report.components_pj["memory"] == pytest.approx(weights + inputs + state)
    assert report.energy_pj == pytest.approx(plain.energy_pj + weights + inputs + state)
    assert {name: report.components_pj[name] for name in plain.components_pj} == plain.components_pj
    by_row = {row.name: row.memory_pj for row in report.rows if row.part != "other"}
    assert by_row == pytest.approx({"first": 245 + 60, "second": 504 + 18.75, "neuron": 150})


def test_time_reuse_reads_weights_once_for_each_sample() -> None:
    found = moved(se.price(traced(), TINY, "arithmetic+memory:time-reuse"))
    assert found["second", "weights"][2] == 2 * 24 * 8
    assert found["second", "inputs"][2] == 2 * 3 * 5


def test_without_reuse_every_operation_moves_its_values() -> None:
    trace = traced()
    events = trace.neurons[0].spikes * 4
    found = moved(se.price(trace, TINY, "arithmetic+memory:none"))
    biases = 2 * 5, 2 * 3 * 4
    assert found["first", "weights"][2:] == ((2 * 30 + biases[0]) * 8, 0)
    assert found["first", "inputs"][2:] == (2 * 30 * 8, 2 * 6 * 8)
    assert found["first", "sums"][2:] == ((60 + biases[0]) * 8,) * 2
    # A bitmap must be looked at for every connection; weights and sums move for spikes alone.
    assert found["second", "inputs"][2:] == (2 * 3 * 20, 2 * 3 * 5)
    assert found["second", "weights"][2:] == ((events + biases[1]) * 8, 0)
    assert found["second", "sums"][2:] == ((events + biases[1]) * 8,) * 2


def test_an_event_driven_core_reads_weights_for_spikes_alone() -> None:
    """Spikes once, sums in place, weights for each event: less than all weights in every step, if spikes are few."""
    trace = traced()
    events = trace.neurons[0].spikes * 4
    found = moved(se.price(trace, TINY, "arithmetic+memory:inputs,outputs"))
    assert found["second", "inputs"][2:] == (2 * 3 * 5,) * 2
    assert found["second", "weights"][2:] == ((events + 2 * 3 * 4) * 8, 0)
    assert ("second", "sums") not in found


def test_stored_results_go_through_memory_once() -> None:
    found = moved(se.price(traced(), TINY, "arithmetic+memory:stored"))
    assert found["first", "results"][2:] == (2 * 5 * 8,) * 2
    assert found["second", "results"][2:] == (2 * 3 * 4 * 8,) * 2


def test_words_take_accesses_of_their_own() -> None:
    """A byte out of DRAM costs a whole access of 4 bytes; a stream of spikes shares them."""
    only = replace(INT8, memory_pj={"dram": memory_price(100, "dram", 32, None)})
    trace = traced()
    packed, alone = (se.price(trace, only, f"arithmetic+memory{option}") for option in ("", ":words"))
    values = 2 * 35 + 6 * 24 + 2 * 12 + 2 * 30
    stream = 2 * 30 * 100 / 32
    assert packed.components_pj["memory"] == pytest.approx(values * 25 + stream)
    assert alone.components_pj["memory"] == pytest.approx(values * 100 + stream)


def test_what_fits_nowhere_else_lies_in_dram() -> None:
    report = se.price(traced(hidden=9), TINY, "arithmetic+memory")  # (6 * 9 + 9) bytes fit 64, and just so
    assert moved(report)["first", "weights"][:2] == ("large", 63 * 8)
    report = se.price(traced(hidden=10), TINY, "arithmetic+memory")
    assert moved(report)["first", "weights"][:2] == ("dram", 70 * 8)


def test_values_are_as_wide_as_priced_or_as_they_ran() -> None:
    trace = traced()
    assert moved(se.price(trace, TINY, "arithmetic+memory"))["first", "inputs"][1] == 6 * 8
    assert moved(se.price(trace, TINY, "arithmetic+memory:trace-bits"))["first", "inputs"][1] == 6 * 32


class Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`t n c h w` -> `t n c h w`."""
        return torch.stack([self.conv(step) for step in x])


@pytest.mark.parametrize("dense", [True, False], ids=["real operand", "spikes"])
def test_a_convolution_by_nested_loops(dense: bool) -> None:
    """Every reuse and encoding, counted by walking through all connections of 2 samples at 3 time steps."""
    steps, samples, size, out = 3, 2, 5, 3
    rng = torch.Generator().manual_seed(1)
    x = torch.rand(steps, samples, 2, size, size, generator=rng) + 0.5
    if not dense:
        x = (x < 0.8).float()
    trace = se.trace(Conv().eval(), x, time_steps=steps, batch_axis=1)
    operations = looked_at = hits = 0
    for t, n, _, row, column, c, i, j in product(*map(range, (steps, samples, 3, out, out, 2, 3, 3))):
        y, z = 2 * row + i - 1, 2 * column + j - 1
        if 0 <= y < size and 0 <= z < size:
            looked_at += 1
            nonzero = bool(x[t, n, c, y, z])
            hits += nonzero
            operations += dense or nonzero
    biases = steps * samples * 3 * out * out
    weights = 3 * 2 * 3 * 3 + 3
    passes = steps * samples
    elements, spikes = x.numel(), int((x != 0).sum())
    address = 6  # 50 elements of a frame; 25 positions of a channel take 5 bits
    pointers = passes * 3 * 6  # two channels; 0 to 50 spikes
    per_element = {"bitmap": (elements, looked_at), "aer": (spikes * address, hits * address)}
    per_element["csr"] = (pointers + spikes * 5, pointers + hits * 5)
    for stays, encoding in product(REUSES, get_args(Encoding)):
        found = moved(se.price(trace, INT8, f"arithmetic+memory:{','.join(stays) or 'none'},{encoding}"))
        once, each = (elements * 8, looked_at * 8) if dense else per_element[encoding]
        keeps = {name: name in stays for name in ("weights", "inputs", "outputs")}
        assert found["conv", "inputs"][2:] == (once if keeps["inputs"] else each, once)
        read = weights * passes if keeps["weights"] else operations + biases
        assert found["conv", "weights"][2:] == (read * 8, 0)
        if keeps["outputs"]:
            assert ("conv", "sums") not in found
        else:
            assert found["conv", "sums"][2:] == ((operations + biases) * 8,) * 2


@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 9),
    frames=st.integers(1, 3),
    payload=st.sampled_from([0, 1, 8]),
    seed=st.integers(0, 999),
)
def test_encodings_are_as_long_as_what_an_encoder_writes(
    rows: int, columns: int, frames: int, payload: int, seed: int
) -> None:
    data = torch.rand(frames, rows, columns, generator=torch.Generator().manual_seed(seed)) < 0.4
    value = "v" * payload

    def code(number: int, below: int) -> str:
        """A number in as many digits as the largest one below `below` has."""
        width = len(f"{below - 1:b}") if below > 1 else 0
        return f"{number:0{width}b}" if width else ""

    written = {"bitmap": "", "aer": "", "csr": ""}
    for frame in data.tolist():
        flat = [element for row in frame for element in row]
        written["bitmap"] += "".join("1" + value if element else "0" for element in flat)
        written["aer"] += "".join(code(i, rows * columns) + value for i, element in enumerate(flat) if element)
        before = 0
        written["csr"] += code(0, rows * columns + 1)
        for row in frame:
            before += sum(row)
            written["csr"] += code(before, rows * columns + 1)
        written["csr"] += "".join(code(i, columns) + value for row in frame for i, hit in enumerate(row) if hit)
    for encoding in get_args(Encoding):
        bits = encoded_bits(
            encoding,
            Frame(rows=rows, columns=columns),
            frames=frames,
            elements=data.numel(),
            nonzero=int(data.sum()),
            payload=payload,
        )
        assert bits == len(written[encoding])


def test_aer_beats_a_bitmap_below_one_spike_for_each_address_bit() -> None:
    frame = Frame(rows=1, columns=1024)
    sizes = [
        encoded_bits(encoding, frame, frames=1, elements=1024, nonzero=spikes, payload=0)
        for spikes in (102, 103)
        for encoding in ("aer", "bitmap")
    ]
    assert sizes == [1020, 1024, 1030, 1024]


OPTIONS = [
    ",".join(words)
    for words in product(("none", "weights", "inputs,outputs", "all"), get_args(Encoding), ("words", "stored"))
]


@settings(max_examples=20)
@given(option=st.sampled_from(OPTIONS), factor=st.floats(0.01, 100))
def test_linear_in_the_prices(option: str, factor: float) -> None:
    trace = TRACES[0]
    dearer = {name: replace(p, value_pj=p.value_pj * factor) for name, p in TINY.memory_pj.items()}
    method = f"arithmetic+memory:{option}"
    once = se.price(trace, TINY, method).components_pj["memory"]
    assert se.price(trace, replace(TINY, memory_pj=dearer), method).components_pj["memory"] == pytest.approx(
        factor * once
    )


TRACES = (traced(seed=3), traced(seed=3, n=3))


@settings(max_examples=20)
@given(option=st.sampled_from(OPTIONS))
def test_additive_in_traces(option: str) -> None:
    """One set of weights (one seed), two and three samples."""
    parts = [se.price(trace, TINY, f"arithmetic+memory:{option}") for trace in TRACES]
    whole = se.price(TRACES[0] + TRACES[1], TINY, f"arithmetic+memory:{option}")
    assert whole.energy_pj == pytest.approx(sum(part.energy_pj for part in parts))
    added = [a + b for a, b in zip(*([row.read_bits for row in p.memory.rows] for p in parts if p.memory))]
    assert whole.memory is not None
    assert [row.read_bits for row in whole.memory.rows] == added


@pytest.mark.parametrize("option", ["none", "weights", "inputs,outputs", "outputs", "all", "all,stored"])
def test_spikes_everywhere_move_the_weights_and_sums_of_an_ann(option: str) -> None:
    """One rule for both sides: at T = 1 and rate 1 only the width of the operand tells them apart."""
    layer = nn.Linear(7, 4).eval()
    reports = [
        se.price(se.trace(layer, x), INT8, f"arithmetic+memory:{option}")
        for x in (torch.ones(3, 7), torch.ones(3, 7) + torch.rand(3, 7, generator=torch.Generator().manual_seed(0)))
    ]
    spiking, real = (moved(report) for report in reports)
    assert spiking.keys() == real.keys()
    for (name, tensor), flow in real.items():
        parts = 8 if tensor == "inputs" else 1
        assert tuple(number * parts for number in spiking[name, tensor][1:]) == flow[1:]


def test_zero_skipping_stores_real_values_without_their_zeros() -> None:
    """Bitmap and values: 4 of 6 elements."""
    x = torch.tensor([[0.5, 0.0, 1.25, 2.7, 0.0, 3.1]])
    report = se.price(se.trace(nn.Linear(6, 2).eval(), x), INT8, "arithmetic-zero-skipping+memory")
    (flow,) = (flow for (_, tensor), flow in moved(report).items() if tensor == "inputs")
    assert flow[2:] == (6 + 4 * 8,) * 2


def test_a_product_of_two_activations() -> None:
    """Binary [3, 4] @ [4, 2] for one sample: both operands as bitmaps, 3 * 4 * 2 products, no weights."""

    class Product(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a @ b

    a, b = torch.ones(1, 3, 4), torch.ones(1, 4, 2)
    trace = se.trace(Product(), (a, b))
    kept, none = (moved(se.price(trace, INT8, f"arithmetic+memory:{reuse}")) for reuse in ("all", "none"))
    (name,) = {row for row, _ in kept}
    assert kept.keys() == {(name, "inputs")}
    assert kept[name, "inputs"][2:] == (12 + 8, 12 + 8)
    assert none[name, "inputs"][2:] == (2 * 24, 12 + 8)
    assert none[name, "sums"][2:] == (24 * 8, 24 * 8)


def test_both_sides_of_a_comparison_have_one_policy() -> None:
    trace = traced(IF())
    sides = [se.price(trace, INT8, f"arithmetic+memory:{option}") for option in ("outputs,aer", "outputs")]
    with pytest.raises(UsageError, match="different methods"):
        compare(*sides)
    same = se.price(trace, INT8, "arithmetic+memory:aer,outputs")  # one policy, in other words
    assert compare(sides[0], same).ratio == 1


@pytest.mark.parametrize(
    ("hardware", "method", "words"),
    [
        ("truenorth-total", "arithmetic+memory", 'the price of "ac" contains memory already'),
        ("keras-spiking-cpu", "arithmetic+memory", "all-in|contains memory already|prices no memory"),
        ("aladdin-40nm-int32", "arithmetic+memory", "prices no memory"),
        ("sata-sim-int8", "arithmetic+memory:dram=hbm", "has no DRAM 'hbm'"),
        ("horowitz-45nm-fp32", "arithmetic+memory:aerr", "did you mean 'aer'"),
        ("horowitz-45nm-fp32", "arithmetic+memory:aer,csr", "decide the same"),
        ("horowitz-45nm-fp32", "arithmetic+memory:weights,none", "'none' and another option decide the same"),
        ("horowitz-45nm-fp32", "arithmetic+memory:outputs,time-reuse", "keeps weights through the time steps"),
        ("horowitz-45nm-fp32", "arithmetic:aer", "takes no options"),
        ("horowitz-45nm-fp32", "arithmetic+memries", "did you mean 'arithmetic.memory'"),
    ],
)
def test_refusals(hardware: str, method: str, words: str) -> None:
    with pytest.raises((PriceError, UsageError), match=words):
        se.price(TRACES[0], hardware, method)


def test_what_has_no_place_or_no_price_is_refused() -> None:
    small: Hardware = replace(TINY, memory_pj={"small": TINY.memory_pj["small-read"]})
    with pytest.raises(PriceError, match=r"no memory for the weights of first: 35 bytes, where small holds 16"):
        se.price(TRACES[0], small, "arithmetic+memory")
    unwritten = replace(TINY, memory_pj={"d": replace(TINY.memory_pj["dram"], access="read")})
    with pytest.raises(PriceError, match="d has no price for writing the inputs of first, 96 bits"):
        se.price(TRACES[0], unwritten, "arithmetic+memory")
    with pytest.raises(PriceError, match="states no operand_bits"):
        se.price(TRACES[0], replace(TINY, operand_bits=None), "arithmetic+memory")


def test_uncounted_work_is_bounded_with_what_it_may_move() -> None:
    """Ten MACs at 0.23 pJ: each reads three values and writes one, at most at 100 pJ, an access of DRAM."""
    unknown = Coverage(uncounted=(OperatorRecord(name="aten.mystery", calls=1, bound=10),))
    low, high = se.price(replace(TRACES[0], coverage=unknown), TINY, "arithmetic+memory").energy_interval_pj
    assert high - low == pytest.approx(10 * 0.23 + 10 * 4 * 100)


def test_where_the_trace_holds_no_sizes_weights_are_read_for_each_operation() -> None:
    trace = TRACES[0]
    blurred = replace(trace, layers=tuple(replace(layer, geometry=None) for layer in trace.layers))
    found = moved(se.price(blurred, TINY, "arithmetic+memory"))
    assert found["first", "weights"][2] == (2 * 30 + 2 * 5) * 8
    assert found["first", "inputs"][2:] == (2 * 6 * 8,) * 2


def test_the_chosen_dram_is_used() -> None:
    hardware = replace(
        INT8, memory_pj={"a": memory_price(64, "dram", 8, None), "b": memory_price(640, "dram", 8, None)}
    )
    first, second = (se.price(TRACES[0], hardware, f"arithmetic+memory{option}") for option in ("", ":dram=b"))
    assert second.components_pj["memory"] == pytest.approx(10 * first.components_pj["memory"])
    assert second.method == "arithmetic+memory:dram=b"


@given(
    policy=st.builds(
        Policy,
        stays=st.sampled_from(REUSES),
        encoding=st.sampled_from(get_args(Encoding)),
        words=st.booleans(),
        stored=st.booleans(),
        trace_bits=st.booleans(),
        dram=st.sampled_from([None, "dram-hbm2"]),
    )
)
def test_a_policy_is_read_back_from_its_words(policy: Policy) -> None:
    assert parsed_policy(policy.text) == policy


def test_reports_without_memory_stay_as_they_were() -> None:
    plain, full = (json.loads(se.price(TRACES[0], FP32, m).to_json()) for m in ("arithmetic", "arithmetic+memory"))
    assert "memory" not in plain
    assert "memory" not in plain["totals"]["components_pj"]
    assert all("memory_pj" not in row for row in plain["rows"])
    assert full.keys() - plain.keys() == {"memory"}
    assert "memory_pj" not in se.price(TRACES[0], FP32).to_frame()
    frame = se.price(TRACES[0], FP32, "arithmetic+memory").to_frame()
    assert frame["memory_pj"].sum() == pytest.approx(full["totals"]["components_pj"]["memory"])


def test_each_sample_has_its_share() -> None:
    torch.manual_seed(0)
    trace = se.trace(Steps(LIF()).eval(), torch.rand(3, 6) * 4, per_sample=True)
    report = se.price(trace, TINY, "arithmetic+memory:none,aer")
    assert report.samples_pj is not None
    assert sum(report.samples_pj) == pytest.approx(report.energy_pj)
