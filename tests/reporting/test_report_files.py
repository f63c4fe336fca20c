"""JSON, CSV and Markdown of a report, reading it back, and doing so without torch."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import suppress

import pandas as pd
import pytest

from snn_energy.cli.rendering import FORMAT_NAMES
from snn_energy.costing import report as report_module
from snn_energy.errors import DataError, UsageError
from snn_energy.reporting import document as document_module
from snn_energy.reporting import layout
from snn_energy.reporting.csvtable import csv_table
from snn_energy.reporting.document import checked, load_document
from snn_energy.reporting.formats import FORMATS, find_format


def test_the_torch_free_side_agrees_with_the_reports():
    assert document_module.FORMAT == report_module.FORMAT
    assert layout.COMPONENTS == report_module.COMPONENTS
    assert set(FORMATS) == set(FORMAT_NAMES)


def test_csv_has_the_columns_and_values_of_the_frame(assessment, document):
    frame = assessment.report.to_frame()
    text = csv_table(document)
    assert text == frame.to_csv(index=False, lineterminator="\n")
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text)), frame, rtol=1e-15)


def test_json_comes_back_as_it_was(tmp_path, assessment, document):
    path = tmp_path / "r.json"
    path.write_text(assessment.to_json(), encoding="utf-8")
    read = load_document(path)
    assert {name: form(read) for name, form in FORMATS.items()} == {
        name: form(document) for name, form in FORMATS.items()
    }


def test_a_plain_report_is_a_document_too(tmp_path, assessment):
    path = tmp_path / "r.json"
    path.write_text(assessment.report.to_json(), encoding="utf-8")
    text = FORMATS["table"](load_document(path))
    assert "blocks.0.conv" in text
    assert "ANN" not in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a JSON report .got text that is no JSON"),
        (b"\xff\xfe\x00", "bytes that are no UTF-8 text"),
        (b"[]", "not a report of this package"),
        (b'{"format": 1}', "not a report of this package"),
        (b'{"format": 2, "rows": []}', "format must be 1 .got 2."),
        (b'{"format": 1, "rows": [], "samples": 0}', "samples must be an integer >= 1 .got 0."),
        (b'{"format": 1, "rows": [1], "samples": 1}', "rows must be a list of objects"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load_document(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("energy_pj", -1.0, r"x: rows\[0\].energy_pj must be a number >= 0 in pJ \(got -1.0\)"),
        ("mac_pj", float("nan"), r"rows\[0\].mac_pj must be a number"),
        ("acs", 1.5, r"rows\[0\].acs must be an integer >= 0 \(got 1.5\)"),
        ("part", "axon", r"rows\[0\].part must be one of synapses, neurons, other"),
        ("name", None, r"rows\[0\].name must be text"),
    ],
)
def test_a_row_that_does_not_fit_is_named(document, key, value, message):
    bad = json.loads(json.dumps(document))
    bad["rows"][0][key] = value
    with pytest.raises(DataError, match=message):
        checked(bad, "x")
    bad = json.loads(json.dumps(document))
    bad["baseline"]["rows"][0][key] = value
    with pytest.raises(DataError, match="x: baseline: rows"):
        checked(bad, "x")


def every_key(value, path=()):
    """Paths to all keys of a document; of a list, those of its first item."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value[:1]):
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from every_key(inner, (*path, key))


def test_a_damaged_document_is_refused_or_shown(document):
    """Whatever one key was replaced by, or if it is gone: one line, or a report in every form, never a traceback."""
    # One crossover of each kind, and no second report: test_rivals damages those.
    short = {key: items[:1] for key, items in document["crossover"].items()}
    text = json.dumps({**document, "quantised": None, "crossover": short})
    for path in every_key(json.loads(text)):
        for wrong in ("gone", None, "x", -1, [3], {"x": 3}):
            bad = json.loads(text)
            holder = bad
            for key in path[:-1]:
                holder = holder[key]
            if wrong == "gone":
                del holder[path[-1]]
            else:
                holder[path[-1]] = wrong
            with suppress(DataError):
                checked(bad, "x")
                for name, form in FORMATS.items():
                    if name != "html" or wrong in (None, [3]):  # the slowest one, and these two find the most
                        form(bad)


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(DataError, match=r"no such report; write it again with: snn-energy profile"):
        load_document(tmp_path / "nope.json")
    with pytest.raises(DataError, match="got a directory"):
        load_document(tmp_path)


@pytest.mark.parametrize(
    ("name", "output", "form"),
    [
        (None, None, "table"),
        (None, "x.json", "json"),
        (None, "x.txt", "table"),
        (None, "a.MD", "md"),
        ("csv", "x.md", "csv"),
    ],
)
def test_format_is_named_or_read_off_the_suffix(name, output, form):
    assert find_format(name, output) == form


def test_unknown_format():
    with pytest.raises(UsageError, match=r"unknown format 'jason': did you mean 'json'\? expected one of table"):
        find_format("jason")


def test_saved_reports_are_shown_without_torch(tmp_path, assessment):
    path = tmp_path / "r.json"
    path.write_text(assessment.to_json(), encoding="utf-8")
    code = (
        "import sys\n"
        "from snn_energy.reporting.document import load_document\n"
        "from snn_energy.reporting.formats import FORMATS\n"
        "from snn_energy.reporting.plots import draw\n"
        f"document = load_document({str(path)!r})\n"
        "[form(document) for form in FORMATS.values()]\n"
        "assert 'matplotlib' not in sys.modules\n"
        "draw(document, 'layers', 'svg')\n"
        "assert 'torch' not in sys.modules, 'torch'\n"
        "assert 'matplotlib.pyplot' not in sys.modules, 'pyplot'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
