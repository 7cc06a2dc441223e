"""A multilayer perceptron as a list of matrices.

Layout in this package, as in the papers: **columns are samples**. An activation h is
[features, columns]; a layer is one matrix V = [W b] of shape [out, in (+1)], the last column
being its bias if it has one, and then h gets a row of ones below: V h~ = W h + b.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.symmetry.activations import Activation
from teleport_core.problem import Parameters
from teleport_core.stack import StackLayer


@dataclass(frozen=True)
class MLP:
    """Linear layers with ``activations[m]`` between ``layers[m]`` and ``layers[m + 1]``."""

    layers: tuple[StackLayer, ...]
    activations: tuple[Activation, ...]

    def read(self, values: Parameters) -> Parameters:
        """Named parameters -> one matrix [W b] per layer, by the name of its weight."""
        matrices = {layer.weight: values[layer.weight] for layer in self.layers}
        for layer in self.layers:
            if layer.bias is not None:
                W, b = values[layer.weight], values[layer.bias]
                matrices[layer.weight] = torch.cat([W, b[:, None]], dim=1)
        return matrices

    def split(self, matrices: Parameters) -> Parameters:
        """The inverse of ``read``."""
        values: Parameters = {}
        for layer in self.layers:
            matrix = matrices[layer.weight]
            values[layer.weight] = matrix[:, : layer.in_features]
            if layer.bias is not None:
                values[layer.bias] = matrix[:, layer.in_features]
        return values

    def layer_inputs(self, matrices: Sequence[Tensor], inputs: Tensor) -> list[Tensor]:
        """h_0 = X and h_{m+1} = sigma(V_m h~_m): what feeds each layer, without ones rows."""
        fed = [inputs]
        for V, activation in zip(matrices, self.activations, strict=False):
            fed.append(activation.forward(V @ with_ones(fed[-1], V)))
        return fed

    def output(self, matrices: Sequence[Tensor], inputs: Tensor) -> Tensor:
        """The model's output as the model gives it: [columns, out], contiguous."""
        last = matrices[-1]
        return with_ones(self.layer_inputs(matrices, inputs)[-1], last).T @ last.T


def with_ones(h: Tensor, V: Tensor) -> Tensor:
    """Append the ones row to h [features, columns] when V = [W b] has a bias column for it."""
    if V.shape[1] == h.shape[0]:
        return h
    return torch.cat([h, h.new_ones(1, h.shape[1])])


def with_bias_of(U: Tensor, weight: Tensor) -> Tensor:
    """[W' b] for a new ``weight`` W' and the bias column of U, if it has one."""
    if U.shape[1] == weight.shape[1]:
        return weight
    return torch.cat([weight, U[:, weight.shape[1] :]], dim=1)
