"""The [latency] table: what it may hold, what its faults are told, and what it is read into."""

from __future__ import annotations

import json
import pickle
import tomllib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import EVENTS, MEMORY, STEPS, SYSTOLIC, document, hardware, number

from snn_energy.errors import ProfileError
from snn_energy.hardware import load_hardware, parse_hardware, profile_template
from snn_energy.hardware.machine_table import MODELS, Number
from snn_energy.hardware.machines import EventDriven, Memory, StepSynchronous, Systolic

TABLES = {"systolic": SYSTOLIC, "event-driven": EVENTS, "step-synchronous": STEPS}
HAS = (
    "latency.rows must be a table with value, evidence, source, locator, or name an entry of timing_ns, limits, system"
)


def problems(latency, **sections):
    with pytest.raises(ProfileError) as caught:
        parse_hardware({**document(latency), **sections}, stem="x", shown="x.toml")
    return str(caught.value).splitlines()


def test_engines_are_read_as_written():
    assert hardware(SYSTOLIC).latency.engine == Systolic(
        rows=4, cols=4, dataflow="output-stationary", over_time="repeat"
    )
    assert hardware({**SYSTOLIC, "over_time": "fold"}).latency.engine.over_time == "fold"
    assert hardware(EVENTS).latency.engine == EventDriven(synops=4, updates=2, barrier=3, schedule="sequential")
    assert hardware({**STEPS, "neurons_per_core": 7}).latency.engine == StepSynchronous(
        synop_ns=Fraction(5, 2), update_ns=Fraction(4), barrier_ns=Fraction(100), neurons_per_core=7
    )


def test_memory_clock_and_static_power():
    machine = hardware({**SYSTOLIC, **MEMORY, "clock_mhz": 0.1, "static_power_mw": 2, "updates_per_cycle": 5}).latency
    assert machine.clock_mhz == Fraction(1, 10)  # a tenth, as the file has it
    assert (machine.static_mw, machine.updates_per_cycle) == (2, 5)
    assert machine.memory == Memory(
        gigabytes_per_second=Fraction(2, 5),
        weight_bits=8,
        activation_bits=8,
        spike_bits=1,
        state_bits=16,
        weights="once-per-inference",
    )


def test_a_number_may_be_one_that_the_profile_has_already():
    time = number(3.5, per="synaptic operation", range=[3.5, 4], confidence="low")
    made = parse_hardware(
        {**document({**STEPS, "synop_ns": "timing_ns.synop"}), "timing_ns": {"synop": time}}, stem="x", shown="x.toml"
    )
    assert made.latency.engine.synop_ns == Fraction(7, 2)
    figure = made.latency.figures["synop_ns"]
    assert (figure.source, figure.confidence, figure.range) == ("paper", "low", (Fraction(7, 2), Fraction(4)))
    assert problems({**STEPS, "synop_ns": "timing_ns.other"}) == [
        "x.toml: latency.synop_ns must be a table with value, evidence, source, locator, or name an entry of "
        'timing_ns, limits, system (got "timing_ns.other"); every number has its source'
    ]


WHICH = 'latency.model must be "systolic" or "event-driven" or "step-synchronous" (got {}); name the kind of machine'
ROWS = "latency.rows.value must be a whole number >= 1 (rows of the array) (got {})"
MHZ = "latency.clock_mhz.value must be a number > 0 (MHz) (got {})"


def without(table, key):
    return {name: value for name, value in table.items() if name != key}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"model": "quantum"}, WHICH.format('"quantum"')),
        ({}, WHICH.format("None")),
        ({**SYSTOLIC, "rows": number(0)}, ROWS.format(0)),
        ({**SYSTOLIC, "rows": number(2.5)}, ROWS.format(2.5)),
        ({**SYSTOLIC, "rows": number(True)}, ROWS.format("true")),
        ({**SYSTOLIC, "rows": "many"}, f'{HAS} (got "many"); every number has its source'),
        (
            {**SYSTOLIC, "dataflow": "os"},
            'latency.dataflow must be "output-stationary" or "weight-stationary" or "input-stationary" (got "os")',
        ),
        ({**SYSTOLIC, "row": number(1)}, 'latency.row is no field of model "systolic"; did you mean "rows"?'),
        ({**SYSTOLIC, "clock_mhz": number(0)}, MHZ.format(0)),
        ({**SYSTOLIC, "clock_mhz": number(float("inf"))}, MHZ.format("inf")),
        (
            {**SYSTOLIC, "rows": number(4, evidence="scaled")},
            'latency.rows.evidence must be "stated" or "derived" or "simulated" or "measured" (got "scaled")',
        ),
        ({**SYSTOLIC, "rows": number(4, locator=" ")}, 'latency.rows.locator must be non-empty text (got " ")'),
        (
            {**SYSTOLIC, "rows": number(4, confidence="sure")},
            'latency.rows.confidence must be "high" or "medium" or "low" (got "sure")',
        ),
        (
            {**SYSTOLIC, "rows": number(4, range=[5, 6])},
            "latency.rows.range must be [lowest, highest] around latency.rows.value, both a whole number >= 1 "
            "(rows of the array) (got [5, 6])",
        ),
        (
            {**SYSTOLIC, "rows": number(4, unit="mm")},
            "latency.rows.unit is no field of a number; known: value, evidence, source, locator, range, confidence",
        ),
        (
            {**SYSTOLIC, **MEMORY, "weights_read": "per-event"},
            'latency.weights_read must be "once-per-inference" or "once-per-pass" (got "per-event")',
        ),
        (
            without(EVENTS, "barrier_cycles"),
            'latency.barrier_cycles is missing; model "event-driven" needs it: a whole number >= 0 (cycles at the end '
            "of each time step)",
        ),
        (
            {**EVENTS, **without(MEMORY, "state_bits")},
            "latency: bandwidth_gb_s is given without state_bits; give all of them or none",
        ),
        (
            {**EVENTS, **without(MEMORY, "clock_mhz")},
            "latency.bandwidth_gb_s needs latency.clock_mhz, without which it is no number of bytes per cycle",
        ),
        (
            {**STEPS, "clock_mhz": number(10)},
            'latency.clock_mhz is no field of model "step-synchronous"; known: synop_ns, update_ns, barrier_ns, '
            "neurons_per_core, static_power_mw",
        ),
        (
            {**STEPS, "synop_ns": number(-1)},
            "latency.synop_ns.value must be a number >= 0 (ns of one synaptic operation) (got -1)",
        ),
    ],
)
def test_one_fault_gives_exactly_one_message(table, message):
    assert problems(table) == [f"x.toml: {message}"]


