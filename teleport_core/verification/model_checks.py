"""Refuse a model, or the surroundings of a call, that no method could work on exactly."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from teleport_core.errors import ModelError
from teleport_core.norms import is_finite
from teleport_core.problem import Problem
from teleport_core.torch_private import DropoutNd, is_sharded_module
from teleport_core.verification.overlap import overlapping

# By name, as to import the second takes longer than torch itself.
_REPLICAS = ("DistributedDataParallel", "FullyShardedDataParallel")

_BEFORE_SHARDING = (
    "teleport the model before fully_shard or distribute_module, with "
    "process_group=torch.distributed.group.WORLD, or go by way of "
    "teleport_core.distributed.full(model)"
)


def check_model(model: nn.Module) -> None:
    """Refuse a model that is sealed, random, or without parameters that could move.

    Raises:
        ModelError: see there.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"expected model to be a torch.nn.Module; got {type(model).__name__}")
    for name, module in model.named_modules():
        _refuse_sealed(name or "the model", module)
        _refuse_rank(name or "the model", module)
        _refuse_replicas(name or "the model", module)
    _check_parameters(dict(model.named_parameters()))
    _refuse_gathered(model)
    for name, module in model.named_modules():
        rate = _active_dropout(module)
        if rate:
            raise ModelError(
                f"expected a model without randomness; {name or 'the model'} "
                f"({type(module).__name__}) drops with p={rate} in train mode: "
                "call model.eval() or set p=0"
            )


def _check_parameters(parameters: dict[str, nn.Parameter]) -> None:
    if not any(p.requires_grad for p in parameters.values()):
        raise ModelError(
            "expected at least one parameter with requires_grad=True; got none: there is nothing "
            "whose gradient could grow"
        )
    for name, parameter in parameters.items():
        if is_lazy(parameter) or parameter.is_meta:
            raise ModelError(
                f"expected parameters with values; {name} has none yet: run a lazy model once, or "
                "move it off the device 'meta' with model.to_empty(...) and initialise it"
            )
        if hasattr(parameter, "device_mesh"):
            raise ModelError(
                f"expected parameters that are ordinary tensors; {name} is a "
                f"{type(parameter.data).__name__}, spread over processes: {_BEFORE_SHARDING}"
            )
        if not (parameter.is_floating_point() or parameter.is_complex()):
            raise ModelError(
                f"expected floating-point or complex parameters; {name} is {parameter.dtype}: "
                "convert the model with model.float(), or keep integer tensors as buffers"
            )
    shared = overlapping(parameters)
    if shared:
        raise ModelError(
            f"expected parameters with memory of their own; {' and '.join(dict.fromkeys(shared))} "
            "overlap: give each its own with .clone(), or make one parameter serve both"
        )


def require_finite_parameters(parameters: Mapping[str, Tensor]) -> None:
    """Name a parameter that holds NaN or infinity, once a loss or a gradient is not finite.

    Raises:
        ModelError: one does.
    """
    for name, parameter in parameters.items():
        if not is_finite(parameter.detach()):
            raise ModelError(f"expected finite parameters; {name} holds NaN or infinity")


def refuse_autocast(device_type: str) -> None:
    """Refuse a forward pass that rounds weights before it uses them."""
    if torch.is_autocast_enabled(device_type):
        raise ModelError(
            "expected a forward pass in the dtype of the parameters; it runs under autocast, "
            "where weights are rounded before each use: teleport outside of autocast"
        )


def check_surroundings(problem: Problem) -> None:
    """Refuse modes of torch under which no exact derivative is to be had."""
    device = next(iter(problem.parameters().values())).device.type
    refuse_autocast(device)
    tensors = [*problem.tensors(), *problem.parameters().values()]
    if torch.is_inference_mode_enabled() or any(tensor.is_inference() for tensor in tensors):
        raise ModelError(
            "expected a call, inputs and parameters from outside of torch.inference_mode(), where "
            "nothing has a gradient: leave it, .clone() what was made in it, or use "
            "torch.no_grad(), which does no harm here"
        )


def _refuse_sealed(name: str, module: nn.Module) -> None:
    """A compiled forward pass cannot be watched, so nobody knows what a weight is used for."""
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            f"expected a model in plain Python; {name} is scripted or traced by torch.jit: "
            "teleport the model that it was made of, then script it again"
        )
    if hasattr(module, "_orig_mod"):
        raise ModelError(
            f"expected a model in plain Python; {name} is compiled: teleport its _orig_mod, which "
            "shares its parameters"
        )
    if any(map(_is_compiled, (module.forward, module._compiled_call_impl))):
        raise ModelError(
            f"expected a model in plain Python; {name} is compiled: teleport it without "
            "torch.compile, or before it is compiled"
        )


def _is_compiled(function: object) -> bool:
    """Whether torch.compile made it, and has not been told to leave it alone."""
    made = hasattr(function, "_torchdynamo_orig_callable")
    return made and not getattr(function, "_torchdynamo_disable", False)


def _refuse_replicas(name: str, module: nn.Module) -> None:
    """What replicas on other devices do with a weight is watched by nobody."""
    if isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
        raise ModelError(
            f"expected a model on one device; {name} (DataParallel) runs on "
            f"{len(module.device_ids)} devices: teleport model.module, which has the same "
            "parameters"
        )


def _refuse_rank(name: str, module: nn.Module) -> None:
    """What moves one of several replicas is not passed on to the others, and is never repaired."""
    if not any(kind.__name__ in _REPLICAS for kind in type(module).__mro__):
        return
    group: Any = module.process_group
    processes = group.size()
    if processes > 1:
        cure = "teleport the model before it is sharded"
        if isinstance(module, nn.parallel.DistributedDataParallel):
            model = "model" if name == "the model" else name
            cure = f"teleport {model}.module with process_group=torch.distributed.group.WORLD"
        raise ModelError(
            f"expected a model of this process alone; {name} ({type(module).__name__}) is one of "
            f"{processes} replicas, and each would move by its own batch: {cure}"
        )


def _refuse_gathered(model: nn.Module) -> None:
    """Between passes a model of fully_shard may hold ordinary tensors, whose memory it frees."""
    for name, module in model.named_modules():
        if is_sharded_module(module):
            raise ModelError(
                f"expected parameters that are ordinary tensors; {name or 'the model'} "
                f"({type(module).__name__}) spreads its own over processes: {_BEFORE_SHARDING}"
            )


def _active_dropout(module: nn.Module) -> float:
    if not module.training:
        return 0.0
    if isinstance(module, DropoutNd):
        return float(module.p)
    if isinstance(module, nn.RNNBase):
        # It drops between its layers only.
        return float(module.dropout) if module.num_layers > 1 else 0.0
    if isinstance(module, nn.MultiheadAttention):
        return float(module.dropout)
    return 0.0
