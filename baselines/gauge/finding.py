"""Pairs from joints: which features an M may mix, and what has to move with them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from baselines.gauge.chains import Chain, chains_of
from baselines.gauge.flow.features import Side
from baselines.gauge.flow.joints import Column, Joints, Normed
from baselines.gauge.obstacles import Uses, made_by, obstacle
from baselines.gauge.pairs import Pair, Part
from baselines.gauge.statistics import Statistics
from teleport_core.problem import Parameters


@dataclass
class Found:
    """The pairs of a model.

    Attributes:
        why: of parameters with features that might have been moved, and were not.
    """

    pairs: list[Pair] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)


def find_pairs(joints: Joints, leaves: Parameters) -> Found:
    """Every pair of which all uses are known, and all parameters may move."""
    found = Found()
    chains = chains_of(joints)
    uses = Uses(joints, chains)
    for chain in chains:
        why = obstacle(joints, chain, leaves)
        free = torch.ones(len(chain.links[0].rows), dtype=torch.bool)
        for link in chain.links:
            free &= uses.free(link)
        if why:
            for link in chain.links:
                _hold(found, joints, link.side, why)
        elif bool(free.any()):
            found.pairs += _pairs(joints, chain, free, leaves)
    for name, why in joints.others.items():
        found.why.setdefault(name, f"used in {why}")
    for side, spoiled in joints.spoiled.items():
        _hold(found, joints, side, spoiled[0][1])
    return found


def _hold(found: Found, joints: Joints, side: Side, why: str) -> None:
    for name in (side.name, *[made.bias for made in joints.made[side]]):
        if name is not None:
            found.why.setdefault(name, f"what it makes is used in {why}")


def _pairs(joints: Joints, chain: Chain, free: Tensor, leaves: Parameters) -> Iterator[Pair]:
    """Of the blocks that are free; those under rotary positions are cut into planes."""
    device = leaves[chain.links[0].side.name].device
    r = chain.links[0].rows.shape[1]
    places = torch.arange(r)
    partner = places if chain.partner is None else chain.partner.cpu()
    turned = partner > places
    planes = torch.stack([places[turned], partner[turned]], dim=1)
    for conformal, cut in ((False, places[partner == places][None]), (True, planes)):
        if not cut.numel():
            continue
        parts = []
        for link in chain.links:
            rows = link.rows.cpu()[free][:, cut].flatten(0, 1).to(device)
            parts.append(Part(link.side.name, link.side.axis, rows, link.dual))
            bias = made_by(joints, link)[0]
            if bias.bias is not None:
                parts.append(Part(bias.bias, 0, rows + bias.shift, link.dual))
        taken = {(c.weight, c.within): c for c in chain.columns}
        for column in taken.values():
            parts += _taking(column, parts[0].index)
        yield Pair(tuple(parts), conformal, _statistics(chain.normed, parts[0].index))


def _statistics(normed: Normed | None, rows: Tensor) -> Statistics | None:
    """Of the channels that are features [blocks, 1]."""
    if normed is None:
        return None
    (channels,) = _places(normed.rows, rows)
    return Statistics(normed.mean, normed.var, normed.eps, channels[:, 0])


def _taking(column: Column, rows: Tensor) -> Iterator[Part]:
    """The columns that take some features [blocks, r]; several parts where each is taken often."""
    for index in _places(column.rows, rows):
        yield Part(column.weight.name, column.weight.axis, index, dual=True, within=column.within)


def _places(features: Tensor, rows: Tensor) -> Iterator[Tensor]:
    """Where features [places] are those of ``rows``: once, or in turn as often as each occurs."""
    order = torch.argsort(features, stable=True)
    counts = torch.bincount(features)
    first = torch.cumsum(counts, 0) - counts
    for copy in range(int(counts.max())):
        yield order[first[rows] + copy]
