"""A block of rows of a weight that moves independently of all others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.layers.tape import Use
from teleport_core.layers.view import View
from teleport_core.problem import Parameters


@dataclass(eq=False)
class Layer:
    """Rows of a weight that see the same inputs and are used as z = W x (+ b) only.

    A weight has several where its rows see different inputs: one for each range of rows that is
    used by itself (attention's packed projections on queries and keys of their own), one for each
    group of a convolution.

    Attributes:
        weight: name of the weight.
        bias: name of the bias when it moves together with the weight, else None.
        group: which group of the uses' operator.
        looked_up: rows that the model also looks up, as an embedding does; they must stay.
    """

    weight: str
    bias: str | None
    uses: list[Use]
    part: View
    group: int = 0
    looked_up: Tensor | None = None

    @property
    def data_fed(self) -> bool:
        """No input depends on a counted parameter."""
        return all(use.data_fed for use in self.uses)

    @property
    def shape(self) -> tuple[int, int]:
        """[rows, features] of the matrix that moves, a feature for the bias included."""
        rows = self._rows(self.uses[0].tape.parameters[self.weight])
        return len(rows), rows[0].numel() + (self.bias is not None)

    def pieces(self, limit: int) -> Iterator[Tensor]:
        """Inputs of all groups in pieces [groups, columns, features], with ones for a bias."""
        for use in self.uses:
            for X in use.operator.columns(use.x, limit):
                ones = X.new_ones(*X.shape[:2], 1)
                yield X if self.bias is None else torch.cat([X, ones], dim=2)

    def energy(self) -> Tensor | None:
        """A bound of the sum of squares of all entries of the inputs [groups], ones for a bias too.

        None where an operator does not know.
        """
        found = [use.operator.energy(use.x) for use in self.uses]
        known = [each for each in found if each is not None]
        if len(known) < len(found):
            return None
        columns = sum(use.columns for use in self.uses)
        return torch.stack(known).sum(0) + (columns if self.bias is not None else 0)

    def columns(self, limit: int) -> Iterator[Tensor]:
        """The inputs of this layer's group in pieces [columns, features]."""
        for piece in self.pieces(limit):
            yield piece[self.group]

    def representation(self) -> Tensor:
        """R [features, columns], one column per sample, token or patch (Eq. 8-10 of the paper).

        The paper absorbs the bias: a row of ones below the features.
        """
        pieces = list(self.columns(2**62))
        return (torch.cat(pieces) if len(pieces) > 1 else pieces[0]).T

    def gather(self, values: Mapping[str, Tensor]) -> Tensor:
        """[W b] as one matrix [rows, features], from values by parameter name."""
        matrix = self._rows(values[self.weight]).flatten(1)
        if self.bias is None:
            return matrix
        return torch.cat([matrix, self._bias(values[self.bias]).unsqueeze(1)], dim=1)

    def add(self, values: Parameters, matrix: Tensor, scale: float = 1.0) -> None:
        """Add ``scale`` times a matrix [rows, features] to values by parameter name, in place."""
        rows = self._rows(values[self.weight])
        if self.bias is not None:
            self._bias(values[self.bias]).add_(matrix[:, -1], alpha=scale)
            matrix = matrix[:, :-1]
        rows.add_(matrix.reshape(rows.shape), alpha=scale)

    def keep_rows(self, update: Tensor) -> Tensor:
        """An update [rows, features] without the rows that are looked up."""
        return update if self.looked_up is None else update.index_fill(0, self.looked_up, 0.0)

    def add_product(
        self, values: Parameters, left: Tensor, right: Tensor, scale: float = 1.0
    ) -> None:
        """Add ``scale`` times left [rows, k] @ right [k, features], likewise."""
        rows = self._rows(values[self.weight])
        if self.bias is not None:
            self._bias(values[self.bias]).add_(left @ right[:, -1], alpha=scale)
            right = right[:, :-1]
        if rows.dim() == 2:
            rows.addmm_(left, right, alpha=scale)
        else:
            rows.add_((left @ right).reshape(rows.shape), alpha=scale)

    def as_rows(self, part: Tensor) -> Tensor:
        """Something shaped like this layer's part of the weight, as [rows, features]."""
        return self.uses[0].operator.rows(part)[self.group].flatten(1)

    def names(self) -> list[str]:
        """Of the parameters that move."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]

    def _rows(self, weight: Tensor) -> Tensor:
        return self.uses[0].operator.rows(self.part(weight))[self.group]

    def _bias(self, bias: Tensor) -> Tensor:
        rows = self.part.rows
        part = bias if rows is None else bias[rows[0] : rows[1]]
        groups = groups_of(self.uses[0])
        return part.view(groups, -1)[self.group]


def groups_of(use: Use) -> int:
    """Into how many groups of rows the operator of a use cuts its weight."""
    return len(use.operator.rows(use.part(use.tape.parameters)))
