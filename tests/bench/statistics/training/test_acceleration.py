"""Whole experiments: curves in, one row an arm out."""

import dataclasses
import math
from statistics import mean

import numpy as np
import pytest

from bench.statistics.training.acceleration import accelerations
from bench.statistics.training.arrivals import Curve, time_to_target
from bench.statistics.training.verdicts import Verdict

STEPS = np.arange(0, 201, 10.0)
TARGET = 1.0
START = {seed: 60 + 7.0 * seed for seed in range(20)}  # when plain arrives


def run(time, ends=200.0):
    """A run that arrives at ``time``: a straight line from loss 2 to 1, and on."""
    steps = STEPS[: int(ends // 10) + 1]
    return Curve(steps, 2 - steps / time)


def runs(gain, seeds=10, **others):
    return {seed: run(gain * START[seed], **others) for seed in range(seeds)}


def compare(arms, plain, **others):
    rows = accelerations(arms, plain, TARGET, axis="steps", **others)
    assert [row.arm for row in rows] == list(arms)
    return {row.arm: row for row in rows}


def test_an_experiment_with_every_verdict():
    rng = np.random.default_rng(0)
    noisy = {seed: run(START[seed] * math.exp(0.2 * rng.standard_normal())) for seed in range(10)}
    arms = {"fast": runs(0.8), "aa": runs(1.0), "slow": runs(1.25), "noisy": noisy}
    rows = compare(arms, runs(1.0))

    verdicts = {arm: row.verdict.name for arm, row in rows.items()}
    assert verdicts == {"fast": "FASTER", "aa": "SAME", "slow": "SLOWER", "noisy": "UNDECIDED"}
    fast = rows["fast"]
    assert (fast.against, fast.axis, fast.target, fast.seeds) == ("plain", "steps", TARGET, 10)
    assert (fast.ratio, fast.ci_low, fast.ci_high) == pytest.approx((0.8, 0.8, 0.8))
    assert (fast.hit_rate, fast.hit_rate_against, fast.reason) == (1, 1, "")
    assert fast.p == pytest.approx(4 * 2 / 1024)  # the smallest of four
    assert fast.needed_seeds == 10
    assert (fast.median, fast.median_against) == pytest.approx((0.8 * START[4], START[4]))
    assert fast.horizon == 200
    assert fast.restricted_mean == pytest.approx(0.8 * fast.restricted_mean_against)
    assert fast.restricted_mean_against == pytest.approx(mean(list(START.values())[:10]))
    assert fast.restricted_mean_error == pytest.approx(0.8 * fast.restricted_mean_against_error)
    assert fast.log_rank_p < 0.05 < rows["aa"].log_rank_p
    aa = rows["aa"]
    assert (aa.ratio, aa.ci_low, aa.ci_high, aa.p) == (1, 1, 1, 1)


def test_three_seeds_are_a_look():
    row = compare({"fast": runs(0.5, 3)}, runs(1.0, 3))["fast"]

    assert row.verdict is Verdict.UNDECIDED
    assert row.reason == "3 seeds are too few to test 1 arm: take 8"
    assert row.ratio == pytest.approx(0.5)
    assert math.isnan(row.ci_low)
    assert math.isnan(row.ci_high)


def test_pairs_are_seeds_not_places():
    arm, plain = runs(0.8), runs(1.0)
    expected = compare({"fast": arm}, plain)

    assert compare({"fast": dict(reversed(arm.items()))}, plain) == expected
    assert compare({"fast": arm}, dict(reversed(plain.items()))) == expected


def test_only_pairing_shows_a_gain_that_seeds_hide():
    """Seeds differ by a factor of two, the arm by 10 %: no test without pairs would see it."""
    row = compare({"fast": runs(0.9)}, runs(1.0))["fast"]

    assert row.verdict is Verdict.FASTER
    assert row.log_rank_p > 0.1


def test_holm_over_all_arms():
    alone = compare({"fast": runs(0.8)}, runs(1.0))["fast"]
    with_five = compare({f"fast {i}": runs(0.8) for i in range(6)}, runs(1.0))["fast 0"]

    assert alone.p == pytest.approx(2 / 1024)
    assert with_five.p == pytest.approx(12 / 1024)
    assert with_five.verdict is Verdict.UNDECIDED
    assert with_five.reason == "10 seeds are too few to test 6 arms: take 11"


def survivors_say_faster(arm, plain):
    """What must not be done: the mean time of the runs that arrive."""
    ours, theirs = (
        mean(t for t in (time_to_target(*c, TARGET) for c in side.values()) if t < math.inf)
        for side in (arm, plain)
    )
    return ours / theirs < 1 / 1.05


def verdict_says_faster(arm, plain):
    return compare({"arm": arm}, plain)["arm"].verdict is Verdict.FASTER


def unstable(seeds, curve):
    """An arm that is twice as fast in 70 % of its runs and never arrives in 30 %."""
    return {s: run(START[s % 20] / 2) if s % 10 < 7 else curve for s in range(seeds)}


DEAD = Curve(STEPS, np.where(STEPS < 40, 2.0, np.nan))
STUCK = Curve(STEPS, np.full(len(STEPS), 1.5))


@pytest.mark.parametrize("curve", [DEAD, STUCK], ids=["diverged", "stuck"])
@pytest.mark.parametrize("seeds", [10, 20, 100])
def test_survivors_do_not_make_an_arm_faster(seeds, curve):
    arm, plain = unstable(seeds, curve), {s: run(START[s % 20]) for s in range(seeds)}

    assert survivors_say_faster(arm, plain)  # so that the experiment is one that fools
    assert not verdict_says_faster(arm, plain)
    row = compare({"arm": arm}, plain)["arm"]
    assert (row.hit_rate, row.hit_rate_against) == (pytest.approx(0.7), 1)
    assert row.restricted_mean > 0.7 * (START[0] / 2) + 0.3 * 199


def test_plain_that_fails_where_the_arm_does_not():
    row = compare({"stable": runs(1.0)}, dict.fromkeys(range(10), DEAD))["stable"]

    assert row.verdict is Verdict.FASTER
    assert (row.ratio, row.ci_high) == (0, 0)
    assert row.median_against == math.inf
    assert row.restricted_mean_against == 200
    assert math.isnan(row.needed_seeds)


def test_nobody_arrives():
    stuck = dict.fromkeys(range(10), STUCK)
    row = compare({"arm": stuck}, stuck)["arm"]

    assert row.verdict is Verdict.UNDECIDED
    assert row.reason == "no run of either arrives: train longer, or raise the target"
    assert (row.hit_rate, row.hit_rate_against, row.p, row.ratio) == (0, 0, 1, 1)
    assert math.isnan(row.log_rank_p)


def test_a_small_gain_is_not_made_large_by_plain_missing_the_budget():
    """The arm is 1 % faster and arrives just in time, plain just not: its ratio is not 0."""
    plain = {s: run(100.4, ends=100) for s in range(10)}
    row = compare({"arm": {s: run(99.4, ends=100) for s in range(10)}}, plain)["arm"]

    assert (row.hit_rate, row.hit_rate_against) == (1, 0)
    assert row.p == pytest.approx(2 / 1024)
    assert row.verdict is Verdict.UNDECIDED
    assert row.reason == "there is a difference, but it may be smaller than the minimum effect"


def test_means_are_compared_as_far_as_both_were_followed():
    """Seconds: the runs of one side end earlier."""
    row = compare({"slow": runs(1.0, ends=150)}, dict.fromkeys(range(10), STUCK))["slow"]
    assert (row.horizon, row.restricted_mean_against) == (150, 150)

    row = compare({"stuck": dict.fromkeys(range(10), STUCK)}, runs(1.0, ends=100))["stuck"]
    assert (row.horizon, row.restricted_mean) == (100, 100)
    times = [min(START[s], 100) for s in range(10)]
    assert row.restricted_mean_against == pytest.approx(mean(times))


def test_seeds_that_only_one_side_has_are_named():
    row = compare({"fast": runs(0.8, 9)}, runs(1.0))["fast"]

    assert row.verdict is Verdict.UNDECIDED
    assert row.reason.startswith("of seeds 9 only one")
    assert row.seeds == 9

    row = compare({"none": {}}, runs(1.0))["none"]
    assert row.seeds == 0
    assert math.isnan(row.hit_rate)
    assert math.isnan(row.horizon)


def test_exchanged_sides_give_the_mirrored_row():
    rng = np.random.default_rng(5)
    mirror = {"FASTER": "SLOWER", "SLOWER": "FASTER"}
    seen = set()
    for _ in range(150):
        gain, sigma = rng.choice([0.5, 0.9, 1.0, 2.0]), rng.choice([0.01, 0.1])
        sides = [
            {
                s: DEAD if rng.random() < 0.05 else run(g * START[s] * math.exp(sigma * z))
                for s, z in enumerate(rng.standard_normal(10))
            }
            for g in (gain, 1.0)
        ]
        one = compare({"x": sides[0]}, sides[1])["x"]
        two = compare({"x": sides[1]}, sides[0])["x"]
        seen.add(one.verdict.name)
        assert two.verdict.name == mirror.get(one.verdict.name, one.verdict.name)
        assert (two.p, two.horizon) == (one.p, one.horizon)
        assert two.needed_seeds == pytest.approx(one.needed_seeds, abs=1, nan_ok=True)
        ends = [1 / e if e else math.inf for e in (one.ci_high, one.ci_low)]
        assert (two.ci_low, two.ci_high) == pytest.approx(ends)

    assert seen == {"FASTER", "SLOWER", "SAME", "UNDECIDED"}


def test_a_row_is_flat():
    row = dataclasses.asdict(compare({"aa": runs(1.0)}, runs(1.0))["aa"])

    assert all(isinstance(value, str | int | float | Verdict) for value in row.values())
