"""Parts of a parameter that a call is given: the whole of it, some of its rows, its transpose."""

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class View:
    """Rows [start, stop) of a parameter read as a matrix, or of its transpose; or all of it.

    Attributes:
        rows: (start, stop), or None for the parameter as it is.
        transposed: whether the rows are those of the transpose, or of each of its matrices.
        matrix: which of the matrices in the last two axes alone; None for the whole parameter.
    """

    rows: tuple[int, int] | None = None
    transposed: bool = False
    matrix: int | None = None

    def __call__(self, parameter: Tensor) -> Tensor:
        """The part, sharing the parameter's storage."""
        if self.matrix is not None:
            parameter = parameter.flatten(0, -3)[self.matrix]
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
    if not parameter.is_contiguous():
        return None
    if parameter.dim() > 1 and _same(part, parameter.mT):
        return View(transposed=True)
    found = _rows(part, parameter)
    if found is None and part.dim() == 2 and parameter.dim() > 2 and parameter.numel():
        matrices = parameter.flatten(0, -3)
        index = (part.storage_offset() - parameter.storage_offset()) // matrices[0].numel()
        inner = view_of(part, matrices[index])
        found = None if inner is None else replace(inner, matrix=int(index))
    return found


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
