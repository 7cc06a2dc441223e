"""A model with other tensors in its places, for the time of one forward pass."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

Slots = dict[str, Any]


@contextmanager
def substituted(
    module: nn.Module, own: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]
) -> Iterator[None]:
    """Let ``values`` stand in for the parameters ``own`` of the same name, copies for buffers.

    A tensor that is in several places is replaced by one in all of them. In the end each place
    holds the very object that it held before; what was registered in between stays.
    """
    # torch's functional_call swaps a place once for each of its names, and puts back the first
    # substitute where a module has two.
    pairs = slots_of(module)
    kept = [(slots, slots.copy()) for pair in pairs for slots in pair if slots]
    stand_ins = {id(own[name]): value for name, value in values.items()}
    buffers = [b for _, slots in pairs if slots for b in slots.values() if b is not None]
    if buffers:
        known = {id(tensor) for slots, _ in pairs for tensor in slots.values()}
        # Batch norm in train mode writes its running statistics: let it write into copies.
        stand_ins |= {id(b): b.clone() for b in buffers if id(b) not in known}
    try:
        for slots, before in kept:
            slots.update({name: stand_ins.get(id(t), t) for name, t in before.items()})
        yield
    finally:
        for slots, before in kept:
            slots.update(before)


def slots_of(module: nn.Module) -> list[tuple[Slots, Slots]]:
    """Where parameters and buffers are held, of every module that has some, once."""
    modules, left = {}, [module]
    while left:
        one = left.pop()
        if id(one) not in modules:
            modules[id(one)] = one
            left += [child for child in one._modules.values() if child is not None]
    owners = [one for one in modules.values() if one._parameters or one._buffers]
    return [(one._parameters, one._buffers) for one in owners]
