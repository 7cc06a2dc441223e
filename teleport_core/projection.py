"""Bases of input spaces, and the projection onto what is orthogonal to them.

The operator pi of the null-space paper (Eq. 11-12): pi(G) = G - (G B) B^T, B an orthonormal basis
[features, k] of the significant inputs of a layer. The product B B^T is never formed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.errors import ProblemError
from teleport_core.rank import RULES


@dataclass(frozen=True)
class Basis:
    """The significant input space of one layer.

    Attributes:
        vectors: B [features, k], orthonormal columns, in the dtype of the data.
        sigma: all singular values of the representation matrix, float64, descending.
        residual: sigma_{k+1}, the largest singular value left out; 0 when none is.
    """

    vectors: Tensor
    sigma: Tensor
    features: int
    residual: float

    @property
    def free(self) -> int:
        """Dimensions in which a row of the weight may move."""
        return self.features - self.vectors.shape[1]


def basis_of(representation: Tensor, rank_rule: str, tau: float) -> Basis:
    """SVD of a representation matrix R [features, columns] (Step 2 of the paper), in float64."""
    features, columns = representation.shape
    cut = [(rank_rule, tau)]
    return _cut(representation.double(), (features, columns), representation.dtype, cut)[0]


def basis_of_pieces(pieces: Iterable[Tensor], rank_rule: str, tau: float, *, limit: int) -> Basis:
    """The same for R^T given piece by piece, [columns, features]; R need not fit into memory."""
    return nested_bases(pieces, [(rank_rule, tau)], limit=limit)[0]


def nested_bases(
    pieces: Iterable[Tensor], cuts: Sequence[tuple[str, float]], *, limit: int
) -> list[Basis]:
    """A basis for each (rank rule, tau) of ``cuts``, all from one SVD: each is a part of the next.

    Up to ``limit`` columns are held at a time, or as many as there are features; more of them are
    replaced by the triangle of their QR factorisation, which has the same left singular vectors
    and values.
    """
    held: list[Tensor] = []
    columns, features, dtype = 0, 0, torch.float64
    for piece in pieces:
        columns, (_, features), dtype = columns + len(piece), piece.shape, piece.dtype
        held.append(piece.double())
        if len(held) > 1 and sum(map(len, held)) > max(limit, features):
            held = [torch.linalg.qr(torch.cat(held), mode="r").R]
    stacked = torch.cat(held) if len(held) > 1 else held[0]
    return _cut(stacked.T, (features, columns), dtype, cuts)


def triangle_of(pieces: Iterable[Tensor], limit: int) -> Tensor:
    """The triangle [min(columns, features), features] of R^T given piece by piece, float64."""
    held: list[Tensor] = []
    for piece in pieces:
        held.append(piece.double())
        if sum(map(len, held)) > max(limit, piece.shape[1]):
            held = [torch.linalg.qr(torch.cat(held), mode="r").R]
    triangle: Tensor = torch.linalg.qr(torch.cat(held), mode="r").R
    return triangle


def basis_of_triangle(triangle: Tensor, columns: int, dtype: torch.dtype) -> Basis:
    """The basis at numerical rank of inputs in ``dtype`` with ``columns``, by their triangle."""
    return _cut(triangle.T, (triangle.shape[1], columns), dtype, [("numerical", 1.0)])[0]


def _cut(
    R: Tensor, shape: tuple[int, int], dtype: torch.dtype, cuts: Sequence[tuple[str, float]]
) -> list[Basis]:
    """A basis for each cut from one SVD of R, or of the triangle in its place."""
    require_finite(R)
    left, sigma, _ = torch.linalg.svd(R, full_matrices=False)
    ranks = [RULES[rank_rule](sigma, shape, dtype, tau) for rank_rule, tau in cuts]
    ends = [(k, float(sigma[k]) if k < sigma.numel() else 0.0) for k in ranks]
    return [Basis(left[:, :k].to(dtype), sigma, shape[0], residual) for k, residual in ends]


def require_finite(matrix: Tensor) -> None:
    """Refuse the inputs of a layer, or their Gram matrix, before a decomposition fails on them.

    Raises:
        ProblemError: an entry is NaN or infinite.
    """
    if not bool(torch.isfinite(matrix).all()):
        raise ProblemError(
            "expected finite inputs in every layer; got non-finite values inside the model on the "
            "teleport batch: look for an overflow in its forward pass"
        )


def project(gradient: Tensor, basis: Tensor) -> Tensor:
    """pi(G) = G - (G B) B^T for G [out, features] and B [features, k]; Eq. 12."""
    return gradient - (gradient @ basis) @ basis.T


# Projecting leaves this much of a matrix that has no free part at all; measured: 5 eps.
ROUNDING_EPS = 64


def is_rounding(projected: Tensor, whole: Tensor, dtype: torch.dtype) -> bool:
    """Whether nothing but rounding is left of a matrix, by the norms after and before.

    An overflow is no rounding, so that it is noticed later.
    """
    size = float(whole)
    return size == 0.0 or float(projected) / size <= ROUNDING_EPS * torch.finfo(dtype).eps
