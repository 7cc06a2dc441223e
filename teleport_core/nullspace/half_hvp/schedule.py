"""All steps of one batch over a frozen forward pass, as one static sequence of operations.

A step is one pass down for D and one pass up for R{X}, then the projection; it is written into
the model during the next pass down, each weight just before it is read again. Whether a step is
taken is up to a ``Decision``; nothing else depends on values, so that with a decision on the
device the sequence can be captured once and replayed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from teleport_core.nullspace.half_hvp.cap_rule import Decision
from teleport_core.nullspace.half_hvp.gradients import GradientsTogether
from teleport_core.nullspace.half_hvp.layer import FrozenLayer
from teleport_core.nullspace.half_hvp.projection import Movers
from teleport_core.phases import BACKWARD, PROJECTION, TANGENT, UPDATE


@dataclass
class Schedule:
    """What the steps of one batch need.

    Attributes:
        layers: of the stack, in order.
        movers: those of them that move.
        gradients: all but the last, whose part of ||g||^2 changes.
        top_norm_sq: the last layer's part of ||g||^2, which never changes.
        steps: at most so many.
    """

    layers: list[FrozenLayer]
    movers: Movers
    gradients: Sequence[FrozenLayer | GradientsTogether]
    top_norm_sq: Tensor
    lr: float
    steps: int

    def __post_init__(self) -> None:
        """Find each layer's mover once."""
        self._writers = {
            layer.name: (mover, number)
            for mover in self.movers
            for number, layer in enumerate(mover.layers)
        }

    def run(self, decision: Decision) -> None:
        """Algorithm 1, lines 5-11; the weights are written as it goes."""
        pending = None
        for step in range(self.steps):
            with BACKWARD:
                norm_sq = self._down(pending)
            pending = None
            if not decision.go_on(step, norm_sq):
                break
            if not self.aim(decision, first=step == 0):
                break
            pending = decision
        if pending is not None:
            with UPDATE:
                for mover in self.movers:
                    for number, layer in enumerate(mover.layers):
                        mover.write(number, self.lr, layer.D, decision.admit)

    def grad_norm_sq(self) -> Tensor:
        """||g||^2 at the present weights."""
        return self._down(None)

    def pass_down(self) -> None:
        """D of every layer at the present weights."""
        for lower, upper in zip(self.layers[-2::-1], self.layers[:0:-1], strict=True):
            lower.take_gradient_from(upper)

    def aim(self, decision: Decision, *, first: bool) -> bool:
        """The step from where D was taken; False where the first of all is nothing but rounding."""
        with TANGENT:
            for lower, upper in pairwise(self.layers):
                lower.push_tangent_to(upper)
        with PROJECTION:
            return self._project(decision, first=first)

    def _down(self, pending: Decision | None) -> Tensor:
        """D of every layer at the present weights, and ||g||^2; a pending step is written first."""
        for lower, upper in zip(self.layers[-2::-1], self.layers[:0:-1], strict=True):
            if pending is not None and upper.name in self._writers:
                mover, number = self._writers[upper.name]
                with UPDATE:
                    mover.write(number, self.lr, upper.D_before, pending.admit)
            lower.take_gradient_from(upper)
        norm_sq = self.top_norm_sq
        for each in self.gradients:
            norm_sq = norm_sq + each.gradient_norm_sq()
        return norm_sq

    def _project(self, decision: Decision, *, first: bool) -> bool:
        """The free part of every tangent; False where the first of all is nothing but rounding."""
        for mover in self.movers:
            mover.form()
        whole = [mover.norms() for mover in self.movers] if first else []
        for mover in self.movers:
            mover.project()
        if not first:
            return True
        return decision.has_direction([mover.norms() for mover in self.movers], whole)
