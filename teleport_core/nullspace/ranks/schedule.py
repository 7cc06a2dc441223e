"""The passes of one step over a chain of which each rank has some columns, and their exchanges.

A pass down ends with the exchange of D or G, a pass up with that of P R{X} or U; between the two
only ||g||^2 is added up, so that all ranks decide by the same number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from teleport_core.nullspace.line import Seen
from teleport_core.nullspace.ranks.layer import SharedLayer
from teleport_core.phases import BACKWARD, PROJECTION, TANGENT, UPDATE
from teleport_core.projection import is_rounding
from teleport_core.torch_private import copy_all

if TYPE_CHECKING:
    from teleport_core.distributed.ranks import Ranks


@dataclass
class SharedSchedule:
    """The weights of a chain along D (P R{X})^T of all ranks.

    Attributes:
        counts: columns of each rank.
        top_norm_sq: the last layer's part of ||g||^2, which never changes.
    """

    ranks: "Ranks"
    layers: Sequence[SharedLayer]
    counts: list[int]
    top_norm_sq: float = 0.0
    _step: list[tuple[SharedLayer, Tensor]] = field(default_factory=list)
    _origin: list[Tensor] = field(default_factory=list)

    def begin(self, top: Tensor) -> None:
        """Take D [out, n] of the last layer, which stays."""
        last = self.layers[-1]
        last.D = top
        if last.way.thin_gradient or last.way.thin_update:
            (last.whole,) = self._gather("the gradient at the last layer", [top])
        if last.way.thin_gradient and last.whole is not None:
            own = float(last.take_columns(last.whole))
            self.top_norm_sq = self.ranks.total("the squared gradient norm", own)
        else:
            (whole,) = self.ranks.sum("the gradient of the last layer", [last.gradient()])
            self.top_norm_sq = float(last.take_gradient(whole))

    def look(self) -> Seen:
        """||g||^2 at the present weights, by one pass down."""
        with BACKWARD:
            return Seen.plain(self.grad_norm_sq())

    def grad_norm_sq(self) -> float:
        """||g||^2 of the loss of all ranks; D and D M of this one's columns are there then."""
        for lower, upper in zip(self.layers[-2::-1], self.layers[:0:-1], strict=True):
            lower.D = (upper.own.weight.T @ upper.D) * lower.own.slope
        thin = [one for one in self.layers[:-1] if one.way.thin_gradient]
        dense = [one for one in self.layers[:-1] if not one.way.thin_gradient]
        wholes = self._gather("the gradients at the layers", [one.D for one in thin])
        shares = [one.take_columns(whole) for one, whole in zip(thin, wholes, strict=True)]
        sums = self.ranks.sum("the gradients", [one.gradient() for one in dense])
        norm_sq = self.top_norm_sq
        norm_sq += sum(float(one.take_gradient(G)) for one, G in zip(dense, sums, strict=True))
        if shares:
            own = float(torch.stack(shares).sum())
            norm_sq += self.ranks.total("the squared gradient norm", own)
        return norm_sq

    def aim(self, *, first: bool) -> float | None:
        """Begin a step where ``look`` looked last; ||U||^2, None where the first is rounding."""
        with TANGENT:
            self._push_tangents()
        with PROJECTION:
            updates = self._exchange(first=first)
        if updates is None:
            return None
        with UPDATE:
            self._step = updates
            weights = self._weights()
            if self._origin:
                copy_all(self._origin, weights)
            else:
                self._origin = [weight.clone() for weight in weights]
            return sum(float(update.square().sum()) for _, update in updates)

    def go(self, length: float) -> None:
        """Put the weights ``length`` along U from where the step began."""
        with UPDATE:
            copy_all(self._weights(), self._origin)
            if length:
                for layer, update in self._step:
                    layer.write(update, length)

    def _push_tangents(self) -> None:
        """R{z} = D M + W R{X} and R{X} = s'(z) * R{z} of the layer above, then P."""
        tangent: Tensor | None = None
        for lower, upper in pairwise(self.layers):
            z = lower.along if tangent is None else lower.along + lower.own.weight @ tangent
            # What data alone feeds lies at the bottom, and so do layers of which none counts.
            tangent = z * lower.own.slope
            if upper.moves:
                upper.project(tangent)

    def _exchange(self, *, first: bool) -> list[tuple[SharedLayer, Tensor]] | None:
        """U of every layer that moves, of all ranks; None where the first of all is rounding."""
        moving = [one for one in self.layers if one.moves]
        thin = [one for one in moving if one.way.thin_update]
        dense = [one for one in moving if not one.way.thin_update]
        missing = [one for one in thin if one.whole is None]
        sent = [one.free for one in thin if one.free is not None] + [one.D for one in missing]
        wholes = self._gather("the tangents", sent)
        sizes = _sizes(moving) if first else []
        sums = self.ranks.sum("the updates", [*(one.share() for one in dense), *sizes])
        if first and _is_rounding(sums.pop()):
            return None
        D = {id(one): whole for one, whole in zip(missing, wholes[len(thin) :], strict=True)}
        found = [(one, U) for one, U in zip(dense, sums, strict=True)]
        for one, free in zip(thin, wholes, strict=False):
            whole = one.whole if one.whole is not None else D[id(one)]
            found.append((one, whole @ free.T))
        return found

    def _gather(self, what: str, columns: list[Tensor]) -> list[Tensor]:
        """Matrices [rows, N] of all ranks from [rows, n]."""
        rows = [self.counts] * len(columns)
        return [one.T for one in self.ranks.gather(what, [x.T for x in columns], rows)]

    def _weights(self) -> list[Tensor]:
        found = [one.own.weight for one, _ in self._step]
        return found + [one.own.bias for one, _ in self._step if one.own.bias is not None]


def _sizes(moving: list[SharedLayer]) -> list[Tensor]:
    """||P R{X}||^2 and ||R{X}||^2 of this rank's columns [layers, 2], in a list."""
    pairs = [
        torch.stack([one.free.square().sum(), one.size])
        for one in moving
        if one.free is not None and one.size is not None
    ]
    return [torch.stack(pairs)]


def _is_rounding(sizes: Tensor) -> bool:
    """Whether projection left nothing but rounding, of any layer."""
    return all(is_rounding(free, whole, sizes.dtype) for free, whole in sizes.sqrt())
