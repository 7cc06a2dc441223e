"""Parts of a parameter that a call is given: the whole of it, some of its rows, its transpose."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class View:
    """Rows [start, stop) of a parameter read as a matrix, or of its transpose; or all of it.

    Attributes:
        rows: (start, stop), or None for the parameter as it is.
        transposed: whether the rows are those of the transpose.
    """

    rows: tuple[int, int] | None = None
    transposed: bool = False

    def __call__(self, parameter: Tensor) -> Tensor:
        """The part, sharing the parameter's storage."""
        if self.rows is None and not self.transposed:
            return parameter
        matrix = as_matrix(parameter)
        matrix = matrix.T if self.transposed else matrix
        return matrix if self.rows is None else matrix[self.rows[0] : self.rows[1]]


def as_matrix(parameter: Tensor) -> Tensor:
    """A parameter as [rows, everything else]; a vector as itself."""
    return parameter.flatten(1) if parameter.dim() > 2 else parameter


def view_of(part: Tensor, parameter: Tensor) -> View | None:
    """Which view ``part`` is, for tensors that share storage; None if it is none of ours."""
    if _same(part, parameter):
        return View()
    if not parameter.is_contiguous():
        return None
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
            whole = (start, stop) == (0, len(matrix))
            return View(None if whole and transposed else (start, stop), transposed)
    return None


def _same(a: Tensor, b: Tensor) -> bool:
    return (
        a.shape == b.shape and a.stride() == b.stride() and a.storage_offset() == b.storage_offset()
    )
