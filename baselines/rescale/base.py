"""What all methods share that choose scales of units: one pass is followed, and steps are free."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from baselines.rescale.graph.follow import follow
from baselines.rescale.policies import PARAMETER, Step, walk
from baselines.rescale.result import RescaleResult, with_scales
from baselines.rescale.scaling import GradientNorm, Scaling, scaling_of
from teleport_core.ascent import Ascent, nowhere
from teleport_core.errors import ModelError, ProblemError
from teleport_core.interface import State, Teleporter
from teleport_core.nullspace.growth import Plan
from teleport_core.objectives.gradient import gradient_of
from teleport_core.operations import NOTHING, Phases, one_gradient
from teleport_core.phases import CAPTURE
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Guarantee, Status, TeleportResult
from teleport_core.verification.model_checks import refuse_autocast

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
class ScaleTeleporter(Teleporter):
    """Positive scales of units that leave outputs alone; a method says where they go."""

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
        plan = None if self.growth is None else Plan(self.growth, self.steps, self.cap)
        return RescaleState(float(loss.detach()), gradient, scaling, norm, plan)

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

    def operations(self, widths: Sequence[int], n: int, *, bias: bool, itemsize: int) -> Phases:
        """One gradient; a step multiplies no matrices."""
        del bias
        return {"prepare": one_gradient(widths, n, itemsize), "step": NOTHING}

    @abstractmethod
    def step(self, problem: Problem, state: RescaleState) -> Step:
        """How t = log tau goes on; asked at the start, anew each time steps are taken."""

    def _ascent(self, problem: Problem, state: RescaleState) -> Ascent:
        return walk(state.norm, self.step(problem, state), self.steps, self.cap)


def _nothing_free(scaling: Scaling) -> str:
    named = ", ".join(scaling.obstacles[:_NAMED])
    more = len(scaling.obstacles) - _NAMED
    named += f" and {more} more" if more > 0 else ""
    return (
        "expected units whose scale the next layer can take back: Linear, convolution or the gain "
        "of a batch norm, then ReLU, LeakyReLU, PReLU or nothing, then a layer; in this model none "
        f"is left of them, because of {named}: use method='nullspace', which takes any activation"
    )
