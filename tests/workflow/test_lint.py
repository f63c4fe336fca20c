"""`snn-energy lint`: one broken table for each rule, tables that were published, and four ways to write one."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from snn_energy.cli import app
from snn_energy.errors import DataError, UsageError
from snn_energy.workflow.linting.claims import claims_of
from snn_energy.workflow.linting.columns import column_of
from snn_energy.workflow.linting.quantities import quantity
from snn_energy.workflow.linting.reading import PaperTable, read_table
from snn_energy.workflow.linting.rules import RULES, lint

TABLES = Path(__file__).parent / "tables"
GOLDEN = Path(__file__).parents[1] / "golden" / "lint.txt"
CASES = Path(__file__).parents[1] / "costing" / "published_cases.json"

SAID = {
    "time-steps": "T = 4.",
    "per-inference": "Energies are per inference.",
    "rate-source": "Spike rates are averaged over the CIFAR-10 data.",
    "samples": "All 10,000 images.",
    "borders": "Padding is left out.",
    "batch-norm": "Norms are folded.",
    "encoder": "Direct coding feeds pixels.",
    "neurons": "Neuron updates are left out.",
    "memory": "Memory is left out.",
    "prices": "A MAC costs 4.6 pJ, an AC 0.9 pJ.",
    "bits": "Weights are 32-bit floats.",
    "baseline-kind": "The ANN has the same architecture.",
}
"""Rule -> a sentence without which it is broken."""

HEADINGS = ("Model", "Spike rate", "ACs (M)", "MACs (M)", "Dense MACs (M)", "Energy (uJ)", "ANN/SNN")
# 0.1 x 4 x 100 M = 40 M ACs: 36 µJ, and 5 M MACs: 23 µJ. The ANN's 100 M MACs are 460 µJ, 7.797 times as much.
SNN = ("SNN", "0.10", "40.0", "5.0", "100", "59.0", "7.80")
ANN = ("ANN", "-", "0", "100", "100", "460", "-")


def broken(headings=HEADINGS, rows=(ANN, SNN), said=SAID, **stated):
    """Names of the rules that a table breaks, and their findings."""
    table = PaperTable(
        name="t", headings=tuple(headings), rows=tuple(rows), text="\n".join(said.values()), stated=stated
    )
    return {one.rule.name: one.findings for one in lint(claims_of(table))}


def without(name):
    return {rule: sentence for rule, sentence in SAID.items() if rule != name}


def changed(**cells):
    """The SNN's row with other cells, by the first word of their headings."""
    names = [heading.split(" ")[0].lower().replace("/", "_") for heading in HEADINGS]
    return tuple(cells.get(name, cell) for name, cell in zip(names, SNN, strict=True))


def only(headings, row):
    """Columns of these headings alone, of the ANN and of a row."""
    places = [HEADINGS.index(heading) for heading in headings]
    return [tuple(one[place] for place in places) for one in (ANN, row)]


def test_a_table_that_says_everything_has_no_findings():
    assert broken() == {}


@pytest.mark.parametrize("rule", SAID)
def test_one_sentence_less_is_one_rule_broken(rule):
    assert set(broken(said=without(rule))) == {rule}


CONTRADICTIONS = {
    # 36 + 23 = 59 µJ, not 50.
    "energy-sum": ((ANN, changed(energy="50.0", ann_snn="9.20")), "printed 50.00 µJ"),
    # 40 M x 0.1 x 0.9 pJ + 23 µJ = 26.6 µJ.
    "rate-twice": ((ANN, changed(energy="26.6", ann_snn="17.3")), "without it 59.00 µJ"),
    # 10 M without T: 9 + 23 = 32 µJ.
    "operations": ((ANN, changed(acs="10.0", energy="32.0", ann_snn="14.4")), "ACs = rate x MACs without T = 4"),
    "first-layer": ((ANN, changed(macs="0", energy="36.0", ann_snn="12.8")), "0 MACs"),
    "ratio": ((ANN, changed(ann_snn="9.0")), "ANN / SNN = 7.797, printed 9"),
    "sum": ((SNN, ("Total", "", "41.0", "5.0", "100", "", "")), "ACs above add up to 40.00M, printed 41.00M"),
    # 1.5 x 4 x 100 M = 600 M: 540 + 23 µJ.
    "rate-range": ((ANN, changed(spike="1.5", acs="600", energy="563", ann_snn="0.817")), "rate 1.5 is above 1 spike"),
}
"""Rule -> rows that break it alone, and words of what is found."""


