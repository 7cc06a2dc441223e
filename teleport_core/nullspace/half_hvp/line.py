"""One step of any length over a frozen forward pass: what growth needs of a schedule."""

from math import inf

import torch
from torch import Tensor

from teleport_core.norms import squared_norm
from teleport_core.nullspace.half_hvp.cap_rule import HostDecision
from teleport_core.nullspace.half_hvp.schedule import Schedule
from teleport_core.nullspace.line import Seen
from teleport_core.phases import BACKWARD, UPDATE
from teleport_core.torch_private import copy_all


class FrozenLine:
    """The weights along D (P R{X})^T.

    They are written from a copy of where the step began, so that trials leave no rounding behind.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._step: list[tuple[Tensor, Tensor]] = []
        self._origin: list[Tensor] = []

    def look(self) -> Seen:
        """||g||^2 at the present weights, by one pass down."""
        with BACKWARD:
            return Seen.plain(float(self._schedule.grad_norm_sq()))

    def aim(self, *, first: bool) -> float | None:
        """Begin a step where ``look`` looked last; ||U||^2, None where the first is rounding."""
        if not self._schedule.aim(HostDecision(inf), first=first):
            return None
        with UPDATE:
            self._step = [
                pair
                for mover in self._schedule.movers
                for number in range(len(mover.layers))
                for pair in mover.direction(number)
            ]
            weights = [weight for weight, _ in self._step]
            if self._origin:
                copy_all(self._origin, weights)
            else:
                self._origin = [weight.clone() for weight in weights]
            return float(squared_norm(update for _, update in self._step))

    def go(self, length: float) -> None:
        """Put the weights ``length`` along U from where the step began."""
        with UPDATE:
            for (weight, update), origin in zip(self._step, self._origin, strict=True):
                if length:
                    torch.add(origin, update, alpha=length, out=weight)
                else:
                    weight.copy_(origin)
