"""Parameters that share memory: what is written through one changes another, or itself."""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor


def overlapping(parameters: Mapping[str, Tensor]) -> tuple[str, str] | None:
    """Two parameters with a byte in common, by name, or twice the same one that was expanded.

    Neighbours in one buffer have nothing in common.
    """
    together: dict[int, list[tuple[str, Tensor]]] = {}
    for name, parameter in parameters.items():
        if parameter.layout is torch.strided and parameter.numel():
            storage = parameter.untyped_storage().data_ptr()
            together.setdefault(storage, []).append((name, parameter))
    for storage, sharing in together.items():
        if not storage:  # no memory at all, as on the device "meta"
            continue
        for name, parameter in sharing:
            if _length(parameter) < parameter.numel():
                return name, name
        sharing.sort(key=lambda each: _interval(each[1]))
        ends = pairwise(_interval(parameter) for _, parameter in sharing)
        if any(upper[0] < lower[1] for lower, upper in ends):
            found = _common(sharing)
            if found:
                return found
    return None


def _length(parameter: Tensor) -> int:
    """From the first element to the last."""
    steps = zip(parameter.shape, parameter.stride(), strict=True)
    return 1 + sum((size - 1) * stride for size, stride in steps)


def _interval(parameter: Tensor) -> tuple[int, int]:
    """Bytes of the storage between the first element and the last."""
    start = int(parameter.storage_offset()) * parameter.element_size()
    return start, start + _length(parameter) * parameter.element_size()


def _common(sharing: list[tuple[str, Tensor]]) -> tuple[str, str] | None:
    """Two parameters of one storage with a byte in common."""
    number_type = torch.int16 if len(sharing) < 2**15 else torch.int32
    length = max(_interval(parameter)[1] for _, parameter in sharing)
    owner = torch.full((length,), -1, dtype=number_type)
    for number, (name, parameter) in enumerate(sharing):
        size = parameter.element_size()
        strides = [stride * size for stride in parameter.stride()]
        own = owner.as_strided((*parameter.shape, size), (*strides, 1), _interval(parameter)[0])
        taken = int(own.max())
        if taken >= 0:
            return sharing[taken][0], name
        own.fill_(number)
    return None
