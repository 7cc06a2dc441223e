"""Growth fitted to sweeps whose law is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweeps import DOUBLING, SWEEPS, called_growing, coverage, exact, fits, near, noisy

from bench.statistics.growth import EXPONENT_RANGE, PHASES, Growth, fit_growth
from bench.statistics.power_law import fit_curves

# Exact laws


@pytest.mark.parametrize("floor", [0.0, 1e-3, 0.2])
@pytest.mark.parametrize("exponent", [-0.5, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_exact_sweep_is_recovered(exponent, floor):
    growth = fit_growth(DOUBLING, exact(DOUBLING, exponent, floor, 5e-3))
    assert growth.exponent == pytest.approx(exponent, abs=1e-4)
    assert growth.floor_s == pytest.approx(floor, abs=1e-5)
    assert growth.scale == pytest.approx(5e-3, rel=1e-3)
    assert growth.ci_high - growth.ci_low < 1e-3
    assert (growth.levels, growth.reason) == (8, "")


def test_levels_need_not_double_or_be_sorted():
    levels = [9.0, 1.0, 5.0, 3.0, 7.0]
    growth = fit_growth(levels, exact(levels, 1.0, 2.0, 0.5))
    assert growth[:5] == pytest.approx((1.0, 1.0, 1.0, 2.0, 0.5), abs=1e-3)


def test_floor_pulls_the_slope_down_and_leaves_the_exponent():
    growth = fit_growth(DOUBLING, exact(DOUBLING, 1.0, 7.0, 1.0))
    assert growth.slope < 0.7
    assert growth.exponent == pytest.approx(1.0, abs=1e-4)


def test_slope_worked_example():
    """log2 y = 0, 0, 2 at log2 x = 0, 1, 2: slope 1, residuals 1/3, -2/3, 1/3, t(1) = 12.706."""
    growth = fit_growth([1, 2, 4], [[1.0, 1.0], [1.0, 1.0], [4.0, 4.0]])
    half = 12.7062 * math.sqrt(2 / 3 / 2)
    assert growth[5:8] == pytest.approx((1.0, 1.0 - half, 1.0 + half), abs=1e-3)


@pytest.mark.parametrize("time", [0.25, 0.1, 1 / 3, 7e-5, 3e3])
@pytest.mark.parametrize("count", range(3, 9))
def test_constant_is_all_floor_with_exponent_zero(time, count):
    growth = fit_growth(DOUBLING[:count], [[time] * 3] * count)
    assert (growth.exponent, growth.scale) == (0, 0)
    assert growth.floor_s == pytest.approx(time, rel=1e-12)
    assert growth[1:3] == growth[6:8] == pytest.approx((0, 0), abs=1e-11)


def test_rounding_is_not_growth():
    """The mean of equal logarithms is off by rounding; without noise that would be all there is."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        levels = [1, *(rng.permutation(99)[: rng.integers(2, 13)] + 2).tolist()]
        growth = fit_growth(levels, [[rng.uniform(1e-6, 1)] * 2] * len(levels))
        assert growth.exponent == 0, levels


# Intervals from the samples alone: medians that lie exactly on the law leave no residual

NOISE = [0.1, 0.3, 0.2, 0.1, 0.1, 0.2, 0.1, 0.4]


def around(medians, relative):
    """Three samples a level, whose outer two stand ``relative`` in log time from the median."""
    return [[m * math.exp(-r), m, m * math.exp(r)] for m, r in zip(medians, relative, strict=True)]


def standard_errors(relative):
    """x_(1) and x_(3) cover the median at 75 %, which is +- 1.1503 standard errors."""
    return np.array(relative) / 1.1503


def test_slope_interval_without_residual_is_the_noise_of_its_levels():
    growth = fit_growth(DOUBLING, around(DOUBLING, NOISE))
    weights = np.log(DOUBLING) - np.log(DOUBLING).mean()
    error = np.linalg.norm(weights * standard_errors(NOISE)) / (weights @ weights)
    assert growth.slope_high - growth.slope == pytest.approx(2.4469 * error, rel=1e-3)  # t(6)


