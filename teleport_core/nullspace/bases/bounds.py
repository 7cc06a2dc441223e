"""What a move inside an approximate null space can do to a layer's pre-activations, and does."""

from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.layers import Layer, linear_layers
from teleport_core.problem import Parameters, Problem
from teleport_core.projection import basis_of
from teleport_core.rank import resolve_rule

# Columns of R that are laid out at a time.
_COLUMNS = 4096


@dataclass(frozen=True)
class LayerInputs:
    """The inputs of one movable layer on one batch.

    Attributes:
        shape: (features, columns) of the representation matrix.
        sigma: its singular values, float64, descending.
        residual: sigma_{k+1} for the rank rule that was asked for.
    """

    layer: Layer
    shape: tuple[int, int]
    sigma: Tensor
    residual: float

    @property
    def weight(self) -> str:
        """Name of the weight."""
        return self.layer.weight

    @property
    def bias(self) -> str | None:
        """Name of the bias that moves with it."""
        return self.layer.bias

    def moved(self, before: Parameters, after: Parameters) -> Tensor:
        """How far the weight moved, dW [rows, features], float64."""
        return self.layer.gather(after).double() - self.layer.gather(before).double()


def layer_inputs(problem: Problem, tau: float, rank_rule: str | None = None) -> list[LayerInputs]:
    """Singular values of every movable layer's input, in order of first use."""
    rule = resolve_rule(rank_rule, tau)
    found = []
    for layer in linear_layers(problem):
        representation = layer.representation()
        basis = basis_of(representation, rule, tau)
        features, columns = representation.shape
        found.append(LayerInputs(layer, (features, columns), basis.sigma, basis.residual))
    return found


def bound_of(layer: LayerInputs, before: Parameters, after: Parameters) -> float:
    """||dW||_F sigma_{k+1} >= ||dW R||_F, for a dW in what the rank rule leaves free."""
    return float(layer.moved(before, after).norm()) * layer.residual


def change_of(layer: LayerInputs, before: Parameters, after: Parameters) -> float:
    """||dW R||_F: how far the pre-activations at the layer's old input moved; R in pieces."""
    moved = layer.moved(before, after)
    squares = [(piece.double() @ moved.T).square().sum() for piece in layer.layer.columns(_COLUMNS)]
    return float(torch.stack(squares).sum().sqrt())


def preactivation_bound(inputs: list[LayerInputs], before: Parameters, after: Parameters) -> float:
    """The largest ||dW_l||_F sigma_{k+1}(R_l) over the layers.

    It bounds the change of a layer's pre-activations at its old input, not that of the loss.
    """
    return max((bound_of(layer, before, after) for layer in inputs), default=0.0)


def preactivation_change(inputs: list[LayerInputs], before: Parameters, after: Parameters) -> float:
    """The largest ||dW_l R_l||_F over the layers: what ``preactivation_bound`` bounds."""
    return max((change_of(layer, before, after) for layer in inputs), default=0.0)
