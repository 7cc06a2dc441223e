"""Simulated experiments: how often a verdict is wrong, and how often it finds what is there.

Noise is log-normal and paired, as that of a control arm that differs from plain only by jitter:
sigma is the spread of the log ratios of two runs of one seed. Seeds themselves differ by 20 %.
"""

import math

import numpy as np
import pytest

from bench.statistics.training.acceleration import accelerations
from bench.statistics.training.arrivals import Arrival, Curve
from bench.statistics.training.pairs import log_ratios, ratio, sign_test
from bench.statistics.training.verdicts import Evidence, Verdict, judge

EXPERIMENTS, SEEDS = 1000, 10
WRONG = {Verdict.FASTER, Verdict.SLOWER}


def arrivals(times, budget):
    return [
        Arrival(t, budget, diverged=False) if t <= budget else Arrival(math.inf, budget, False)
        for t in times
    ]


def verdict(arm, plain, min_effect):
    logs = log_ratios(arm, plain)
    hits, against = (sum(run.arrived for run in side) for side in (arm, plain))
    evidence = Evidence(ratio(logs), sign_test(logs), 1, hits, against, logs.unknown)
    return judge(evidence, min_effect).verdict


def simulate(sigma, *, gain=1.0, budget=math.inf, min_effect=0.05, seeds=SEEDS):
    """The verdicts on 1,000 experiments with one arm; every run lasts for ``budget``."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(EXPERIMENTS):
        plain = 100 * np.exp(0.2 * rng.standard_normal(seeds))
        arm = gain * plain * np.exp(sigma * rng.standard_normal(seeds))
        found.append(verdict(arrivals(arm, budget), arrivals(plain, budget), min_effect))
    return found


def share(found, *verdicts):
    return sum(v in verdicts for v in found) / len(found)


@pytest.mark.parametrize("budget", [math.inf, 100.0], ids=["all arrive", "half arrive"])
@pytest.mark.parametrize("sigma", [0.01, 0.03, 0.10, 0.50])
def test_false_alarms_at_ten_seeds(sigma, budget):
    assert share(simulate(sigma, budget=budget), *WRONG) <= 0.01


@pytest.mark.parametrize("seeds", [8, 10, 20])
def test_false_alarms_where_nothing_but_the_sign_test_prevents_them(seeds):
    found = simulate(1.0, min_effect=1e-6, seeds=seeds)

    assert 0 < share(found, *WRONG) <= 0.01


@pytest.mark.parametrize("sigma", [0.01, 0.02])
@pytest.mark.parametrize("gain", [0.90, 1 / 1.10])
def test_a_gain_of_ten_percent_is_found(gain, sigma):
    assert share(simulate(sigma, gain=gain), Verdict.FASTER) >= 0.95
    assert share(simulate(sigma, gain=1 / gain), Verdict.SLOWER) >= 0.95


def test_a_gain_below_the_minimum_effect_is_not_called_faster():
    for gain in (0.98, 0.96):
        assert share(simulate(0.02, gain=gain), *WRONG) <= 0.01


def test_no_effect_is_called_the_same_where_noise_is_small():
    assert share(simulate(0.01), Verdict.SAME) >= 0.99
    for gain in (1.06, 1 / 1.06):
        assert share(simulate(0.01, gain=gain), Verdict.SAME) <= 0.01


def test_three_seeds_decide_nothing():
    assert share(simulate(0.01, gain=0.5, seeds=3), Verdict.UNDECIDED) == 1


STEPS = np.arange(0, 201, 10.0)


def curves(times):
    return {seed: Curve(STEPS, 2 - STEPS / time) for seed, time in enumerate(times)}


def test_false_alarms_of_a_whole_table_of_arms():
    """From curves, four arms that share plain's noise; one of them really is 10 % faster."""
    rng = np.random.default_rng(12)
    alarms = found = 0
    for _ in range(250):
        plain = 100 * np.exp(0.1 * rng.standard_normal(SEEDS))
        gains = {"a": 1.0, "b": 1.0, "c": 1.0, "gain": 0.9}
        arms = {
            arm: curves(gain * plain * np.exp(0.015 * rng.standard_normal(SEEDS)))
            for arm, gain in gains.items()
        }
        rows = accelerations(arms, curves(plain), 1.0, axis="steps")
        alarms += any(row.verdict in WRONG for row in rows[:3])
        found += rows[3].verdict is Verdict.FASTER
    assert alarms <= 2
    assert found >= 0.95 * 250
