"""A stand-in for a CUDA graph: what was done once is done again, on the very same tensors."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten

# What makes the host wait for a device, or the shape of a result depend on values.
WAITS = (aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten.is_nonzero)


class HostWaitedError(Exception):
    """Something looked at a value while operations were recorded."""


class _Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.played: list[tuple[Any, Any, Any, Any]] = []
        self.overwritten: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in WAITS:
            raise HostWaitedError(str(func))
        for target in _targets(func, args, kwargs or {}):
            self.overwritten.append((target, target.clone()))
        result = func(*args, **(kwargs or {}))
        self.played.append((func, args, kwargs or {}, result))
        return result


def _targets(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """What an operation writes."""
    written = [a.name for a in func._schema.arguments if a.alias_info and a.alias_info.is_write]
    given = dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs
    leaves = tree_leaves([given[name] for name in written if name in given])
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def record(rehearse: Callable[[], None], body: Callable[[], None]) -> Callable[[], None]:
    """As ``record_cuda_graph`` does: rehearse, record without effect, answer what plays it."""
    with torch.no_grad():
        rehearse()
        with _Tape() as tape:
            body()
        for target, old in reversed(tape.overwritten):
            target.copy_(old.reshape(target.shape))  # its shape may have changed in place

    def replay() -> None:
        with torch.no_grad():
            for func, args, kwargs, result in tape.played:
                again = func(*args, **kwargs)
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    # A new tensor's values go where later operations will look for them.
                    # Its shape may have been changed in place since.
                    if old.data_ptr() != new.data_ptr():
                        old.copy_(new.reshape(old.shape))

    return replay
