"""What a forward pass does to features: the joints at which an M must come out as it went in."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from baselines.gauge.flow.features import Features, Side, constant


class Column(NamedTuple):
    """A product with a weight: its column c takes feature rows[c] of ``side``.

    Attributes:
        blocks: as of ``Features``.
        weight: whose columns they are; ``within`` as of ``Part``.
    """

    side: Side
    rows: Tensor
    blocks: Tensor | None
    weight: Side
    within: tuple[int, int] | None


class Dot(NamedTuple):
    """Scalar products of features: q . k.

    Attributes:
        sides: of the two factors.
        rows: [blocks, r] each; those at one place are multiplied with each other.
        partner: the place that each place is rotated with, itself where it is not; None where
            nothing is rotated.
    """

    sides: tuple[Side, Side]
    rows: tuple[Tensor, Tensor]
    partner: Tensor | None


class Normed(NamedTuple):
    """A batch norm: channel c is feature rows[c] of ``side``; the rest as of ``Statistics``."""

    side: Side
    rows: Tensor
    mean: str | None
    var: str | None
    eps: float


class Made(NamedTuple):
    """Features from start up to stop of a side are made in one call.

    Attributes:
        bias: added to them, a parameter; None for none.
        shift: entry j + shift of it to feature j.
    """

    start: int
    stop: int
    bias: str | None = None
    shift: int = 0


class Call(NamedTuple):
    """One use of columns as such: by which features; None by others than those of a layer."""

    within: tuple[int, int] | None
    features: tuple[Side, bytes] | None


@dataclass
class Joints:
    """Everything that one forward pass shows.

    Attributes:
        columns, dots, normed: in the order of the calls.
        calls: uses of a side, or of the statistics of a batch norm, by what is put into it.
        made: of every side that makes features, how.
        spoiled: features that are used in another way: which, and the name of that.
        others: parameters with any other use, and the name of one.
    """

    columns: list[Column] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    normed: list[Normed] = field(default_factory=list)
    calls: dict[Side, list[Call]] = field(default_factory=dict)
    made: dict[Side, list[Made]] = field(default_factory=dict)
    spoiled: dict[Side, list[tuple[Tensor, str]]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def spoil(self, label: Features, why: str) -> None:
        """Features are used in a way that no M commutes with."""
        self.spoiled.setdefault(label.side, []).append((label.rows(), why))

    def put_in(self, weight: Side, within: tuple[int, int] | None, column: Column | None) -> None:
        """Columns of a weight are used on some features, or on others than of a layer."""
        key = None if column is None else (column.side, _bytes(column.rows))
        self.calls.setdefault(weight, []).append(Call(within, key))
        if column is not None:
            self.columns.append(column)


def dot_of(a: Features, b: Features) -> Dot | None:
    """Of a [..., m, r] with b [..., n, r]; None where no M fits in between."""
    one, other = _factor(a), _factor(b)
    if one is None or other is None or not torch.equal(one[1], other[1]):
        return None
    (rows, partner), (mates, _) = one, other
    r = len(partner)
    rows, mates = rows + torch.zeros_like(mates), mates + torch.zeros_like(rows)  # broadcast
    both = torch.unique(torch.cat([rows, mates], dim=-1).reshape(-1, 2 * r), dim=0)
    turned = not torch.equal(partner, torch.arange(r, device=partner.device))
    return Dot((a.side, b.side), (both[:, :r], both[:, r:]), partner if turned else None)


def _factor(label: Features) -> tuple[Tensor, Tensor] | None:
    """The features [..., r] of every token, and the partner of each."""
    rows = []
    for term in label.terms:
        found = _of_tokens(term.feature)
        if found is None:
            return None
        rows.append(found)
    partner = _partner(label, rows)
    return None if partner is None else (rows[0], partner)


def mixed(v: Features, shape: torch.Size) -> Features | None:
    """The label of P v, v [..., n, r], a tensor of ``shape``: each head has a P of its own."""
    if len(v.terms) != 1 or not constant(v.terms[0].scale, -1):
        return None
    index = _of_tokens(v.terms[0].feature)
    if index is None:
        return None
    blocks = torch.unique(index.reshape(-1, index.shape[-1]), dim=0)
    if v.blocks is not None and v.blocks.shape[1] > 1:
        return None  # parted before, in another way perhaps
    term = v.terms[0]._replace(feature=index.unsqueeze(-2).expand(shape), scale=1.0)
    return replace(v, terms=(term,), blocks=blocks if v.blocks is None else v.blocks)


def _of_tokens(index: Tensor) -> Tensor | None:
    """[..., r] of [..., n, r]; None where tokens differ."""
    if not index.numel() or not bool((index == index[..., :1, :]).all()):
        return None
    return index[..., 0, :]


def _partner(label: Features, indices: list[Tensor]) -> Tensor | None:
    """Of every place the one whose feature is added to its own; None where that is no pairing."""
    r = indices[0].shape[-1]
    places = torch.arange(r, device=indices[0].device)
    partner = places
    if len(indices) == 2:
        own, other = (index.reshape(-1, r) for index in indices)
        same = other[:, :, None] == own[:, None, :]
        if not bool((same.sum(dim=2) == 1).all()):
            return None
        found = same.int().argmax(dim=2)
        partner = found[0]
        if not bool((found == partner).all()) or not torch.equal(partner[partner], places):
            return None
    alone = places[partner == places]
    scales = [t.scale[..., alone] if isinstance(t.scale, Tensor) else t.scale for t in label.terms]
    if len(alone) and not constant(sum(scales), -1):
        return None
    return partner


def _bytes(rows: Tensor) -> bytes:
    return bytes(rows.cpu().numpy().tobytes())
