"""What a teleport step costs across ranks: an alpha-beta model, in closed form.

An exchange of m bytes over R ranks takes (Hockney's model with ring collectives)

    all-gather  (R-1) alpha + (R-1)/R m beta,    all-reduce  twice that,

and a product its operations times gamma. A network is a list of layers [out, in]; N columns
(samples, tokens) in all lie on R ranks, N/R on each. Nothing overlaps: times are upper bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

WAYS = ("replicated", "dense", "thin", "sharded weights")


@dataclass(frozen=True)
class Machine:
    """Ranks and what lies between them.

    Attributes:
        ranks: R.
        alpha: seconds before the first byte of a message arrives.
        beta: seconds per byte that a rank receives.
        gamma: seconds per operation (a multiply-add is two).
    """

    ranks: int
    alpha: float
    beta: float
    gamma: float


@dataclass(frozen=True)
class Stack:
    """The products of a model.

    Attributes:
        shapes: (out, in) of each weight in order; the first is fed by data and stays, the last
            one's gradient at its outputs never changes.
        itemsize: bytes of a number.
    """

    shapes: Sequence[tuple[int, int]]
    itemsize: int = 4

    @property
    def weights(self) -> int:
        """P."""
        return sum(out * features for out, features in self.shapes)


class Cost(NamedTuple):
    """Of one step.

    Attributes:
        operations: of each rank.
        received: bytes that a rank receives.
        turns: messages around the ring, one after another, each of which takes alpha.
        seconds: by the model.
    """

    operations: float
    received: float
    turns: int
    seconds: float


def teleport_step(stack: Stack, columns: int, machine: Machine, way: str) -> Cost:
    """One step of a teleport of N columns, by one of ``WAYS``.

    Operations are those of the fast engines: for each weight D through it, its gradient, two
    products of the tangent and one of the update, 2 out in each for every column. ``thin`` forms
    updates from the columns of all ranks, on each of them. ``sharded weights`` gathers each W on
    the way down and on the way up, and leaves the rows of an update where they lie.
    """
    R, P = machine.ranks, stack.weights
    f, own = (R - 1) / R, columns / R
    moving = sum(out * features for out, features in stack.shapes[1:])
    outputs = sum(out for out, _ in stack.shapes[:-1])
    inputs = sum(features for _, features in stack.shapes[1:])
    lower = P - stack.shapes[-1][0] * stack.shapes[-1][1]
    if way == "replicated":
        return _cost(10 * P * columns, 0.0, 0, stack, machine)
    if way == "dense":  # two sums, each after a line from every rank
        return _cost(10 * P * own, 2 * f * (lower + moving), 6 * (R - 1), stack, machine)
    if way == "thin":  # two gathers and one number, likewise
        operations = 4 * P * own + 2 * own * columns * outputs + 2 * moving * columns
        return _cost(operations, f * columns * (outputs + inputs), 5 * (R - 1), stack, machine)
    if way == "sharded weights":
        turns = 5 * (R - 1) * len(stack.shapes)
        return _cost(10 * P * own, f * (4 * P + moving), turns, stack, machine)
    raise ValueError(f"expected a way among {', '.join(WAYS)}; got {way!r}")


def training_step(stack: Stack, columns_of_rank: int, machine: Machine) -> Cost:
    """One step of data-parallel training: forward, backward, and the sum of the gradients."""
    R, P = machine.ranks, stack.weights
    return _cost(6 * P * columns_of_rank, 2 * (R - 1) / R * P, 2 * (R - 1), stack, machine)


def _cost(operations: float, numbers: float, turns: int, stack: Stack, machine: Machine) -> Cost:
    received = numbers * stack.itemsize
    waits = turns * machine.alpha
    seconds = operations * machine.gamma + received * machine.beta + waits
    return Cost(operations, received, turns, seconds)
