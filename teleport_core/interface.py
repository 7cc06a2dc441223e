"""What every teleport method looks like from outside: options in, a result (``results``) out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, ClassVar, Self

from teleport_core.errors import OptionError
from teleport_core.objectives.goal import DIRECTIONS, is_plain, read_objective
from teleport_core.operations import Phases
from teleport_core.option_checks import as_float, require_choice, require_int, require_positive
from teleport_core.problem import Parameters, Problem
from teleport_core.results import TeleportResult


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
        takes_task_losses: whether its loss returns one value per task, [tasks], in place of a
            scalar; what is reported as the loss is then their mean.
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
    takes_task_losses: ClassVar[bool] = False
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
