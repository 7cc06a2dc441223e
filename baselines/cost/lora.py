"""Low-rank changes of weights, W + (alpha / r) B A, as LoRA has them (Hu et al., 2106.09685)."""

from collections.abc import Mapping
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from teleport_core.phases import UPDATE
from teleport_core.problem import Parameters

# PEFT's default, with which the released code runs: a scale of 1.6 at its rank of 5.
ALPHA = 8.0


class Pair(NamedTuple):
    """The factors of a change of one weight, both leaves: A [rank, inputs], B [outputs, rank]."""

    A: Tensor
    B: Tensor


def adaptable(parameters: Parameters) -> list[str]:
    """Names of the weights that get a pair: matrices, kernels as matrices [out, rest].

    Where there is none, as of a function of a few numbers, vectors do, as matrices of one row.
    """
    real = [name for name, value in parameters.items() if value.is_floating_point()]
    matrices = [name for name in real if parameters[name].dim() > 1]
    return matrices or [name for name in real if parameters[name].dim() == 1]


def pairs_of(parameters: Parameters, rank: int, generator: torch.Generator) -> dict[str, Pair]:
    """A pair for each weight, that changes nothing yet: B = 0, A drawn as PEFT draws it."""
    found = {}
    for name, value in parameters.items():
        outputs, inputs = (value.shape[0], -1) if value.dim() > 1 else (1, -1)
        matrix = value.reshape(outputs, inputs)
        # Factors of fewer digits would not add up what a step of lr changes.
        dtype = torch.float64 if value.dtype is torch.float64 else torch.float32
        bound = 1 / sqrt(matrix.shape[1])
        drawn = torch.rand(rank, matrix.shape[1], generator=generator, dtype=torch.float64)
        A = ((2 * drawn - 1) * bound).to(device=value.device, dtype=dtype)
        B = torch.zeros(outputs, rank, device=value.device, dtype=dtype)
        found[name] = Pair(A.requires_grad_(True), B.requires_grad_(True))
    return found


def changes(pairs: Mapping[str, Pair], like: Parameters) -> Parameters:
    """(alpha / r) B A of every pair, in the shape and the dtype of its weight."""
    with UPDATE:
        return {
            name: (ALPHA / len(A) * (B @ A)).view_as(like[name]).to(like[name].dtype)
            for name, (A, B) in pairs.items()
        }
