"""Labels where entries of an activation are moved, padded or summed up."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from baselines.rescale.graph.units import Units, gathered, pooled, spread
from teleport_core.torch_private import tree_leaves, tree_map


def arranged(
    func: Callable[..., Any], args: Any, given: Any, labels_of: Callable[[Tensor], Tensor]
) -> list[Tensor]:
    """Labels of the tensors that ``func`` makes, by having it move labels in their place."""

    def stand_in(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        # What is no number of the network's is an index.
        numbers = leaf.is_floating_point() or leaf.is_complex()
        return spread(labels_of(leaf), leaf) if numbers else leaf.cpu()

    with torch.no_grad():
        made = func(*tree_map(stand_in, args), **tree_map(stand_in, given))
    return [gathered(leaf) for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]


def reduced(
    units: Units,
    labels: Tensor,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    **other: Any,
) -> Tensor | None:
    """Labels of a sum, mean or extreme over some axes, whose entries are tied."""
    if not other.keys() <= {"dtype"}:
        return None
    if not labels.dim():
        return labels
    if dim is None or dim in ((), []):
        dim = range(labels.dim())
    axes = tuple(axis % labels.dim() for axis in ([dim] if isinstance(dim, int) else dim))
    labels = pooled(units, labels, axes)
    return labels if keepdim else labels.squeeze(axes)


def padded(
    units: Units,
    labels: Tensor,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Tensor | None:
    """Labels beside which zeros, or entries of the same units, are put; None for other constants.

    Zeros between units are units of their own: they have any scale.
    """
    if mode == "constant" and value:
        return None
    for k in range(len(pad) // 2):
        axis, before, after = labels.dim() - 1 - k, pad[2 * k], pad[2 * k + 1]
        if labels.shape[axis] == 1 or (before, after) == (0, 0):
            continue
        if mode != "constant" or min(before, after) < 0:
            return None
        ends = [
            units.fresh(torch.Size([*labels.shape[:axis], n, *labels.shape[axis + 1 :]]))
            for n in (before, after)
        ]
        labels = torch.cat([ends[0], labels, ends[1]], axis)
    return labels
