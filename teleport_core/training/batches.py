"""The batches of a loader as pairs (inputs, targets) beside the model."""

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from teleport_core.errors import OptionError, ProblemError
from teleport_core.torch_private import tree_map

Batch = tuple[Any, Any]
Unpack = Callable[[Any], Batch]


def pair(item: Any) -> Batch:
    """(inputs, targets) of what a loader yields.

    Args:
        item: a pair, or a mapping, which is keyword inputs and has no targets beside it: its
            ``loss_fn`` finds all it needs in the model's output, as ``lambda out, _: out.loss``.

    Raises:
        ProblemError: it is neither.
    """
    if isinstance(item, Mapping):
        return item, None
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return item[0], item[1]
    what = f"{type(item).__name__} of {len(item)}" if isinstance(item, (tuple, list)) else ""
    raise ProblemError(
        "expected a loader of pairs (inputs, targets) or of mappings; got "
        f"{what or type(item).__name__}: hand over unpack=, which makes (inputs, targets) of it"
    )


def batches_of(loader: Any, unpack: Unpack, model: nn.Module) -> Generator[Batch, None, None]:
    """Every batch of a fresh iterator, on the model's device.

    Raises:
        OptionError: this is nothing that batches can be taken from again and again.
        ProblemError: it holds none.
    """
    device, found = _device(model), False
    for item in _again(loader):
        found = True
        yield _moved(_pair_of(unpack(item)), device)
    if not found:
        raise ProblemError("expected a loader of at least one batch; got an empty one")


def _again(loader: Any) -> Iterator[Any]:
    if isinstance(loader, Iterator):
        raise OptionError(
            "expected loader to be a DataLoader or a list of batches; got an iterator "
            f"({type(loader).__name__}), which can be drawn from only once: hand over the loader"
        )
    try:
        return iter(loader)
    except TypeError as error:
        raise OptionError(
            f"expected loader to be a DataLoader or a list of batches; got {type(loader).__name__}"
        ) from error


def _pair_of(found: Any) -> Batch:
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise ProblemError(
            "expected unpack to return a pair (inputs, targets); it returned "
            f"{type(found).__name__}"
        )
    return found[0], found[1]


def _device(model: nn.Module) -> torch.device | None:
    """Where the model is; None where it is in several places."""
    devices = {p.device for p in model.parameters()}
    return devices.pop() if len(devices) == 1 else None


def _moved(batch: Batch, device: torch.device | None) -> Batch:
    def beside(value: Any) -> Any:
        if isinstance(value, Tensor) and device is not None:
            return value.to(device)
        return value

    inputs, targets = batch
    if isinstance(inputs, Mapping) and not isinstance(inputs, dict):
        inputs = dict(inputs)  # the tokenizers' are no trees to torch
    moved: Batch = tree_map(beside, (inputs, targets))
    return moved
