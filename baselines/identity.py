"""The method that moves nothing: what is left is the overhead of a call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from teleport_core.interface import State, Teleporter
from teleport_core.operations import NOTHING, Phases
from teleport_core.problem import Problem
from teleport_core.results import Guarantee, Status, TeleportResult


@dataclass(frozen=True, kw_only=True)
class IdentityTeleporter(Teleporter):
    """Move nothing and compute nothing; every parameter stays bit for bit as it was."""

    name: ClassVar[str] = "identity"
    promise: ClassVar[str] = "nothing moves"

    def prepare(self, problem: Problem) -> State:
        """Return an empty state."""
        return State()

    def advance(self, problem: Problem, state: State) -> TeleportResult:
        """Report ``steps`` steps that changed nothing; no loss and no gradient is computed."""
        unknown = [float("nan")] * (self.steps + 1)
        return TeleportResult(
            status=Status.DONE,
            steps_done=self.steps,
            loss=unknown,
            grad_norm_sq=list(unknown),
            null_dims={},
            guarantee=Guarantee.EXACT_EVERYWHERE,
            objective=list(unknown),
        )

    def stands_at_cap(self, grad_norm_sq: float) -> bool:
        """Never: no step of it raises a norm."""
        del grad_norm_sq
        return False

    def operations(self, widths: Sequence[int], n: int, *, bias: bool, itemsize: int) -> Phases:
        """None at all."""
        del widths, n, bias, itemsize
        return {"prepare": NOTHING, "step": NOTHING}
