"""The page of a run as large as the preset quick, in a real browser of two widths."""

import json
import os
from pathlib import Path

import pytest
import quick_like
from chromium import Chromium, browser

from reports import write_report

if browser() is None and not os.environ.get("CI"):
    pytest.skip("needs Chromium or Chrome on the PATH", allow_module_level=True)

WIDE, NARROW = (1280, 900), (400, 850)
AXE = os.environ.get("AXE_CORE", "")
OPEN = "[...document.querySelectorAll('details')].map((each) => { each.open = true })"
TILES = "[...document.querySelectorAll('.tile')].map((e) => e.getBoundingClientRect())"
WIDER = "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth)"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_report(quick_like.write(tmp_path_factory.mktemp("quick") / "run"))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    assert browser(), "expected chromium or google-chrome on the PATH; there is none: install one"
    with Chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def visit(chromium, report):
    with chromium.visiting(report.as_uri(), {}) as opened:
        opened.until("document.readyState === 'complete'")
        yield opened


def asked(visit, expression):
    return json.loads(visit.until(f"JSON.stringify({expression})"))


def test_the_page_of_a_quick_run_is_small_and_short(report, visit):
    visit.screen(*WIDE)

    assert report.stat().st_size < 1_000_000
    assert asked(visit, "document.documentElement.scrollHeight") < 6000


@pytest.mark.parametrize("screen", [WIDE, NARROW])
@pytest.mark.parametrize("dark", [False, True])
def test_the_first_screen_has_all_four_answers(visit, screen, dark):
    visit.screen(*screen, dark=dark)

    tiles = asked(visit, TILES)
    assert len(tiles) == 4
    assert all(tile["top"] >= 0 and tile["bottom"] <= screen[1] for tile in tiles)
    paper = asked(visit, "getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(22, 22, 22)" if dark else "rgb(255, 255, 255)")
    assert asked(visit, "document.querySelector('.dots').getBoundingClientRect().top") < screen[1]


@pytest.mark.parametrize("screen", [WIDE, NARROW])
def test_nothing_is_wider_than_its_screen(visit, screen):
    visit.screen(*screen)
    asked(visit, f"({OPEN}, 1)")

    assert asked(visit, "document.documentElement.scrollWidth - innerWidth") <= 0
    assert asked(visit, f"{WIDER}.map((e) => e.querySelector('caption').innerText)") == []


def test_on_a_narrow_screen_no_cell_of_a_table_is_taller_than_its_words(visit):
    visit.screen(*NARROW)
    asked(visit, f"({OPEN}, 1)")

    cells = "[...document.querySelectorAll('td')].filter((e) => e.offsetHeight)"
    words = "(e.innerText.length + (e.dataset.label ?? '').length)"
    lines = f"(2 + e.children.length + Math.ceil({words} * 10 / e.offsetWidth))"
    tall = f"{cells}.filter((e) => e.offsetHeight > 24 * {lines}).map((e) => e.innerText)"
    assert asked(visit, f"{cells}.length") > 1000
    assert asked(visit, tall) == []


def test_a_click_on_a_header_sorts_the_cells(visit):
    visit.screen(*WIDE)
    asked(visit, f"({OPEN}, 1)")
    table = (
        "[...document.querySelectorAll('table')].find((t) => t.caption.innerText == 'Every cell')"
    )
    head = f"[...{table}.tHead.rows[0].cells].findIndex((c) => c.innerText == 'prepare and steps')"
    values = f"[...{table}.tBodies[0].rows].map((r) => +r.cells[{head}].dataset.value)"
    before = asked(visit, values)

    asked(visit, f"({table}.tHead.rows[0].cells[{head}].querySelector('button').click(), 1)")

    assert asked(visit, values) == sorted(before) != before


@pytest.mark.long
@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("screen", [WIDE, NARROW])
def test_axe_has_no_finding(chromium, visit, screen, dark, opened):
    if not Path(AXE).is_file():
        pytest.skip("needs axe-core: npm install axe-core, AXE_CORE=.../axe.min.js")
    visit.screen(*screen, dark=dark)
    if opened:
        asked(visit, f"({OPEN}, 1)")
    source = Path(AXE).read_text(encoding="utf-8")
    chromium._call("Runtime.evaluate", visit.session, expression=f"{source};1")
    found = "v.map((e) => [e.id, e.nodes.map((n) => n.target.join(' '))])"

    answer = visit.until(f"axe.run().then(({{violations: v}}) => JSON.stringify({found}))")

    assert json.loads(answer) == []
