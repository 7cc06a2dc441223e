"""The weights that steps write, as they were before the first of them."""

from copy import copy

from torch import Tensor

from teleport_core.problem import Parameters, Problem
from teleport_core.torch_private import copy_all


class Start:
    """Weights by name as they are now, bit for bit.

    Attributes:
        values: the copies.
    """

    def __init__(self, problem: Problem, weights: Parameters) -> None:
        self._weights = [*weights.values()]
        self.values = problem.kept(weights)
        self._copies: list[Tensor] = [*self.values.values()]
        self._versions = self._present()

    def another(self) -> "Start":
        """A second copy of the same weights, as they are now."""
        other = copy(self)
        other._copies = [weight.clone() for weight in self._weights]
        other.values = dict(zip(self.values, other._copies, strict=True))
        other._versions = self._present()
        return other

    def renew(self) -> None:
        """Copy again what was written since."""
        if self._versions != self._present():
            copy_all(self._copies, self._weights)
            self._versions = self._present()

    def restore(self) -> None:
        """Put the weights back."""
        copy_all(self._weights, self._copies)

    def _present(self) -> list[int]:
        return [weight._version for weight in self._weights]
