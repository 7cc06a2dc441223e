"""Why features cannot move: not every use of them or of their parameters lets an M through."""

from collections.abc import Iterator

import torch
from torch import Tensor

from baselines.gauge.chains import Chain, Link
from baselines.gauge.flow.features import Side
from baselines.gauge.flow.joints import Call, Column, Joints, Made
from teleport_core.problem import Parameters


class Uses:
    """Which features are used in one chain only, and in nothing else."""

    def __init__(self, joints: Joints, chains: list[Chain]) -> None:
        rows: dict[Side, list[Tensor]] = {}
        for chain in chains:
            for link in chain.links:
                rows.setdefault(link.side, []).append(link.rows.cpu().flatten())
        for side, spoiled in joints.spoiled.items():
            # Twice, as if by two chains.
            rows.setdefault(side, []).extend(2 * [each.cpu() for each, _ in spoiled])
        self._counts = {side: torch.bincount(torch.cat(each)) for side, each in rows.items()}

    def free(self, link: Link) -> Tensor:
        """[blocks]."""
        return (self._counts[link.side][link.rows.cpu()] == 1).all(dim=1)


def obstacle(joints: Joints, chain: Chain, leaves: Parameters) -> str:
    """Why the parameters of a chain cannot move together; "" where they can."""
    return next(_obstacles(joints, chain, leaves), "")


def made_by(joints: Joints, link: Link) -> list[Made]:
    """The calls that make some of its features."""
    low, high = int(link.rows.min()), int(link.rows.max())
    return [each for each in joints.made[link.side] if each.start <= high and low < each.stop]


def _obstacles(joints: Joints, chain: Chain, leaves: Parameters) -> Iterator[str]:
    if chain.why:
        yield chain.why
    for link in chain.links:
        yield from _of_link(joints, link)
    for name in _names(joints, chain):
        if name in joints.others:
            yield f"a pair with {name}, which is used in {joints.others[name]}"
        if not leaves[name].requires_grad:
            yield f"a pair with {name}, which has requires_grad=False"
    for column in chain.columns:
        if not _alone(joints, column):
            yield "a layer that takes other features, too"
        if not _all_of(chain.links[0].rows, column):
            yield "a layer that takes a part of its features"
    mean = None if chain.normed is None else chain.normed.mean
    if mean is not None and len(joints.calls[Side(mean, 0)]) > 1:
        yield "a batch norm that is used in several places"


def _of_link(joints: Joints, link: Link) -> Iterator[str]:
    made = made_by(joints, link)
    if len({(each.bias, each.shift) for each in made}) > 1:
        yield "calls with several biases"
    if any(_shared(joints, link.side, each) for each in made):
        yield "a sum with a bias that others have, too"
    if link.side in joints.calls:
        yield "a product with its transpose, too"


def _names(joints: Joints, chain: Chain) -> Iterator[str]:
    """The parameters of a chain."""
    for link in chain.links:
        yield link.side.name
        yield from (made.bias for made in made_by(joints, link) if made.bias is not None)
    yield from (column.weight.name for column in chain.columns)


def _shared(joints: Joints, side: Side, made: Made) -> bool:
    """Whether features of another side have some of the same entries of a bias."""
    if made.bias is None:
        return False
    start, stop = made.start + made.shift, made.stop + made.shift
    others = [e for s, all_made in joints.made.items() if s != side for e in all_made]
    others = [e for e in others if e.bias == made.bias]
    return any(e.start + e.shift < stop and start < e.stop + e.shift for e in others)


def _alone(joints: Joints, column: Column) -> bool:
    """Whether these columns are put to no other features, nor make some of their own."""
    calls = joints.calls[column.weight]
    same = {call for call in calls if _overlap(call, column)}
    return len(same) == 1 and column.weight not in joints.made


def _overlap(call: Call, column: Column) -> bool:
    if call.within is None or column.within is None:
        return True
    return call.within[0] < column.within[1] and column.within[0] < call.within[1]


def _all_of(rows: Tensor, column: Column) -> bool:
    """Whether a layer takes all features of a chain, equally often."""
    counts = torch.bincount(column.rows.cpu(), minlength=int(rows.max()) + 1)[rows.cpu()]
    return bool((counts == counts.max()).all()) and int(counts.sum()) == len(column.rows)
