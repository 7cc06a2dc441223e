"""Bases of input spaces without an SVD of the inputs: from their Gram matrix, in float64.

K = X^T X for inputs X [features, n] with n < features, else X X^T. Where Cholesky's factor
K = L L^T proves that no sample depends on the others, Q = X L^{-T}. Else K = V S V^T and the
leading left singular vectors of X are Q = X V S^{-1/2}. A Gram matrix in float64 cannot tell
sigma / sigma_1 below 1e-7 from nothing; where the rank depends on such values the SVD decides.

Layers whose inputs have the same shape are done together, in one call each for K, L, L^{-1}, Q.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from teleport_core.projection import basis_of, require_finite
from teleport_core.rank import numerical_cut

# Below this share of sigma_1 an eigenvalue of a float64 Gram matrix is rounding.
_RESOLUTION = 1e-7
_EPS = torch.finfo(torch.float64).eps


class Basis(NamedTuple):
    """Orthonormal ``vectors`` Q [features (+1), k]; ``gram`` X^T X [n, n] where it was formed.

    Vectors lie in memory one after another.
    """

    vectors: Tensor
    gram: Tensor | None


def gram_bases(inputs: Sequence[Tensor], *, ones: bool) -> list[Basis]:
    """For each X of one shape an orthonormal basis of the space that its columns span.

    Args:
        inputs: X [features, n] of each layer; columns are samples.
        ones: append a row of ones, for a bias that moves with its weight.

    The rank is the numerical one (``teleport_core.rank.numerical``); exact null space only.
    """
    rows = _samples(inputs).double()
    if ones:
        rows = torch.cat([rows, rows.new_ones(*rows.shape[:2], 1)], dim=2)
    X = rows.mT
    _, features, n = X.shape
    dtype = inputs[0].dtype
    if n >= features:
        return [Basis(_by_eigenvectors(one, one @ one.T, dtype), None) for one in X]
    gram = rows @ X
    inverse, lowest = _independent(gram)
    if lowest > 10 * max(numerical_cut((features, n), dtype), _RESOLUTION):
        # L^{-1} X^T takes a quarter of the time of X L^{-T} where samples lie one after another.
        vectors = _orthonormal((inverse @ rows).mT, lowest, torch.finfo(dtype).eps).to(dtype)
        return [Basis(q, k) for q, k in zip(vectors, gram.to(dtype), strict=True)]
    if len(X) > 1:
        return [gram_bases([x], ones=ones)[0] for x in inputs]
    return [Basis(_by_eigenvectors(X[0], gram[0], dtype), gram[0].to(dtype))]


def _samples(inputs: Sequence[Tensor]) -> Tensor:
    """X^T [layers, n, features], lying in memory as the inputs do."""
    if len(inputs) == 1:
        return inputs[0].T[None]
    if inputs[0].is_contiguous():
        return torch.stack(list(inputs)).mT
    return torch.stack([x.T for x in inputs])


def gram_basis(inputs: Tensor, *, ones: bool) -> Tensor:
    """The basis of one layer, stored by rows; see ``gram_bases``."""
    return gram_bases([inputs], ones=ones)[0].vectors.contiguous()


def _independent(gram: Tensor) -> tuple[Tensor, float]:
    """L^-1 [layers, n, n], and a lower bound of sigma_min / sigma_1 of every X.

    sigma_min >= 1 / ||L^-1||_F and sigma_1^2 <= ||K||_F. Where Cholesky breaks down it is 0.
    """
    factor, info = torch.linalg.cholesky_ex(gram)
    identity = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    inverse = torch.linalg.solve_triangular(factor, identity.expand_as(gram), upper=False)
    norms = [torch.linalg.vector_norm(matrix, dim=(1, 2)) for matrix in (inverse, gram)]
    read: list[list[float]] = torch.stack([info.to(gram.dtype), *norms]).tolist()
    lowest = 1.0
    for failed, inverse_norm, gram_norm in zip(*read, strict=True):
        nothing_known = failed or math.isnan(inverse_norm * gram_norm)
        lowest = min(lowest, 0.0 if nothing_known else 1 / (inverse_norm * gram_norm**0.5))
    return inverse, lowest


def _by_eigenvectors(X: Tensor, gram: Tensor, dtype: torch.dtype) -> Tensor:
    features, n = X.shape
    cut, eps = numerical_cut((features, n), dtype), torch.finfo(dtype).eps
    require_finite(gram)
    values, vectors = torch.linalg.eigh(gram)
    sigma = values.clamp_min(0).sqrt()
    share = sigma / sigma[-1].clamp_min(torch.finfo(torch.float64).tiny)
    if _undecided(share, cut):
        return basis_of(X.to(dtype), "numerical", 1.0).vectors
    keep = share > cut
    Q: Tensor = vectors[:, keep]
    if n < features:
        # Inputs that are all zero span nothing: Q is [features, 0].
        lowest = float(share[keep].min()) if keep.any() else 1.0
        Q = _orthonormal(X @ (Q / sigma[keep]), lowest, eps)
    return Q.to(dtype)


def _undecided(share: Tensor, cut: float) -> bool:
    """Whether the rank rests on values that the Gram matrix cannot resolve."""
    if cut >= 10 * _RESOLUTION:
        return False
    return bool((share < 10 * _RESOLUTION).any())


def _orthonormal(Q: Tensor, lowest: float, eps: float) -> Tensor:
    """Mend Q where its columns, formed with 1 / sigma, are less orthogonal than ``eps`` asks.

    The error is eps / lowest^2 in float64; one Newton-Schulz step makes 3/4 e^2 of an error e.
    """
    if 0.1 * eps * lowest**2 > _EPS:
        return Q
    return 1.5 * Q - 0.5 * (Q @ (Q.mT @ Q))
