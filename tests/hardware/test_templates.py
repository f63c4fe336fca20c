"""`hardware new`: the text it writes is refused blank by blank, and sound once every blank is filled in."""

from __future__ import annotations

import re
import tomllib

import pytest

from snn_energy.errors import ProfileError, UsageError
from snn_energy.hardware import list_hardware, load_hardware, parse_hardware, profile_template

# Profiles with every kind of section between them.
BASES = ["horowitz-45nm-fp32", "loihi", "speck", "truenorth-total", "scaled-7nm-int8", "sata-sim-int8", "akida-1000"]


def problems(text):
    with pytest.raises(ProfileError) as caught:
        parse_hardware(tomllib.loads(text), stem="my-chip", shown="my-chip.toml")
    return str(caught.value).splitlines()


def filled(text):
    """Every blank filled in as a reader of a paper would: with the number beside it, a grade, a place, a reason."""
    text = re.sub(r'^value = "\?"  # \S+: (\[.*\]|\S+).*$', r"value = \1", text, flags=re.M)
    text = text.replace('evidence = "?"', 'evidence = "measured"').replace('class = "?"', 'class = "arithmetic"')
    return re.sub(r'= " "', '= "Table 1"', text)


@pytest.mark.parametrize("base", BASES)
def test_a_template_is_refused_until_it_is_filled_in(base):
    text = profile_template("my-chip", load_hardware(base))
    blanks = len(re.findall(r'^\S+ = "[? ]"', text, flags=re.M))
    told = problems(text)
    assert blanks >= 5
    assert len(told) == blanks
    assert all('(got "?")' in line or '(got " ")' in line for line in told)
    profile = parse_hardware(tomllib.loads(filled(text)), stem="my-chip", shown="my-chip.toml")
    original = load_hardware(base)
    for section in ("energy_pj", "memory_pj", "event_pj", "timing_ns", "limits", "system", "unpriced", "included"):
        assert set(getattr(profile, section)) == set(getattr(original, section)), section
    assert profile.scope == original.scope


def test_it_says_what_the_other_profile_has():
    text = profile_template("my-chip", load_hardware("loihi"))
    assert 'value = "?"  # loihi: 81.0 pJ\n# range = [52, 81]  # of loihi: ' in text
    assert "[energy_pj.ac]  # one accumulate: a weight added to a sum because a spike arrived\n" in text


@pytest.mark.parametrize("name", ["My Chip", "", "a/b", "../x", "ümlaut"])
def test_a_name_that_no_profile_may_have(name):
    with pytest.raises(UsageError, match=r"^name must be lower-case letters, digits, dots and hyphens"):
        profile_template(name, load_hardware("loihi"))


@pytest.mark.slow
@pytest.mark.parametrize("base", list_hardware())
def test_every_shipped_profile_makes_a_template(base):
    test_a_template_is_refused_until_it_is_filled_in(base)