@pytest.mark.parametrize("rule", CONTRADICTIONS)
def test_each_contradiction(rule):
    rows, words = CONTRADICTIONS[rule]
    found = broken(rows=rows)
    assert set(found) == {rule}
    assert len(found[rule]) == 1
    assert words in found[rule][0][1]


def test_rules_about_columns():
    bare = [heading.replace(" (uJ)", "") for heading in HEADINGS]
    assert set(broken(headings=bare)) == {"units"}
    with_units = [*SNN[:5], "59.0 µJ", SNN[6]]
    assert broken(headings=bare, rows=[tuple(with_units)]) == {}
    assert set(broken(HEADINGS[:5], [SNN[:5]])) == {"energy-column"}
    words = dict.fromkeys(SAID, "") | SAID | {"prices": "A hundred pJ: horowitz."}
    flops = ("Model", "FLOPs (M)", "ACs (M)", "Energy (uJ)")
    assert set(broken(flops, [("SNN", "100", "40.0", "36.0")], words)) == {"flops-meaning"}


def test_every_rule_has_a_row_here():
    assert {rule.name for rule in RULES} == {*SAID, *CONTRADICTIONS, "units", "energy-column", "flops-meaning"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_says_what_it_asks_why_and_where_to_read_on(rule):
    assert rule.asks
    assert rule.why
    assert len(rule.reference) > 10
    assert not rule.reference.startswith(("sheet:", "hardware:"))


@pytest.mark.parametrize(
    ("acs", "macs", "printed", "why"),
    [
        ("40.0", "5.0", "40.5", "every MAC priced as an AC"),  # 45 x 0.9
        ("40.0", "5.0", "207.0", "every AC priced as a MAC"),  # 45 x 4.6
        ("40.0", "5.0", "36.0", "the ACs alone"),
        ("40.0", "5.0", "23.0", "the MACs alone"),
        ("40.0", "5.0", "167.0", "ACs multiplied by T once more"),  # 144 + 23
        ("40.0", "5.0", "128.0", "MACs multiplied by T"),  # 36 + 92
        ("40.0", "5.0", "41.75", "MACs divided by T"),  # 36 + 5.75
    ],
)
def test_a_usual_mistake_is_named(acs, macs, printed, why):
    headings = ("Model", "ACs (M)", "MACs (M)", "Energy (uJ)")
    ((_, text),) = broken(headings, [("SNN", acs, macs, printed)])["energy-sum"]
    assert text.endswith(f"that is {why}")


def test_rounding_is_no_contradiction():
    headings = ("Model", "ACs (M)", "MACs (M)", "Energy (uJ)")

    def found(*row):
        return "energy-sum" in broken(headings, [("SNN", *row)])

    # 40.0 M is up to 40.05 M, and 5.0 M up to 5.05 M: 36.045 + 23.23 = 59.275 at most, which rounds to 59.3.
    assert not found("40.0", "5.0", "59.1")
    assert not found("40.0", "5.0", "59.3")
    assert found("40.0", "5.0", "59.4")
    assert found("40.00", "5.00", "59.1")  # 36.0045 + 23.023 = 59.0275 at most


def test_acs_without_macs_bound_the_energy_from_below():
    headings = ("Model", "OPs (G)", "Energy (mJ)")
    # FWformer's table: 0.951 G operations for 0.415 mJ, though at 0.9 pJ they would take 0.856 mJ.
    ((_, text),) = broken(headings, [("SDSA", "0.951", "0.415")])["energy-sum"]
    assert "= 855.9 µJ already, printed 415.0 µJ in all" in text
    assert "energy-sum" not in broken(headings, [("SDSA", "0.951", "0.9")])


@pytest.mark.parametrize(
    ("prices", "text"),
    [
        ((Fraction("12.5"), Fraction("0.077")), "77 fJ per SOP and 12.5 pJ per MAC"),
        ((Fraction("4.6"), Fraction("0.9")), "E_MAC = 4.6 pJ and E_AC = 0.9 pJ"),
        ((Fraction("3.2"), Fraction("0.1")), "each MAC takes 3.2pJ, each accumulate takes 0.1pJ"),
    ],
)
def test_prices_are_read_from_the_text(prices, text):
    table = PaperTable(name="t", headings=("Model", "Energy (mJ)"), rows=(("a", "1"),), text=text)
    found = claims_of(table).prices
    assert (found.mac, found.ac) == prices
    assert found.stated


def test_prices_of_a_profile_and_of_toml_keys():
    def found(**stated):
        return claims_of(PaperTable(name="t", headings=("Model",), rows=(("a",),), stated=stated)).prices

    eight = found(hardware="horowitz-45nm-int8")
    assert (eight.mac, eight.ac, eight.source) == (Fraction("0.23"), Fraction("0.03"), "horowitz-45nm-int8")
    own = found(mac_pj="4.0", ac_pj="1.0")
    assert (own.mac, own.ac, own.stated) == (4, 1, True)
    assert not found().stated


# -- published tables ------------------------------------------------------------------------------------------------

PUBLISHED = [
    case
    for case in json.loads(CASES.read_text(encoding="utf-8"))
    # The MACs of two rows come from another work than their energies.
    if case["formula"] == "simple_mac_ac" and not case["id"].startswith("ann_cbm")
]
PRICE_PAIRS = sorted({(case["inputs"]["e_mac_pj"], case["inputs"]["e_ac_pj"]) for case in PUBLISHED})


def printed(value):
    """A number as the table has it: sums like 0.0005068999999999999 were 0.0005069 there."""
    return format(Decimal(f"{value:.6g}"), "f")


@pytest.mark.parametrize(("mac", "ac"), PRICE_PAIRS)
def test_published_rows_contradict_themselves_where_it_is_known(mac, ac):
    cases = [case for case in PUBLISHED if (case["inputs"]["e_mac_pj"], case["inputs"]["e_ac_pj"]) == (mac, ac)]
    rows = [
        (
            case["id"],
            *(printed(case["inputs"][key]) for key in ("gsops", "gmacs")),
            printed(case["expected"]["energy_mj"]),
        )
        for case in cases
    ]
    table = PaperTable(
        name="t",
        headings=("Model", "SOPs (G)", "MACs (G)", "Energy (mJ)"),
        rows=tuple(rows),
        text=f"{mac} pJ per MAC, {ac} pJ per AC",
    )
    found = [broken for broken in lint(claims_of(table)) if broken.rule.name == "energy-sum"]
    flagged = {where.split(", ")[1] for one in found for where, _ in one.findings}
    assert flagged == {case["id"] for case in cases if case["status"] == "known_inconsistent"}
    assert len(cases) > 5


def test_a_published_table_where_the_rate_enters_twice():
    found = {one.rule.name: one.findings for one in lint(claims_of(read_table(TABLES / "rate-twice.tex")))}
    # 2.51 M x 0.9 pJ = 2.259 µJ.
    ((where, text),) = found["rate-twice"]
    assert where == "row 2, SNN"
    assert text == (
        "printed 309.0 nJ is 2.510M ACs x rate 0.1366 x 0.9 pJ: the ACs hold the rate already, without it 2.259 µJ"
    )
    assert "energy-sum" not in found  # the ANN's row is right: 18.39 M x 4.6 pJ = 84.594 µJ
    assert "ratio" not in found  # 84.594 / 0.309 = 273.77 follows from the wrong energy


# -- reading ---------------------------------------------------------------------------------------------------------

WRITTEN = {
    "t.csv": "# T = 4\nModel,ACs (M),Energy (mJ)\nA_1,\"1,200\",1.5\nB,7,2\n",
    "semicolon.csv": "# T = 4\nModel;ACs (M);Energy (mJ)\nA_1;1,200;1.5\nB;7;2\n",
    "t.md": "T = 4\n\n"
    "| Model | ACs (M) | Energy (mJ) |\n|:---|---:|---:|\n| A\\_1 | 1,200 | **1.5** |\n| B | 7 | 2 |\n",
    "t.tex": r"""\caption{T = 4}
\begin{tabularx}{\textwidth}{l S[table-format=1.2] r}
\toprule
\textbf{Model} & ACs (M) & Energy (mJ) \\ \cmidrule(lr){1-2} \midrule
A\_1 & 1,200 & $\mathbf{1.5}$ \\[2pt] % a remark
\multirow{2}{*}{B} & \multicolumn{1}{c}{7} & 2 \\ \bottomrule
\end{tabularx}""",
    "t.toml": 'title = "T = 4"\n[[rows]]\nModel = "A_1"\n"ACs (M)" = "1,200"\n"Energy (mJ)" = 1.5\n'
    '[[rows]]\nModel = "B"\n"ACs (M)" = 7\n"Energy (mJ)" = 2\n',
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_reads_the_same_table(tmp_path, name):
    path = tmp_path / name
    path.write_text(WRITTEN[name], encoding="utf-8")
    table = read_table(path)
    assert table.headings == ("Model", "ACs (M)", "Energy (mJ)")
    assert table.rows == (("A_1", "1,200", "1.5"), ("B", "7", "2"))
    assert "T = 4" in table.text
    assert [row.time_steps for row in claims_of(table).rows] == [4, 4]


def test_headings_of_two_lines_are_joined(tmp_path):
    (tmp_path / "t.tex").write_text(
        r"\begin{tabular}{lrr} & \multicolumn{2}{c}{Energy (mJ)} \\ \cline{2-3} Model & ANN & SNN \\ \hline"
        "\n"
        r"A & 8.0 & 2.0 \\ \multicolumn{2}{l}{B} & 1.0 \\ \end{tabular}",
        encoding="utf-8",
    )
    table = read_table(tmp_path / "t.tex")
    assert table.headings == ("Model", "Energy (mJ) ANN", "Energy (mJ) SNN")
    assert table.rows == (("A", "8.0", "2.0"), ("B", "", "1.0"))
    row = claims_of(table).rows[0]
    assert (row.ann_energy_pj.middle, row.energy_pj.middle) == (8 * 10**9, 2 * 10**9)


def test_of_several_tables_that_of_energies_is_read(tmp_path):
    accuracy = "| Model | Acc. |\n|---|---|\n| A | 90 |\n"
    (tmp_path / "t.md").write_text(
        f"{accuracy}\nT = 4\n\n| Model | Power (mJ) |\n|---|---|\n| A | 3 |\n", encoding="utf-8"
    )
    assert read_table(tmp_path / "t.md").headings == ("Model", "Power (mJ)")
    (tmp_path / "t.md").write_text(accuracy, encoding="utf-8")
    assert read_table(tmp_path / "t.md").headings == ("Model", "Acc.")


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("t.xlsx", "", UsageError, "a table's name must end in .csv, .md, .tex, .toml (got '.xlsx')"),
        ("t.csv", "Model,Energy\n", DataError, "expected a table with headings and at least one row"),
        ("t.md", "no table\n", DataError, "expected a table with headings and at least one row"),
        ("t.csv", "a,b\n1,2,3\n", DataError, "has 3 cells (expected 2, as in the headings)"),
        ("t.toml", "rows = 3\n", DataError, "rows must be tables, each under [[rows]] (got int)"),
        ("t.toml", "rows = [\n", DataError, "not TOML"),
    ],
)
def test_files_that_hold_no_table(tmp_path, name, text, error, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(error) as caught:
        read_table(tmp_path / name)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("heading", "role", "factor"),
    [
        ("Power (mJ)", "energy", 10**9),
        ("Energy [µJ]", "energy", 10**6),
        ("energy_mj", "energy", 10**9),
        ("Energy / nJ", "energy", 10**3),
        ("E_SNN (J)", "energy", 10**12),
        ("ANN energy (mJ)", "ann_energy", 10**9),
        ("Energy", "energy", None),
        ("#ACs (M)", "acs", 10**6),
        ("GSOPs", "acs", 10**9),
        ("SynOps (×10^6)", "acs", 10**6),
        ("acs", "acs", 1),
        ("macs", "macs", 1),
        ("MACs", "macs", 1),
        ("GACs", "acs", 10**9),
        ("Top-1 Acc", "accuracy", None),
        ("name (snn_energy.models.build)", "name", None),
        ("MACs (G)", "macs", 10**9),
        ("GMACs", "macs", 10**9),
        ("Dense MACs (M)", "dense_macs", 10**6),
        ("OPs (G)", "ops", 10**9),
        ("FLOPs (G)", "flops", 10**9),
        ("Firing rate", "rate", None),
        ("Spiking activity (%)", "rate", None),
        ("Sparsity", "sparsity", None),
        ("Time steps", "time_steps", None),
        ("T", "time_steps", None),
        ("Acc. (%)", "accuracy", None),
        ("Energy ratio", "ratio", None),
        ("ANN/SNN", "ratio", None),
        ("Param (M)", "params", 10**6),
        ("Architecture", "name", None),
        ("Weight bits", "bits", None),
    ],
)
def test_headings(heading, role, factor):
    column = column_of(heading)
    assert column.role == role
    assert column.factor == (None if factor is None else factor)


