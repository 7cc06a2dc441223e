"""Bases of input spaces without an SVD of the inputs: from their Gram matrix, in float64.

K = X^T X for inputs X [features, n] with n < features, else X X^T. Where Cholesky's factor
K = L L^T proves that no sample depends on the others, Q = X L^{-T}. Else K = V S V^T and the
leading left singular vectors of X are Q = X V S^{-1/2}. Where the rank depends on singular values
that K cannot resolve the SVD decides.

Layers whose inputs have the same shape are done together, in one call each for K, L, L^{-1}, Q.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from teleport_core.nullspace.bases.resolution import SURE, independent, sigma_of, undecided
from teleport_core.projection import basis_of, require_finite
from teleport_core.rank import numerical_cut

_EPS = torch.finfo(torch.float64).eps


class GramBasis(NamedTuple):
    """Orthonormal ``vectors`` Q [features (+1), k]; ``gram`` X^T X [n, n] where it was formed.

    Vectors lie in memory one after another.
    """

    vectors: Tensor
    gram: Tensor | None


def gram_bases(inputs: Sequence[Tensor], *, ones: bool) -> list[GramBasis]:
    """For each X [features, n] of one shape an orthonormal basis of the space of its columns.

    Columns are samples; ``ones`` appends a row of ones, for a bias that moves with its weight. The
    rank is the numerical one (``teleport_core.rank.numerical``); exact null space only.
    """
    rows = _samples(inputs).double()
    if ones:
        rows = torch.cat([rows, rows.new_ones(*rows.shape[:2], 1)], dim=2)
    X = rows.mT
    _, features, n = X.shape
    dtype = inputs[0].dtype
    if n >= features:
        return [GramBasis(Q, None) for Q in _by_eigenvectors(X, X @ rows, dtype)]
    gram = rows @ X
    inverse, lowest = independent(gram)
    bound = max(10 * numerical_cut((features, n), dtype), SURE)
    sure = [place for place, share in enumerate(lowest) if share > bound]
    found: dict[int, Tensor] = {}
    if sure:
        # L^{-1} X^T takes a quarter of the time of X L^{-T} where samples lie one after another.
        vectors = (_some(inverse, sure) @ _some(rows, sure)).mT
        del inverse
        smallest, eps = min(lowest[place] for place in sure), torch.finfo(dtype).eps
        found |= zip(sure, _orthonormal(vectors, smallest, eps).to(dtype), strict=True)
    if len(sure) < len(X):
        others = [place for place in range(len(X)) if place not in found]
        bases = _by_eigenvectors(_some(rows, others).mT, _some(gram, others), dtype)
        found |= zip(others, bases, strict=True)
    return [GramBasis(found[place], k) for place, k in enumerate(gram.to(dtype))]


def _some(matrices: Tensor, places: list[int]) -> Tensor:
    return matrices if len(places) == len(matrices) else matrices[places]


def _samples(inputs: Sequence[Tensor]) -> Tensor:
    """X^T [layers, n, features], lying in memory as the inputs do."""
    if len(inputs) == 1:
        return inputs[0].T[None]
    if inputs[0].is_contiguous():
        return torch.stack(list(inputs)).mT
    return torch.stack([x.T for x in inputs])


def _by_eigenvectors(X: Tensor, gram: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """Q of each X [features, n], from the smaller of its two Gram matrices."""
    require_finite(gram)
    values, vectors = torch.linalg.eigh(gram)
    sigma, shares = sigma_of(values)
    features, n = X.shape[1:]
    cut, eps = numerical_cut((features, n), dtype), torch.finfo(dtype).eps
    found = []
    for x, s, V, share in zip(X, sigma, vectors, shares, strict=True):
        if undecided(share, cut):
            found.append(basis_of(x.to(dtype), "numerical", 1.0).vectors)
            continue
        # Eigenvalues ascend. Inputs that are all zero span nothing: Q is [features, 0].
        kept = [each for each in share if each > cut]
        first = len(share) - len(kept)
        Q: Tensor = V[:, first:]
        if n < features:
            Q = _orthonormal(x @ (Q / s[first:]), min(kept, default=1.0), eps)
        found.append(Q.to(dtype))
    return found


def _orthonormal(Q: Tensor, lowest: float, eps: float) -> Tensor:
    """Mend Q where its columns, formed with 1 / sigma, are less orthogonal than ``eps`` asks."""
    # The error is eps / lowest^2 in float64; one Newton-Schulz step makes 3/4 e^2 of an error e.
    if 0.1 * eps * lowest**2 > _EPS:
        return Q
    # In place: Q is as large as all inputs together.
    return (Q @ (Q.mT @ Q)).mul_(-0.5).add_(Q, alpha=1.5)
