"""Attention whose kernel has a second derivative, also where the model pins another."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel


def attention(*args: Any, **kwargs: Any) -> Tensor:
    """``torch.nn.functional.scaled_dot_product_attention``."""
    with sdpa_kernel(SDPBackend.MATH):
        return torch.nn.functional.scaled_dot_product_attention(*args, **kwargs)
