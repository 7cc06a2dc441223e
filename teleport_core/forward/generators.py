"""The states of all that a forward pass may draw random numbers from."""

import copy
import pickle
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from teleport_core.problem import Problem


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
        self._sources = [*_of_torch(devices), *_of_others(), *_held(modules)]
        self._before = [source.read() for source in self._sources]

    def now(self) -> "Generators":
        """The same generators as they are now."""
        found = copy.copy(self)
        found._before = [source.read() for source in self._sources]
        return found

    def moved(self) -> list[tuple[str, bool]]:
        """What was drawn from since: its name, and whether it is a generator of torch's."""
        both = zip(self._sources, self._before, strict=True)
        return [(s.name, s.of_torch) for s, state in both if not _same(s.read(), state)]

    def put_back(self) -> None:
        """Have every generator draw again what it drew since."""
        for source, state in zip(self._sources, self._before, strict=True):
            source.write(state)


def generators_of(problem: Problem) -> Generators:
    """What the model and the loss may draw from, as it is now."""
    tensors = [*problem.tensors(), *problem.parameters().values()]
    return Generators(problem.modules(), {tensor.device for tensor in tensors})


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


def _held(modules: Iterable[nn.Module]) -> Iterator[_Source]:
    """Generators that modules hold as attributes."""
    numpy: Any = sys.modules.get("numpy")
    kinds = (torch.Generator, random.Random, *([numpy.random.Generator] if numpy else []))
    for part in (part for module in modules for part in module.named_modules()):
        for name in [n for n, value in vars(part[1]).items() if isinstance(value, kinds)]:
            value: Any = vars(part[1])[name]
            full = f"{part[0]}.{name}".lstrip(".")
            if isinstance(value, torch.Generator):
                yield _Source(full, True, value.get_state, value.set_state)
            elif isinstance(value, random.Random):
                yield _Source(full, False, value.getstate, value.setstate)
            else:
                bits = value.bit_generator
                yield _Source(
                    full, False, partial(getattr, bits, "state"), partial(setattr, bits, "state")
                )


def _same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    try:
        return bool(one == other)
    except ValueError:  # arrays in it
        return pickle.dumps(one) == pickle.dumps(other)
