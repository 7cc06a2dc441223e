"""Ratios to the fast engine come from samples of the same round."""

from statistics import median

import pytest
import synthetic_run as synthetic

from reports.runtime.ratios import RATIO_COLUMNS, ratio_table, ratios
from reports.tables.runtime import records

CELLS = [record for record in synthetic.records() if record["kind"] == "cell"]


def samples_of(variant, **levels):
    return CELLS[synthetic.find(CELLS, variant, **levels)]["samples"]


def row_of(table, variant, **levels):
    wanted = {**synthetic.BASE, **levels}
    (row,) = [
        row
        for row in records(table)
        if row["variant"] == variant and all(row[k] == v for k, v in wanted.items())
    ]
    return row


@pytest.mark.parametrize("levels", [{}, {"d": 512}])
def test_ratios_are_medians_over_rounds(levels):
    row = row_of(ratios(CELLS), "symmetry", **levels)
    pairs = list(
        zip(samples_of("symmetry", **levels), samples_of("nullspace", **levels), strict=True)
    )
    assert row["reference"] == "nullspace"
    assert row["rounds"] == synthetic.ROUNDS
    assert row["call_ratio"] == pytest.approx(median(a["seconds"] / b["seconds"] for a, b in pairs))
    assert row["step_ratio"] == pytest.approx(median(a["steps_s"] / b["steps_s"] for a, b in pairs))
    assert row["call_ratio_low"] < row["call_ratio"] < row["call_ratio_high"]


def test_rounds_pair_up_by_number():
    index = synthetic.find(CELLS, "symmetry")
    changed = {**CELLS[index], "samples": list(reversed(CELLS[index]["samples"]))}
    cells = [*CELLS[:index], changed, *CELLS[index + 1 :]]
    found, expected = (row_of(ratios(each), "symmetry") for each in (cells, CELLS))
    assert found["call_ratio"] == expected["call_ratio"]
    assert found["step_ratio_high"] == expected["step_ratio_high"]


def test_of_sgd_only_steps_compare():
    row = row_of(ratios(CELLS), "sgd")
    per_step = [
        (a["steps_s"] / 16) / (b["steps_s"] / 16)
        for a, b in zip(samples_of("sgd"), samples_of("nullspace"), strict=True)
    ]
    assert row["step_ratio"] == pytest.approx(median(per_step))
    assert row["call_ratio"] != row["call_ratio"]


def test_failed_cells_and_blocks_without_the_reference_have_no_ratio():
    index = synthetic.find(CELLS, "nullspace")
    failed = {**CELLS[index], "status": "crashed"}
    table = ratios([*CELLS[:index], failed, *CELLS[index + 1 :]])
    assert CELLS[index]["block_id"] not in {
        cell["block_id"] for cell in CELLS if cell["cell_id"] in set(table.cell_id)
    }
    assert list(ratios([]).columns) == list(RATIO_COLUMNS)


def test_the_page_shows_the_base_and_every_width():
    table = ratio_table(records(ratios(CELLS)), synthetic.BASE)
    variant = [column.label for column in table.columns].index("variant")
    d = [column.label for column in table.columns].index("d")
    shown = {(row[variant].text, row[d].text) for row in table.rows}
    assert {("symmetry", "32"), ("symmetry", "512"), ("sgd", "128")} <= shown
    measured = [
        cell
        for cell in CELLS
        if cell["status"] == "ok"
        and cell["variant"] != "nullspace"
        and all(cell[axis] == synthetic.BASE[axis] for axis in "tnlb")
    ]
    assert len(table.rows) == len(measured) > 10
