"""The level-set method as users see it: options, guarantee."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import ClassVar

import torch

from baselines.level_set.published import published_climb
from baselines.level_set.slp import Search, climbed
from teleport_core.errors import OptionError
from teleport_core.interface import State, Teleporter
from teleport_core.layers.differentiable_twice import twice_differentiable
from teleport_core.operations import Phases, double_backward, one_gradient
from teleport_core.option_checks import require_bool, require_positive
from teleport_core.phases import UPDATE
from teleport_core.problem import Problem
from teleport_core.results import Guarantee, TeleportResult

# Two evaluations of one loss differ by so many eps at the most.
_ROUNDING_EPS = 64


@dataclass(frozen=True, kw_only=True)
class LevelSetTeleporter(Teleporter):
    """Normalised SLP: ascent on 1/2 log ||g||^2 on the level set of the loss, or below it.

    Mishkin, Bietti and Gower (2024), arXiv 2403.03362. ``steps`` are its iterations; each takes one
    Hessian-vector product and, for every trial of its line search, a forward and a backward pass.
    It moves every parameter that requires a gradient, of any module.

    Attributes:
        rho: the first step size of d = rho H g / ||g||^2 - v g; a line search shrinks it and lets
            it grow. Default 1, the released code's. With ``lr`` in its place the first trial moves
            by lr H g along the level set, as a step of the other methods does.
        sublevel: whether the loss may fall (f <= f_0, the default as in the paper's experiments)
            or has to stay (f = f_0).
        tolerance: the squared KKT residual ||lambda g - H g / ||g||^2||^2 at which the method
            stops; the loss ends within sqrt(tolerance) |f_0| of f_0, or below, or as near as the
            dtype resolves. Default 1e-12.
        published: compute what the authors' released code computes. ``tolerance``, there 1e-6,
            then bounds the residual and, in the units of the loss, the violation; nothing puts the
            last point back onto the level set.

    The outputs change: nothing is promised of them. What is kept is the loss: ``loss[-1]`` beside
    ``loss[0]`` of the result, both by passes of the model's own. ``lrs`` has the rho of every step.
    Where the loss is not coercive ||g||^2 may have no maximum on a level set: add weight decay to
    the loss, or use ``cap``.
    """

    name: ClassVar[str] = "level_set"
    promise: ClassVar[str] = (
        "the loss on the batch stays or falls, to its tolerance; outputs change"
    )

    rho: float | None = None
    sublevel: bool = True
    tolerance: float | None = None
    published: bool = False

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        self._keep(
            sublevel=require_bool("sublevel", self.sublevel),
            published=require_bool("published", self.published),
        )
        if self.tolerance is not None:
            self._keep(tolerance=require_positive("tolerance", self.tolerance))
        if self.rho is not None:
            self._keep(rho=require_positive("rho", self.rho))
            if self.rho == inf:
                raise OptionError("expected rho to be a finite number > 0; got inf")
            if self.lr_is_given:
                raise OptionError(
                    f"expected rho without lr, which takes its place; got rho={self.rho} with "
                    f"lr={self.lr}: write one of them"
                )

    def prepare(self, problem: Problem) -> State:
        """Nothing holds for all steps of a batch."""
        del problem
        return State()

    def advance(self, problem: Problem, state: State) -> TeleportResult:
        """Take all steps and write the parameters.

        Raises:
            ModelError: an operation has no second derivative, or one that is NaN.
        """
        with UPDATE:
            start = problem.kept(problem.counted())
        climb = published_climb if self.published else climbed
        with torch.enable_grad(), twice_differentiable(fused=True):
            ascent = climb(problem, start, self._search(problem))
        if ascent.parameters is not None:
            state.write(problem, ascent.parameters)
        return ascent.result(Guarantee.APPROXIMATE)

    @property
    def takes_lr(self) -> bool:
        """Where rho is not given."""
        return self.rho is None

    def operations(
        self, widths: Sequence[int], n: int, *, bias: bool, itemsize: int
    ) -> Phases | None:
        """A gradient at the start, then H g and a gradient a step.

        That is where every first trial is accepted and the end lies on the level set, as with the
        lr of a timed run; None with ``rho`` or ``published``, whose trials are up to the loss.
        """
        del bias
        if self.published or not self.takes_lr:
            return None
        step = double_backward([*pairwise(widths)], n, itemsize)
        return {"prepare": one_gradient(widths, n, itemsize), "step": step}

    def _search(self, problem: Problem) -> Search:
        tolerance = self.tolerance or (1e-6 if self.published else 1e-12)
        eps = max(torch.finfo(p.dtype).eps for p in problem.parameters().values())
        feasible = tolerance if self.published else tolerance**0.5 + _ROUNDING_EPS * eps
        rho = self.rho if self.rho is not None or self.lr_is_given else 1.0
        return Search(self.steps, rho, self.lr, self.sublevel, tolerance, feasible, self.cap)
