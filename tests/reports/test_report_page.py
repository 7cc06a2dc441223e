import base64
import hashlib
import re
import stat
import subprocess
import sys

import pytest
import synthetic_run as synthetic
from page_reading import Page, svg

from bench.errors import JournalError
from reports import page as page_module
from reports import write_report
from reports.run.setting import unfinished

SECTIONS = [
    *("runtime", "preservation", "spectrum", "schedule", "profile", "ratios", "scaling"),
    *("claims", "cells", "environment", "failures", "reading", "repeat"),
]
CSV_FILES = [
    f"{name}.csv"
    for name in (
        "runtime",
        "samples",
        "ratios",
        "crossings",
        "scaling",
        "preservation",
        "spectrum",
        "null_dimensions",
    )
]
SOURCES = ("src", "srcset", "href", "xlink:href", "action", "data", "poster", "background")


def test_the_path_of_the_page_is_returned(tmp_path):
    directory = synthetic.write(tmp_path / "run", [])
    assert write_report(directory) == directory / "report.html"


def test_sections_come_in_order_and_are_linked(page):
    assert [attrs["id"] for attrs in page.all("section")] == SECTIONS
    links = [attrs["href"] for attrs in page.all("a") if attrs["href"].startswith("#")]
    assert links == ["#main", *(f"#{name}" for name in SECTIONS)]


def test_the_cells_that_have_a_time_are_counted(page):
    assert "82 of 84 cells have a time; the others: 1 invalid and 1 oom" in page.words


def test_nothing_is_loaded_from_anywhere(page):
    for tag, attrs in page.tags:
        for name in SOURCES:
            value = attrs.get(name)
            if value is None:
                continue
            allowed = (
                value.startswith("#") if tag == "a" else value.startswith("data:image/svg+xml")
            )
            files = [*CSV_FILES, "journal.jsonl"]
            assert allowed or (tag == "a" and value in files), (tag, name, value[:60])
        assert tag not in ("link", "iframe", "object", "embed", "base")


def test_figures_refer_to_nothing_outside_themselves(page):
    for image in page.all("img"):
        text = svg(image)
        assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', text))
        assert "<script" not in text
        assert "@import" not in text
        assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))


def test_the_policy_allows_exactly_the_pages_own_style_and_script(run_dir, page):
    (policy,) = [
        attrs["content"] for attrs in page.all("meta") if attrs.get("http-equiv") is not None
    ]
    html = (run_dir / "report.html").read_text(encoding="utf-8")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_the_policy_blocks_nothing_the_page_needs(page):
    names = {name for _, attrs in page.tags for name in attrs}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]


def test_every_picture_is_put_into_words(page):
    assert page.all("img")
    assert all(attrs.get("alt", "").strip() for attrs in page.all("img"))
    named = [attrs for attrs in page.all("svg") if attrs.get("aria-hidden") != "true"]
    assert named
    assert all(attrs.get("aria-label", "").strip() for attrs in named)
    # Values under the pointer are in the tables, too.
    assert all(attrs["class"] == "spots" for attrs in page.all("svg") if attrs not in named)


def test_both_views_are_in_the_page_and_one_is_chosen(page):
    radios = [attrs for attrs in page.all("input") if attrs["type"] == "radio"]
    assert [attrs["id"] for attrs in radios] == ["view-1-seconds", "view-1-sgd_steps"]
    assert ["checked" in attrs for attrs in radios] == [True, False]
    assert [attrs["for"] for attrs in page.all("label")] == [attrs["id"] for attrs in radios]
    assert page.all("div", "view-seconds")
    assert page.all("div", "view-sgd_steps")


def test_each_setting_has_its_own_panels(report_of):
    cells = synthetic.cells()[:4]
    other = [
        {**c, "cell_id": f"x{c['cell_id']}", "block_id": f"x{c['block_id']}", "device": "cuda"}
        for c in cells
    ]
    _, page = report_of([*cells, *other])
    assert len(page.all("div", "views")) == 2
    assert "mlp on digits, cpu, float32" in page.words
    assert "mlp on digits, cuda, float32" in page.words
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_failures_are_listed_with_status_and_reason(page):
    assert "oom : not enough memory for [512, 512]" in re.sub(r"\s*:\s*", " : ", page.words)
    assert "3 of 16 steps were carried out (NON_FINITE)" in page.words


