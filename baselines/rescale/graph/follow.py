"""Which scales a model's units can have: found by following one forward pass and the loss.

Every activation carries labels of its units, in its shape or with single entries along the axes on
which they do not depend. Layers give their outputs new labels, sums tie labels, what only moves
entries moves labels. All other operations, and the model's outputs, leave scale 1 alone to the
units that come to them, so that it does not matter what they compute.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from baselines.rescale.graph import operations
from baselines.rescale.graph.arrange import arranged
from baselines.rescale.graph.book import Book, unseen
from baselines.rescale.graph.rules import rule_of
from teleport_core.errors import ModelError
from teleport_core.forward.arguments import tensors_of
from teleport_core.problem import Parameters, Problem
from teleport_core.torch_private import transform_level, tree_leaves


def follow(problem: Problem, parameters: Parameters | None) -> tuple[Book, Tensor]:
    """Run model and loss once at ``parameters`` (default: the model's own).

    Returns:
        What was found out, and the loss with its graph.

    Raises:
        ModelError: an activation was made where nobody can see it.
    """
    book = Book(problem, parameters or {})
    with torch.enable_grad(), book.places.watched(), _Follow(book):
        output = problem.output(parameters)
        book.end_outputs(tensors_of(output))
        loss = problem.loss_of(output)
        book.end_outputs([loss])
    return book, loss


class _Follow(TorchFunctionMode):
    """Has each call that depends on parameters noted in the book."""

    def __init__(self, book: Book) -> None:
        super().__init__()
        self._book = book

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        book, given = self._book, dict(kwargs or {})
        if transform_level() is not None:
            raise ModelError(unseen("torch.func or torch.vmap", book.places.here))
        used = _tensors((args, given))
        if not any(map(book.is_ours, used)):
            return func(*args, **given)
        book.meet(used)
        made = func(*args, **given)
        if _tells_a_shape(func, made):
            return made
        found = _tensors(made)
        labels = _labels(book, func, args, given, found)
        if labels is None:
            book.end(func, used)
        book.label(found, labels)
        return made


def _labels(
    book: Book, func: Any, args: Any, given: dict[str, Any], found: list[Tensor]
) -> list[Tensor] | None:
    """Labels of what was made; None where scales end."""
    if "out" in given or not all(one.is_floating_point() for one in found):
        return None  # whole numbers are no activation
    if func in operations.ARRANGEMENTS:
        if any(map(book.is_parameter, _tensors((args, given)))):
            return None
        labels = arranged(func, args, given, book.labels_of)
        # A view as another dtype is none of entries.
        return labels if all(one.dtype is torch.long for one in labels) else None
    rule = rule_of(func)
    if rule is None or len(found) != 1:
        return None
    x, *rest = args or [given.pop("input", None)]
    if not isinstance(x, Tensor) or book.is_parameter(x):
        return None
    made = rule(book, func, x, *rest, **given)
    return None if made is None else [made]


def _tells_a_shape(func: Any, made: Any) -> bool:
    is_property = getattr(func, "__name__", "") == "__get__"
    return func in operations.SHAPES or (is_property and not _tensors(made))


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
