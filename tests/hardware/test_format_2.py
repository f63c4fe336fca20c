"""What format 2 adds, and what a profile that breaks its rules is told; format 1 stays as it was."""

from __future__ import annotations

import copy
import pickle

import pytest

from snn_energy.errors import PriceError, ProfileError
from snn_energy.hardware import COVERABLE, LIMITS, TRAITS, load_hardware, parse_hardware

WHERE = {"evidence": "stated", "source": "paper", "locator": "Table 1"}
ABSENT = object()


def profile():
    return {
        "format": 2,
        "name": "x",
        "title": "A chip",
        "class": "neuromorphic",
        "integer_spikes": "graded-mac",
        "energy_pj": {"ac": {"value": 10, "scope": "all-in", **WHERE}},
        "event_pj": {"hop": {"value": 3, "per": "spike and hop", "scope": "all-in", **WHERE}},
        "timing_ns": {"tick": {"value": 1000, "per": "time step", **WHERE}},
        "limits": {"cores": {"value": 2, **WHERE}, "neurons_per_core": {"value": [4, 8], **WHERE}},
        "system": {"power_mw": {"value": 65, **WHERE}},
        "included": {"memory": "ac", "neuron_update": "ac"},
        "unpriced": {"mac": "not in the paper"},
        "sources": {"paper": {"citation": "A. Author, 2020"}},
    }


def changed(path, value):
    document = copy.deepcopy(profile())
    table = document
    *parents, last = path.split("/")
    for key in parents:
        table = table.setdefault(key, {})
    if value is ABSENT:
        del table[last]
    else:
        table[last] = value
    return document


def read(document):
    return parse_hardware(document, stem="x", shown="x.toml")


def problems(document):
    with pytest.raises(ProfileError) as caught:
        read(document)
    return [line.removeprefix("x.toml: ") for line in str(caught.value).splitlines()]


MEMORY = {"value": 5, "kind": "sram", "access_bits": 64, "scope": "all-in", **WHERE}
ONE_PROBLEM = [
    ("class", "asic", 'class must be "arithmetic" or "analytic" or "accelerator" or "neuromorphic" or "processor" '
     'or "calibrated" (got "asic")'),
    ("class", ABSENT, 'class is missing; it must be "arithmetic" or "analytic" or "accelerator" or "neuromorphic" or '
     '"processor" or "calibrated"'),
    ("energy_pj/ac/confidence", "sure", 'energy_pj.ac.confidence must be "high" or "medium" or "low" (got "sure")'),
    ("energy_pj/ac/evidence", "scaled", 'energy_pj.ac.evidence must be "stated" or "derived" or "simulated" or '
     '"measured" (got "scaled")'),
    ("event_pj/hop/per", ABSENT, "event_pj.hop.per is missing; it must be non-empty text"),
    ("timing_ns/tick/value", -1, "timing_ns.tick.value must be a number >= 0 in ns (got -1)"),
    ("timing_ns/tick/range", [1, 2], "timing_ns.tick.range must contain timing_ns.tick.value = 1000 (got [1, 2])"),
    ("timing_ns/tick/source", "papr", 'timing_ns.tick.source names no entry of sources (got "papr"); did you mean '
     '"paper"?'),
    ("limits/core", {"value": 2, **WHERE}, 'unknown limit limits.core; did you mean "cores"?'),
    ("limits/cores/value", 2.5, "limits.cores.value must be a whole number >= 1 (got 2.5)"),
    ("limits/neurons_per_core/value", [4], "limits.neurons_per_core.value must be one whole number >= 1 for each of "
     "limits.cores (got [4])"),
    ("limits/weight_bits", {"value": [8, 9], **WHERE}, "limits.weight_bits.value must be a whole number >= 1 (got "
     "[8, 9])"),
    ("limits/shared_weights", {"value": 1, **WHERE}, "limits.shared_weights.value must be true or false (got 1)"),
    ("system/power", {"value": 65, **WHERE}, "system.power must end in its unit, one of _w, _mw, _uw, _j, _mj, _uj, "
     "_nj, _s, _ms, _us, _ghz, _mhz, _per_s"),
    ("included/memory", "mac", 'included.memory must be an action that energy_pj prices (got "mac")'),
    ("included/wires", "ac", f"unknown action included.wires; known names: mac, ac, add, mul, compare, special, "
     f"neuron_update, time_step, inference, {', '.join(COVERABLE)}"),
    ("included/mac", "ac", "included.mac: mac is in unpriced as well; remove one of the two"),
    ("included", {}, "all-in prices need [included]: what they contain, each with the action (memory, routing, "
     "control, leakage, neuron_update)"),
    ("event_pj/hop/scope", "per-term", "energy_pj mixes scopes, and all-in energies already contain other terms; keep "
     "one scope per profile (got all-in: ac, per-term: event_pj.hop)"),
    ("memory_pj/big", MEMORY, "included.memory: memory_pj is priced as well; remove one of the two"),
    ("memory_pj", {"big": 3}, "memory_pj.big must be a table with value, scope, evidence, source, locator, kind, "
     "access_bits (got 3)"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), ONE_PROBLEM, ids=[row[2][:60] for row in ONE_PROBLEM])
