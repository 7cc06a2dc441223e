"""What a network is built for, and what it may ask of the data set."""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from bench.errors import SpecError
from bench.problems.datasets.dataset import Task


class Shape(NamedTuple):
    """What a network is built for; it says itself what d is the width of and what l counts."""

    dataset: str  # for messages
    sample: tuple[int, ...]  # shape of one input, see ``Dataset``
    outputs: int  # classes, values or words to be told
    task: Task  # which of the three
    d: int
    l: int  # noqa: E741  (the letter of the papers)
    bias: bool  # whether its linear maps and convolutions have biases


Build = Callable[[Shape], nn.Module]


def require_images(model: str, shape: Shape) -> tuple[int, int, int]:
    """(channels, height, width); SpecError: the data set holds something else."""
    if len(shape.sample) != 3 or shape.task != "classes":
        raise _misfit(model, shape, "images", "write for example --dataset cifar-10")
    channels, height, width = shape.sample
    return channels, height, width


def require_sequences(model: str, shape: Shape) -> tuple[int, int]:
    """(length, values at each place); SpecError: the data set holds something else."""
    if len(shape.sample) != 2 or shape.task == "tokens":
        hint = "--model decoder" if shape.task == "tokens" else "--dataset sequential-mnist"
        raise _misfit(model, shape, "sequences", f"write for example {hint}")
    length, values = shape.sample
    return length, values


def require_text(model: str, shape: Shape) -> int:
    """The length of a sequence of tokens; SpecError: the data set holds something else."""
    if shape.task != "tokens":
        raise _misfit(model, shape, "text", "write for example --dataset ptb")
    return shape.sample[0]


def require_numbers(model: str, shape: Shape) -> None:
    """Refuse text for a network that takes numbers; SpecError: the data set holds text."""
    if shape.task == "tokens":
        raise _misfit(model, shape, "numbers", "write --model decoder")


def _misfit(model: str, shape: Shape, wanted: str, hint: str) -> SpecError:
    size = " x ".join(map(str, shape.sample))
    kinds = {1: "vectors", 2: "sequences", 3: "images"}
    kind = "text" if shape.task == "tokens" else kinds.get(len(shape.sample), "arrays")
    return SpecError(
        f"expected a data set of {wanted} for --model {model}; {shape.dataset} holds {kind} of "
        f"{size}: {hint}"
    )
