"""What is free to move in a layer: bases from Gram matrices that are summed piece by piece.

With at most as many columns as features the inputs themselves are small enough. With more,
K = X^T X is summed in float64. As soon as Cholesky's factor proves that it has full rank nothing is
free, and neither more columns nor eigenvectors are asked for; else those of the smallest
eigenvalues span what is free. Where
the rank depends on singular values that K cannot resolve a QR factorisation, merged piece by piece,
decides.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from teleport_core.layers import Layer
from teleport_core.layers.layer import groups_of
from teleport_core.nullspace.bases.gram import gram_bases
from teleport_core.nullspace.bases.resolution import SURE, sigma_of, surely_full, undecided
from teleport_core.phases import BASIS
from teleport_core.products import product
from teleport_core.projection import basis_of_pieces, require_finite
from teleport_core.rank import numerical_cut

# Columns of a panel of K; only panels on and below the diagonal are summed.
_PANEL = 256


@dataclass(frozen=True)
class Space:
    """The input space of one layer; one of the two bases, or none where nothing is free.

    Attributes:
        free: dimensions in which a row of the weight may move.
        span: Q [features, k] of the inputs.
        rest: N [features, free] of what is orthogonal to them.
    """

    features: int
    free: int
    span: Tensor | None = None
    rest: Tensor | None = None

    def project(self, update: Tensor) -> Tensor:
        """The free part of an update [rows, features]; Eq. 12."""
        if self.rest is not None:
            return product(product(update, self.rest), self.rest.T)
        assert self.span is not None
        return update - product(product(update, self.span), self.span.T)


def spaces(layers: list[Layer], limit: int) -> list[Space]:
    """The space of every layer at numerical rank, from pieces of ``limit`` columns."""
    known: dict[object, list[Space]] = {}
    found = []
    with BASIS:
        for layer in layers:
            key = same_inputs(layer)
            if key not in known:
                known[key] = _of_groups(layer, limit)
            found.append(known[key][layer.group])
    return found


def same_inputs(layer: Layer) -> object:
    """Equal for layers that see the same inputs: queries, keys and values; groups."""
    views = [(u.x.data_ptr(), u.x.shape, u.x.stride(), u.operator) for u in layer.uses]
    return (layer.bias is None, *views)


def _of_groups(layer: Layer, limit: int) -> list[Space]:
    """The space of every group of the weight that ``layer`` is a part of."""
    pieces = layer.pieces(limit)
    few: list[Tensor] = []
    columns = 0
    for piece in pieces:
        few.append(piece)
        columns += piece.shape[1]
        if columns > piece.shape[2]:
            break
    else:
        X = torch.cat(few, 1) if len(few) > 1 else few[0]
        few.clear()
        bases = gram_bases(list(X.mT), ones=False)
        return [of_basis(each.vectors.contiguous()) for each in bases]
    dtype, energy = layer.uses[0].x.dtype, layer.energy()
    gram = summed_gram(chain(few, pieces), lambda sofar: _nothing_free(sofar, layer, energy))
    if gram is None:
        return [Space(layer.shape[1], 0)] * groups_of(layer.uses[0])
    cut = numerical_cut((gram.shape[1], _columns(layer)), dtype)
    found = of_grams(gram, cut, dtype)
    return [one or _by_qr(layer, group, limit) for group, one in enumerate(found)]


def _columns(layer: Layer) -> int:
    return sum(use.columns for use in layer.uses)


def _nothing_free(gram: Tensor, layer: Layer, energy: Tensor | None) -> bool:
    """Whether some of the columns prove that all of them span the whole space, in every group."""
    if energy is None:
        return False
    cut = numerical_cut((gram.shape[1], _columns(layer)), layer.uses[0].x.dtype)
    return all(surely_full(gram, max(cut, SURE), energy))


def of_basis(Q: Tensor) -> Space:
    """The space that the orthonormal columns of Q [features, k] span."""
    features, k = Q.shape
    return Space(features, features - k, span=Q if k < features else None)


def summed_gram(pieces: Iterator[Tensor], proves: Callable[[Tensor], bool]) -> Tensor | None:
    """K [groups, features, features]; None where ``proves`` had enough on the way."""
    gram, columns, features = torch.empty(0), 0, 0
    asked_next = 0
    for piece in pieces:
        X = piece.double()
        groups, size, features = X.shape
        if not columns:
            gram = X.new_zeros(groups, features, features)
            asked_next = 2 * features
        columns += size
        for a in range(0, features, _PANEL):
            b = a + _PANEL
            gram[:, a:b, :b].baddbmm_(X[..., a:b].mT, X[..., :b])
        if columns >= asked_next:
            # Only what lies on and below the diagonal is read.
            if proves(gram):
                return None
            asked_next = 2 * columns
    for a in range(0, features, _PANEL):
        gram[:, :a, a : a + _PANEL] = gram[:, a : a + _PANEL, :a].mT
    return gram


def of_grams(gram: Tensor, cut: float, dtype: torch.dtype) -> list[Space | None]:
    """The space of every group by its Gram matrix, or None where that cannot tell."""
    features = gram.shape[1]
    found: list[Space | None] = [Space(features, 0)] * len(gram)
    full = surely_full(gram, max(cut, SURE), gram.diagonal(dim1=1, dim2=2).sum(1))
    doubtful = [group for group, sure in enumerate(full) if not sure]
    if not doubtful:
        return found
    some = gram if len(doubtful) == len(gram) else gram[doubtful]
    require_finite(some)
    values, vectors = torch.linalg.eigh(some)
    _, shares = sigma_of(values)
    for group, share, basis in zip(doubtful, shares, vectors.to(dtype), strict=True):
        free = sum(each <= cut for each in share)
        found[group] = None if undecided(share, cut) else _of_eigenvectors(basis, free)
    return found


def _of_eigenvectors(basis: Tensor, free: int) -> Space:
    """The first ``free`` eigenvectors, of the smallest eigenvalues, span what is free."""
    features = len(basis)
    if free == 0:
        return Space(features, 0)
    if 2 * free <= features:
        return Space(features, free, rest=basis[:, :free].contiguous())
    return Space(features, free, span=basis[:, free:].contiguous())


def _by_qr(layer: Layer, group: int, limit: int) -> Space:
    pieces = (piece[group] for piece in layer.pieces(limit))
    return of_basis(basis_of_pieces(pieces, "numerical", 1.0, limit=limit).vectors)
