"""Points of one exact step by its length, for growth and for other objectives than 1/2 ||g||^2."""

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.symmetry.actions import smallest_rank
from baselines.symmetry.search import Batch, Slope, Sweep, slope
from teleport_core.norms import squared_norm
from teleport_core.nullspace.line import Seen
from teleport_core.objectives.goal import Goal
from teleport_core.phases import UPDATE
from teleport_core.problem import Parameters


class OrbitLine:
    """apply(W, s dJ/dT) from where the step began; a curve, visited point by point.

    Attributes:
        parameters: where it stands.
        origin: where the step began.
        ranks: the smallest rank among the matrices that each step so far inverted.
    """

    def __init__(
        self, batch: Batch, sweeps: tuple[Sweep, Sweep], start: Parameters, goal: Goal | None
    ) -> None:
        self._batch, self._goal = batch, goal
        self._search, self._apply = sweeps
        self.parameters = self.origin = start
        self.ranks: list[Tensor] = []
        self._steps_before: list[Tensor] = []
        self._here: Slope | None = None
        self._derivatives: Sequence[Tensor] = ()

    def look(self) -> Seen:
        """J and ||g||^2 at the present point, the graph kept; NaN where the loss is not finite."""
        self._here = None
        matrices = list(self.parameters.values())
        self._here = slope(self._batch, self._search, matrices, goal=self._goal)
        return self._here.seen()

    def aim(self, *, first: bool) -> float | None:
        """Begin a step where ``look`` looked last; ||dJ/dT||^2, None where it is zero."""
        del first
        assert self._here is not None
        self._derivatives = self._here.derivative()
        self.origin, self._steps_before = self.parameters, self.ranks
        return float(squared_norm(self._derivatives)) or None

    def go(self, length: float) -> None:
        """Be where T = ``length`` dJ/dT leads from where the step began."""
        self.parameters, self.ranks = self.origin, self._steps_before
        if not length:
            return
        with UPDATE, torch.no_grad():
            T = [length * derivative for derivative in self._derivatives]
            swept = self._apply(list(self.origin.values()), T)
        self.ranks = [*self.ranks, smallest_rank(swept.inverted)]
        self.parameters = dict(zip(self.origin, swept.matrices, strict=True))
