"""Parts of a parameter that a call is given: the whole of it, some of its rows, its transpose."""

from dataclasses import dataclass, replace
from math import prod

from torch import Tensor


@dataclass(frozen=True)
class View:
    """Rows [start, stop) of a parameter read as a matrix, or of its transpose; or all of it.

    Attributes:
        rows: (start, stop), or None for the parameter as it is.
        transposed: whether the rows are those of the transpose, or of each of its matrices.
        block: (start, *shape) where the matrix, or whatever it is, is a part that lies in one piece
            from entry ``start`` on: one of several matrices, a part of a flat vector.
    """

    rows: tuple[int, int] | None = None
    transposed: bool = False
    block: tuple[int, ...] | None = None

    def __call__(self, parameter: Tensor) -> Tensor:
        """The part, sharing the parameter's storage."""
        if self.block is not None:
            start, *shape = self.block
            parameter = parameter.flatten()[start : start + prod(shape)].view(shape)
        if self.rows is None:
            return parameter.mT if self.transposed else parameter
        matrix = as_matrix(parameter)
        matrix = matrix.T if self.transposed else matrix
        return matrix[self.rows[0] : self.rows[1]]


def as_matrix(parameter: Tensor) -> Tensor:
    """A parameter as [rows, everything else]; a vector as itself."""
    return parameter.flatten(1) if parameter.dim() > 2 else parameter


def view_of(part: Tensor, parameter: Tensor) -> View | None:
    """Which view ``part`` is, for tensors that share storage; None if it is none of ours."""
    if _same(part, parameter):
        return View()
    if not parameter.is_contiguous() or not part.numel():
        return None
    found = _of_matrix(part, parameter)
    if found is not None or part.dim() < 2:
        return found
    start = int(part.storage_offset() - parameter.storage_offset())
    if parameter.dim() > 2:
        shape = parameter.shape[-2:]
        block = (start // prod(shape) * prod(shape), *shape)
        inner = _of_matrix(part, View(block=block)(parameter))
        if inner is not None:
            whole = inner.rows == (0, shape[0]) and not inner.transposed
            return replace(inner, rows=None if whole else inner.rows, block=block)
    if part.is_contiguous():
        return View(block=(start, *part.shape))
    return View(transposed=True, block=(start, *part.mT.shape)) if part.mT.is_contiguous() else None


def _of_matrix(part: Tensor, parameter: Tensor) -> View | None:
    """The transpose, rows of the parameter read as a matrix, or of its transpose."""
    if parameter.dim() > 1 and _same(part, parameter.mT):
        return View(transposed=True)
    return _rows(part, parameter)


def _rows(part: Tensor, parameter: Tensor) -> View | None:
    """Rows of the parameter read as a matrix, or of its transpose."""
    offset = part.storage_offset() - parameter.storage_offset()
    for transposed in (False, True):
        if transposed and parameter.dim() != 2:
            continue
        matrix = parameter.T if transposed else as_matrix(parameter)
        start, rest = divmod(int(offset), matrix.stride(0))
        stop = start + len(part) if part.dim() else 0
        if part.dim() != matrix.dim() or rest or not 0 <= start < stop <= len(matrix):
            continue
        if _same(part, matrix[start:stop]):
            return View((start, stop), transposed)
    return None


def _same(a: Tensor, b: Tensor) -> bool:
    return (
        a.shape == b.shape and a.stride() == b.stride() and a.storage_offset() == b.storage_offset()
    )
