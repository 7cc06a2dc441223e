"""What a screen reader and a keyboard need, read off the HTML: landmarks, headings, names."""

import itertools
import re

import pytest
from page_reading import Page

HEADINGS = ("h1", "h2", "h3", "h4")


@pytest.fixture(scope="module")
def html(run_dir):
    return (run_dir / "report.html").read_text(encoding="utf-8")


def test_there_is_one_of_each_landmark_and_a_way_past_them(page):
    for tag in ("header", "nav", "main", "h1"):
        assert len(page.all(tag)) == 1, tag
    (root,) = page.all("html")
    assert root["lang"] == "en"
    first = page.all("a")[0]
    assert (first["class"], first["href"]) == ("skip", "#main")
    assert page.all("nav")[0]["aria-label"]


def test_headings_skip_no_level(page):
    levels = [int(tag[1]) for tag, _ in page.tags if tag in HEADINGS]
    assert levels[0] == 1
    steps = [b - a for a, b in itertools.pairwise(levels)]
    assert max(steps) <= 1


def test_every_id_is_there_once_and_every_link_in_the_page_leads_to_one(page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    inner = [attrs["href"][1:] for attrs in page.all("a") if attrs["href"].startswith("#")]
    assert set(inner) <= set(ids)


def test_tables_have_captions_and_heads_with_a_scope(page):
    assert len(page.all("table")) == len(page.all("caption")) > 5
    assert all(attrs.get("scope") == "col" for attrs in page.all("th"))


def test_what_scrolls_has_a_name_and_takes_the_keyboard(page):
    regions = page.all("div", "scroll")
    assert regions
    assert all((r["role"], r["tabindex"]) == ("region", "0") for r in regions)
    names = [r["aria-label"] for r in regions]
    assert len(names) == len(set(names))


def test_figures_come_before_tables_and_tables_are_folded_with_their_files(html):
    opened = re.sub(r"<details>.*?</details>", "", html, flags=re.DOTALL)
    assert "<table" not in opened
    last_figure = max(m.start() for m in re.finditer(r'<img class="panel"', opened))
    assert opened.index('<section id="ratios"') > last_figure
    assert html.count('" download>') >= 6


def test_both_colour_schemes_and_paper_are_provided_for(html, page):
    (scheme,) = [a["content"] for a in page.all("meta") if a.get("name") == "color-scheme"]
    assert scheme == "light dark"
    assert "@media print" in html
    assert "prefers-color-scheme: dark" in html


def test_points_of_figure_3_say_their_values(html, run_dir):
    spots = re.findall(r"<title>(nullspace, hidden width d = 64: [^<]*)</title>", html)
    assert len(spots) == 2  # one in each unit
    assert re.search(r"d = 64: [\d.]+\u00a0ms \[", spots[0])
    assert spots[1].endswith("SGD steps")
    assert "as many SGD steps as teleport steps, d = 64" in html


def test_a_variant_has_one_colour_wherever_it_is_drawn(html):
    page = Page(html)
    fills = {a["fill"] for a in page.all("circle") if "fill" in a}
    bars = {a["fill"] for a in page.all("rect") if "fill" in a}
    assert len(fills) == 3
    assert fills == bars  # no profile in this run: the bars are those of the schedule
