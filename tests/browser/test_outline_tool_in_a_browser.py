"""The outline tool's script in a browser: what it draws, what it asks for, what it says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hcc_utils.presentation import outline_tool

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason="no Chromium here to open a page with"),
]

KERNEL = """
window.asked = [];
const rows = 40, columns = 80;  // every pixel of slice k holds 100 k HU
const ask = async (question) => {
  window.asked.push(question);
  if (question.kind === "open") {
    if (question.patient === "P3") return { reply: { problem: "P3: two series" }, buffers: [] };
    return { reply: { rows, columns, spacing: [1, 0.5], heights: [0, 2.5, 5] }, buffers: [] };
  }
  if (question.kind === "slice") {
    const hu = new Int16Array(rows * columns).fill(100 * question.number);
    return { reply: {}, buffers: [new DataView(hu.buffer)] };
  }
  if (question.kind === "contour") {
    if (window.refuse) return { reply: { problem: "out of reach" }, buffers: [] };
    if (question.row < 5) return { reply: { problem: "air" }, buffers: [] };
    const part = { number: 1, row: 10, column: 20, rows: 4, columns: 6 };
    const mask = new DataView(new Uint8Array(24).fill(1).buffer);
    return { reply: { parts: [part], words: "1 slices, -30 HU" }, buffers: [mask] };
  }
  return { reply: { words: "saved: P1.dcm" }, buffers: [] };
};
mount(document.getElementById("here"), ask,
  { patients: ["P1", "P2", "P3"], window: [100, 200], diameter: 40 });
"""
"""What the widget's Python side would answer; slice 1 in the window's middle is half grey."""


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    opened = browser.new_page(viewport={"width": 900, "height": 900})
    errors = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    script = outline_tool.SCRIPT.read_text("utf-8")
    opened.set_content(f"<div id=here></div><script>{script}{KERNEL}</script>")
    opened.wait_for_function("document.querySelector('canvas').height > 150")
    yield opened
    opened.close()
    assert errors == []


def colour(page, row, column):
    """Red, green, blue in the middle of a pixel of the slice."""
    script = """([row, column]) => {
        const canvas = document.querySelector("canvas");
        const times = canvas.width / 80;
        const place = [(column + 0.5) * times, (row + 0.5) * times, 1, 1];
        return [...canvas.getContext("2d").getImageData(...place).data.slice(0, 3)];
    }"""
    return page.evaluate(script, [row, column])


def orange_pixels(page, rgb="230, 159, 0"):
    """How many of the canvas's own pixels have just this colour."""
    script = """([r, g, b]) => {
        const canvas = document.querySelector("canvas");
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let count = 0;
        for (let at = 0; at < data.length; at += 4)
          if (data[at] === r && data[at + 1] === g && data[at + 2] === b) count += 1;
        return count;
    }"""
    return page.evaluate(script, [int(v) for v in rgb.split(",")])


def click_pixel(page, row, column, **options):
    place = page.locator("canvas").bounding_box()
    page.locator("canvas").click(
        position={
            "x": (column + 0.5) * place["width"] / 80,
            "y": (row + 0.5) * place["height"] / 40,
        },
        **options,
    )


def questions(page, kind):
    return [each for each in page.evaluate("window.asked") if each["kind"] == kind]


def said(page):
    return page.locator("output").inner_text()


def test_the_middle_slice_stands_there_in_the_window(page):
    """100 HU at the centre of a window is half of 255; at a centre of 150 it is a quarter."""
    assert colour(page, 20, 40) == pytest.approx([128] * 3, abs=1)
    page.fill("[data-field=centre]", "150")
    assert colour(page, 20, 40) == pytest.approx([64] * 3, abs=1)
    assert page.locator("label", has_text="Slice 2 of 3, z 2.5 mm").is_visible()


def test_pixels_have_their_true_shape(page):
    """40 rows of 1 mm by 80 columns of 0.5 mm are a square."""
    place = page.locator("canvas").bounding_box()
    assert place["width"] == pytest.approx(place["height"], rel=0.01)


