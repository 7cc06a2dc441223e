"""Test functions of optimisation f(x, y), with their minima and where the papers start.

Booth, Rosenbrock and the ellipse are u^2 + v^2 in a chart (u, v) of the plane (Zhao et al. 2022,
arXiv 2205.10637), so that rotations of (u, v) keep them.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]


class Chart(NamedTuple):
    """Coordinates (u, v) of the plane in which f = u^2 + v^2.

    Attributes:
        into: [2, ...] to the same, (x, y) to (u, v).
        back: its inverse.
    """

    into: Map
    back: Map


class PlaneFunction(NamedTuple):
    """A function of the plane.

    Attributes:
        value: f, of one point [2] a scalar, of many [2, ...] one each.
        minimum: its smallest value, at
        minimisers: these points.
        start: where the papers start.
        chart: where it is a sum of two squares.
    """

    value: Map
    minimum: float
    minimisers: tuple[tuple[float, float], ...]
    start: tuple[float, float]
    chart: Chart | None = None


def _of_squares(
    into: Map, back: Map, minimiser: tuple[float, float], start: tuple[float, float]
) -> PlaneFunction:
    def value(point: Tensor) -> Tensor:
        return into(point).square().sum(0)

    return PlaneFunction(value, 0.0, (minimiser,), start, Chart(into, back))


def _booth_into(point: Tensor) -> Tensor:
    x, y = point
    return torch.stack([x + 2 * y - 7, 2 * x + y - 5])


def _booth_back(uv: Tensor) -> Tensor:
    u, v = uv
    return torch.stack([-u / 3 + 2 * v / 3 + 1, 2 * u / 3 - v / 3 + 3])


def _rosenbrock_into(point: Tensor) -> Tensor:
    x, y = point
    return torch.stack([10 * (x**2 - y), x - 1])


def _rosenbrock_back(uv: Tensor) -> Tensor:
    u, v = uv
    return torch.stack([v + 1, (v + 1) ** 2 - u / 10])


def _ellipse_into(point: Tensor) -> Tensor:
    x, y = point
    return torch.stack([x, 3 * y])


def _ellipse_back(uv: Tensor) -> Tensor:
    u, v = uv
    return torch.stack([u, v / 3])


def goldstein_price(point: Tensor) -> Tensor:
    """Goldstein and Price (1971); three local minima beside the one at (0, -1)."""
    x, y = point
    first = 19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2
    second = 18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2
    value: Tensor = (1 + (x + y + 1) ** 2 * first) * (30 + (2 * x - 3 * y) ** 2 * second)
    return value


def beale(point: Tensor) -> Tensor:
    """Beale (1958): three residuals in two variables, hence without a chart of this kind."""
    x, y = point
    residuals = [c + x * (y**k - 1) for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))]
    return torch.stack(residuals).square().sum(0)


def hyperbola(point: Tensor) -> Tensor:
    """1/2 (ab - 1)^2 + 0.05 (a^2 + b^2): the smallest net, with the decay that bounds ||g||."""
    a, b = point
    value: Tensor = (a * b - 1) ** 2 / 2 + 0.05 * point.square().sum(0)
    return value


_ROOT = 0.9**0.5

FUNCTIONS = {
    "booth": _of_squares(_booth_into, _booth_back, (1.0, 3.0), (5.0, -5.0)),
    "rosenbrock": _of_squares(_rosenbrock_into, _rosenbrock_back, (1.0, 1.0), (-1.0, -1.0)),
    "ellipse": _of_squares(_ellipse_into, _ellipse_back, (0.0, 0.0), (8.0, -2.0)),
    "goldstein_price": PlaneFunction(goldstein_price, 3.0, ((0.0, -1.0),), (0.0, 0.0)),
    "beale": PlaneFunction(beale, 0.0, ((3.0, 0.5),), (1.0, 1.0)),
    "hyperbola": PlaneFunction(hyperbola, 0.095, ((_ROOT, _ROOT), (-_ROOT, -_ROOT)), (2.0, 1.5)),
}
"""By the names that ``problem_of`` takes."""
