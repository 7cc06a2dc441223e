"""A loader that was drawn from, as if nobody had drawn."""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

# A longer list or mapping holds data, and no parts of a loader.
_FEW = 100

_DATA = ("dataset", "data_source")
# What is to change, should a data set know it, and what is no part of anything.
_OTHERS = (nn.Module, torch.optim.Optimizer)
_OPAQUE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, *_OTHERS)


@contextmanager
def as_if_undrawn(loader: Any) -> Iterator[None]:
    """Put a loader back in the end: generators, samplers, counters, whatever attributes lead to.

    A loop that is in the middle of this loader goes on where it was, its workers as well. Of arrays
    only orders are put back, whole numbers in one dimension, and none of a data set's; no file is;
    nor are the generators of the process, which are not the loader's.
    """
    parts: list[Callable[[], None]] = []
    persistent: list[dict[str, Any]] = []
    _keep(loader, parts, persistent, set(), data=isinstance(loader, (list, tuple)))
    try:
        for attributes in persistent:
            attributes["_iterator"] = None  # a loader has one, and would take it from the loop
        yield
    finally:
        for put_back in parts:
            put_back()


def _keep(
    value: Any,
    parts: list[Callable[[], None]],
    persistent: list[dict[str, Any]],
    seen: set[int],
    *,
    data: bool,
) -> None:
    """Collect what puts ``value`` back, and all that it leads to; of data no arrays."""
    if id(value) in seen or isinstance(value, _OPAQUE):
        return
    seen.add(id(value))
    put_back = _generator(value) or _contents(value, data=data)
    if put_back is not None:
        parts.append(put_back)
    attributes = getattr(value, "__dict__", {})
    if "_iterator" in attributes and getattr(value, "persistent_workers", False):
        persistent.append(attributes)
    inner = [(name, v) for name, v in attributes.items() if name != "_iterator"]
    if isinstance(value, (list, tuple)) and len(value) <= _FEW:
        inner += [("", v) for v in value]
    elif isinstance(value, dict) and len(value) <= _FEW:
        inner += [("", v) for v in value.values()]
    for name, one in inner:
        is_data = data or name in _DATA or isinstance(one, torch.utils.data.Dataset)
        _keep(one, parts, persistent, seen, data=is_data)


def _generator(value: Any) -> Callable[[], None] | None:
    """What sets a generator back to its present state; None where it is no generator."""
    numpy: Any = sys.modules.get("numpy")
    if isinstance(value, torch.Generator):
        state = value.get_state()
        return lambda: _do(value.set_state(state))
    if isinstance(value, random.Random):
        drawn = value.getstate()
        return lambda: value.setstate(drawn)
    if numpy is not None and isinstance(value, numpy.random.Generator):
        bits, before = value.bit_generator, value.bit_generator.state
        return lambda: setattr(bits, "state", before)
    if numpy is not None and isinstance(value, numpy.random.RandomState):
        of_old = value.get_state()
        return lambda: value.set_state(of_old)
    return None


def _contents(value: Any, *, data: bool) -> Callable[[], None] | None:
    """What puts back the attributes, the items or, but for data, the numbers of a value."""
    numpy: Any = sys.modules.get("numpy")
    if isinstance(value, list):
        items = list(value)
        return lambda: value.__setitem__(slice(None), items)
    if isinstance(value, dict):
        return _of_mapping(value)
    if isinstance(value, Tensor) or (numpy is not None and isinstance(value, numpy.ndarray)):
        return None if data else _of_array(value)
    attributes = getattr(value, "__dict__", None)
    return None if attributes is None else _of_mapping(attributes)


def _of_mapping(mapping: dict[Any, Any]) -> Callable[[], None]:
    before = dict(mapping)

    def put_back() -> None:
        for name in mapping.keys() - before.keys():
            del mapping[name]
        mapping.update(before)

    return put_back


def _of_array(array: Any) -> Callable[[], None] | None:
    if len(array.shape) != 1:
        return None
    if isinstance(array, Tensor):
        numbers = array.detach().clone()
        whole = not (array.is_floating_point() or array.is_complex())
        return (lambda: _do(array.detach().copy_(numbers))) if whole else None
    copied = array.copy()
    return (lambda: array.__setitem__(..., copied)) if array.dtype.kind in "iu" else None


def _do(result: object) -> None:
    """For the sake of what computing it did."""
    del result
