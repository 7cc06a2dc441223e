"""What a Gram matrix in float64 can tell of the rank of its inputs, and what it cannot.

An eigenvalue is the square of a singular value, so that sigma / sigma_1 below 1e-7 is rounding.
"""

import math

import torch
from torch import Tensor

# Below ten times this share of sigma_1 nothing is decided by a Gram matrix.
_RESOLUTION = 1e-7
SURE = 10 * _RESOLUTION


def independent(gram: Tensor) -> tuple[Tensor, float]:
    """L^-1 [matrices, n, n] with K = L L^T, and a lower bound of sigma_min / sigma_1 of every X.

    sigma_min >= 1 / ||L^-1||_F and sigma_1^2 <= ||K||_F. Where Cholesky breaks down it is 0.
    """
    return _proved(gram, *torch.linalg.cholesky_ex(gram))


def surely_full(gram: Tensor, share: float) -> bool:
    """Whether K [n, n] proves sigma_min > share * sigma_1; a factor that breaks down ends it."""
    factor, info = torch.linalg.cholesky_ex(gram[None])
    return not int(info) and _proved(gram[None], factor, info)[1] > share


def _proved(gram: Tensor, factor: Tensor, info: Tensor) -> tuple[Tensor, float]:
    identity = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    inverse = torch.linalg.solve_triangular(factor, identity.expand_as(gram), upper=False)
    norms = [torch.linalg.vector_norm(matrix, dim=(1, 2)) for matrix in (inverse, gram)]
    read: list[list[float]] = torch.stack([info.to(gram.dtype), *norms]).tolist()
    lowest = 1.0
    for failed, inverse_norm, gram_norm in zip(*read, strict=True):
        nothing_known = failed or math.isnan(inverse_norm * gram_norm)
        lowest = min(lowest, 0.0 if nothing_known else 1 / (inverse_norm * gram_norm**0.5))
    return inverse, lowest


def sigma_of(eigenvalues: Tensor) -> tuple[Tensor, Tensor]:
    """Singular values, ascending as the eigenvalues of K are; and their shares of the largest."""
    sigma = eigenvalues.clamp_min(0).sqrt()
    return sigma, sigma / sigma[-1].clamp_min(torch.finfo(torch.float64).tiny)


def undecided(share: Tensor, cut: float) -> bool:
    """Whether the rank rests on values that the Gram matrix cannot resolve."""
    return cut < SURE and bool((share < SURE).any())
