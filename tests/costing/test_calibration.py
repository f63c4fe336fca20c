"""Calibration against prices that are known, fits worked out by hand, and every subset of the terms."""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_machine import COUNTS, NAMES, SAMPLES, SPIKES, energy, network

import snn_energy as se
from snn_energy.costing.calibration.calibrated import base_document, calibrated_profile
from snn_energy.costing.calibration.fitting import calibrated_prices
from snn_energy.costing.calibration.measured import Measurement, Measurements, read_measurements
from snn_energy.costing.calibration.nonnegative import nonnegative_least_squares
from snn_energy.costing.calibration.terms import Counts, Meter, bench, default_method, parsed_terms
from snn_energy.counting.counts import MIXED, Coverage, LayerCounts, NeuronCounts, OperatorRecord, Trace
from snn_energy.errors import DataError, PriceError, UsageError
from snn_energy.hardware import load_hardware, parse_hardware
from snn_energy.hardware.catalogue import profiles_found
from snn_energy.hardware.writing import profile_text

PRICES = {"mac": 4.25, "ac": 0.75, "neuron_update": 12.5, "time_step": 310.0}


def rows(energies, sources=None, sd=None, repeats=1):
    return Measurements(
        name="measured.csv",
        sha256="0" * 64,
        rows=tuple(
            Measurement(
                line=i + 2,
                source=f"{i}.json" if sources is None else sources[i],
                energy_pj=float(pj),
                sd_pj=None if sd is None else sd[i],
                repeats=repeats if isinstance(repeats, int) else repeats[i],
            )
            for i, pj in enumerate(energies)
        ),
    )


def counted(table, fixed=0.0):
    return [Counts(terms=tuple(map(float, one)), fixed_pj=fixed) for one in table]


def fitted(energies, table, text, **options):
    found = rows(energies, **{key: options.pop(key) for key in ("sources", "sd", "repeats") if key in options})
    return calibrated_prices(found, parsed_terms(text, None), counted(table), resamples=50, **options)


# ---------------------------------------------------------------- least squares >= 0


def best_of_all_subsets(a, b):
    """The minimum over x >= 0 is the plain minimum over the columns that are not 0: try all of them."""
    best = (float(b @ b), np.zeros(a.shape[1]))
    for size in range(1, a.shape[1] + 1):
        for chosen in map(list, combinations(range(a.shape[1]), size)):
            part = np.linalg.lstsq(a[:, chosen], b, rcond=None)[0]
            if (part >= 0).all():
                x = np.zeros(a.shape[1])
                x[chosen] = part
                best = min(best, (float(((b - a @ x) ** 2).sum()), x), key=lambda found: found[0])
    return best


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), columns=st.integers(1, 5), extra=st.integers(0, 4))
def test_least_squares_is_the_best_of_all_subsets(seed, columns, extra):
    drawn = np.random.default_rng(seed)
    a, b = drawn.normal(size=(columns + extra, columns)), drawn.normal(size=columns + extra)
    x = nonnegative_least_squares(a, b)
    least, expected = best_of_all_subsets(a, b)
    assert (x >= 0).all()
    assert ((b - a @ x) ** 2).sum() == pytest.approx(least, rel=1e-9, abs=1e-12)
    assert x == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_columns_of_very_different_sizes():
    a = np.array([[1e9, 1.0], [2e9, 1.0], [3e9, 5.0]])
    assert nonnegative_least_squares(a, a @ [1e-9, 250.0]) == pytest.approx([1e-9, 250.0], rel=1e-6)


# ---------------------------------------------------------------- known prices


def test_the_counts_are_those_of_the_trace():
    terms = parsed_terms(None, None)
    meter = Meter(terms=terms, method=default_method(terms), bench=bench(terms, None, None))
    for counts in COUNTS:
        assert meter.of_trace(network(*counts), "x") == Counts(terms=tuple(map(float, counts)), fixed_pj=0.0)