def test_sources_of_the_table_are_sources_of_the_profile():
    wrong = {**SYSTOLIC, "rows": number(4, source="nobody")}
    assert problems(wrong) == [
        'x.toml: latency.rows.source names no entry of sources (got "nobody"); known sources: paper'
    ]
    only_here = {**SYSTOLIC, "rows": number(4, source="other")}
    sources = {"paper": {"citation": "A"}, "other": {"citation": "B"}}
    made = parse_hardware({**document(only_here), "sources": sources}, stem="x", shown="x.toml")
    assert made.latency.figures["rows"].source == "other"  # and so no source without a use


def test_all_faults_are_told_at_once():
    assert len(problems({**SYSTOLIC, "rows": number(0), "cols": number(0), "dataflow": "os"})) == 3


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_plain_values_lead_back_to_the_same_profile(table):
    made = hardware({**table, "static_power_mw": number(0.5, range=[0.25, 1], confidence="high"), "notes": "none"})
    plain = json.loads(json.dumps(made.as_dict()))["latency"]
    assert hardware(plain) == made
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(made) == hash(hardware(plain))


def test_profiles_without_the_table_do_without_the_key():
    plain = document(SYSTOLIC)
    del plain["latency"]
    made = parse_hardware(plain, stem="x", shown="x.toml")
    assert made.latency is None
    assert "latency" not in made.as_dict()


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=8),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
                        ["model", "rows", "cols", "dataflow", "value", "evidence", "source", "locator", "range"]),
                        inner, max_size=5)))  # fmt: skip
def test_whatever_the_table_holds_it_is_read_or_refused_with_a_message(value):
    for table in ({"model": "systolic", "rows": value}, {"model": value}, {**SYSTOLIC, "cols": value}):
        try:
            hardware(table)
        except ProfileError as problem:
            said = str(problem)
        else:
            said = "read"
        assert said.startswith(("read", "x.toml: latency."))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_template_names_every_field_that_it_lacks(table):
    """Each field of this kind of machine stands in the text once: as a key, or as a comment with its unit."""
    text = profile_template("y", hardware(table)).partition("[latency]")[2]
    given = tomllib.loads(profile_template("y", hardware(table)))["latency"]
    for key, rule in MODELS[table["model"]].items():
        told = f"# {key}: {rule.unit if isinstance(rule, Number) else rule.expected()}\n"
        assert (key in given) != (told in text), key


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_template_keeps_the_choices_and_asks_for_every_number(table):
    base = hardware(table)
    text = profile_template("y", base)
    for key, value in tomllib.loads(text)["latency"].items():
        assert value == (table[key] if isinstance(table[key], str) else {
            "value": "?", "evidence": "?", "source": "my-source", "locator": " "})  # fmt: skip
    filled = text.replace('evidence = "?"', 'evidence = "stated"').replace('" "', '"filled in"')
    for key, entry in base.as_dict()["latency"].items():
        if not isinstance(entry, str):
            filled = filled.replace(f'[latency.{key}]\nvalue = "?"', f"[latency.{key}]\nvalue = {entry['value']}")
    made = parse_hardware(tomllib.loads(filled.replace('value = "?"', "value = 1")), stem="y", shown="y.toml")
    assert made.latency.engine == base.latency.engine


def test_loihi_is_timed_by_the_table_of_davies_2018():
    """Table 2: 3.5 ns a synaptic operation, 8.4 ns an active neuron, 113 to 465 ns a barrier of 1 to 32 tiles."""
    machine = load_hardware("loihi").latency
    assert machine.engine == StepSynchronous(
        synop_ns=Fraction(7, 2), update_ns=Fraction(42, 5), barrier_ns=Fraction(465), neurons_per_core=1024
    )
    assert machine.figures["barrier_ns"].range == (113, 465)
    fitted = load_hardware("loihi-sana-fe").latency.engine
    assert (fitted.synop_ns, fitted.update_ns, fitted.barrier_ns) == (Fraction("3.8"), Fraction("9.7"), 1800)
