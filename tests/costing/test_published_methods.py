"""Published methods against closed forms on tiny networks, and the laws that hold for all of them."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import snn_energy as se
from snn_energy.costing.published_methods import account, account_names, waterfall
from snn_energy.costing.published_methods.explanation import explain
from snn_energy.costing.published_methods.lemaire_2022 import access_pj
from snn_energy.costing.published_methods.sheets import load_sheet, read_sheet
from snn_energy.costing.published_methods.terms import PARTS
from snn_energy.costing.published_methods.yan_2024 import dense_ratio, quantised_bits
from snn_energy.counting.counts import MIXED
from snn_energy.errors import PriceError, ProfileError, TraceError, UsageError
from snn_energy.hardware import load_hardware
from snn_energy.models import LIF

FP32 = load_hardware("horowitz-45nm-fp32")
PRICED = [name for name in account_names() if name not in ("bit-budget", "dampfhoffer-2022")]
STEPS = 3


class Net(nn.Module):
    """Pixels -> 3x3 convolution -> LIF -> 3x3 convolution with stride 2 -> LIF -> linear, in every time step."""

    def __init__(self, height=1.0):
        super().__init__()
        torch.manual_seed(3)
        self.conv1, self.n1 = nn.Conv2d(1, 2, 3, padding=1), LIF(threshold=0.2)
        self.conv2, self.n2 = nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False), LIF(threshold=0.1)
        self.fc, self.height = nn.Linear(12, 5), height

    def forward(self, x):
        x = self.n1(torch.stack([self.conv1(x) for _ in range(STEPS)]))
        x = self.n2(self.conv2((x * self.height).flatten(0, 1)).unflatten(0, (STEPS, -1)))
        return self.fc((x * self.height).flatten(2)).mean(0)


@pytest.fixture(scope="module")
def pixels():
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return torch.where(x < 0.4, 0.0, x)


@pytest.fixture(scope="module")
def trace(pixels):
    return se.trace(Net(), pixels, time_steps=STEPS)


@pytest.fixture(scope="module")
def facts(trace):
    """Spikes into each layer and out of each neuron layer, which the closed forms start from."""
    by_name = {layer.name: layer for layer in trace.layers}
    assert [by_name[name].operand.kind for name in ("conv1", "conv2", "fc")] == ["real", "binary", "binary"]
    s1, s2 = (neuron.spikes for neuron in trace.neurons)
    assert (by_name["conv2"].spikes, by_name["fc"].spikes) == (s1, s2)
    assert s1 > 0 < s2
    return s1, s2


# Two samples. Dense MACs of one sample and step: 4x4 places x 9 taps x 2; 2x2 places x 9 taps x 2 x 3; 12 x 5.
DENSE1, DENSE2, DENSE3 = 16 * 9 * 2, 4 * 9 * 2 * 3, 12 * 5
NEURONS1, NEURONS2 = 2 * 16, 3 * 4
RUNS = 2 * STEPS


def total(trace, method, hardware=None):
    return float(account(trace, method, hardware).energy_pj)


def test_rate_flops(trace, facts):
    s1, s2 = facts
    synops = Fraction(s1, RUNS * NEURONS1) * RUNS * DENSE2 + Fraction(s2, RUNS * NEURONS2) * RUNS * DENSE3
    assert total(trace, "rate-flops") == pytest.approx(4.6 * 2 * DENSE1 + 0.9 * float(synops))


def test_spikformer_charges_the_first_layer_in_every_step(trace):
    difference = total(trace, "spikformer") - total(trace, "rate-flops")
    assert difference == pytest.approx(4.6 * 2 * DENSE1 * (STEPS - 1))


def test_a_first_layer_computed_once_counts_t_times_in_spikformer(pixels):
    class Once(Net):
        def forward(self, x):
            x = self.n1(self.conv1(x).expand(STEPS, -1, -1, -1, -1))
            return self.conv2(x.flatten(0, 1))

    trace = se.trace(Once(), pixels, time_steps=STEPS)
    assert account(trace, "spikformer").part("first layer")[0] == STEPS * DENSE1
    assert account(trace, "rate-flops").part("first layer")[0] == DENSE1


def test_syops(trace, facts):
    s1, s2 = facts
    acs = s1 / NEURONS1 * DENSE2 + s2 / NEURONS2 * (DENSE3 + 5) + RUNS * (NEURONS1 + NEURONS2)
    assert total(trace, "syops") == pytest.approx(4.6 * RUNS * (DENSE1 + NEURONS1) + 0.9 * acs)


def test_heights_of_spikes_by_each_convention(pixels):
    """Spikes of height 1/4: syops takes a quarter of their rate, SpikingJelly and NeuroBench take them for reals."""
    trace = se.trace(Net(height=0.25), pixels, time_steps=STEPS)
    layer = next(one for one in trace.layers if one.name == "conv2")
    assert (layer.operand.kind, layer.operand.scale) == ("binary", 0.25)

    def conv2(method):
        ((action, count),) = [
            (term.action, term.count)
            for term in account(trace, method).terms
            if term.layer == "conv2" and term.part == "synapses"
        ]
        return action, count

    rate = Fraction(layer.spikes, layer.elements)
    assert conv2("syops") == ("ac", rate / 4 * RUNS * DENSE2)
    assert conv2("spikingjelly-simple") == ("mac", RUNS * DENSE2)
    assert conv2("neurobench") == ("mac", layer.effective_events)
    assert conv2("arithmetic") == ("ac", layer.events)


def test_neurobench(trace):
    counts = {layer.name: layer.effective_events for layer in trace.layers}
    expected = 4.6 * counts["conv1"] + 0.9 * (counts["conv2"] + counts["fc"])
    assert total(trace, "neurobench") == pytest.approx(expected)


def test_spikingjelly_simple(trace, facts):
    events = {layer.name: layer.events for layer in trace.layers}
    assert events["fc"] == 5 * facts[1]
    reads = RUNS * (DENSE1 + NEURONS1) + events["conv2"] + events["fc"] + RUNS * 5
    states = 2 * RUNS * (NEURONS1 + NEURONS2)
    compute = 4.6 * RUNS * DENSE1 + 0.9 * (events["conv2"] + events["fc"])
    assert total(trace, "spikingjelly-simple") == pytest.approx(compute + 24.96 * 4 * (reads + states))


@pytest.mark.parametrize("method", ["lemaire-2022", "lemaire-2022-line", "lemaire-2022-words"])
def test_lemaire(trace, facts, method):
    """The equations of the table in `lemaire_2022`, written out for the three layers."""
    s1, s2 = facts
    law = {
        "lemaire-2022": lambda words: piecewise(4 * words),
        "lemaire-2022-line": lambda words: 1.09e-5 * 32 * words + 13.2,
        "lemaire-2022-words": lambda words: 10 / (64 // 32),
    }[method]
    by_tap = method != "lemaire-2022"
    ac, mac = 0.1, 3.2
    # Pixels: an ANN layer.
    energy = mac * RUNS * DENSE1 + ac * RUNS * NEURONS1
    energy += ac * (RUNS * 16 + RUNS * NEURONS1 + RUNS * 2 * 9)
    energy += RUNS * DENSE1 * law(16) + RUNS * (DENSE1 + NEURONS1) * law(2 * 9 + 2)
    # Spikes into a convolution of kernel 3 and stride 2, without a bias.
    uses = s1 * 9 * 3
    energy += ac * s1 * ceil(3 / 2) ** 2 * 3 + mac * 2 * s1 + ac * (s1 * 9 if by_tap else uses)
    energy += s1 * law(1000) + uses * law(2 * 3 * 9) + 2 * uses * law(NEURONS2)
    # Spikes into the linear layer.
    energy += ac * s2 * 5 + ac * RUNS * 5 + ac * s2 * 5
    energy += s2 * law(1000) + (s2 * 5 + RUNS * 5) * law(12 * 5 + 5) + 2 * s2 * 5 * law(5)
    for spikes, neurons in ((s1, NEURONS1), (s2, NEURONS2)):
        energy += mac * RUNS * neurons + ac * spikes + 2 * RUNS * neurons * law(neurons) + spikes * law(1000)
    assert total(trace, method) == pytest.approx(energy, rel=1e-12)


def piecewise(size):
    """0 pJ at 0 bytes, 10 at 8 KB, 20 at 32 KB, 100 at 1 MB and beyond, straight lines in between."""
    for (x0, y0), (x1, y1) in (((0, 0), (8192, 10)), ((8192, 10), (32768, 20)), ((32768, 20), (1048576, 100))):
        if size <= x1:
            return y0 + (y1 - y0) * (size - x0) / (x1 - x0)
    return 100.0


@pytest.mark.parametrize("words", [0, 1, 2048, 2049, 5000, 8192, 100_000, 262_144, 10**7])
def test_the_price_of_an_access_grows_with_the_memory_up_to_1_mb(words):
    assert float(access_pj(load_sheet("lemaire-2022"), words)) == pytest.approx(piecewise(4 * words))


def test_bit_budget(trace, facts):
    found = account(trace, "bit-budget")
    assert not found.priced
    assert found.measures["S-ACE"] == RUNS * 32 * (DENSE1 * 32 + DENSE2 + DENSE3)
    s1, s2 = facts
    pixels = next(layer for layer in trace.layers if layer.name == "conv1")
    first = Fraction(pixels.spikes, pixels.elements) * RUNS * DENSE1 * 32
    rest = Fraction(s1, NEURONS1) * DENSE2 + Fraction(s2, NEURONS2) * DENSE3
    assert found.measures["NS-ACE"] == 32 * (first + rest)


def test_yan(trace, facts):
    events = sum(layer.events for layer in trace.layers if layer.name != "conv1")
    updates, spikes = RUNS * (NEURONS1 + NEURONS2), sum(facts)
    assert total(trace, "yan-2024") == pytest.approx(0.05448 * (events + updates + spikes) + 3.0 * 0.64 * spikes)
    assert not account(trace, "yan-2024").complete


@pytest.mark.parametrize(("steps", "bits"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 3), (8, 4), (15, 4)])
def test_bits_of_the_quantised_counterpart(steps, bits):
    assert 2 ** (bits - 1) < steps + 1 <= 2**bits
    assert (quantised_bits(steps), dense_ratio(steps)) == (bits, Fraction(steps, bits))


def test_sata(trace, facts):
    """8 x 16 units, weights stationary: a fill of k x n weights takes 2 * 8 + 16 + m - 2 cycles."""
    s1, s2 = facts
    pixels = next(layer for layer in trace.layers if layer.name == "conv1")
    macs = pixels.spikes / 16 * DENSE1 + s1 / NEURONS1 * DENSE2 + s2 / NEURONS2 * DENSE3
    # conv1: k 9, n 2, m 16; conv2: k 18, n 3, m 4; fc: k 12, n 5, m 1
    cycles = RUNS * ((30 + 16) * 2 - 1 + (30 + 4) * 3 - 1 + (30 + 1) * 2 - 1)
    busy = (0.02511 + 3.59712) * macs + 0.01886 * RUNS * (NEURONS1 + NEURONS2)
    idle = (0.05625 + 8.4e-5 + 0.91177 + 0.007256 + 0.01924 + 6.2e-5) * cycles * 128
    assert total(trace, "sata-sim") == pytest.approx((busy + idle) / 400 * 1000)


@pytest.mark.parametrize("method", ["arithmetic", "arithmetic-zero-skipping", "every-operation-ac"])
def test_our_methods_are_those_of_price(trace, method):
    assert total(trace, method) == pytest.approx(se.price(trace, FP32, method).energy_pj, rel=1e-12)


UPDATES = replace(FP32, energy_pj={**FP32.energy_pj, "neuron_update": replace(FP32.energy_pj["ac"], value_pj=81.0)})
"""A chip with a price of its own for neuron updates."""


@pytest.mark.parametrize("prices", [load_hardware("horowitz-45nm-fp16"), UPDATES], ids=["fp16", "updates"])
@pytest.mark.parametrize("method", ["arithmetic", "arithmetic-zero-skipping", "every-operation-ac"])
def test_our_methods_on_other_hardware(pixels, method, prices):
    trace = se.trace(nn.Sequential(Net(), LIF(threshold=0.1), nn.Linear(5, 2)), pixels)
    assert total(trace, method, prices) == pytest.approx(se.price(trace, prices, method).energy_pj, rel=1e-12)


def test_what_has_no_price_is_named_and_gives_no_total(trace):
    """The report of `price` lists it as unpriced; a method beside others would look cheap for what it lacks."""
    found = account(trace, "arithmetic", load_hardware("jouppi-7nm-fp32"))
    assert not found.priced
    assert 'no price for "compare"' in found.refused


def test_a_network_without_spikes(pixels):
    """No rate, so no accumulates: dense MACs by the formulas, the equations of an ANN by Lemaire."""
    trace = se.trace(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(32, 4)), pixels)
    for method in ("rate-flops", "spikformer", "every-operation-ac"):
        assert total(trace, method) == pytest.approx(4.6 * 2 * (DENSE1 + 32 * 4))
    reads = DENSE1 * piecewise(4 * 16) + DENSE1 * piecewise(4 * 18) + 32 * piecewise(4 * 32)
    reads += 32 * piecewise(4 * 32) + (128 + 4) * piecewise(4 * (128 + 4)) + 4 * piecewise(4 * 4)
    arithmetic = 3.2 * (DENSE1 + 128) + 0.1 * 4 + 0.1 * (16 + 32 + 18) + 0.1 * (32 + 4)
    assert total(trace, "lemaire-2022") == pytest.approx(2 * (arithmetic + reads))


def test_attention_is_charged_or_left_out_by_name():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.n, self.fc = LIF(threshold=0.5), nn.Linear(4, 4, bias=False)

        def forward(self, x):
            s = self.n(x.expand(2, *x.shape)).mean(0).round()
            return self.fc(s @ s.transpose(1, 2))

    x = (torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    trace = se.trace(Attention(), x)
    product = next(layer for layer in trace.layers if layer.partner_values is not None)
    share = Fraction(product.spikes, product.elements)
    assert account(trace, "spikformer").part("attention")[0] == share * 64
    assert account(trace, "arithmetic").part("attention")[0] == product.events
    for method in ("rate-flops", "syops", "neurobench", "lemaire-2022", "sata-sim", "bit-budget"):
        found = account(trace, method)
        assert found.part("attention") == (0, 0)
        assert "attention" in {left.part for left in found.left}, method


# Laws


@pytest.mark.parametrize("method", PRICED)
def test_parts_add_up(trace, method):
    found = account(trace, method)
    assert {term.part for term in found.terms} <= set(PARTS)
    assert sum(found.part(name)[1] for name in PARTS) == found.energy_per_inference_pj > 0


@pytest.mark.parametrize("method", [name for name in PRICED if name not in ("sata-sim", "yan-2024")])
@settings(max_examples=10, deadline=None)
@given(factor=st.fractions(Fraction(1, 8), 8, max_denominator=8))
def test_linear_in_the_profile(trace, method, factor):
    """Doubling the prices of the profile doubles what they price; a method's own constants stay."""
    prices = {a: replace(p, value_pj=float(factor) * p.value_pj, range_pj=None) for a, p in FP32.energy_pj.items()}
    before, after = (account(trace, method, hw) for hw in (FP32, replace(FP32, energy_pj=prices)))
    own = sum(t.energy_pj for t in before.terms if t.action in ("access", "byte"))
    expected = own + factor * (before.energy_pj - own)
    assert float(after.energy_pj) == pytest.approx(float(expected), rel=1e-9)


