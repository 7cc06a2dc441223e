"""Products through the branch that oneDNN takes, of any size and type."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch import Tensor

from teleport_core import products


@contextmanager
def every_product_by_onednn(
    but: Callable[[int, Tensor], bool] | None = None,
) -> Iterator[list[tuple[int, int, int]]]:
    """In float64 by torch, as oneDNN knows none; yields [m, k, n] of all that came.

    Args:
        but: of rows of A, and B: whether A B stays with torch.
    """
    came: list[tuple[int, int, int]] = []

    def gains(m: int, b: Tensor) -> bool:
        return m * b.numel() > 0 and not (but is not None and but(m, b))

    def by(a: Tensor, b: Tensor) -> Tensor:
        assert a.dim() == b.dim() == 2
        came.append((len(a), len(b), b.shape[1]))
        return REAL[0](a, b) if a.dtype is torch.float32 else a @ b

    def plus(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
        assert a.dim() == b.dim() == c.dim() == 2
        came.append((len(a), len(b), b.shape[1]))
        return REAL[1](c, a, b) if a.dtype is torch.float32 else c + a @ b

    with patch.multiple(products, gains=gains, by_onednn=by, plus_by_onednn=plus):
        yield came


REAL = (products.by_onednn, products.plus_by_onednn)
