"""What every teleport method looks like from outside: options in, a result out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from math import inf, nan
from typing import Any, ClassVar, NamedTuple, Self

from teleport_core.errors import OptionError
from teleport_core.objectives.goal import DIRECTIONS, is_plain, read_objective
from teleport_core.operations import Phases
from teleport_core.option_checks import as_float, require_choice, require_int, require_positive
from teleport_core.problem import Parameters, Problem


class Status(Enum):
    """How a teleport ended; the value is the sentence a user needs."""

    DONE = "every step was carried out"
    CAPPED = "the squared gradient norm had reached the cap, so the remaining steps were not taken"
    NO_NULL_SPACE = (
        "nothing is free: the inputs of every layer span its whole input space, so no weight can "
        "move without changing an output; use a smaller batch, wider layers or tau < 1"
    )
    NO_ASCENT_DIRECTION = (
        "there are free directions, but the gradient of the objective has no part in them, as "
        "where data alone feeds every layer that has some; use a smaller batch or wider layers, "
        "and at least two layers"
    )
    NON_FINITE = (
        "the loss, its gradient or the objective became infinite or NaN, and the parameters were "
        "put back to the last step where they were finite; use a smaller lr or a cap"
    )
    NOT_POSITIVE = (
        "the objective is not positive at the start, so that nothing moved: the optimizer's next "
        "step would not lower the loss to first order, or growth has nothing to multiply; wait for "
        "a step that would, use lr in place of growth, or another objective"
    )
    OUTPUTS_CHANGED = (
        "outputs that were to stay changed, and the parameters were put back to the last step that "
        "kept them, or to the start; use a smaller lr, a cap or float64; where not even one small "
        "step keeps them, a parameter is used where nobody can see it"
    )
    DRIFTED = (
        "every further step would have changed the loss by more than max_drift allows, or lowered "
        "the gradient norm, so the remaining steps were not taken"
    )
    GROWTH_NOT_REACHED = (
        "the squared gradient norm, or the objective in its place, did not come as far as growth "
        "asks, and the parameters are at the nearest point that was found; use a smaller growth, "
        "more steps or lr in its place"
    )
    STATIONARY = (
        "the gradient norm is stationary on the level set of the loss, to the tolerance, so the "
        "remaining steps were not taken"
    )
    NO_STEP_ACCEPTED = (
        "no step, however short, would have raised the gradient norm near the level set of the "
        "loss, so the remaining steps were not taken; use a larger tolerance, or float64"
    )
    OFF_LEVEL_SET = (
        "the steps left the level set of the loss and there was no way back onto it, and the "
        "parameters were put back to the last step on it that had raised the gradient norm; use a "
        "smaller rho or fewer steps"
    )


class Guarantee(Enum):
    """What one call promises about the model's outputs, up to rounding."""

    EXACT_EVERYWHERE = "outputs are unchanged for every input"
    EXACT_ON_BATCH = "outputs are unchanged for every sample of the teleport batch"
    FIRST_ORDER = "outputs change by an error that is first or second order in the step"
    APPROXIMATE = "outputs change by an amount that is not bounded by the method"


class Seconds(NamedTuple):
    """Wall time of one call in seconds; the sum is that of the whole call.

    Attributes:
        prepare: what the method does once per batch.
        steps: all of its steps.
        checks: the rest: what the problem and the result are held to.
    """

    prepare: float
    steps: float
    checks: float


class Engine(NamedTuple):
    """Which of a method's ways of computing steps ran, and why this one."""

    name: str
    why: str


