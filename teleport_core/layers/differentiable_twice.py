"""A forward pass that torch can differentiate twice: nothing fused in it that cannot be."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from teleport_core.layers.registry import ONCE_DIFFERENTIABLE, adapter_of


class _Unfused(TorchFunctionMode):
    """Takes apart the calls that cannot be differentiated twice, and watches nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        adapter = adapter_of(func) if func in ONCE_DIFFERENTIABLE else None
        return (adapter or func)(*args, **dict(kwargs or {}))


@contextmanager
def twice_differentiable(*, fused: bool = False) -> Iterator[None]:
    """Attention that has a second derivative, and no fused shortcut around its layers.

    With ``fused`` recurrent layers are run step by step too.
    """
    shortcut = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with sdpa_kernel(SDPBackend.MATH), _Unfused() if fused else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(shortcut)
