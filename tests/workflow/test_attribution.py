"""Where a change of the energy comes from: every term worked out by hand, and their sum exact whatever changed."""

from __future__ import annotations

from fractions import Fraction

import pytest
from documents import PRICES, document, neurons, other, synapses
from hypothesis import given
from hypothesis import strategies as st

from snn_energy.reporting.document import checked
from snn_energy.workflow.attribution import CAUSES, attribute


def causes(old, new):
    """Energy by cause in pJ, those of no energy left out."""
    found = attribute(checked(old, "old"), checked(new, "new"))
    assert found.residue_pj == 0
    return {cause: energy for cause, energy in found.by_cause.items() if energy}


def pj(text):
    return Fraction(text)


def test_hand_written_reports_are_reports():
    one = document(
        synapses("fc", 100, acs=30, adds=5), neurons("n", 10, adds=10), other("pool", "max_pool", compares=3)
    )
    assert checked(one, "here") is one


def test_more_events_for_each_connection_are_rate():
    assert causes(document(synapses("fc", 100, acs=20)), document(synapses("fc", 100, acs=35))) == {
        "rate": 15 * pj("0.9")
    }


def test_more_connections_at_the_same_rate_are_size():
    assert causes(document(synapses("fc", 100, acs=20)), document(synapses("fc", 200, acs=40))) == {
        "size": 20 * pj("0.9")
    }


def test_size_goes_first_then_rate_then_price():
    # 100 connections at 0.2 and 0.9 pJ become 300 at 0.5 and 0.03 pJ.
    old = document(synapses("fc", 100, acs=20))
    new = document(synapses("fc", 300, acs=150), prices={**PRICES, "ac": 0.03})
    assert causes(old, new) == {
        "size": 200 * pj("0.2") * pj("0.9"),
        "rate": 300 * (pj("0.5") - pj("0.2")) * pj("0.9"),
        "price": 150 * (pj("0.03") - pj("0.9")),
    }


def test_samples_do_not_matter():
    old = document(synapses("fc", 100, acs=20), samples=1)
    assert causes(old, document(synapses("fc", 700, acs=140), samples=7)) == {}


def test_a_real_valued_operand_where_spikes_were():
    old = document(synapses("fc", 100, acs=20))
    new = document(synapses("fc", 100, macs=100, operand="real"))
    assert causes(old, new) == {"operand": 100 * pj("4.6") - 20 * pj("0.9")}


def test_ternary_spikes_are_charged_like_binary_ones():
    old = document(synapses("fc", 100, acs=20))
    assert causes(old, document(synapses("fc", 100, acs=30, operand="ternary x 0.5"))) == {"rate": 10 * pj("0.9")}


def test_another_method_recounts_the_old_row_first():
    # Dense: 100 MACs. Zero-skipping: 60 of them met a non-zero pixel then, 80 do now.
    old = document(synapses("fc", 100, macs=100, operand="real", events=60))
    new = document(synapses("fc", 100, macs=80, operand="real", events=80), method="arithmetic-zero-skipping")
    assert causes(old, new) == {"method": -40 * pj("4.6"), "rate": 20 * pj("4.6")}


def test_a_method_of_another_kind_is_one_term():
    old = document(synapses("fc", 100, acs=20))
    assert causes(old, document(synapses("fc", 100, acs=30), method="syops")) == {"method": 10 * pj("0.9")}


def test_what_a_method_charges_beyond_counts_and_prices_follows_what_changed():
    def charged(rest, acs=20, prices=PRICES):
        one = document(synapses("fc", 100, acs=acs), method="lemaire-2022", prices=prices)
        one["rows"][0]["other_pj"] += rest
        return one

    assert causes(charged(5.0), charged(8.0, acs=30)) == {"rate": 10 * pj("0.9") + 3}
    cheap = {**PRICES, "ac": 0.8}
    assert causes(charged(5.0), charged(4.0, prices=cheap)) == {"price": -20 * pj("0.1") - 1}
    assert causes(charged(5.0), charged(8.0, acs=30, prices=cheap))["method"] == 3


def test_rows_that_a_method_does_not_have_are_gone_by_method():
    pool = other("pool", "max_pool", compares=10)
    old, new = document(synapses("fc", 100, acs=20), pool), document(synapses("fc", 100, acs=20), method="syops")
    assert causes(old, new) == {"method": -10 * pj("0.9")}


def test_neurons_by_equation_and_by_update():
    old = document(neurons("n", 10, adds=10, muls=10))
    assert causes(old, document(neurons("n", 30, adds=30, muls=30))) == {"size": 20 * (pj("0.9") + pj("3.7"))}
    # A soft reset subtracts once for each spike: more additions for each update.
    assert causes(old, document(neurons("n", 10, adds=14, muls=10))) == {"rate": 4 * pj("0.9")}
    chip = {**PRICES, "neuron_update": 52}
    assert causes(old, document(neurons("n", 10, adds=10, muls=10), prices=chip)) == {
        "price": 520 - 10 * (pj("0.9") + pj("3.7"))
    }


