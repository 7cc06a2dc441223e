"""Slow and obvious ways to know the answer."""

import torch
from torch import Tensor

from teleport_core import Problem
from teleport_core.objectives.gradient import gradient_at
from teleport_core.problem import Parameters
from teleport_core.projection import basis_of
from teleport_core.verification.reference import look


def snapshot(problem: Problem) -> dict[str, Tensor]:
    """Copies of every parameter and buffer."""
    return {name: value.detach().clone() for name, value in problem.model.state_dict().items()}


def identical(problem: Problem, before: dict[str, Tensor]) -> bool:
    """Whether every parameter and buffer is bit for bit as in ``before``."""
    now = problem.model.state_dict()
    return all(torch.equal(now[name], value) for name, value in before.items())


def output_change(problem: Problem, before: Tensor) -> float:
    """Largest change of an output, relative to the largest output."""
    with torch.no_grad():
        after = problem.output()
    return float((after - before).abs().max() / before.abs().max())


def loss_and_gradient(
    problem: Problem, parameters: Parameters, *, differentiable: bool
) -> tuple[Tensor, Parameters]:
    """The loss and its gradient with respect to every counted parameter, shaped like them."""
    leaves, counted = problem.leaves(parameters), problem.counted()
    return gradient_at(problem, leaves, counted, differentiable=differentiable)


def loss_and_grad_norm_sq(problem: Problem) -> tuple[float, float]:
    """The loss and ||g||^2 at the model's present parameters."""
    seen = look(problem)
    return seen.loss, seen.grad_norm_sq


def flat_hessian_gradient(problem: Problem) -> Tensor:
    """H g with the dense Hessian of the loss; order of ``problem.counted()``."""
    parameters = problem.detached()
    names = problem.counted()
    sizes = [parameters[name].numel() for name in names]
    start = torch.cat([parameters[name].reshape(-1) for name in names])

    def loss(vector: Tensor) -> Tensor:
        pieces = vector.split(sizes)
        values = {
            name: piece.reshape(parameters[name].shape)
            for name, piece in zip(names, pieces, strict=True)
        }
        return problem.loss(parameters | values)

    hessian = torch.autograd.functional.hessian(loss, start)
    gradient = torch.autograd.functional.jacobian(loss, start)
    return hessian @ gradient


def null_space_projector(inputs: Tensor) -> Tensor:
    """Dense I - R R^+ for inputs given as rows [columns, features]."""
    features = inputs.shape[1]
    return torch.eye(features, dtype=inputs.dtype) - torch.linalg.pinv(inputs) @ inputs


def svd_basis(inputs: Tensor, *, ones: bool) -> Tensor:
    """The textbook engine's decision about the rank."""
    return basis_of(with_ones(inputs) if ones else inputs, "numerical", 1.0).vectors


def with_ones(inputs: Tensor) -> Tensor:
    """A row of ones below the features."""
    return torch.cat([inputs, inputs.new_ones(1, inputs.shape[1])])
