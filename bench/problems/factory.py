"""A model of the user's: a function found by its address, asked what it takes, and called."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.errors import SpecError
from bench.plan.points import Point
from bench.seeds import seed_for
from bench.spec.axes import AXES

# What a factory may ask for besides the letters of the sweep.
_EXTRAS = ("seed", "device", "dtype")

LossFunction = Callable[[Any, Any], torch.Tensor]
Batch = tuple[Any, Any]


def call_factory(
    point: Point, seed: int, swept: Sequence[str]
) -> tuple[nn.Module, LossFunction, list[Batch], Batch | None]:
    """The model, its loss, ``b`` batches and one more, if the factory makes so many.

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
        made = factory(**{name: values[name] for name in names})
    if not isinstance(made, tuple) or len(made) != 3 or not isinstance(made[0], torch.nn.Module):
        raise SpecError(
            f"expected {point.model} to return (model, loss_fn, batches); got {_returned(made)}"
        )
    model, loss_fn, given = made
    batches = list(given)
    if not batches or not all(
        isinstance(item, (tuple, list)) and len(item) == 2 for item in batches
    ):
        raise SpecError(
            f"expected batches of {point.model} to be a non-empty list of (inputs, targets) pairs"
        )
    heldout = batches[point.b] if len(batches) > point.b else None
    return model, loss_fn, list(islice(cycle(batches), point.b)), heldout


def load_factory(address: str) -> Callable[..., Any]:
    """The function behind ``pkg.module:factory`` or ``path/to/file.py:factory``.

    Raises:
        SpecError: no such module, file or function.
    """
    module_name, _, function = address.rpartition(":")
    if not module_name or not function:
        raise SpecError(f"expected a model to be a name or 'pkg.module:factory'; got {address!r}")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = _import(module_name)
    except Exception as error:
        raise SpecError(
            f"expected to import {module_name!r} for the model {address!r}; it raised "
            f"{type(error).__name__}: {error}"
        ) from error
    factory = getattr(module, function, None)
    if not callable(factory):
        raise SpecError(f"expected {module_name!r} to define a function {function!r}; it does not")
    found: Callable[..., Any] = factory
    return found


def _import(name: str) -> Any:
    path = Path(name)
    if path.suffix != ".py":
        return importlib.import_module(name)
    if not path.is_file():
        raise FileNotFoundError(f"no file {name}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


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
