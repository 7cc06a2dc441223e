"""Which law a sweep follows: constant, log, linear, n log n, square or cube, above a floor.

Every growing law is T(x) = floor + scale g(x) with two coefficients >= 0, fitted to logarithms as
in ``bench.power_law``; the logarithms in g count doublings from the lowest level on. With equally
many coefficients the corrected Akaike criterion ranks them by their residual alone. A constant has
one coefficient less, and there the criterion is not asked: it would call one constant sweep in
twenty growing. Constant is the null hypothesis, to be rejected by a test (``bench.scaling``).
"""

from typing import NamedTuple

import numpy as np

from bench.power_law import Array, fit_curves

CONSTANT = "constant"
FALLING = "falling"
UNDECIDED = "undecided"  # constant is not rejected, and growth that matters is not excluded
GROWING = ("log", "linear", "n log n", "square", "cube")
ALIKE = 2.0  # laws whose criterion differs by less cannot be told apart (Burnham and Anderson 2002)

_EXACT = 1e-24  # squared residual of rounding


class Law(NamedTuple):
    """The law that fits best, and the others that fit nearly as well."""

    name: str
    rivals: tuple[str, ...]


def best_law(log_x: Array, log_y: Array, noise: Array) -> Law:
    """The growing law that a sweep follows.

    Args:
        log_x: logarithms of the levels, ascending or not, array [levels].
        log_y: logarithms of the medians.
        noise: variance of each of them, as far as it is known; residuals below it say nothing.
    """
    ratio = np.exp(log_x - log_x.min())
    doublings = 1 + np.log2(ratio)
    growth = np.stack([doublings, ratio, ratio * doublings, ratio**2, ratio**3])
    residual = fit_curves(growth, log_y).residual
    count = len(log_x)
    unseen = float(noise.sum()) * max(count - 2, 1) / count
    criterion = count * np.log(np.maximum(residual, unseen + _EXACT))
    order = np.lexsort((residual, criterion))
    alike = [GROWING[i] for i in order[1:] if criterion[i] - criterion[order[0]] < ALIKE]
    return Law(GROWING[order[0]], tuple(alike))