def test_known_prices_come_back_and_the_profile_repeats_them(tmp_path):
    terms = parsed_terms(None, None)
    found = calibrated_prices(rows([energy(c, PRICES) for c in COUNTS]), terms, counted(COUNTS))
    assert [c.term for c in found.coefficients] == list(NAMES)
    for coefficient in found.coefficients:
        expected = pytest.approx(PRICES[coefficient.term], rel=1e-9)
        assert (coefficient.value_pj, coefficient.low_pj, coefficient.high_pj) == (expected, expected, expected)
    assert found.largest_error == pytest.approx(0.0, abs=1e-9)
    assert all(point.held_out_pj is not None for point in found.points)
    path = tmp_path / "my-chip.toml"
    path.write_text(calibrated_profile(found, "my-chip", bench(terms, None, None), "arithmetic", None))
    profile = se.load_hardware(path)
    assert {price.evidence for price in profile.energy_pj.values()} == {"measured"}
    assert profile.scope == "all-in"
    assert "sha256 0000" in profile.sources["measurement"].note
    for counts in COUNTS:
        report = se.price(network(*counts), path)
        assert report.energy_per_inference_pj == pytest.approx(energy(counts, PRICES), rel=1e-5)
        assert report.unpriced == ()


def test_other_prices_stay_those_of_the_base(tmp_path):
    """loihi prices ac and neuron updates; mac and a time step are fitted to what they leave."""
    base = load_hardware("loihi")
    own = {name: base.energy_pj[name].value_pj for name in ("ac", "neuron_update")}
    terms = parsed_terms("mac,time_step", base)
    prices = bench(terms, base, None)
    meter = Meter(terms=terms, method="arithmetic", bench=prices)
    counts = [meter.of_trace(network(*c), "x") for c in COUNTS]
    for count, (mac, ac, updates, steps) in zip(counts, COUNTS, strict=True):
        assert count.terms == (mac, steps)
        assert count.fixed_pj == pytest.approx(own["ac"] * ac + own["neuron_update"] * updates)
    truth = {**PRICES, **own}
    found = calibrated_prices(rows([energy(c, truth) for c in COUNTS]), terms, counts, resamples=20)
    assert [c.value_pj for c in found.coefficients] == pytest.approx([4.25, 310.0])
    path = tmp_path / "mine.toml"
    path.write_text(calibrated_profile(found, "mine", prices, "arithmetic", base_document("loihi")))
    mine = se.load_hardware(path)
    assert {name: price.evidence for name, price in mine.energy_pj.items()} == {
        "ac": "simulated", "neuron_update": "simulated", "mac": "measured", "time_step": "measured",
    }  # fmt: skip
    assert (mine.limits, mine.latency) == (base.limits, base.latency)
    for counts in COUNTS:
        assert se.price(network(*counts), mine).energy_per_inference_pj == pytest.approx(
            energy(counts, truth), rel=1e-5
        )


def linear(elements: int, outputs: int, spikes: int) -> Trace:
    """One linear layer on one sample, T = 2."""
    size = elements * outputs
    return Trace(
        layers=(
            LayerCounts(
                name="fc", kind="linear", values=SPIKES, elements=elements * 2, spikes=spikes, weights=size,
                dense_macs=size * 2, connections=size * 2, events=spikes * outputs, operand_units=spikes * outputs,
                outputs=outputs * 2, operand_bits=8, weight_bits=8,
                geometry=(("batch", (1,)), ("c_in", (elements,)), ("c_out", (outputs,))),
            ),
        ),
        samples=1,
        time_steps=2,
    )  # fmt: skip


SIZES = [(4, 3, 5), (30, 2, 11), (7, 9, 12), (16, 16, 1)]
# All weights in both time steps; the input as a bitmap of one bit each, written and read: 8 bits are a word.
MOVED = [(spikes * out, 2 * inn * out + inn * 2 / 8, inn * 2 / 8) for inn, out, spikes in SIZES]
"""Accumulates, words read, words written of each."""


def test_memory_in_words(tmp_path):
    terms = parsed_terms("ac,memory", None)
    prices = bench(terms, None, 8)
    meter = Meter(terms=terms, method=default_method(terms), bench=prices)
    counts = [meter.of_trace(linear(*sizes), "x") for sizes in SIZES]
    expected = [(acs, read + written) for acs, read, written in MOVED]
    assert [count.terms for count in counts] == expected
    found = calibrated_prices(rows([0.5 * a + 20 * w for a, w in expected]), terms, counts, resamples=20)
    assert [c.value_pj for c in found.coefficients] == pytest.approx([0.5, 20.0])
    path = tmp_path / "mine.toml"
    path.write_text(calibrated_profile(found, "mine", prices, meter.method, None))
    for sizes, (acs, words) in zip(SIZES, expected, strict=True):
        report = se.price(linear(*sizes), path, "arithmetic+memory")
        assert report.energy_per_inference_pj == pytest.approx(0.5 * acs + 20 * words, rel=1e-5)
    with pytest.raises(UsageError, match="a word of memory has no width"):
        bench(terms, None, None)


