"""The rows of a report as CSV: the columns of `Report.to_frame`, totals over all samples."""

from __future__ import annotations

import csv
import io

from snn_energy.reporting.document import Document


def csv_table(document: Document) -> str:
    """One line for each layer and part below a line of headings; floats read back exactly."""
    rows = document["rows"]
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
