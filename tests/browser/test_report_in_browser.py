"""The HTML report as its readers use it: by mouse, by keyboard, on a phone, in the dark, on paper."""

from __future__ import annotations

import re

import pytest
from browser_missing import REASON, SKIPS

if SKIPS:
    pytest.skip(str(REASON), allow_module_level=True)

pytestmark = pytest.mark.browser

ROWS = "#layer-table tbody tr"


def column(page, number):
    """Texts of a column of the table of layers, of the rows in sight."""
    return [row.locator("th, td").nth(number).inner_text() for row in page.locator(ROWS).all() if row.is_visible()]


def numbers(texts):
    return [float(text.replace(",", "")) for text in texts if text]


def heading(page, text):
    return page.locator("#layer-table thead th").filter(has_text=re.compile(f"^{re.escape(text)}$"))


def headings(page):
    return page.locator("#layer-table thead th").all_inner_texts()


def test_a_click_sorts_and_the_third_restores_the_order(visit):
    page = visit()
    before = column(page, 0)
    number = headings(page).index("µJ")
    cell = page.locator("#layer-table thead th").nth(number)
    cell.locator("button").click()
    assert cell.get_attribute("aria-sort") == "descending"
    assert numbers(column(page, number)) == sorted(numbers(column(page, number)), reverse=True)
    cell.locator("button").click()
    assert cell.get_attribute("aria-sort") == "ascending"
    assert numbers(column(page, number)) == sorted(numbers(column(page, number)))
    cell.locator("button").click()
    assert cell.get_attribute("aria-sort") == "none"
    assert column(page, 0) == before


def test_names_sort_like_numbers_and_empty_cells_stay_last(visit):
    page = visit()
    heading(page, "layer").locator("button").click()
    assert column(page, 0) == sorted(column(page, 0), key=str.lower)
    number = headings(page).index("ACs")
    for order in ("descending", "ascending"):
        page.locator("#layer-table thead th").nth(number).locator("button").click()
        texts = column(page, number)
        full = [text for text in texts if text]
        assert texts == full + [""] * (len(texts) - len(full))
        assert numbers(full) == sorted(numbers(full), reverse=order == "descending")
    assert page.locator("#layer-table th[aria-sort=ascending]").count() == 1


def test_filtering_shows_what_is_left_and_its_energy(visit):
    page = visit()
    energy = headings(page).index("µJ")
    total = len(column(page, 0))
    page.get_by_label("Filter").fill("CONV blocks.1")
    assert column(page, 0) == ["blocks.1.conv"]
    count = page.locator("#layer-count")
    assert count.inner_text() == f"1 of {total} rows, {column(page, energy)[0]} µJ"
    page.get_by_label("Filter").fill("")
    page.get_by_label("Part").select_option("neurons")
    assert len(column(page, 0)) == 4
    assert {text.split(".")[-1] for text in column(page, 0)} == {"neuron"}
    assert f"{sum(numbers(column(page, energy))):.3f} µJ" in count.inner_text()
    page.get_by_label("Filter").fill("nothing like it")
    assert column(page, 0) == []
    assert "0.000 µJ" in count.inner_text()
    page.get_by_label("Filter").press("Escape")
    assert len(column(page, 0)) == 4


def still(page, selector):
    """What is found, in sight already: a tooltip goes as soon as the page scrolls."""
    found = page.locator(selector)
    found.nth(1).scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    return found


def test_a_mark_says_what_it_is(visit):
    page = visit()
    tip = page.locator("#tip")
    assert tip.is_hidden()
    still(page, "#energy .bars .mark.ac").nth(1).hover()
    assert re.fullmatch(r"blocks\.1\.conv: ACs [\d.]+ µJ", tip.inner_text())
    box = tip.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1200
    page.mouse.move(5, 400)
    assert tip.is_hidden()
    still(page, ".heat tbody td").nth(1).hover()
    assert re.fullmatch(r"blocks\.0\.neuron ?, t = 2: 0\.\d{4}", tip.inner_text())
    assert page.locator("svg title").count() == 0  # the browser's own tooltip would hide ours