def test_a_memory_of_the_base(tmp_path):
    """sata-sim-int8 reads and writes 8 KB by words of 8 bits: its reads are fitted, writes and accumulates are kept."""
    base = load_hardware("sata-sim-int8")
    ac, write = base.energy_pj["ac"].value_pj, base.memory_pj["glb-8kb-write"].value_pj
    terms = parsed_terms("glb-8kb-read,inference", base)
    prices = bench(terms, base, None)
    meter = Meter(terms=terms, method=default_method(terms), bench=prices)
    counts = [meter.of_trace(linear(*sizes), "x") for sizes in SIZES]
    assert [count.terms for count in counts] == [(read, 1) for _, read, _ in MOVED]
    assert [c.fixed_pj for c in counts] == pytest.approx([a * ac + w * write for a, _, w in MOVED])
    energies = [ac * a + 3.25 * r + write * w + 500 for a, r, w in MOVED]
    found = calibrated_prices(rows(energies), terms, counts, resamples=20)
    assert [c.value_pj for c in found.coefficients] == pytest.approx([3.25, 500.0])
    path = tmp_path / "mine.toml"
    path.write_text(calibrated_profile(found, "mine", prices, meter.method, base_document("sata-sim-int8")))
    mine = se.load_hardware(path)
    old, new = base.memory_pj["glb-8kb-read"], mine.memory_pj["glb-8kb-read"]
    assert (new.kind, new.size_bytes, new.access, new.access_bits) == (old.kind, old.size_bytes, old.access, 8)
    assert (new.value_pj, new.evidence, mine.memory_pj["dram-read"].evidence) == (3.25, "measured", "simulated")
    for sizes, energy_pj in zip(SIZES, energies, strict=True):
        report = se.price(linear(*sizes), mine, "arithmetic+memory")
        assert report.energy_per_inference_pj == pytest.approx(energy_pj, rel=1e-5)


def test_a_report_tells_the_same_counts_as_its_trace():
    for base, text in ((None, None), (load_hardware("horowitz-45nm-fp32"), "mac,ac,add"), (None, "ac,add,inference")):
        terms = parsed_terms(text, base)
        meter = Meter(terms=terms, method="arithmetic", bench=bench(terms, base, None))
        for counts in COUNTS[:3]:
            trace = network(*counts)
            document = se.price(trace, "horowitz-45nm-fp32").to_dict()
            ours, theirs = meter.of_trace(trace, "x"), meter.of_report(document, "r.json")
            assert theirs.terms == pytest.approx(ours.terms)
            assert theirs.fixed_pj == pytest.approx(ours.fixed_pj)


# ---------------------------------------------------------------- fits by hand


def test_one_term_by_hand():
    """Relative weights: c = sum(n / y) / sum((n / y)^2), and the same without the network that is held out."""
    n, y = [10, 20, 40], [30, 50, 130]
    ratios = [Fraction(a, b) for a, b in zip(n, y, strict=True)]

    def price(kept):
        return float(sum(kept) / sum(r * r for r in kept))

    found = fitted(y, [[a] for a in n], "ac")
    assert found.weights == "relative"
    assert found.coefficients[0].value_pj == pytest.approx(price(ratios))
    errors = [abs(price(ratios[:i] + ratios[i + 1 :]) * n[i] / y[i] - 1) for i in range(3)]
    assert found.held_out == pytest.approx(errors)
    assert (found.median_error, found.largest_error) == pytest.approx((sorted(errors)[1], max(errors)))
    plain = fitted(y, [[a] for a in n], "ac", weights="absolute")
    assert plain.coefficients[0].value_pj == pytest.approx((10 * 30 + 20 * 50 + 40 * 130) / (100 + 400 + 1600))


def test_stated_errors_by_hand():
    """1 / (sd^2 / repeats) weighs a measurement: c = sum(w n y) / sum(w n^2)."""
    n, y, sd, repeats = [10, 20, 40], [30, 50, 130], [1.0, 2.0, 8.0], [1, 9, 4]
    w = [r / s**2 for s, r in zip(sd, repeats, strict=True)]
    found = fitted(y, [[a] for a in n], "ac", sd=sd, repeats=repeats)
    assert found.weights == "sd"
    expected = sum(a * b * c for a, b, c in zip(w, n, y, strict=True)) / sum(
        a * b * b for a, b in zip(w, n, strict=True)
    )
    assert found.coefficients[0].value_pj == pytest.approx(expected)
    with pytest.raises(UsageError, match="weights: sd needs a column"):
        fitted(y, [[a] for a in n], "ac", weights="sd")


