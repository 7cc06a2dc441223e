"""COST as users see it: options, checks, guarantee."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from math import inf, isfinite, nan
from typing import Any, ClassVar, Self

from torch import nn

from baselines.cost.lora import adaptable
from baselines.cost.objective import ratios
from baselines.cost.search import Search, Start, searched
from baselines.cost.tasks import tasks_at
from baselines.cost.trigger import ALWAYS, ANY, DOMINATED, TRIGGERS, is_due
from teleport_core.ascent import Ascent, nowhere
from teleport_core.errors import OptionError
from teleport_core.interface import State, Teleporter
from teleport_core.option_checks import (
    as_float,
    require_bool,
    require_choice,
    require_int,
    require_positive,
)
from teleport_core.problem import Problem
from teleport_core.results import Engine, Guarantee, Status, TeleportResult

_RELEASED: dict[str, Any] = {
    "keep": 10.0,
    "gamma": 0.5,
    "radius": 1e-4,
    "tolerance": inf,
    "in_graph": False,
}


@dataclass
class CostState(State):
    """The tasks of one batch: where they start, whether they conflict, what is held fixed."""

    start: Start = field(kw_only=True)
    grad_norm_at_start: float = field(kw_only=True)
    due: bool = field(kw_only=True)
    held: dict[str, str] = field(kw_only=True)


@dataclass(frozen=True, kw_only=True)
class CostTeleporter(Teleporter):
    """Low-rank moves of the parameters that several tasks share, when the tasks conflict.

    Zhou et al. (2025), arXiv 2503.04046. ``loss_fn`` returns one value per task, [tasks]. Adam
    descends L_t - gamma L_g in the factors of B A, which are added to the shared matrices: L_t
    keeps the losses of all tasks on the batch, L_g stands for their gradient norms, that of small
    gradients above all. ``steps`` are Adam's, ``lr`` is its learning rate; each step takes 1 +
    ``draws`` forward passes and a backward pass through them.

    Attributes:
        trigger: when a call moves at all: "dominated", where the mean gradient points against the
            task with the smallest gradient; "any", where it does against any, or is orthogonal;
            "always".
        shared: parameters that the tasks share, by name, or the modules that hold them, several
            with a + in between; by default all that have a gradient of every task.
        gamma: the weight of L_g. Default 0.1, the paper's.
        rank: of each B A. Default 5, the paper's.
        draws: perturbations for L_g in each step. Default 5, the released code's.
        radius: their norm, of each parameter tensor. Default 0.01, ours: with the 1e-4 of the paper
            the changes of the loss drown in the rounding of float32.
        tolerance: no task's loss on the batch may end further from its value, relatively; the move
            is halved until that holds, ``lengths`` of the result has by how much. Default 0.01,
            ours.
        seed: of the first factors and of the perturbations.
        published: compute what the authors' released code computes, on the one batch: its weights
            of both terms, radius and trigger, perturbations of all parameters that are not
            differentiated, eval mode, and no tolerance.

    Nothing is promised of the outputs: what is kept is each task's loss on the batch, to the
    tolerance; ``task_losses`` of the result has them.
    """

    name: ClassVar[str] = "cost"
    promise: ClassVar[str] = (
        "the loss of every task on the batch stays, to its tolerance; outputs change"
    )
    takes_task_losses: ClassVar[bool] = True

    trigger: str = DOMINATED
    shared: str | Sequence[str] | None = None
    gamma: float = 0.1
    rank: int = 5
    draws: int = 5
    radius: float = 1e-2
    tolerance: float = 1e-2
    seed: int = 0
    published: bool = False

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        self._keep(
            trigger=require_choice("trigger", self.trigger, TRIGGERS),
            shared=_names(self.shared),
            gamma=_not_negative("gamma", self.gamma),
            rank=require_int("rank", self.rank, at_least=1),
            draws=require_int("draws", self.draws, at_least=1),
            radius=require_positive("radius", self.radius),
            tolerance=require_positive("tolerance", self.tolerance),
            seed=require_int("seed", self.seed, at_least=0),
            published=require_bool("published", self.published),
        )
        if self.published:
            self._require_released()

    def _require_released(self) -> None:
        own = type(self)()
        for name in ("gamma", "radius", "tolerance"):
            if getattr(self, name) != getattr(own, name):
                raise OptionError(
                    f"expected no {name} with published=True, which has the released code's; got "
                    f"{name}={getattr(self, name)}: leave one of them out"
                )

    def unbounded(self) -> Self:
        """The same method without cap and tolerance, whether the tasks conflict or not."""
        tolerance = self.tolerance if self.published else inf
        return replace(self, cap=inf, trigger=ALWAYS, tolerance=tolerance)

    def prepare(self, problem: Problem) -> CostState:
        """Look at every task: its loss and its gradient.

        Raises:
            OptionError: no parameter has a name in ``shared``.
            ProblemError: the tasks share no parameters.
        """
        with _in_eval_mode(problem.model) if self.published else nullcontext():
            tasks = tasks_at(problem, self.shared)
        own, gradients = problem.detached(), tasks.matrix()
        adapted = adaptable({name: own[name] for name in tasks.shared})
        perturbed = list(own) if self.published else tasks.shared
        floating = [name for name in perturbed if own[name].is_floating_point()]
        trigger = ANY if self.published and self.trigger == DOMINATED else self.trigger
        return CostState(
            start=Start(tasks.losses, ratios(gradients), adapted, floating),
            grad_norm_at_start=tasks.grad_norm_sq,
            due=is_due(trigger, gradients),
            held=_held(problem, tasks.shared, adapted),
        )

    def advance(self, problem: Problem, state: CostState) -> TeleportResult:
        """Take all steps and write the parameters."""
        with _in_eval_mode(problem.model) if self.published else nullcontext():
            ascent, task_losses = self._way(problem, state)
        if ascent.parameters is not None:
            state.write(problem, ascent.parameters)
        # In eval mode it may be another than that of the model as it stands.
        ascent.grad_norm_sq[0] = nan if self.published else state.grad_norm_at_start
        engine = Engine("published" if self.published else "cost", "it is what was asked for")
        result = ascent.result(Guarantee.APPROXIMATE, held=state.held, engine=engine)
        return replace(result, task_losses=task_losses)

    def _way(self, problem: Problem, state: CostState) -> tuple[Ascent, list[list[float]]]:
        start, norm_sq = state.start, state.grad_norm_at_start
        known = start.losses.tolist()
        if not (isfinite(norm_sq) and bool(start.losses.isfinite().all())):
            return nowhere(Status.NON_FINITE), [known]
        if not state.due or norm_sq >= self.cap:
            status = Status.CAPPED if norm_sq >= self.cap else Status.NO_CONFLICT
            return Ascent(status, 0, None, None, [float(start.losses.mean())], [norm_sq]), [known]
        found = searched(problem, start, self._search())
        return found.ascent, found.task_losses

    def _search(self) -> Search:
        asked = Search(
            self.steps,
            self.lr,
            self.cap,
            self.gamma,
            self.rank,
            self.draws,
            self.radius,
            self.tolerance,
            self.seed,
        )
        return replace(asked, **_RELEASED) if self.published else asked


@contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _names(shared: Any) -> tuple[str, ...] | None:
    if shared is None:
        return None
    names = tuple(shared.split("+")) if isinstance(shared, str) else shared
    if (
        not isinstance(names, (tuple, list))
        or not names
        or not all(isinstance(name, str) and name for name in names)
    ):
        raise OptionError(
            f"expected shared to name parameters or modules, such as 'body' or 'body+neck'; got "
            f"{shared!r}"
        )
    return tuple(names)


def _not_negative(name: str, value: object) -> float:
    number = as_float(value)
    if number is None or not 0 <= number < inf:
        raise OptionError(f"expected {name} to be a finite number >= 0; got {value!r}")
    return number


def _held(problem: Problem, shared: list[str], adapted: list[str]) -> dict[str, str]:
    moving, common = set(adapted), set(shared)
    return {
        name: "no matrix, so that it has no low-rank change"
        if name in common
        else "not of every task"
        for name in problem.counted()
        if name not in moving
    }
