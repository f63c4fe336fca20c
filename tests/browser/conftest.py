"""A real Chromium for the HTML report, without a network; its tests are skipped where there is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "reporting"))

from reporting_helpers import digits, lively_cnn

from snn_energy.reporting.assessment import assess
from snn_energy.reporting.explained import explanation_key
from snn_energy.reporting.html.page import html_page

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "fashion-cnn.json"
REPORTS = Path(__file__).resolve().parents[2] / "reports"
SWITCHES = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    from browser_missing import PROGRAM, REASON

    if REASON is not None:
        pytest.fail(REASON)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=PROGRAM, args=list(SWITCHES))
        yield found
        found.close()


@pytest.fixture(scope="session")
def reports(tmp_path_factory):
    """Pages on disk by name: golden, of forty time steps, with all that a report may hold, and of a larger network."""
    folder = tmp_path_factory.mktemp("pages")
    document = json.loads(GOLDEN.read_text(encoding="utf-8"))
    long = {**document, "neurons": [{**neuron, "spikes_per_step": [*range(1, 41)]} for neuron in document["neurons"]]}
    assessment = assess(lively_cnn(), digits(), method="arithmetic+memory", per_sample=True)
    full = {**assessment.to_dict(), **explanation_key(assessment.report.trace)}
    committed = json.loads((REPORTS / "cifar10-vgg.json").read_text(encoding="utf-8"))
    pages = {"golden": document, "long": long, "full": full, "cifar10-vgg": committed}
    for name, content in pages.items():
        (folder / f"{name}.html").write_text(html_page(content), encoding="utf-8")
    return folder


@pytest.fixture
def visit(browser, reports):
    """Opens a page; in the end no page has said a word on its console, nor asked for anything but itself."""
    pages, said, asked = [], [], []

    def opened(name="golden", width=1200, height=900, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((reports / f"{name}.html").as_uri())
        pages.append(context)
        return page

    yield opened
    for context in pages:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:,"))] == []
