"""Units of a network, which of them must have the same scale, and which must have scale 1."""

from collections.abc import Iterator

import torch
from torch import Tensor

DATA = "they meet data, or what no weight scales"


class Units:
    """Labels of units, tied into sets of one scale each.

    Label 0 is whatever no weight scales: inputs, constants. It has scale 1 like all that is fixed.
    """

    def __init__(self) -> None:
        self._parent = [0]
        self._why = {0: DATA}

    def fresh(self, shape: tuple[int, ...]) -> Tensor:
        """New labels of this shape, all different and free."""
        start, count = len(self._parent), int(torch.Size(shape).numel())
        self._parent += range(start, start + count)
        return torch.arange(start, start + count, device="cpu").reshape(shape)

    def tie(self, one: Tensor, other: Tensor) -> None:
        """Give both, of shapes that broadcast, the same scale entry by entry."""
        pairs = torch.stack([spread(one, other), spread(other, one)]).flatten(1)
        for a, b in torch.unique(pairs, dim=1).T.tolist():
            first, last = sorted((self._root(a), self._root(b)))
            if first != last:
                self._parent[last] = first
                if last in self._why:
                    self._why.setdefault(first, self._why.pop(last))

    def fix(self, labels: Tensor, why: str) -> bool:
        """Give all of them scale 1; whether one was free before."""
        free = [root for root in self._roots(labels) if root not in self._why]
        self._why.update(dict.fromkeys(free, why))
        return bool(free)

    def fixed(self, labels: Tensor) -> bool:
        """Whether none of them is free."""
        return all(root in self._why for root in self._roots(labels))

    def why(self, labels: Tensor) -> str:
        """Why the first of them that is fixed has scale 1, another reason than data if there is."""
        found = [self._why[root] for root in self._roots(labels) if root in self._why]
        return next((why for why in found if why != DATA), DATA)

    def classes(self) -> Tensor:
        """By label: 0 for scale 1, else from 1 on the number of its set."""
        roots = [self._root(label) for label in range(len(self._parent))]
        free = [root for root in dict.fromkeys(roots) if root not in self._why]
        number = {root: k for k, root in enumerate(free, start=1)}
        return torch.tensor([number.get(root, 0) for root in roots], device="cpu")

    def _roots(self, labels: Tensor) -> Iterator[int]:
        return iter(dict.fromkeys(self._root(label) for label in torch.unique(labels).tolist()))

    def _root(self, label: int) -> int:
        parent = self._parent
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label


def of_data(dims: int) -> Tensor:
    """Labels of an activation with so many axes that no weight scales."""
    return torch.zeros([1] * dims, dtype=torch.long, device="cpu")


def of_channels(units: Units, labels: Tensor, axis: int, channels: int) -> Tensor:
    """Labels [channels] along an axis, those at other places tied to them."""
    rows = labels.movedim(axis, -1).reshape(-1, labels.shape[axis])
    if len(rows) > 1:
        units.tie(rows, rows[:1])
    return rows[0].expand(channels)


def pooled(units: Units, labels: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Labels with one entry along these axes, whose entries are tied."""
    for axis in axes:
        first = labels.narrow(axis, 0, 1)
        if labels.shape[axis] > 1:
            units.tie(labels, first)
        labels = first
    return labels


def spread(labels: Tensor, like: Tensor) -> Tensor:
    """Labels in the shape to which they and another tensor broadcast."""
    return labels + torch.zeros(like.shape, dtype=torch.long, device="cpu")


def gathered(labels: Tensor) -> Tensor:
    """Labels with one entry along each axis on which they do not depend."""
    for axis, size in enumerate(labels.shape):
        first = labels.narrow(axis, 0, min(size, 1))
        if size > 1 and bool((labels == first).all()):
            labels = first
    return labels.clone()
