"""The first screen: four answers, each held against the numbers of the CSV files."""

import itertools
import json
import math
import re

import pandas as pd
import pytest
import synthetic_run as synthetic
from msgspec.structs import replace
from page_reading import Page
from test_report_calls import with_calls

from reports import write_report
from reports.front.costs import Cost, CostsAt, cheapest, costs_at
from reports.front.dots import Dot, dots
from reports.front.facts import facts
from reports.front.health import health_tile
from reports.front.tile import CARE, COST, GOOD, HEALTH, LOSS, PAYS
from reports.front.timed import judged, loss_tile, share_tile
from reports.run.run import load
from reports.run.setting import Setting
from reports.tables.analysis import analysed
from reports.text.canvas import lighter, styles
from reports.text.formatting import number

SETTING = Setting(**synthetic.SETTING)
QUESTIONS = (COST, PAYS, LOSS, HEALTH)


def spaced(text):
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def costs(*triples):
    names = ["nullspace", "b", "c"]
    own = [Cost(n, *t, 0.01, whole=True) for n, t in zip(names, triples, strict=False)]
    return CostsAt(SETTING, synthetic.BASE, own)


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("front") / "run"
    synthetic.write(directory, [*with_calls(synthetic.cells()), *synthetic.records()[84:]])
    return directory, Page(write_report(directory).read_text(encoding="utf-8"))


def test_all_four_questions_come_before_the_first_section(timed):
    _, page = timed
    words = page.words
    first = words.index("The paper\u2019s Figure 3")
    assert all(words.index(question) < first for question in QUESTIONS)
    assert len(page.all("li", "tile")) == 4


def test_the_first_tile_is_the_call_of_runtime_csv(timed):
    directory, page = timed
    table = pd.read_csv(directory / "runtime.csv")
    base = table[(table[list(synthetic.BASE)] == list(synthetic.BASE.values())).all(axis=1)]
    row = base.set_index("variant").loc["nullspace"]
    words = spaced(page.words)
    assert f"{number(row.call_sgd_steps)} SGD steps CHEAPEST OF 3" in words
    low, high = number(row.call_sgd_steps_low), number(row.call_sgd_steps_high)
    assert f"95 % within [{low}, {high}]" in words
    assert "8 teleport steps, hidden width 128, batches of 32, 3 weight layers" in words


def test_the_figure_has_a_line_per_method_and_one_for_sgd(timed):
    directory, _page = timed
    html = (directory / "report.html").read_text(encoding="utf-8")
    (figure,) = re.findall(r'<figure class="dots">(.*?)</figure>', html, re.DOTALL)
    assert figure.count("<circle") == len(synthetic.VARIANTS)
    assert "Line: one SGD step." in figure
    places = {float(x) for x in re.findall(r'<line x1="(\S+)" x2="\1"', figure)}
    assert len(places) == 1
    assert min(float(x) for x in re.findall(r'<circle cx="(\S+)"', figure)) > places.pop()


def test_the_other_tiles_say_what_was_measured(timed):
    _, page = timed
    words = spaced(page.words)
    moved = "3.0 \N{MULTIPLICATION SIGN} 10⁻⁷"
    assert f"by {moved} KEPT within [0, {moved}] of its value over 8 steps" in words
    assert "the squared gradient norm grew 4.00-fold" in words
    assert "84 of 84 cells timed SOUND" in words
    assert "it pays where it saves more" in words


def test_letters_do_not_stand_alone_in_the_heading_of_a_figure(timed):
    _, page = timed
    assert "teleport steps t = 8, hidden width d = 128, batch size n = 32" in spaced(page.words)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (costs((4, 3, 5), (40, 30, 50)), "CHEAPEST OF 2"),
        (costs((4, 3, 5), (5, 4, 6)), "AMONG THE CHEAPEST OF 2"),
        (costs((4, 3, 5), (2, 1, 2.5)), "NOT THE CHEAPEST OF 2"),
        (costs((4, math.nan, math.nan), (40, 30, 50)), "LOWEST MEDIAN OF 2"),
        (costs((4, 3, 5)), "THE ONE METHOD"),
    ],
)
def test_methods_are_told_apart_by_intervals_that_do_not_meet(found, verdict):
    assert cheapest(found) == verdict


def test_where_the_base_was_not_measured_the_nearest_point_is_shown(run_dir):
    rows = [r for r in analysed(load(run_dir)).cells if r.d in (256, 512)]
    assert costs_at(rows, synthetic.BASE, []).point["d"] == 256
    assert costs_at([], synthetic.BASE, []) is None


