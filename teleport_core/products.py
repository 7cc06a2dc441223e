"""Products of float32 matrices on CPUs, by oneDNN where that is faster than torch's own choice.

torch multiplies float32 matrices by MKL. With few columns, and on processors of other makers than
its own, MKL leaves up to half of a core's speed unused; oneDNN, which torch carries for
convolutions and for compiled models, does not. It answers with a new matrix, the size of the
product and no larger, and reads matrices as they lie in memory, transposed or not.

Only for what autograd need not see.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from teleport_core.torch_private import linear_plus_pointwise, linear_pointwise

# From so many multiply-adds on, oneDNN's start costs less than it gains.
_MANY = 2**23
# Sums of fewer terms are short.
_SHORT = 64


def gains(m: int, b: Tensor) -> bool:
    """Whether oneDNN is the faster one for A B, for some A of ``m`` rows.

    Not for a single row or column: no library is faster there than memory can be read. Not for
    few long sums or many short ones, which MKL splits better. Not where B has gaps: oneDNN then
    takes a thousand times as long.
    """
    k, n = b.shape
    if m * k * n < _MANY or b.dtype is not torch.float32 or b.device.type != "cpu":
        return False
    slender = min(m, n) == 1 or k < _SHORT or m * n <= k
    dense = b.is_contiguous() or b.T.is_contiguous()
    return dense and not slender and _available()


def by_onednn(a: Tensor, b: Tensor) -> Tensor:
    """A B as a new matrix stored by rows."""
    found: Tensor = linear_pointwise(a, b.T, None, "none", [], "")
    return found


def plus_by_onednn(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """C + A B as a new matrix stored by rows."""
    found: Tensor = linear_plus_pointwise(a, c, b.T, None, "add")
    return found


def product(a: Tensor, b: Tensor) -> Tensor:
    """A B as a new matrix, by whoever is faster."""
    return by_onednn(a, b) if gains(len(a), b) else a @ b


def added_product(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """C + A B, by whoever is faster; C may be written."""
    return plus_by_onednn(c, a, b) if gains(len(a), b) else c.addmm_(a, b)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``torch.nn.functional.linear``; by torch itself where a gradient is recorded."""
    out, features = weight.shape
    columns = x.numel() // features if features else 0
    if torch.is_grad_enabled() or not gains(columns, weight.T):
        return F.linear(x, weight, bias)
    z = by_onednn(x.reshape(columns, features), weight.T).view(*x.shape[:-1], out)
    return z if bias is None else z.add_(bias)


def _available() -> bool:
    """Also not where a user has switched it off."""
    built: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return built and bool(torch.backends.mkldnn.enabled) and linear_pointwise is not None
