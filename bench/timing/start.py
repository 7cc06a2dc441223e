"""The values of a model from which every sample starts, and how it gets back to them."""

import torch
from torch import Tensor, nn

Values = dict[str, Tensor]


def values_of(model: nn.Module) -> Values:
    """Parameters and buffers by name, those too that are not saved; sharing the model's memory.

    Not its ``state_dict``, which hooks may copy or shorten.
    """
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: tensor.detach() for name, tensor in tensors.items()}


def copy_of(model: nn.Module) -> Values:
    """The same in memory of their own."""
    return {name: value.clone() for name, value in values_of(model).items()}


def restore(model: nn.Module, start: Values) -> None:
    """Put parameters and buffers back to where every sample starts from."""
    with torch.no_grad():
        for name, value in values_of(model).items():
            value.copy_(start[name])