# every-operation-ac takes real-valued layers at the mean rate of all data, which no half knows.
@pytest.mark.parametrize("method", [name for name in [*PRICED, "bit-budget"] if name != "every-operation-ac"])
def test_additive_in_traces(method):
    """Energies of two halves are the energy of both; silence costs what silence costs."""
    model, x = Net(), torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(5))
    one, two, both = (se.trace(model, part, time_steps=STEPS) for part in (x[:1], x[1:], x))
    parts = [account(part, method) for part in (one, two)]
    whole = account(both, method)
    assert float(whole.energy_pj) == pytest.approx(float(sum(part.energy_pj for part in parts)), rel=1e-12)
    for name, value in whole.measures.items():
        assert value == sum(part.measures[name] for part in parts)


@pytest.mark.parametrize("low", PRICED)
@pytest.mark.parametrize("high", PRICED)
def test_a_waterfall_adds_up_exactly(trace, low, high):
    a, b = account(trace, low), account(trace, high)
    steps = waterfall(a, b)
    assert sum(step.energy_pj for step in steps) == b.energy_per_inference_pj - a.energy_per_inference_pj
    assert all(step.energy_pj for step in steps)
    if low == high:
        assert steps == ()


def test_equal_prices_make_no_step(trace):
    """Prices are rational numbers: no step of rounding errors where both methods pay the same."""
    steps = waterfall(account(trace, "syops", FP32), account(trace, "arithmetic", FP32))
    assert [(step.part, step.cause) for step in steps if step.part in ("first layer", "synapses")] == [
        ("first layer", "count"),
        ("synapses", "count"),
    ]