def test_all_measurements_of_a_network_are_held_out_together():
    """Two energies of one network: what is left predicts 3 pJ for each of its 10 accumulates, not their mean."""
    found = fitted([100, 120, 60, 90], [[10], [10], [20], [30]], "ac", sources=["a", "a", "b", "c"])
    assert [point.held_out_pj for point in found.points[:2]] == pytest.approx([30.0, 30.0])
    assert found.folds == 3


def test_folds_hold_out_every_network_once():
    found = fitted([energy(c, PRICES) for c in COUNTS], COUNTS, None, folds=2)
    assert found.folds == 2
    assert [point.held_out_pj for point in found.points] == pytest.approx([energy(c, PRICES) for c in COUNTS])
    with pytest.raises(UsageError, match="folds must be from 2 to 8"):
        fitted([energy(c, PRICES) for c in COUNTS], COUNTS, None, folds=9)


def test_a_network_that_alone_has_a_term_cannot_be_held_out():
    found = fitted([10, 20, 47], [[0, 5], [0, 10], [8, 15]], "mac,ac")
    assert [point.held_out_pj is None for point in found.points] == [False, False, True]
    assert len(found.held_out) == 2


def test_a_price_that_wants_to_be_negative_is_zero_and_says_so():
    """Energies fall with the second count: the best fit without a sign would be 3 and -1."""
    table = [[10, 1], [10, 4], [20, 2], [5, 3]]
    found = fitted([3 * a - b for a, b in table], table, "ac,neuron_update", weights="absolute")
    ac, update = found.coefficients
    assert (update.value_pj, update.at_zero, ac.at_zero) == (0.0, True, False)
    y, n = [3 * a - b for a, b in table], [a for a, _ in table]
    assert ac.value_pj == pytest.approx(sum(a * b for a, b in zip(n, y, strict=True)) / sum(a * a for a in n))


def test_intervals_cover_known_prices_in_noise():
    """5 % noise: of 95 % intervals from 12 measurements, most hold the truth (four in five of 60, at least)."""
    terms = parsed_terms("mac,ac,neuron_update", None)
    truth = [4.0, 0.9, 12.0]
    held = widths = 0
    for seed in range(20):
        drawn = random.Random(seed)
        table = [[drawn.randint(100, 9000), drawn.randint(100, 9000), drawn.randint(100, 9000)] for _ in range(12)]
        clean = [sum(n * p for n, p in zip(one, truth, strict=True)) for one in table]
        noisy = rows([pj * drawn.gauss(1, 0.05) for pj in clean])
        found = calibrated_prices(noisy, terms, counted(table), resamples=200)
        for coefficient, price in zip(found.coefficients, truth, strict=True):
            held += coefficient.low_pj <= price <= coefficient.high_pj
            widths += coefficient.high_pj - coefficient.low_pj < 2 * price
            assert coefficient.low_pj < coefficient.value_pj < coefficient.high_pj
    assert held >= 48
    assert widths >= 48  # and not because they hold everything
    again = calibrated_prices(noisy, terms, counted(table), resamples=200)
    assert again == found


# ---------------------------------------------------------------- what cannot be told apart


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ([[1, 2], [2, 4], [5, 10]], "ac,neuron_update", "ac and neuron_update cannot be told apart: in all 3 meas"),
        (
            [[1, 2, 3], [4, 1, 5], [2, 2, 4], [9, 3, 12]],
            "mac,ac,time_step",
            r"mac, ac and time_step cannot be told apart: one of them is a mix .* \(2 of 3 terms are determined\); "
            r"tie them \(--terms mac=ac=time_step,...\)",
        ),
        ([[1, 2, 7], [2, 4, 1], [5, 10, 2], [3, 6, 0]], "mac,ac,time_step", "mac and ac cannot be told apart"),
        ([[1, 0], [2, 0], [3, 0]], "ac,special", "special never happens in any measurement"),
        ([[1, 2], [2, 1]], "ac,special", r"2 terms \(ac, special\) need at least 3 measurements"),
    ],
)
def test_refused(table, text, message):
    with pytest.raises(DataError, match=message):
        fitted([10.0 * (i + 1) for i in range(len(table))], table, text)


