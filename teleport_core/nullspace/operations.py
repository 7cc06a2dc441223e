"""Operation counts of the null-space engines; see ``teleport_core.operations`` for what counts."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from teleport_core import operations as of
from teleport_core.nullspace.half_hvp.projection import projects_product
from teleport_core.operations import NOTHING, Operations, Phases

_FLOAT64 = 8


def textbook(widths: Sequence[int], n: int, bias: bool, itemsize: int) -> Phases:
    """Forward and an SVD of every layer's inputs; a step is H g and two products with each basis.

    With bases [features, k] at k = min(features, n); below tau = 1 they may be smaller.
    """
    layers = list(pairwise(widths))
    prepare = [of.product(i, o, n, itemsize) + of.svd(i + bias, n) for i, o in layers]
    projections = [of.product(i + bias, o, min(i + bias, n), itemsize) * 2 for i, o in layers]
    step = of.double_backward(layers, n, itemsize) + of.total(projections)
    return {"prepare": of.total(prepare), "step": step}


def half_hvp(widths: Sequence[int], n: int, bias: bool, itemsize: int) -> Phases:
    """Bases from Gram matrices; a step is a pass down, a pass up, projection and update.

    What only the first step does is in "prepare". Where no layer moves no step is taken.
    """
    mm = partial(of.product, itemsize=itemsize)
    layers = list(pairwise(widths))
    prepare, step = NOTHING, NOTHING
    moves = any(n < i + bias for i in widths[1:-1])
    for position, (i, o) in enumerate(layers):
        last, by_gram = position == len(layers) - 1, n < 2 * i
        along = mm(o, n, n) if by_gram else mm(o, n, i) * 2  # D M with M = X^T X
        prepare += mm(i, o, n)  # z = W X
        if by_gram and not (position > 0 and n < i + bias):
            prepare += mm(n, i, n)  # else it comes with the basis
        if last:
            prepare += along if moves else NOTHING  # the last D never changes
        else:
            step += along
        if position > 0:  # nothing moves beneath the first layer
            prepare += _gram_basis(i + bias, n, itemsize)
            step += mm(i, o, n) * (1 if last else 2)  # W^T D, and W R{X} where it is passed on
        if position > 0 and n < i + bias:
            step += _update(i, o, n, bias, itemsize)
    return {"prepare": prepare, "step": step if moves else NOTHING}


def _update(i: int, o: int, n: int, bias: bool, itemsize: int) -> Operations:
    """D (P R{X})^T with a basis of n columns, and the bias; D R{X}^T is projected if thin."""
    mm = partial(of.product, itemsize=itemsize)
    if projects_product(i, o, n, n):
        return mm(i, o, n) * 3 + (mm(o, n, 1) if bias else NOTHING)
    return mm(i, n, n) * 2 + mm(i, o, n) + (mm(n, n, 1) + mm(o, n, 1) if bias else NOTHING)


def _gram_basis(features: int, n: int, itemsize: int) -> Operations:
    """Gram matrix K and a basis from it, all in float64."""
    # With fewer samples than features Q = X^T L^-T, K = L L^T, as for well conditioned inputs; for
    # inputs in float64 alone Q is then mended, by two more products. Else eigenvectors of K.
    if n >= features:
        return of.product(features, features, n, _FLOAT64) + of.eigh(features)
    mended = itemsize == _FLOAT64
    return of.product(features, n, n, _FLOAT64) * (4 if mended else 2) + of.cholesky_inverse(n)
