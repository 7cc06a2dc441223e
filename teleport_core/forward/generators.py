"""The states of all that a forward pass may draw random numbers from."""

import pickle
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn


class _Source(NamedTuple):
    """A generator: what it is called, whose it is, how its state is read and written."""

    name: str
    of_torch: bool
    read: Callable[[], Any]
    write: Callable[[Any], object]


class Generators:
    """The generators of torch, NumPy and Python, and those that modules hold, as they are now.

    Args:
        modules: the model, and the loss where it is a module.
        devices: where a forward pass may draw.
    """

    def __init__(self, modules: Iterable[nn.Module], devices: Iterable[torch.device]) -> None:
        sources = [*_of_torch(devices), *_of_others()]
        for module in modules:
            for name, part in module.named_modules():
                for attribute, value in vars(part).items():
                    sources += _held(f"{name}.{attribute}".lstrip("."), value)
        self._before = [(source, source.read()) for source in sources]

    def moved(self) -> list[tuple[str, bool]]:
        """What was drawn from since: its name, and whether it is a generator of torch's."""
        return [(s.name, s.of_torch) for s, state in self._before if not _same(s.read(), state)]

    def put_back(self) -> None:
        """Have every generator draw again what it drew since."""
        for source, state in self._before:
            source.write(state)


def _of_torch(devices: Iterable[torch.device]) -> Iterator[_Source]:
    yield _Source("torch's generator", True, torch.get_rng_state, torch.set_rng_state)
    for device in {device for device in devices if device.type == "cuda"}:
        read = partial(torch.cuda.get_rng_state, device)
        write = partial(torch.cuda.set_rng_state, device=device)
        yield _Source(f"torch's generator on {device}", True, read, write)


def _of_others() -> Iterator[_Source]:
    yield _Source("random", False, random.getstate, random.setstate)
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        yield _Source("numpy.random", False, numpy.random.get_state, numpy.random.set_state)


def _held(name: str, value: object) -> Iterator[_Source]:
    """A generator that a module holds as an attribute."""
    numpy: Any = sys.modules.get("numpy")
    if isinstance(value, torch.Generator):
        yield _Source(name, True, value.get_state, value.set_state)
    elif isinstance(value, random.Random):
        yield _Source(name, False, value.getstate, value.setstate)
    elif numpy is not None and isinstance(value, numpy.random.Generator):
        bits: Any = value.bit_generator
        yield _Source(name, False, lambda: bits.state, partial(setattr, bits, "state"))


def _same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return pickle.dumps(one) == pickle.dumps(other)
