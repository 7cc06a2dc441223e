"""What a method does on a stack of linear layers, in closed form: operations and bytes.

A multiply-add counts as two operations, and only products of matrices (and of a matrix with a
vector) are counted, as ``torch.utils.flop_counter`` does; elementwise work and dot products are
not. Bytes are those of the products: both factors and the result, each moved once. SVD, eigh,
pseudo-inverses and solves are kept apart, by the leading order of their textbook algorithms
(Golub and Van Loan, Matrix Computations, 4th ed.); their bytes are not counted.

All parameters count in the gradient, and a layer's inputs have full rank, min(features, n): with
fewer free dimensions at tau < 1, or with repeated samples, a count is an upper bound.

``count`` knows the methods of this package, ``identity`` and the pseudo-method ``sgd``. Any other
method may count itself by a method ``operations(widths, n, *, bias, itemsize)`` of its teleporter.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from teleport_core.rank import resolve_rule
from teleport_core.registry import available, make

FLOAT64 = 8


@dataclass(frozen=True)
class Operations:
    """Work of one phase.

    Attributes:
        products: operations of matrix products.
        factorisations: leading-order operations of SVD, eigh, pseudo-inverses and solves.
        bytes: what the products read and write.
    """

    products: int = 0
    factorisations: int = 0
    bytes: int = 0

    def __add__(self, other: "Operations") -> "Operations":
        """Both."""
        return Operations(
            self.products + other.products,
            self.factorisations + other.factorisations,
            self.bytes + other.bytes,
        )

    def __mul__(self, times: int) -> "Operations":
        """The same work several times."""
        return Operations(self.products * times, self.factorisations * times, self.bytes * times)


Phases = dict[str, Operations]
"""Operations of "prepare", done once per batch, and of one "step"."""

NOTHING = Operations()


def count(
    method: str,
    options: Mapping[str, Any],
    widths: Sequence[int],
    n: int,
    *,
    bias: bool,
    itemsize: int,
) -> Phases | None:
    """Operations of ``prepare`` (what is done once per batch) and of each ``step``.

    Args:
        method: a method's name, or "sgd": forward and backward, with nothing to prepare.
        options: the method's options.
        widths: (d_0, ..., d_L), inputs first; layer l has a weight [d_l, d_{l-1}].
        n: columns, the samples of the batch.
        bias: whether every layer has one, or none.
        itemsize: bytes of one number.

    Returns:
        None for a method that is unknown or does not say what it does.
    """
    if method in _COUNTERS:
        return _COUNTERS[method](options, widths, n, bias, itemsize)
    if method not in available():
        return None
    counter = getattr(make(method, **options), "operations", None)
    if counter is None:
        return None
    counted: Phases = counter(widths, n, bias=bias, itemsize=itemsize)
    return counted


def product(a: int, b: int, c: int, itemsize: int) -> Operations:
    """Any product of matrices with these three extents; which of them is summed is all one."""
    return Operations(products=2 * a * b * c, bytes=itemsize * (a * b + b * c + a * c))


def svd(rows: int, columns: int) -> Operations:
    """Thin SVD with both factors: QR first, then 6 m k^2 + 20 k^3 (section 8.6)."""
    m, k = max(rows, columns), min(rows, columns)
    return Operations(factorisations=6 * m * k**2 + 20 * k**3)


def eigh(size: int) -> Operations:
    """Symmetric eigenvalues and eigenvectors: 9 k^3 (section 8.3)."""
    return Operations(factorisations=9 * size**3)


def pinv(rows: int, columns: int) -> Operations:
    """A thin SVD and the product of its factors."""
    factors = 2 * rows * columns * min(rows, columns)
    return svd(rows, columns) + Operations(factorisations=factors)


def solve(size: int, right: int) -> Operations:
    """LU, 2/3 k^3, and two triangular solves for each of the right-hand sides (section 3.2)."""
    return Operations(factorisations=2 * size**3 // 3 + 2 * size**2 * right)


def total(parts: Iterable[Operations]) -> Operations:
    """The sum."""
    return sum(parts, NOTHING)


def double_backward(layers: Sequence[tuple[int, int]], n: int, itemsize: int) -> Operations:
    """H g by double backward; ``layers`` holds (inputs, outputs).

    Nine products a layer: one forward, two backward and two more for each of these three. The
    first has four, as no gradient reaches the data.
    """
    return total(
        product(i, o, n, itemsize) * (9 if position else 4)
        for position, (i, o) in enumerate(layers)
    )


def _sgd(_: Mapping[str, Any], widths: Sequence[int], n: int, bias: bool, itemsize: int) -> Phases:
    """Forward, gradient of the weight and, but for the first layer, of the inputs."""
    del bias  # added and summed, no product
    step = total(
        product(i, o, n, itemsize) * (3 if position else 2)
        for position, (i, o) in enumerate(pairwise(widths))
    )
    return {"prepare": NOTHING, "step": step}


def _identity(*_: Any) -> Phases:
    return {"prepare": NOTHING, "step": NOTHING}


def _nullspace(
    options: Mapping[str, Any], widths: Sequence[int], n: int, bias: bool, itemsize: int
) -> Phases:
    engine = options.get("engine", "auto")
    rule = resolve_rule(options.get("rank_rule"), options.get("tau", 1.0))
    fast = engine == "half_hvp" or (engine == "auto" and rule == "numerical")
    return (_half_hvp if fast else _textbook)(widths, n, bias, itemsize)


def _textbook(widths: Sequence[int], n: int, bias: bool, itemsize: int) -> Phases:
    """Forward and SVD of all inputs; H g and its projection, two products with the basis."""
    layers = list(pairwise(widths))
    prepare = [product(i, o, n, itemsize) + svd(i + bias, n) for i, o in layers]
    projections = [product(i + bias, o, min(i + bias, n), itemsize) * 2 for i, o in layers]
    step = double_backward(layers, n, itemsize) + total(projections)
    return {"prepare": total(prepare), "step": step}


def _half_hvp(widths: Sequence[int], n: int, bias: bool, itemsize: int) -> Phases:
    """Bases from Gram matrices in float64; a pass down, a pass up, projection and update.

    What only the first step does is in "prepare". Without a layer that moves there is no step.
    """

    def mm(a: int, b: int, c: int) -> Operations:
        return product(a, b, c, itemsize)

    layers = list(pairwise(widths))
    prepare, step = NOTHING, NOTHING
    moves = False
    for position, (i, o) in enumerate(layers):
        by_gram = n < 2 * i
        along = mm(o, n, n) if by_gram else mm(o, n, i) * 2  # D M, M = X^T X
        prepare += mm(o, i, n) + (mm(n, i, n) if by_gram else NOTHING)
        if position < len(layers) - 1:
            step += along + (mm(o, i, n) if position else NOTHING)  # R{z} = D M + W R{X}
        else:
            prepare += along
        if position == 0:
            continue
        step += mm(o, i, n)  # W^T D
        prepare += _gram_basis(i + bias, n)
        if n < i + bias:
            moves = True
            if o < n:  # D R{X}^T, projected
                prepare += mm(o, n, i)  # its size, once
                step += mm(o, n, i) + mm(o, i, n) * 2 + (mm(o, n, 1) if bias else NOTHING)
            else:  # P R{X}, and D (P R{X})^T
                step += mm(n, i, n) * 2 + mm(o, n, i)
                step += mm(1, n, n) + mm(o, n, 1) if bias else NOTHING
    return {"prepare": prepare, "step": step if moves else NOTHING}


def _gram_basis(features: int, n: int) -> Operations:
    """Gram matrix, eigenvectors and, where it is that of the samples, Q = X V and its polish."""
    if n >= features:
        return product(features, n, features, FLOAT64) + eigh(features)
    return product(n, features, n, FLOAT64) * 4 + eigh(n)


_Counter = Callable[[Mapping[str, Any], Sequence[int], int, bool, int], Phases]

_COUNTERS: dict[str, _Counter] = {
    "sgd": _sgd,
    "identity": _identity,
    "nullspace": _nullspace,
}