def test_the_keyboard_reaches_everything(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.locator("[data-chart='Energy by layer and component']").focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#said").text_content()
    assert first.startswith("blocks.0.conv: MACs ")
    assert page.locator("#tip").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#said").text_content() != first
    page.keyboard.press("Home")
    assert page.locator("#said").text_content() == first
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    button = heading(page, "layer").locator("button")
    button.focus()
    page.keyboard.press("Enter")
    assert heading(page, "layer").get_attribute("aria-sort") == "ascending"
    assert page.locator("#said").text_content() == "Sorted by layer, ascending"
    heat = page.locator("[data-chart='Spikes per neuron and time step']")
    heat.focus()
    for press in ("ArrowRight", "ArrowDown", "ArrowRight"):
        page.keyboard.press(press)
    assert page.locator("#said").text_content().startswith("blocks.1.neuron")
    assert ", t = 2: " in page.locator("#said").text_content()


def test_the_tab_key_stops_once_at_each_chart(visit):
    page = visit()
    stops = page.evaluate("document.querySelectorAll('[tabindex=\"0\"], a, button, input, select, summary').length")
    marks = page.evaluate("document.querySelectorAll('.mark').length")
    seen = 0
    while page.evaluate("document.activeElement === document.body") is False or seen == 0:
        page.keyboard.press("Tab")
        seen += 1
        assert seen <= stops + 1, "the Tab key goes round in circles"
    assert seen < stops + marks
    assert page.evaluate("document.querySelectorAll('.mark[tabindex]').length") == 0


@pytest.mark.parametrize("name", ["golden", "long", "full"])
@pytest.mark.parametrize("width", [320, 375, 768, 1200])
def test_no_page_is_wider_than_its_screen(visit, name, width):
    page = visit(name, width=width, height=700)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    outside = page.evaluate(
        """() => [...document.querySelectorAll('main *')].filter((node) => {
          if (node.closest('.scroll') && !node.matches('.scroll')) return false;
          if (node.matches('.unseen') || node.closest('.unseen')) return false;
          const box = node.getBoundingClientRect();
          return box.width && (box.right > innerWidth + 6 || box.left < -6);
        }).map((node) => node.outerHTML.slice(0, 80))"""
    )
    assert outside == []


def test_counts_of_nine_digits_leave_room_for_the_last_column(visit):
    page = visit("cifar10-vgg")
    inner, outer = page.evaluate(
        "(box => [box.scrollWidth, box.clientWidth])(document.querySelector('#layer-table').closest('.scroll'))"
    )
    assert inner <= outer


def test_names_are_readable_on_a_phone(visit):
    page = visit(width=375, height=700)
    name = page.locator("#layer-table tbody th").first
    assert name.bounding_box()["width"] >= 100
    assert float(name.evaluate("node => parseFloat(getComputedStyle(node).fontSize)")) >= 13


def colours(page):
    return page.evaluate("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")


def test_light_dark_and_the_button_between(visit):
    page = visit(scheme="dark")
    dark = colours(page)
    button = page.locator("#theme")
    assert button.inner_text() == "Theme: auto"
    button.click()
    assert button.inner_text() == "Theme: light"
    light = colours(page)
    assert light == ["rgb(255, 255, 255)", "rgb(21, 25, 29)"]
    assert light != dark
    button.click()
    assert (button.inner_text(), colours(page)) == ("Theme: dark", dark)
    page.reload()
    assert (button.inner_text(), colours(page)) == ("Theme: dark", dark)
    button.click()
    assert button.inner_text() == "Theme: auto"
    page.emulate_media(color_scheme="light")
    assert colours(page) == light


def test_on_paper_it_is_light_whole_and_without_controls(visit):
    page = visit("full", scheme="dark")
    opened = "[...document.querySelectorAll('details')].map((node) => node.open)"
    assert page.evaluate(opened) == [False, False, False]
    page.emulate_media(media="print", color_scheme="dark")
    assert colours(page) == ["rgb(255, 255, 255)", "rgb(21, 25, 29)"]
    assert page.locator("nav").is_hidden()
    assert page.locator(".controls").is_hidden()
    cut = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter((n) => getComputedStyle(n).overflowY !== 'visible').length"
    )
    assert cut == 0
    page.emulate_media(media="screen")
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) in range(4, 16)
    assert page.evaluate(opened) == [True, True, True]


def test_without_its_script_the_page_still_says_everything(browser, reports):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((reports / "golden.html").as_uri())
    assert page.locator("#layer-table tbody tr").first.is_visible()
    assert page.locator(".controls").is_hidden()
    assert page.locator("#theme").is_hidden()
    assert page.locator("svg title").count() > 10
    context.close()
