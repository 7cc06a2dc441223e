"""Bases of input spaces without an SVD of the inputs: from their Gram matrix, in float64.

K = X X^T for inputs X [n, features] with n < features, else X^T X; K = V S V^T, and the leading
left singular vectors of X^T are Q = X^T V S^{-1/2}. A Gram matrix in float64 cannot tell
sigma / sigma_1 below 1e-7 from nothing; where the rank depends on such values the SVD decides.
"""

import torch
from torch import Tensor

from teleport_core.projection import basis_of
from teleport_core.rank import numerical_cut

# Below this share of sigma_1 an eigenvalue of a float64 Gram matrix is rounding.
_RESOLUTION = 1e-7


def gram_basis(inputs: Tensor, *, ones: bool) -> Tensor:
    """Orthonormal Q [features (+1), k] of the space that the rows of ``inputs`` span.

    Args:
        inputs: X [n, features].
        ones: append a column of ones, for a bias that moves with its weight.

    The rank is the numerical one (``teleport_core.rank.numerical``); exact null space only.
    """
    X = inputs.double()
    if ones:
        X = torch.cat([X, X.new_ones(len(X), 1)], dim=1)
    n, features = X.shape
    wide = n < features
    gram = X @ X.T if wide else X.T @ X
    values, vectors = torch.linalg.eigh(gram)
    sigma = values.clamp_min(0).sqrt()
    share = sigma / sigma[-1].clamp_min(torch.finfo(torch.float64).tiny)
    cut = numerical_cut((features, n), inputs.dtype)
    if _undecided(share, cut):
        return basis_of(X.T.to(inputs.dtype), "numerical", 1.0).vectors
    keep = share > cut
    Q = _polished(X.T @ (vectors[:, keep] / sigma[keep])) if wide else vectors[:, keep]
    return Q.to(inputs.dtype)


def _undecided(share: Tensor, cut: float) -> bool:
    """Whether the rank rests on values that the Gram matrix cannot resolve."""
    if cut >= 10 * _RESOLUTION:
        return False
    return bool((share < 10 * _RESOLUTION).any())


def _polished(Q: Tensor) -> Tensor:
    """One Newton-Schulz step: an error e in Q^T Q - I becomes 3/4 e^2."""
    return 1.5 * Q - 0.5 * (Q @ (Q.T @ Q))
