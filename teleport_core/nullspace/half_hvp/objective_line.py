"""The same line for any objective: the gradient is formed, and R{.} goes along v = dJ/dg.

Beside what 1/2 ||g||^2 takes, a step has two more products a layer, G = D X^T and V X; D M, which
V X takes the place of, falls away.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from teleport_core.norms import square_sum
from teleport_core.nullspace.half_hvp.layer import FrozenLayer
from teleport_core.nullspace.half_hvp.line import FrozenLine
from teleport_core.nullspace.half_hvp.schedule import Schedule
from teleport_core.nullspace.line import Seen
from teleport_core.objectives.goal import Goal
from teleport_core.phases import BACKWARD
from teleport_core.problem import Parameters, Problem


class ObjectiveLine(FrozenLine):
    """The weights along D (P R{X})^T; ``biases`` has the name of each layer's bias that counts."""

    def __init__(
        self, schedule: Schedule, problem: Problem, goal: Goal, biases: Sequence[str | None]
    ) -> None:
        super().__init__(schedule)
        self._problem, self._goal = problem, goal
        self._named = list(zip(schedule.layers, biases, strict=True))
        known = {name for layer, bias in self._named for name in (layer.name, bias)}
        own = problem.detached()
        # The gradients of what the model does not use, and those of the last layer, stay.
        self._constant = {n: torch.zeros_like(own[n]) for n in problem.counted() if n not in known}
        self._constant |= _gradients(*self._named[-1])

    def look(self) -> Seen:
        """J and ||g||^2 at the present weights, by one pass down."""
        with BACKWARD:
            self._schedule.pass_down()
            gradient = dict(self._constant)
            for layer, bias in self._named[:-1]:
                gradient |= _gradients(layer, bias)
            norm_sq = float(torch.stack([*map(square_sum, gradient.values())]).sum())
            value, slope = self._goal.look(gradient, self._problem.detached())
            for layer, bias in self._named[:-1]:
                layer.move_along(slope.get(layer.name), None if bias is None else slope[bias])
        return Seen(value, norm_sq)


def _gradients(layer: FrozenLayer, bias: str | None) -> Parameters:
    """By name, of what counts."""
    of_weight, of_bias = layer.gradients()
    found: dict[str, Tensor] = {}
    if of_weight is not None:
        found[layer.name] = of_weight
    if of_bias is not None and bias is not None:
        found[bias] = of_bias
    return found