def test_steps_tell_counts_from_prices(trace):
    int8 = load_hardware("horowitz-45nm-int8")
    same = waterfall(account(trace, "rate-flops", FP32), account(trace, "rate-flops", int8))
    assert {step.cause for step in same} == {"price"}
    counted = waterfall(account(trace, "rate-flops", FP32), account(trace, "spikformer", FP32))
    assert [(step.part, step.cause) for step in counted] == [("first layer", "count")]
    assert counted[0].energy_pj == Fraction(FP32.energy_pj["mac"].value_pj) * DENSE1 * (STEPS - 1)


def test_every_rule_of_a_charged_part_is_written(trace):
    for name in PRICED:
        found = account(trace, name)
        assert {term.part for term in found.terms} <= set(found.sheet.rules), name


@pytest.mark.parametrize("method", [name for name in PRICED if name not in ("sata-sim", "yan-2024")])
def test_price_takes_every_complete_method(trace, method):
    """The rows of a report are the terms of the account, priced on the hardware asked for."""
    report, found = se.price(trace, FP32, method), account(trace, method, FP32)
    assert report.energy_pj == pytest.approx(float(found.energy_pj), rel=1e-12)
    assert sum(report.components_pj.values()) == pytest.approx(report.energy_pj, rel=1e-12)
    assert [row.name for row in report.rows][:3] == ["conv1", "conv2", "fc"]
    json.loads(report.to_json())


