"""The shipped prices against the published table, typed here by hand and not read from the profiles."""

from __future__ import annotations

import pytest

from snn_energy.hardware import ACTIONS, list_hardware, load_hardware

# Horowitz, ISSCC 2014, Fig. 1.1.9 (45 nm, 0.9 V), pJ: multiplication, addition.
PUBLISHED = {
    "fp32": (32, 3.7, 0.9),
    "fp16": (16, 1.1, 0.4),
    "int8": (8, 0.2, 0.03),
    "int32": (32, 3.1, 0.1),
}
# The sums every paper quotes: multiply-accumulate, accumulate.
QUOTED = {"fp32": (4.6, 0.9), "fp16": (1.5, 0.4), "int8": (0.23, 0.03), "int32": (3.2, 0.1)}


HOROWITZ = tuple(f"horowitz-45nm-{datatype}" for datatype in PUBLISHED)


def test_the_profiles_of_horowitz_are_these_four():
    assert {name for name in list_hardware() if name.startswith("horowitz")} == set(HOROWITZ)


@pytest.mark.parametrize("datatype", PUBLISHED)
def test_every_price_is_the_published_one(datatype):
    bits, mul, add = PUBLISHED[datatype]
    mac, ac = QUOTED[datatype]
    hardware = load_hardware(f"horowitz-45nm-{datatype}")
    prices = {action: price.value_pj for action, price in hardware.energy_pj.items()}
    assert prices == {"mac": mac, "ac": ac, "add": add, "mul": mul, "compare": add}
    assert mac == pytest.approx(mul + add, rel=1e-12)
    assert (hardware.datatype, hardware.operand_bits) == (datatype, bits)
    assert (hardware.node_nm, hardware.voltage_v) == (45, 0.9)
    assert hardware.integer_spikes == "accumulate-per-unit"


@pytest.mark.parametrize("name", HOROWITZ)
def test_every_price_says_where_it_comes_from(name):
    hardware = load_hardware(name)
    graded = {"mac": "derived", "ac": "derived", "add": "stated", "mul": "stated", "compare": "derived"}
    assert {action: price.evidence for action, price in hardware.energy_pj.items()} == graded
    assert hardware.scope == "per-term"
    for action, price in hardware.energy_pj.items():
        assert price.scope == hardware.scope
        assert price.locator
        assert price.source == ("pmc8934428" if action == "compare" else "horowitz-2014")
    assert "10.1109/ISSCC.2014.6757323" in str(hardware.sources["horowitz-2014"].url)
    assert set(hardware.unpriced) == {"special"}
    assert set(hardware.energy_pj) | set(hardware.unpriced) <= set(ACTIONS)
