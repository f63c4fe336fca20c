"""Scaled nodes against the factors that Stillmaker and Baas's coefficients give, as printed elsewhere."""

from __future__ import annotations

import tomllib

import pytest

from snn_energy.errors import ProfileError
from snn_energy.hardware import list_hardware, load_hardware, locate_hardware, parse_hardware
from snn_energy.hardware.scaling import relative_energy

# Factor to 45 nm with both nodes at one voltage, to the digits printed.
FACTORS = {
    0.8: {130: 3.07, 90: 1.90, 65: 1.24, 45: 1, 32: 0.659, 20: 0.221, 16: 0.174, 14: 0.139, 10: 0.118, 7: 0.094},
    0.9: {130: 3.17, 90: 1.95, 65: 1.25, 45: 1, 32: 0.641, 20: 0.238, 16: 0.187, 14: 0.150, 10: 0.127, 7: 0.102},
}
SCALED = {"scaled-7nm-int8": 7, "scaled-7nm-fp32": 7, "scaled-16nm-int8": 16, "scaled-32nm-int8": 32}
HOROWITZ = {
    "int8": {"mac": 0.23, "ac": 0.03, "add": 0.03, "mul": 0.2, "compare": 0.03},
    "fp32": {"mac": 4.6, "ac": 0.9, "add": 0.9, "mul": 3.7, "compare": 0.9},
}


def document(name="scaled-7nm-int8", **changes):
    return tomllib.loads(locate_hardware(name).read_text()) | changes


def problems(changed):
    with pytest.raises(ProfileError) as caught:
        parse_hardware(changed, stem="scaled-7nm-int8", shown="x.toml")
    return str(caught.value).splitlines()


def test_these_profiles_are_scaled_and_no_others():
    assert {name for name in list_hardware() if load_hardware(name).scaling is not None} == set(SCALED)


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("voltage", FACTORS)
def test_the_coefficients_in_the_file_give_the_printed_factors(name, voltage):
    table = load_hardware(name).scaling.coefficients
    at_45 = relative_energy(table, "45", voltage)
    for node, printed in FACTORS[voltage].items():
        digits = 2 if node > 45 else 3
        assert round(relative_energy(table, str(node), voltage) / at_45, digits) == printed, node
    assert {int(node) for node in table} == set(FACTORS[voltage])


@pytest.mark.parametrize("name", SCALED)
def test_every_price_is_the_one_at_45_nm_times_the_factor(name):
    profile, node = load_hardware(name), SCALED[name]
    factor = profile.scaling.factor
    assert round(factor, 3) == FACTORS[0.9][node]
    expected = {action: value * factor for action, value in HOROWITZ[profile.datatype].items()}
    assert {action: price.value_pj for action, price in profile.energy_pj.items()} == pytest.approx(expected, rel=1e-12)
    assert {price.evidence for price in profile.energy_pj.values()} == {"scaled"}
    assert (profile.node_nm, profile.voltage_v, profile.scaling.base) == (
        node,
        0.9,
        f"horowitz-45nm-{profile.datatype}",
    )


@pytest.mark.parametrize("name", SCALED)
def test_memory_is_never_scaled(name):
    assert load_hardware(name).memory_pj == {}
    assert load_hardware(load_hardware(name).scaling.base).memory_pj != {}


def test_the_supply_may_change_as_well():
    scaled = parse_hardware(document(voltage_v=0.7), stem="scaled-7nm-int8", shown="x.toml")
    at_7, at_45 = 0.1776 * 0.49 - 0.09097 * 0.7 + 0.02447, 1.103 * 0.81 - 0.362 * 0.9 + 0.2767
    assert scaled.scaling.factor == pytest.approx(at_7 / at_45, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"node_nm": 28}, "node_nm must be a node of scaling.coefficients, one of 130, 90, 65, 45, 32, 20, 16, 14, 10, "
         "7 (got 28)"),
        ({"energy_pj": {"ac": {"value": 1, "scope": "per-term", "evidence": "stated", "locator": "T",
                               "source": "stillmaker-baas-2017"}}},
         "energy_pj is stated beside scaling, which computes the prices; remove one of the two"),
        ({"node_nm": None}, "node_nm is missing; a scaled profile must say what it is scaled to, in nm"),
        ({"voltage_v": None}, "voltage_v is missing; a scaled profile must say what it is scaled to, in V"),
    ],
)  # fmt: skip
def test_what_a_scaled_profile_must_say(changes, message):
    changed = {key: value for key, value in document(**changes).items() if value is not None}
    assert problems(changed) == [f"x.toml: {message}"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"from": "nowhere"}, 'scaling.from: unknown hardware "nowhere"; a name from: snn-energy hardware list'),
        ({"from": "scaled-16nm-int8"}, 'scaling.from must name a profile that is not scaled itself (got '
         '"scaled-16nm-int8"); scale from the one it starts from'),
        ({"from": "aladdin-40nm-int32"}, "scaling.from must name a profile of a node in scaling.coefficients, one of "
         "130, 90, 65, 45, 32, 20, 16, 14, 10, 7 (got 40 of aladdin-40nm-int32)"),
        ({"from": "reckon"}, "scaling.from must name a profile of a node in scaling.coefficients, one of 130, 90, 65, "
         "45, 32, 20, 16, 14, 10, 7 (got no node of reckon)"),
        ({"from": "neuromc-32nm"}, "scaling.from: neuromc-32nm prices no arithmetic; name one that does"),
        ({"from_voltage_v": 0}, "scaling.from_voltage_v must be a number > 0 in V (got 0)"),
        ({"coefficients": {"45": [1, 2]}}, 'scaling.coefficients must be a table of nodes in nm, like "45" = [a, b, c] '
         "(got a table)"),
        ({"volts": 1}, "unknown field scaling.volts; known fields: from, from_voltage_v, coefficients, source, "
         "locator, confidence"),
    ],
)  # fmt: skip
def test_what_the_rule_must_say(changes, message):
    changed = document()
    changed["scaling"] = changed["scaling"] | changes
    assert problems(changed) == [f"x.toml: {message}"]


def test_two_profiles_scaled_from_each_other_are_refused(tmp_path):
    text = locate_hardware("scaled-7nm-int8").read_text()
    for name, other in (("a", "b"), ("b", "a")):
        own = text.replace('name = "scaled-7nm-int8"', f'name = "{name}"')
        (tmp_path / f"{name}.toml").write_text(own.replace("horowitz-45nm-int8", str(tmp_path / f"{other}.toml")))
    with pytest.raises(ProfileError, match="must name a profile that is not scaled itself"):
        load_hardware(tmp_path / "a.toml")