MEMORY_PARTS = ("inputs and outputs", "weights", "potentials")


@pytest.mark.parametrize("method", ["lemaire-2022", "spikingjelly-simple", "arithmetic+memory", "syops", "arithmetic"])
def test_memory_is_a_component_of_its_own(trace, method):
    found, report = account(trace, method, FP32), se.price(trace, FP32, method)
    moved = float(sum(found.part(name)[1] for name in MEMORY_PARTS) * found.samples)
    assert report.components_pj.get("memory", 0.0) == pytest.approx(moved, rel=1e-12)
    assert (
        ("memory" in report.components_pj)
        is ("memory_pj" in report.to_frame())
        is (method not in ("syops", "arithmetic"))
    )
    assert (moved > 0) is ("memory" in report.components_pj)


@pytest.mark.parametrize("method", ["sata-sim", "yan-2024", "bit-budget", "dampfhoffer-2022"])
def test_price_refuses_what_is_not_whole(trace, method):
    with pytest.raises(UsageError, match="unknown method"):
        se.price(trace, FP32, method)


def test_price_refuses_prices_that_contain_memory(trace):
    with pytest.raises(PriceError, match="contain memory already"):
        se.price(trace, "truenorth-total", "lemaire-2022")


def test_per_sample_energies_add_up(pixels):
    trace = se.trace(Net(), pixels, time_steps=STEPS, per_sample=True)
    report = se.price(trace, FP32, "lemaire-2022")
    assert sum(report.samples_pj) == pytest.approx(report.energy_pj, rel=1e-12)


