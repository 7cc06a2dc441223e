"""The stopping rule on injected samples: it ends, says why, and its intervals cover.

Simulated trials. The interval is the one a report shows: the order statistics of all samples at the
level that the rule answers. The short versions run every time, 2,000 trials with ``make verify``.
"""

import math
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from scipy.special import ndtr

from bench.spec.sampling import Sampling
from bench.statistics.medians import median_interval
from bench.timing.machine_state import sample_flags
from bench.timing.stopping import (
    ERROR,
    GROWTH,
    Stopping,
    StopReason,
    effective_samples,
    falling,
    interval,
    planned_looks,
    read,
    spent,
    warmed_up,
    widened,
)

INF = math.inf
MOST = 100


# Warm-up


@pytest.mark.parametrize(
    ("seconds", "answer"),
    [
        ([], True),
        ([1.0] * 5, True),  # too few to tell
        ([1.0] * 6, False),
        ([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], True),
        ([2.0, 2.0, 2.0, 1.0, 1.0, 1.0], True),
        ([6.0, 5.0, 3.0, 4.0, 2.0, 1.0], True),
        ([6.0, 5.0, 1.0, 4.0, 3.0, 2.0], False),
        ([2.0, 2.0, 1.0, 1.0, 1.0, 1.0], False),
        ([1.0] * 6 + [2.0] * 3, False),  # getting slower is a drift, not a warm-up
        ([9.0] * 50 + [1.0] * 6, False),
    ],
)
def test_falling(seconds, answer):
    assert falling(seconds) is answer


def rule(**values):
    return Sampling(**{"max_samples": MOST, "block_seconds": 1e9, **values})


