"""What operations make of labels: for each a rule from its arguments to the labels of its result.

A rule answers None where scales end. It is called as ``rule(book, func, x, *rest, **given)`` where
the model called ``func(x, *rest, **given)``; x is a tensor, and no parameter.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from baselines.rescale.graph import layers, operations
from baselines.rescale.graph.arrange import padded, reduced
from baselines.rescale.graph.book import Book
from baselines.rescale.graph.layers import Use, along, offset
from baselines.rescale.graph.units import pooled, spread

Rule = Callable[..., Tensor | None]


def rule_of(func: Any) -> Rule | None:
    """The rule of an operation with one result, where it has one."""
    if func in operations.POOLS:
        return partial(_pool, axes=operations.POOLS[func])
    return next((rule for functions, rule in _RULES if func in functions), None)


def _pointwise(book: Book, func: Any, x: Tensor, *rest: Any, **given: Any) -> Tensor | None:
    others = [leaf for leaf in (*rest, *given.values()) if isinstance(leaf, Tensor)]
    slopes = [other for other in others if book.is_parameter(other)]  # of a PReLU
    if any(book.is_ours(other) for other in others) and len(slopes) < len(others):
        return None
    book.end(func, slopes)
    return book.labels_of(x)


def _sum(book: Book, func: Any, x: Tensor, other: Any, *, alpha: float = 1) -> Tensor | None:
    del func, alpha
    one = book.labels_of(x)
    if not isinstance(other, Tensor):
        return one if other == 0 else None
    if book.is_parameter(other) or book.units.fixed(one) or book.units.fixed(book.labels_of(other)):
        return None
    book.units.tie(one, book.labels_of(other))
    return spread(one, book.labels_of(other))


def _product(book: Book, func: Any, x: Tensor, other: Any) -> Tensor | None:
    del func
    one = book.labels_of(x)
    if not isinstance(other, Tensor):
        return one
    if book.is_parameter(other):
        return None
    two = book.labels_of(other)
    if book.units.fixed(two):
        return spread(one, two)
    return spread(two, one) if book.units.fixed(one) else None


def _quotient(
    book: Book, func: Any, x: Tensor, other: Any, *, rounding_mode: str | None = None
) -> Tensor | None:
    number = not isinstance(other, Tensor)
    if rounding_mode is not None or not (number or book.units.fixed(book.labels_of(other))):
        return None
    return _product(book, func, x, other)


def _mean(book: Book, func: Any, x: Tensor, *rest: Any, **given: Any) -> Tensor | None:
    del func
    return reduced(book.units, book.labels_of(x), *rest, **given)


def _pool(
    book: Book, func: Any, x: Tensor, *rest: Any, axes: int | None, **given: Any
) -> Tensor | None:
    del func, rest, given
    first = 2 if axes is None else x.dim() - axes
    return pooled(book.units, book.labels_of(x), tuple(range(first, x.dim())))


def _pad(book: Book, func: Any, x: Tensor, *rest: Any, **given: Any) -> Tensor | None:
    del func
    return padded(book.units, book.labels_of(x), *rest, **given)


def _linear(
    book: Book, func: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor | None:
    return _layer(book, func, layers.linear, x, weight, bias)


def _convolution(
    book: Book,
    func: Any,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    del stride, padding, dilation
    return _layer(book, func, partial(layers.convolution, groups=groups), x, weight, bias)


def _transposed(
    book: Book,
    func: Any,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor | None:
    del stride, padding, output_padding, dilation
    return _layer(book, func, partial(layers.transposed, groups=groups), x, weight, bias)


def _layer(
    book: Book,
    func: Any,
    layer: Callable[..., tuple[Use, Tensor, int]],
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor | None:
    """A layer whose weight is a parameter; where its bias is none, its outputs have scale 1."""
    name = book.movable(weight)
    if name is None or weight.dim() < 2:
        return None
    use, above, axis = layer(book.units, x, book.labels_of(x), weight)
    book.use(name, use)
    if bias is not None:
        of_bias = book.movable(bias)
        if of_bias is None:
            book.fix(above, func)
            book.end(func, [bias])
        else:
            book.use(of_bias, offset(above))
    return along(above, axis, x.dim())


def _batch_norm(
    book: Book,
    func: Any,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *rest: Any,
    **given: Any,
) -> Tensor | None:
    """Its gain and bias are scaled; its inputs are not, as eps and running statistics show it."""
    del running_mean, running_var, rest, given
    names = [book.movable(p) for p in (weight, bias) if p is not None]
    if weight is None or None in names:
        return None
    book.end(func, [x])
    above = book.units.fresh((len(weight),))
    for name in names:
        assert name is not None
        book.use(name, offset(above))
    return along(above, 1, x.dim())


_RULES: list[tuple[set[Any], Rule]] = [
    (operations.POINTWISE, _pointwise),
    (operations.SUMS, _sum),
    (operations.PRODUCTS, _product),
    (operations.QUOTIENTS, _quotient),
    (operations.MEANS, _mean),
    (operations.CONVOLUTIONS, _convolution),
    (operations.TRANSPOSED, _transposed),
    ({F.linear}, _linear),
    ({F.batch_norm}, _batch_norm),
    ({F.pad}, _pad),
]
