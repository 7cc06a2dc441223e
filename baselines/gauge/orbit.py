"""Ascent on the orbit of the gradient under M, without a forward pass.

With S = G G^T of the parts that are not dual and S' of the dual ones, 1/2 ||g||^2 is
1/2 tr(P^-1 S) + 1/2 tr(P S') in P = M^T M: convex, and without a maximum. M is bounded by
1 / bound <= P <= bound, so that its condition number is at most ``bound``. These P are a convex
set, and a step is one of projected gradient ascent,

    P <- clip(P + 2 lr M^-1 D M^-1),  M <- P^(1/2),  D = S' - S at the present gradient,

clip cutting eigenvalues. On a convex function no such step descends, however long it is. At M = I
it is M = I + lr D up to second order, the gradient of 1/2 ||g||^2 in M. Pairs step one after
the other, as two may act on the two sides of one weight.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from baselines.gauge.pairs import Pair, act, slope
from teleport_core.norms import square_sum
from teleport_core.phases import UPDATE
from teleport_core.problem import Parameters


class Factor(NamedTuple):
    """M, symmetric and positive, and its inverse [blocks, r, r], in float64."""

    M: Tensor
    inverse: Tensor


class Bounds(NamedTuple):
    """Between which the eigenvalues of P = M^T M stay [blocks, 1] each."""

    low: Tensor
    high: Tensor


class Orbit(NamedTuple):
    """A point: where every pair stands, and the gradient there."""

    factors: tuple[Factor, ...]
    gradient: Parameters

    def grad_norm_sq(self) -> float:
        """||g||^2."""
        return sum(float(square_sum(part).double()) for part in self.gradient.values())


def start_of(pairs: Sequence[Pair], gradient: Parameters) -> Orbit:
    """M = I for every pair."""
    factors = []
    for pair in pairs:
        blocks, r = pair.shape
        one = torch.eye(r, dtype=torch.float64, device=pair.parts[0].index.device)
        one = one.expand(blocks, r, r)
        factors.append(Factor(one, one))
    return Orbit(tuple(factors), gradient)


def bounds_of(pair: Pair, bound: float, buffers: Parameters) -> Bounds:
    """1 / bound and bound, and no variance of a batch norm below zero."""
    index = pair.parts[0].index
    high = torch.full((len(index), 1), bound, dtype=torch.float64, device=index.device)
    low = 1 / high
    if pair.statistics is not None:
        low = torch.maximum(low, pair.statistics.smallest(buffers)[:, None])
    return Bounds(low, high)


def step(pairs: Sequence[Pair], bounds: Sequence[Bounds], orbit: Orbit, lr: float) -> Orbit | None:
    """The next point; None where a P is not finite."""
    gradient, factors = orbit.gradient, []
    with UPDATE:
        for pair, limits, now in zip(pairs, bounds, orbit.factors, strict=True):
            D = slope(pair, gradient, gradient)
            P = now.M @ now.M + 2 * lr * direction(now, D)
            if not bool(torch.isfinite(P).all()):
                return None
            factor = clipped(P, limits)
            gradient = act(
                pair, gradient, left=factor.inverse @ now.M, right=factor.M @ now.inverse
            )
            factors.append(factor)
    return Orbit(tuple(factors), gradient)


def direction(now: Factor, D: Tensor) -> Tensor:
    """M^-1 D M^-1, twice the gradient of 1/2 ||g||^2 in P."""
    return now.inverse @ D @ now.inverse


def clipped(P: Tensor, limits: Bounds) -> Factor:
    """The root of the nearest P within limits, and its inverse."""
    values, vectors = torch.linalg.eigh((P + P.mT) / 2)
    values = torch.minimum(torch.maximum(values, limits.low), limits.high).unsqueeze(1)
    return Factor((vectors * values.sqrt()) @ vectors.mT, (vectors * values.rsqrt()) @ vectors.mT)


def moved(pairs: Sequence[Pair], factors: Sequence[Factor], start: Parameters) -> Parameters:
    """The weights at a point of the orbit, from those at its start."""
    values = start
    for pair, factor in zip(pairs, factors, strict=True):
        values = act(pair, values, left=factor.M, right=factor.inverse)
    return values


def moved_buffers(
    pairs: Sequence[Pair], factors: Sequence[Factor], start: Parameters
) -> Parameters:
    """The buffers that go with them."""
    values: Parameters = {}
    for pair, factor in zip(pairs, factors, strict=True):
        if pair.statistics is not None:
            values |= pair.statistics.scaled(start | values, factor.M[:, 0, 0])
    return values
