"""The book as its reader sees it: opened from a disk, with every outside request blocked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sample_study

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
CHAPTER = "hospital_c/05_nomogram_dca"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason="no Chromium here to open a page with"),
]


class Reader:
    """A browser's page that remembers what it asked of the network and what failed."""

    def __init__(self, page, root: Path) -> None:
        self.page, self.root = page, root
        self.asked: list[str] = []
        self.errors: list[str] = []
        page.route("**/*", self._gate)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _gate(self, route) -> None:
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            self.asked.append(route.request.url)
            route.abort()

    def open(self, name: str) -> None:
        self.page.goto((self.root / f"{name}.html").as_uri())
        assert self.errors == []

    def overflow(self) -> int:
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return self.page.evaluate(script)


@pytest.fixture(scope="module")
def root() -> Path:
    return sample_study.with_book() / "book"


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield chromium
        chromium.close()


@pytest.fixture
def reader(browser, root) -> Iterator[Reader]:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    yield Reader(page, root)
    page.close()


def figure(reader: Reader, name: str) -> str:
    return reader.page.locator(f".hcc-explorer [data-figure={name}]").inner_text()


def test_the_figure_is_drawn(reader):
    reader.open(CHAPTER)
    reader.page.wait_for_selector(".hcc-figure .js-plotly-plot svg.main-svg")
    lines = reader.page.locator(".hcc-figure .scatterlayer .trace path.js-line")
    assert lines.count() == 3
    assert "Threshold probability" in reader.page.locator(".hcc-figure").first.inner_text()


def test_the_explorer_moves_and_says_what_the_table_says(reader):
    """At .4 12 + 8 of 96 are called; net benefit 12/96 - 8/96 x .4/.6 = .069, all -.285."""
    reader.open(CHAPTER)
    slider = reader.page.locator(".hcc-explorer input[type=range]")
    for row in sample_study.COUNTS.itertuples():
        slider.evaluate(
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", row.threshold
        )
        for name in ("true_positive", "false_positive", "false_negative", "true_negative"):
            assert figure(reader, name) == str(getattr(row, name))
    slider.evaluate("(e) => { e.value = .4; e.dispatchEvent(new Event('input')); }")
    assert "20 of 96 patients (21 %)" in reader.page.locator(".hcc-explorer output").inner_text()
    assert figure(reader, "sensitivity") == "55 % (12 of 22)"
    assert figure(reader, "ppv") == "60 % (12 of 20)"
    assert figure(reader, "benefit_model") == "0.069"
    assert figure(reader, "benefit_all") == "−0.285"


def test_the_explorer_obeys_the_keyboard(reader):
    """It begins at the threshold nearest to the frozen .28, which is .3; one step right is .4."""
    reader.open(CHAPTER)
    slider = reader.page.locator(".hcc-explorer input[type=range]")
    assert slider.get_attribute("aria-valuetext") == "30 %"
    slider.focus()
    reader.page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "40 %"


def test_every_page_is_stamped_and_asks_nothing_of_the_network(reader, root):
    for path in root.rglob("*.html"):
        if "_static" not in path.parts:
            reader.open(path.relative_to(root).with_suffix("").as_posix())
            assert reader.page.locator(".hcc-stamp").is_visible(), path
    assert reader.asked == []


def test_the_stamp_is_printed(reader):
    reader.open(CHAPTER)
    reader.page.emulate_media(media="print")
    assert reader.page.locator(".hcc-stamp").is_visible()


@pytest.mark.parametrize(("theme", "dark_text"), [("light", True), ("dark", False)])
def test_text_can_be_read_in_either_theme(reader, theme, dark_text):
    """Text of the figure, the explorer and a table: dark on light, light on dark."""
    reader.open(CHAPTER)
    reader.page.wait_for_selector(".hcc-figure svg .xtitle")
    reader.page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    reader.page.wait_for_timeout(300)
    brightness = """(name) => {
        const style = getComputedStyle(document.querySelector(name));
        const colour = style[name.includes('svg') ? 'fill' : 'color'];
        return Math.max(...colour.match(/\\d+/g).slice(0, 3).map(Number));
    }"""
    for name in (".hcc-figure svg .xtitle", ".hcc-explorer output", "table.dataframe td"):
        assert (reader.page.evaluate(brightness, name) < 128) == dark_text, name


@pytest.mark.parametrize("name", ["index", CHAPTER, "methods", "paper", "centres/hospital_d"])
def test_a_phone_needs_no_sideways_scrolling(reader, name):
    reader.page.set_viewport_size({"width": 390, "height": 844})
    reader.open(name)
    reader.page.wait_for_timeout(300)
    assert reader.overflow() == 0


def test_search_works_from_a_disk(reader):
    reader.open("search")
    reader.page.goto((reader.root / "search.html").as_uri() + "?q=calibration")
    reader.page.wait_for_selector("ul.search li a")
    assert reader.asked == []
