"""A symmetric pair: parameters between which an invertible matrix goes in and out again.

Features h = A x that are used as B h alone stay behind the model's outputs: A -> M A, B -> B M^-1
changes none, for any x. So do features that meet in scalar products alone, q . k with q = A x and
k = C y: A -> M A, C -> M^-T C. In rows of A and C and columns of B both are X -> M X on the one
side and X -> M^-T X on the other, which is called dual here, and gradients go the other way round:
G -> M^-T G and, on the dual side, G -> M G.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.gauge.statistics import Statistics
from teleport_core.problem import Parameters


@dataclass(frozen=True, eq=False)
class Part:
    """Slices of one parameter by feature, as matrices X [blocks, r, entries].

    Attributes:
        name: the parameter.
        axis: along which its features lie: 0 for rows of a weight [out, in], 1 for its columns.
        index: [blocks, r], which of them; none twice.
        dual: whether it is moved by M^-T.
        within: of the other axis of a matrix, from where to where; None for all of it.
    """

    name: str
    axis: int
    index: Tensor
    dual: bool = False
    within: tuple[int, int] | None = None

    def gather(self, values: Mapping[str, Tensor]) -> Tensor:
        """X [blocks, r, entries]."""
        found = self._view(values)[self.index.flatten()]
        return found.reshape(*self.index.shape, -1)

    def put(self, values: Parameters, X: Tensor) -> None:
        """Overwrite the slices, in place."""
        view = self._view(values)
        view[self.index.flatten()] = X.reshape(-1, *view.shape[1:])

    def _view(self, values: Mapping[str, Tensor]) -> Tensor:
        view = values[self.name].movedim(self.axis, 0)
        return view if self.within is None else view[:, self.within[0] : self.within[1]]


@dataclass(frozen=True, eq=False)
class Pair:
    """Parts that move together, with one M [r, r] for every block.

    Attributes:
        parts: at least one that is not dual.
        conformal: M is a multiple of the identity in each block. Rotary positions leave of GL(r)
            what commutes with their rotations: of each plane the scaled rotations. Rotations change
            no squared norm, so that scaling is what is left to an ascent.
        statistics: of the batch norm that takes the features, r = 1; None where there is none.
    """

    parts: tuple[Part, ...]
    conformal: bool = False
    statistics: Statistics | None = None

    def names(self) -> list[str]:
        """The parameters that move."""
        return list(dict.fromkeys(part.name for part in self.parts))

    @property
    def shape(self) -> tuple[int, int]:
        """(blocks, r)."""
        blocks, r = self.parts[0].index.shape
        return blocks, r


def act(pair: Pair, values: Parameters, left: Tensor, right: Tensor) -> Parameters:
    """X -> left X, and X -> right X on the dual side; both [blocks, r, r].

    Weights move by ``left`` = M, ``right`` = M^-T, gradients by ``left`` = M^-T, ``right`` = M.

    Returns:
        New values; what does not move is shared with ``values``.
    """
    moved = {name: values[name].clone() for name in pair.names()}
    for part in pair.parts:
        X = part.gather(moved)
        part.put(moved, (right if part.dual else left).to(X.dtype) @ X)
    return values | moved


def slope(pair: Pair, gradient: Parameters, derivative: Parameters) -> Tensor:
    """dF/dT at M = exp(T), T = 0 and symmetric [blocks, r, r], of an objective F(g) of gradients.

    ``derivative`` is dF/dg; for 1/2 ||g||^2 it is g itself. With d(G) = -T G and, on the dual side,
    d(G) = T G it is the sum of R G^T over the dual parts less that over the others.
    """
    blocks, r = pair.shape
    index = pair.parts[0].index
    D = torch.zeros(blocks, r, r, dtype=torch.float64, device=index.device)
    for part in pair.parts:
        G, R = part.gather(gradient), part.gather(derivative)
        D += (R @ G.mT).double() * (1.0 if part.dual else -1.0)
    D = (D + D.mT) / 2
    if pair.conformal:
        mean = D.diagonal(dim1=1, dim2=2).mean(dim=1)
        D = mean[:, None, None] * torch.eye(r, dtype=D.dtype, device=D.device)
    return D


def names_of(pairs: Sequence[Pair]) -> list[str]:
    """The parameters that some pairs move, each once."""
    return list(dict.fromkeys(name for pair in pairs for name in pair.names()))
