"""The inputs of a batch: what tensors they hold, a copy of them, and how a model takes them."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments for a model.

    A plain tuple is positional arguments, any mapping is keywords (the ``UserDict`` of a
    tokenizer, too); all else, a list and a named tuple among it, is one argument.
    """
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (inputs if type(inputs) is tuple else (inputs,)), {}


def tensors_of(value: Any) -> list[Tensor]:
    """Every tensor in containers and in attributes of objects, in order."""
    found: list[Tensor] = []
    _hold(value, found, {})
    return found


def copied(value: Any) -> Any:
    """The same with tensors in memory of their own and without history; what has none is shared."""
    if isinstance(value, Tensor):
        return _copy(value)
    found: list[Tensor] = []
    visited: dict[int, tuple[Any, bool]] = {}
    _hold(value, found, visited)
    memo = {key: one for key, (one, holds) in visited.items() if not holds}
    memo.update({id(tensor): _copy(tensor) for tensor in {id(t): t for t in found}.values()})
    return copy.deepcopy(value, memo)


def usable(value: Any) -> Any:
    """The same; a copy where it holds what was made under ``torch.inference_mode()``."""
    left_over = any(tensor.is_inference() for tensor in tensors_of(value))
    return copied(value) if left_over and not torch.is_inference_mode_enabled() else value


def _copy(tensor: Tensor) -> Tensor:
    made = tensor.detach().clone()
    return made.requires_grad_() if tensor.requires_grad else made


def _hold(value: Any, found: list[Tensor], visited: dict[int, tuple[Any, bool]]) -> bool:
    """Whether a tensor is somewhere in ``value``; those that are go to ``found``."""
    if isinstance(value, Tensor):
        found.append(value)
        return True
    if id(value) not in visited:
        visited[id(value)] = (value, False)
        holds = [_hold(part, found, visited) for part in _parts(value)]
        visited[id(value)] = (value, any(holds))
    return visited[id(value)][1]


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if isinstance(value, (nn.Module, type)):
        return ()
    slots = [name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ())]
    own = [getattr(value, name) for name in slots if hasattr(value, name)]
    return [*own, *getattr(value, "__dict__", {}).values()]
