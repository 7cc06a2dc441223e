"""Sweeps whose law is known, exact and with noise, and how often their fits are right."""

import numpy as np

from bench.statistics.growth import fit_growth

DOUBLING = [2.0**k for k in range(8)]
SWEEPS = 500


def exact(levels, exponent, floor, scale):
    return [[floor + scale * x**exponent] * 5 for x in levels]


def noisy(rng, exponent, *, share, noise=0.05, scatter=0.0, count=10, levels=8):
    """A sweep whose floor is ``share`` of the middle level; noise per sample, scatter per level."""
    x = 2.0 ** np.arange(levels)
    floor = share / (1 - share) * x[levels // 2] ** exponent
    seconds = 1e-3 * (floor + x**exponent) * np.exp(scatter * rng.standard_normal(levels))
    spread = np.broadcast_to(noise, levels)[:, None] * rng.standard_normal((levels, count))
    return x.tolist(), (seconds[:, None] * np.exp(spread)).tolist()


def fits(exponent, sweeps=SWEEPS, **sweep):
    """Fits of many sweeps, with floors from nothing to 30 % of the middle level."""
    rng = np.random.default_rng(round(100 * exponent))
    return [
        fit_growth(*noisy(rng, exponent, share=rng.uniform(0, 0.3), **sweep)) for _ in range(sweeps)
    ]


def coverage(grown, exponent):
    return np.mean([g.ci_low <= exponent <= g.ci_high for g in grown])


def near(grown, exponent):
    return np.mean([abs(g.exponent - exponent) <= 0.05 for g in grown])


def called_growing(grown):
    return np.mean([g.ci_low > 0 for g in grown])
