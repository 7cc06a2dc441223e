"""Teleport by rotation, as users see it: options, checks, guarantee."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from baselines.so2.rotation import best_angles, climbed_angles, grad_norm_sq_at, rotated
from baselines.test_functions import FUNCTIONS, PlaneFunction, PlanePoint
from teleport_core.errors import ModelError, OptionError, ProblemError
from teleport_core.interface import State, Teleporter
from teleport_core.option_checks import require_choice, require_int
from teleport_core.problem import Problem
from teleport_core.results import Guarantee, Status, TeleportResult

POLICIES = ("exact", "random")

# The learning rates by the angle in the released scripts (the ellipse: as Booth).
_RELEASED_LR = {"booth": 1e-3, "rosenbrock": 1e-1, "ellipse": 1e-3}
# Of the loss, to tell one function from another.
_SAME = 1e-3


@dataclass
class SO2State(State):
    """The function, and its name, of which the model's parameter is a point."""

    function: PlaneFunction
    name: str


@dataclass(frozen=True, kw_only=True)
class SO2Teleporter(Teleporter):
    """Rotation of Booth's function, Rosenbrock's or the ellipse: f = u^2 + v^2 in their charts.

    Zhao et al. (2022), arXiv 2205.10637. The level sets are circles in (u, v), so that the loss
    stays to rounding; the output of the model is the point itself and does change.

    Attributes:
        policy: "exact", the angle of the largest ||g||^2: the first step is the best of a grid, the
            others Newton's method; or "random", what the released code does: an angle drawn
            from U[0, pi), then ``steps`` - 1 ascent steps by ``lr`` times the derivative of
            ||g||^2. ``lr`` is by default the released scripts': 1e-3, for Rosenbrock 0.1, with
            which a step is many radians long and the angle it ends at is as good as drawn.
        seed: of the draw.
    """

    name: ClassVar[str] = "so2"
    promise: ClassVar[str] = "the loss stays, to rounding; the point moves"

    policy: str = "exact"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        self._keep(
            policy=require_choice("policy", self.policy, POLICIES),
            seed=require_int("seed", self.seed, at_least=0),
        )
        if self.lr_is_given and not self.takes_lr:
            raise OptionError(
                f"expected no lr with policy='exact', which needs none; got lr={self.lr}: leave "
                "it out, or write policy='random'"
            )

    @property
    def takes_lr(self) -> bool:
        """Where the angle is climbed."""
        return self.policy == "random"

    def prepare(self, problem: Problem) -> SO2State:
        """Recognise the function.

        Raises:
            ModelError: a model that is no point of one of the three functions.
            ProblemError: a loss that is another function.
        """
        names = [name for name, function in FUNCTIONS.items() if function.chart is not None]
        model = problem.model
        kind = type(model).__name__
        name = model.function if isinstance(model, PlanePoint) else ""
        if name not in names:
            came = f"{kind} of {name!r}" if isinstance(model, PlanePoint) else kind
            raise ModelError(
                f"expected a PlanePoint of {', '.join(names)}, whose level sets are circles in a "
                f"chart; got {came}: build it with baselines.test_functions.problem_of, or use "
                "method='level_set'"
            )
        function = FUNCTIONS[name]
        with torch.no_grad():
            loss, value = float(problem.loss()), float(function.value(_point(problem)))
        if not abs(loss - value) <= _SAME * abs(value):
            raise ProblemError(
                f"expected the loss to be {name}, {value:.6g} at this point; got {loss:.6g}: use "
                "loss_fn of baselines.test_functions.problem_of"
            )
        return SO2State(function, name)

    def advance(self, problem: Problem, state: SO2State) -> TeleportResult:
        """Take all steps and write the point."""
        start = _point(problem)
        angles = self._angles(state, start)
        points = torch.cat([start.unsqueeze(1), rotated(state.function, start, angles)], dim=1)
        with torch.enable_grad():
            leaf = points.requires_grad_(True)
            norms = grad_norm_sq_at(state.function, leaf).tolist()
        points = points.detach()
        finite = [math.isfinite(norm) for norm in norms]
        taken = next((k for k, norm in enumerate(norms[:-1]) if norm >= self.cap), self.steps)
        status = Status.CAPPED if taken < self.steps else Status.DONE
        if not all(finite[: taken + 1]):
            status, taken = Status.NON_FINITE, max(finite.index(False) - 1, 0)
        if taken > 0:
            state.write(problem, {"point": points[:, taken]})
        losses = state.function.value(points[:, : taken + 1]).tolist()
        return TeleportResult(
            status=status,
            steps_done=taken,
            loss=losses,
            grad_norm_sq=norms[: taken + 1],
            null_dims={},
            guarantee=Guarantee.APPROXIMATE,
        )

    def _angles(self, state: SO2State, start: Tensor) -> Tensor:
        if self.policy == "exact":
            return best_angles(state.function, start, self.steps)
        generator = torch.Generator().manual_seed(self.seed)
        angle = torch.rand(1, generator=generator, dtype=torch.float64) * math.pi
        lr = self.lr if self.lr_is_given else _RELEASED_LR[state.name]
        return climbed_angles(state.function, start, angle.to(start), lr, self.steps)


def _point(problem: Problem) -> Tensor:
    """The point, in a precision in which angles can be told apart."""
    point = problem.detached()["point"]
    return point if point.dtype in (torch.float32, torch.float64) else point.float()