def test_one_fault_gives_exactly_one_message(path, value, message):
    document = changed(path, value)
    if path == "memory_pj":
        del document["included"]["memory"]
    assert problems(document) == [message]


def test_a_profile_without_a_number_is_refused():
    document = profile()
    for section in ("energy_pj", "event_pj", "timing_ns", "limits", "system", "included"):
        del document[section]
    document["sources"] = {}
    assert problems(document) == [
        "the profile holds no number; fill in one of energy_pj, memory_pj, event_pj, timing_ns, limits, system, scaling"
    ]


def test_a_field_of_format_2_in_a_file_of_format_1():
    document = {key: value for key, value in profile().items() if key in ("name", "title", "integer_spikes", "sources")}
    document |= {"format": 1, "energy_pj": {"ac": {"value": 1, "scope": "per-term", **WHERE}}}
    assert read(document).category is None
    assert problems(document | {"limits": {}}) == ["limits needs format = 2 (got format = 1)"]


def test_what_is_read_is_what_was_written():
    hardware = read(profile())
    assert hardware.scope == "all-in"
    assert hardware.limits["neurons_per_core"].value == (4, 8)
    assert hardware.timing_ns["tick"].value_ns == 1000
    assert hardware.system["power_mw"].value == 65
    assert hardware.event_pj["hop"].per == "spike and hop"
    assert pickle.loads(pickle.dumps(hardware)) == hardware
    assert hash(copy.deepcopy(hardware)) == hash(hardware)
    with pytest.raises(TypeError):
        hardware.limits["cores"] = None


def test_as_dict_holds_all_and_the_price_list_what_pricing_reads():
    hardware = read(profile())
    whole = hardware.as_dict()
    assert whole["limits"]["neurons_per_core"]["value"] == [4, 8]
    assert set(whole) - set(hardware.price_list()) == {"category", "event_pj", "timing_ns", "limits", "system"}
    assert hardware.price_list()["included"] == {"memory": "ac", "neuron_update": "ac"}
    # An old profile says as much as it did before there was a second format.
    assert "included" not in load_hardware("horowitz-45nm-fp32").price_list()


def test_what_another_price_contains_is_not_priced_again():
    hardware = read(profile())
    assert hardware.covered_by("neuron_update") == "ac"
    assert hardware.covered_by("ac") is None
    with pytest.raises(PriceError) as caught:
        hardware.price("neuron_update")
    assert str(caught.value) == (
        'hardware "x": the price of "ac" contains "neuron_update" already; leave it out of the sum'
    )


def test_a_profile_that_prices_nothing_says_so():
    with pytest.raises(PriceError) as caught:
        load_hardware("loihi-2").price("ac")
    assert str(caught.value) == (
        'hardware "loihi-2" prices no action, so not "ac" either: it holds timing_ns, limits alone; '
        "choose another profile (snn-energy hardware list)"
    )


def test_every_limit_has_one_meaning():
    assert not set(LIMITS) & set(TRAITS)
