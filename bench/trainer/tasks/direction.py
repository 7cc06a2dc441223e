"""The gradient of a training step on several tasks, made of that of each."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.entry_points import found, load
from bench.training.combiners import GROUP

Combiner = Callable[[Tensor], Tensor]
"""G [tasks, parameters] to the direction d [parameters] that is subtracted."""


def combiner_for(name: str) -> Combiner:
    """By name, one of ``bench.training.combiners``."""
    combiner: Combiner = load(found(GROUP)[name])
    return combiner


def backward_by_task(losses: Tensor, model: nn.Module, combine: Combiner) -> list[float]:
    """Put the combined gradient of losses [tasks] into ``.grad``.

    Of parameters that have a gradient of every task it is the combiner's direction, of the others
    the mean over the tasks: the head of one has no part in how several are weighed.

    Returns:
        cos(g_0, g_i) of the mean gradient and each task's, over the shared parameters.
    """
    own = [p for p in model.parameters() if p.requires_grad]
    by_task = [_gradient(loss, own) for loss in losses.unbind()]
    shared = [place for place in range(len(own)) if all(bool(g[place].any()) for g in by_task)]
    for place, p in enumerate(own):
        p.grad = torch.stack([g[place] for g in by_task]).mean(0)
    if not shared:
        return []
    G = torch.stack([torch.cat([g[place].flatten() for place in shared]) for g in by_task])
    parts = torch.split(combine(G), [own[place].numel() for place in shared])
    for place, part in zip(shared, parts, strict=True):
        own[place].grad = part.view_as(own[place])
    cosines = torch.nn.functional.cosine_similarity(G, G.mean(0, keepdim=True))
    found_cosines: list[float] = cosines.tolist()
    return found_cosines


def _gradient(loss: Tensor, own: list[nn.Parameter]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(
        loss, own, retain_graph=True, allow_unused=True, materialize_grads=True
    )
