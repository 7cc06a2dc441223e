"""Products of an input and a weight over any axes: einsum, and a matrix for each input as bmm."""

# ruff: noqa: A002  (an adapter has the argument names of its function)

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from string import ascii_letters
from typing import Any

import torch
from torch import Tensor

from teleport_core.layers.operator import Operator, is_weight, use


@dataclass(frozen=True)
class Contraction(Operator):
    """z[c, g, r] = sum over f of x[c, g, f] w[g, r, f], each any number of axes in any order.

    Attributes:
        x: the letters of the input's axes, each once.
        w: likewise of the weight's.
        z: likewise of the output's.
    """

    x: str
    w: str
    z: str

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        """The product."""
        return torch.einsum(f"{self.x},{self.w}->{self.z}", x, w)

    def input_gradient(self, g: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """D and W contracted over what x has not."""
        del x
        return torch.einsum(f"{self.z},{self.w}->{self.x}", g, w)

    def weight_gradient(self, g: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """D and X contracted over what w has not."""
        del w
        return torch.einsum(f"{self.z},{self.x}->{self.w}", g, x).contiguous()

    def rows(self, w: Tensor) -> Tensor:
        """[groups, rows, features]."""
        groups, features = self._groups_and_features()
        rows = "".join(c for c in self.w if c not in self.x)
        return _merged(w, self.w, (groups, rows, features))

    def columns(self, x: Tensor, limit: int) -> Iterator[Tensor]:
        """[groups, columns, features]."""
        groups, features = self._groups_and_features()
        columns = "".join(c for c in self.x if c not in self.w)
        merged = _merged(x, self.x, (groups, columns, features))
        yield from torch.split(merged, limit, dim=1)

    def _groups_and_features(self) -> tuple[str, str]:
        both = [c for c in self.w if c in self.x]
        return "".join(c for c in both if c in self.z), "".join(c for c in both if c not in self.z)


def _merged(tensor: Tensor, letters: str, axes: tuple[str, ...]) -> Tensor:
    """One axis for each of ``axes``, in which letters are merged."""
    ordered = tensor.permute([letters.index(c) for each in axes for c in each])
    sizes = dict(zip(letters, tensor.shape, strict=True))
    return ordered.reshape([prod(sizes[c] for c in each) for each in axes])


def einsum(equation: Any, *operands: Any) -> Tensor:
    """``torch.einsum`` of an input and a weight, in this order or the other."""
    letters = _letters(equation, operands)
    if letters is not None:
        x, w, z = letters
        for one, other, places in ((x, w, (0, 1)), (w, x, (1, 0))):
            given, weight = (operands[place] for place in places)
            operator = Contraction(one, other, z)
            if is_weight(weight) and _movable(operator, weight):
                return use(operator, given, weight, None)
    return torch.einsum(equation, *operands)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """``torch.bmm``."""
    return einsum("bij,bjk->bik", input, mat2)


def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """``torch.baddbmm``, as experts with biases have it."""
    if beta == alpha == 1:
        return input + bmm(batch1, batch2)
    return torch.baddbmm(input, batch1, batch2, beta=beta, alpha=alpha)


def _letters(equation: Any, operands: tuple[Any, ...]) -> tuple[str, str, str] | None:
    """The letters of two operands and of the output, an ellipsis of one operand written out."""
    if not isinstance(equation, str) or equation.count("->") != 1 or len(operands) != 2:
        return None
    inputs, z = equation.replace(" ", "").split("->")
    given = inputs.split(",")
    free = "".join(c for c in ascii_letters if c not in equation)
    dots = [t.dim() - len(s) + 3 for s, t in zip(given, operands, strict=True) if "..." in s]
    if len(dots) > 1:
        return None
    x, w, z = (each.replace("...", free[: dots[0]] if dots else "") for each in (*given, z))
    return x, w, z


def _movable(operator: Contraction, weight: Tensor) -> bool:
    """Whether it is linear in the rows of a weight that can be written in place."""
    x, w, z = (set(letters) for letters in (operator.x, operator.w, operator.z))
    once = len(x) + len(w) + len(z) == len(operator.x + operator.w + operator.z)
    if not once or x ^ w != z - (x & w) or not (x & w) - z:
        return False
    rows = operator.rows(weight)
    return rows.untyped_storage().data_ptr() == weight.untyped_storage().data_ptr()
