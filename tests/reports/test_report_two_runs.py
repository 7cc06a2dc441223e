"""Two runs side by side: ratios, verdicts and environments."""

import csv
import json

import pytest
import synthetic_run as synthetic
from page_reading import Page

from bench.errors import NotComparableError
from reports import write_comparison
from reports.run.run import load
from reports.tables.analysis import analysed
from reports.two_runs.pairs import pairs


def slower(cells, variant, times):
    """The same cells, those of a variant slower by a factor."""
    changed = []
    for cell in cells:
        factor = times if cell["variant"] == variant else 1.0
        samples = [
            {k: v * factor if k.endswith(("seconds", "_s")) else v for k, v in sample.items()}
            for sample in cell["samples"]
        ]
        changed.append({**cell, "samples": samples, "session": "other"})
    return changed


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    place = tmp_path_factory.mktemp("two")
    cells = synthetic.cells()[:8]
    first = synthetic.write(place / "first", cells)
    second = synthetic.write(place / "second", slower(cells[4:], "nullspace", 2.0))
    (second / "environment.json").write_text(json.dumps({"torch": "9.9", "cpu_model": "made up"}))
    path = write_comparison(first, second)
    return path, Page(path.read_text(encoding="utf-8"))


def rows(path):
    with path.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_takes_twice_as_long_is_slower_and_nothing_else_is(compared):
    path, _ = compared
    found = rows(path)
    assert len(found) == 4
    assert {row["variant"] for row in found if row["verdict"] == "SLOWER"} == {"nullspace"}
    for row in (row for row in found if row["variant"] == "nullspace"):
        assert float(row["ratio"]) == pytest.approx(2.0)
        assert float(row["ratio_low"]) <= 2.0 <= float(row["ratio_high"])
        assert float(row["sgd_steps_ratio"]) == pytest.approx(2.0)


def test_the_page_has_the_figure_the_counts_and_both_machines(compared):
    path, page = compared
    assert path.name == "comparison.html"
    assert "Of 4 cells in both runs, of the second against the first:" in page.words
    assert "4 cells are in the first run alone." in page.words
    assert len(page.all("circle")) == 4
    assert "What differs between the machines and the software" in page.words
    assert "torch 2.13.0 9.9" in " ".join(" ".join(page.text).split())
    assert "comparison.csv" in [attrs["href"] for attrs in page.all("a")]


def test_runs_on_other_devices_pair_by_the_rest(tmp_path):
    cells = synthetic.cells()[:4]
    elsewhere = [{**cell, "device": "cuda"} for cell in cells]
    found = pairs(
        analysed(load(synthetic.write(tmp_path / "a", cells))),
        analysed(load(synthetic.write(tmp_path / "b", elsewhere))),
    )
    assert len(found.rows) == 4


def test_runs_without_a_cell_in_common_are_refused(tmp_path):
    cells = synthetic.cells()
    first = synthetic.write(tmp_path / "a", cells[:4])
    second = synthetic.write(tmp_path / "b", cells[4:8])
    with pytest.raises(NotComparableError, match="run the same sweep twice"):
        write_comparison(first, second)
    assert not (second / "comparison.html").exists()


def test_names_in_either_run_are_text(tmp_path):
    evil = "<script>alert(1)</script>"
    cells = [{**cell, "variant": f"{cell['variant']}{evil}"} for cell in synthetic.cells()[:4]]
    first, second = (synthetic.write(tmp_path / name, cells) for name in "ab")
    page = Page(write_comparison(first, second).read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1
    assert evil in page.words
