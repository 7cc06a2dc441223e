"""Operations and bytes of a call, counted as torch carries it out.

For what no closed form describes: any model, any method. What counts is what counts in
``teleport_core.operations``: products of matrices, by the formulas of ``torch.utils.flop_counter``,
and factorisations, by the leading order of their textbook algorithms.
"""

from collections.abc import Callable
from itertools import chain
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from teleport_core.operations import NOTHING, Operations, eigh, pinv, solve, svd
from teleport_core.torch_private import (
    TorchDispatchMode,
    linear_plus_pointwise,
    linear_pointwise,
    tree_leaves,
)

aten = torch.ops.aten


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is called within; ``total`` is None where something in it cannot be counted.

    The replay of a CUDA graph is not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._total = NOTHING
        self._uncountable: set[str] = set()

    @property
    def total(self) -> Operations | None:
        """The sum so far."""
        return None if self._uncountable else self._total

    def __torch_dispatch__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry an operation out and add it up."""
        result = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet in _SILENT:
            self._uncountable.add(str(func))
        elif packet in _FACTORISATIONS:
            self._total += _FACTORISATIONS[packet](*args, **(kwargs or {}))
        elif packet in _PRODUCTS or packet in flop_registry:
            self._total += _product(func, args, dict(kwargs or {}), result)
        return result


def _product(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Operations:
    """Both factors and the result are moved once; what is added to was there."""
    packet = func._overloadpacket
    if packet in _PRODUCTS:
        operations = _PRODUCTS[packet](*args)
    else:
        operations = flop_registry[packet](*args, **kwargs, out_val=result)
    added = 1 if func is linear_plus_pointwise else _ADDS.get(packet)
    factors = (arg for place, arg in enumerate(args) if place != added)
    moved = chain(tree_leaves(list(factors)), tree_leaves(result))
    tensors = [leaf for leaf in moved if isinstance(leaf, Tensor)]
    return Operations(
        products=int(operations), bytes=sum(t.numel() * t.element_size() for t in tensors)
    )


def _matrix_by_vector(matrix: Tensor, vector: Tensor, *_: Any) -> int:
    return 2 * matrix.numel()


def _added_matrix_by_vector(_: Tensor, matrix: Tensor, *__: Any) -> int:
    return 2 * matrix.numel()


def _in_place(_: Tensor, a: Tensor, b: Tensor, *__: Any) -> int:
    return 2 * a.numel() * b.shape[-1]


def _by_onednn(x: Tensor, second: Tensor, third: Tensor | None, *_: Any) -> int:
    """X W^T, or with a third matrix C + X W^T, called (X, C, W)."""
    weight = second if third is None else third
    return 2 * x.numel() * weight.shape[0]


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any) -> int:
    found: int = sdpa_flop_count(query.shape, key.shape, value.shape)  # type: ignore[no-untyped-call]
    return found


def _attention_backward(grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any) -> int:
    shapes = (grad.shape, query.shape, key.shape, value.shape)
    found: int = sdpa_backward_flop_count(*shapes)  # type: ignore[no-untyped-call]
    return found


# What torch's own registry leaves out.
_PRODUCTS: dict[Any, Callable[..., int]] = {
    aten.mv: _matrix_by_vector,
    aten.addmv: _added_matrix_by_vector,
    aten.addmv_: _added_matrix_by_vector,
    aten.addmm_: _in_place,
    aten.baddbmm_: _in_place,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
if linear_pointwise is not None:
    _PRODUCTS[linear_pointwise] = _by_onednn

# The place of the argument to which a product is added.
_ADDS = {
    **dict.fromkeys((aten.addmm, aten.addmm_, aten.baddbmm, aten.baddbmm_), 0),
    **dict.fromkeys((aten.addmv, aten.addmv_), 0),
}

# They multiply matrices inside and do not tell.
_SILENT = {
    aten._cudnn_rnn,
    aten.mkldnn_rnn_layer,
    aten._native_multi_head_attention,
    aten._transformer_encoder_layer_fwd,
    aten._trilinear,
}


def _batched(one: Callable[[int, int], Operations]) -> Callable[..., Operations]:
    """Of a function of rows and columns one of a stack of matrices."""
    return lambda A, *_, **__: one(*A.shape[-2:]) * prod(A.shape[:-2])


def _triangular(A: Tensor, B: Tensor, **_: Any) -> Operations:
    """k^2 for each right-hand side (Golub and Van Loan, section 3.1)."""
    return Operations(factorisations=A.shape[-1] * B.numel())


def _solve(A: Tensor, B: Tensor, **_: Any) -> Operations:
    size, matrices = A.shape[-1], prod(A.shape[:-2])
    return solve(size, B.numel() // (size * matrices)) * matrices


def _cholesky(rows: int, _columns: int) -> Operations:
    """k^3 / 3 (section 4.2)."""
    return Operations(factorisations=rows**3 // 3)


def _qr(rows: int, columns: int) -> Operations:
    """Q and R by Householder: 4 m k^2 - 4/3 k^3 (section 5.2)."""
    m, k = max(rows, columns), min(rows, columns)
    return Operations(factorisations=4 * m * k**2 - 4 * k**3 // 3)


_FACTORISATIONS: dict[Any, Callable[..., Operations]] = {
    aten._linalg_svd: _batched(svd),
    aten._linalg_eigh: _batched(lambda rows, _: eigh(rows)),
    aten._linalg_solve_ex: _solve,
    aten.linalg_cholesky_ex: _batched(_cholesky),
    aten.linalg_inv_ex: _batched(lambda rows, _: Operations(factorisations=2 * rows**3)),
    aten.linalg_pinv: _batched(pinv),
    aten.linalg_qr: _batched(_qr),
    aten.linalg_solve_triangular: _triangular,
}
