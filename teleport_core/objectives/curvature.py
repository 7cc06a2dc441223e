"""Curvature of a minimum: how much the orbit of GL(width) bends where it passes the parameters.

Zhao et al., arXiv 2305.13404, section 4: for the layers V, U around a hidden layer and a matrix M
the curve is

    gamma(t) = (sigma^-1(e^{tM} sigma(V h)) h^+,  U e^{-tM}),

h the inputs of V and h^+ their pseudo-inverse. At t = 0, with a sigma made of straight pieces,

    gamma'  = (((M   sigma(V h)) / sigma'(V h)) h^+,  -U M),
    gamma'' = (((M^2 sigma(V h)) / sigma'(V h)) h^+,   U M^2),

and kappa = ||gamma'' - its part along gamma'|| / ||gamma'||^2, which is 1/r on a circle.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from teleport_core.errors import ModelError
from teleport_core.option_checks import require_int
from teleport_core.problem import Parameters, Problem
from teleport_core.stack import Refusal, Sigma, Stack, read_stack


@dataclass(frozen=True)
class Curvature:
    """psi(w) = the mean of kappa over all hidden layers and random M, entries U[0, 1), ||M||_F = 1.

    Attributes:
        matrices: for each hidden layer, the same at every point.
        seed: of the matrices.
    """

    matrices: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        require_int("matrices", self.matrices, at_least=1)

    def value(self, problem: Problem, parameters: Parameters) -> Tensor:
        """psi, which can be differentiated.

        Raises:
            ModelError: the model is no stack of nn.Linear and nn.LeakyReLU with a hidden layer.
        """
        generator = torch.Generator().manual_seed(self.seed)
        found = []
        for pair in _pairs(problem, _stack(problem), parameters):
            for _ in range(self.matrices):
                width = len(pair.z)
                M = torch.rand(width, width, generator=generator, dtype=torch.float64).to(pair.z)
                found.append(curvature(*pair.derivatives(M / M.norm())))
        return torch.stack(found).mean()


@dataclass(frozen=True)
class Pair:
    """The layers around a hidden layer; columns are samples.

    Attributes:
        z: V h [width, columns].
        activation: sigma(z).
        slope: sigma'(z).
        inverse: h^+ [columns, in], h with a row of ones where V has a bias.
        U: [out, width].
    """

    z: Tensor
    activation: Tensor
    slope: Tensor
    inverse: Tensor
    U: Tensor

    def derivatives(self, M: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Both derivatives of gamma at t = 0."""
        along = M @ self.activation
        first = [(along / self.slope) @ self.inverse, -self.U @ M]
        return first, [((M @ along) / self.slope) @ self.inverse, self.U @ M @ M]


def curvature(first: list[Tensor], second: list[Tensor]) -> Tensor:
    """Kappa of a curve by its first two derivatives, each in parts."""
    velocity = torch.cat([part.flatten() for part in first])
    acceleration = torch.cat([part.flatten() for part in second])
    speed = velocity.square().sum()
    across = acceleration - (velocity @ acceleration / speed) * velocity
    size: Tensor = across.norm() / speed
    return size


def _stack(problem: Problem) -> Stack:
    """The stack that a model is, if the curve can be written down for it."""
    stack = read_stack(problem)
    if isinstance(stack, Refusal):
        raise ModelError(str(stack))
    sigmas = [sigma for layer in stack.layers for sigma in layer.activations]
    bent = [each.place for each in sigmas if not _is_leaky(each)]
    if bent or len(stack.layers) < 2:
        found = f"{bent[0]} is something else" if bent else "there is one layer"
        raise ModelError(
            "expected two or more nn.Linear with nn.LeakyReLU between them, whose inverse has no "
            f"curvature of its own; {found}: use another objective"
        )
    return stack


def _is_leaky(sigma: Sigma) -> bool:
    return type(sigma.module) is nn.LeakyReLU and sigma.module.negative_slope > 0


def _slope(sigma: Sigma, z: Tensor) -> Tensor:
    assert isinstance(sigma.module, nn.LeakyReLU)
    return torch.ones_like(z).masked_fill(z <= 0, sigma.module.negative_slope)


def _pairs(problem: Problem, stack: Stack, values: Parameters) -> Iterator[Pair]:
    (inputs,) = problem.tensors()
    for flatten in stack.flattens:
        inputs = flatten(inputs)
    h = inputs.reshape(-1, inputs.shape[-1]).T
    for layer, above in pairwise(stack.layers):
        V = values[layer.weight]
        if layer.bias is not None:
            V = torch.cat([V, values[layer.bias][:, None]], 1)
            h = torch.cat([h, h.new_ones(1, h.shape[1])])
        z = V @ h
        end, slope = z, torch.ones_like(z)
        for sigma in layer.activations:
            end, slope = sigma.forward(end), slope * _slope(sigma, end)
        yield Pair(z, end, slope, torch.linalg.pinv(h), values[above.weight])
        h = end
