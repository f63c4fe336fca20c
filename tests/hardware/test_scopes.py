"""All-in and per-term energies never meet in one sum."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snn_energy.errors import PriceError
from snn_energy.hardware import load_hardware, one_scope, total_pj

LOIHI, TRUENORTH = load_hardware("loihi"), load_hardware("truenorth-total")


def test_a_sum_over_one_scope():
    terms = [("synapses", LOIHI.energy_pj["ac"], 10), ("hops", LOIHI.event_pj["hop-east-west"], 4)]
    assert total_pj("loihi", terms) == pytest.approx(10 * 23.6 + 4 * 3.0)
    assert total_pj("nothing", []) == 0
    assert one_scope("nothing", {}) is None
    assert one_scope("loihi", LOIHI.energy_pj) == "per-term"


def test_a_sum_over_both_is_refused():
    terms = [("synapses", TRUENORTH.energy_pj["ac"], 10), ("hops", LOIHI.event_pj["hop-east-west"], 4)]
    with pytest.raises(PriceError) as caught:
        total_pj("my sum", terms)
    assert str(caught.value) == (
        "my sum: all-in prices (synapses) already contain other terms and cannot be added to per-term prices (hops); "
        "leave one kind out, or declare what the all-in price contains under [included]"
    )


def test_a_price_list_of_both_cannot_be_built():
    with pytest.raises(PriceError, match=r'hardware "loihi": all-in prices \(ac\) already contain'):
        replace(LOIHI, energy_pj={**LOIHI.energy_pj, "ac": TRUENORTH.energy_pj["ac"]})
    with pytest.raises(PriceError, match=r'hardware "truenorth-total": all-in prices'):
        replace(TRUENORTH, memory_pj=load_hardware("horowitz-45nm-int8").memory_pj)
