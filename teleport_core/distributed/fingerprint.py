"""What has to be the same on all ranks, as digests that can be compared."""

import ctypes
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from teleport_core.distributed.choice import by_batch
from teleport_core.interface import Teleporter
from teleport_core.problem import Problem

_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)


def fingerprint(problem: Problem, teleporter: Teleporter, verify: str) -> dict[str, str]:
    """Digests of everything but the batch, by what they are of."""
    model = problem.model
    modules = [
        (name, _name(type(module)), module.training, module.extra_repr())
        for name, module in model.named_modules()
    ]
    counted = [(name, p.requires_grad) for name, p in model.named_parameters()]
    options = {f.name: getattr(teleporter, f.name) for f in fields(teleporter) if f.init}
    return {
        "method and options": _digest(described((teleporter.name, verify, options))),
        "the structure of the model": _digest(repr((modules, counted))),
        "parameters": values_of(model.named_parameters()),
        "buffers": values_of(_read_buffers(model)),
        "the loss": _digest(described(problem.loss_fn)),
    }


def _read_buffers(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Without running statistics of modules that normalize by the batch: ranks have their own."""
    written = {
        id(buffer)
        for module in model.modules()
        if by_batch(module)
        for buffer in module.buffers(recurse=False)
    }
    return [(name, one) for name, one in model.named_buffers() if id(one) not in written]


def values_of(named: Iterable[tuple[str, Tensor]]) -> str:
    """One digest of names, shapes, dtypes and all bits."""
    return _digest(repr([(name, _tensor(one)) for name, one in named]))


def described(value: Any, visited: frozenset[int] = frozenset()) -> str:
    """A text that is the same for equal values in different processes; no address is in it.

    Objects are described by their attributes, functions by their names.
    """
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, Tensor):
        return _tensor(value)
    return "..." if id(value) in visited else _of_parts(value, visited | {id(value)})


def _of_parts(value: Any, visited: frozenset[int]) -> str:
    name = _name(type(value))
    if isinstance(value, Mapping):
        pairs = [f"{described(k, visited)}: {described(v, visited)}" for k, v in value.items()]
        return f"{name}({', '.join(pairs)})"
    if isinstance(value, (list, tuple)):
        return f"{name}({', '.join(described(one, visited) for one in value)})"
    if isinstance(value, nn.Module):
        return f"{name}{(str(value), value.training, values_of(value.state_dict().items()))}"
    if callable(value) and hasattr(value, "__qualname__"):
        return _name(value)
    return f"{name}({described(getattr(value, '__dict__', {}), visited)})"


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{value.__qualname__}"


def _tensor(tensor: Tensor) -> str:
    plain = tensor.detach().resolve_conj().resolve_neg()
    plain = (plain if plain.layout is torch.strided else plain.to_dense()).cpu().contiguous()
    size = plain.numel() * plain.element_size()
    bits = hashlib.sha256(ctypes.string_at(plain.data_ptr(), size) if size else b"")
    return f"{tuple(plain.shape)} {plain.dtype} {bits.hexdigest()}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
