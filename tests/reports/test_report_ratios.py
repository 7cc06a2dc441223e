"""Ratios to the fast engine come from samples of the same round."""

from statistics import median

import pytest
import synthetic_run as synthetic
from msgspec.structs import replace

from reports.run.setting import is_at
from reports.runtime.ratios import ratio_table
from reports.tables.ratios import ratio_rows

CELLS = synthetic.structs(r for r in synthetic.records() if r["kind"] == "cell")


def samples_of(variant, **levels):
    return cell_of(variant, **levels).samples


def cell_of(variant, **levels):
    wanted = {**synthetic.BASE, **levels}
    return next(c for c in CELLS if c.variant == variant and is_at(c, wanted))


def row_of(rows, variant, **levels):
    wanted = {**synthetic.BASE, **levels}
    (row,) = [row for row in rows if row.variant == variant and is_at(row, wanted)]
    return row


@pytest.mark.parametrize("levels", [{}, {"d": 512}])
def test_ratios_are_medians_over_rounds(levels):
    row = row_of(ratio_rows(CELLS), "symmetry", **levels)
    pairs = list(
        zip(samples_of("symmetry", **levels), samples_of("nullspace", **levels), strict=True)
    )
    assert row.reference == "nullspace"
    assert row.rounds == synthetic.ROUNDS
    assert row.call_ratio == pytest.approx(median(a.seconds / b.seconds for a, b in pairs))
    assert row.step_ratio == pytest.approx(median(a.steps_s / b.steps_s for a, b in pairs))
    assert row.call_ratio_low < row.call_ratio < row.call_ratio_high


def test_rounds_pair_up_by_number():
    cell = cell_of("symmetry")
    changed = replace(cell, samples=list(reversed(cell.samples)))
    cells = [changed if each is cell else each for each in CELLS]
    found, expected = (row_of(ratio_rows(each), "symmetry") for each in (cells, CELLS))
    assert found.call_ratio == expected.call_ratio
    assert found.step_ratio_high == expected.step_ratio_high


def test_of_sgd_only_steps_compare():
    row = row_of(ratio_rows(CELLS), "sgd")
    per_step = [
        (a.steps_s / 16) / (b.steps_s / 16)
        for a, b in zip(samples_of("sgd"), samples_of("nullspace"), strict=True)
    ]
    assert row.step_ratio == pytest.approx(median(per_step))
    assert row.call_ratio != row.call_ratio


def test_failed_cells_and_blocks_without_the_reference_have_no_ratio():
    lost = cell_of("nullspace")
    rows = ratio_rows([replace(c, status="crashed") if c is lost else c for c in CELLS])
    compared = {row.cell_id for row in rows}
    assert lost.block_id not in {cell.block_id for cell in CELLS if cell.cell_id in compared}
    assert len(rows) > 50


def test_the_page_shows_the_base_and_every_width():
    table = ratio_table(ratio_rows(CELLS), synthetic.BASE)
    variant = [column.label for column in table.columns].index("variant")
    d = [column.label for column in table.columns].index("hidden width d")
    shown = {(row[variant].text, row[d].text) for row in table.rows}
    assert {("symmetry", "32"), ("symmetry", "512"), ("sgd", "128")} <= shown
    measured = [
        cell
        for cell in CELLS
        if cell.status == "ok"
        and cell.variant != "nullspace"
        and is_at(cell, synthetic.BASE, but="d")
    ]
    assert len(table.rows) == len(measured) > 10
