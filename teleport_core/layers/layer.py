"""Weights that may move, cut into blocks of rows that move independently of each other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.layers.tape import Use
from teleport_core.layers.view import View
from teleport_core.layers.watch import Seen, watch
from teleport_core.problem import Parameters, Problem


@dataclass(eq=False)
class Layer:
    """Rows of a weight that see the same inputs and are used as z = W x (+ b) only.

    A weight has several where its rows see different inputs: one for each range of rows that is
    used by itself (attention's packed projections on queries and keys of their own), one for each
    group of a convolution.

    Attributes:
        weight: name of the weight.
        bias: name of the bias when it moves together with the weight, else None.
        uses: in the forward pass.
        part: which rows of the weight.
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
        groups = self._groups(self.uses[0])
        return part.view(groups, -1)[self.group]

    @staticmethod
    def _groups(use: Use) -> int:
        return len(use.operator.rows(use.part(use.tape.parameters)))


@dataclass(frozen=True)
class Layers:
    """What may move in a model, on one batch.

    Attributes:
        layers: in order of first use.
        held: counted parameters that stay -> why.
        seen: the forward pass in which they were found.
    """

    layers: list[Layer]
    held: dict[str, str]
    seen: Seen


def find_layers(problem: Problem) -> Layers:
    """Run the model once; what may move, and what stays and why."""
    seen = watch(problem)
    counted = problem.counted()
    held = {name: f"used in {why}" for name, why in seen.others.items() if name in counted}
    uses: dict[str, list[Use]] = {}
    for use in seen.uses:
        uses.setdefault(use.weight[0], []).append(use)
    layers: list[Layer] = []
    for name, each in uses.items():
        if name in held:
            continue
        if not _alike(each):
            held[name] = "used in two orientations or shapes"
            continue
        if name in seen.rows and each[0].weight[1] != View():
            held[name] = "used in embedding and in another shape"
            continue
        layers += _cut(name, each, _moving_bias(name, each, seen), seen)
    moving = {name for layer in layers for name in layer.names()}
    for name in counted:
        if name not in moving:
            held.setdefault(name, _why_held(name, seen))
    return Layers(layers, {name: held[name] for name in counted if name in held}, seen)


def linear_layers(problem: Problem) -> list[Layer]:
    """Run the model once; the layers that may move, in order of first use."""
    return find_layers(problem).layers


def _why_held(name: str, seen: Seen) -> str:
    if name in seen.rows:
        return "used in embedding"
    biased = [use.bias for use in seen.uses if use.bias is not None]
    return (
        "a bias whose weight does not move with it"
        if any(b[0] == name for b in biased)
        else ("not used")
    )


def _alike(uses: list[Use]) -> bool:
    """Whether all uses read the weight as the same matrix, or as rows of the same matrix."""
    first = uses[0]
    weights = [use.part(use.tape.parameters) for use in uses]
    rows = [use.operator.rows(w) for use, w in zip(uses, weights, strict=True)]
    sliced = any(use.weight[1] != first.weight[1] for use in uses)
    return all(
        use.weight[1].transposed == first.weight[1].transposed
        and r.stride()[1:] == rows[0].stride()[1:]
        and r.shape[2:] == rows[0].shape[2:]
        and (r.shape == rows[0].shape or (sliced and len(r) == 1))
        for use, r in zip(uses, rows, strict=True)
    )


def _cut(name: str, uses: list[Use], bias: str | None, seen: Seen) -> list[Layer]:
    """Rows that are used together stay together; groups are independent."""
    looked_up = _looked_up(name, seen)
    if all(use.weight[1] == uses[0].weight[1] for use in uses):
        groups = Layer._groups(uses[0])
        part = uses[0].weight[1]
        return [Layer(name, bias, uses, part, group, looked_up) for group in range(groups)]
    spans = [(_span(use), use) for use in uses]
    layers: list[Layer] = []
    for (start, stop), use in sorted(spans, key=lambda each: each[0]):
        last = layers[-1].part.rows if layers else None
        if last is not None and start < last[1]:
            layers[-1].part = View((last[0], max(last[1], stop)), use.weight[1].transposed)
            layers[-1].uses.append(use)
        else:
            part = View((start, stop), use.weight[1].transposed)
            layers.append(Layer(name, bias, [use], part, 0, looked_up))
    return layers


def _span(use: Use) -> tuple[int, int]:
    name, view = use.weight
    whole = View(None, view.transposed)(use.tape.parameters[name])
    return view.rows or (0, len(whole))


def _looked_up(name: str, seen: Seen) -> Tensor | None:
    tokens = seen.rows.get(name)
    return None if tokens is None else torch.unique(torch.cat([t.reshape(-1) for t in tokens]))


def _moving_bias(name: str, uses: list[Use], seen: Seen) -> str | None:
    """The bias moves with its weight when the two are always used together, row by row."""
    names = {use.bias[0] if use.bias else None for use in uses}
    bias = names.pop()
    if names or bias is None or bias in seen.others or bias in seen.rows:
        return None
    partners = {use.weight[0] for use in seen.uses if use.bias and use.bias[0] == bias}
    matched = all(use.bias is not None and use.bias[1].rows == use.weight[1].rows for use in uses)
    return bias if partners == {name} and matched else None
