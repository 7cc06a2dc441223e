"""Adapters by the function whose calls they take apart."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from teleport_core.layers.contraction import baddbmm, bmm, einsum
from teleport_core.layers.convolution import convolve
from teleport_core.layers.linear import addmm, linear, matmul, reversed_matmul
from teleport_core.layers.transposed import convolve_transposed
from teleport_core.layers.unfused import recurrent
from teleport_core.layers.unfused.attention import attention
from teleport_core.layers.unfused.embedding_bag import embedding_bag
from teleport_core.layers.unfused.hardsigmoid import hardsigmoid
from teleport_core.torch_private import multi_head_attention

Adapter = Callable[..., Any]

_ADAPTERS: dict[Any, Adapter] = {
    F.linear: linear,
    **dict.fromkeys((torch.addmm, Tensor.addmm), addmm),
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__), matmul),
    **dict.fromkeys((torch.mm, Tensor.mm), matmul),
    Tensor.__rmatmul__: reversed_matmul,
    torch.einsum: einsum,
    **dict.fromkeys((torch.bmm, Tensor.bmm), bmm),
    **dict.fromkeys((torch.baddbmm, Tensor.baddbmm), baddbmm),
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), convolve),
    **dict.fromkeys(
        (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), convolve_transposed
    ),
    F.multi_head_attention_forward: multi_head_attention,
    torch.lstm: recurrent.lstm,
    torch.gru: recurrent.gru,
    torch.rnn_tanh: recurrent.rnn_tanh,
    torch.rnn_relu: recurrent.rnn_relu,
    torch.lstm_cell: recurrent.lstm_cell,
    torch.gru_cell: recurrent.gru_cell,
    torch.rnn_tanh_cell: recurrent.rnn_tanh_cell,
    torch.rnn_relu_cell: recurrent.rnn_relu_cell,
    F.embedding_bag: embedding_bag,
    F.hardsigmoid: hardsigmoid,
    F.scaled_dot_product_attention: attention,
}

# Their backward pass has no derivative, or not on every device: taken apart with weights among
# their arguments or without, and for double backward too.
ONCE_DIFFERENTIABLE: set[Any] = {
    torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu,
    F.embedding_bag, F.hardsigmoid, F.scaled_dot_product_attention,
}  # fmt: skip


def register(function: Callable[..., Any], adapter: Adapter) -> None:
    """Teach nullspace what a function is made of, so that the weights in it may move.

    Args:
        function: what the model calls: a function of torch, or one of your own under
            ``torch.overrides.wrap_torch_function``.
        adapter: takes the same arguments and returns the same value, computed by calls that are
            known already (``F.linear``, convolutions, ``use`` with an operator of your own) and
            anything else that can be differentiated twice. It is called instead of ``function``
            while the model is watched and by the textbook engine, with weights among the arguments
            or without, since a fused kernel may have no second derivative.
    """
    _ADAPTERS[function] = adapter
    ONCE_DIFFERENTIABLE.add(function)


def adapter_of(function: Callable[..., Any]) -> Adapter | None:
    """The adapter of a function, if it has one."""
    return _ADAPTERS.get(function)
