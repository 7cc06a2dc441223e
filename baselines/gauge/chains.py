"""Chains of features that one M has to go through: all that meet at joints, block by block."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from baselines.gauge.flow.features import Side
from baselines.gauge.flow.joints import Column, Dot, Joints, Normed

_Node = tuple[Side, tuple[int, ...]]
_Partner = tuple[int, ...] | None


class _Kind(NamedTuple):
    """By what components are alike."""

    sides: tuple[tuple[Side, bool], ...]
    partner: _Partner
    why: str


class Link(NamedTuple):
    """Features of one side in a chain: [blocks, r], moved by M or, dual, by M^-T."""

    side: Side
    rows: Tensor
    dual: bool


class Chain(NamedTuple):
    """Blocks of features alike in everything but their numbers.

    Attributes:
        links: the first is not dual.
        columns: the weights that take the features of a single link.
        normed: the batch norm that does.
        partner: as of ``Dot``.
        why: what its features are used in, where no M fits in between.
    """

    links: tuple[Link, ...]
    columns: tuple[Column, ...] = ()
    normed: Normed | None = None
    partner: Tensor | None = None
    why: str = ""


def chains_of(joints: Joints) -> list[Chain]:
    """Every chain, each feature once unless its uses are of several kinds."""
    chains = [*_of_dots(joints.dots), *_of_columns(joints.columns)]
    for normed in joints.normed:
        link = Link(normed.side, normed.rows[:, None], dual=False)
        chains.append(Chain((link,), normed=normed))
    return chains


def _of_columns(columns: Sequence[Column]) -> Iterator[Chain]:
    """Columns that take the same blocks of the same side belong together."""
    groups: dict[tuple[Side, str], list[Column]] = {}
    blocks: dict[tuple[Side, str], Tensor] = {}
    for column in columns:
        found = column.blocks
        if found is None:
            found = torch.unique(column.rows)[None]
        key = (column.side, str(found.tolist()))
        groups.setdefault(key, []).append(column)
        blocks[key] = found
    for key, group in groups.items():
        yield Chain((Link(key[0], blocks[key], dual=False),), columns=tuple(group))


def _of_dots(dots: Sequence[Dot]) -> Iterator[Chain]:
    """Connected components; those that look alike are put into one chain."""
    mates: dict[_Node, dict[_Node, _Partner]] = {}
    for a, b, partner in _edges(dots):
        mates.setdefault(a, {})[b] = partner
        mates.setdefault(b, {})[a] = partner
    seen: set[_Node] = set()
    alike: dict[_Kind, list[list[_Node]]] = {}
    for node in mates:
        if node in seen:
            continue
        duals, partner, why = _component(node, mates)
        seen |= set(duals)
        nodes = sorted(duals, key=lambda n: (duals[n], n))
        kind = _Kind(tuple((side, duals[side, rows]) for side, rows in nodes), partner, why)
        alike.setdefault(kind, []).append(nodes)
    for kind, components in alike.items():
        links = []
        for place, (side, dual) in enumerate(kind.sides):
            rows = torch.tensor([nodes[place][1] for nodes in components])
            links.append(Link(side, rows, dual))
        turned = None if kind.partner is None else torch.tensor(kind.partner)
        yield Chain(tuple(links), partner=turned, why=kind.why)


def _edges(dots: Sequence[Dot]) -> Iterator[tuple[_Node, _Node, _Partner]]:
    for dot in dots:
        partner = None if dot.partner is None else tuple(dot.partner.tolist())
        for a, b in zip(*(rows.tolist() for rows in dot.rows), strict=True):
            yield (dot.sides[0], tuple(a)), (dot.sides[1], tuple(b)), partner


def _component(
    start: _Node, mates: dict[_Node, dict[_Node, _Partner]]
) -> tuple[dict[_Node, bool], _Partner, str]:
    """What is connected with a node and which of it is dual; the partner; why no M fits."""
    duals, left, why = {start: False}, [start], ""
    partner = next(iter(mates[start].values()))
    while left:
        node = left.pop()
        for mate, turned in mates[node].items():
            if turned != partner:
                why = "scalar products with and without rotations"
            if mate not in duals:
                duals[mate] = not duals[node]
                left.append(mate)
            elif duals[mate] == duals[node]:
                why = "scalar products with itself"
    return duals, partner, why
