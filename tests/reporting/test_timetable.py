"""Latency as people read it: the table, the sentences, and what a damaged document is told."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from machines import EVENTS, STEPS, SYSTOLIC, hardware
from torch import nn

import snn_energy as se
from snn_energy.errors import DataError
from snn_energy.models.neurons import IF
from snn_energy.reporting.assessment import assess
from snn_energy.reporting.document import checked
from snn_energy.reporting.facts import facts
from snn_energy.reporting.markdown import markdown
from snn_energy.reporting.terminal import terminal_lines, terminal_text
from snn_energy.reporting.timetable import duration, time_unit, timetable


class Steps(nn.Module):
    """Linear - IF - Linear over T = 2 steps of the same input: with weights and inputs of 1, every neuron fires."""

    def __init__(self) -> None:
        super().__init__()
        self.time_steps = 2
        self.first, self.neuron, self.second = nn.Linear(6, 5, bias=False), IF(), nn.Linear(5, 4, bias=False)
        for layer in (self.first, self.second):
            nn.init.ones_(layer.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.neuron(self.first(x).expand(self.time_steps, -1, -1))).sum(0)


def document(table, x=None):
    report = se.price(se.trace(Steps(), torch.ones(1, 6) if x is None else x), hardware(table))
    return json.loads(report.to_json())


CLOCKED = {**SYSTOLIC, "clock_mhz": 200, "static_power_mw": 2, "updates_per_cycle": 1}


def test_the_table_by_hand():
    """4 x 4, output-stationary: 2 (4 + 4 + 6 - 2) - 1 = 23; 2 steps of 4 + 4 + 5 - 3; 5 updates a step, one a cycle."""
    table = timetable(document(CLOCKED))
    assert table.headings == ("time of", "runs", "cycles", "ns", "bottleneck")
    assert table.rows == (
        ("first", "1", "23", "115.000", "compute"),
        ("second", "2", "20", "100.000", "compute"),
        ("neuron", "2", "10", "50.000", "neuron sweep"),
    )
    assert table.total == ("total", "", "53", "265.000", "compute")


def test_columns_that_hold_nothing_are_left_out():
    assert timetable(document(SYSTOLIC)).headings == ("time of", "runs", "cycles", "bottleneck")
    assert timetable(document(STEPS)).headings == ("time of", "runs", "ns", "bottleneck")


def said(table, **more):
    return dict(facts({**document(table), **more}))


def test_the_sentences():
    found = said(CLOCKED)
    assert found["latency"] == "53 cycles = 265.000 ns per inference at 200 MHz; bottleneck: compute"
    assert found["static power"] == "530.000 pJ over that time, not in the energy above"
    # 30 + 40 accumulates, 10 neuron updates of an addition and a comparison, 4 additions of the two steps.
    energy = ((30 + 40) * 0.9 + 10 * (0.9 + 0.9) + 4 * 0.9 + 530) * 1e-12
    assert found["energy x delay"] == f"{energy * 265e-9:.4g} J s per inference (static power included)"
    assert said(CLOCKED, complete=False)["energy x delay"].startswith("at least ")
    together = {"batch": 64, "cycles": 908, "seconds": 908e-6, "inferences_per_second": 64 / 908e-6, "gain": 3.7357}
    assert said(CLOCKED, throughput=together)["throughput"] == (
        "64 inferences together: 908 cycles = 908.000 µs, 70,485 inferences per second, 3.74 times one after another"
    )
    unknown = {**dict.fromkeys(together), "batch": 2, "missing": "no sizes"}
    assert said(CLOCKED, throughput=unknown)["throughput"] == "2 inferences together: unknown (no sizes)"
    bare = said(SYSTOLIC)
    assert bare["latency"] == "43 cycles per inference; no seconds: the profile states no clock; bottleneck: compute"
    assert bare["static power"] == "none: the profile states no static_power_mw"
    assert "energy x delay" not in bare


def test_bounds_are_told_where_they_differ():
    """30 events of the first layer, 40 of the second in 2 steps, sweeps of 2 x 3 cycles, barriers of 2 x 3.

    One event a cycle: no spread matters. 8 a cycle: 4 cycles, and 5 to (40 + 2 * 7) / 8, 3 + 3 of them if even.
    """
    assert said({**EVENTS, "synops_per_cycle": 1})["latency"].startswith("82 cycles per inference; no seconds")
    wide = said({**EVENTS, "synops_per_cycle": 8})["latency"]
    assert wide.startswith("22 cycles per inference, between 21 and 22 for any spread of events; no seconds: ")


def test_times_with_bounds_have_no_more_digits_than_they_deserve():
    """A time 193 µs above its lower bound ends at tens of µs, and so does what follows from it."""
    found = document(STEPS)
    bounds = {"seconds": 619.282e-6, "seconds_low": 426.718e-6, "seconds_high": 5.319e-3}
    found["latency"] |= {**bounds, "static_pj": 64.653e6, "energy_delay_pj_s": 62820.0}
    told = dict(facts(found))
    assert told["latency"].startswith("620 µs per inference, between 430 µs and 5.32 ms for any spread of events")
    assert told["static power"].startswith("65 µJ over that time")
    assert told["energy x delay"].endswith("6.3e-08 J s per inference (static power included)")
    assert "620" in timetable(found).total
    found["latency"] |= {"seconds_low": 619.282e-6, "seconds_high": 619.282e-6}
    told = dict(facts(found))
    assert told["latency"].startswith("619.282 µs per inference; ")
    assert told["static power"].startswith("64.653 µJ over that time")
    assert told["energy x delay"].endswith("6.282e-08 J s per inference (static power included)")


def test_unknown_times_are_told():
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return sum((x[:, :n] @ x[:, :n].transpose(1, 2)).sum() for n in (1, 3))

    report = se.price(se.trace(Attention(), torch.rand(1, 3, 4)), hardware(SYSTOLIC))
    plain = json.loads(report.to_json())
    assert dict(facts(plain))["latency"] == (
        "unknown (matmul: its products differ in size, or the trace was made before sizes of products were recorded; "
        "all units busy in every cycle, it takes at least these), at least 3 cycles"
    )
    assert timetable(plain).rows == (("matmul", "?", ">= 3"),)


def test_the_terminal_and_markdown_show_the_table():
    plain = document(CLOCKED)
    text = terminal_text(plain, 80)
    assert "time of  runs  cycles       ns  bottleneck\n" in text
    assert "neuron      2      10   50.000  neuron sweep\n" in text
    assert all(len(line) <= 80 for line, _ in terminal_lines(plain, 80))
    page = markdown(plain)
    assert "| time of | runs | cycles | ns | bottleneck |\n| --- | ---: | ---: | ---: | --- |\n| `first` | 1 |" in page
    assert "| **total** |  | 53 | 265.000 | compute |" in page


def test_long_names_are_cut_at_the_front():
    plain = document(CLOCKED)
    plain["latency"]["rows"][0]["name"] = "a." * 60 + "end"
    lines = [line for line, _ in terminal_lines(plain, 80)]
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("…") and ".end " in line for line in lines)


def test_reports_without_timing_show_nothing_of_it():
    plain = json.loads(se.price(se.trace(Steps(), torch.ones(1, 6))).to_json())
    assert timetable(plain) is None
    assert "latency" not in dict(facts(plain))
    assert "time of" not in terminal_text(plain)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("cycles",), 1.5, "latency.cycles must be an integer >= 0 or null (got 1.5)"),
        (("formula",), None, "latency.formula must be text (got None)"),
        (("assumptions",), "none", "latency.assumptions must be a list of texts (got 'none')"),
        (("rows",), {}, "latency.rows must be a list of objects"),
        (("rows", 0, "seconds"), -1, "latency.rows[0].seconds must be a number >= 0 or null (got -1)"),
        (("rows", 1, "name"), 7, "latency.rows[1].name must be text (got 7)"),
    ],
)
def test_a_damaged_document(path, value, message):
    plain = copy.deepcopy(document(CLOCKED))
    inner = plain["latency"]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(DataError) as caught:
        checked(plain, "report.json")
    assert message in str(caught.value)


def test_the_ann_is_timed_on_the_same_machine():
    """The twin runs each layer once: 23 + 10 cycles of the array; it has no neurons to update."""
    found = assess(Steps(), lambda: iter([(torch.ones(1, 6), None)]), hardware=hardware(CLOCKED))
    plain = json.loads(found.to_json())
    assert plain["baseline"]["latency"]["cycles"] == 33
    checked(plain, "report.json")
    text = dict(facts(plain))["ANN, latency"]
    assert text.startswith("33 cycles = 165.000 ns, 0.623 times the SNN's; energy x delay ")


def test_the_time_of_an_ann_on_a_chip_that_runs_none_is_not_compared():
    plain = assess(Steps(), lambda: iter([(torch.ones(1, 6), None)]), hardware=hardware(CLOCKED)).to_dict()
    plain["baseline"]["unpriced"] = [{"action": "mac", "count": 30, "reason": "nothing is published"}]
    assert dict(facts(plain))["ANN, latency"] == "not compared: this hardware has no price for mac"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.000 ps"), (2.5e-12, "2.500 ps"), (1e-9, "1.000 ns"), (0.0005, "500.000 µs"), (3, "3.000 s"),
     (7200, "7,200.000 s")],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text
    assert text.endswith(time_unit(seconds)[0])
