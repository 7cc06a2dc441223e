"""Which entry of a tensor is which feature: a label that follows the output of a layer.

A feature is what a row of a weight makes, or a gain. An entry of a labelled tensor is one feature
times a constant, or, under rotary positions, a sum of two.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from teleport_core.torch_private import tree_leaves


class Side(NamedTuple):
    """The rows of a parameter, axis 0, or its columns, axis 1."""

    name: str
    axis: int


class Term(NamedTuple):
    """One feature times a constant, entry by entry.

    Attributes:
        feature: its number; a tensor shaped like the one that is labelled.
        scale: a number, or a tensor of that shape.
    """

    feature: Tensor
    scale: Tensor | float


@dataclass(frozen=True, eq=False)
class Features:
    """The label of a tensor.

    Attributes:
        side: where its features come from.
        terms: of every entry.
        blocks: [blocks, r] features that an M of their own may mix; None where nothing has parted
            them yet.
        call: the one that made them.
    """

    side: Side
    terms: tuple[Term, ...]
    blocks: Tensor | None = None
    call: object = field(default_factory=object)

    def rows(self) -> Tensor:
        """All features that occur."""
        found: Tensor = torch.unique(torch.cat([term.feature.flatten() for term in self.terms]))
        return found

    def scaled(self, factor: Tensor | float) -> "Features":
        """Times a constant that broadcasts to the tensor's own shape."""
        terms = []
        for index, scale in self.terms:
            if isinstance(factor, Tensor):
                factor = factor.expand(index.shape)
            terms.append(Term(index, scale * factor))
        return replace(self, terms=tuple(terms))

    def parts(self, function: Callable[..., Any]) -> list["Features"]:
        """The labels of what a function makes that moves entries about and changes none."""
        made = [_parts(term, function) for term in self.terms]
        return [replace(self, terms=terms) for terms in zip(*made, strict=True)]

    def along(self, dim: int) -> Tensor | None:
        """The feature of each place of one dimension; None where it is not one for all others.

        None, too, where features are added up or scaled by constants of their own.
        """
        if len(self.terms) != 1:
            return None
        index, scale = self.terms[0]
        flat = index.movedim(dim, -1).reshape(-1, index.shape[dim])
        if not len(flat) or not bool((flat == flat[0]).all()):
            return None
        found: Tensor = flat[0]
        return found if constant(scale, dim) else None


def fresh(side: Side, numbers: Tensor, like: Tensor, dim: int, blocks: Tensor | None) -> Features:
    """The label of a layer's output: features ``numbers`` along one dimension of it."""
    shape = [1] * like.dim()
    shape[dim] = len(numbers)
    return Features(side, (Term(numbers.view(shape).expand(like.shape), 1.0),), blocks)


def joined(labels: list[Features], function: Callable[..., Tensor]) -> Features | None:
    """The label of tensors of one side put together, as by ``torch.cat``.

    None for parts of several sides, and where an M would mix features of several calls.
    """
    first = labels[0]
    if any(each.side != first.side or each.blocks is not first.blocks for each in labels):
        return None
    for each in labels:
        if each.call is not first.call and not torch.equal(each.rows(), first.rows()):
            return None
    count = max(len(each.terms) for each in labels)
    # What is no sum is one with nothing of itself.
    padded = [(*each.terms, *[Term(each.terms[0].feature, 0.0)] * count)[:count] for each in labels]
    terms = [
        Term(function([t.feature for t in one]), function([_as_tensor(t) for t in one]))
        for one in zip(*padded, strict=True)
    ]
    return replace(first, terms=tuple(terms))


def added(a: Features, b: Features) -> Features | None:
    """The label of a sum of two features; None where it is more, or of several sides."""
    if a.side != b.side or len(a.terms) + len(b.terms) > 2 or a.blocks is not b.blocks:
        return None
    return replace(a, terms=(*a.terms, *b.terms))


def constant(scale: Tensor | float, dim: int) -> bool:
    """Whether a scale is the same all along one dimension."""
    if not isinstance(scale, Tensor):
        return True
    return bool((scale == scale.narrow(dim, 0, 1)).all())


def _parts(term: Term, function: Callable[..., Any]) -> list[Term]:
    indices = tree_leaves(function(term.feature))
    if not isinstance(term.scale, Tensor):
        return [Term(index, term.scale) for index in indices]
    scales = tree_leaves(function(term.scale))
    return [Term(index, scale) for index, scale in zip(indices, scales, strict=True)]


def _as_tensor(term: Term) -> Tensor:
    if isinstance(term.scale, Tensor):
        return term.scale
    return (
        torch.full((), term.scale, device=term.feature.device).double().expand(term.feature.shape)
    )