@pytest.mark.parametrize(
    ("moved", "word"),
    [
        (0.0, "KEPT"),
        (9e-6, "KEPT"),
        (5e-4, "MOVED A LITTLE"),
        (0.2, "MOVED"),
        (math.nan, "UNKNOWN"),
    ],
)
def test_a_change_of_the_loss_has_a_word(moved, word):
    assert judged(moved)[0] == word


def test_the_method_that_moves_the_loss_most_is_named():
    records = [
        synthetic.preservation("nullspace", 1.0, 0.0, 4.0),
        synthetic.preservation("symmetry:published=true", 1.0, 0.25, 4.0),
    ]
    tile = loss_tile(synthetic.structs(records))
    assert (tile.value, tile.verdict, tile.tone) == ("not at all", "KEPT", GOOD)
    assert "Most of the others: symmetry:published=true, by 0.250 (MOVED)." in tile.words


def test_what_was_not_measured_is_said_with_what_would(report_of):
    _, page = report_of(synthetic.cells()[:4])
    assert page.words.count("not measured OPEN") == 1
    assert "Loss and gradient along the steps were not followed in this run." in page.words
    assert share_tile([]).value == "not measured"


def test_anything_amiss_makes_a_run_one_to_take_with_care(run_dir):
    run = load(run_dir)
    rows = analysed(run).cells
    tile = health_tile(rows, run, None, run.notes)
    assert (tile.value, tile.verdict, tile.tone) == ("82 of 84 cells timed", "WITH CARE", CARE)
    assert "2 failed or invalid" in tile.words
    good = [replace(row, flags="") for row in rows if row.status == "ok"]
    clean = type(run)(**{**vars(run), "failures": []})
    assert health_tile(good, clean, None, []).verdict == "SOUND"
    flagged = [replace(good[0], flags="busy"), *good[1:]]
    assert "1 cells flagged" in health_tile(flagged, clean, None, []).words
    assert "a note below".capitalize() in health_tile(good, clean, None, ["x"]).words


def test_date_host_commit_and_duration_are_those_of_the_sessions(tmp_path):
    directory = synthetic.write(tmp_path / "run", [])
    sessions = [
        {"host": "one", "began": "2026-01-02T03:04:05+00:00", "seconds": 60.0},
        {"host": "two", "began": "2026-01-03T03:04:05+00:00", "seconds": 12.0},
    ]
    facts_ = {"git_commit": "a" * 40, "git_dirty": True, "cpu_model": "C", "affinity_cores": 2}
    (directory / "environment.json").write_text(json.dumps({**facts_, "sessions": sessions}))
    found = dict(facts(load(directory)))
    assert found["date"] == "2026-01-02 03:04 UTC to 2026-01-03 03:04 UTC"
    assert found["host"] == "one and two \u00b7 C, 2 cores"
    assert found["commit"] == "aaaaaaaaaa with changes"
    assert found["duration"] == "1 min 12 s"
    (directory / "environment.json").write_text('{"sessions": [{"began": 3, "seconds": "x"}, 1]}')
    assert dict(facts(load(directory)))["date"] == "\u2013"


def test_dots_stand_where_their_logarithms_do():
    found = dots("", "", "", "", [Dot("a", 1.0, 0.5, 2.0, ""), Dot("b", 100.0, 90, 110, "")], {})
    ours, theirs = found.lines
    assert ours.x == found.one
    assert found.one - ours.low == pytest.approx(ours.high - found.one, abs=0.2)
    middle = dots("", "", "", "", [Dot("a", 10.0, 1, 100, "")], {}).lines[0]
    assert middle.x == pytest.approx((middle.low + middle.high) / 2, abs=0.2)
    assert theirs.low < theirs.x < theirs.high
    assert (
        dots("", "", "", "", [Dot("a", math.inf, 1, 2, ""), Dot("b", math.nan, 1, 2, "")], {})
        is None
    )


def test_curves_of_one_variant_keep_its_hue_and_differ_in_shape():
    (first,) = styles(["a"]).values()
    shades = [lighter(first, place) for place in range(5)]
    assert shades[0] == first
    assert len({(s.marker, s.dashes) for s in shades}) == 5
    channels = [[int(s.colour[i : i + 2], 16) for i in (1, 3, 5)] for s in shades]
    assert all(a <= b for x, y in itertools.pairwise(channels) for a, b in zip(x, y, strict=True))
