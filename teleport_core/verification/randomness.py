"""Whether what a forward pass draws at random reaches its outputs or the loss."""

from typing import Any

import torch
from torch import Tensor

from teleport_core.errors import ModelError
from teleport_core.forward.generators import Generators
from teleport_core.problem import Problem
from teleport_core.torch_private import TorchDispatchMode, tree_leaves

# Beyond any threshold that a normal number is compared with, and times zero it is nothing.
_FAR_OFF = 1e4


def refuse_randomness(problem: Problem, generators: Generators) -> None:
    """Refuse a model or loss that has drawn, unless what it drew from torch reaches nothing.

    Raises:
        ModelError: see there. However seldom a draw changes the loss: no two evaluations show it.
    """
    moved = generators.moved()
    if not moved or (all(of_torch for _, of_torch in moved) and _reaches_nothing(problem)):
        return
    raise ModelError(
        "expected a model and a loss without randomness; the forward pass draws from "
        f"{', '.join(name for name, _ in moved)}: call model.eval(), switch the random part off, "
        "or draw its numbers before and hand them over as inputs"
    )


def _reaches_nothing(problem: Problem) -> bool:
    """Whether outputs and loss stay where other numbers are drawn, as far off as can be."""
    found = []
    for high in (False, True):
        try:
            with _Replaced(high=high) as mode:
                output = problem.output()
                loss = problem.loss_of(output)
        except Exception:  # what breaks on other numbers is reached by them
            return False
        if mode.drew_whole_numbers:
            return False
        found.append([leaf for leaf in tree_leaves((output, loss)) if isinstance(leaf, Tensor)])
    return len(found[0]) == len(found[1]) and all(map(_equal, *found))


def _equal(one: Tensor, other: Tensor) -> bool:
    """NaN is equal to NaN."""
    if one.shape != other.shape:
        return False
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


class _Replaced(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Everything that is drawn is the lowest, or the highest, that could have been drawn."""

    def __init__(self, *, high: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.drew_whole_numbers = False
        self._high = high

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if torch.Tag.nondeterministic_seeded in func.tags:
            for made in tree_leaves(result):
                if made.is_floating_point():
                    made.fill_(_ends(func, args, made.dtype)[self._high])
                else:
                    self.drew_whole_numbers = True
        return result


def _ends(func: Any, args: Any, dtype: torch.dtype) -> tuple[float, float]:
    """Between which numbers an operation draws; no row of a table is looked up beyond its end."""
    name = func.overloadpacket.__name__
    if name in ("bernoulli", "bernoulli_"):
        return 0.0, 1.0
    if name in ("rand", "rand_like", "uniform_"):
        # torch leaves out arguments that are its defaults.
        given: tuple[float, ...] = args[1:3] if name == "uniform_" else ()
        low, high = (*given, *(0.0, 1.0)[len(given) :])
        return low, high - (high - low) * torch.finfo(dtype).eps
    return -_FAR_OFF, _FAR_OFF
