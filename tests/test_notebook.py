"""What notebooks show: well-formed tables of the numbers that the records hold."""

from __future__ import annotations

from html.parser import HTMLParser

import torch
from torch import nn

import snn_energy as se


class Table(HTMLParser):
    """Cells by row, and the caption; refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.caption = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        elif self.open and self.open[-1] == "caption":
            self.caption += data


class Marked(nn.Module):
    """A network whose module is called like a tag."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("<script>&", nn.Linear(2, 3, bias=False))

    def forward(self, x):
        return self.get_submodule("<script>&")(x)


DATA = torch.tensor([[2.0, 3.0], [5.0, 7.0]]).sqrt()  # no common unit: real-valued


def test_a_trace():
    html = se.trace(Marked(), DATA)._repr_html_()
    assert "<script>" not in html
    table = Table(html)
    assert table.caption == "Marked, 2 samples; complete: nothing left out"
    assert len({len(row) for row in table.rows}) == 1
    assert table.rows[1] == ["<script>&", "linear", "real", "1.0000", "12", "12", "12", "0", "12"]


def test_a_report_and_its_comparison():
    """Six multiply-accumulates of 4.6 pJ."""
    report = se.profile(Marked(), DATA)
    table = Table(report._repr_html_())
    assert table.rows[1] == ["<script>&", "synapses", "real", "1.0000", "0.0", "6.0", "0.0", "27.6", "100.0"]
    said = "Marked: 27.6 pJ per inference, mean of 2, on horowitz-45nm-fp32 by method arithmetic; "
    assert table.caption == said + "complete: nothing left out"
    beside = Table(se.compare(report, report)._repr_html_())
    assert [row[2:] for row in beside.rows[1:]] == [["27.6", ""], ["27.6", "1.00"]]


def test_what_is_left_out_is_named():
    class Sorting(nn.Module):
        def forward(self, x):
            return torch.linalg.inv(x @ x.T + torch.eye(len(x)))

    trace = se.trace(Sorting(), DATA)
    assert not trace.coverage.complete
    for shown in (trace._repr_html_(), se.price(trace)._repr_html_()):
        assert "INCOMPLETE, not counted: " in Table(shown).caption
        assert trace.coverage.uncounted[0].name in Table(shown).caption
