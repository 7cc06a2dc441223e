"""Where a variant becomes faster than null-space teleport is read off paired ratios."""

import math

import pytest
import synthetic_run as synthetic

from reports.runtime.ratios import crossing_table
from reports.tables.crossings import crossing_row, crossings
from reports.tables.ratios import RatioRow

PLACE = {"model": "mlp", "dataset": "digits", "device": "cpu", "dtype": "float32"}


def ratio(d, value, *, width=0.01, **changed):
    row = {**PLACE, **synthetic.BASE, "d": d, "method": "symmetry", "variant": "symmetry"}
    row |= {"cell_id": str(d), "reference": "nullspace", "rounds": 7.0}
    row |= {"step_ratio": math.nan, "step_ratio_low": math.nan, "step_ratio_high": math.nan}
    row |= {"call_ratio": value, "call_ratio_low": value - width, "call_ratio_high": value + width}
    row |= {"operations": None, "reference_operations": math.nan}
    return RatioRow(**{**row, **changed})


def found(rows):
    """Where they cross, as a value and as a row of the table."""
    (crossed,) = crossings(rows, synthetic.BASE)
    return crossed, crossing_row(crossed)


def test_the_crossing_lies_between_the_levels_that_are_clear():
    rows = [ratio(d, value) for d, value in ((32, 0.5), (64, 0.8), (128, 1.25), (256, 2.0))]
    crossed, row = found(rows)
    assert (row.axis, row.faster, row.measure) == ("d", "below", "call")
    assert (row.at_low, row.at_high) == (64, 128)
    assert (row.levels, row.lowest, row.highest) == (4, 32, 256)
    assert row.at == pytest.approx(math.sqrt(64 * 128))  # 0.8 and 1.25 are as far from 1
    (cells,) = crossing_table([crossed]).rows
    assert cells[-1].text == "up to about 90.5 (between 64 and 128)"


@pytest.mark.parametrize(
    ("values", "faster", "text"),
    [
        ((2.0, 3.0), "never", "never"),
        ((0.5, 0.4), "always", "always"),
        ((2.0, 0.5), "above", "from about 45.3 (between 32 and 64)"),
        ((1.001, 0.999), "", "cannot be told: no level tells them apart"),
    ],
)
def test_each_answer_has_its_sentence(values, faster, text):
    crossed, row = found([ratio(32, values[0]), ratio(64, values[1])])
    assert row.faster == faster
    assert crossing_table([crossed]).rows[0][-1].text == text


def test_of_sgd_the_steps_are_compared():
    ends = {"step_ratio": 3.0, "step_ratio_low": 2.9, "step_ratio_high": 3.1}
    rows = [ratio(d, math.nan, method="sgd", variant="sgd", **ends) for d in (32, 64)]
    crossed, row = found(rows)
    assert (row.measure, row.faster) == ("step", "never")
    assert crossing_table([crossed]).rows[0][-1].text == "its step, never"


def test_other_axes_stay_at_the_base():
    away = [ratio(d, 0.1, n=synthetic.BASE["n"] * 2) for d in (32, 64)]
    assert crossings(away, synthetic.BASE) == []
    assert crossings([ratio(32, 0.5)], synthetic.BASE) == []
