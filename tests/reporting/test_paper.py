"""What goes into a paper: LaTeX that compiles, columns that add up, entries for all that is cited, true sentences."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from snn_energy.costing.published_methods.sheets import folder
from snn_energy.reporting.bibtex import bibtex, entry
from snn_energy.reporting.document import load_document
from snn_energy.reporting.formats import find_format
from snn_energy.reporting.latex import latex
from snn_energy.reporting.methods import methods_text, sentences
from snn_energy.reporting.references import Reference, references
from snn_energy.reporting.tex import escaped

ROOT = Path(__file__).resolve().parents[2]
REPORTS = ("fashion-cnn", "cifar10-vgg", "cifar10-pure-cnn")
PROFILES = sorted((ROOT / "profiles").glob("*.toml"))


@pytest.fixture(scope="module", params=REPORTS)
def report(request):
    return load_document(ROOT / "reports" / f"{request.param}.json")


@pytest.fixture(scope="module")
def small():
    whole = load_document(ROOT / "tests" / "golden" / "fashion-cnn.json")
    return {key: value for key, value in whole.items() if key not in ("quantised", "ann", "crossover")}


def table_rows(text):
    """Cells of every row of the table, as they are printed."""
    lines = [line.strip() for line in text.splitlines() if line.endswith(r"\\") and "&" in line]
    return [[cell.strip() for cell in line.removesuffix(r"\\").split("&")] for line in lines]


def number(cell):
    return Decimal(cell.replace(",", ""))


def test_printed_columns_add_up_to_the_printed_sums(report):
    rows = table_rows(latex(report))
    assert len({len(row) for row in rows}) == 1
    energies, shares, section, sections = [], [], [], 0
    for row in rows:
        if row[-1] == r"\%":
            assert not energies or section is not None
            section, sections = [], sections + 1
        elif row[0] == "sum":
            for column in range(3, len(row)):
                cells = [line[column] for line in section]
                if any(cells):
                    assert number(row[column]) == sum(map(number, cells)), row
        elif row[0] == "total":
            assert number(row[-2]) == sum(energies)
            assert number(row[-1]) == sum(shares) == 100
        else:
            section.append(row)
            energies.append(number(row[-2]))
            shares.append(number(row[-1]))
    assert sections == 3
    names = {row["name"] for row in report["rows"]}
    assert {re.sub(r"\\texttt{(.*)}", r"\1", row[0]).replace(r"\_", "_") for row in rows} >= names


def braces_are_balanced(text):
    depth = 0
    for mark in re.sub(r"\\[{}\\]", "", text):
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if depth < 0:
            return False
    return depth == 0


def test_latex_is_whole(report):
    text = latex(report)
    assert braces_are_balanced(text)
    begun = re.findall(r"\\begin{(\w+)}", text)
    ended = re.findall(r"\\end{(\w+)}", text)
    assert begun == ended[::-1]
    assert len(begun) in (1, 2)
    (columns,) = re.findall(r"\\begin{(?:tabular|longtable)}{([lr]+)}", text)
    assert {len(row) for row in table_rows(text)} == {len(columns)}
    body = text.partition("\n")[2]
    assert not re.search(
        r"(?<!\\)[%#$_^~](?!\\mu|\$|\\cite)", re.sub(r"\$\\mu\$|~\\cite{[^}]*}|\\label{[^}]*}", "", body)
    )
    assert body.isascii()


def test_every_citation_has_an_entry(report):
    cited = {key for keys in re.findall(r"\\cite{([^}]*)}", latex(report)) for key in keys.split(",")}
    entries = re.findall(r"^@(\w+){([^,]+),$", bibtex(report), re.MULTILINE)
    keys = [key for _, key in entries]
    assert cited == set(keys)
    assert len(keys) == len(set(keys))
    assert {kind for kind, _ in entries} <= {"misc", "article", "inproceedings"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (Debian: texlive-latex-recommended)")
def test_latex_compiles(report, tmp_path):
    (tmp_path / "table.tex").write_text(latex(report), encoding="utf-8")
    (tmp_path / "all.bib").write_text(bibtex(report), encoding="utf-8")
    (tmp_path / "main.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs,longtable,url}\n\\begin{document}\n\\input{table}\n"
        "\\bibliographystyle{plain}\n\\bibliography{all}\n\\end{document}\n",
        encoding="utf-8",
    )

    def run(*words):
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True).stdout

    halting = ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main")
    run(*halting)
    assert "Warning" not in run("bibtex", "main")
    run(*halting)
    run(*halting)
    log = run(*halting)
    assert "undefined" not in log
    assert "Overfull \\hbox" not in "".join(line for line in log.splitlines() if "alignment" in line)


HOROWITZ = 'M. Horowitz, "1.1 Computing\'s energy problem (and what we can do about it)", 2014 IEEE International '
CASES = {
    HOROWITZ + "Solid-State Circuits Conference (ISSCC), Digest of Technical Papers, pp. 10-14": (
        "inproceedings", {"author": "M. Horowitz", "pages": "10--14", "year": "2014",
                          "title": "{1.1 Computing's energy problem (and what we can do about it)}"},
    ),
    'M. Davies et al., "Loihi: A Processor", IEEE Micro 38(1), 2018, pp. 82-99': (
        "article", {"author": "M. Davies and others", "journal": "IEEE Micro", "volume": "38", "number": "1",
                    "pages": "82--99", "year": "2018", "title": "{Loihi: A Processor}"},
    ),
    'A. Stillmaker, B. Baas, "Scaling", Integration, the VLSI Journal 58, 2017, pp. 74-81': (
        "misc", {"author": "A. Stillmaker and B. Baas", "year": "2017",
                 "howpublished": "Integration, the VLSI Journal 58, 2017, pp. 74-81"},
    ),
    'Z. Yan, W.-F. Wong, "Reconsidering", arXiv 2409.08290, version 4': (
        "misc", {"author": "Z. Yan and W.-F. Wong", "eprint": "2409.08290", "archiveprefix": "arXiv", "year": "2024"},
    ),
    'E. Lemaire et al., "An Estimation", ICONIP 2022 (arXiv 2210.13107), after Horowitz 2014': (
        "misc", {"author": "E. Lemaire and others", "year": "2022", "eprint": "2210.13107"},
    ),
    "SATA_Sim, hw_kernels.py (commit d447058): 100 % & more, after Horowitz 2014": (
        "misc", {"title": r"{SATA\_Sim, hw\_kernels.py (commit d447058): 100 \% \& more, after Horowitz 2014}",
                 "note": r"mac: line 3, 5 \% off"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("citation", CASES)
def test_fields_are_read_off_a_citation(citation):
    kind, expected = CASES[citation]
    text = entry(Reference(key="k", citation=citation, url=None, locators=("mac: line 3, 5 % off",)))
    fields = dict(re.findall(r"^  (\w+) = {(.*)},?$", text, re.MULTILINE))
    assert text.startswith(f"@{kind}{{k,\n")
    assert {name: fields.get(name) for name in expected} == expected
    if "author" not in expected:
        assert "year" not in fields  # whose year that is, nobody knows
        assert "key" in fields


def test_a_doi_is_read_off_the_address():
    text = entry(Reference(key="k", citation="x", url="https://doi.org/10.1109/ISSCC.2014.6757323"))
    assert "  doi = {10.1109/ISSCC.2014.6757323},\n" in text


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_shipped_source_gives_a_sound_entry(path):
    for key, source in tomllib.loads(path.read_text(encoding="utf-8"))["sources"].items():
        check_entry(entry(Reference(key=key, citation=source["citation"], url=source.get("url"))), source["citation"])


@pytest.mark.parametrize("path", sorted(folder().glob("*.toml")), ids=lambda path: path.stem)
def test_every_method_gives_a_sound_entry(path, small):
    sheet = tomllib.loads(path.read_text(encoding="utf-8"))
    found = references({**small, "method": path.stem})
    ours = sheet["citation"].startswith(("snn_energy", "the convention"))
    assert (sheet["citation"] in {each.citation for each in found}) != ours
    check_entry(entry(Reference(key="k", citation=sheet["citation"], url=sheet.get("url"))), sheet["citation"])


def check_entry(text, citation):
    """Balanced, one field a line, and nothing of the words lost."""
    assert braces_are_balanced(text)
    assert text.isascii()
    lines = text.splitlines()
    assert all(re.fullmatch(r"  \w+ = {.+},?", line) for line in lines[1:-1])
    assert lines[-1] == "}"
    words = re.findall(r"[A-Za-z]{4,}", citation.replace(" et al.", ""))
    plain = text.replace("\\", "")
    assert [word for word in words if word not in plain] == []


def test_equal_keys_get_letters(small):
    document = copy.deepcopy(small)
    sources = document["hardware"]["sources"]
    sources["pmc_8934428"] = {"citation": "another"}
    sources["pmc-8934428"] = {"citation": "a third"}
    document["hardware"]["energy_pj"]["add"]["source"] = "pmc_8934428"
    document["hardware"]["energy_pj"]["mul"]["source"] = "pmc-8934428"
    keys = [each.key for each in references(document)]
    assert keys == ["snn-energy", "horowitz-2014", "pmc8934428", "pmc-8934428", "pmc-8934428-a"]


def test_sources_of_prices_that_nothing_met_are_not_cited(small):
    document = copy.deepcopy(small)
    for report in (document, document["baseline"]):
        report["rows"] = [{**row, "compares": 0} for row in report["rows"]]
        report["neurons"] = [{**neuron, "update_compares": 0} for neuron in report["neurons"]]
    assert [each.key for each in references(document)] == ["snn-energy", "horowitz-2014"]


def methods(document):
    return [sentence.text for sentence in sentences(document)]


def test_the_section_on_methods_says_what_the_report_says(small):
    text = methods_text(small)
    for fact in (
        "fashion-mnist, test split, first 256 of 10,000 samples, T = 4",
        "Of 5 projections, 1 takes real-valued operands: blocks.0.conv.",
        "Only synapses inside the image count",
        "lif: 1 addition, 1 multiplication, 1 comparison",
        "horowitz-45nm-fp32",
        "MAC 4.6 pJ, AC 0.9 pJ, addition 0.9 pJ, multiplication 3.7 pJ, comparison 0.9 pJ [2, 3].",
        "Not included: memory traffic, control, leakage.",
        "The network needs 2.228 µJ per inference",
        f"dense {small['comparison'][0]['ann_energy_per_inference_pj'] / 1e6:.3f} µJ",
        "snn_energy 0.1.0",
    ):
        assert fact in text
    assert "[3] Frontiers article" in text


@pytest.mark.parametrize(
    ("change", "said", "unsaid"),
    [
        ({"memory": {"policy": {"stays": ["weights"], "encoding": "aer"}, "levels": [
            {"name": "sram", "access_bits": 64, "read_pj": 10.0, "write_pj": 10.0},
            {"name": "dram", "access_bits": 32, "read_pj": 1300.0, "write_pj": 1400.0}]}},
         "Memory traffic is included (sram 10 pJ for 64 bits, dram 1300 pJ or 1400 pJ for 32 bits); kept through each "
         "pass of a layer: weights", "memory traffic, control"),
        ({"unpriced": [{"action": "special", "count": 2560, "reason": "none"}]},
         "no price for 10 operations per inference (exponential, division or root)", "no such sentence"),
        ({"method": "arithmetic-zero-skipping"}, "multiply-accumulate (MAC), zeros skipped", "zeros included"),
        ({"method": "syops"}, "Energies follow the method syops, as published", "multiply-accumulate (MAC)"),
        ({"accuracy": None, "baseline": None, "comparison": []}, "The network needs 2.228", "accuracy of"),
    ],
)  # fmt: skip
def test_what_differs_is_said(small, change, said, unsaid):
    text = ". ".join(methods({**small, **change}))
    assert said in text
    assert unsaid not in text


def test_all_in_prices_say_what_they_contain(small):
    hardware = {
        **small["hardware"],
        "included": {"neuron_update": "ac", "memory": "ac", "control": "ac", "leakage": "ac"},
    }
    found = methods({**small, "hardware": hardware})
    assert "The prices are all-in: they contain neuron updates, memory, control, leakage" in found
    assert not any(text.startswith("Not included") for text in found)


def test_quantised_and_named_anns_are_told_with_what_they_cite(small):
    item = {**small["comparison"][0], "ann_energy_per_inference_pj": 2_500_000.0, "ratio": 1.25}
    document = {
        **small,
        "quantised": {"bits": 3, "levels": 5, "comparison": [item]},
        "ann": {"name": "my_net:build", "comparison": [{**item, "method": "arithmetic-zero-skipping"}]},
    }
    text = methods_text(document)
    told = "dense 2.500 µJ (1.25 times the SNN's by the same rule) [4]"
    assert f"activations of 5 levels (3 bits), as many as an SNN tells apart in its time steps: {told}." in text
    assert "The ANN my_net:build on the same data, counted and priced likewise: zero-skipping 2.500 µJ" in text
    assert "[4] Z. Yan, Z. Bai, W.-F. Wong" in text
    assert "@misc{method-yan-2024," in bibtex(document)


def test_latency_is_told_with_what_it_cites(small):
    document = copy.deepcopy(small)
    hardware = document["hardware"]
    hardware["sources"]["clock-2020"] = {"citation": "the clock"}
    hardware["latency"] = {"model": "m", "clock_mhz": {"value": 400, "source": "clock-2020", "locator": "p. 3"}}
    times = {
        "cycles": 800,
        "cycles_low": 800,
        "cycles_high": 800,
        "seconds": 2e-6,
        "seconds_low": 2e-6,
        "seconds_high": 2e-6,
    }
    document["latency"] = {
        **times, "bottleneck": None, "model": "m", "formula": "f", "static_pj": None, "energy_delay_pj_s": None,
        "assumptions": [], "rows": [], **dict.fromkeys(("cycles_missing", "seconds_missing", "static_missing")),
    }  # fmt: skip
    assert "Latency: 800 cycles = 2.000 µs per inference at 400 MHz [4]." in methods_text(document)
    assert "clock\\_mhz: p. 3" in bibtex(document)
    assert "Latency" not in methods_text(small)


def test_uncounted_work_and_norms_are_named(small):
    document = copy.deepcopy(small)
    document["coverage"]["uncounted"] = [{"name": "fft", "modules": ["a"], "bound": 2560}]
    document["rows"].append({**document["rows"][-1], "kind": "batch_norm (folded)"})
    text = ". ".join(methods(document))
    assert "Not counted: fft, at most 10 MACs per inference" in text
    assert "Batch norms behind a projection are folded" in text
    assert "No batch norm ran" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & 5 % of #1 {x}", r"a\_b \& 5 \% of \#1 \textbraceleft{}x\textbraceright{}"),
        ('say "so" ~ \\x^2', r"say ``so'' \textasciitilde{} \textbackslash{}x\textasciicircum{}2"),
        ("2 µJ × 3 …", r"2 $\mu$J $\times$ 3 \ldots{}"),
    ],
)
def test_marks_are_printed_not_obeyed(text, expected):
    assert escaped(text) == expected


def test_suffixes_name_the_formats():
    assert [find_format(None, name) for name in ("a.tex", "a.bib", "a.BIB", "a.txt")] == [
        "latex",
        "bibtex",
        "bibtex",
        "table",
    ]


def test_names_from_outside_cannot_break_out(small):
    document = json.loads(json.dumps(small).replace("blocks.0.conv", r"a&b\\end{table}%"))
    text = latex(document)
    assert braces_are_balanced(text)
    assert text.count(r"\end{table}") == 1
