"""The model as it is, by a real forward and backward pass: loss, ||g||^2 and outputs."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from teleport_core.errors import ProblemError
from teleport_core.norms import squared_norm
from teleport_core.problem import Parameters, Problem
from teleport_core.torch_private import tree_leaves
from teleport_core.verification.derivatives import derivatives_needed
from teleport_core.verification.gradient_norm import gradient_norm_sq
from teleport_core.verification.written_gradients import gradients_left_alone

if TYPE_CHECKING:
    from teleport_core.distributed.ranks import Ranks

Evaluate = Callable[[Problem, Parameters | None], tuple[Any, Tensor]]
"""Runs model and loss with their graph: output and loss."""


class Look(NamedTuple):
    """The loss, ||g||^2 and the outputs, each [samples, ...], at the model's present parameters.

    NaN, and no outputs, where nobody looked. Where ``ranks`` share the batch, loss and norm are
    those of all of it, outputs those of this rank's samples.
    """

    loss: float
    grad_norm_sq: float
    outputs: list[Tensor]
    ranks: "Ranks | None" = None

    @property
    def finite(self) -> bool:
        """Whether a teleport may end here."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm_sq)


def evaluate(problem: Problem, parameters: Parameters | None = None) -> tuple[Any, Tensor]:
    """Output and loss."""
    output = problem.output(parameters)
    return output, problem.loss_of(output)


def look(
    problem: Problem,
    parameters: Parameters | None = None,
    *,
    gradient: bool = True,
    evaluate: Evaluate = evaluate,
) -> Look:
    """Run the model at ``parameters``, by default on its own, which the loss may read as well.

    Without ``gradient`` there is no backward pass, and ||g||^2 is NaN.

    Raises:
        ProblemError: the loss has no gradient.
        ModelError: an operation has none, or the backward pass writes ``.grad``.
    """
    if parameters is None and any(p._backward_hooks for p in problem.parameters().values()):
        # A hook changes what arrives, not what the gradient is.
        parameters = problem.leaves(problem.detached())
    with torch.enable_grad():  # also for outputs alone: modules take other ways without
        output, loss = evaluate(problem, parameters)
        outputs = [leaf.detach().clone() for leaf in tree_leaves(output) if is_number(leaf)]
        norm_sq = _grad_norm_sq(problem, parameters, loss) if gradient else math.nan
    loss = loss.detach()
    total = problem.total(float(loss))
    return Look(total, norm_sq, outputs or [loss.clone()], problem.ranks)


def _grad_norm_sq(problem: Problem, parameters: Parameters | None, loss: Tensor) -> float:
    if not loss.requires_grad:
        raise ProblemError(
            "expected a loss that depends on the parameters; it has no gradient: leave out "
            ".detach() and torch.no_grad() in the model and in loss_fn"
        )
    values: Parameters = dict(problem.parameters()) if parameters is None else parameters
    wanted = [values[name] for name in problem.counted()]
    with gradients_left_alone(problem), derivatives_needed(problem):
        if problem.ranks is None:
            return float(gradient_norm_sq(loss, wanted))
        own = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    whole = problem.ranks.sum("the gradient", [one.to_dense() for one in own])
    return float(squared_norm(whole))


def output_change(before: Look, after: Look) -> float:
    """||o' - o|| / ||o||, of several outputs the largest; NaN for a model without any.

    Norms are of the finite entries; one that became finite, or ceased to be, is a change without
    end.
    """
    if [o.shape for o in before.outputs] != [o.shape for o in after.outputs]:
        found = [(math.inf, 1.0) for _ in before.outputs]
    else:
        found = [*map(_off, before.outputs, after.outputs)]
    if before.ranks is not None:
        found = _of_all_ranks(before.ranks, found)
    changes = []
    for off, size in found:
        changes.append(off / size if size and not math.isnan(off) else math.inf if off else 0.0)
    return max(changes, default=math.nan)


def _off(old: Tensor, new: Tensor) -> tuple[float, float]:
    """||new - old|| and ||old||."""
    old, new = _precise(old), _precise(new)
    # Masked scores are minus infinity before and after, padding is NaN in some models.
    same = (old == new) | (old.isnan() & new.isnan())
    off = float(torch.where(same, torch.zeros_like(old), new - old).norm())
    return off, float(torch.where(torch.isfinite(old), old, torch.zeros_like(old)).norm())


def _of_all_ranks(ranks: "Ranks", found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    squares = torch.tensor(found, dtype=torch.float64).square()
    (total,) = ranks.sum("the change of its outputs", [squares])
    return [(off, size) for off, size in total.sqrt().tolist()]


def _precise(output: Tensor) -> Tensor:
    """In half precision a norm may be infinite where no entry is."""
    return output.to(torch.complex128 if output.is_complex() else torch.float64)


def is_number(leaf: object) -> bool:
    """Whether a leaf of an output can be compared with another: a tensor, floating or complex."""
    return isinstance(leaf, Tensor) and (leaf.is_floating_point() or leaf.is_complex())
