"""The catalogue in a real browser: what only a browser can see of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.composition import load_rules_files
from postroom.documents import made
from tests import chromium
from tests.chromium import Tab
from tests.programs import wanted

pytestmark = [pytest.mark.flow, pytest.mark.timeout(500)]

ROOT = Path(__file__).parents[2]
PHONE, DESK = (360, 740), (1280, 900)

# Every text against what lies behind it, by WCAG 2.2's formula; 4.5 is level AA for text of any size.
CONTRAST = """
(() => {
  const light = (rgb) => rgb.map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parts = (css) => css.match(/[0-9.]+/g).map(Number);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const found = parts(getComputedStyle(node).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const poor = new Set();
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.getClientRects().length) continue;
    seen += 1;
    const [a, b] = [light(parts(getComputedStyle(element).color).slice(0, 3)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.add(element.tagName + " " + ratio.toFixed(2));
  }
  return { seen, poor: [...poor] };
})()
"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
OUTSIDE = """
[...document.querySelectorAll("main *")].filter((e) => !e.closest(".scroll, pre") && e.getClientRects().length
  && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName)
"""
FOCUSED = "document.activeElement.className || document.activeElement.id || document.activeElement.tagName"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every page, made anew in a directory of its own."""
    contracts, agreements = load_rules_files(ROOT / "schemas", ROOT / "schemas" / "agreements")
    place = tmp_path_factory.mktemp("catalogue")
    for name, text in made(contracts, agreements, 12).items():
        if name.startswith("catalogue/"):
            (place / Path(name).name).write_text(text, encoding="utf-8")
    return sorted(place.glob("*.html"))


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    wanted(chromium.find, "a browser to look at the catalogue with", "apt-get install chromium")
    with chromium.browser() as found:
        yield found


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_every_page_loads_whole_fits_the_window_and_can_be_read(
    tab: Tab, pages: list[Path], size: tuple[int, int]
):
    """No complaint in the console, nothing fetched from elsewhere, nothing wider than the window but what
    scrolls by itself, and every text 4.5:1 against what is behind it (WCAG 2.2 AA).
    """
    assert len(pages) > 30, "a test of nothing"
    tab.size(*size)
    tab.troubles.clear()
    tab.requested.clear()
    for page in pages:
        tab.open(page.as_uri())
        assert tab.run(OVERFLOW) <= 0, page.name
        assert tab.run(OUTSIDE) == [], page.name
        contrast = tab.run(CONTRAST)
        assert contrast["seen"] > 20, page.name
        assert contrast["poor"] == [], page.name
    assert tab.troubles == []
    assert {url.partition(":")[0] for url in tab.requested} == {"file"}


def test_the_keyboard_reaches_the_content_first(tab: Tab, pages: list[Path]):
    """The first Tab shows a link past the navigation, and Enter goes there."""
    tab.size(*DESK)
    tab.open(pages[0].as_uri())
    tab.press("Tab", 9)
    assert tab.run(FOCUSED) == "skip"
    assert tab.run("document.activeElement.getBoundingClientRect().left >= 0"), "it is to be seen"
    tab.press("Enter", 13)
    assert tab.run("location.hash") == "#content"
    assert tab.run(FOCUSED) == "content"


def test_a_wide_table_scrolls_by_keyboard_on_a_phone(tab: Tab, pages: list[Path]):
    """A table that is wider than the phone is a named region that takes the focus and scrolls."""
    tab.size(*PHONE)
    tab.open(next(page for page in pages if page.name == "agreements.html").as_uri())
    assert tab.run("(r => r.scrollWidth > r.clientWidth)(document.querySelector('.scroll'))")
    tab.run("document.querySelector('.scroll').focus()")
    assert tab.run(FOCUSED) == "scroll"
    named = "document.getElementById(document.activeElement.getAttribute('aria-labelledby')).textContent"
    assert tab.run(named) == "Every data-sharing agreement"


def test_a_page_prints_without_its_navigation(tab: Tab, pages: list[Path]):
    """On paper there is the content alone, and all of it: no table is cut at the edge."""
    tab.size(*DESK)
    tab.open(next(page for page in pages if page.name.startswith("agreement-")).as_uri())
    tab.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert tab.run("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert tab.run("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
        printed = base64.b64decode(tab.call("Page.printToPDF")["data"])
    finally:
        tab.call("Emulation.setEmulatedMedia", media="")
    assert printed.startswith(b"%PDF-")
    assert len(printed) > 10_000


def test_the_check_of_contrast_can_fail(tab: Tab, pages: list[Path]):
    """Grey on white is found, so that the checks above mean something."""
    tab.open(pages[0].as_uri())
    tab.run("document.querySelector('h1').style.color = '#999'")
    assert tab.run(CONTRAST)["poor"] == ["H1 2.85"]
    tab.run("document.querySelector('h1').style.width = '3000px'")
    assert tab.run(OVERFLOW) > 0