@pytest.mark.parametrize(
    ("cell", "low", "high", "word"),
    [
        ("78.29", "78.285", "78.295", ""),
        ("1,234.5", "1234.45", "1234.55", ""),
        ("0.309 µJ", "0.3085", "0.3095", "uj"),
        ("3.09e-07", "3.085e-07", "3.095e-07", ""),
        ("1.2 × 10^9", "1.15e9", "1.25e9", ""),
        ("13.66%", "13.655", "13.665", "%"),
        ("95.2 ± 0.3", "95.15", "95.25", ""),
        ("0", "0", "0", ""),
        ("2.5G", "2.45", "2.55", "g"),
    ],
)
def test_numbers_stand_for_what_rounds_to_them(cell, low, high, word):
    found = quantity(cell)
    assert (found.value.low, found.value.high, found.word) == (Fraction(low), Fraction(high), word)


@pytest.mark.parametrize("cell", ["", "-", "--", "n/a", "ours"])
def test_cells_without_a_number(cell):
    assert quantity(cell) is None


CELLS = st.one_of(
    st.sampled_from(
        ["", "-", "SNN", "ANN", "Total", "0", "-3", "1e99", "9" * 80, "1e99999999", "T = 0", "12.5%", "4 mJ"]
    ),
    st.floats(allow_nan=False).map(repr),
    st.text(max_size=6),
)
HEADS = st.one_of(
    st.sampled_from([*HEADINGS, "T", "Energy", "ANN energy (mJ)", "OPs", "FLOPs (G)", "Sparsity"]), st.text(max_size=8)
)