@dataclass(frozen=True)
class TeleportResult:
    """What one teleport did.

    Attributes:
        steps_done: teleport steps that are in the parameters now.
        loss: one entry per visited point, entry 0 before the first step; NaN where not computed.
        grad_norm_sq: squared norm of the gradient at the same points.
        null_dims: weight name -> free input dimensions, one per independent block; None for a
            layer that cannot move because only data feeds it (0 for such a block).
        seconds: wall time of ``prepare``, of the steps and of the checks.
        guarantee: what this very call promises.
        held: parameters that count in the gradient and were held fixed -> why.
        taus: the tau of each step, where the method chose it; else empty.
        lengths: the share of each step that was taken; empty where all are whole.
        lrs: the lr of each step, where ``growth`` or a line search chose it; else empty.
        output_change: ||o' - o|| / ||o|| of the model's outputs o on the batch, of several outputs
            the largest, by real forward passes before and after; NaN where nobody looked.
        engine: which way of computing the steps ran, and why.
        objective: what was climbed, at the same points; 1/2 ||g||^2 unless another was asked for.
    """

    status: Status
    steps_done: int
    loss: list[float]
    grad_norm_sq: list[float]
    null_dims: dict[str, list[int] | None]
    guarantee: Guarantee
    seconds: Seconds = field(default=Seconds(nan, nan, nan))
    held: dict[str, str] = field(default_factory=dict)
    taus: list[float] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    lrs: list[float] = field(default_factory=list)
    output_change: float = nan
    engine: Engine = field(default=Engine("", ""))
    objective: list[float] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything in lists, dictionaries, texts and numbers, as JSON has them."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        names = {"status": self.status.name, "guarantee": self.guarantee.name}
        pairs = {"seconds": self.seconds._asdict(), "engine": self.engine._asdict()}
        return plain | names | pairs


@dataclass
class State:
    """What ``prepare`` found out about one batch; methods add their own fields.

    Attributes:
        previous: the parameters before the last step that was written.
        before: the parameters that were written, as they were before the first step.
        buffers: likewise; all others end a call as they began it, whatever becomes of them.
    """

    previous: Parameters | None = field(default=None, kw_only=True)
    before: Parameters = field(default_factory=dict, kw_only=True)
    buffers: Parameters = field(default_factory=dict, kw_only=True)

    def write(
        self, problem: Problem, parameters: Parameters, buffers: Parameters | None = None
    ) -> None:
        """Write parameters into the model; what they overwrite is kept, to be restored.

        ``buffers`` are those that have to move with them, such as the running statistics of a batch
        norm whose inputs are scaled.
        """
        own = problem.detached()
        self.before = {name: own[name].clone() for name in parameters} | self.before
        own = dict(problem.model.named_buffers()) if buffers else {}
        self.buffers = {name: own[name].clone() for name in buffers or {}} | self.buffers
        problem.write(parameters)
        problem.write_buffers(buffers or {})

    def step_back(self, problem: Problem) -> bool:
        """Take the last step back, when its loss turned out non-finite; False if there is none."""
        if self.previous is None:
            return False
        problem.write(self.previous)
        self.previous = None
        return True

    def restore(self, problem: Problem) -> None:
        """Put everything that was written back to what it was before the first step."""
        problem.write(self.before)
        problem.write_buffers(self.buffers)

    def grad_norm_sq(self, problem: Problem) -> float | None:
        """||g||^2 where the steps have led; None where only a new backward pass tells."""
        del problem
        return None


class _DefaultLr(float):
    """The lr that nobody gave: a float like any other, but for growth, which goes with no other."""


