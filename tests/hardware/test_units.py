"""What must hold of every shipped profile, whatever it describes: a slip of units or of a decimal shows here."""

from __future__ import annotations

import pytest

from snn_energy.hardware import CATEGORIES, all_hardware

PROFILES = {profile.name: profile for profile in all_hardware()}
each = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)


@each
def test_it_says_what_it_is_and_every_number_says_where_it_stands(profile):
    assert profile.category in CATEGORIES
    for section in ("energy_pj", "memory_pj", "event_pj", "timing_ns", "limits", "system"):
        for name, entry in getattr(profile, section).items():
            assert entry.locator.strip(), (section, name)
            assert entry.source in profile.sources, (section, name)
    # nothing without a word on why: each action that other profiles price is priced here, contained, or explained
    if profile.energy_pj:
        silent = {a for a in ("mac", "ac", "add", "mul", "compare", "special") if not profile.mentions(a)}
        assert silent == set()


@each
def test_a_multiplication_costs_more_than_an_addition_and_both_make_a_mac(profile):
    prices = {action: price.value_pj for action, price in profile.energy_pj.items()}
    if profile.category in ("arithmetic", "analytic") and "mul" in prices and "mac" in prices:
        assert prices["add"] < prices["mul"] < prices["mac"]
        assert prices["mac"] == pytest.approx(prices["mul"] + prices["add"], rel=1e-9)
        assert prices["ac"] == prices["add"]


@each
def test_larger_memories_cost_more_for_each_bit(profile):
    by_size = sorted((m.size_bytes, m.pj_per_bit) for m in profile.memory_pj.values() if m.size_bytes)
    energies = [energy for _, energy in by_size]
    if profile.name.startswith("sata-sim"):  # reads and writes of one size stand side by side
        energies = energies[::2]
    assert energies == sorted(energies)
    best = {
        kind: min((m.pj_per_bit for m in profile.memory_pj.values() if m.kind == kind), default=None)
        for kind in ("register", "sram", "dram")
    }
    found = [energy for energy in best.values() if energy is not None]
    assert found == sorted(found)  # registers, then SRAM, then DRAM


@each
def test_energies_lie_where_energies_of_operations_lie(profile):
    """Between an attojoule and a few ten nanojoules: software on a core is at the top, a flip-flop at the bottom."""
    for section in (profile.energy_pj, profile.memory_pj, profile.event_pj):
        for name, entry in section.items():
            assert entry.value_pj == 0 or 1e-6 <= entry.value_pj <= 30_000, name
    arithmetic = {a: p for a, p in profile.energy_pj.items() if a in ("add", "mul", "mac") and p.scope == "per-term"}
    for price in arithmetic.values():
        assert price.value_pj < 50


@each
def test_all_in_prices_say_what_they_contain(profile):
    if profile.scope == "all-in" and profile.energy_pj:
        assert "memory" in profile.included
        assert not profile.memory_pj
    assert not set(profile.included) & (set(profile.energy_pj) | set(profile.unpriced))


def test_no_number_of_an_operation_was_invented_for_chips_that_publish_none():
    silent = {"akida-1000", "loihi-2", "speck", "xylo-audio-2", "brainscales-2"}
    assert {name for name in silent if PROFILES[name].energy_pj or PROFILES[name].event_pj} == set()


def test_kerasspikings_figures_are_marked_as_weak():
    weak = [price for name, p in PROFILES.items() if name.startswith("keras-spiking") for price in p.energy_pj.values()]
    assert len(weak) == 8
    assert {price.confidence for price in weak} == {"low"}