# Refusals


def test_explain_orders_and_names_what_is_missing(trace):
    found = explain(trace)
    energies = [one.energy_pj for one in found.accounts if one.priced]
    assert energies == sorted(energies)
    assert [one.sheet.name for one in found.accounts][-1] == "dampfhoffer-2022"
    assert "could not be read" in found.accounts[-1].refused
    assert found.low.complete
    assert found.high.complete
    assert found.ratio(found.low) == 1
    assert len(found.to_dict()["methods"]) == len(account_names())


def test_hardware_without_a_price_is_refused_by_name(trace):
    """TrueNorth has no MAC, and its accumulate contains memory."""
    chip = load_hardware("truenorth-total")
    refused = {one.sheet.name: one.refused for one in explain(trace, chip).accounts}
    assert '"mac"' in refused["rate-flops"]
    assert "contain memory already" in refused["lemaire-2022"]
    assert "contain memory already" in refused["spikingjelly-simple"]


def test_waterfalls_between_any_two(trace):
    found = explain(trace, between=("lemaire-2022", "syops"))
    assert [one.sheet.name for one in found.ends] == ["lemaire-2022", "syops"]
    assert sum(s.energy_pj for s in found.steps) == found.ends[1].energy_per_inference_pj - (
        found.ends[0].energy_per_inference_pj
    )
    for names, message in ((("syops", "x"), "unknown method 'x'"), (("syops", "bit-budget"), "prices nothing")):
        with pytest.raises(UsageError, match=message):
            explain(trace, between=names)


