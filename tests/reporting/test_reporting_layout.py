"""The table: rows add up as printed, and it fits the terminal."""

from __future__ import annotations

import copy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_energy.reporting.layout import energy_text, layer_table, row_energy
from snn_energy.reporting.markdown import markdown
from snn_energy.reporting.numbers import energy
from snn_energy.reporting.terminal import terminal_lines, terminal_text

COUNTS = ("connections", "macs", "acs", "updates", "spikes", "adds", "muls", "compares", "specials")


def made(rows, samples=7):
    """A document with the given (part, name, energies, count) rows."""
    return {
        "format": 1,
        "model": "Net",
        "samples": samples,
        "time_steps": None,
        "method": "arithmetic",
        "hardware": {"name": "chip"},
        "totals": {"energy_per_inference_pj": 0.0},
        "coverage": {"counted": [], "free": [], "uncounted": [], "never_called": []},
        "rows": [
            {
                "name": name,
                "part": part,
                "kind": "kind",
                "operand": "binary" if part == "synapses" else None,
                "spike_rate": 0.25 if part != "other" else None,
                **dict.fromkeys(COUNTS, count),
                **dict(zip(("mac_pj", "ac_pj", "neuron_pj", "other_pj"), energies, strict=True)),
                "energy_pj": sum(energies),
            }
            for part, name, energies, count in rows
        ],
    }


rows = st.lists(
    st.tuples(
        st.sampled_from(["synapses", "neurons", "other"]),
        st.text("abc.0123456789", min_size=1, max_size=40),
        st.tuples(*[st.floats(0, 1e12, allow_subnormal=False)] * 4),
        st.integers(0, 10**13),
    ),
    max_size=25,
)


@given(rows, st.integers(1, 10**4))
def test_printed_rows_add_up_to_the_printed_totals(rows, samples):
    document = made(rows, samples)
    table = layer_table(document)
    total = sum(row_energy(row) for row in document["rows"])
    assert f"{energy_text(table.energy)} {table.unit}" == energy(total / samples)
    assert table.share == (1000 if total else 0)
    for section in table.sections:
        assert section.energy == sum(line.energy for line in section.lines)
        for i, count in enumerate(section.totals):
            assert count is None or count == sum(line.counts[i] for line in section.lines)


@given(rows, st.integers(76, 130))
def test_no_row_of_the_table_is_wider_than_the_terminal(rows, width):
    assert all(len(text) <= width for text, _ in terminal_lines(made(rows), width))


def test_the_energies_read_back_from_the_terminal_add_up(document):
    text = terminal_text(document, 100)
    table = text[text.index("projection") : text.index("Per inference.")]
    printed = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines() if line.strip()]
    lines = [cells for cells in printed if cells[0] not in ("projection", "neuron layer", "other", "sum", "total")]
    total = next(cells for cells in printed if cells[0] == "total")
    assert sum(round(float(cells[-2]) * 1000) for cells in lines) == round(float(total[-2]) * 1000)
    assert sum(round(float(cells[-1]) * 10) for cells in lines) == 1000
    energies = re.search(r"energy +([\d.]+) \wJ per inference = (.*) ACs \+ (.*) neuron updates \+ ([\d.]+)", text)
    whole, *parts = energies.groups()
    mac, ac = re.fullmatch(r"(?:([\d.]+) MACs \+ )?([\d.]+)", parts[0]).groups(default="0")
    assert sum(round(float(part) * 1000) for part in (mac, ac, *parts[1:])) == round(float(whole) * 1000)
    assert whole == total[-2]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_reference_document_at_common_widths(document, width):
    text = terminal_text(document, width)
    assert max(map(len, text.splitlines())) <= width
    assert not re.search(r" $", text, re.MULTILINE)
    for name in ("blocks.0.conv", "blocks.1.neuron", "blocks.0.pool", "head"):
        assert re.search(rf"^{re.escape(name)} ", text, re.MULTILINE)
    assert ("bias adds" in text) == (width >= 120)
    assert "certificate" in text
    assert "complete: " in text
    assert "agree with fvcore" in text
    assert "…" not in text


def test_narrow_terminals_shorten_counts_and_say_so(document):
    big = copy.deepcopy(document)
    for row in big["rows"]:
        row["connections"] *= 10**13
    text = terminal_text(big, 80)
    assert max(map(len, text.splitlines())) <= 80
    assert "Counts are shortened" in " ".join(text.split())
    assert re.search(r"\dT ", text)


def test_module_paths_lose_their_beginning_not_their_end():
    name = "a_very_long_prefix_that_all_layers_share.stage4.block11.conv2"
    text = terminal_text(made([("synapses", name, (1.0, 0.0, 0.0, 0.0), 10**9)]), 80)
    assert "…" in text
    assert "block11.conv2 " in text


def test_other_arithmetic_is_summed_per_module():
    document = made([("other", "m", (0, 0, 0, 1.0), 7), ("other", "m", (0, 0, 0, 2.0), 14)], samples=1)
    document["rows"][1]["kind"] = "add"
    (section,) = layer_table(document).sections
    (line,) = section.lines
    assert (line.kind, line.counts, line.energy) == ("kind, add", (21, 21, 21, 21), 3000)
    narrow, wide = (terminal_text(document, width).splitlines() for width in (80, 120))
    assert next(text.split() for text in narrow if text.startswith("m "))[:2] == ["m", "several"]
    assert next(text.split() for text in wide if text.startswith("m "))[:3] == ["m", "kind,", "add"]


def test_markdown_shows_every_row_once(document):
    text = markdown(document)
    for row in document["rows"]:
        assert text.count(f"| `{row['name']}` |") == 1
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({re.sub(r"\\.", "", line).count("|") for line in block.splitlines()}) == 1
    assert "**certificate:** complete" in text


def test_an_empty_report_can_be_shown():
    text = terminal_text(made([]), 80)
    assert "0.000 pJ per inference" in text