def test_failures_beside_the_clock_are_listed_too(report_of):
    place = {"model": "mlp", "dataset": "digits", "status": "crashed", "schema": 1}
    lost = {**place, "kind": "spectrum", "cell_id": "s", "reason": "out of luck"}
    followed = {**synthetic.preservation("nullspace", 0.9, 1, 2), "rows": [], "status": "oom"}
    _, page = report_of([lost, {**followed, "reason": "too large"}])
    assert "out of luck" in page.words
    assert "spectrum of mlp on digits" in page.words
    assert "preservation of nullspace, τ = 0.9 at" in page.words


def test_the_command_is_shown_as_it_was(page):
    assert synthetic.COMMAND in page.words


def test_the_csv_files_are_linked_by_relative_names(run_dir, page):
    links = [attrs["href"] for attrs in page.all("a") if attrs["href"].endswith(".csv")]
    assert set(links) == set(CSV_FILES)
    assert set(links[-len(CSV_FILES) :]) == set(CSV_FILES)  # all of them once more at the end
    assert all((run_dir / name).is_file() for name in links)


def test_missing_files_are_said_on_the_page(report_of):
    _, page = report_of([], spec=False, environment=False)
    assert "environment.json is missing from the run directory" in page.words
    assert "spec.toml is missing from the run directory" in page.words
    assert "The command of this run is not known" in page.words


def test_damaged_files_are_said_on_the_page(tmp_path):
    directory = synthetic.write(tmp_path / "run", [])
    (directory / "environment.json").write_text("[1, 2", encoding="utf-8")
    (directory / "spec.toml").write_text("= 3", encoding="utf-8")
    page = Page(write_report(directory).read_text(encoding="utf-8"))
    assert "environment.json could not be read" in page.words
    assert "spec.toml could not be read" in page.words


def test_a_torn_journal_is_said_on_the_page(tmp_path):
    directory = synthetic.write(tmp_path / "run", [])
    (directory / "journal.jsonl").write_text('{"schema":1,"kind":"ce', encoding="utf-8")
    page = Page(write_report(directory).read_text(encoding="utf-8"))
    assert "was cut short" in page.words


def test_cells_that_were_not_begun_are_counted(page, report_of):
    assert "not finished" not in page.words
    _, part = report_of(synthetic.cells()[:12])
    assert "its spec asks for 84 cells, the journal holds 12" in part.words


def test_a_spec_without_methods_asks_for_no_cells():
    spec = {"base": synthetic.BASE, "axes": {}, "methods": []}
    assert unfinished([], spec) == []
    assert unfinished([], {**spec, "methods": ["nullspace"]}) != []


def test_an_empty_journal_gives_a_page(report_of):
    _, page = report_of([])
    assert "The journal holds no cells: nothing was timed." in page.words
    assert [attrs["id"] for attrs in page.all("section")] == SECTIONS


def test_growth_of_the_phases_is_shown_where_it_is_known(page, report_of):
    _, two_levels = report_of([cell for cell in synthetic.cells() if cell["d"] in (32, 64)])

    assert "How each phase and the memory grow" in page.words
    assert "How the time of prepare and steps grows" in two_levels.words
    assert "How each phase and the memory grow" not in two_levels.words


def test_without_a_journal_the_error_names_it(tmp_path):
    with pytest.raises(JournalError, match=r"expected a journal at .*journal\.jsonl"):
        write_report(tmp_path)


def test_a_record_without_a_needed_field_is_named(tmp_path):
    cell = synthetic.cells()[0]
    del cell["variant"]
    synthetic.write(tmp_path, [cell])
    with pytest.raises(
        JournalError, match=r"expected record 1 of .*journal\.jsonl .*cell record; .*`variant`"
    ):
        write_report(tmp_path)


