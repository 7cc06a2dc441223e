"""A plain copy of a model whose parameters are spread over ranks, and the way back from it."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from teleport_core.errors import ModelError
from teleport_core.torch_private import is_sharded_module, sharded_precision

# Where a module keeps what others hung on it.
_HOOKS = "_hooks"
# Where torch.distributed keeps what it knows of a module.
_STATE = "__composable_api"


@contextmanager
def full(model: nn.Module) -> Iterator[nn.Module]:
    """Gather a model of ``fully_shard`` or DTensor parameters, and write back what was moved.

    Every rank gets all parameters, in a plain model of its own, as a whole model once fits on each
    device::

        with full(model) as whole:
            teleport(whole, loss_fn, batch, process_group=torch.distributed.group.WORLD)

    At the end each rank writes its own shards; the parameters of ``model`` stay the same objects,
    and an optimizer made for them goes on working. After an exception nothing was written. Hooks of
    torch.distributed are left out of the plain model, all others are in it; its buffers are those
    of ``model`` themselves.

    Args:
        model: on each rank of its device mesh, which all make this call.

    Raises:
        ModelError: no parameter is spread over ranks, or the forward pass computes in another
            dtype than the parameters have, so that the plain model would be another function.
    """
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor, distribute_tensor

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()  # after a pass some may still be whole
    # In one order on all ranks, as each is gathered by all of them.
    spread = [p for p in model.parameters() if isinstance(p, DTensor)]
    if not spread:
        raise ModelError(
            "expected a model whose parameters are spread over ranks; got one of ordinary tensors: "
            "hand it to teleport as it is"
        )
    _refuse_other_precision(model)
    whole = _plain(model, {p: p.full_tensor().detach() for p in spread})
    yield whole
    with torch.no_grad():
        for own, moved in zip(model.parameters(), whole.parameters(), strict=True):
            if not isinstance(own, DTensor):
                own.copy_(moved)
                continue
            # Without a source each rank cuts its own part of what it has.
            mesh, placements = own.device_mesh, own.placements
            part = distribute_tensor(moved.detach(), mesh, placements, src_data_rank=None)
            own.to_local().copy_(part.to_local())


def _refuse_other_precision(model: nn.Module) -> None:
    for name, module in model.named_modules():
        dtype = sharded_precision(module)
        if dtype is not None and any(p.dtype != dtype for p in module.parameters()):
            raise ModelError(
                f"expected {name or 'the model'} to compute in the dtype of its parameters; its "
                f"mixed precision policy says {dtype}: teleport before fully_shard"
            )


def _plain(model: nn.Module, values: dict[nn.Parameter, Tensor]) -> nn.Module:
    """The same modules, parameters gathered, without what spreads them."""
    memo: dict[int, Any] = {id(buffer): buffer for buffer in model.buffers()}
    for p in model.parameters():
        value = values[p] if p in values else p.detach().clone()
        memo[id(p)] = nn.Parameter(value, requires_grad=p.requires_grad)
    copies = [(module, _empty(module)) for module in model.modules()]
    memo |= {id(module): other for module, other in copies}
    for module, other in copies:
        for name, value in vars(module).items():
            if not name.startswith(_STATE):
                kept = _own_hooks(value) if name.endswith(_HOOKS) else value
                vars(other)[name] = copy.deepcopy(kept, memo)
    found: nn.Module = memo[id(model)]
    return found


def _empty(module: nn.Module) -> nn.Module:
    """An instance of the class that ``fully_shard`` made another one of."""
    kind: Any = type(module)
    own: Any = kind.__bases__[-1] if is_sharded_module(module) else kind
    found: nn.Module = own.__new__(own)
    return found


def _own_hooks(hooks: Any) -> Any:
    """Those that torch.distributed did not register."""
    if not isinstance(hooks, dict):
        return hooks
    kept = {key: hook for key, hook in hooks.items() if not _of_distributed(hook)}
    return type(hooks)(kept)


def _of_distributed(hook: Any) -> bool:
    while isinstance(hook, partial):
        hook = hook.func
    return str(getattr(hook, "__module__", "")).startswith("torch.distributed")