@settings(max_examples=25)
@given(st.lists(HEADS, min_size=1, max_size=6), st.data(), st.text(max_size=40))
def test_no_table_breaks_the_linter(headings, data, text):
    rows = data.draw(st.lists(st.tuples(*[CELLS] * len(headings)), min_size=1, max_size=4))
    table = PaperTable(name="t", headings=tuple(headings), rows=tuple(rows), text=text)
    for one in lint(claims_of(table)):
        assert all(where and what for where, what in one.findings)


@given(st.sampled_from([".csv", ".md", ".tex", ".toml"]), st.text(max_size=200))
def test_no_text_breaks_the_reader(tmp_path_factory, suffix, text):
    path = tmp_path_factory.mktemp("any") / f"t{suffix}"
    inside = rf"\begin{{tabular}}{{l}}{text}\end{{tabular}}" if suffix == ".tex" else text
    path.write_bytes(inside.encode("utf-8", "replace"))
    try:
        table = read_table(path)
    except DataError:
        return
    assert all(len(row) == len(table.headings) for row in table.rows)


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["lint", *map(str, words)])


def test_a_published_table_at_80_columns(run):
    result = run(TABLES / "spikformer.md")
    assert (result.exit_code, result.stderr) == (1, "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout == GOLDEN.read_text(encoding="utf-8")
    assert "row 1, Spiking ResNet-50: 78.29G ACs x 0.9 pJ + 118.0M MACs x 4.6 pJ = 71.00" in result.stdout


def test_a_clean_table_passes_and_notes_count(run, tmp_path):
    lines = [",".join(HEADINGS), ",".join(ANN), ",".join(SNN)]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "notes.md").write_text("\n".join(SAID.values()), encoding="utf-8")
    assert run("t.csv").exit_code == 1
    result = run("t.csv", "--notes", "notes.md")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "no findings"


def test_json_and_ignored_rules(run):
    result = run(TABLES / "spikformer.md", "--json")
    value = json.loads(result.stdout)
    assert result.exit_code == 1
    assert value["prices_pj"] == {"mac": 4.6, "ac": 0.9}
    assert value["columns"]["energy"] == "Energy (mJ)"
    names = [broken["rule"] for broken in value["broken"]]
    assert "energy-sum" in names
    again = run(TABLES / "spikformer.md", "--ignore", ",".join(names))
    assert again.exit_code == 0


def test_the_list_of_rules(run):
    result = run("--list")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert all(f"{rule.name} ({rule.kind})" in result.stdout for rule in RULES)
    assert [rule["name"] for rule in json.loads(run("--list", "--json").stdout)] == [rule.name for rule in RULES]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "nothing to lint"),
        (["missing.csv"], 1, "missing.csv: no such file"),
        ([TABLES / "spikformer.md", "--ignore", "border"], 2, "unknown rule 'border'; did you mean 'borders'?"),
    ],
)
def test_mistakes_are_one_line(run, words, code, message):
    result = run(*words)
    assert result.exit_code == code
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
