"""What a method's own words are held to: the gradient of the model, and its outputs.

A method knows what its steps do to what it has seen of the model. Where a parameter is used in a
way that nobody can see, or the dtype cannot hold what the method promises, only the model's own
outputs and gradients tell.
"""

import math
import warnings
from typing import Any

import torch
from torch import Tensor

from teleport_core.errors import UNSEEN_USE, ModelError, TeleportWarning
from teleport_core.interface import State
from teleport_core.norms import distance
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Guarantee
from teleport_core.torch_private import tree_map
from teleport_core.verification.reference import Look, is_number, look, output_change

# Outputs computed twice differ by so many eps at the most, whatever the weights in between.
_ROUNDING_EPS = 1000
# Perturbed by so many eps, a gradient that is no more than rounding shows it.
_PERTURBED_EPS = 4
_PERTURBATIONS = 3


def require_gradient(problem: Problem, seen: Look, grad_norm_sq: float) -> None:
    """Refuse a method's ||g||^2 that is not the model's; NaN says that it has none.

    Raises:
        ModelError: they differ by more than rounding.
    """
    off, size = abs(grad_norm_sq - seen.grad_norm_sq), max(grad_norm_sq, seen.grad_norm_sq)
    if not off > 10 * _eps(problem) ** 0.5 * size:
        return
    # Their range where parameters change by a few eps.
    norms = [each.grad_norm_sq for each in _perturbed(problem, problem.detached())]
    if off <= 10 * (max(norms) - min(norms)) or off <= 10 * _error_of_loss(problem) * size:
        return
    raise ModelError(
        f"expected ||g||^2 = {seen.grad_norm_sq:.6g}, as the model's own backward pass gives; the "
        f"method found {grad_norm_sq:.6g}: {UNSEEN_USE}"
    )


def rounding(problem: Problem) -> float:
    """How much outputs computed twice may differ, relative to their size."""
    eps = _eps(problem)
    return min(_ROUNDING_EPS * eps, math.sqrt(eps))


def verified_guarantee(
    problem: Problem, state: State, change: float, guarantee: Guarantee
) -> Guarantee:
    """What is left of a guarantee: APPROXIMATE where outputs changed that were to stay.

    ``change`` is that of the outputs, ``output_change``.

    What steps add to rounding is in proportion to how far they move the weights; but an output
    that changed by more than eps^(1/4) did not stay, however far.
    """
    # A weight that moves by its own size leaves eps in the inputs of the next layer, and each
    # layer above multiplies it: in float64 change / movement is 1 to 1e4 eps on nets of four
    # layers and up to 1e7 eps on some of a hundred, far from what any mistake would leave. Where a
    # use is not seen, outputs change about as much as weights do. Half of the digits,
    # sqrt(eps) = 7e7 eps, lies between the two.
    exact = guarantee in (Guarantee.EXACT_EVERYWHERE, Guarantee.EXACT_ON_BATCH)
    if not exact or not change > rounding(problem):
        return guarantee
    eps, root = _eps(problem), _eps(problem) ** 0.5
    allowed = rounding(problem) + min(root * movement(problem, state), eps**0.25)
    # A hundred times a change of a few eps is no measure where eps is a hundredth.
    margin = min(100.0, eps**-0.25)
    if not change > allowed or change <= margin * _unsure(problem, state):
        return guarantee
    return Guarantee.APPROXIMATE


def warn_of_change(problem: Problem, change: float, moved: float, outcome: str) -> None:
    """Say to the caller of ``teleport`` that outputs changed which were to stay.

    Args:
        problem: names the dtype.
        change: of the outputs, relative to their size.
        moved: of the weights, relative to theirs.
        outcome: what became of it.

    Warns:
        TeleportWarning: always.
    """
    warnings.warn(
        f"the outputs on the batch were to stay, and changed by {change:.2g} of their size while "
        f"weights moved by {moved:.2g} of theirs; {outcome}: either a parameter is used where "
        f"nobody can see it, or {_dtype(problem)} cannot hold so long a step or features of such "
        "different size: try float64, and a smaller lr",
        TeleportWarning,
        stacklevel=6,
    )


def movement(problem: Problem, state: State) -> float:
    """||W' - W|| / ||W|| of what a call wrote, of all weights the largest."""
    own = problem.detached()
    moves = [0.0]
    for name, old in state.before.items():
        off, size = distance(own[name], old), float(old.norm())
        moves.append(off / size if size else float(off > 0))
    return max(moves)


def _unsure(problem: Problem, state: State) -> float:
    """How much outputs change, relative to themselves, where the start changes by a few eps."""
    # Much, where an output is a small difference of large numbers. Where a weight is read past
    # its place in the model, all of these passes see what it is now.
    start = problem.detached() | state.before
    before = look(problem, problem.leaves(start), gradient=False)
    return max(output_change(before, each) for each in _perturbed(problem, start))


def _perturbed(problem: Problem, parameters: Parameters) -> list[Look]:
    eps = _PERTURBED_EPS * _eps(problem)
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(_PERTURBATIONS):
        moved = {
            n: v * (1 + eps * torch.randn(v.shape, generator=generator).to(v))
            for n, v in parameters.items()
        }
        found.append(look(problem, problem.leaves(moved)))
    return found


def _error_of_loss(problem: Problem) -> float:
    """The error of dL/do in the model's dtype beside float64, relative to dL/do."""
    # Softmax minus one-hot is a difference of nearly equal numbers where a net fits its batch.
    found = []
    for dtype in (None, torch.float64):
        leaves: list[Tensor] = []

        def leaf(
            value: Any, dtype: torch.dtype | None = dtype, leaves: list[Tensor] = leaves
        ) -> Any:
            if not is_number(value):
                return value
            precise = torch.complex128 if value.is_complex() else dtype
            leaves.append(value.detach().to(precise if dtype else value.dtype).requires_grad_(True))
            return leaves[-1]

        output = tree_map(leaf, problem.output())
        try:
            with torch.enable_grad():
                loss = problem.loss_of(output)
            gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
        except (RuntimeError, ValueError):  # a loss for one dtype, outputs that nobody can read
            return 0.0
        found.append(torch.cat([g.detach().abs().double().flatten() for g in gradients]))
    if not len(found[1]):
        return 0.0
    size = float(found[1].norm())
    return float((found[0] - found[1]).norm()) / size if size else math.inf


def _dtype(problem: Problem) -> torch.dtype:
    """The coarsest of the parameters."""
    return max((p.dtype for p in problem.detached().values()), key=lambda d: torch.finfo(d).eps)


def _eps(problem: Problem) -> float:
    return torch.finfo(_dtype(problem)).eps
