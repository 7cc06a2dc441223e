"""The curve y = floor + scale x^exponent, profiled over its exponent.

Given the exponent, floor and scale are a non-negative least-squares problem in two unknowns with
a closed form, so that only the exponent is searched (variable projection, Golub and Pereyra 1973):
no starting values, the same answer every time. Residuals are logarithmic, because timing noise is
relative: a level of seconds must not drown a level of microseconds.

``log_x`` and ``log_y`` are arrays [levels]; centred ones keep the powers in range.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ZOOM_POINTS = 41
_MINIMUM_ZOOMS = 4
_EDGE_ZOOMS = 2
_NEWTON_STEPS = 2
_COLLINEAR = 1e-12


@dataclass(frozen=True)
class Curves:
    """The best multiples of several shapes, each on top of a floor; arrays [shapes]."""

    residual: Array  # sum of squared log residuals
    floor: Array  # >= 0, in the unit of exp(log_y)
    scale: Array  # >= 0, of the shape


@dataclass(frozen=True)
class Profile(Curves):
    """The curves that fit best at each of several exponents; arrays [exponents]."""

    exponent: Array


def fit_curves(growth: Array, log_y: Array) -> Curves:
    """Fit floor + scale growth[i] to exp(log_y), by Gauss-Newton on the log residuals.

    The first step, from the data themselves, minimises the relative residuals; each further one
    linearises the logarithm at the last curve. The best curve met is kept. The shapes ``growth``
    are positive, array [shapes, levels].
    """
    curve = np.broadcast_to(np.exp(log_y), growth.shape)
    target = np.ones_like(growth)
    least = np.full(len(growth), np.inf)
    best_floor, best_scale = np.zeros_like(least), np.zeros_like(least)
    for _ in range(1 + _NEWTON_STEPS):
        floor, scale = _nonnegative(1 / curve, growth / curve, target)
        curve = floor[:, None] + scale[:, None] * growth
        residual = log_y - np.log(curve)
        target = 1 + residual
        squares = _dot(residual, residual)
        better = squares < least
        least = np.where(better, squares, least)
        best_floor = np.where(better, floor, best_floor)
        best_scale = np.where(better, scale, best_scale)
    return Curves(least, best_floor, best_scale)


def profile(log_x: Array, log_y: Array, exponents: Array) -> Profile:
    """Fit floor and scale at each exponent."""
    growth = np.exp(np.multiply.outer(exponents, log_x))  # [exponents, levels]
    best = fit_curves(growth, log_y)
    return Profile(best.residual, best.floor, best.scale, exponents)


def minimum(log_x: Array, log_y: Array, coarse: Profile) -> Profile:
    """Narrow the best interval of a coarse profile down to one exponent.

    The interval shrinks 20-fold a zoom, to 1e-5 of the coarse step.
    """
    zoomed = coarse
    for _ in range(_MINIMUM_ZOOMS):
        grid, best = zoomed.exponent, int(zoomed.residual.argmin())
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        zoomed = profile(log_x, log_y, np.linspace(low, high, _ZOOM_POINTS))
    best = int(zoomed.residual.argmin())
    return profile(log_x, log_y, zoomed.exponent[best : best + 1])


def interval(
    log_x: Array, log_y: Array, coarse: Profile, centre: float, bound: float
) -> tuple[float, float]:
    """The lowest and the highest exponent whose residual is within ``bound``.

    The hull, where they are not connected; an end of the coarse grid, where there is no other.
    """
    grid = coarse.exponent
    accepted = grid[coarse.residual <= bound]
    low, high = accepted.min(initial=centre), accepted.max(initial=centre)
    below, above = grid[grid < low].max(initial=grid[0]), grid[grid > high].min(initial=grid[-1])
    return _edge(log_x, log_y, low, below, bound), _edge(log_x, log_y, high, above, bound)


def _edge(log_x: Array, log_y: Array, inside: float, outside: float, bound: float) -> float:
    for _ in range(_EDGE_ZOOMS):
        grid = np.linspace(inside, outside, _ZOOM_POINTS)
        accepted = profile(log_x, log_y, grid).residual <= bound
        last = int(np.flatnonzero(accepted).max(initial=0))
        inside, outside = grid[last], grid[min(last + 1, _ZOOM_POINTS - 1)]
    return float(inside)


def _nonnegative(constant: Array, growing: Array, target: Array) -> tuple[Array, Array]:
    """The floor and scale >= 0 with least |floor constant + scale growing - target|, row by row."""
    # All entries are positive, so at most one coefficient is negative without the constraint, and
    # setting it to 0 is the constrained optimum.
    cc, cg, gg = _dot(constant, constant), _dot(constant, growing), _dot(growing, growing)
    ct, gt = _dot(constant, target), _dot(growing, target)
    determinant = cc * gg - cg * cg
    distinct = determinant > _COLLINEAR * cc * gg  # x^0 is a second constant
    safe = np.where(distinct, determinant, 1.0)
    floor, scale = (gg * ct - cg * gt) / safe, (cc * gt - cg * ct) / safe
    only_growth = ~distinct | (floor < 0)
    only_floor = ~only_growth & (scale < 0)
    floor = np.where(only_growth, 0.0, np.where(only_floor, ct / cc, floor))
    scale = np.where(only_growth, gt / gg, np.where(only_floor, 0.0, scale))
    return floor, scale


def _dot(left: Array, right: Array) -> Array:
    product: Array = np.einsum("ij,ij->i", left, right)
    return product
