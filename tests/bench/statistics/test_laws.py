"""The law of a sweep by name: constant, log, linear and so on."""

import numpy as np
import pytest
from sweeps import DOUBLING, exact, fits, noisy

from bench.statistics.growth import fit_growth

LAWS = {
    "constant": lambda x: 1 + 0 * x,
    "log": lambda x: 0.3 + np.log2(2 * x),
    "linear": lambda x: 0.3 * 16 + x,
    "n log n": lambda x: 10 + x * np.log2(2 * x),
    "square": lambda x: 0.3 * 256 + x**2,
    "cube": lambda x: 0.3 * 16**3 + x**3,
    "falling": lambda x: 1 / (1 + x),
}


@pytest.mark.parametrize("law", LAWS)
def test_exact_law_is_named(law):
    times = 1e-3 * LAWS[law](np.array(DOUBLING))
    growth = fit_growth(DOUBLING, [[t] * 5 for t in times.tolist()])
    assert (growth.law, growth.rivals, growth.thin) == (law, (), "")
    assert (growth.constant_p < 0.01) == (law != "constant")


@pytest.mark.parametrize("law", ["log", "linear", "square", "cube"])
def test_noisy_law_is_named_or_a_rival(law):
    """Two percent noise; the law is among those that fit, and mostly the one that fits best."""
    rng = np.random.default_rng(4)
    times = LAWS[law](np.array(DOUBLING))
    found = []
    for _ in range(200):
        samples = times[:, None] * np.exp(0.02 * rng.standard_normal((8, 10)))
        found.append(fit_growth(DOUBLING, samples.tolist()))
    assert np.mean([g.law == law for g in found]) >= 0.9
    assert np.mean([law in (g.law, *g.rivals) for g in found]) >= 0.98


@pytest.mark.parametrize("exponent", [0.5, 1.5, 2.5])
def test_another_power_is_called_one(exponent):
    grown = fits(exponent, 100)
    assert np.mean([g.law == "power" for g in grown]) >= 0.9


def test_neighbouring_laws_are_rivals_where_the_noise_hides_their_difference():
    grown = [g for g in fits(0.5, 60, noise=0.1, levels=5) if g.rivals]
    assert len(grown) > 15
    assert not any(g.law in g.rivals for g in grown)
    assert not any(g.rivals for g in fits(1.0, 20, noise=0.001))


def test_a_slope_that_is_neither_sure_nor_excluded_is_undecided():
    x, samples = noisy(np.random.default_rng(5), 1.0, share=0.2, noise=0.2, levels=4)
    growth = fit_growth(x, samples)
    assert 0.01 < growth.constant_p < 0.05
    assert growth.law == "undecided"
    assert growth.exponent > 0.5  # the best guess, with an interval that contains 0
    assert growth.ci_low <= 0 < growth.exponent <= growth.ci_high


@pytest.mark.parametrize(
    ("levels", "thin"),
    [
        ([1, 2, 8], "3 levels over a factor of 8, a law takes 4 over a factor of 8"),
        ([2, 3, 4, 6, 8], "5 levels over a factor of 4, a law takes 4 over a factor of 8"),
        ([1, 2, 4, 8], ""),
    ],
)
def test_thin_levels_have_no_law(levels, thin):
    growth = fit_growth(levels, exact(levels, 1.0, 0.1, 1.0))
    assert growth.thin == thin
    assert growth.law == ("" if thin else "linear")
    assert growth.exponent == pytest.approx(1.0, abs=1e-3)  # an indication all the same
    assert growth.constant_p < 0.01
