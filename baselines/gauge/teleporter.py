"""The gauge method as users see it: options, state, guarantee."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from baselines.gauge.ascent import GaugeLine, climb
from baselines.gauge.finding import find_pairs
from baselines.gauge.flow.watch import watch
from baselines.gauge.orbit import Bounds, Orbit, bounds_of, moved, moved_buffers, start_of
from baselines.gauge.pairs import Pair, names_of
from teleport_core.ascent import Ascent
from teleport_core.errors import ModelError, OptionError
from teleport_core.interface import State, Teleporter
from teleport_core.nullspace.growth import Climber, Plan
from teleport_core.objectives.gradient import gradient_of
from teleport_core.option_checks import as_float
from teleport_core.phases import CAPTURE
from teleport_core.problem import Problem
from teleport_core.results import Guarantee, TeleportResult

_DTYPES = (torch.float32, torch.float64)


@dataclass
class GaugeState(State):
    """What holds for every step of one batch.

    Attributes:
        pairs: what moves.
        bounds: of every pair.
        start: the gradient before the first step.
        loss: likewise.
        why: of the counted parameters that no pair has.
    """

    pairs: list[Pair]
    bounds: list[Bounds]
    start: Orbit
    loss: float
    why: dict[str, str]

    @property
    def exact(self) -> bool:
        """Whether no pair leads into a batch norm by statistics of the batch."""
        return all(pair.statistics is None or pair.statistics.exact for pair in self.pairs)


@dataclass(frozen=True, kw_only=True)
class GaugeTeleporter(Teleporter):
    """Ascent on the gradient norm along symmetries that hold for every input.

    Between what makes features and what takes them goes an invertible matrix M and out again:
    queries and keys, values and the output projection of each attention head (M in GL(d); with
    rotary positions scales of the planes), two linear maps with nothing in between, as in LoRA,
    the gain of a norm and the linear maps behind it (M diagonal), a convolution and its batch norm
    (M diagonal; in eval mode the running statistics move along). ``baselines.gauge.orbit`` derives
    the step; the group of attention is that of OpenReview KrkbYbK0cH.

    Attributes:
        bound: of the condition number of every M, > 1: its singular values stay between
            bound^(-1/2) and bound^(1/2). Default 100: rounding grows tenfold on either side.
    """

    name: ClassVar[str] = "gauge"
    promise: ClassVar[str] = (
        "outputs stay for every input, to rounding; with batch norm in train mode nearly"
    )

    bound: float = 100.0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        bound = as_float(self.bound)
        if bound is None or not 1 < bound < math.inf:
            raise OptionError(f"expected bound to be a finite number > 1; got {self.bound!r}")
        self._keep(bound=bound)

    def prepare(self, problem: Problem) -> GaugeState:
        """Run the model once, watched, find the pairs, and take the one gradient that is needed.

        Raises:
            ModelError: no pair, or one of a dtype other than float32 and float64.
        """
        leaves = problem.leaves(problem.detached())
        with CAPTURE:
            loss, joints = watch(problem, leaves)
            found = find_pairs(joints, leaves)
        counted = problem.counted()
        _require_pairs(found.pairs, found.why, leaves)
        with torch.enable_grad():
            gradient = gradient_of(loss, leaves, counted, differentiable=False)
        moving = names_of(found.pairs)
        why = {n: found.why.get(n, "no pair has it") for n in counted if n not in moving}
        buffers = dict(problem.model.named_buffers())
        bounds = [bounds_of(pair, self.bound, buffers) for pair in found.pairs]
        start = start_of(found.pairs, gradient)
        return GaugeState(found.pairs, bounds, start, float(loss.detach()), why)

    def advance(self, problem: Problem, state: GaugeState) -> TeleportResult:
        """Take all steps, which no forward pass is needed for, and write where they lead."""
        if self.growth is None:
            ascent, end = climb(
                state.pairs, state.bounds, state.start, self.steps, self.lr, self.cap
            )
        else:
            line = GaugeLine(state.pairs, state.bounds, state.start)
            plan = Plan(self.growth, self.steps, self.cap)
            ascent, end = Climber(line, plan).climb(self.steps), line.orbit
        ascent.loss[0] = state.loss
        if ascent.steps_done:
            own = problem.detached()
            values = moved(state.pairs, end.factors, own)
            buffers = moved_buffers(state.pairs, end.factors, dict(problem.model.named_buffers()))
            state.write(problem, {n: values[n] for n in names_of(state.pairs)}, buffers)
        return self._known(ascent, state)

    @property
    def grows(self) -> bool:
        """||g||^2 is known along every step."""
        return True

    def _known(self, ascent: Ascent, state: GaugeState) -> TeleportResult:
        if not state.exact and ascent.steps_done:
            ascent.grad_norm_sq[-1] = math.nan  # left to the model
        exact = Guarantee.EXACT_EVERYWHERE if state.exact else Guarantee.APPROXIMATE
        return ascent.result(exact, held=state.why)


def _require_pairs(pairs: list[Pair], why: dict[str, str], leaves: dict[str, torch.Tensor]) -> None:
    if not pairs:
        found = "; ".join(f"{name} is held: {reason}" for name, reason in list(why.items())[:3])
        raise ModelError(
            "expected attention, two linear maps with nothing between them, a norm with a gain "
            "in front of linear maps, or a convolution in front of a batch norm; found no such "
            f"pair: {found or 'no parameter is used in a way that is known'}; use "
            "method='nullspace' or method='symmetry'"
        )
    for name in names_of(pairs):
        if leaves[name].dtype not in _DTYPES:
            raise ModelError(
                f"expected float32 or float64 parameters; {name} is {leaves[name].dtype}, in which "
                "a matrix and its inverse leave more than rounding: convert the model with "
                "model.float() and the inputs with inputs.float()"
            )
