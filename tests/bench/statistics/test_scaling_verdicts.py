"""Claims about growth, and crossings of two methods, on sweeps whose law is known."""

import math

import numpy as np
import pytest

from bench.statistics.growth import fit_growth
from bench.statistics.growth_verdicts import Answer, crossing, grows_faster, linear, near_constant
from bench.statistics.medians import Estimate

DOUBLING = [2.0**k for k in range(8)]
HOLDS, FAILS, OPEN = Answer.HOLDS, Answer.FAILS, Answer.OPEN


def growth(exponent, floor=0.0, noise=0.01, levels=DOUBLING, seed=1):
    rng = np.random.default_rng(seed)
    times = (floor + np.array(levels) ** exponent)[:, None]
    return fit_growth(
        levels, (times * np.exp(noise * rng.standard_normal((len(levels), 9)))).tolist()
    )


@pytest.mark.parametrize(
    ("exponent", "floor", "noise", "answer"),
    [
        (0.0, 0, 0.01, HOLDS),
        (0.05, 0, 0.01, HOLDS),
        (-0.5, 0, 0.01, HOLDS),  # falling is no growth
        (1.0, 1e6, 0.01, HOLDS),  # hidden under a floor over all of these levels
        (0.15, 0, 0.02, OPEN),
        (0.0, 0, 3.0, OPEN),
        (0.3, 0, 0.01, FAILS),
        (1.0, 0, 0.01, FAILS),
    ],
)
def test_near_constant(exponent, floor, noise, answer):
    finding = near_constant(growth(exponent, floor, noise))
    assert finding.answer is answer
    assert bool(finding.reason) == (answer is OPEN)


@pytest.mark.parametrize(
    ("exponent", "floor", "noise", "answer"),
    [
        (1.0, 0, 0.01, HOLDS),
        (1.0, 10, 0.01, HOLDS),  # the floor is allowed for
        (1.05, 0, 0.01, HOLDS),
        (1.0, 10, 0.5, OPEN),
        (0.5, 0, 0.01, FAILS),
        (2.0, 5, 0.01, FAILS),
        (0.0, 0, 0.01, FAILS),
    ],
)
def test_linear(exponent, floor, noise, answer):
    assert linear(growth(exponent, floor, noise)).answer is answer


def test_grows_faster():
    flat, steep, noisy = growth(0.1), growth(0.6), growth(0.3, noise=3.0)
    assert grows_faster(flat, steep).answer is HOLDS
    assert grows_faster(steep, flat).answer is FAILS
    assert grows_faster(flat, noisy) == (OPEN, "the intervals of the slopes overlap")


@pytest.mark.parametrize("claim", [near_constant, linear])
def test_thin_levels_decide_nothing(claim):
    thin = growth(1.0, levels=[2.0, 3.0, 4.0, 8.0])
    reason = "4 levels over a factor of 4, a law takes 4 over a factor of 8"
    assert claim(thin) == (OPEN, reason)
    assert str(claim(thin)) == f"cannot be told from these levels: {reason}"
    assert grows_faster(thin, growth(1.0)) == grows_faster(growth(1.0), thin) == (OPEN, reason)


def test_what_could_not_be_fitted_decides_nothing():
    nothing = fit_growth([1.0, 2.0], [[1.0], [2.0]])
    assert near_constant(nothing) == (OPEN, "growth takes 3 levels, 2 measured")


@pytest.mark.parametrize(("claim", "exponent"), [(near_constant, 0.0), (linear, 1.0)])
def test_a_true_claim_is_seldom_called_false_and_a_false_one_seldom_true(claim, exponent):
    rng = range(100)
    true = [claim(growth(exponent, noise=0.05, seed=s)).answer for s in rng]
    false = [claim(growth(exponent + 0.4, noise=0.05, seed=s)).answer for s in rng]
    assert true.count(FAILS) <= 1
    assert true.count(HOLDS) >= 90
    assert false.count(HOLDS) == 0
    assert false.count(FAILS) >= 90


# Crossings


def ratios(*values, width=0.05):
    return [Estimate(v, v * (1 - width), v * (1 + width), 9) for v in values]


LEVELS = [64, 128, 256, 512]


def test_the_first_method_becomes_the_faster_one():
    found = crossing(LEVELS, ratios(4.0, 2.0, 0.5, 0.25))
    assert (found.faster, found.low, found.high) == ("above", 128, 256)
    assert found.at == pytest.approx(128 * math.sqrt(2))


def test_and_the_slower_one():
    found = crossing(LEVELS, ratios(0.5, 0.9, 1.8, 3.0))
    assert found.faster == "below"
    assert 128 < found.at < 256


def test_levels_that_take_no_side_widen_the_range_of_the_crossing():
    found = crossing(LEVELS, ratios(2.0, 1.01, 0.98, 0.5))
    assert (found.faster, found.low, found.high) == ("above", 64, 512)
    assert 128 < found.at < 256


def test_a_ratio_of_exactly_one_is_the_crossing():
    assert crossing([1, 2, 4], ratios(2.0, 1.0, 0.5)).at == pytest.approx(2)


@pytest.mark.parametrize(
    ("values", "faster", "reason"),
    [
        ((0.5, 0.6, 1.0, 0.9), "always", ""),
        ((2.0, 1.5, 1.01, 1.2), "never", ""),
        ((1.0, 1.01, 0.99, 1.0), "", "no level tells them apart"),
        ((2.0, 0.5, 2.0, 2.0), "", "they change places 2 times"),
        ((), "", "no level tells them apart"),
    ],
)
def test_no_crossing(values, faster, reason):
    found = crossing(LEVELS[: len(values)], ratios(*values))
    assert (found.faster, found.reason) == (faster, reason)
    assert math.isnan(found.at)


def test_unknown_intervals_take_no_side():
    unknown = Estimate(0.5, math.nan, math.nan, 3)
    assert crossing([1, 2], [unknown, unknown]).reason == "no level tells them apart"


def test_growth_that_a_floor_may_hide_is_not_refuted():
    """Linear on a floor of the size of its growth, with a slope far below 1."""
    rng = np.random.default_rng(0)
    levels = [1, 2, 4, 8, 16]
    samples = [list((3.0 + 0.2 * x) * np.exp(0.25 * rng.standard_normal(7))) for x in levels]
    growth = fit_growth(levels, samples)
    assert growth.law == "undecided"
    assert growth.ci_high < 0.85
    assert linear(growth).answer is Answer.OPEN
    flat = fit_growth(levels, [[1.0, 1.001, 0.999]] * 5)
    assert linear(flat).answer is Answer.FAILS