def test_tied_terms_share_a_price():
    terms = parsed_terms("mac, ac=neuron_update", None)
    meter = Meter(terms=terms, method="arithmetic", bench=bench(terms, None, None))
    counts = [meter.of_trace(network(*c), "x") for c in COUNTS]
    assert [c.terms for c in counts] == [(mac, ac + updates) for mac, ac, updates, _ in COUNTS]
    found = calibrated_prices(rows([4 * m + 2 * (a + u) for m, a, u, _ in COUNTS]), terms, counts, resamples=20)
    text = calibrated_profile(found, "x", meter.bench, "arithmetic", None)
    prices = parse_hardware(tomllib.loads(text), stem="x", shown="x.toml").energy_pj
    assert {name: price.value_pj for name, price in prices.items()} == {"mac": 4.0, "ac": 2.0, "neuron_update": 2.0}


def test_weak_terms_are_named():
    """The second count follows the first to 1 %, the third does not."""
    drawn = random.Random(4)
    table = [[n, n * (1 + drawn.uniform(-0.01, 0.01)), drawn.randint(1, 900)] for n in range(100, 900, 100)]
    found = fitted([sum(one) for one in table], table, "ac,neuron_update,mac", weights="absolute")
    assert found.identifiability.weak == (("ac", "neuron_update"),)
    assert found.identifiability.condition > 30
    sound = fitted([energy(c, PRICES) for c in COUNTS], COUNTS, None)
    assert (sound.identifiability.weak, sound.identifiability.condition < 30) == ((), True)


def test_default_terms_that_never_happen_are_left_out():
    table = [(0, *counts[1:]) for counts in COUNTS]
    found = fitted([energy(c, PRICES) for c in table], table, None, drop_unused=True)
    assert found.never == ("mac",)
    assert [c.value_pj for c in found.coefficients] == pytest.approx([0.75, 12.5, 310.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("watts", "unknown term 'watts'; known terms: mac, ac"),
        ("neuron_updates", "unknown term 'neuron_updates'; did you mean \"neuron_update\""),
        ("ac,mac=ac", "'ac' is named twice"),
        ("memory", "at least one action must be fitted"),
    ],
)
def test_wrong_terms(text, message):
    with pytest.raises(UsageError, match=message):
        parsed_terms(text, None)


def test_what_a_trace_must_tell():
    terms = parsed_terms(None, None)
    meter = Meter(terms=terms, method="arithmetic", bench=bench(terms, None, None))
    trace = network(*COUNTS[0])
    with pytest.raises(DataError, match=r"x: work is uncounted \(aten.fft\)"):
        meter.of_trace(replace(trace, coverage=Coverage(uncounted=(OperatorRecord(name="aten.fft", bound=3),))), "x")
    with pytest.raises(DataError, match="x: samples or layers differ in time steps"):
        meter.of_trace(replace(trace, time_steps=MIXED), "x")
    on_loihi = parsed_terms("ac", load_hardware("loihi"))
    loihi = Meter(terms=on_loihi, method="arithmetic", bench=bench(on_loihi, load_hardware("loihi"), None))
    with pytest.raises(DataError, match='x: mac happened, and "loihi" has no price for it'):
        loihi.of_trace(trace, "x")
    document = se.price(trace).to_dict()
    with pytest.raises(DataError, match='r: mac happened, and "loihi"'):
        loihi.of_report(document, "r")
    with pytest.raises(DataError, match="r: priced by 'arithmetic-zero-skipping'"):
        meter.of_report({**document, "method": "arithmetic-zero-skipping"}, "r")
    with pytest.raises(UsageError, match="scaled from another profile"):
        base_document("scaled-7nm-fp32")


# ---------------------------------------------------------------- the file


