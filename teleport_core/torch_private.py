"""What this package uses of torch that torch does not promise to keep: to be read with a new torch.

Beside the names below these attributes are read where they are needed: ``_version``, ``_base``,
``_is_view`` and ``_backward_hooks`` of tensors; ``_modules``, ``_forward_hooks``,
``_forward_pre_hooks`` and ``_backward_hooks`` of modules; their ``_parameters`` and ``_buffers``,
which are written as well; ``_orig_mod`` and ``_compiled_call_impl`` of compiled ones;
``_torchdynamo_orig_callable`` and ``_torchdynamo_disable`` of compiled functions.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FunctionType
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd as DropoutNd
from torch.utils import checkpoint as checkpointing
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

# Handed on as they are; what is made below is for others as well.
__all__ = ["DropoutNd", "TorchDispatchMode", "tree_leaves", "tree_map"]

TRIED = ("2.8", "2.11", "2.13", "2.14")
"""Versions of torch on which all of this was tried."""

linear_pointwise: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
"""``(x, w, None, "none", [], "")`` -> x w^T by oneDNN; None where torch was built without."""

linear_plus_pointwise: Any = getattr(linear_pointwise, "binary", None)
"""``(x, c, w, None, "add")`` -> c + x w^T, likewise."""

current_pass = torch._C._current_graph_task_id
"""A number of the backward pass that is running."""

function_modes: Any = torch._C._len_torch_function_stack
"""How many modes of ``__torch_function__`` are active."""

transform_level: Any = torch._C._functorch.maybe_current_level
"""How deep inside of torch.func's transforms a call is, from 1 on; None outside of them."""

copy_all = torch._foreach_copy_
"""``(targets, sources)``: copy many tensors in one call."""


def tensor_property(name: str) -> Any:
    """What a TorchFunctionMode is told to be called where a property of a tensor is read."""
    return vars(torch._C.TensorBase)[name].__get__


def without_base(view: Tensor) -> Tensor:
    """The same memory as a tensor that autograd does not take for a view."""
    found: Tensor = torch.ops.aten._unsafe_view(view, view.shape)
    return found


def has_gradient(x: Tensor) -> bool:
    """Whether a gradient can arrive at ``x``; a view taken under no_grad claims so and is wrong."""
    return x.requires_grad and (x.grad_fn is not None or not x._is_view())


def fill_flat_weights(module: nn.RNNBase) -> None:
    """Have a recurrent layer look up its weights by name again."""
    module._init_flat_weights()


_attention: Any = F.multi_head_attention_forward

# The function hands itself over whole to whoever watches, so that nobody sees what happens inside.
# This is the same function; only, it does not ask.
_attention_body = FunctionType(
    _attention.__code__,
    {**_attention.__globals__, "has_torch_function": lambda _: False},
    _attention.__name__,
    _attention.__defaults__,
)


def multi_head_attention(*args: Any, **kwargs: Any) -> Any:
    """``F.multi_head_attention_forward``, packed or not, with its projections made visible."""
    return _attention_body(*args, **kwargs)


class _Pass:
    """One pass without checkpoints; an interrupt, wherever it comes, ends it with its frame."""


_passes: WeakSet[_Pass] = WeakSet()
_reentrant, _hook = checkpointing.CheckpointFunction, checkpointing._checkpoint_hook


class _Reentrant:
    """In the place of the function behind reentrant checkpoints."""

    @staticmethod
    def apply(function: Any, preserve: bool, *args: Any) -> Any:
        if _passes:
            return function(*args)
        return _reentrant.apply(function, preserve, *args)  # type: ignore[no-untyped-call]


def _hook_or_none(frame: Any) -> Any:
    return nullcontext() if _passes else _hook(frame)


def _set_checkpoints(reentrant: Any, hook: Any) -> None:
    # What checkpoint() calls is exchanged, as many a library has imported checkpoint by its name.
    setattr(checkpointing, "CheckpointFunction", reentrant)  # noqa: B010  (of torch's own module)
    setattr(checkpointing, "_checkpoint_hook", hook)  # noqa: B010


@contextmanager
def without_checkpoints() -> Iterator[None]:
    """Have ``torch.utils.checkpoint`` keep what it would compute again, in all threads.

    Computed again in a backward pass, a module runs with its own parameters and buffers and not
    with those of the forward pass.
    """
    mine = _Pass()
    _passes.add(mine)
    _set_checkpoints(_Reentrant, _hook_or_none)
    try:
        yield
    finally:
        _passes.discard(mine)
        if not _passes:
            _set_checkpoints(_reentrant, _hook)
        if _passes:  # one that another thread began meanwhile
            _set_checkpoints(_Reentrant, _hook_or_none)


def is_sharded_module(module: nn.Module) -> bool:
    """Whether ``fully_shard`` was applied to this very module: it makes a class of its own."""
    return any(kind.__name__ == "FSDPModule" for kind in type(module).__mro__)


def sharded_precision(module: nn.Module) -> torch.dtype | None:
    """In which dtype a module of ``fully_shard`` computes, where its policy names one."""
    if not is_sharded_module(module):
        return None
    found: torch.dtype | None = module._get_fsdp_state()._mp_policy.param_dtype  # type: ignore[operator]
    return found


def leave_function_modes(depth: int) -> None:
    """End the innermost modes of ``__torch_function__`` until ``depth`` are left."""
    while function_modes() > depth:
        torch._C._pop_torch_function_stack()
