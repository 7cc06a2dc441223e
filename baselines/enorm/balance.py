"""The scales at which sum |W|^p over all weights is smallest, by coordinate descent without data.

With t = log tau the sum is convex in t. Along one t_k, with the others held, it is
A e^(p t_k) + C e^(-p t_k): A is the p-th power sum of what comes into the units of scale k and C
of what they give to others, and the minimum is at t_k = log(C / A) / 2p (Stock et al., Equi-
normalization of Neural Networks, ICLR 2019).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from baselines.rescale.graph.layers import Use
from baselines.rescale.scaling import Scaling, exponent
from teleport_core.problem import Parameters


class _Weight(NamedTuple):
    """|W|^p of one weight, summed over entries of the same scale."""

    use: Use
    powers: Tensor

    def at(self, t: Tensor, p: float) -> Tensor:
        """The same where the scales are e^t; nothing where they cancel."""
        there = self.powers * (p * exponent(self.use, t)).exp()
        return there.masked_fill(self.use.over == self.use.under, 0.0)


class _Block(NamedTuple):
    """Scales that are set at once, and the weights that they scale."""

    numbers: Tensor
    weights: Sequence[_Weight]
    coupled: bool


class Balance:
    """Cycles of coordinate descent over the layers of a model.

    Biases are scaled and not counted, as in the paper. Units with no counted weight at one end, as
    behind the gain of a batch norm, keep their scale.

    Args:
        scaling: the free scales.
        parameters: where t = 0.
        p: of the norm.
    """

    def __init__(self, scaling: Scaling, parameters: Parameters, p: float) -> None:
        self._p, self._count = p, scaling.count
        self._weights = [
            _weight(use, parameters[name], p)
            for name, use in scaling.uses.items()
            if parameters[name].dim() > 1
        ]
        self._blocks: list[_Block] = []
        seen: set[int] = {0}
        for one in self._weights:
            numbers = [k for k in torch.unique(one.use.over).tolist() if k not in seen]
            seen.update(numbers)
            if numbers:
                self._blocks.append(_block(torch.tensor(numbers, device="cpu"), self._weights))

    def total(self, t: Tensor) -> float:
        """The sum of |W|^p over the weights that are scaled, without entries that never change."""
        return sum(float(one.at(t, self._p).sum()) for one in self._weights)

    def cycle(self, t: Tensor) -> Tensor:
        """Every scale once, layer after layer."""
        t = t.clone()
        for block in self._blocks:
            # What two scales of the block share is at most the mean of what each makes of it alone
            # at twice its step, so that half of it never leads up.
            step = (0.25 if block.coupled else 0.5) / self._p
            into, out = self.ends(t, block.weights)
            into, out = into[block.numbers], out[block.numbers]
            both = (into > 0) & (out > 0)
            t[block.numbers[both] - 1] += step * (out[both] / into[both]).log()
        return t

    def ends(self, t: Tensor, weights: Sequence[_Weight] | None = None) -> tuple[Tensor, Tensor]:
        """A and C of every scale, both [1 + count]; 0 stands for scale 1."""
        into, out = (torch.zeros_like(t).new_zeros(1 + self._count) for _ in range(2))
        for one in self._weights if weights is None else weights:
            there = one.at(t, self._p)
            for ends, labels in ((into, one.use.over), (out, one.use.under)):
                ends.index_add_(0, labels.expand(there.shape).reshape(-1), there.reshape(-1))
        return into, out


def _weight(use: Use, weight: Tensor, p: float) -> _Weight:
    powers = weight.detach().double().abs().pow(p)
    shape = (use.over - use.under).shape
    alike = [axis for axis, size in enumerate(shape) if size == 1 < powers.shape[axis]]
    return _Weight(use, (powers.sum(alike, keepdim=True) if alike else powers).cpu())


def _block(numbers: Tensor, weights: Sequence[_Weight]) -> _Block:
    touching, coupled = [], False
    for one in weights:
        over, under = torch.isin(one.use.over, numbers), torch.isin(one.use.under, numbers)
        if bool(over.any()) or bool(under.any()):
            touching.append(one)
        coupled |= bool((over & under & (one.use.over != one.use.under)).any())
    return _Block(numbers, touching, coupled)
