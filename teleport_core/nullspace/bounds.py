"""What a move inside an approximate null space can do to a layer's pre-activations."""

from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.layers import linear_layers
from teleport_core.problem import Parameters, Problem
from teleport_core.projection import basis_of
from teleport_core.rank import resolve_rule


@dataclass(frozen=True)
class LayerInputs:
    """The inputs of one movable layer on one batch.

    Attributes:
        weight: name of the weight.
        bias: name of the bias that moves with it, or None.
        shape: (features, columns) of the representation matrix.
        sigma: its singular values, float64, descending.
        residual: sigma_{k+1} for the rank rule that was asked for.
    """

    weight: str
    bias: str | None
    shape: tuple[int, int]
    sigma: Tensor
    residual: float


def layer_inputs(problem: Problem, tau: float, rank_rule: str | None = None) -> list[LayerInputs]:
    """Singular values of every movable layer's input, in order of first use."""
    rule = resolve_rule(rank_rule, tau)
    found = []
    for layer in linear_layers(problem):
        representation = layer.representation()
        basis = basis_of(representation, rule, tau)
        features, columns = representation.shape
        found.append(
            LayerInputs(layer.weight, layer.bias, (features, columns), basis.sigma, basis.residual)
        )
    return found


def preactivation_bound(inputs: list[LayerInputs], before: Parameters, after: Parameters) -> float:
    """The largest ||dW_l|| sigma_{k+1}(R_l) over the layers.

    ||dW_l R_l||_F <= ||dW_l||_F sigma_{k+1} bounds the change of a layer's pre-activations at its
    old input, not the change of the loss.
    """
    bounds = [0.0]
    for layer in inputs:
        names = [name for name in (layer.weight, layer.bias) if name]
        moved = [(after[name] - before[name]).double().square().sum() for name in names]
        bounds.append(float(torch.stack(moved).sum().sqrt()) * layer.residual)
    return max(bounds)
