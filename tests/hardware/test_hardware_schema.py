"""What a broken profile is told: every message exactly, and all of them at once."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_energy.errors import PriceError, ProfileError
from snn_energy.hardware import ACTIONS, Hardware, InvalidProfileError, parse_hardware

ABSENT = object()
FIELDS = "known fields: value, scope, evidence, source, locator, range"


def price(value=1.0, **changes):
    entry = {
        "value": value,
        "scope": "per-term",
        "evidence": "stated",
        "source": "paper",
        "locator": "Table 1",
    }
    return entry | changes


def profile():
    return {
        "format": 1,
        "name": "x",
        "title": "A chip",
        "integer_spikes": "graded-mac",
        "energy_pj": {"mac": price(4.6), "ac": price(0.9)},
        "unpriced": {"special": "not in the paper"},
        "sources": {"paper": {"citation": "A. Author, 2020"}},
    }


def changed(path, value):
    document = copy.deepcopy(profile())
    table = document
    *parents, last = path.split("/")
    for key in parents:
        table = table[key]
    if value is ABSENT:
        del table[last]
    else:
        table[last] = value
    return document


def problems(document):
    with pytest.raises(ProfileError) as caught:
        parse_hardware(document, stem="x", shown="profiles/x.toml")
    assert isinstance(caught.value, InvalidProfileError)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all(line.startswith("profiles/x.toml: ") for line in caught.value.problems)
    return [line.removeprefix("profiles/x.toml: ") for line in caught.value.problems]


ONE_PROBLEM = [
    # numbers
    ("energy_pj/ac/value", "0.9pJ", 'energy_pj.ac.value must be a number >= 0 in pJ (got "0.9pJ")'),
    ("energy_pj/ac/value", True, "energy_pj.ac.value must be a number >= 0 in pJ (got true)"),
    ("energy_pj/ac/value", -0.9, "energy_pj.ac.value must be a number >= 0 in pJ (got -0.9)"),
    ("energy_pj/ac/value", math.nan, "energy_pj.ac.value must be a number >= 0 in pJ (got nan)"),
    ("energy_pj/ac/value", math.inf, "energy_pj.ac.value must be a number >= 0 in pJ (got inf)"),
    ("energy_pj/ac/value", [0.9], "energy_pj.ac.value must be a number >= 0 in pJ (got [0.9])"),
    ("energy_pj/ac/value", ABSENT, "energy_pj.ac.value is missing; it must be a number >= 0 in pJ"),
    ("node_nm", 0, "node_nm must be a number > 0 in nm (got 0)"),
    ("voltage_v", "0.9", 'voltage_v must be a number > 0 in V (got "0.9")'),
    ("operand_bits", 8.0, "operand_bits must be a whole number >= 1 (got 8.0)"),
    ("operand_bits", True, "operand_bits must be a whole number >= 1 (got true)"),
    # ranges
    (
        "energy_pj/ac/range",
        [1, 2],
        "energy_pj.ac.range must contain energy_pj.ac.value = 0.9 (got [1, 2])",
    ),
    *(
        (
            "energy_pj/ac/range",
            bad,
            f"energy_pj.ac.range must be [lowest, highest], two numbers >= 0 in pJ in rising order (got {shown})",
        )
        for bad, shown in (([2, 0.5], "[2, 0.5]"), ([0.9], "[0.9]"), (0.9, "0.9"), ([-1, 2], "[-1, 2]"))
    ),
    # fields
    ("title", ABSENT, "title is missing; it must be non-empty text"),
    ("title", " ", 'title must be non-empty text (got " ")'),
    ("notes", 7, "notes must be non-empty text (got 7)"),
    ("node", 45, 'unknown field node; did you mean "node_nm"?'),
    ("energy_pj/ac/vlaue", 0.9, 'unknown field energy_pj.ac.vlaue; did you mean "value"?'),
    ("energy_pj/ac/q", 1, f"unknown field energy_pj.ac.q; {FIELDS}"),
    (
        "energy_pj/ac",
        0.9,
        "energy_pj.ac must be a table with value, scope, evidence, source, locator (got 0.9)",
    ),
    ("energy_pj", [1], "energy_pj must be a table of prices, one per action (got [1])"),
    ("energy_pj", ABSENT, "energy_pj is missing; it must be a table of prices, one per action"),
    ("sources", ABSENT, "sources is missing; it must be a table of publications"),
    ("sources/paper", "A. Author", 'sources.paper must be a table with citation (got "A. Author")'),
    ("sources/paper/citation", ABSENT, "sources.paper.citation is missing; it must be non-empty text"),
    ("sources/paper/year", 2020, "unknown field sources.paper.year; known fields: citation, url, note"),
    # choices
    (
        "energy_pj/ac/evidence",
        "guessed",
        'energy_pj.ac.evidence must be "stated" or "derived" or "simulated" or "measured" (got "guessed")',
    ),
    ("energy_pj/ac/scope", "all", 'energy_pj.ac.scope must be "per-term" or "all-in" (got "all")'),
    (
        "integer_spikes",
        "macs",
        'integer_spikes must be "accumulate-per-unit" or "graded-mac" (got "macs")',
    ),
    # actions
    ("energy_pj/comparison", price(), 'unknown action energy_pj.comparison; did you mean "compare"?'),
    ("unpriced/speciall", "why", 'unknown action unpriced.speciall; did you mean "special"?'),
    ("energy_pj/x y", price(), f'unknown action energy_pj."x y"; known actions: {", ".join(ACTIONS)}'),
    ("unpriced/special", "", 'unpriced.special must be the reason as non-empty text (got "")'),
    ("unpriced/ac", "why", "ac is both priced and unpriced; remove energy_pj.ac or unpriced.ac"),
    # rules across fields
    ("name", "y", 'name must be the file name without .toml, "x" (got "y")'),
    ("name", "A chip", 'name must be lower-case letters, digits, dots and hyphens (got "A chip")'),
    (
        "energy_pj/ac/source",
        "papr",
        'energy_pj.ac.source names no entry of sources (got "papr"); did you mean "paper"?',
    ),
    (
        "sources/other",
        {"citation": "B"},
        "sources.other is used by no price; remove it, or name it as the source of a price",
    ),
    (
        "energy_pj/ac/scope",
        "all-in",
        "energy_pj mixes scopes, and all-in energies already contain other terms; keep one scope per profile "
        "(got all-in: ac, per-term: mac)",
    ),
    ("format", 3, "format must be 1 or 2 (got 3); this version of snn-energy reads no other format"),
    ("format", True, "format must be 1 or 2 (got true); this version of snn-energy reads no other format"),
    ("format", ABSENT, "format is missing; it must be 1 or 2"),
]


def test_the_profile_these_tests_start_from_is_sound():
    hardware = parse_hardware(profile(), stem="x", shown="profiles/x.toml")
    assert hardware.price("mac").value_pj == 4.6


@pytest.mark.parametrize(("path", "value", "message"), ONE_PROBLEM, ids=[row[2][:60] for row in ONE_PROBLEM])
def test_one_fault_gives_exactly_one_message(path, value, message):
    document = changed(path, value)
    if path == "energy_pj":
        document["sources"] = {}  # otherwise the source is unused as well
    assert problems(document) == [message]


def test_all_problems_of_a_file_are_told_at_once():
    document = profile()
    document["titel"] = document.pop("title")
    document["energy_pj"]["ac"]["value"] = "0.9pJ"
    document["energy_pj"]["mac"]["evidence"] = "hearsay"
    assert problems(document) == [
        "title is missing; it must be non-empty text",
        'unknown field titel; did you mean "title"?',
        'energy_pj.mac.evidence must be "stated" or "derived" or "simulated" or "measured" (got "hearsay")',
        'energy_pj.ac.value must be a number >= 0 in pJ (got "0.9pJ")',
    ]


def test_an_empty_profile_and_an_empty_price_list():
    assert problems({}) == ["the file is empty; expected a hardware profile (start from snn-energy hardware new NAME)"]
    assert problems(profile() | {"energy_pj": {}, "sources": {}}) == ["energy_pj is empty; price at least one action"]
    assert problems(profile() | {"sources": {}})[0] == (
        'energy_pj.mac.source names no entry of sources (got "paper"); add [sources.paper]'
    )


def test_a_long_value_is_cut_short():
    (problem,) = problems(changed("energy_pj/ac/value", "x" * 500))
    assert len(problem) < 120
    assert problem.endswith("xxx...)")


def test_an_integer_beyond_any_float_is_refused():
    (problem,) = problems(changed("energy_pj/ac/value", 10**400))
    assert problem.startswith("energy_pj.ac.value must be a number >= 0 in pJ (got 1000")


# ---------------------------------------------------------------- laws

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PATHS = sorted({row[0] for row in ONE_PROBLEM} | {"unpriced", "energy_pj/ac/locator", "datatype"})


@given(path=st.sampled_from(PATHS), value=junk)
def test_whatever_a_profile_holds_it_is_read_or_refused_with_a_message(path, value):
    try:
        parse_hardware(changed(path, value), stem="x", shown="profiles/x.toml")
    except InvalidProfileError as error:
        found = error.problems
    else:
        return
    assert found
    assert all("\n" not in problem for problem in found)


finite = st.floats(min_value=0, max_value=1e6)


@given(values=st.dictionaries(st.sampled_from(sorted(ACTIONS)), finite, min_size=1), bits=st.integers(1, 64))
def test_a_sound_profile_is_read_as_written(values, bits):
    document = profile() | {"energy_pj": {action: price(value) for action, value in values.items()}}
    document |= {"unpriced": {}, "operand_bits": bits}
    hardware = parse_hardware(document, stem="x", shown="profiles/x.toml")
    assert {action: entry.value_pj for action, entry in hardware.energy_pj.items()} == values
    assert hardware.operand_bits == bits
    assert pickle.loads(pickle.dumps(hardware)) == hardware
    assert hash(copy.deepcopy(hardware)) == hash(hardware)


# ---------------------------------------------------------------- the record


def sound() -> Hardware:
    return parse_hardware(changed("energy_pj/ac/range", [0.5, 1]), stem="x", shown="profiles/x.toml")


def test_a_price_is_a_price_a_declared_gap_or_an_error():
    hardware = sound()
    assert hardware.price("ac").range_pj == (0.5, 1.0)
    assert hardware.price("special") is None
    assert hardware.unpriced["special"] == "not in the paper"
    with pytest.raises(PriceError) as caught:
        hardware.price("mul")
    assert str(caught.value) == (
        'hardware "x" has no price for "mul" (one multiplication outside a weighted sum); '
        "add [energy_pj.mul] to the profile, or the reason why there is none under [unpriced]"
    )
    with pytest.raises(PriceError) as caught:
        hardware.price("macs")
    assert str(caught.value) == 'hardware "x": there is no action "macs"; did you mean "mac"?'


def test_a_price_list_cannot_be_changed():
    hardware = sound()
    with pytest.raises(AttributeError):
        hardware.name = "y"
    with pytest.raises(TypeError):
        hardware.energy_pj["ac"] = hardware.energy_pj["mac"]
    with pytest.raises(TypeError):
        ACTIONS["spike"] = "no"


def test_as_dict_holds_plain_values():
    shown = sound().as_dict()
    assert shown["energy_pj"]["ac"] == {
        "value_pj": 0.9,
        "scope": "per-term",
        "evidence": "stated",
        "source": "paper",
        "locator": "Table 1",
        "range_pj": [0.5, 1.0],
    }
    assert shown["unpriced"] == {"special": "not in the paper"}
    assert shown["sources"] == {"paper": {"citation": "A. Author, 2020", "url": None, "note": None}}


def test_the_error_survives_pickling():
    error = InvalidProfileError("a: b", "a: c")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.problems, str(again)) == (InvalidProfileError, ("a: b", "a: c"), "a: b\na: c")
