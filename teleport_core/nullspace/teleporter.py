"""The null-space method as users see it: options, engines, guarantee."""

from dataclasses import dataclass, field
from typing import ClassVar

from teleport_core.ascent import Ascent
from teleport_core.errors import ModelError, OptionError
from teleport_core.interface import (
    Guarantee,
    Status,
    Teleporter,
    TeleportResult,
    require_choice,
    require_int,
)
from teleport_core.nullspace import half_hvp, textbook, traced
from teleport_core.nullspace.capture import Recordings
from teleport_core.nullspace.half_hvp import Climb, HalfHvpState
from teleport_core.nullspace.textbook import TextbookState
from teleport_core.nullspace.traced import TracedState
from teleport_core.problem import Parameters, Problem
from teleport_core.rank import resolve_rule
from teleport_core.stack import Stack, read_stack

ENGINES = ("auto", "half_hvp", "textbook")

NullSpaceState = HalfHvpState | TracedState | TextbookState


@dataclass(frozen=True, kw_only=True)
class NullSpaceTeleporter(Teleporter):
    """Ascent on 1/2 ||g||^2 inside the null space of every layer's input.

    Attributes:
        tau: share of input energy that counts as significant, in (0, 1]; 1 is exact.
        rank_rule: "numerical", "energy", "gpm" or "energy_float32"; default numerical rank at
            tau = 1 and energy (Eq. 3) below.
        engine: how a step is computed. "textbook" is the published double backward; "half_hvp"
            takes the same step for a fraction of its time, at numerical rank; "auto" picks it
            wherever it applies.
        chunk_columns: samples, tokens or patches of a layer's input that are laid out in float64
            at a time while its null space is found; bounds the memory that this takes.
    """

    name: ClassVar[str] = "nullspace"

    tau: float = 1.0
    rank_rule: str | None = None
    engine: str = "auto"
    chunk_columns: int = 4096
    _recordings: Recordings = field(
        default_factory=Recordings, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        require_choice("engine", self.engine, ENGINES)
        require_int("chunk_columns", self.chunk_columns, at_least=1)
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
            ModelError: no weight can move.
        """
        state = self._prepared(problem)
        if not isinstance(state, HalfHvpState) and not state.layers:
            reasons = "; ".join(f"{name} is {why}" for name, why in state.held.items())
            raise ModelError(
                f"expected a weight that is linear in its input and nothing else; "
                f"{type(problem.model).__name__} has none: {reasons}: "
                "see teleport_core.layers.register for layers of your own"
            )
        return state

    def _prepared(self, problem: Problem) -> NullSpaceState:
        if self.engine == "textbook" or self.rule != "numerical":
            return textbook.prepare(problem, self.rule, self.tau, self.chunk_columns)
        stack = read_stack(problem)
        if isinstance(stack, Stack):
            return half_hvp.prepare(problem, stack, self._climb(), self._recordings)
        return traced.prepare(problem, self.chunk_columns)

    def advance(self, problem: Problem, state: NullSpaceState) -> TeleportResult:
        """Take all steps and write the parameters."""
        if not state.something_free():
            return self._result(_nowhere(Status.NO_NULL_SPACE), state)
        if isinstance(state, TextbookState):
            ascent = textbook.advance(problem, state, self.lr, self.steps, self.cap)
            if ascent.parameters is not None:
                problem.write(_moved(ascent.parameters, state))
            if ascent.previous is not None:
                state.previous = _moved(ascent.previous, state)
            return self._result(ascent, state)
        if not state.moving:
            return self._result(_nowhere(Status.NO_ASCENT_DIRECTION), state)
        if isinstance(state, HalfHvpState):
            ascent = half_hvp.advance(state, self._climb())
        else:
            ascent = traced.advance(problem, state, self.lr, self.steps, self.cap)
        return self._result(ascent, state)

    def _climb(self) -> Climb:
        return Climb(self.lr, self.steps, self.cap)

    def _result(self, ascent: Ascent, state: NullSpaceState) -> TeleportResult:
        return TeleportResult(
            status=ascent.status,
            steps_done=ascent.steps_done,
            loss=ascent.loss,
            grad_norm_sq=ascent.grad_norm_sq,
            null_dims=self._null_dims(state),
            guarantee=self._guarantee(),
            held={} if isinstance(state, HalfHvpState) else state.held,
        )

    def _null_dims(self, state: NullSpaceState) -> dict[str, list[int] | None]:
        # At exact rank a block fed by data alone has a zero projection (R{X} = 0): it never moves.
        exact = self._guarantee() is Guarantee.EXACT_ON_BATCH
        blocks: dict[str, list[int | None]] = {}
        for name, data_fed, free in state.freedoms():
            blocks.setdefault(name, []).append(None if exact and data_fed else free)
        return {
            name: None if all(n is None for n in each) else [n or 0 for n in each]
            for name, each in blocks.items()
        }

    def _guarantee(self) -> Guarantee:
        exact = self.tau == 1.0 and self.rule in ("numerical", "energy")
        return Guarantee.EXACT_ON_BATCH if exact else Guarantee.APPROXIMATE


def _nowhere(status: Status) -> Ascent:
    nan = float("nan")
    return Ascent(status, 0, None, None, [nan], [nan])


def _moved(parameters: Parameters, state: TextbookState) -> Parameters:
    names = [name for layer in state.layers for name in layer.names()]
    return {name: parameters[name] for name in names}
