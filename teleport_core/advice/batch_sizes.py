"""Batches of other sizes than the loader's: its first samples, cut or put together."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from teleport_core.forward.arguments import tensors_of
from teleport_core.torch_private import tree_leaves, tree_map
from teleport_core.training.batches import Batch

FACTORS = tuple(Fraction(2) ** power for power in (-3, -2, -1, 0, 1, 2))
"""Sizes that are looked at, as multiples of the loader's."""


@dataclass(frozen=True)
class Sized:
    """Batches by size, ascending; each begins with the samples of the one before.

    Attributes:
        own: the size of the loader's first batch.
        notes: why there are fewer than ``FACTORS``, a sentence each.
    """

    batches: dict[int, Batch]
    own: int
    notes: tuple[str, ...] = ()


def sized(batches: list[Batch]) -> Sized:
    """The first samples of the batches at every size that there are samples for."""
    first, own = batches[0], _samples(batches[0])
    whole = _why_whole(first)
    if whole:
        return Sized({own: first}, own, (f"Only the loader's own batch was looked at: {whole}.",))
    alike = [first]
    for batch in batches[1:]:
        if not _joins(first, batch):
            break
        alike.append(batch)
    there = sum(map(_samples, alike))
    wanted = [int(own * factor) for factor in FACTORS]
    found = {size: _first(alike, size) for size in wanted if 0 < size <= there}
    return Sized(found, own, _short(len(batches), len(alike), there, max(wanted)))


def _short(drawn: int, alike: int, there: int, wanted: int) -> tuple[str, ...]:
    if there >= wanted:
        return ()
    count = "1 sample" if there == 1 else f"{there} samples"
    batches = "1 batch" if alike == 1 else f"{alike} batches"
    why = f"the next is of other shapes, of {drawn} drawn" if alike < drawn else "no more was drawn"
    return (f"Sizes end at the {count} of {batches}: {why}.",)


def _samples(batch: Batch) -> int:
    """The length of the first tensor's first axis; 1 where it has none."""
    lengths = [len(one) for one in tensors_of(batch) if one.dim()]
    return lengths[0] if lengths else 1


def _why_whole(batch: Batch) -> str:
    """Why samples cannot be told apart; empty where they can."""
    leaves = [leaf for leaf in tree_leaves(batch) if leaf is not None and type(leaf) is not bool]
    others = {type(leaf).__name__ for leaf in leaves if not isinstance(leaf, Tensor)}
    if others:
        return f"inputs and targets hold more than tensors ({', '.join(sorted(others))})"
    lengths = {len(leaf) if leaf.dim() else None for leaf in leaves}
    if len(lengths) != 1 or None in lengths:
        shapes = ", ".join(str(list(leaf.shape)) for leaf in leaves)
        return f"inputs and targets do not all share their first axis ({shapes})"
    return ""


def _joins(one: Batch, other: Batch) -> bool:
    """Whether the samples of two batches fit into one."""
    if _why_whole(other) or _layout(one) != _layout(other):
        return False
    pairs = zip(tree_leaves(one), tree_leaves(other), strict=True)
    return all(
        a.shape[1:] == b.shape[1:] and a.dtype == b.dtype if isinstance(a, Tensor) else a is b
        for a, b in pairs
    )


def _layout(value: Any) -> Any:
    """Containers, keys and kinds of a tree, without the tensors in it."""
    if isinstance(value, Mapping):
        return [(key, _layout(one)) for key, one in value.items()]
    if isinstance(value, (tuple, list)):
        return [type(value), *map(_layout, value)]
    return type(value)


def _first(batches: list[Batch], size: int) -> Batch:
    """The first ``size`` samples of batches that join."""

    def cut(*parts: Any) -> Any:
        if not isinstance(parts[0], Tensor):
            return parts[0]
        return (torch.cat(parts) if len(parts) > 1 and size > len(parts[0]) else parts[0])[:size]

    made: Batch = tree_map(cut, *batches)
    return made
