"""What the callbacks have in common: an optional library, one process, numbers of their own."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch

from teleport_core.errors import ModelError
from teleport_core.forward.generators import Generators


def required(module: str, name: str, distribution: str) -> Any:
    """A class of an optional library.

    Raises:
        ImportError: the library is not there; the message says what to install.
    """
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise ImportError(
            f"expected the library {distribution} for this callback; it cannot be imported "
            f"({error}): pip install 'teleport-bench[integrations]', or {distribution} alone"
        ) from error


def require_one_process(processes: int, trainer: str) -> None:
    """Refuse a training of several replicas, of which each would move by its own batches.

    Raises:
        ModelError: see there.
    """
    if processes > 1:
        raise ModelError(
            f"expected a {trainer} of one process; got {processes}, of which each would move its "
            "replica by its own batches: train in one process, or leave the callback out"
        )


@contextmanager
def numbers_from(seed: int) -> Iterator[None]:
    """Shuffle and augment the teleport's batches by numbers that only the position determines.

    A run that goes on from a checkpoint then teleports on the same batches, although libraries put
    the generators back after their hooks, or not at all.
    """
    generators = Generators([], set())
    try:
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        _seed_numpy(seed)
        yield
    finally:
        generators.put_back()


def _seed_numpy(seed: int) -> None:
    try:
        numpy: Any = import_module("numpy")
    except ImportError:
        return
    numpy.random.seed(seed % 2**32)