@pytest.mark.parametrize(("count", "quantile"), [(3, 12.7062), (4, 1.95996), (8, 1.95996)])
def test_exponent_interval_without_residual_is_the_delta_method(count, quantile):
    """Three levels are charged the t of one degree of freedom for the scatter nobody sees."""
    x, small = np.array(DOUBLING[:count]), 2e-3 * np.array(NOISE[:count])
    curve = 3 + x**1.5
    jacobian = np.stack([x**1.5 * np.log(x), x**1.5, np.ones(count)], axis=1) / curve[:, None]
    half = quantile * np.linalg.norm(np.linalg.pinv(jacobian)[0] * standard_errors(small))
    growth = fit_growth(x.tolist(), around(curve.tolist(), small))
    assert growth.exponent == pytest.approx(1.5, abs=1e-5)
    assert growth.exponent - growth.ci_low == pytest.approx(half, rel=0.02, abs=4e-5)
    assert growth.ci_high - growth.exponent == pytest.approx(half, rel=0.02, abs=4e-5)


def test_level_of_one_sample_has_the_noise_of_one_sample():
    samples = around(DOUBLING, [0.1] * 8)
    full = fit_growth(DOUBLING, samples)
    single = fit_growth(DOUBLING, [*samples[:7], [samples[7][1]]])
    weights = (np.log(DOUBLING) - np.log(DOUBLING).mean()) ** 2
    wider = math.sqrt((weights[:7].sum() + 3 * weights[7]) / weights.sum())
    assert single.slope_high - single.slope == pytest.approx(wider * (full.slope_high - full.slope))


def test_clear_slope_is_never_called_constant():
    """Four noisy levels: the F test with 2 and 1 degrees of freedom alone would not see growth."""
    growth = fit_growth(DOUBLING[:4], around(DOUBLING[:4], [0.1] * 4))
    assert growth.slope_low > 0.5
    assert growth.exponent == pytest.approx(1.0, abs=1e-4)
    assert growth.ci_low <= 1.0 <= growth.ci_high


def test_residual_is_as_small_as_a_general_optimiser_finds_it():
    from scipy.optimize import least_squares

    for seed in range(5):
        x, samples = noisy(np.random.default_rng(seed), 1.5, share=0.3, noise=0.3)
        log_x, log_y = np.log(x), np.log(np.median(samples, axis=1))

        def residual(p, log_x=log_x, log_y=log_y):
            return np.logaddexp(p[0], p[1] + p[2] * log_x) - log_y

        starts = [(-5.0, -7.0, e) for e in (0.5, 1.0, 1.5, 2.0, 3.0)]
        best = min(2 * least_squares(residual, start, xtol=1e-12).cost for start in starts)
        g = fit_growth(x, samples)
        ours = np.log(g.floor_s + g.scale * np.power(x, g.exponent)) - log_y
        assert ours @ ours <= best * (1 + 1e-6)


def test_units_of_time_and_of_the_axis_do_not_matter():
    x, samples = noisy(np.random.default_rng(1), 2.0, share=0.3)
    growth = fit_growth(x, samples)
    scaled = fit_growth([1000 * v for v in x], [[1e-6 * s for s in times] for times in samples])
    assert scaled[:3] == pytest.approx(growth[:3], abs=1e-5)
    assert scaled[5:8] == pytest.approx(growth[5:8])
    assert scaled.floor_s == pytest.approx(1e-6 * growth.floor_s, rel=1e-4)
    assert scaled.scale == pytest.approx(1e-6 * growth.scale / 1000**growth.exponent, rel=1e-3)