def test_hostile_strings_are_text(report_of):
    evil = (
        '</title><script>alert(1)</script><img src=x onerror="alert(2)">{{ 7*7 }}\u202eabc\x1b[31m'
    )
    cells = synthetic.cells()[:8]
    cells = [
        {**c, "variant": f"nullspace:{evil}", "model": evil} if c["method"] != "sgd" else c
        for c in cells
    ]
    cells[1] = synthetic.broken(cells[1], "crashed", f"\ud800 {evil}")
    curve = {**synthetic.preservation("nullspace", 1.0, 1e-7, 4.0), "variant": evil}
    layer = {**synthetic.spectrum("0.weight", 2, 64, 0.5), "layer": evil, "dataset": evil}
    directory, page = report_of([*cells, curve, layer])
    assert len(page.all("script")) == 1
    assert not [attrs for attrs in page.all("img") if "onerror" in attrs]
    assert "alert(1)" in page.words
    assert "{{ 7*7 }}" in page.words
    for name in ["report.html", *CSV_FILES]:
        text = (directory / name).read_text(encoding="utf-8")
        assert "\u202e" not in text
        assert "\x1b" not in text
    drawings = [svg(image) for image in page.all("img")]
    assert not [text for text in drawings if "alert" in text]


def test_hostile_environment_and_command_are_text(tmp_path):
    directory = synthetic.write(tmp_path / "run", [])
    spec = 'command = "x </code><script>alert(1)</script>"\n'
    (directory / "spec.toml").write_text(spec, encoding="utf-8")
    (directory / "environment.json").write_text('{"<b onclick=x>": "<script>"}', encoding="utf-8")
    page = Page(write_report(directory).read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1
    assert not [attrs for _, attrs in page.tags if "onclick" in attrs]


def test_the_same_run_gives_the_same_bytes(run_dir, tmp_path):
    directory = synthetic.write(tmp_path / "again", synthetic.records())
    write_report(directory)
    for name in ["report.html", *CSV_FILES]:
        assert (directory / name).read_bytes() == (run_dir / name).read_bytes(), name


def test_nothing_is_left_beside_the_files(run_dir):
    expected = {"journal.jsonl", "environment.json", "spec.toml", "report.html", *CSV_FILES}
    assert {path.name for path in run_dir.iterdir()} == expected


def test_files_can_be_read_by_others_as_any_new_file(run_dir, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("")
    wanted = stat.S_IMODE(plain.stat().st_mode)
    assert stat.S_IMODE((run_dir / "report.html").stat().st_mode) == wanted


def test_an_error_while_rendering_leaves_the_old_files(tmp_path, monkeypatch):
    directory = synthetic.write(tmp_path / "run", [])
    write_report(directory)
    old = {path.name: path.read_bytes() for path in directory.iterdir()}
    synthetic.write(directory, synthetic.cells()[:4])
    old["journal.jsonl"] = (directory / "journal.jsonl").read_bytes()

    def fail(shown, sections, figures):
        raise OSError("no template")

    monkeypatch.setattr(page_module, "render", fail)
    with pytest.raises(OSError, match="no template"):
        write_report(directory)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == old


def test_500_cells_fit_in_5_megabytes(report_of):
    cells = synthetic.cells()
    many = [
        {**cell, "cell_id": f"{copy}-{cell['cell_id']}", "variant": f"{cell['variant']},x={copy}"}
        for copy in range(6)
        for cell in cells
    ]
    directory, page = report_of(many[:500])
    assert (directory / "report.html").stat().st_size < 5e6
    assert len([a for tag, a in page.tags if tag == "tr"]) > 500


def test_numeric_columns_sort_by_their_exact_values(page, read):
    values = {attrs["data-value"] for attrs in page.all("td") if attrs.get("data-value")}
    medians = [value for value in read("runtime").median_s if value == value]
    assert {repr(value) for value in medians} <= values


def test_a_report_needs_neither_torch_nor_a_display(tmp_path):
    code = (
        "import sys; from pathlib import Path; "
        "from reports import tables_of, write_report; directory = Path(sys.argv[1]); "
        "tables_of(directory); write_report(directory); sys.exit('torch' in sys.modules)"
    )
    directory = synthetic.write(tmp_path / "run", synthetic.records())
    done = subprocess.run([sys.executable, "-c", code, str(directory)], check=False, timeout=60)
    assert done.returncode == 0