def test_what_the_formulas_do_not_know_is_refused(trace):
    """Never left out in silence: a T that differs, memories of unknown size, transposed convolutions."""
    mixed = replace(trace, time_steps=MIXED)
    for method in ("rate-flops", "spikformer", "lemaire-2022"):
        assert "differ between layers" in account(mixed, method).refused
    shapeless = replace(trace, layers=(replace(trace.layers[0], geometry=None), *trace.layers[1:]))
    assert "sizes of its memories" in account(shapeless, "lemaire-2022").refused
    assert "cycles of the array" in account(shapeless, "sata-sim").refused
    transposed = se.trace(nn.ConvTranspose2d(1, 1, 2, stride=2), torch.ones(1, 1, 4, 4))
    assert "conv_transpose2d" in account(transposed, "lemaire-2022").refused


def test_nothing_ran_costs_nothing_and_is_no_refusal():
    found = account(se.Trace(samples=1), "arithmetic")
    assert (found.priced, found.energy_pj) == (True, 0)


def test_unknown_methods_and_empty_traces(trace):
    with pytest.raises(UsageError, match="did you mean 'lemaire-2022'"):
        account(trace, "lemaire-202")
    with pytest.raises(TraceError, match="no sample"):
        account(se.Trace(), "syops")


@pytest.mark.parametrize("name", account_names())
def test_sheets_are_sourced(name):
    sheet = load_sheet(name)
    assert sheet.citation
    assert sheet.missing or sheet.counts
    for constant in sheet.constants.values():
        assert constant.source
        assert constant.locator
    if sheet.hardware is not None:
        load_hardware(sheet.hardware)


SOUND = {"format": 1, "name": "x", "title": "X", "citation": "C", "missing": "unread"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format must be 1"),
        ({"name": "y"}, "name must be that of the file"),
        ({"colour": "red"}, 'unknown key "colour"'),
        ({"title": 3}, "title must be a text"),
        ({"missing": None}, None),
        ({"constants": {"a": {"value": 1}}}, "constants.a must have"),
        (
            {"constants": {"a": {"value": "1", "unit": "", "source": "s", "locator": "l", "evidence": "stated"}}},
            "must be a number",
        ),
        (
            {"constants": {"a": {"value": 1, "unit": "", "source": "s", "locator": "l", "evidence": "felt"}}},
            "evidence must be one of",
        ),
    ],
)
def test_a_wrong_sheet_is_refused(change, message):
    document = {**SOUND, **change}
    if message is None:
        del document["missing"]
        message = r"\[counts\] must have"
    with pytest.raises(ProfileError, match=message):
        read_sheet(document, "x")
    assert read_sheet(SOUND, "x").missing == "unread"


def test_a_silent_layer_counts_as_spikes():
    """Nothing was seen, so nothing is real: rates of 0 charge nothing."""
    model = Net()
    nn.init.zeros_(model.conv1.bias)
    trace = se.trace(model, torch.zeros(1, 1, 4, 4), time_steps=STEPS)
    silent = {layer.name for layer in trace.layers if layer.operand.kind == "silent"}
    assert "conv2" in silent
    for method in ("rate-flops", "spikformer", "neurobench"):
        assert not {term.layer for term in account(trace, method).terms} & silent
