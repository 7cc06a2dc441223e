"""The level set, or the set below it, and the step that the linear model takes on it."""

import math
from dataclasses import dataclass

from baselines.level_set.point import Model


@dataclass(frozen=True)
class Level:
    """{w: f(w) = f_0}, or {w: f(w) <= f_0}.

    Attributes:
        loss: f_0.
        sublevel: whether the loss may fall.
    """

    loss: float
    sublevel: bool

    def violation(self, loss: float) -> float:
        """|f - f_0|, or max(f - f_0, 0)."""
        excess = loss - self.loss
        return max(excess, 0.0) if self.sublevel else abs(excess)

    def normal_step(self, model: Model, rho: float) -> float:
        """The v of the step d = rho q - v g that solves the subproblem.

        maximise <q, d> - ||d||^2 / (2 rho) subject to f - f_0 + <g, d> = 0, or <= 0.
        """
        v = self.on_level(model, rho)
        return max(v, 0.0) if self.sublevel else v

    def on_level(self, model: Model, rho: float) -> float:
        """The same where the loss has to stay: (rho <q, g> + f - f_0) / G."""
        return rho * model.multiplier + (model.loss - self.loss) / model.norm_sq


def merit(norm_sq: float, penalty: float) -> float:
    """1/2 log ||g||^2 minus a penalty; minus infinity where there is no gradient."""
    return 0.5 * math.log(norm_sq) - penalty if norm_sq > 0 else -math.inf
