"""Where the scales go: up the slope of ||g||^2 in a box, at random, or to the best random draw.

None of them runs the model: ||g||^2 is known in closed form once the gradient is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.rescale.scaling import GradientNorm
from teleport_core.ascent import Ascent
from teleport_core.nullspace.growth import Climber, Plan
from teleport_core.nullspace.line import Seen
from teleport_core.phases import UPDATE
from teleport_core.results import Status

Step = Callable[[Tensor], Tensor | None]
"""From t = log tau to the next; None where there is no way up."""

PARAMETER = "log_tau"


def walk(norm: GradientNorm, step: Step, steps: int, cap: float) -> Ascent:
    """Take steps from t = 0, the cap tested before each as in Alg. 1 of the null-space paper."""
    t, norms, status = norm.start, [float(norm.at(norm.start))], Status.DONE
    for _ in range(steps):
        if norms[-1] >= cap:
            status = Status.CAPPED
            break
        with UPDATE:
            moved = step(t)
            reached = math.nan if moved is None else float(norm.at(moved))
        if moved is None or not math.isfinite(reached):
            status = Status.NO_ASCENT_DIRECTION if moved is None else Status.NON_FINITE
            break
        t = moved
        norms.append(reached)
    return _ended(status, t, norms)


def uphill(norm: GradientNorm, lr: float, bound: float) -> Step:
    """Projected gradient ascent on 1/2 ||g||^2 in the box |t| <= bound."""

    def step(t: Tensor) -> Tensor | None:
        slope = norm.slope(t)
        return (t + lr * slope).clamp(-bound, bound) if slope.any() else None

    return step


def drawn(norm: GradientNorm, sigma: float, seed: int) -> Callable[[], Tensor]:
    """Draws of t with tau from U[1 - sigma, 1 + sigma], independent, each from t = 0.

    Armenta et al. call these changes of basis intra-landscape, and sigma their range.
    """
    generator = torch.Generator("cpu").manual_seed(seed)

    def draw() -> Tensor:
        uniform = torch.rand(
            norm.start.shape, generator=generator, out=torch.empty_like(norm.start)
        )
        return (1 + sigma * (2 * uniform - 1)).log()

    return draw


def latest(draw: Callable[[], Tensor]) -> Step:
    """Each draw takes the place of the one before."""
    return lambda t: draw()


def best(draw: Callable[[], Tensor], score: Callable[[Tensor], float]) -> Step:
    """A draw takes the place of the one before where its score is higher."""

    def step(t: Tensor) -> Tensor:
        other = draw()
        return other if score(other) > score(t) else t

    return step


@dataclass
class BoxLine:
    """t = clamp(origin + s slope), whose end points growth looks for."""

    norm: GradientNorm
    bound: float

    def __post_init__(self) -> None:
        """Begin at t = 0."""
        self.t = self._origin = self._slope = self.norm.start

    def look(self) -> Seen:
        """||g||^2 at t."""
        return Seen.plain(float(self.norm.at(self.t)))

    def aim(self, *, first: bool) -> float | None:
        """Begin a step along the part of the slope that stays in the box; its squared norm."""
        del first
        slope = self.norm.slope(self.t)
        outwards = (self.t.abs() >= self.bound) & (slope.sign() == self.t.sign())
        self._origin, self._slope = self.t, slope.masked_fill(outwards, 0.0)
        return float(self._slope.square().sum()) or None

    def go(self, length: float) -> None:
        """Be at s = ``length``."""
        self.t = (self._origin + length * self._slope).clamp(-self.bound, self.bound)


def grown(norm: GradientNorm, plan: Plan, steps: int, bound: float) -> Ascent:
    """The first steps of a plan of how far ||g||^2 is to grow."""
    line = BoxLine(norm, bound)
    with UPDATE:
        ascent = Climber(line, plan).climb(steps)
    return _ended(ascent.status, line.t, ascent.grad_norm_sq, ascent.lrs)


def _ended(status: Status, t: Tensor, norms: list[float], lrs: list[float] | None = None) -> Ascent:
    taken = len(norms) - 1
    losses = [math.nan] * len(norms)
    parameters = {PARAMETER: t} if taken else None
    return Ascent(status, taken, parameters, None, losses, norms, lrs=lrs or [])
