"""The null-space method as users see it: options, engines, guarantee."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar, Self

from teleport_core.ascent import Ascent, nowhere
from teleport_core.errors import ModelError, OptionError
from teleport_core.interface import Teleporter
from teleport_core.nullspace import operations, textbook
from teleport_core.nullspace.bases.kept import FRESH, Bases, Recorder, Source
from teleport_core.nullspace.drift import engine as drift
from teleport_core.nullspace.engine import Climb, Engine, EngineState
from teleport_core.nullspace.half_hvp import engine as half_hvp
from teleport_core.nullspace.ranks import chain
from teleport_core.nullspace.traced import engine as traced
from teleport_core.objectives.goal import Goal, goal_of, is_of_parameters, is_plain
from teleport_core.operations import Phases
from teleport_core.option_checks import (
    require_bool,
    require_choice,
    require_int,
    require_positive,
)
from teleport_core.problem import Problem
from teleport_core.rank import require_tau, resolve_rule
from teleport_core.results import Guarantee, Status, TeleportResult

ENGINES = ("auto", "half_hvp", "textbook")

# The first that applies prepares and climbs; the last always does.
_ORDER: tuple[Engine, ...] = (drift, textbook, half_hvp, traced)

# The same where each rank has some of the samples.
_ON_SHARDS: tuple[Engine, ...] = (chain, traced)

# Parameters that a refusal names; the others are counted.
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class NullSpaceTeleporter(Teleporter):
    """Ascent on the objective, 1/2 ||g||^2 unless asked, in the null space of every layer's input.

    Attributes:
        tau: share of input energy that counts as significant, in (0, 1]; 1 is exact.
        rank_rule: "numerical", "energy", "gpm" or "energy_float32"; default numerical rank at
            tau = 1 and energy (Eq. 3) below.
        engine: how a step is computed. "textbook" is the published double backward; "half_hvp"
            takes the same step for a fraction of its time, at numerical rank; "auto" picks it
            wherever it applies.
        max_drift: instead of tau, the acceptable relative change of the loss on the batch,
            |L - L0| <= max_drift |L0|; every step moves in the largest space that keeps it.
        overshoot: whether the last step may pass the cap, as in Alg. 1; if not, it is shortened
            to end between 0.999 cap and cap.
        chunk_columns: samples, tokens or patches of a layer's input that are laid out in float64
            at a time while its null space is found; bounds the memory that this takes.
        bases: of ``teleport_core.nullspace.keep_bases``, found once for several calls on a batch.
    """

    name: ClassVar[str] = "nullspace"
    promise: ClassVar[str] = (
        "outputs on the batch stay at tau=1, to rounding; below, or with max_drift, they change"
    )
    threshold: ClassVar[str | None] = "tau"

    tau: float = 1.0
    rank_rule: str | None = None
    engine: str = "auto"
    max_drift: float | None = None
    overshoot: bool = True
    chunk_columns: int = 4096
    bases: Bases | None = None

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        self._keep(
            engine=require_choice("engine", self.engine, ENGINES),
            chunk_columns=require_int("chunk_columns", self.chunk_columns, at_least=1),
            overshoot=require_bool("overshoot", self.overshoot),
            tau=require_tau(self.tau),
        )
        if self.max_drift is not None:
            self._keep(max_drift=require_positive("max_drift", self.max_drift))
            self._refuse_beside_max_drift()
        rule = self.rule  # refuses one that is none
        if self.engine == "half_hvp" and rule != "numerical":
            raise OptionError(
                f"expected tau=1 with numerical rank for engine='half_hvp'; got tau={self.tau} "
                f"with rank_rule={rule!r}: use engine='auto'"
            )
        if self.engine == "half_hvp" and is_of_parameters(self.objective):
            raise OptionError(
                "expected engine='auto' or 'textbook' for an objective of the parameters; got "
                "engine='half_hvp', which knows functions of the gradient only: leave engine out"
            )
        if self.bases is not None:
            self._readable_bases().require_rule(rule, self.tau)

    def _readable_bases(self) -> Bases:
        if not isinstance(self.bases, Bases):
            raise OptionError(
                f"expected bases to be what teleport_core.nullspace.keep_bases or Bases.load "
                f"returns; got {type(self.bases).__name__}"
            )
        if self.max_drift is not None:
            raise OptionError(
                f"expected no bases with max_drift={self.max_drift}, which chooses the space of "
                "each step: leave one of them out"
            )
        return self.bases

    def _refuse_beside_max_drift(self) -> None:
        """It chooses the space, so nothing else may."""
        if self.tau != 1.0 or self.rank_rule is not None:
            raise OptionError(
                f"expected max_drift without tau and rank_rule, which it takes the place of; got "
                f"max_drift={self.max_drift} with tau={self.tau} and rank_rule={self.rank_rule!r}: "
                "write max_drift alone"
            )
        if self.engine == "half_hvp":
            raise OptionError(
                f"expected engine='auto' or 'textbook' with max_drift={self.max_drift}; got "
                "engine='half_hvp', which steps in the exact null space only: leave engine out"
            )

    @property
    def rule(self) -> str:
        """The rank rule in force."""
        return resolve_rule(self.rank_rule, self.tau)

    def prepare(self, problem: Problem) -> EngineState:
        """Find the movable layers and the bases of their inputs.

        Raises:
            ModelError: no weight can move.
        """
        if self.bases is not None:
            self.bases.require_model(problem)
        return self._prepared(problem, FRESH if self.bases is None else self.bases)

    def bases_of(self, problem: Problem) -> Bases:
        """What ``prepare`` finds of the inputs of this batch, for later calls.

        Raises:
            ModelError: no weight can move.
        """
        recorder = Recorder()
        self._prepared(problem, recorder)
        return recorder.bases(problem, self.rule, self.tau)

    def _prepared(self, problem: Problem, bases: Source) -> EngineState:
        goal = goal_of(self.objective, self.direction, problem)
        state = _prepared(problem, self._climb(goal)._replace(bases=bases))
        if not state.layers:
            reasons = "; ".join(f"{name} is {why}" for name, why in [*state.held.items()][:_NAMED])
            more = len(state.held) - _NAMED
            reasons += f"; and {more} more" if more > 0 else ""
            raise ModelError(
                f"expected a weight that is linear in its input and nothing else; "
                f"{type(problem.model).__name__} has none: {reasons}: "
                "see teleport_core.layers.register for layers of your own"
            )
        return state

    def advance(self, problem: Problem, state: EngineState) -> TeleportResult:
        """Take all steps and write the parameters."""
        if not state.something_free():
            return self._result(nowhere(Status.NO_NULL_SPACE), state)
        if not state.something_moves():
            return self._result(nowhere(Status.NO_ASCENT_DIRECTION), state)
        # With growth no step of 1/2 ||g||^2 passes the cap.
        never = self.growth is not None and state.goal is None
        may_pass = self.overshoot or self.cap == inf or never
        advance = state.advance if may_pass else state.advance_to_cap
        return self._result(advance(problem, self._climb(state.goal)), state)

    @property
    def grows(self) -> bool:
        """All but max_drift, which chooses its steps by the loss."""
        return self.max_drift is None

    @property
    def takes_objectives(self) -> bool:
        """All but max_drift, which of several spaces takes that of the largest ||g||^2."""
        return self.max_drift is None

    @property
    def chooses_threshold(self) -> bool:
        """With max_drift."""
        return self.max_drift is not None

    @property
    def steps_are_one_call(self) -> bool:
        """Below tau = 1 nothing is kept between steps but bases; only a shortened step looks on."""
        looks_on = not self.overshoot or self.growth is not None
        return self.tau == 1.0 or looks_on or not is_plain(self.objective, self.direction)

    @property
    def not_sharded(self) -> str:
        """Only the steps in exact null spaces have few sums over samples."""
        given = {
            "engine='textbook'": self.engine == "textbook",
            "max_drift": self.max_drift is not None,
            f"rank_rule={self.rule!r}": self.rule != "numerical",
            "bases": self.bases is not None,
            "overshoot=False": not self.overshoot and self.cap < inf,
            "an objective of the parameters": is_of_parameters(self.objective),
        }
        named = [name for name, is_given in given.items() if is_given]
        return f"{' and '.join(named)} need the samples of all ranks: leave it out" if named else ""

    def unbounded(self) -> Self:
        """Without cap and max_drift."""
        return replace(self, cap=inf, max_drift=None, overshoot=True)

    def rank_rule_at(self, threshold: float) -> str:
        """The rank rule in force at a tau."""
        return resolve_rule(self.rank_rule, threshold)

    def operations(
        self, widths: Sequence[int], n: int, *, bias: bool, itemsize: int
    ) -> Phases | None:
        """Those of the engine that is chosen on a stack of linear layers.

        None with ``max_drift`` and ``growth``: how many points they try is up to the batch; and
        for other objectives, whose own operations are up to them.
        """
        tries = self.max_drift is not None or self.growth is not None
        if tries or not is_plain(self.objective, self.direction):
            return None
        published = self.engine == "textbook" or self.rule != "numerical"
        count = operations.textbook if published else operations.half_hvp
        return count(widths, n, bias, itemsize)

    def _climb(self, goal: Goal | None = None) -> Climb:
        return Climb(
            lr=self.lr,
            growth=self.growth,
            steps=self.steps,
            cap=self.cap,
            rule=self.rule,
            tau=self.tau,
            max_drift=self.max_drift,
            published=self.engine == "textbook",
            limit=self.chunk_columns,
            goal=goal,
        )

    def _result(self, ascent: Ascent, state: EngineState) -> TeleportResult:
        # Below tau = 1 spaces are not exact; the loosest of those in use holds the others.
        loosest = min(ascent.taus, default=self.tau)
        exact = loosest == 1.0 and self.rule in ("numerical", "energy")
        guarantee = Guarantee.EXACT_ON_BATCH if exact else Guarantee.APPROXIMATE
        # Only the gradient does not see what data alone feeds; other objectives may move that, too.
        of_parameters = state.goal is not None and state.goal.of_parameters is not None
        null_dims = null_dimensions(state, exact=exact and not of_parameters)
        return ascent.result(guarantee, null_dims, state.held, state.engine)


def _prepared(problem: Problem, climb: Climb) -> EngineState:
    """What the first engine that applies has found out; the last applies for want of another."""
    why = ""
    for engine in _ORDER if problem.ranks is None else _ON_SHARDS:
        found = engine.prepare(problem, climb)
        if isinstance(found, EngineState):
            found.engine = found.engine._replace(why=found.engine.why or why)
            return found
        why = found.why
    raise AssertionError(why)


def null_dimensions(state: EngineState, *, exact: bool) -> dict[str, list[int] | None]:
    """Weight -> free dimensions of each of its blocks; None where only data feeds it."""
    # At exact rank a block fed by data alone has a zero projection (R{X} = 0): it never moves.
    blocks: dict[str, list[int | None]] = {}
    for name, data_fed, free in state.freedoms():
        blocks.setdefault(name, []).append(None if exact and data_fed else free)
    return {
        name: None if all(n is None for n in each) else [n or 0 for n in each]
        for name, each in blocks.items()
    }
