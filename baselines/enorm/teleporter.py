"""The method enorm as users see it."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from baselines.enorm.balance import Balance
from baselines.rescale.base import RescaleState, ScaleTeleporter
from baselines.rescale.policies import Step
from teleport_core.errors import OptionError
from teleport_core.option_checks import require_positive
from teleport_core.problem import Problem


@dataclass(frozen=True, kw_only=True)
class EnormTeleporter(ScaleTeleporter):
    """Equi-normalization: scales of units at which the weights are smallest.

    Stock, Graham, Gribonval and Jegou, arXiv 1902.10416 (ICLR 2019). It moves along the same scales
    as ``rescale``, towards the one minimum of sum |W|^p, whatever that does to ||g||^2. Each step
    is a cycle over all layers; ``lr`` is of no effect.

    Attributes:
        p: of the norm. Default 2, the paper's.
    """

    name: ClassVar[str] = "enorm"
    promise: ClassVar[str] = "outputs stay for every input, to rounding; the weights get smaller"

    p: float = 2.0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        super().__post_init__()
        self._keep(p=require_positive("p", self.p))
        if self.p == inf:
            raise OptionError("expected p to be finite; got inf: its minimum is not one point")

    @property
    def takes_lr(self) -> bool:
        """Never: a cycle is as long as it is."""
        return False

    def step(self, problem: Problem, state: RescaleState) -> Step:
        """A cycle."""
        return Balance(state.scaling, problem.detached(), self.p).cycle
