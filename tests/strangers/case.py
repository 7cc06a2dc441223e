"""What a row of the table is made of: a model with random weights, its inputs, and a loss."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from teleport_core.torch_private import tree_leaves

SAMPLES = 2

Build = Callable[[], tuple[nn.Module, Any]]
Cases = dict[str, Build]


def image(size: int, channels: int = 3) -> Tensor:
    return torch.randn(SAMPLES, channels, size, size, dtype=torch.float64)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def tokens(*shape: int, of: int) -> Tensor:
    return torch.randint(2, of, shape)


def numbers(output: Any) -> list[Tensor]:
    """Every floating or complex tensor of an output, whatever holds it."""
    found = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
    return [leaf for leaf in found if leaf.is_floating_point() or leaf.is_complex()]


def loss_fn(output: Any, targets: None) -> Tensor:
    """Squared distance of every output that has a gradient to a wave that is not symmetric."""
    del targets
    terms = []
    for leaf in numbers(output):
        if leaf.requires_grad or not torch.is_grad_enabled():
            flat = (torch.view_as_real(leaf) if leaf.is_complex() else leaf).reshape(-1)
            wave = torch.arange(flat.numel(), dtype=torch.float64).mul(0.7).cos().to(flat.dtype)
            terms.append((flat - wave).square().mean() / 2)
    return torch.stack(terms).sum()
