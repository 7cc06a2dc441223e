"""FASTER, SAME, SLOWER or UNDECIDED: the rule, and what it says when it does not decide."""

import math

import pytest

from bench.statistics.medians import Estimate
from bench.statistics.training.verdicts import Evidence, Verdict, judge, least_seeds

FASTER, SAME, SLOWER, UNDECIDED = Verdict


def evidence(low, high, p_value=0.002, **others):
    value = math.sqrt(low * high) if low else low
    rest = {"arms": 1, "hits": 10, "hits_against": 10, "unknown": 0}
    count = others.pop("count", 10)
    return Evidence(Estimate(value, low, high, count), p_value, **{**rest, **others})


@pytest.mark.parametrize(
    ("low", "high", "p_value", "verdict"),
    [
        (0.90, 0.95, 0.002, FASTER),
        (0.90, 0.953, 0.002, UNDECIDED),  # 1 / 1.05 is 0.9524
        (0.90, 0.95, 0.02, UNDECIDED),
        (1.051, 1.2, 0.002, SLOWER),
        (1.049, 1.2, 0.002, UNDECIDED),
        (1.051, 1.2, 0.011, UNDECIDED),
        (0.953, 1.049, 0.9, SAME),
        (0.953, 0.99, 0.002, SAME),  # a difference, but none that matters
        (0.95, 1.049, 0.9, UNDECIDED),
        (0.96, 1.051, 0.9, UNDECIDED),
        (1.0, 1.0, 1.0, SAME),  # plain against plain
        (0.0, 0.95, 0.002, FASTER),  # plain never arrives in some seeds
        (1.051, math.inf, 0.002, SLOWER),
        (0.0, math.inf, 1.0, UNDECIDED),
    ],
)
def test_interval_and_test_together(low, high, p_value, verdict):
    found = judge(evidence(low, high, p_value))

    assert found.verdict is verdict
    assert bool(found.reason) == (verdict is UNDECIDED)


def test_the_minimum_effect_is_the_users():
    assert judge(evidence(0.90, 0.95), 0.02).verdict is FASTER
    assert judge(evidence(0.90, 0.95), 0.10).verdict is UNDECIDED
    assert judge(evidence(0.92, 0.95), 0.10).verdict is SAME


@pytest.mark.parametrize("effect", [0, -0.1, math.nan, math.inf])
def test_a_minimum_effect_has_to_be_positive(effect):
    with pytest.raises(ValueError, match=r"positive minimum effect; got .*: write 0\.05 for 5 %"):
        judge(evidence(0.9, 0.95), effect)


@pytest.mark.parametrize(
    ("low", "high", "hits", "against", "verdict"),
    [
        (0.8, 0.9, 9, 10, UNDECIDED),
        (0.8, 0.9, 10, 9, FASTER),
        (0.8, 0.9, 9, 9, FASTER),
        (1.1, 1.2, 9, 10, SLOWER),
        (1.1, 1.2, 10, 9, UNDECIDED),
        (0.99, 1.01, 9, 10, UNDECIDED),
        (0.99, 1.01, 10, 9, UNDECIDED),
        (0.99, 1.01, 9, 9, SAME),
    ],
)
def test_no_verdict_goes_against_the_hit_rates(low, high, hits, against, verdict):
    found = judge(evidence(low, high, hits=hits, hits_against=against))

    assert found.verdict is verdict
    if verdict is UNDECIDED:
        assert f"{hits} of 10 runs arrive, and {against} of 10 of plain" in found.reason


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (evidence(0.8, 0.9, hits=0, hits_against=0), "no run of either arrives: train longer"),
        (evidence(0.8, 0.9, missing=(3, 7)), "seeds 3, 7 only one of the two was run: finish"),
        (evidence(math.nan, math.nan, count=0, hits=0, hits_against=0), "no seed was run"),
        (evidence(math.nan, math.nan, 0.25, count=3), "3 seeds are too few to test 1 arm: take 8"),
        (evidence(0.8, 0.9, 0.03, arms=6), "10 seeds are too few to test 6 arms: take 11"),
        (evidence(0.0, math.inf, 0.1, unknown=2), "in 2 of 10 seeds neither run arrives"),
        (evidence(0.9, 0.99), "there is a difference, but it may be smaller than the minimum"),
        (evidence(1.01, math.inf, 0.03), "too many runs end before they arrive: train longer"),
        (evidence(0.0, 0.99, 0.03), "too many runs end before they arrive: train longer"),
        (evidence(0.9, 1.02, 0.3), "the interval is 13% wide: the noise hides the minimum effect"),
        (evidence(0.94, 1.01, 0.3), "the interval reaches beyond the minimum effect"),
    ],
)
def test_an_undecided_arm_says_why(found, reason):
    judged = judge(found)

    assert judged.verdict is UNDECIDED
    assert reason in judged.reason


def test_the_fewest_seeds():
    assert [least_seeds(arms) for arms in (1, 2, 3, 5, 6, 10)] == [8, 9, 10, 10, 11, 11]
    for arms in (1, 5, 6):
        seeds = least_seeds(arms)
        assert arms * 2 / 2**seeds <= 0.01 < arms * 2 / 2 ** (seeds - 1)
