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
    """Labels of the tensors that ``func`` makes, by having it move labels in their place.

    What is moved is its first argument, one tensor or several; others are indices or give a shape.
    """

    def stand_in(leaf: Any) -> Any:
        return spread(labels_of(leaf), leaf) if isinstance(leaf, Tensor) else leaf

    def there(leaf: Any) -> Any:
        return leaf.cpu() if isinstance(leaf, Tensor) else leaf

    first, *rest = args or [given["input"] if "input" in given else given["tensors"]]
    others = {key: value for key, value in given.items() if args or value is not first}
    with torch.no_grad():
        made = func(tree_map(stand_in, first), *tree_map(there, rest), **tree_map(there, others))
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
