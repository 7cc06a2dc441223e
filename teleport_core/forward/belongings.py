"""What a model and a loss own, kept for the time of a call and put back after it."""

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn

from teleport_core.forward.substitution import Slots, slots_of
from teleport_core.problem import Problem

# Whole numbers of as many bytes, of which each bit counts: 0.0 is equal to -0.0.
_WHOLE = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class _Kept(NamedTuple):
    """A tensor, the same memory by another name, and what was in its places, each once."""

    tensor: Tensor
    alias: Tensor
    places: Tensor
    values: Tensor
    version: int


class Belongings:
    """What a call is given: modules with their tensors, gradients and modes, and other tensors."""

    def __init__(self, modules: list[nn.Module], others: Iterable[Tensor] = ()) -> None:
        pairs = [pair for module in modules for pair in slots_of(module)]
        self._slots = [(slots, slots.copy()) for slots in chain.from_iterable(pairs)]
        parameters = _tensors(slots for slots, _ in pairs)
        self._parameters = [_keep(p) for p in parameters]
        buffers = _tensors(slots for _, slots in pairs)
        self._buffers = [_keep(b) for b in (*buffers, *others) if not b.is_inference()]
        self._counts = [(p, p.requires_grad) for p in parameters]
        self._gradients = [(p, p.grad) for p in parameters]
        self._modes = [(module, module.training) for one in modules for module in one.modules()]

    def set_gradients_aside(self) -> None:
        """What a forward pass accumulates is then added to no gradient of the caller's."""
        for parameter, _ in self._gradients:
            parameter.grad = None

    def give_unwritten(self, problem: Problem) -> None:
        """Keep, from now on, only parameters that the forward pass has been seen to write.

        The copies of the others are left to the problem.
        """
        names = {id(parameter): name for name, parameter in problem.parameters().items()}
        written = [_changed(kept) for kept in self._parameters]
        for kept, is_written in zip(self._parameters, written, strict=True):
            if not is_written and kept.places is kept.alias and id(kept.tensor) in names:
                problem.copies[names[id(kept.tensor)]] = kept.values
        pairs = zip(self._parameters, written, strict=True)
        self._parameters = [kept for kept, is_written in pairs if is_written]

    def put_back(self, moved: Iterable[Tensor] = ()) -> None:
        """Put everything back, bit for bit, but values of parameters and of buffers ``moved``."""
        kept = {id(buffer) for buffer in moved}
        for slots, before in self._slots:
            slots.update(before)
        for p, counts in self._counts:
            if p.requires_grad is not counts:
                p.requires_grad_(counts)
        for p, gradient in self._gradients:
            p.grad = gradient
        for module, mode in self._modes:
            module.training = mode
        _put_back([buffer for buffer in self._buffers if id(buffer.tensor) not in kept])

    def put_all_back(self) -> None:
        """Put everything back, bit for bit; of parameters those that are kept."""
        self.put_back()
        _put_back(self._parameters)


def _tensors(places: Iterable[Slots]) -> list[Tensor]:
    found = [tensor for slots in places for tensor in slots.values() if tensor is not None]
    return list({id(tensor): tensor for tensor in found}.values())


def _keep(tensor: Tensor) -> _Kept:
    # Written past the version of the tensor, a graph that the caller has of it stays good.
    alias = places = tensor.data
    if alias.layout is torch.strided:
        for dim, (size, stride) in enumerate(zip(alias.shape, alias.stride(), strict=True)):
            if size > 1 and stride == 0:  # expanded: one place is many elements
                places = places.narrow(dim, 0, 1)
    return _Kept(tensor, alias, places, places.clone(), tensor._version)


def _changed(kept: _Kept) -> bool:
    """Whether a tensor has been written; by ``.data``, too, unless the sum of its bits stays."""
    tensor, alias = kept.tensor, kept.alias
    whole = _WHOLE.get(alias.element_size())
    if tensor._version != kept.version or whole is None or alias.layout is not torch.strided:
        return True
    if tensor.data_ptr() != alias.data_ptr():
        return True
    # Comparing element by element takes ten times as long.
    now, then = (t.view(whole).sum(dtype=whole) for t in (kept.places, kept.values))
    return bool(now != then)


def _put_back(kept: list[_Kept]) -> None:
    for tensor, alias, places, values, _ in kept:
        if alias.layout is torch.strided and tensor.data_ptr() != alias.data_ptr():
            tensor.data = alias  # the forward pass gave it memory of its own
        places.copy_(values)
