"""A random direction of the null space: what a teleport does that seeks nothing.

The control of every claim about the direction of a teleport: the loss on the batch is kept, the
weights move as far, and the gradient is not asked where to.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import nan, sqrt
from typing import ClassVar

import torch

from teleport_core.errors import OptionError
from teleport_core.interface import State, Teleporter
from teleport_core.norms import squared_norm
from teleport_core.nullspace.operations import textbook
from teleport_core.nullspace.teleporter import NullSpaceTeleporter, null_dimensions
from teleport_core.nullspace.textbook import TextbookState, free_part, moving_names
from teleport_core.operations import NOTHING, Phases, product, total
from teleport_core.option_checks import require_int, require_positive
from teleport_core.phases import PROJECTION, UPDATE
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Engine, Guarantee, Status, TeleportResult

_WHOLE = NullSpaceTeleporter(engine="textbook")


@dataclass
class RandomState(State):
    """The null spaces of one batch."""

    spaces: TextbookState = field(kw_only=True)


@dataclass(frozen=True, kw_only=True)
class RandomTeleporter(Teleporter):
    """One move along a Gaussian direction, projected onto the null space of every layer's input.

    Attributes:
        displacement: Euclidean length of the move in all parameters.
        seed: of the direction.
        steps: no more than a number to report: the move is one.
    """

    name: ClassVar[str] = "random"
    promise: ClassVar[str] = (
        "outputs on the batch stay, to rounding; the gradient norm is left to chance"
    )

    displacement: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        if self.lr_is_given:
            raise OptionError(
                f"expected no lr with random, which moves by displacement; got lr={self.lr}: "
                "leave it out"
            )
        self._keep(
            displacement=require_positive("displacement", self.displacement),
            seed=require_int("seed", self.seed, at_least=0),
        )

    @property
    def takes_lr(self) -> bool:
        """Never: how far it moves is said."""
        return False

    def prepare(self, problem: Problem) -> RandomState:
        """Find the movable layers and the bases of their inputs.

        Raises:
            ModelError: no weight can move.
        """
        spaces = _WHOLE.prepare(problem)
        assert isinstance(spaces, TextbookState)
        return RandomState(spaces=spaces)

    def advance(self, problem: Problem, state: RandomState) -> TeleportResult:
        """Move once and write the parameters."""
        updates = self._updates(problem, state.spaces)
        length = sqrt(float(squared_norm(updates.values()))) if updates else 0.0
        if length:
            with UPDATE:
                own, scale = problem.detached(), self.displacement / length
                state.write(problem, {n: own[n] + scale * U for n, U in updates.items()})
        steps = self.steps if length else 0
        return TeleportResult(
            status=Status.DONE if length else Status.NO_NULL_SPACE,
            steps_done=steps,
            loss=[nan] * (steps + 1),
            grad_norm_sq=[nan] * (steps + 1),
            null_dims=null_dimensions(state.spaces, exact=True),
            guarantee=Guarantee.EXACT_ON_BATCH,
            held=state.spaces.held,
            engine=Engine("random", "it is the only one"),
        )

    def operations(self, widths: Sequence[int], n: int, *, bias: bool, itemsize: int) -> Phases:
        """The bases and one projection, whatever the steps."""
        found = textbook(widths, n, bias, itemsize)
        projections = total(
            product(i + bias, o, min(i + bias, n), itemsize) * 2 for i, o in pairwise(widths)
        )
        return {"prepare": found["prepare"] + projections, "step": NOTHING}

    def _updates(self, problem: Problem, spaces: TextbookState) -> Parameters:
        """A Gaussian direction, and of it what is free; drawn on the CPU, the same everywhere."""
        generator = torch.Generator().manual_seed(self.seed)
        own = problem.detached()
        with PROJECTION:
            drawn = {
                name: torch.randn(own[name].shape, generator=generator, dtype=torch.float64).to(
                    own[name]
                )
                for name in moving_names(spaces.layers)
            }
        return free_part(spaces.layers, spaces.bases, drawn)