def test_memory():
    def with_memory(pj_now, method="arithmetic+memory"):
        one = document(synapses("fc", 100, acs=20), method=method)
        one["rows"][0] |= {"memory_pj": pj_now, "energy_pj": one["rows"][0]["energy_pj"] + pj_now}
        return one

    assert causes(with_memory(5.0), with_memory(8.5)) == {"memory": pj("3.5")}
    assert causes(document(synapses("fc", 100, acs=20)), with_memory(8.5)) == {"method": pj("8.5")}


def test_rows_of_one_side():
    old = document(synapses("a", 100, acs=20), other("pool", "max_pool", compares=10))
    new = document(synapses("a", 100, acs=20), neurons("n", 10, adds=10))
    assert causes(old, new) == {}  # what is gone cost as much as what is new
    found = attribute(old, new)
    assert [(c.name, c.old_name, c.change_pj) for c in found.changes] == [
        ("a", "a", 0),
        ("n", None, 9),
        ("pool", "pool", -9),
    ]


def test_renamed_layers_are_matched_by_size_and_then_by_name():
    old = document(
        synapses("blocks.0.fc", 100, acs=10), synapses("blocks.1.fc", 200, acs=10), synapses("blocks.2.fc", 300, acs=10)
    )
    new = document(
        synapses("net.first", 100, acs=10),
        synapses("net.second", 200, acs=30),
        synapses("net.blocks.2.fc", 400, acs=40),
    )
    found = attribute(old, new)
    assert [(c.name, c.old_name, c.renamed) for c in found.changes] == [
        ("net.first", "blocks.0.fc", True),
        ("net.second", "blocks.1.fc", True),
        ("net.blocks.2.fc", "blocks.2.fc", True),
    ]
    assert causes(old, new)["rate"] == (20 + (40 - pj("10") * 4 / 3)) * pj("0.9")


def test_wrapped_layers_are_matched_though_their_size_changed_and_strangers_are_not():
    old = document(synapses("conv", 100, acs=10), synapses("stages.3.0.conv", 200, acs=10))
    new = document(synapses("module.conv", 400, acs=40), synapses("stem.conv", 999, acs=10))
    assert [(c.name, c.old_name) for c in attribute(old, new).changes] == [
        ("module.conv", "conv"),
        ("stem.conv", None),
        ("stages.3.0.conv", "stages.3.0.conv"),
    ]


def test_layers_of_another_kind_are_no_renamed_ones():
    old, new = document(synapses("a", 100, acs=10)), document(synapses("a", 100, acs=10, kind="conv2d"))
    assert [(c.name, c.old_name) for c in attribute(old, new).changes] == [("a", None), ("a", "a")]


count = st.integers(0, 10**12)
price = st.sampled_from([0.03, 0.1, 0.9, 3.7, 4.6, 26.0, 1e-3])


@st.composite
def reports(draw):
    rows = []
    for name in draw(st.lists(st.sampled_from("abcde"), unique=True)):
        connections = draw(st.integers(1, 10**12))
        if draw(st.booleans()):
            rows.append(synapses(name, connections, macs=connections, operand="real", events=connections // 2))
        else:
            acs = draw(st.integers(0, connections))
            rows.append(synapses(name, connections, acs=acs, adds=draw(count), operand=draw(OPERANDS)))
    for name in draw(st.lists(st.sampled_from("xyz"), unique=True)):
        rows.append(neurons(name, draw(st.integers(1, 10**9)), adds=draw(count), muls=draw(count)))
    prices = {action: draw(price) for action in PRICES}
    samples = draw(st.integers(1, 1000))
    return document(*rows, prices=prices, samples=samples, method=draw(METHODS))


OPERANDS = st.sampled_from(["binary", "binary x 0.5", "ternary", "integer"])
METHODS = st.sampled_from(["arithmetic", "arithmetic", "arithmetic-zero-skipping", "syops"])


@given(reports(), reports())
def test_the_terms_add_up_exactly(old, new):
    found = attribute(old, new)
    assert found.residue_pj == 0
    for change in found.changes:
        assert sum((term.energy_pj for term in change.terms), Fraction()) == change.change_pj
        assert all(term.cause in CAUSES for term in change.terms)
    # The exact totals are those of the reports, up to the rounding of floats.
    for total, side in ((found.old_pj, old), (found.new_pj, new)):
        assert float(total) == pytest.approx(side["totals"]["energy_per_inference_pj"], rel=1e-8)


@given(reports())
def test_a_report_does_not_differ_from_itself(one):
    assert not any(change.terms for change in attribute(one, one).changes)
