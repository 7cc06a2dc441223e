"""Ratios, intervals and p-values by ranks: worked examples, scipy, and coverage by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.statistics.rank_tests import (
    holm,
    independent_shift,
    least_pairs,
    least_samples,
    paired_shift,
)

LEVEL = 0.95


def test_paired_worked_example():
    """Hollander, Wolfe and Chicken, table 3.1: depression scores before and after; W = 5 of 45."""
    before = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    after = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    shift = paired_shift((after - before)[None], LEVEL)
    assert shift.value[0] == pytest.approx(-0.46)
    assert (shift.low[0], shift.high[0]) == pytest.approx((-0.786, -0.010))  # 96.1 %
    assert shift.p_value[0] == pytest.approx(0.0390625)  # twice their 0.0195


def test_independent_worked_example():
    """Hollander, Wolfe and Chicken, table 4.1: permeability of the amnion, 10 at term, 5 early."""
    term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    early = [1.15, 0.88, 0.90, 0.74, 1.21]
    shift = independent_shift(np.array([early]), np.array([term]), LEVEL)
    assert shift.value[0] == pytest.approx(0.305)
    assert (shift.low[0], shift.high[0]) == pytest.approx((-0.15, 0.76))
    assert shift.p_value[0] == pytest.approx(2 * 0.127, abs=1e-3)


def heavy(rng, shape):
    return rng.standard_t(3, shape)


def normal(rng, shape):
    return rng.standard_normal(shape)


@pytest.mark.parametrize("draw", [normal, heavy])
@pytest.mark.parametrize("count", [6, 7, 12, 30, 80])
def test_paired_interval_covers_and_agrees_with_the_test(draw, count):
    shift = paired_shift(draw(np.random.default_rng(count), (4000, count)), LEVEL)
    covered = (shift.low <= 0) & (shift.high >= 0)
    assert 0.94 <= covered.mean() <= 0.985
    assert np.mean(covered != (shift.p_value > 0.05)) < 0.02  # the interval is the test's, or wider
    assert np.all(shift.low <= shift.value)
    assert np.all(shift.value <= shift.high)


@pytest.mark.parametrize("draw", [normal, heavy])
@pytest.mark.parametrize(("ours", "theirs"), [(5, 5), (7, 9), (30, 30), (40, 12)])
def test_independent_interval_covers_and_agrees_with_the_test(draw, ours, theirs):
    rng = np.random.default_rng(ours)
    shift = independent_shift(draw(rng, (2000, ours)), draw(rng, (2000, theirs)) + 3.0, LEVEL)
    covered = (shift.low <= 3) & (shift.high >= 3)
    assert 0.94 <= covered.mean() <= 0.985
    near = independent_shift(draw(rng, (2000, ours)), draw(rng, (2000, theirs)), LEVEL)
    inside = (near.low <= 0) & (near.high >= 0)
    assert np.mean(inside != (near.p_value > 0.05)) < 0.03


def test_chunks_do_not_change_the_answer(monkeypatch):
    rng = np.random.default_rng(1)
    base, head = rng.standard_normal((2, 17, 9))
    whole = independent_shift(base, head, LEVEL), paired_shift(head - base, LEVEL)
    monkeypatch.setattr("bench.statistics.rank_tests._CHUNK", 100)
    for a, b in zip(
        whole, (independent_shift(base, head, LEVEL), paired_shift(head - base, LEVEL)), strict=True
    ):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("count", [1, 3, 5])
def test_too_few_have_no_interval(count):
    shift = paired_shift(np.arange(1.0, count + 1)[None], LEVEL)
    assert math.isnan(shift.low[0])
    assert math.isnan(shift.high[0])


def test_no_difference_is_no_evidence():
    assert paired_shift(np.zeros((2, 9)), LEVEL).p_value.tolist() == [1.0, 1.0]
    assert independent_shift(np.ones((1, 9)), np.ones((1, 9)), LEVEL).p_value.tolist() == [1.0]


def test_holm_worked_example():
    """Holm 1979: the smallest times 4, the next times 3, never below the one before."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


@pytest.mark.parametrize("error", [0.02, 0.02 / 50, 1e-5])
def test_least_counts_are_the_fewest_that_can_be_significant(error):
    def paired(count):
        return stats.wilcoxon(np.arange(1.0, count + 1), method="exact").pvalue

    def independent(count):
        first = np.arange(count, dtype=float)
        return stats.mannwhitneyu(first, first + count, method="exact").pvalue

    for least, p_value in ((least_pairs(error), paired), (least_samples(error), independent)):
        assert p_value(least) <= error < p_value(least - 1)
