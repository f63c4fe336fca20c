"""The whole page: head, navigation, and the sections that a report has something to say in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from snn_energy.reporting.document import Document
from snn_energy.reporting.facts import facts, headline
from snn_energy.reporting.html.against import against_section
from snn_energy.reporting.html.certificate import certificate_section
from snn_energy.reporting.html.crossover import crossover_section
from snn_energy.reporting.html.elements import Element, Raw, tag, to_html
from snn_energy.reporting.html.energy import energy_section
from snn_energy.reporting.html.layers import layers_section
from snn_energy.reporting.html.machine import machine_section
from snn_energy.reporting.html.methods import methods_section
from snn_energy.reporting.html.moving import latency_section, memory_section
from snn_energy.reporting.html.pieces import fact_list, section
from snn_energy.reporting.html.rates import rates_section
from snn_energy.reporting.html.spread import spread_section
from snn_energy.reporting.html.verdict import verdict


def _words(document: Document) -> Element:
    """What the terminal says below its table, so that no form of a report holds more than this one."""
    return section("words", "In words", None, fact_list(facts(document)))


SECTIONS: Mapping[str, Callable[[Document], Element | None]] = {
    "Energy": energy_section,
    "Layers": layers_section,
    "Spikes": rates_section,
    "Baselines": against_section,
    "Crossover": crossover_section,
    "Spread": spread_section,
    "Memory": memory_section,
    "Time": latency_section,
    "Methods": methods_section,
    "Coverage": certificate_section,
    "Hardware": machine_section,
    "In words": _words,
}
"""Name in the navigation -> what makes the section, None where a report has nothing to say there; in order.

To add one: a function from a report to `pieces.section(...)` in a module of its own, and a row here.
"""


def html_page(document: Document) -> str:
    """The report as one HTML document; equal reports give equal text."""
    found = {name: made for name, make in SECTIONS.items() if (made := make(document)) is not None}
    style, script = _packaged("report.css"), _packaged("report.js")
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            # Nothing may be fetched, and nothing may run but this script.
            tag("meta", http_equiv="Content-Security-Policy", content="; ".join((
                "default-src 'none'", f"style-src {_source(style)}", f"script-src {_source(script)}", "img-src data:",
                "base-uri 'none'", "form-action 'none'",
            ))),
            tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name_="color-scheme", content="light dark"),
            tag("meta", name_="generator", content="snn-energy"),
            tag("title", f"{headline(document)}: energy report"),
            tag("link", rel="icon", href="data:,"),
            tag("style", style),
        ),
        tag(
            "body",
            tag("a", "Skip to the report", href="#verdict", class_="skip"),
            _bar(found),
            tag("main", verdict(document), found.values()),
            tag("footer", tag("p", "Made by snn-energy. Counts are exact; energies are counts times sourced prices.")),
            tag("div", id_="tip", role="tooltip", hidden=True),
            tag("div", id_="said", class_="unseen", aria_live="polite"),
            tag("script", script),
        ),
        lang="en",
    )  # fmt: skip
    return f"<!doctype html>\n{to_html(page)}\n"


def _bar(found: Mapping[str, Element]) -> Element:
    """Links to the sections, and the choice of light and dark; it stays in sight."""
    links = [tag("li", tag("a", name, href=f"#{dict(made.attributes)['id']}")) for name, made in found.items()]
    theme = tag("button", "Theme: auto", id_="theme", type_="button", hidden=True)
    return tag("nav", tag("ul", links), theme, aria_label="Sections")


@cache
def _packaged(name: str) -> Raw:
    """A file of this package; its line ends are those of the repository, whatever the machine."""
    return Raw(Path(__file__).with_name(name).read_bytes().decode().replace("\r\n", "\n"))


def _source(text: str) -> str:
    """What a content security policy calls an inline style sheet or script (CSP level 3, hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
