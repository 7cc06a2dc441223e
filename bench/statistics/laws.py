"""Which law a sweep follows: constant, log, linear, n log n, square, cube, or another power.

Every growing law is T(x) = floor + scale g(x) with two coefficients >= 0, fitted to logarithms as
in ``power_law``; the logarithms in g count doublings from the lowest level on. The corrected
Akaike criterion chooses among them and the power law, which pays for its exponent. A constant has
one coefficient less, and there the criterion is not asked: it would call one constant sweep in
twenty growing. Constant is the null hypothesis, to be rejected by a test (``growth``).
Source: K. P. Burnham and D. R. Anderson, Model Selection and Multimodel Inference, 2nd ed., 2.4.
"""

from typing import NamedTuple

import numpy as np

from bench.statistics.power_law import Array, fit_curves

CONSTANT = "constant"
FALLING = "falling"
POWER = "power"  # none of the laws with a name; the exponent says which
UNDECIDED = "undecided"  # constant is not rejected, and growth that matters is not excluded
GROWING = ("log", "linear", "n log n", "square", "cube")
ALIKE = 2.0  # laws whose criterion differs by less cannot be told apart

_LEVELS_FOR_POWER = 5  # with fewer the correction of the criterion has no denominator left
_EXACT = 1e-24  # squared residual of rounding


class Law(NamedTuple):
    """The law that fits best, and the others that fit nearly as well."""

    name: str
    rivals: tuple[str, ...]


def best_law(log_x: Array, log_y: Array, noise: Array, free: float) -> Law:
    """The growing law that a sweep follows; arrays [levels], ascending or not.

    ``noise`` is the variance of each log median, as far as it is known: residuals below it say
    nothing. ``free`` is the squared residual of the power law with a free exponent.
    """
    ratio = np.exp(log_x - log_x.min())
    doublings = 1 + np.log2(ratio)
    growth = np.stack([doublings, ratio, ratio * doublings, ratio**2, ratio**3])
    residual = fit_curves(growth, log_y).residual
    criterion = _criterion(residual, noise, 2)
    order = np.lexsort((residual, criterion))
    best = float(criterion[order[0]])
    alike = [GROWING[i] for i in order if criterion[i] - best < ALIKE]
    if len(log_x) > _LEVELS_FOR_POWER:
        power = float(_criterion(np.array([free]), noise, 3)[0])
        if power < best:
            return Law(POWER, tuple(alike) if best - power < ALIKE else ())
    return Law(alike[0], tuple(alike[1:]))


def _criterion(residual: Array, noise: Array, coefficients: int) -> Array:
    """AICc of curves with so many coefficients; the variance counts as one more."""
    count, k = len(noise), coefficients + 1
    unseen = float(noise.sum()) * max(count - coefficients, 1) / count
    penalty = 2 * k + 2 * k * (k + 1) / max(count - k - 1, 0.5)
    criterion: Array = count * np.log(np.maximum(residual, unseen + _EXACT)) + penalty
    return criterion