def test_units_and_comments(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("# board 3\nTrace, energy_uJ ,sd_nj,repeats,date\na.json,1.5,20,4,today\n\nb.json,2e-3,1,,\n")
    first, second = read_measurements(path).rows
    assert (first.source, first.energy_pj, first.sd_pj, first.repeats, first.line) == ("a.json", 1.5e6, 2e4, 4, 3)
    assert (second.energy_pj, second.repeats, second.line) == (2000.0, 1, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "m.csv: empty; expected a heading"),
        ("trace,energy_uj\n", "a heading and no measurement"),
        ("trace,energy\na,1", r"column energy must end in its unit, one of pj, nj, uj, mj, j \(got 'none'\)"),
        ("trace,energy_kwh\na,1", r"column energy_kwh must end in its unit"),
        ("trace,power_mw\na,1", "expected a column energy_UNIT"),
        ("energy_uj\n1", "expected one column trace or report or file"),
        ("trace,energy_uj,energy_nj\na,1,1000", "columns energy_uj and energy_nj say the same"),
        ("trace,energy_uj\na,zero", r"line 2: the energy must be a number > 0 \(got 'zero'\)"),
        ("trace,energy_uj\na,-1", "line 2: the energy must be a number > 0"),
        ("trace,energy_uj\na,inf", "line 2: the energy must be a number > 0"),
        ("trace,energy_uj\n,1", "line 2: names no trace"),
        ("trace,energy_uj,repeats\na,1,0", "line 2: repeats must be a whole number >= 1"),
        ("trace,energy_uj,sd_uj\na,1,0.1\nb,2,", "line 3: no standard deviation"),
        ('trace,energy_uj\n"a\njson",1', "line 2: no row of CSV .* a measurement takes one line"),
        ("trace,energy_uj\n" + 140_000 * "a" + ",1", "line 2: no row of CSV .field larger than field limit"),
    ],
)
def test_wrong_files_are_one_line(tmp_path, text, message):
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_measurements(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", profiles_found()[0].values(), ids=lambda path: Path(path).stem)
def test_every_profile_is_written_as_it_was_read(path):
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    assert tomllib.loads(profile_text(document, "first\nsecond")) == document


def test_odd_text_survives():
    odd = {"a b": 'quote " back \\ tab \t line \n del \x7f é', "t": {"x.y": {"v": [1, 2.5, True, "z"]}, "empty": {}}}
    assert tomllib.loads(profile_text(odd)) == odd


# ---------------------------------------------------------------- time steps and inferences have a price


def test_static_energy_is_charged_where_a_profile_prices_it():
    loihi = load_hardware("loihi")
    price = replace(loihi.energy_pj["ac"], value_pj=7.0)
    profile = replace(
        loihi, energy_pj={**loihi.energy_pj, "time_step": price, "inference": replace(price, value_pj=100.0)}
    )
    trace = network(0, 10, 5, 4)
    plain, more = se.price(trace, loihi), se.price(trace, profile)
    assert more.energy_per_inference_pj - plain.energy_per_inference_pj == pytest.approx(4 * 7.0 + 100.0)
    assert {row.kind: row.calls for row in more.rows if row.name == "static"} == {
        "time_step": 4 * SAMPLES,
        "inference": 2,
    }
    assert not any(row.name == "static" for row in plain.rows)
    both = se.price(trace + trace, profile)
    assert both.energy_pj == pytest.approx(2 * more.energy_pj)
    ann = replace(trace, neurons=(), time_steps=None)
    assert se.price(ann, profile).energy_per_inference_pj == pytest.approx(10 * loihi.energy_pj["ac"].value_pj + 107.0)
    with pytest.raises(PriceError, match="prices a time step, but samples or layers differ"):
        se.price(replace(trace, time_steps=MIXED), profile)


def test_explain_charges_it_too():
    from snn_energy.costing.published_methods import account

    loihi = load_hardware("loihi")
    profile = replace(loihi, energy_pj={**loihi.energy_pj, "time_step": replace(loihi.energy_pj["ac"], value_pj=7.0)})
    trace = network(0, 10, 5, 4)
    found = account(trace, "arithmetic", profile)
    assert found.part("static") == (4, 28)
    assert "static" in found.sheet.rules
    assert float(found.energy_pj) == pytest.approx(se.price(trace, profile).energy_pj)


def test_neurons_without_updates_of_their_own_price():
    """A base that prices adds, muls and compares: the fit of an update replaces all of them."""
    base = load_hardware("horowitz-45nm-fp32")
    trace = network(0, 10, 5, 4)
    kept = Meter(terms=parsed_terms("ac", base), method="arithmetic", bench=bench(parsed_terms("ac", base), base, None))
    neuron: NeuronCounts = trace.neurons[0]
    assert (neuron.update_adds, neuron.update_muls, neuron.update_compares) == (1, 2, 3)
    assert kept.of_trace(trace, "x").fixed_pj == pytest.approx(5 * (0.9 + 2 * 3.7 + 3 * 0.9))
    terms = parsed_terms("ac,neuron_update", base)
    replaced = Meter(terms=terms, method="arithmetic", bench=bench(terms, base, None)).of_trace(trace, "x")
    assert replaced == Counts(terms=(10.0, 5.0), fixed_pj=0.0)