def test_outliers_do_not_move_it():
    rng = np.random.default_rng(2)
    x, samples = noisy(rng, 1.0, share=0.2)
    slow = [[*times, 50 * max(times), min(times)] for times in samples]
    clean, dirty = fit_growth(x, samples), fit_growth(x, slow)
    assert dirty.exponent == pytest.approx(clean.exponent, abs=1e-6)
    assert dirty.ci_high - dirty.ci_low < 2 * (clean.ci_high - clean.ci_low)


def test_last_level_alone_rising_leaves_the_exponent_unbounded_above():
    growth = fit_growth(DOUBLING[:5], [[1.0, 1.01, 0.99]] * 4 + [[2.0, 2.02, 1.98]])
    assert growth.ci_high == EXPONENT_RANGE[1]
    assert growth.ci_low > 1


@pytest.mark.parametrize("count", [3, 4])
def test_few_levels_get_wide_intervals(count):
    """Little or nothing shows how levels scatter, so the t of one degree of freedom is charged."""
    widths = [
        np.median([g.ci_high - g.ci_low for g in fits(1.0, 30, levels=levels)])
        for levels in (count, 8)
    ]
    assert widths[0] > 5 * widths[1]


def test_interval_contains_zero_unless_constant_is_rejected():
    grown = fits(0.0, noise=0.01, scatter=0.05)
    kept = [g for g in grown if g.constant_p >= 0.01]
    assert len(kept) > 450
    assert all(g.ci_low <= 0 <= g.ci_high for g in kept)
    assert np.mean([g.exponent == 0 for g in kept]) > 0.9
    assert any(g.slope_low > 0 for g in kept)  # what the plain interval would have said


# What cannot be fitted


@pytest.mark.parametrize(
    ("levels", "samples", "reason"),
    [
        ([], [], "growth takes 3 levels, 0 measured"),
        ([1, 2], [[1.0], [2.0]], "growth takes 3 levels, 2 measured"),
        ([1, 2, 4], [[1.0], [2.0], []], "growth takes 3 levels, 2 measured"),
        ([1, 2, 2, 4], [[1.0]] * 4, "levels must differ, 2 comes more than once"),
        ([8, 8, 8], [[1.0]] * 3, "levels must differ, 8 comes more than once"),
        ([4, 5, 6, 7], [[1.0]] * 4, "levels from 4 to 7 span less than a factor of 2"),
        ([0, 1, 2], [[1.0]] * 3, "levels must be positive and finite, one is 0"),
        ([1, 2, math.inf], [[1.0]] * 3, "levels must be positive and finite, one is inf"),
        ([1, 2, 4], [[1.0], [0.0, 1.0], [1.0]], "samples must be positive and finite, level 2 has"),
        ([1, 2, 4], [[1.0], [1.0], [math.nan]], "samples must be positive and finite, level 4 has"),
        ([1, 2, 4], [[1.0], [2.0], [4.0]], "3 levels of one sample each do not show their noise"),
    ],
)
def test_reason_says_why_the_numbers_are_nan(levels, samples, reason):
    growth = fit_growth(levels, samples)
    assert growth.reason.startswith(reason)
    assert all(math.isnan(number) for number in growth[:8])
    assert growth.levels == sum(1 for times in samples if times)


def test_failed_levels_are_left_out():
    samples = exact(DOUBLING, 1.0, 0.1, 1.0)
    without = fit_growth(DOUBLING[:6], samples[:6])
    assert fit_growth(DOUBLING, [*samples[:6], [], []]) == without
    assert without.levels == 6


def test_lists_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"one list of samples for each level; got 3 levels and 1"):
        fit_growth([1, 2, 4], [[1.0]])
    with pytest.raises(ValueError, match=r"got 95: write 0.95"):
        fit_growth([1, 2, 4], [[1.0]] * 3, level=95)


