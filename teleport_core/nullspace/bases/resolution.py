"""What a Gram matrix in float64 can tell of the rank of its inputs, and what it cannot.

An eigenvalue is the square of a singular value, so that sigma / sigma_1 below 1e-7 is rounding.
"""

import math

import torch
from torch import Tensor

# Below ten times this share of sigma_1 nothing is decided by a Gram matrix.
_RESOLUTION = 1e-7
_EPS = torch.finfo(torch.float64).eps
SURE = 10 * _RESOLUTION


def independent(gram: Tensor) -> tuple[Tensor, list[float]]:
    """L^-1 [matrices, n, n] with K = L L^T, and lower bounds of sigma_min / sigma_1 of each X.

    sigma_min >= 1 / ||L^-1||_F and sigma_1^2 <= ||K||_F. Where Cholesky breaks down it is 0.
    """
    return _proved(gram, *torch.linalg.cholesky_ex(gram))


def surely_full(gram: Tensor, share: float, energy: Tensor) -> list[bool]:
    """Whether K [matrices, n, n], of some or all columns, proves sigma_min > share * sigma_1.

    ``energy`` [matrices] bounds sigma_1^2 of all columns: the sum of the squares of all entries.
    More columns never lower sigma_min.
    """
    # A factor of K - s I that is found belongs to a matrix which is off by (n + 1) eps trace(K) at
    # most (Higham, Accuracy and Stability of Numerical Algorithms, 10.1): the shift outdoes that.
    n = gram.shape[1]
    diagonal = gram.diagonal(dim1=1, dim2=2)
    shift = share**2 * energy + 2 * (n + 1) * _EPS * diagonal.sum(1)
    shifted = gram.clone()
    shifted.diagonal(dim1=1, dim2=2).sub_(shift[:, None])
    _, info = torch.linalg.cholesky_ex(shifted)
    return [each == 0 for each in info.tolist()]


def _proved(gram: Tensor, factor: Tensor, info: Tensor) -> tuple[Tensor, list[float]]:
    identity = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    inverse = torch.linalg.solve_triangular(factor, identity.expand_as(gram), upper=False)
    norms = [torch.linalg.vector_norm(matrix, dim=(1, 2)) for matrix in (inverse, gram)]
    read: list[list[float]] = torch.stack([info.to(gram.dtype), *norms]).tolist()
    lowest = []
    for failed, inverse_norm, gram_norm in zip(*read, strict=True):
        nothing_known = failed or math.isnan(inverse_norm * gram_norm)
        lowest.append(0.0 if nothing_known else 1 / (inverse_norm * gram_norm**0.5))
    return inverse, lowest


def sigma_of(eigenvalues: Tensor) -> tuple[Tensor, list[list[float]]]:
    """Singular values [matrices, n], ascending as eigenvalues of K are; their shares of sigma_1."""
    sigma = eigenvalues.clamp_min(0).sqrt()
    largest = sigma[:, -1:].clamp_min(torch.finfo(torch.float64).tiny)
    shares: list[list[float]] = (sigma / largest).tolist()
    return sigma, shares


def undecided(share: list[float], cut: float) -> bool:
    """Whether the rank rests on values that the Gram matrix cannot resolve."""
    return cut < SURE and any(each < SURE for each in share)
