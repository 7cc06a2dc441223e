"""The diagonal of the kernel of a net's paths, by one backward pass.

The path lifting Phi has an entry for each path from an input or a bias to an output: the product of
the weights along it. With d_i the derivative by weight i, G_ii = ||d_i Phi||^2 is the sum, over the
paths through i, of the squares of all other weights: the derivative by theta_i^2 of what the net
answers where its weights are squared and its inputs are 1.
"""

import torch
from torch import Tensor

from teleport_core.errors import ModelError
from teleport_core.problem import Parameters, Problem
from teleport_core.torch_private import tree_leaves


def path_diagonal(problem: Problem) -> Parameters:
    """G_ii of every parameter that counts, in float64.

    Where a maximum of several units is taken, the paths are those that it lets through on inputs
    of 1, as in the released code.

    Raises:
        ModelError: inputs that are not one tensor of numbers, or layers whose output is no sum
            over paths.
    """
    _refuse(problem)
    one = torch.ones_like(problem.inputs[:1])
    squared = {name: p.square() for name, p in problem.detached().items()}
    leaves = problem.leaves(squared)
    counted = problem.counted()
    lifted = Problem(problem.model, _total, one, None)
    with torch.enable_grad():
        total = lifted.loss(leaves)
        found = torch.autograd.grad(total, [leaves[name] for name in counted], allow_unused=True)
    return {
        name: torch.zeros_like(leaves[name]).double() if value is None else value.double()
        for name, value in zip(counted, found, strict=True)
    }


def _total(output: object, targets: object) -> Tensor:
    """The sum of all entries of an output, in float64."""
    del targets
    tensors = [value for value in tree_leaves(output) if isinstance(value, Tensor)]
    return torch.stack([value.double().sum() for value in tensors]).sum()


def _refuse(problem: Problem) -> None:
    inputs = problem.inputs
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        raise ModelError(
            "expected inputs that are one tensor of real numbers, as paths begin at them; got "
            f"{_kind(inputs)}: use method='rescale', which takes any"
        )
    for name, module in problem.model.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._NormBase):
            raise ModelError(
                f"expected a net whose outputs are sums over paths; {name or 'the model'} is a "
                f"{type(module).__name__}, which divides by a deviation: use method='rescale'"
            )


def _kind(inputs: object) -> str:
    if isinstance(inputs, Tensor):
        return f"one of {inputs.dtype}"
    return f"a {type(inputs).__name__}"
