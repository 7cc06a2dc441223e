"""A model of the user's: a function found by its address, asked what it takes, and called."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import torch
from torch import nn

from bench.errors import SpecError
from bench.plan.points import Point
from bench.problems.user_code import called, imported
from bench.seeds import seed_for
from bench.spec.axes import AXES

# What a factory may ask for besides the letters of the sweep.
_EXTRAS = ("seed", "device", "dtype")

LossFunction = Callable[[Any, Any], torch.Tensor]
Batch = tuple[Any, Any]


def call_factory(
    point: Point, seed: int, swept: Sequence[str]
) -> tuple[nn.Module, LossFunction, list[Batch], Batch | None]:
    """The model, its loss, ``b`` batches, and one that is held out or, without any, one more.

    Raises:
        SpecError: a factory that is not there, does not fit or returns something else.
    """
    model, loss_fn, given = made_by_factory(point, seed, swept)
    train, heldout = loaders_of(given)
    own = None if heldout is None else _first(point.model, heldout, 1)[0]
    batches = _first(point.model, train, point.b + 1)
    if own is None and len(batches) > point.b:
        own = batches[point.b]
    return model, loss_fn, list(islice(cycle(batches), point.b)), own


def loaders_of(given: Any) -> tuple[Any, Any]:
    """The batches of a factory and, if it returns two loaders in a tuple, those held out, or None.

    A tuple of two batches is one loader.
    """
    if isinstance(given, tuple) and len(given) == 2 and not any(map(_holds_data, given)):
        return given
    return given, None


def _holds_data(value: Any) -> bool:
    """Whether this is data, or a pair with some: no loader of batches."""
    data = (torch.Tensor, Mapping)
    pair = isinstance(value, (tuple, list)) and len(value) == 2
    return isinstance(value, data) or (pair and any(isinstance(each, data) for each in value))


def _first(address: str, loader: Any, number: int) -> list[Batch]:
    """So many batches, or all; there may be no end of them."""
    try:
        found = list(islice(loader, number))
    except TypeError:
        found = []
    if not found or not all(isinstance(one, (tuple, list)) and len(one) == 2 for one in found):
        raise SpecError(
            f"expected batches of {address} to be at least one of (inputs, targets) pairs: return "
            "(model, loss_fn, batches) or (model, loss_fn, (batches, heldout_batches))"
        )
    return found


def made_by_factory(
    point: Point, seed: int, swept: Sequence[str]
) -> tuple[nn.Module, LossFunction, Any]:
    """What the factory returns: model, loss and whatever it has for batches.

    Raises:
        SpecError: a factory that is not there, does not fit or returns something else.
    """
    factory = load_factory(point.model)
    names = factory_arguments(point.model, factory, swept)
    values = {
        **point.letters(),
        "seed": seed_for(seed, "model", point.d, point.l),
        "device": point.device,
        "dtype": getattr(torch, point.dtype),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "factory", point.d, point.n, point.l))
        made = called(factory, point.model, {name: values[name] for name in names})
    if not isinstance(made, tuple) or len(made) != 3 or not isinstance(made[0], torch.nn.Module):
        raise SpecError(
            f"expected {point.model} to return (model, loss_fn, batches); got {_returned(made)}"
        )
    return made


def load_factory(address: str) -> Callable[..., Any]:
    """The function behind ``pkg.module:factory`` or ``path/to/file.py:factory``.

    Raises:
        SpecError: no such module, file or function.
    """
    module_name, _, function = address.rpartition(":")
    if not module_name or not function:
        raise SpecError(f"expected a model to be a name or 'pkg.module:factory'; got {address!r}")
    factory = getattr(imported(module_name, address), function, None)
    if not callable(factory):
        raise SpecError(f"expected {module_name!r} to define a function {function!r}; it does not")
    found: Callable[..., Any] = factory
    return found


def factory_arguments(address: str, factory: Callable[..., Any], swept: Sequence[str]) -> list[str]:
    """The values a factory asks for by parameter name.

    Raises:
        SpecError: it needs something the sweep does not have, or does not name a swept letter.
    """
    parameters = inspect.signature(factory).parameters.values()
    known = (*AXES, *_EXTRAS)
    for parameter in parameters:
        if parameter.name not in known and parameter.default is parameter.empty:
            raise SpecError(
                f"expected {address} to take any of {', '.join(known)}; it needs {parameter.name!r}"
            )
    named = [parameter.name for parameter in parameters if parameter.name in known]
    for letter in swept:
        if letter in ("d", "n", "l") and letter not in named:
            raise SpecError(
                f"expected {address} to take {letter!r}, which is swept; it takes "
                f"{', '.join(named) or 'nothing'}: add the parameter or drop --axis {letter}=..."
            )
    return named


def _returned(made: object) -> str:
    if isinstance(made, tuple):
        return f"({', '.join(type(item).__name__ for item in made)})"
    return type(made).__name__
