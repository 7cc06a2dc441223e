"""Bases of input spaces without an SVD of the inputs: from their Gram matrix, in float64.

K = X X^T for inputs X [n, features] with n < features, else X^T X. Where Cholesky's factor
K = L L^T proves that no sample depends on the others, Q = X^T L^{-T}. Else K = V S V^T and the
leading left singular vectors of X^T are Q = X^T V S^{-1/2}. A Gram matrix in float64 cannot tell
sigma / sigma_1 below 1e-7 from nothing; where the rank depends on such values the SVD decides.
"""

import torch
from torch import Tensor

from teleport_core.projection import basis_of
from teleport_core.rank import numerical_cut

# Below this share of sigma_1 an eigenvalue of a float64 Gram matrix is rounding.
_RESOLUTION = 1e-7
_EPS = torch.finfo(torch.float64).eps


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
    cut = numerical_cut((features, n), inputs.dtype)
    eps = torch.finfo(inputs.dtype).eps
    if n < features:
        gram = X @ X.T
        independent = _independent(gram)
        if independent is not None and independent[1] > 10 * max(cut, _RESOLUTION):
            inverse, lowest = independent
            return _orthonormal(X.T @ inverse.T, lowest, eps).to(inputs.dtype)
    else:
        gram = X.T @ X
    values, vectors = torch.linalg.eigh(gram)
    sigma = values.clamp_min(0).sqrt()
    share = sigma / sigma[-1].clamp_min(torch.finfo(torch.float64).tiny)
    if _undecided(share, cut):
        return basis_of(X.T.to(inputs.dtype), "numerical", 1.0).vectors
    keep = share > cut
    Q: Tensor = vectors[:, keep]
    if n < features and keep.any():
        Q = _orthonormal(X.T @ (Q / sigma[keep]), float(share[keep].min()), eps)
    return Q.to(inputs.dtype)


def _independent(gram: Tensor) -> tuple[Tensor, float] | None:
    """L^-1, and a lower bound of sigma_min / sigma_1 of X; None where Cholesky breaks down.

    sigma_min >= 1 / ||L^-1||_F and sigma_1 <= ||X||_F = sqrt(trace K).
    """
    factor, info = torch.linalg.cholesky_ex(gram)
    if int(info):
        return None
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
    bound = 1 / (torch.linalg.vector_norm(inverse) * gram.trace().sqrt())
    return inverse, float(bound)


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
    return 1.5 * Q - 0.5 * (Q @ (Q.T @ Q))
