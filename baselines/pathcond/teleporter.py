"""The method pathcond as users see it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from baselines.pathcond.kernel import PathKernel
from baselines.pathcond.paths import path_diagonal
from baselines.rescale.base import RescaleState, ScaleTeleporter
from baselines.rescale.policies import Step
from teleport_core.operations import Phases, one_gradient
from teleport_core.phases import BACKWARD
from teleport_core.problem import Problem


@dataclass
class PathState(RescaleState):
    """The same with the kernel of the paths; None where no scale is free."""

    kernel: PathKernel | None = None


@dataclass(frozen=True, kw_only=True)
class PathCondTeleporter(ScaleTeleporter):
    """Path-conditioned rescaling, meant for the start of training.

    Lebeurrier, Vayer and Gribonval, arXiv 2602.19799 (2026). It moves along the same scales as
    ``rescale``, towards the one minimum of the divergence of the diagonal of the path kernel from
    the identity, whatever that does to ||g||^2. One backward pass on inputs of 1 tells that
    diagonal; data have no part in it. Each step is a cycle over all units; ``lr`` is of no effect.
    """

    name: ClassVar[str] = "pathcond"
    promise: ClassVar[str] = "outputs stay for every input, to rounding; paths are conditioned"

    def prepare(self, problem: Problem) -> PathState:
        """Follow one pass, and take the diagonal of the path kernel.

        Raises:
            ModelError: nothing is free, or outputs are no sums over paths.
            ProblemError: the loss has no gradient.
        """
        state = super().prepare(problem)
        known = {each.name: getattr(state, each.name) for each in fields(state)}
        if not state.scaling.uses:
            return PathState(**known)
        with BACKWARD:
            diagonal = path_diagonal(problem)
        return PathState(**known, kernel=PathKernel(state.scaling, diagonal))

    @property
    def takes_lr(self) -> bool:
        """Never: a cycle is as long as it is."""
        return False

    def operations(self, widths: Sequence[int], n: int, *, bias: bool, itemsize: int) -> Phases:
        """Two gradients, that of the paths for one sample; a depth of one has no scale for it."""
        phases = super().operations(widths, n, bias=bias, itemsize=itemsize)
        if len(widths) > 2:
            phases["prepare"] += one_gradient(widths, 1, itemsize)
        return phases

    def step(self, problem: Problem, state: RescaleState) -> Step:
        """A cycle."""
        assert isinstance(state, PathState)
        assert state.kernel is not None
        return state.kernel.cycle