def test_only_slices_that_are_shown_are_asked_for(page):
    assert [each["number"] for each in questions(page, "slice")] == [1]
    page.locator("canvas").hover()
    page.mouse.wheel(0, 100)
    page.wait_for_function("window.asked.filter((q) => q.kind === 'slice').length === 2")
    assert questions(page, "slice")[-1]["number"] == 2
    page.focus("[data-field=slice]")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("window.asked.filter((q) => q.kind === 'slice').length === 3")
    assert questions(page, "slice")[-1]["number"] == 1


def test_a_click_asks_with_its_pixel_and_draws_the_outline(page):
    page.fill("[data-field=diameter]", "31")
    click_pixel(page, 12, 23)
    page.wait_for_function("document.querySelector('output').textContent.includes('1 slices')")
    (question,) = questions(page, "contour")
    seed = {"number": 1, "row": 12, "column": 23}
    assert question == {"kind": "contour", **seed, "diameter": 31, "edge": []}
    assert orange_pixels(page) > 100
    assert colour(page, 16, 30) == pytest.approx([128] * 3, abs=1)


def test_clicks_with_shift_correct_the_edge_until_the_next_seed(page):
    click_pixel(page, 12, 23)
    click_pixel(page, 12, 30, modifiers=["Shift"])
    click_pixel(page, 20, 23, modifiers=["Shift"])
    click_pixel(page, 14, 40)
    page.wait_for_function("window.asked.filter((q) => q.kind === 'contour').length === 4")
    edges = [each["edge"] for each in questions(page, "contour")]
    right, below = ({"number": 1, "row": r, "column": c} for r, c in ((12, 30), (20, 23)))
    assert edges == [[], [right], [right, below], []]


def test_a_refused_correction_is_forgotten(page):
    click_pixel(page, 12, 23)
    page.evaluate("window.refuse = true")
    click_pixel(page, 12, 30, modifiers=["Shift"])
    page.wait_for_function("document.querySelector('output').textContent === 'out of reach'")
    page.evaluate("window.refuse = false")
    click_pixel(page, 20, 23, modifiers=["Shift"])
    page.wait_for_function("window.asked.filter((q) => q.kind === 'contour').length === 3")
    assert questions(page, "contour")[-1]["edge"] == [{"number": 1, "row": 20, "column": 23}]


def test_another_diameter_outlines_again(page):
    click_pixel(page, 12, 23)
    page.wait_for_function("document.querySelector('output').textContent.includes('1 slices')")
    page.fill("[data-field=diameter]", "55")
    page.keyboard.press("Tab")
    page.wait_for_function("window.asked.filter((q) => q.kind === 'contour').length === 2")
    assert questions(page, "contour")[-1]["diameter"] == 55


def test_a_lesion_is_kept_in_blue_and_saved(page):
    assert page.locator("[data-do=save]").is_disabled()
    click_pixel(page, 12, 23)
    page.click("[data-do=keep]")
    page.wait_for_function("document.querySelector('output').textContent.includes('1 lesion')")
    assert orange_pixels(page) == 0
    assert orange_pixels(page, "86, 180, 233") > 100
    page.click("[data-do=save]")
    page.wait_for_function("document.querySelector('output').textContent.includes('P1.dcm')")


def test_what_is_wrong_is_said(page):
    click_pixel(page, 2, 23)
    page.wait_for_function("document.querySelector('output').textContent === 'air'")
    assert page.locator("[data-do=keep]").is_disabled()


def test_the_next_patient_begins_with_nothing_kept(page):
    click_pixel(page, 12, 23)
    page.click("[data-do=keep]")
    page.click("[data-do=next]")
    page.wait_for_function("window.asked.filter((q) => q.kind === 'open').length === 2")
    assert questions(page, "open")[-1]["patient"] == "P2"
    assert page.locator("[data-do=save]").is_disabled()
    page.click("[data-do=next]")
    page.wait_for_function("document.querySelector('output').textContent === 'P3: two series'")
    assert page.locator("[data-do=next]").is_disabled()
