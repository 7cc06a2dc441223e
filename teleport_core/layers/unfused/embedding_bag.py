"""Bags of rows of a table: rows looked up one by one, then reduced bag by bag."""

# ruff: noqa: A002  (an adapter has the argument names of its function)

import torch
from torch import Tensor
from torch.nn import functional as F

_REDUCTIONS = {"sum": "sum", "mean": "mean", "max": "amax"}


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """``torch.nn.functional.embedding_bag``; an empty bag is zero."""
    del sparse  # of the gradient's layout alone
    bag, bags = _bags(input, offsets, include_last_offset)
    tokens = input.reshape(-1)
    kept = torch.ones_like(tokens, dtype=torch.bool)
    if padding_idx is not None:
        kept = tokens != padding_idx % len(weight)
    bag = bag[kept]
    rows = F.embedding(tokens[kept], weight, None, max_norm, norm_type, scale_grad_by_freq)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1)[kept].unsqueeze(1)
    index = bag.unsqueeze(1).expand_as(rows)
    empty = rows.new_zeros(bags, rows.shape[1])
    return empty.scatter_reduce(0, index, rows, _REDUCTIONS[mode], include_self=False)


def _bags(input: Tensor, offsets: Tensor | None, include_last_offset: bool) -> tuple[Tensor, int]:
    """The bag of every token, and how many bags there are."""
    if offsets is None:
        bags, size = input.shape
        return torch.arange(bags, device=input.device).repeat_interleave(size), bags
    starts = offsets[:-1] if include_last_offset else offsets
    places = torch.arange(len(input), device=input.device)
    return torch.searchsorted(starts, places.to(starts.dtype), right=True) - 1, len(starts)
