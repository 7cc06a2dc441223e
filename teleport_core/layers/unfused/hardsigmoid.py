"""The hard sigmoid; its neighbours hardswish, hardtanh, relu6 and hardshrink need nothing."""

# ruff: noqa: A002  (an adapter has the argument names of its function)

import torch
from torch import Tensor


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``torch.nn.functional.hardsigmoid``: x / 6 + 1/2 between 0 and 1, flat at both kinks."""
    inside = (input > -3) & (input < 3)
    value = torch.where(inside, input / 6 + 0.5, (input >= 3).to(input.dtype))
    return input.copy_(value) if inplace else value
