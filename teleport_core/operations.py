"""What a method does on a stack of linear layers, in closed form: operations and bytes.

A multiply-add counts as two operations, and only products of matrices (and of a matrix with a
vector) are counted, as ``torch.utils.flop_counter`` does; elementwise work and dot products are
not. Bytes are those of the products: both factors and the result, each moved once. SVD, eigh,
Cholesky, pseudo-inverses and solves are kept apart, by the leading order of their textbook
algorithms (Golub and Van Loan, Matrix Computations, 4th ed.); their bytes are not counted.

All parameters count in the gradient, and a layer's inputs have full rank, min(features, n), and
are well conditioned: where the rank is smaller, at tau < 1 or with repeated samples, the products
are an upper bound.

A method counts itself, by ``operations`` of its teleporter.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Operations:
    """Work of one phase.

    Attributes:
        products: operations of matrix products.
        factorisations: leading-order operations of SVD, eigh, Cholesky, pseudo-inverses, solves.
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


def cholesky_inverse(size: int) -> Operations:
    """L with K = L L^T, k^3 / 3 (section 4.2), and L^-1 by solving for the identity, k^3."""
    return Operations(factorisations=4 * size**3 // 3)


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


def one_gradient(widths: Sequence[int], n: int, itemsize: int) -> Operations:
    """Forward, the gradient of every weight and, but for the first layer, of its inputs."""
    return total(
        product(i, o, n, itemsize) * (3 if position else 2)
        for position, (i, o) in enumerate(pairwise(widths))
    )


def double_backward(layers: Sequence[tuple[int, int]], n: int, itemsize: int) -> Operations:
    """H g by double backward; ``layers`` holds (inputs, outputs).

    Nine products a layer: one forward, two backward and two more for each of these three. The
    first has four, as no gradient reaches the data.
    """
    return total(
        product(i, o, n, itemsize) * (9 if position else 4)
        for position, (i, o) in enumerate(layers)
    )
