"""The method rescale as users see it: options, policies, guarantee."""

import hashlib
from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar, Self

from baselines.rescale.base import RescaleState, ScaleTeleporter
from baselines.rescale.policies import Step, best, drawn, grown, latest, uphill
from baselines.rescale.published import GradientPerWeight
from teleport_core.ascent import Ascent
from teleport_core.errors import OptionError
from teleport_core.option_checks import require_bool, require_choice, require_int, require_positive
from teleport_core.problem import Problem

POLICIES = ("ascent", "random", "best_of")


@dataclass(frozen=True, kw_only=True)
class RescaleTeleporter(ScaleTeleporter):
    """Positive change of basis of all units whose activations are positively homogeneous.

    Neural teleportation (Armenta et al., arXiv 2012.01118; Mathematics 11(2):480, 2023): what comes
    into unit j is multiplied by tau_j > 0, what it gives to others divided by it. Outputs stay for
    every input, and gradients are divided where weights are multiplied, so that ||g||^2 is known in
    closed form for all tau after the first gradient.

    Attributes:
        policy: "ascent", projected gradient ascent on 1/2 ||g||^2 by log tau; "random", where each
            step is a draw in the place of the one before; or "best_of", where it is one only if
            ||g||^2 is higher. Default "ascent"; "random" with ``published``.
        bound: of "ascent", |log tau| <= bound, since ||g||^2 has no maximum otherwise (inf is
            allowed); of the others the range of the draws, tau from U[1 - bound, 1 + bound], < 1.
            Default 0.5, the released code's range.
        seed: of the draws, together with ||g||^2 at the start: calls that follow each other draw
            something else.
        published: choose as the released code does, which knows no ascent: "best_of" goes by
            ||g / w||, and does not move a model with a weight of zero that has a gradient.
    """

    name: ClassVar[str] = "rescale"
    promise: ClassVar[str] = "outputs stay for every input, to rounding"

    policy: str | None = None
    bound: float = 0.5
    seed: int = 0
    published: bool = False

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        published = require_bool("published", self.published)
        policy = self.policy or ("random" if published else "ascent")
        self._keep(
            policy=require_choice("policy", policy, POLICIES),
            bound=require_positive("bound", self.bound),
            seed=require_int("seed", self.seed, at_least=0),
            published=published,
        )
        super().__post_init__()
        if published and policy == "ascent":
            raise OptionError(
                "expected policy='random' or 'best_of' with published=True, as the released code "
                "has no ascent; got 'ascent': leave out one of them"
            )
        if policy != "ascent" and self.bound >= 1:
            raise OptionError(
                f"expected bound < 1 for policy={policy!r}, which draws tau from "
                f"U[1 - bound, 1 + bound]; got {self.bound}: tau <= 0 needs other "
                "activations, x -> tau f(x / tau), which is another architecture, and no other "
                "weights of this one"
            )

    @property
    def grows(self) -> bool:
        """The ascent; a draw has no length."""
        return self.policy == "ascent"

    @property
    def takes_lr(self) -> bool:
        """The ascent, unless it has a ``growth``."""
        return self.grows and self.growth is None

    def unbounded(self) -> Self:
        """The same without cap, and the ascent without its box."""
        return replace(self, cap=inf, bound=inf if self.policy == "ascent" else self.bound)

    def step(self, problem: Problem, state: RescaleState) -> Step:
        """By the policy."""
        norm = state.norm
        if self.policy == "ascent":
            return uphill(norm, self.lr, self.bound)
        draw = drawn(norm, self.bound, _mixed(self.seed, float(norm.at(norm.start))))
        if self.policy == "random":
            return latest(draw)
        if self.published:
            return best(draw, GradientPerWeight(state.scaling, problem.detached(), state.gradient))
        return best(draw, lambda t: float(norm.at(t)))

    def _ascent(self, problem: Problem, state: RescaleState) -> Ascent:
        if state.plan is not None:
            return grown(state.norm, state.plan, self.steps, self.bound)
        return super()._ascent(problem, state)


def _mixed(seed: int, norm_sq: float) -> int:
    """Another seed for another point, and the same where only rounding differs."""
    digest = hashlib.sha256(f"{seed} {norm_sq:.4g}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
