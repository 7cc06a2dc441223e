"""Whether another step is taken: decided by the host, or on the device without asking it.

Algorithm 1, line 6, of the paper: no step once ||g||^2 has reached CAP. On a GPU reading ||g||^2
would make the host wait in every step, and a captured graph cannot branch. There all steps run,
and what they write is masked from the first one on that must not be taken.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from teleport_core.projection import ROUNDING_EPS
from teleport_core.results import Status


@dataclass(frozen=True)
class Outcome:
    """How the steps ended; ``norms`` holds ||g||^2 before each step, and where they stopped."""

    status: Status
    steps_done: int
    norms: list[float]


@dataclass
class HostDecision:
    """Reads every norm as soon as it is there; nothing is computed in vain."""

    cap: float
    norms: list[float] = field(default_factory=list)
    lost: bool = False
    steps: int = 0

    def begin(self, steps: int) -> None:
        """A run of at most ``steps`` steps begins: forget what was."""
        self.norms, self.lost, self.steps = [], False, steps

    def go_on(self, step: int, norm_sq: Tensor) -> bool:
        """Whether to carry out ``step``: not at CAP, nor at a norm that is not finite."""
        if step >= self.steps:
            return False
        norm = float(norm_sq)
        self.norms.append(norm)
        return math.isfinite(norm) and norm < self.cap

    def has_direction(self, free: list[Tensor], whole: list[Tensor]) -> bool:
        """Whether the first step is more than rounding, by norms after and before projection.

        Any layer's will do: the rule of ``_any_direction``, for what the host has read.
        """
        share = ROUNDING_EPS * torch.finfo(free[0].dtype).eps
        after = [norm for norms in free for norm in norms.tolist()]
        before = [norm for norms in whole for norm in norms.tolist()]
        rounding = [b == 0 or a / b <= share for a, b in zip(after, before, strict=True)]
        self.lost = all(rounding)
        return not self.lost

    def admit(self, value: Tensor) -> Tensor:
        """What may be written of it: all, as a step that must not be taken was never begun."""
        return value

    def outcome(self) -> Outcome:
        """How it ended."""
        return outcome_of(self.norms, self.cap, self.steps, lost=self.lost)


class DeviceDecision:
    """Masks what is written; the host asks once, at the end.

    Where nothing is masked, as next to no run without a CAP has to be taken back, all steps are
    written whatever the outcome says.
    """

    def __init__(self, cap: float, steps: int, device: torch.device, *, masks: bool = True) -> None:
        self._cap = cap
        self._limit = torch.zeros((), dtype=torch.int64, device=device)
        self._norms = torch.zeros(steps, dtype=torch.float64, device=device)
        self._active = torch.zeros((), dtype=torch.bool, device=device)
        self._lost = torch.zeros((), dtype=torch.bool, device=device)
        self._steps = steps
        self.masks = masks

    def begin(self, steps: int) -> None:
        """Set how many steps may be taken: a captured graph always runs through all of them."""
        self._steps = steps
        if self.masks:
            self._limit.fill_(steps)

    def go_on(self, step: int, norm_sq: Tensor) -> bool:
        """Note the norm; stay active while it is below CAP, which infinity and NaN never are."""
        norm = self._norms[step]
        norm.copy_(norm_sq)
        if not self.masks:
            return True
        below = (norm < self._cap) & (norm < math.inf) & (self._limit > step)
        self._active.copy_(below if step == 0 else self._active & below)
        return True

    def has_direction(self, free: list[Tensor], whole: list[Tensor]) -> bool:
        """Note it, and go on."""
        found = _any_direction(free, whole)
        self._lost.copy_(~found)
        if self.masks:
            self._active.logical_and_(found)
        return True

    def admit(self, value: Tensor) -> Tensor:
        """The value while steps are taken, then zeros: even infinities must not come through."""
        return torch.where(self._active, value, 0.0) if self.masks else value

    def outcome(self) -> Outcome:
        """Read everything at once and decide again, by the same rule."""
        read = torch.cat([self._norms, self._lost.double().reshape(1)]).tolist()
        norms = read[: self._steps]
        return outcome_of(norms, self._cap, self._steps, lost=bool(read[-1]))


Decision = HostDecision | DeviceDecision


def outcome_of(norms: list[float], cap: float, steps: int, *, lost: bool) -> Outcome:
    """The rule: a norm that is not finite takes the step before it back; then CAP."""
    for taken, norm in enumerate(norms[:steps]):
        if not math.isfinite(norm):
            return Outcome(Status.NON_FINITE, max(taken - 1, 0), norms[:taken])
        if norm >= cap:
            return Outcome(Status.CAPPED, taken, norms[: taken + 1])
        if lost:
            return Outcome(Status.NO_ASCENT_DIRECTION, 0, norms[:1])
    return Outcome(Status.DONE, steps, norms[:steps])


def _any_direction(free: list[Tensor], whole: list[Tensor]) -> Tensor:
    """Whether projection left more than rounding of any layer; an overflow is no rounding."""
    after, before = torch.cat(free), torch.cat(whole)
    share = ROUNDING_EPS * torch.finfo(after.dtype).eps
    rounding = (after / before <= share) | (before == 0)
    return ~rounding.all()
