"""The batch of all ranks: every tensor of inputs and targets, put together along its first axis."""

import copy
from typing import Any

import torch
from torch import Tensor

from teleport_core.distributed.fingerprint import described
from teleport_core.errors import ProblemError
from teleport_core.forward.arguments import tensors_of


def shard_of(batch: Any) -> list[Tensor]:
    """The tensors of a rank's batch, in memory of their own on the CPU.

    Raises:
        ProblemError: one has no rows that could be put together with those of other ranks.
    """
    tensors = _distinct(batch)
    for tensor in tensors:
        if tensor.layout is not torch.strided or tensor.is_nested or tensor.dim() == 0:
            raise ProblemError(
                "expected inputs and targets to be dense tensors with samples along their first "
                f"axis, so that those of all ranks can be put together; got one of "
                f"{tensor.dim()} axes and layout {tensor.layout}: leave out what is no sample"
            )
        if len(tensor) == 0 or len(tensor) % len(tensors[0]):
            raise ProblemError(
                f"expected every tensor of inputs and targets to have rows for each of the "
                f"{len(tensors[0])} samples; got one of shape {tuple(tensor.shape)}: leave out "
                "what is no sample, and hand in at least one"
            )
    return [tensor.detach().cpu().clone() for tensor in tensors]


def kind_of(batch: Any) -> str:
    """What has to be the same on all ranks: everything of the batch but its samples."""
    tensors = _distinct(batch)
    places = {id(tensor): f"tensor {i}" for i, tensor in enumerate(tensors)}
    rows = [
        (str(t.dtype), tuple(t.shape[1:]), len(t) // len(tensors[0]), t.requires_grad)
        for t in tensors
    ]
    return f"{rows} in {described(_replaced(batch, places))}"


def together(batch: Any, shards: list[list[Tensor]]) -> Any:
    """The rank's batch with the rows of all ranks, in order of ranks, in place of its own."""
    whole = {}
    for own, parts in zip(_distinct(batch), zip(*shards, strict=True), strict=True):
        one = torch.cat(parts).to(own.device)
        whole[id(own)] = one.requires_grad_() if own.requires_grad else one
    return _replaced(batch, whole)


def _distinct(batch: Any) -> list[Tensor]:
    return list({id(tensor): tensor for tensor in tensors_of(batch)}.values())


def _replaced(batch: Any, parts: dict[int, Any]) -> Any:
    """A copy with something else in place of each tensor."""
    return copy.deepcopy(batch, dict(parts))