def test_warm_up_ends_when_all_are_steady_or_a_bound_is_reached():
    steady, slow = [1.0] * 6, [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    bounds = rule(warmup=2, max_warmup=8, block_seconds=10.0)
    assert warmed_up([steady, slow], 6, 0.0, bounds) == ""
    assert warmed_up([steady, steady], 6, 0.0, bounds) == "steady"
    assert warmed_up([slow], 8, 0.0, bounds) == "rounds"
    assert warmed_up([[1.0]], 1, 99.0, bounds) == ""  # never below the minimum
    assert warmed_up([[1.0] * 2], 2, 5.0, bounds) == "time"
    assert warmed_up([[math.nan] * 6], 6, 0.0, bounds) == "steady"


@pytest.mark.parametrize("slow_calls", [1, 5, 20, 50])
def test_calls_that_get_faster_do_not_leak_into_the_samples(slow_calls):
    """The k first calls fall to the steady time geometrically, from ten times to 1.2 times it."""
    rng = np.random.default_rng(slow_calls)
    leaks = 0
    for _ in range(200):
        times = np.exp(0.01 * rng.standard_normal(100))
        times[:slow_calls] *= np.geomspace(10, 1.2, slow_calls)
        rounds = 0
        while not warmed_up([times[:rounds].tolist()], rounds, 0.0, rule()):
            rounds += 1
        leaks += rounds < slow_calls
    assert leaks <= 2


def test_a_plateau_of_slow_calls_that_leaks_is_flagged():
    times = np.exp(0.01 * np.random.default_rng(7).standard_normal(40))
    times[:12] *= 1.5
    warmup = next(n for n in range(40) if warmed_up([times[:n].tolist()], n, 0.0, rule()))
    assert warmup < 12
    assert sample_flags(times[warmup:].tolist())


# Looks


def test_looks_grow_by_half_and_end_at_the_most():
    assert planned_looks(7, 25) == [8, 12, 17, 25]
    assert planned_looks(7, 7) == [7]
    assert planned_looks(1, 1) == [1]
    for least, most in ((7, 100), (3, 1000), (50, 60)):
        looks = planned_looks(least, most)
        assert looks[-1] == most
        assert least <= looks[0] <= GROWTH * least + 1
        assert all(b <= math.ceil(GROWTH * a) for a, b in pairwise(looks))


def test_a_single_look_spends_all_of_the_error_and_all_looks_together_no_more():
    assert spent(7, 7) == pytest.approx(0.05)
    looks = [0, *planned_looks(7, MOST)]
    parts = [spent(b, MOST) - spent(a, MOST) for a, b in pairwise(looks)]
    assert sum(parts) == pytest.approx(ERROR)
    assert max(parts) == parts[-1] > ERROR / 2  # most is kept for the last look


def simulate(looks, errors, trials=4000, seed=1):
    """The share of trials in which the intervals of *all* looks cover the median."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((trials, looks[-1]))
    covered = np.ones(trials, dtype=bool)
    for count, error in zip(looks, errors, strict=True):
        ordered = np.sort(samples[:, :count], axis=1)
        _, low, high, _ = median_interval(range(count), 1 - error)
        if not math.isnan(low):
            covered &= (ordered[:, int(low)] <= 0) & (ordered[:, int(high)] >= 0)
    return covered.mean()


def test_whoever_stops_when_it_suits_is_covered_because_looks_are_paid_for():
    looks = planned_looks(7, MOST)
    parts = [spent(b, MOST) - spent(a, MOST) for a, b in pairwise([0, *looks])]
    assert simulate(looks, parts) >= 0.95


def test_looks_that_are_not_paid_for_do_not_cover():
    """The control: 95 % at each look, and 95 % after each sample."""
    looks = planned_looks(7, MOST)
    assert simulate(looks, [0.05] * len(looks)) < 0.90
    assert simulate(range(7, MOST + 1), [0.05] * (MOST - 6)) < 0.85


# Autocorrelation


def ar1(rng, shape, correlation=0.5):
    """A stationary Gaussian AR(1) series of unit variance along the last axis."""
    noise = rng.standard_normal(shape)
    noise[..., 1:] *= math.sqrt(1 - correlation**2)
    for i in range(1, shape[-1]):
        noise[..., i] += correlation * noise[..., i - 1]
    return noise


@pytest.mark.parametrize("correlation", [0.3, 0.5, 0.8])
def test_effective_samples_are_those_of_the_variance_of_the_median(correlation):
    rng = np.random.default_rng(3)
    series = ar1(rng, (2000, 401), correlation)
    worth = np.var(np.median(rng.standard_normal((2000, 401)), axis=1))
    expected = 401 * worth / np.var(np.median(series, axis=1))
    found = np.median([effective_samples(row) for row in series[:200]])
    assert found == pytest.approx(expected, rel=0.15)


def test_independent_samples_are_worth_nearly_all_they_are():
    rng = np.random.default_rng(4)
    shares = [effective_samples(rng.standard_normal(50)) / 50 for _ in range(300)]
    assert np.mean(shares) > 0.85
    assert max(shares) == 1.0


@pytest.mark.parametrize("seconds", [[], [1.0], [1.0] * 30, [math.nan] * 30, [1.0, INF] * 15])
def test_effective_samples_where_there_is_nothing_to_correlate(seconds):
    assert effective_samples(seconds) == len(seconds)


def test_widened_level_is_that_of_fewer_samples():
    assert widened(0.95, 30, 30) == pytest.approx(0.95)
    assert widened(0.95, 40, 10) == pytest.approx(2 * ndtr(2 * 1.959964) - 1, abs=1e-6)
    assert widened(0.95, 10_000, 1) < 1


# The rule


def run(values, sampling, seconds_each=1.0):
    """Feed a series to the rule, one sample at a time; the samples kept and the rule."""
    rule = Stopping(sampling)
    for count in range(1, len(values) + 1):
        if rule.decide({"cell": values[:count]}, count, count * seconds_each):
            return values[:count], rule
    raise AssertionError("it did not stop")


def test_it_stops_when_the_interval_is_narrow():
    values = np.exp(0.02 * np.random.default_rng(1).standard_normal(MOST)).tolist()
    kept, stopping = run(values, rule())
    assert stopping.reason is StopReason.PRECISE
    assert len(kept) in planned_looks(7, MOST)[:-1]
    facts = stopping.facts(kept)
    assert facts["half_width"] <= 0.02
    estimate = median_interval(kept, facts["interval_level"])
    assert (estimate.high - estimate.low) / 2 / estimate.value == pytest.approx(facts["half_width"])
    assert facts["looks"] == [c for c in planned_looks(7, MOST) if c <= len(kept)]
    assert facts["interval_level"] > 0.95


def test_it_stops_when_the_noise_stays_and_the_target_is_out_of_reach():
    """A third of the samples slower by half: no 1,000 samples would reach 1 %."""
    kept, stopping = run([1.0, 1.2, 0.8, 1.1, 0.9] * 200, rule(max_samples=1000, target=0.001))
    assert stopping.reason is StopReason.STABLE
    assert len(kept) < 200


def test_it_goes_on_while_the_target_is_within_reach():
    values = (1 + 0.1 * np.random.default_rng(2).standard_normal(1000)).tolist()
    kept, stopping = run(values, rule(max_samples=1000))
    assert stopping.reason is StopReason.PRECISE
    assert len(kept) > 100


def test_it_stops_when_time_or_samples_are_spent():
    values = (1 + 0.1 * np.random.default_rng(2).standard_normal(100)).tolist()
    kept, stopping = run(values, rule(block_seconds=12.0))
    assert (len(kept), stopping.reason) == (12, StopReason.TIME)
    kept, stopping = run(values, rule(max_samples=10))
    assert (len(kept), stopping.reason) == (10, StopReason.SAMPLES)
    kept, stopping = run(values, rule(block_seconds=1.0))
    assert (len(kept), stopping.reason) == (7, StopReason.TIME)
    assert stopping.facts(kept)["interval_level"] == pytest.approx(0.95)  # nobody looked before


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (1.0, StopReason.PRECISE),
        (0.0, StopReason.SAMPLES),
        (math.nan, StopReason.SAMPLES),
        (INF, StopReason.SAMPLES),
        (-1.0, StopReason.SAMPLES),
    ],
)
def test_it_ends_on_timers_that_say_nothing(seconds, reason):
    """The clock of the budget stands still, too."""
    kept, stopping = run([seconds] * MOST, rule(), seconds_each=0.0)
    assert stopping.reason is reason
    assert len(kept) <= MOST
    assert stopping.facts(kept)["interval_level"] < 1
    if reason is StopReason.SAMPLES:
        assert math.isnan(stopping.facts(kept)["half_width"])


def test_a_block_goes_on_until_every_cell_is_known():
    rng = np.random.default_rng(5)
    quiet = (1 + 0.001 * rng.standard_normal(MOST)).tolist()
    noisy = (1 + 0.03 * rng.standard_normal(MOST)).tolist()
    alone, _ = run(quiet, rule())
    stopping = Stopping(rule())
    counts = range(1, MOST + 1)
    both = next(c for c in counts if stopping.decide({"q": quiet[:c], "n": noisy[:c]}, c, 0.0))
    assert len(alone) < both
    assert stopping.reason is StopReason.PRECISE


def test_a_rule_asked_about_nothing_says_what_it_can():
    assert math.isnan(read([], 0.05).half_width)
    assert Stopping(rule()).facts([])["effective_samples"] == 0


# Coverage of the interval in the report, with the rule active


def normal(noise):
    return lambda rng, count: (1 + noise * rng.standard_normal(count), 1.0)


def log_normal(rng, count):
    return np.exp(0.3 * rng.standard_normal(count)), 1.0


def two_modes(rng, count):
    """70 % at 1 and 30 % at 1.3; the median is where 0.7 of the lower mode reaches one half."""
    modes = np.where(rng.random(count) < 0.7, 1.0, 1.3)
    return modes + 0.03 * rng.standard_normal(count), 1 + 0.03 * NormalDist().inv_cdf(0.5 / 0.7)


def correlated(rng, count):
    return 1 + 0.03 * ar1(rng, (count,)), 1.0


NOISES = {
    "normal 3 %": (normal(0.03), 0.93),
    "normal 10 %": (normal(0.10), 0.93),
    "log-normal": (log_normal, 0.93),
    "two modes": (two_modes, 0.93),
    "AR(1) 0.5": (correlated, 0.90),
}
SETTINGS = {
    "25 samples": {"max_samples": 25},
    "100 samples": {"max_samples": 100},
    "time for 20": {"max_samples": 100, "block_seconds": 19.5},
}


def coverage(draw, sampling, trials, level_of=lambda stopping, kept: stopping.facts(kept)):
    """The share of trials whose reported interval covers the median."""
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(trials):
        values, truth = draw(rng, sampling.max_samples)
        kept, stopping = run(values.tolist(), sampling)
        _, low, high, _ = median_interval(kept, level_of(stopping, kept)["interval_level"])
        covered += low <= truth <= high
    return covered / trials


@pytest.mark.parametrize("noise", NOISES)
def test_the_reported_interval_covers(noise):
    draw, least = NOISES[noise]
    assert coverage(draw, rule(max_samples=50), 300) >= least


@pytest.mark.long
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("noise", NOISES)
def test_the_reported_interval_covers_in_2000_trials(noise, settings):
    draw, least = NOISES[noise]
    assert coverage(draw, rule(**SETTINGS[settings]), 2000) >= least


def test_samples_that_resemble_each_other_would_not_be_covered_as_independent_ones():
    """The control: the same looks, the same error, but no effective sample size."""
    plain = coverage(
        correlated,
        rule(max_samples=50, target=1e-9, block_seconds=49.5),
        300,
        lambda *_: {"interval_level": 0.95},
    )
    assert plain < 0.90


def test_interval_at_no_correlation_is_the_plain_one():
    alternating = [1.0, 3.0] * 10  # negative correlation earns nothing
    assert interval(alternating, 0.05) == median_interval(alternating, 0.95)