@dataclass(frozen=True, kw_only=True)
class Teleporter(ABC):
    """One method with its options fixed.

    The first two methods are what a method is. The rest answers questions of whoever measures it,
    with an answer that is right for most.

    Attributes:
        promise: what a call keeps, in a line for whoever chooses a method; the guarantee of a
            result is that of the very call.
        threshold: name of the option, a number in (0, 1], by which the method may free more than
            what is exact; 1 is exact, smaller frees more. None where there is no such option.
        steps: teleport steps per batch, the paper's t. Default 8, the paper's.
        lr: learning rate of the ascent on the objective (Eq. 4-5 of the null-space paper). Default
            0.01; of no effect with ``growth``.
        growth: in place of lr, how many times its value the objective ends, > 1; each step
            multiplies it by growth^(1/steps), to 2.5 %, the last one to 1 %, and none of 1/2
            ||g||^2 passes the cap.
        cap: no step is taken once ||g||^2 has reached it (Alg. 1, line 6). Default: no cap.
        objective: what is climbed. "l2" is 1/2 ||g||^2; "l1" and "nuclear" are the dual norms of
            Adam's and Muon's steps; an optimizer of torch is <g, u(g)>, the first-order decrease of
            the loss by its next step per unit of lr; a function takes the gradients by parameter
            name and returns a scalar tensor; an object has ``value(problem, parameters)``.
        direction: "up", or "down"; down ``growth`` is what the objective is divided by.
    """

    name: ClassVar[str]
    promise: ClassVar[str] = ""
    threshold: ClassVar[str | None] = None

    steps: int = 8
    lr: float = _DefaultLr(0.01)
    growth: float | None = None
    cap: float = inf
    objective: Any = "l2"
    direction: str = "up"

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        self._keep(
            steps=require_int("steps", self.steps, at_least=1),
            lr=require_positive("lr", self.lr) if self.lr_is_given else self.lr,
            cap=require_positive("cap", self.cap),
            objective=read_objective(self.objective),
            direction=require_choice("direction", self.direction, DIRECTIONS),
        )
        if not (is_plain(self.objective, self.direction) or self.takes_objectives):
            raise OptionError(
                f"expected objective='l2' and direction='up' for these options of {self.name}, "
                f"which climb 1/2 ||g||^2 or nothing; got objective={_named(self.objective)} with "
                f"direction={self.direction!r}: leave them out, or use nullspace"
            )
        if self.growth is not None:
            self._keep(growth=self._readable_growth())

    def _readable_growth(self) -> float:
        growth = as_float(self.growth)
        if growth is None or not 1 < growth < inf:
            raise OptionError(f"expected growth to be a finite number > 1; got {self.growth!r}")
        if self.lr_is_given:
            raise OptionError(
                f"expected growth without lr, which it takes the place of; got growth={growth} "
                f"with lr={self.lr}: write one of them"
            )
        if not self.grows:
            raise OptionError(
                f"expected no growth for these options of {self.name}, which take steps of a given "
                f"lr only; got growth={growth}: write lr in its place"
            )
        return growth

    def _keep(self, **options: object) -> None:
        """Hold options as they were read, in ``__post_init__``."""
        for name, value in options.items():
            object.__setattr__(self, name, value)

    @abstractmethod
    def prepare(self, problem: Problem) -> Any:
        """Do everything that is done once per batch; return the state ``advance`` needs."""

    @abstractmethod
    def advance(self, problem: Problem, state: Any) -> TeleportResult:
        """Do all steps and write the parameters; after an exception they are as before.

        Asked again at the start, with the same state and fewer steps, it takes those steps again.
        """

    def stands_at_cap(self, grad_norm_sq: float) -> bool:
        """Whether no step is taken from a point with this ||g||^2 of the model's own."""
        return grad_norm_sq >= self.cap

    @property
    def lr_is_given(self) -> bool:
        """Whether lr is not the default that nobody gave."""
        return not isinstance(self.lr, _DefaultLr)

    @property
    def takes_lr(self) -> bool:
        """Whether these options leave the length of the steps to lr."""
        return self.growth is None

    @property
    def grows(self) -> bool:
        """Whether these options go together with ``growth``."""
        return False

    @property
    def takes_objectives(self) -> bool:
        """Whether these options go together with any ``objective`` and ``direction``."""
        return False

    @property
    def chooses_threshold(self) -> bool:
        """Whether these options have the method itself choose the threshold of each step."""
        return False

    @property
    def steps_are_one_call(self) -> bool:
        """Whether n steps may end elsewhere when they are taken one a call, prepared once."""
        return True

    def unbounded(self) -> Self:
        """The same method without what bounds its drift or its gradient norm."""
        return replace(self, cap=inf)

    def rank_rule_at(self, threshold: float) -> str | None:
        """Which of ``teleport_core.rank.RULES`` frees directions at a threshold.

        None for a method that does not move in null spaces of the layers' inputs: what it does to
        pre-activations is not bounded by what a rank rule leaves out.
        """
        del threshold
        return None

    def operations(
        self, widths: Sequence[int], n: int, *, bias: bool, itemsize: int
    ) -> Phases | None:
        """What ``prepare`` and each step compute on a stack of linear layers, in closed form.

        Args:
            widths: (d_0, ..., d_L), inputs first; layer l has a weight [d_l, d_{l-1}].
            n: columns, the samples of the batch.
            bias: whether every layer has one, or none.
            itemsize: bytes of one number.

        Returns:
            None where the method does not say; ``teleport_core.operations`` says what counts.
        """
        del widths, n, bias, itemsize
        return None


def _named(objective: Any) -> str:
    return repr(objective) if isinstance(objective, str) else type(objective).__name__
