"""From a point of the plan to a model, a loss and batches."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import SpecError
from bench.plan.points import Point
from bench.problems.datasets.dataset import Task
from bench.problems.networks.network import Shape, network_for, refuse_swept
from bench.seeds import seed_for

if TYPE_CHECKING:
    import torch
    from torch import nn

LETTERS = ("t", "d", "n", "l", "b")
# What a factory may ask for besides the letters of the sweep.
_EXTRAS = ("seed", "device", "dtype")
_HELDOUT_SAMPLES = 512

Batch = tuple[Any, Any]


@dataclass(frozen=True)
class Built:
    """A model on its device with ``b`` teleport batches and one held-out batch, if there is one."""

    model: "nn.Module"
    loss_fn: Callable[[Any, Any], "torch.Tensor"]
    batches: list[Batch]
    heldout: Batch | None


def build(
    point: Point, *, seed: int, bias: bool, data_dir: str | None, swept: Sequence[str] = ()
) -> Built:
    """Build what a point names: a network on a data set, or the user's own factory.

    The seed depends on the point's data and shape alone, so that all variants share it. A factory
    has to take every letter in ``swept``.
    """
    import torch

    dtype: torch.dtype = getattr(torch, point.dtype)
    if ":" in point.model:
        built = _from_factory(point, seed, swept)
    else:
        refuse_swept(point.model, swept)
        built = _by_name(point, seed, bias=bias, data_dir=data_dir)
    model = built.model.to(device=point.device, dtype=dtype)
    batches = [_move(batch, point.device, dtype) for batch in built.batches]
    heldout = None if built.heldout is None else _move(built.heldout, point.device, dtype)
    return Built(model, built.loss_fn, batches, heldout)


def _by_name(point: Point, seed: int, *, bias: bool, data_dir: str | None) -> Built:
    import torch

    from bench.problems.datasets import load_dataset

    make = network_for(point.model)
    data = load_dataset(point.dataset, Path(data_dir) if data_dir else None)
    if point.n > len(data):
        raise SpecError(
            f"expected n <= {len(data)}, the training samples of {data.name}; got n={point.n}"
        )
    shape = Shape(data.name, data.sample_shape, data.outputs, data.task, point.d, point.l, bias)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "model", point.d, point.l))
        model = make(shape)
    generator = torch.Generator().manual_seed(seed_for(seed, "batches", point.n))
    batches = []
    for _ in range(point.b):
        rows = torch.randperm(len(data), generator=generator)[: point.n]
        batches.append(data.batch(rows))
    # A sequence costs as much as hundreds of images: no more of them than in a batch.
    sequences = len(data.sample_shape) == 2 or data.task == "tokens"
    heldout = data.heldout_batch(point.n if sequences else _HELDOUT_SAMPLES)
    if point.model.startswith("mlp"):
        batches = [_flat(batch) for batch in batches]
        heldout = _flat(heldout)
    return Built(model, loss_for(data.task), batches, heldout)


def _flat(batch: Batch) -> Batch:
    """A perceptron takes vectors, whatever the samples are."""
    inputs, targets = batch
    return inputs.flatten(1), targets


def loss_for(task: Task) -> Callable[[Any, Any], "torch.Tensor"]:
    """Cross-entropy for classes and tokens, mean squared error for values."""
    from torch.nn import functional as F

    if task == "values":
        return F.mse_loss
    return F.cross_entropy if task == "classes" else next_token_loss


def next_token_loss(scores: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
    """Mean cross-entropy over all places of ``[samples, length, words]``."""
    from torch.nn import functional as F

    return F.cross_entropy(scores.flatten(0, 1), targets.flatten())


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
    known = (*LETTERS, *_EXTRAS)
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


def _from_factory(point: Point, seed: int, swept: Sequence[str]) -> Built:
    import torch

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
    return Built(model, loss_fn, list(islice(cycle(batches), point.b)), heldout)


def _returned(made: object) -> str:
    if isinstance(made, tuple):
        return f"({', '.join(type(item).__name__ for item in made)})"
    return type(made).__name__


def _move(batch: Batch, device: str, dtype: "torch.dtype") -> Batch:
    import torch
    from torch.utils._pytree import tree_map

    def one(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(device=device, dtype=dtype if value.is_floating_point() else None)

    inputs, targets = batch
    return tree_map(one, inputs), tree_map(one, targets)
