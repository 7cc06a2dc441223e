"""The null-space method as users see it: options, engines, guarantee."""

from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from teleport_core.ascent import Ascent
from teleport_core.errors import ModelError, OptionError
from teleport_core.interface import (
    Guarantee,
    Status,
    Teleporter,
    TeleportResult,
    require_choice,
)
from teleport_core.layers import LinearLayer
from teleport_core.nullspace import half_hvp, textbook
from teleport_core.nullspace.capture import Recordings
from teleport_core.nullspace.half_hvp import Climb, HalfHvpState
from teleport_core.nullspace.textbook import TextbookState
from teleport_core.problem import Problem
from teleport_core.rank import resolve_rule
from teleport_core.stack import Stack, read_stack

ENGINES = ("auto", "half_hvp", "textbook")

NullSpaceState = HalfHvpState | TextbookState


@dataclass(frozen=True, kw_only=True)
class NullSpaceTeleporter(Teleporter):
    """Ascent on 1/2 ||g||^2 inside the null space of every layer's input.

    Attributes:
        tau: share of input energy that counts as significant, in (0, 1]; 1 is exact.
        rank_rule: "numerical", "energy", "gpm" or "energy_float32"; default numerical rank at
            tau = 1 and energy (Eq. 3) below.
        engine: how a step is computed. "textbook" is the published double backward; "half_hvp"
            takes the same step for a fraction of its time, at numerical rank and for stacks of
            nn.Linear and elementwise activations; "auto" picks it wherever it applies.
    """

    name: ClassVar[str] = "nullspace"

    tau: float = 1.0
    rank_rule: str | None = None
    engine: str = "auto"
    _recordings: Recordings = field(
        default_factory=Recordings, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        require_choice("engine", self.engine, ENGINES)
        if self.engine == "half_hvp" and self.rule != "numerical":
            raise OptionError(
                f"expected tau=1 with numerical rank for engine='half_hvp'; got tau={self.tau} "
                f"with rank_rule={self.rule!r}: use engine='auto'"
            )

    @property
    def rule(self) -> str:
        """The rank rule in force."""
        return resolve_rule(self.rank_rule, self.tau)

    def prepare(self, problem: Problem) -> NullSpaceState:
        """Find the movable layers and the bases of their inputs.

        Raises:
            ModelError: no weight can move, or engine="half_hvp" and the model is no such stack.
        """
        if self.engine != "textbook" and self.rule == "numerical":
            stack = read_stack(problem)
            if isinstance(stack, Stack):
                return half_hvp.prepare(problem, stack, self._climb(), self._recordings)
            if self.engine == "half_hvp":
                raise ModelError(
                    "expected a stack of nn.Linear and elementwise activations for "
                    f"engine='half_hvp'; {stack}: use engine='auto'"
                )
        state = textbook.prepare(problem, self.rule, self.tau)
        if not state.layers:
            raise ModelError(
                f"expected a weight that is linear in its input and nothing else; "
                f"{type(problem.model).__name__} has none: nullspace moves nn.Linear layers"
            )
        return state

    def advance(self, problem: Problem, state: NullSpaceState) -> TeleportResult:
        """Take all steps and write the parameters."""
        null_dims = self._null_dims(state)
        if not state.something_free():
            return self._result(_nowhere(Status.NO_NULL_SPACE), null_dims)
        if isinstance(state, HalfHvpState):
            if not state.moving:
                return self._result(_nowhere(Status.NO_ASCENT_DIRECTION), null_dims)
            ascent = half_hvp.advance(state, self._climb())
            return self._result(ascent, null_dims)
        ascent = textbook.advance(problem, state, self.lr, self.steps, self.cap)
        if ascent.parameters is not None:
            problem.write(_moved(ascent.parameters, state.layers))
        if ascent.previous is not None:
            state.previous = _moved(ascent.previous, state.layers)
        return self._result(ascent, null_dims)

    def _climb(self) -> Climb:
        return Climb(self.lr, self.steps, self.cap)

    def _result(self, ascent: Ascent, null_dims: dict[str, list[int] | None]) -> TeleportResult:
        return TeleportResult(
            status=ascent.status,
            steps_done=ascent.steps_done,
            loss=ascent.loss,
            grad_norm_sq=ascent.grad_norm_sq,
            null_dims=null_dims,
            guarantee=self._guarantee(),
        )

    def _null_dims(self, state: NullSpaceState) -> dict[str, list[int] | None]:
        # At exact rank a layer fed by data alone has a zero projection (R{X} = 0): it never moves.
        exact = self._guarantee() is Guarantee.EXACT_ON_BATCH
        return {
            name: None if exact and data_fed else [free]
            for name, data_fed, free in state.freedoms()
        }

    def _guarantee(self) -> Guarantee:
        exact = self.tau == 1.0 and self.rule in ("numerical", "energy")
        return Guarantee.EXACT_ON_BATCH if exact else Guarantee.APPROXIMATE


def _nowhere(status: Status) -> Ascent:
    nan = float("nan")
    return Ascent(status, 0, None, None, [nan], [nan])


def _moved(parameters: dict[str, Tensor], layers: list[LinearLayer]) -> dict[str, Tensor]:
    names = [name for layer in layers for name in (layer.weight, layer.bias) if name]
    return {name: parameters[name] for name in names}
