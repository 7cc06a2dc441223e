"""J = sum ||G||_* over all matrices, the norm dual to Muon's step; vectors count by their l1 norm.

Muon (Jordan et al. 2024) moves a matrix along the polar factor U of its gradient, U V^T for a thin
SVD U S V^T, and lowers the loss by lr <G, U> = lr ||G||_*. The weight of a convolution
[out, in, k, ...] is the matrix [out, in k ...]. What is no matrix, biases and the gains of norms,
its authors leave to AdamW, whose dual norm is l1; it counts by that here.
"""

import torch
from torch import Tensor

from teleport_core.norms import real_view
from teleport_core.objectives.l1 import sign
from teleport_core.objectives.objective import Objective
from teleport_core.problem import Parameters

Coefficients = tuple[float, float, float]

# Of s -> a s + b s^3 + c s^5: Jordan's, of the largest slope at 0, and the one that leaves nothing
# of an error at 1 but its cube. Together they take 1e-4 ... 1 to 1 within 1e-10.
STEEP: Coefficients = (3.4445, -4.7750, 2.0315)
_CLOSING: Coefficients = (15 / 8, -10 / 8, 3 / 8)
_ITERATIONS = (STEEP,) * 7 + (_CLOSING,) * 4

# Columns of the first sketch of a range, and how many times as many rows pay one.
_FEW = 16
_PAYS = 4
# What a basis leaves out of a matrix, as a share, where it is the rounding of two products.
_ROUNDING_EPS = 16


class Nuclear(Objective):
    """J = sum ||G||_* + sum ||b||_1, hence v = the polar factor of G, and the sign of b."""

    def value_and_slope(
        self, gradient: Parameters, parameters: Parameters
    ) -> tuple[float, Parameters]:
        """J and v, J = <g, v>."""
        del parameters
        slope = {name: _slope(g) for name, g in gradient.items()}
        values = [
            (real_view(g) * real_view(slope[name])).sum(dtype=torch.float64)
            for name, g in gradient.items()
        ]
        return float(torch.stack(values).sum()), slope


def _slope(g: Tensor) -> Tensor:
    return polar(g.reshape(len(g), -1)).reshape(g.shape) if g.dim() > 1 and g.numel() else sign(g)


def polar(matrix: Tensor) -> Tensor:
    """The polar factor U V^T of a matrix U S V^T, on its numerical range, by Newton-Schulz.

    Singular values above 1e-4 of the Frobenius norm become 1 within 1e-10 (rounding of the dtype
    aside), smaller ones something between 0 and 1, those of rounding 7e4 times what they are. So
    <G, polar(G)> falls short of ||G||_* by at most 1e-4 ||G||_F for each smaller one. Where it
    does, v is that of a nuclear norm whose kink at 0 is rounded off.

    Args:
        matrix: [rows, columns], any rank; less than float32 is computed in float32.
    """
    precise = matrix.float() if matrix.dtype in (torch.bfloat16, torch.float16) else matrix
    tiny = torch.finfo(precise.dtype).tiny
    tall = precise.shape[0] > precise.shape[1]
    wide = precise.mH if tall else precise
    Q = small_range(wide)
    if Q is None:
        factor = newton_schulz(wide, _ITERATIONS, tiny)
    else:
        factor = Q @ newton_schulz(Q.mH @ wide, _ITERATIONS, tiny)
    return (factor.mH if tall else factor).to(matrix.dtype)


def small_range(matrix: Tensor) -> Tensor | None:
    """An orthonormal basis Q [rows, k] of the range, to rounding; None where k > rows / 4.

    A gradient has the rank of its batch at most, and its polar factor is Q times that of Q^T G,
    which is as small. Found by products with random vectors, the same at every call, and by looking
    at what is left (Halko, Martinsson and Tropp, SIAM Review 2011, Alg. 4.2).
    """
    rows, columns = matrix.shape
    eps, size = torch.finfo(matrix.dtype).eps, torch.linalg.vector_norm(matrix)
    generator = torch.Generator().manual_seed(0)
    k = _FEW
    while _PAYS * k <= rows:
        probes = torch.randn(columns, k, generator=generator, dtype=torch.float64).to(matrix)
        Q: Tensor = torch.linalg.qr(matrix @ (probes / columns**0.5)).Q
        left = torch.linalg.vector_norm(matrix - Q @ (Q.mH @ matrix))
        if bool(left <= _ROUNDING_EPS * eps * size):
            return Q
        k *= 2
    return None


def newton_schulz(matrix: Tensor, iterations: tuple[Coefficients, ...], eps: float) -> Tensor:
    """X <- a X + (b A + c A^2) X with A = X X^T, from X = G / max(||G||_F, eps); differentiable."""
    tall = matrix.shape[0] > matrix.shape[1]
    X: Tensor = matrix.mH if tall else matrix
    X = X / torch.linalg.vector_norm(X).clamp(min=eps)
    for a, b, c in iterations:
        A = X @ X.mH
        X = a * X + (b * A + c * A @ A) @ X
    return X.mH if tall else X
