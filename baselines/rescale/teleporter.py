"""The method rescale as users see it: options, policies, guarantee."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar, Self

from torch import Tensor

from baselines.rescale.graph.follow import follow
from baselines.rescale.policies import PARAMETER, Step, best, drawn, grown, latest, uphill, walk
from baselines.rescale.published import GradientPerWeight
from baselines.rescale.result import RescaleResult, with_scales
from baselines.rescale.scaling import GradientNorm, Scaling, scaling_of
from teleport_core.ascent import Ascent, nowhere
from teleport_core.errors import ModelError, OptionError, ProblemError
from teleport_core.interface import Guarantee, State, Status, Teleporter, TeleportResult
from teleport_core.nullspace.growth import Plan
from teleport_core.objective import gradient_of
from teleport_core.option_checks import require_bool, require_choice, require_int, require_positive
from teleport_core.phases import CAPTURE
from teleport_core.problem import Parameters, Problem
from teleport_core.verification.model_checks import refuse_autocast

POLICIES = ("ascent", "random", "best_of")
# Obstacles that an error names.
_NAMED = 3


@dataclass
class RescaleState(State):
    """What holds for every step of one batch.

    Attributes:
        loss: at the start, and wherever the scales lead.
        gradient: of every parameter that counts, at the start.
        scaling: the scales that are free.
        norm: ||g||^2 as a function of them.
        plan: how far ||g||^2 is to grow, where that was asked for.
    """

    loss: float
    gradient: Parameters
    scaling: Scaling
    norm: GradientNorm
    plan: Plan | None = None


@dataclass(frozen=True, kw_only=True)
class RescaleTeleporter(Teleporter):
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

    def prepare(self, problem: Problem) -> RescaleState:
        """Follow one forward pass and take its gradient; no other pass is needed.

        Raises:
            ModelError: nothing is free, because of operations that are named.
            ProblemError: the loss has no gradient.
        """
        refuse_autocast(next(iter(problem.parameters().values())).device.type)
        # A hook changes what arrives, not what the gradient is.
        hooked = any(p._backward_hooks for p in problem.parameters().values())
        leaves: Parameters = dict(problem.parameters())
        if hooked:
            leaves = problem.leaves(problem.detached())
        with CAPTURE:
            book, loss = follow(problem, leaves if hooked else None)
            scaling = scaling_of(book, problem.counted())
        if not scaling.uses and scaling.obstacles:
            raise ModelError(_nothing_free(scaling))
        if not loss.requires_grad:
            raise ProblemError(
                "expected a loss that depends on the parameters; it has no gradient: leave out "
                ".detach() and torch.no_grad() in the model and in loss_fn"
            )
        gradient = gradient_of(loss, leaves, problem.counted(), differentiable=False)
        norm = GradientNorm(scaling, gradient)
        state = RescaleState(float(loss.detach()), gradient, scaling, norm)
        if self.growth is not None:
            state.plan = Plan(self.growth, self.steps, self.cap)
        return state

    def advance(self, problem: Problem, state: RescaleState) -> TeleportResult:
        """Take all steps and write the parameters."""
        if not state.scaling.uses:
            # A net of depth one has no unit whose scale another layer takes back.
            nothing = nowhere(Status.NO_ASCENT_DIRECTION)
            return nothing.result(Guarantee.EXACT_EVERYWHERE, held=dict(state.scaling.held))
        ascent = self._ascent(problem, state)
        ascent.loss[0] = state.loss
        log_tau = (ascent.parameters or {}).get(PARAMETER, state.norm.start)
        if ascent.steps_done:
            state.write(problem, state.scaling.moved(problem.detached(), log_tau))
        result = ascent.result(Guarantee.EXACT_EVERYWHERE, held=dict(state.scaling.held))
        return with_scales(result, log_tau, state.scaling)

    def action(self, result: RescaleResult) -> Mapping[str, Tensor]:
        """Parameter -> s of the move W -> s W, to take an optimizer's state along."""
        return result.scales()

    @property
    def grows(self) -> bool:
        """The ascent; a draw has no length."""
        return self.policy == "ascent"

    def unbounded(self) -> Self:
        """The same without cap, and the ascent without its box."""
        return replace(self, cap=inf, bound=inf if self.policy == "ascent" else self.bound)

    def _ascent(self, problem: Problem, state: RescaleState) -> Ascent:
        if state.plan is not None:
            return grown(state.norm, state.plan, self.steps, self.bound)
        return walk(state.norm, self._step(problem, state), self.steps, self.cap)

    def _step(self, problem: Problem, state: RescaleState) -> Step:
        norm = state.norm
        if self.policy == "ascent":
            return uphill(norm, self.lr, self.bound)
        draw = drawn(norm, self.bound, _mixed(self.seed, float(norm.at(norm.start))))
        if self.policy == "random":
            return latest(draw)
        if self.published:
            return best(draw, GradientPerWeight(state.scaling, problem.detached(), state.gradient))
        return best(draw, lambda t: float(norm.at(t)))


def _mixed(seed: int, norm_sq: float) -> int:
    """Another seed for another point, and the same where only rounding differs."""
    digest = hashlib.sha256(f"{seed} {norm_sq:.4g}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def _nothing_free(scaling: Scaling) -> str:
    named = ", ".join(scaling.obstacles[:_NAMED])
    more = len(scaling.obstacles) - _NAMED
    named += f" and {more} more" if more > 0 else ""
    return (
        "expected units whose scale the next layer can take back: Linear, convolution or the gain "
        "of a batch norm, then ReLU, LeakyReLU, PReLU or nothing, then a layer; in this model none "
        f"is left of them, because of {named}: use method='nullspace', which takes any activation"
    )
