"""A loss near one point: its value, its gradient and what the Hessian does to the gradient.

At most one autograd graph is alive: a visit makes it, the product H g uses it up.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from teleport_core.norms import real_view
from teleport_core.objectives.gradient import gradient_at
from teleport_core.phases import BACKWARD, CHECK, DOUBLE_BACKWARD, UPDATE
from teleport_core.problem import Parameters, Problem
from teleport_core.verification.derivatives import derivatives_needed


@dataclass(frozen=True)
class Visited:
    """A point with the graph of its gradient.

    Attributes:
        parameters: the counted ones, by name.
        loss: f(w).
        norm_sq: G = ||g||^2.
        leaves: the same values as leaves of the graph.
        graph: g(w) as it can be differentiated once more, until that is done.
    """

    parameters: Parameters
    loss: float
    norm_sq: float
    leaves: Parameters
    graph: Parameters

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are."""
        return math.isfinite(self.loss) and math.isfinite(self.norm_sq)

    def gradient(self) -> Parameters:
        """The gradient g without its graph."""
        return {name: value.detach() for name, value in self.graph.items()}

    def without_graph(self) -> Self:
        """The same, not to be differentiated again."""
        return replace(self, leaves={}, graph=self.gradient())


def visit(problem: Problem, parameters: Parameters, *, differentiable: bool = True) -> Visited:
    """One forward and one backward pass; without a graph unless ``differentiable``."""
    leaves = problem.leaves(parameters)
    with derivatives_needed(problem):
        found = gradient_at(problem, leaves, [*parameters], differentiable=differentiable)
    loss, gradient = found
    with CHECK:
        value, norm_sq = float(loss.detach()), inner(gradient, gradient)
    return Visited(parameters, value, norm_sq, leaves, gradient)


def hessian_times(problem: Problem, there: Visited, vector: Parameters) -> Parameters:
    """H(w) ``vector``, by one pass back through the graph of the gradient, which it frees.

    Raises:
        ModelError: an operation of the model has no second derivative in torch.
    """
    ends = [(name, value) for name, value in there.graph.items() if value.requires_grad]
    if not ends:  # the loss is linear
        return {name: torch.zeros_like(value) for name, value in there.parameters.items()}
    with DOUBLE_BACKWARD, derivatives_needed(problem):
        found = torch.autograd.grad(
            [value for _, value in ends],
            [*there.leaves.values()],
            grad_outputs=[vector[name] for name, _ in ends],
            allow_unused=True,
            materialize_grads=True,
        )
    return dict(zip(there.leaves, found, strict=True))


@dataclass(frozen=True)
class Model:
    """The linear model at w, of f and of 1/2 log ||grad f||^2, whose gradient is q = H g / G.

    Attributes:
        parameters: w.
        loss: f(w).
        norm_sq: G = ||g||^2.
        gradient: g.
        multiplier: lambda = <q, g> / G, the Lagrange multiplier of the constraint.
        tangent: q - lambda g, the part of q along the level set.
        residual: its squared norm, the squared KKT residual ||lambda g - q||^2.
    """

    parameters: Parameters
    loss: float
    norm_sq: float
    gradient: Parameters
    multiplier: float
    tangent: Parameters
    residual: float

    @classmethod
    def of(cls, parameters: Parameters, loss: float, g: Parameters, Hg: Parameters) -> Self:
        """From f, g and H g; g is not zero."""
        with BACKWARD:
            G = inner(g, g)
            multiplier = inner(Hg, g) / G / G
            tangent = {name: Hg[name] / G - multiplier * g[name] for name in g}
            residual = inner(tangent, tangent)
        return cls(parameters, loss, G, g, multiplier, tangent, residual)

    def moved(self, rho: float, v: float) -> Parameters:
        """The point w + rho q - v g."""
        # By its two orthogonal parts, of which the first is the small one near a solution.
        along = rho * self.multiplier - v
        with UPDATE:
            return {
                name: value + rho * self.tangent[name] + along * self.gradient[name]
                for name, value in self.parameters.items()
            }

    def rise(self, rho: float, v: float) -> float:
        """By how much the model of 1/2 log ||g||^2 rises there: <q, d>, d = rho q - v g."""
        along = rho * self.multiplier - v
        return rho * self.residual + along * self.multiplier * self.norm_sq


def inner(a: Parameters, b: Parameters) -> float:
    """<a, b> over all parameters, summed in float64."""
    products = [_product(a[name].detach(), b[name].detach()) for name in a]
    return float(torch.stack(products).sum())


def _product(a: Tensor, b: Tensor) -> Tensor:
    return (real_view(a) * real_view(b)).sum(dtype=torch.float64)