seconds = st.floats(1e-7, 1e4)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 10**6), min_size=3, max_size=9, unique=True),
    st.lists(st.lists(seconds, min_size=2, max_size=6), min_size=9, max_size=9),
)
def test_any_timings_give_sane_numbers_or_a_reason(levels, samples):
    growth = fit_growth(levels, samples[: len(levels)])
    if growth.reason:
        return
    assert all(map(math.isfinite, growth[:8]))
    assert growth.ci_low <= growth.exponent <= growth.ci_high
    assert growth.slope_low <= growth.slope <= growth.slope_high
    assert growth.floor_s >= 0
    assert growth.scale >= 0
    assert growth.floor_s + growth.scale > 0


# Simulated sweeps: 8 doubling levels, 10 samples a level with 5 % noise


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_exponents_are_found_and_covered(exponent):
    grown = fits(exponent)
    assert near(grown, exponent) >= 0.95
    assert coverage(grown, exponent) >= 0.93
    assert np.median([g.ci_high - g.ci_low for g in grown]) < 0.15  # covers, yet says something


@pytest.mark.parametrize(
    "sweep",
    [
        {},
        {"noise": 0.01, "scatter": 0.05},
        {"noise": 0.02, "scatter": 0.02, "count": 7},
        {"noise": 0.01, "scatter": 0.05, "levels": 5},
        {"noise": 0.01, "scatter": 0.05, "levels": 12},
    ],
)
def test_constant_time_is_not_called_growing(sweep):
    grown = fits(0.0, **sweep)
    assert called_growing(grown) <= 0.01
    assert np.mean([g.law not in ("constant", "undecided", "falling") for g in grown]) <= 0.01
    assert np.mean([g.constant_p < 0.01 for g in grown]) <= 0.02
    assert coverage(grown, 0.0) >= 0.93


def test_an_information_criterion_alone_would_call_constant_time_growing():
    """The control: AICc of the best growing law against that of the constant."""
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(SWEEPS):
        x, samples = noisy(rng, 0.0, share=0.0, noise=0.01, scatter=0.05)
        log_x, log_y = np.log(x), np.log(np.median(samples, axis=1))
        ratio = np.exp(log_x - log_x.min())
        growth = np.stack([1 + np.log2(ratio), ratio, ratio**2, ratio**3])
        best = fit_curves(growth, log_y).residual.min()
        spread = log_y - log_y.mean()
        least, most = (8 * math.log(rss / 8) for rss in (best, spread @ spread))
        called += least + 2 * 3 + 24 / 4 < most + 2 * 2 + 12 / 5
    assert called / SWEEPS > 0.03


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_floor_at_its_largest(exponent):
    rng = np.random.default_rng(3)
    grown = [fit_growth(*noisy(rng, exponent, share=0.3)) for _ in range(SWEEPS)]
    assert near(grown, exponent) >= 0.95
    assert coverage(grown, exponent) >= 0.93


def test_plain_slope_would_miss():
    """The control: without a floor in the model, most sweeps with one are read wrong."""
    missed = np.mean([abs(g.slope - 1.0) > 0.05 for g in fits(1.0, 100)])
    assert missed > 0.7


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_scatter_between_levels_is_in_the_interval(exponent):
    """5 % scatter a level, which 10 samples of 1 % noise do not show: the residuals must."""
    grown = fits(exponent, 200, noise=0.01, scatter=0.05)
    assert coverage(grown, exponent) >= 0.91  # nominal 95 %, 200 sweeps: 2.6 standard errors


@pytest.mark.parametrize("noisy_level", [0, 7])
@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_one_noisy_level_is_in_the_interval(exponent, noisy_level):
    noise = np.full(8, 0.05)
    noise[noisy_level] = 0.2
    assert coverage(fits(exponent, 200, noise=noise), exponent) >= 0.93


def test_shape_is_the_one_the_tables_read():
    assert PHASES == ("prepare", "steps", "total")
    fields = (
        "exponent ci_low ci_high floor_s scale slope slope_low slope_high levels reason "
        "constant_p law rivals thin"
    )
    assert Growth._fields == tuple(fields.split())
