"""Paired ratios with runs that never arrive: bounds by hand, coverage by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from bench.statistics.medians import median_interval
from bench.statistics.training.arrivals import Arrival
from bench.statistics.training.pairs import LogRatios, log_ratios, ratio, sign_test

INF = math.inf


def hit(time):
    return Arrival(time, 100, diverged=False)


MISS = Arrival(INF, 100, diverged=False)
DIVERGED = Arrival(INF, 30, diverged=True)


@pytest.mark.parametrize(
    ("arm", "plain", "low", "high", "value"),
    [
        (hit(40), hit(50), 0.8, 0.8, 0.8),
        (hit(50), hit(50), 1, 1, 1),
        (MISS, hit(50), 2, INF, INF),
        (hit(50), MISS, 0, 0.5, 0),
        (MISS, MISS, 0, INF, 1),
        (DIVERGED, hit(50), INF, INF, INF),  # not 30 / 50: it never arrives
        (hit(50), DIVERGED, 0, 0, 0),
        (DIVERGED, DIVERGED, 0, INF, 1),
        (DIVERGED, MISS, 0, INF, 1),  # plain may never arrive, either
        (MISS, DIVERGED, 0, INF, 1),
        (hit(0), hit(50), 0, 0, 0),  # the move alone met the target
        (hit(0), hit(0), 0, INF, 1),
        # Seconds: the arm's run ended before plain arrived, which tells nothing of the order.
        (Arrival(INF, 40, diverged=False), hit(50), 0.8, INF, 1),
    ],
)
def test_what_one_seed_tells(arm, plain, low, high, value):
    logs = log_ratios([arm], [plain])

    assert np.exp([logs.low[0], logs.high[0], logs.values[0]]) == pytest.approx([low, high, value])
    mirrored = log_ratios([plain], [arm])
    assert (mirrored.low, mirrored.high) == (-logs.high, -logs.low)
    assert mirrored.values == -logs.values
    assert logs.unknown == (low == 0 and high == INF)


def test_without_misses_it_is_the_median_of_ratios():
    rng = np.random.default_rng(0)
    for count in (1, 5, 6, 10, 11, 20):
        ours, theirs = rng.uniform(1, 2, (2, count))
        found = ratio(log_ratios([hit(t) for t in ours], [hit(t) for t in theirs]))
        expected = median_interval(np.log(ours / theirs).tolist())

        assert found.count == count
        assert found[:3] == pytest.approx(np.exp(expected[:3]), nan_ok=True)
        assert math.isnan(found.low) == (count < 6)


def test_misses_take_their_place_in_the_order():
    arm = [hit(50), hit(60), hit(70), MISS, MISS, MISS, MISS]
    found = ratio(log_ratios(arm, [hit(50)] * 7))

    assert found == (INF, 1.0, INF, 7)
    found = ratio(log_ratios([*arm[:4], hit(30), hit(40), hit(45)], [hit(50)] * 7))
    assert found.value == pytest.approx(1.0)
    assert found.high == INF  # the largest of seven is the miss


def test_a_seed_where_neither_arrives_widens_both_ends():
    known, plain = [hit(40 + i) for i in range(10)], [hit(50)] * 10
    sure = ratio(log_ratios(known, plain))
    one = ratio(log_ratios([MISS, *known[1:]], [MISS, *plain[1:]]))
    two = ratio(log_ratios([MISS, MISS, *known[2:]], [MISS, MISS, *plain[2:]]))

    assert (sure.low, sure.high) == pytest.approx((0.82, 0.96))
    assert (one.low, one.high) == pytest.approx((0.82, 0.98))  # second of each end: 41, 49
    assert (two.low, two.high) == (0, INF)


def test_a_median_between_earlier_and_later_is_not_told():
    found = ratio(log_ratios([MISS] * 3 + [hit(9)] * 3, [hit(9)] * 3 + [MISS] * 3))

    assert math.isnan(found.value)
    assert (found.low, found.high) == (0, INF)
    assert math.isnan(ratio(log_ratios([], [])).value)


def logs(wins, losses, ties=0, unknown=0):
    low = [-1.0] * wins + [1.0] * losses + [0.0] * ties + [-INF] * unknown
    high = [-1.0] * wins + [1.0] * losses + [0.0] * ties + [INF] * unknown
    return LogRatios(np.array(low), np.array(high))


@pytest.mark.parametrize(("wins", "losses"), [(10, 0), (9, 1), (0, 8), (5, 5), (3, 9), (17, 3)])
def test_sign_test_against_scipy(wins, losses):
    expected = binomtest(wins, wins + losses).pvalue

    assert sign_test(logs(wins, losses)) == pytest.approx(expected)


def test_what_is_not_known_counts_against_a_difference():
    for wins, open_ in ((9, 1), (8, 2), (4, 6)):
        outcomes = [sign_test(logs(wins + k, open_ - k)) for k in range(open_ + 1)]
        assert sign_test(logs(wins, 0, unknown=open_)) == max(outcomes)
        assert sign_test(logs(wins, 0, ties=open_)) == max(outcomes)
    assert sign_test(logs(0, 0, ties=10)) == 1  # plain against plain
    assert sign_test(logs(0, 0)) == 1


def test_the_interval_covers_the_ratio_that_the_budget_hides():
    """A true ratio of 0.9 with log-normal noise; half of plain's runs miss the target."""
    rng = np.random.default_rng(1)
    covered, lost = 0, 0
    for _ in range(2000):
        plain = 100 * np.exp(0.1 * rng.standard_normal(10))
        arm = 0.9 * plain * np.exp(0.05 * rng.standard_normal(10))
        sides = [[hit(t) if t <= 100 else MISS for t in side] for side in (arm, plain)]
        found = ratio(log_ratios(*sides))
        covered += found.low <= 0.9 <= found.high
        lost += sum(run is MISS for run in sides[1])

    assert 0.45 < lost / 20_000 < 0.55
    assert covered / 2000 >= 0.95


def test_sides_have_to_match():
    with pytest.raises(ValueError, match="got 1 and 2: keep only the seeds that both have"):
        log_ratios([MISS], [MISS, MISS])
