"""Whole calls in tables and on the page; their times are injected."""

import math
import random
from statistics import median

import pandas as pd
import pytest
import synthetic_run as synthetic
from msgspec.structs import replace

from bench.storage.records import WholeCall
from reports.run.run import load
from reports.tables.calls import call_seconds, call_steps, calls_of
from reports.tables.schedule import cost_tables
from reports.text.formatting import number, seconds

NULLSPACE = synthetic.find(synthetic.cells(), "nullspace")
TEN_MS = [{"seconds": 0.01, "sgd_s": 0.0005}] * 3


def with_calls(cells, count=7):
    """The checks take as long as two SGD steps; now and then both of a pair take much longer."""
    noise = random.Random(11)
    for cell in cells:
        if cell["variant"] != "sgd":
            slow = [noise.choice((1.0, 1.0, 3.0)) for _ in range(count)]
            prepare, steps = synthetic.phases(cell["variant"], {**cell, "b": 1})
            step = synthetic.sgd_step(cell)
            call = prepare + steps + 2 * step
            cell["calls"] = [
                {"seconds": call * s * noise.uniform(0.9, 1.1), "sgd_s": step * s} for s in slow
            ]
    return cells


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    place = tmp_path_factory.mktemp("calls")
    return synthetic.write(place / "run", with_calls(synthetic.cells()))


def struct(calls, **changed):
    (cell,) = synthetic.structs([{**synthetic.cells()[NULLSPACE], **changed, "calls": calls}])
    return cell


def test_steps_are_the_median_of_paired_ratios():
    """Of seconds and of steps the medians are those of other pairs: 0.03 / 0.002 is 15."""
    pairs = [(0.01, 0.001), (0.03, 0.006), (0.08, 0.002)]
    cell = struct([{"seconds": call, "sgd_s": step} for call, step in pairs])

    assert call_seconds(cell).value == 0.03
    assert call_steps(cell).value == pytest.approx(10.0)
    assert call_steps(cell, more_s=0.03).value == pytest.approx(40.0)


@pytest.mark.parametrize(("count", "known"), [(3, False), (5, False), (6, True), (7, True)])
def test_an_interval_takes_six(count, known):
    calls = [{"seconds": 0.01 * (1 + i), "sgd_s": 0.001} for i in range(count)]

    for found in (call_seconds(struct(calls)), call_steps(struct(calls))):
        assert math.isfinite(found.value)
        assert math.isfinite(found.low) == math.isfinite(found.high) == known


def test_a_cell_that_is_not_ok_and_a_clock_that_stood_still_have_no_call():
    assert calls_of(struct(TEN_MS, status="invalid", reason="2 of 8 steps")) == []
    assert len(calls_of(struct(TEN_MS))) == 3
    assert calls_of(struct([{"seconds": 0.01, "sgd_s": 0.0}, *TEN_MS[:1]])) == [
        WholeCall(seconds=0.01, sgd_s=0.0005)
    ]
    assert math.isnan(call_steps(struct([])).value)


def test_the_columns_are_medians_of_calls_and_of_pairs(report_of):
    cells = with_calls(synthetic.cells()[:4])
    cells[2]["calls"], cells[2]["call_note"] = [], "whole calls are not timed: it warned: no"
    directory, page = report_of(cells)
    table = pd.read_csv(directory / "runtime.csv").set_index("variant")

    calls = cells[1]["calls"]
    row = table.loc["nullspace"]
    assert row.call_s == median(call["seconds"] for call in calls)
    ratios = [call["seconds"] / call["sgd_s"] for call in calls]
    assert row.call_sgd_steps == pytest.approx(median(ratios))
    assert row.call_sgd_steps_low == pytest.approx(min(ratios))
    assert row.call_sgd_steps_high == pytest.approx(max(ratios))
    assert row.call_s_low < row.call_s < row.call_s_high
    assert (row.calls, row.phases_sgd_steps > row.call_sgd_steps) == (7, True)  # two batches
    assert table.loc["symmetry", ["call_s", "call_sgd_steps"]].isna().all()
    assert table.loc["symmetry", "call_note"] == cells[2]["call_note"]
    assert table.loc["sgd", ["call_s", "call_sgd_steps", "call_note"]].isna().all()
    assert "whole calls are not timed: it warned: no" in page.words
    assert "Some cells have no whole call; where one failed, the table of cells" in page.words


def cost_rows(page):
    """The rows of the table "What it costs", as words."""
    text = page.words.replace("\u00a0", " ")
    _, _, rest = text.partition("those of the rounds. ")
    return rest.partition("Against null-space teleport")[0]


def test_what_it_costs_is_on_the_page(report_of):
    directory, page = report_of(with_calls(synthetic.cells()))
    table = pd.read_csv(directory / "runtime.csv")
    base = table[(table[list(synthetic.BASE)] == list(synthetic.BASE.values())).all(axis=1)]
    row = base.set_index("variant").loc["nullspace"]

    shown = cost_rows(page)
    assert "whole call in SGD steps" in shown
    for d in synthetic.LEVELS["d"]:
        assert f"nullspace{d}" in shown
    assert f"{seconds(row.call_s)} [".replace("\u00a0", " ") in shown
    assert f"{number(row.call_sgd_steps)} SGD steps" in page.words
    assert "not timed in this run" not in page.words


def test_a_run_without_whole_calls_says_so_and_shows_the_rest(report_of):
    _, page = report_of(synthetic.cells())

    assert "Whole calls were not timed in this run." in page.words
    assert "whole call in SGD steps" not in page.words
    assert "preparing a batch" in page.words
    assert "A teleport is prepare and steps alone, without the checks of a whole call" in page.words


def test_a_schedule_is_priced_in_whole_calls(directory):
    run = load(directory)
    ((table,), _) = cost_tables(run.cells, run.partners, synthetic.BASE)
    cell = run.cells[NULLSPACE]
    ratios = [call.seconds / call.sgd_s for call in cell.calls]

    (cost,) = [cost for cost in table.costs if cost.variant == "nullspace"]
    assert cost.call_s == median(call.seconds for call in cell.calls)
    assert cost.teleport_s == pytest.approx(160 * cost.call_s)
    assert cost.share.value == pytest.approx(160 * median(ratios) / 4500)
    assert cost.share.low == pytest.approx(160 * min(ratios) / 4500)


def test_of_calls_with_other_steps_the_rest_is_priced_by_the_step(directory):
    """Timed with 4 of the 8 steps of the schedule."""
    run = load(directory)
    base = {**synthetic.BASE, "t": 4}
    ((table,), _) = cost_tables(run.cells, run.partners, base)

    for cost in table.costs:
        assert cost.teleport_s == pytest.approx(160 * (cost.call_s + 4 * cost.step_s))


def test_where_one_method_has_no_whole_call_the_others_keep_theirs(directory):
    run = load(directory)
    cells = [replace(c, calls=[]) if c.method == "nullspace" else c for c in run.cells]
    ((table,), _) = cost_tables(cells, run.partners, synthetic.BASE)

    alone, *others = table.costs
    assert math.isnan(alone.call_s)
    assert alone.teleport_s == pytest.approx(160 * (alone.prepare_s + 8 * alone.step_s), rel=0.03)
    assert all(cost.teleport_s == pytest.approx(160 * cost.call_s) for cost in others)


def test_the_page_says_what_a_teleport_is_taken_to_cost(report_of):
    cells = with_calls(synthetic.cells())
    for cell in cells:
        if cell["variant"] == "symmetry":
            cell["calls"] = []
    _, page = report_of(cells)

    assert "A teleport is a whole call; with symmetry it is prepare and steps alone" in page.words
