"""The scales that are free, and what they make of parameters; and of ||g||^2, in closed form.

A parameter W becomes s W and its gradient g / s, with s = tau[over] / tau[under] entry by entry, so
that ||g||^2 as a function of t = log tau is a sum of squares times exp(2 t[under] - 2 t[over]):
convex, and without a maximum unless t is bounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.rescale.graph.book import Book
from baselines.rescale.graph.layers import Use
from teleport_core.norms import real_view
from teleport_core.problem import Parameters


@dataclass(frozen=True)
class Scaling:
    """The scales of a model that leave its outputs alone.

    Attributes:
        count: free scales, one for each set of units that share one.
        uses: parameter -> by which of them it is scaled; 0 is scale 1, k the k-th free one.
        held: all other parameters that count -> why they stay.
        obstacles: operations that left scale 1 alone to units.
    """

    count: int
    uses: Mapping[str, Use]
    held: Mapping[str, str]
    obstacles: list[str]

    def scales(self, log_tau: Tensor) -> dict[str, Tensor]:
        """Parameter -> s, of a shape that broadcasts to the parameter's."""
        return {name: exponent(use, log_tau).exp() for name, use in self.uses.items()}

    def moved(self, parameters: Parameters, log_tau: Tensor) -> Parameters:
        """W s for all parameters that are scaled, rounded once."""
        pairs = {name: (parameters[name], s) for name, s in self.scales(log_tau).items()}
        return {name: (W * s.to(W.device)).to(W.dtype) for name, (W, s) in pairs.items()}


def exponent(use: Use, log_tau: Tensor) -> Tensor:
    """The log of s, for t [count]."""
    padded = torch.cat([log_tau.new_zeros(1), log_tau])
    return padded[use.over] - padded[use.under]


def scaling_of(book: Book, counted: list[str]) -> Scaling:
    """What is free after a pass was followed; parameters with several uses have one scale."""
    units = book.units
    for name, uses in book.uses.items():
        first = uses[0]
        if any(_shapes(one) != _shapes(first) for one in uses) and name not in book.others:
            book.others[name] = "used in layers of two kinds"
            book.obstacles.append(f"two kinds of layers that share {name}")
        for one in uses:
            for labels, of_first in zip(one, first, strict=True):
                if name in book.others:
                    units.fix(labels, f"{name} is {book.others[name]}")
                else:
                    units.tie(labels, of_first)
    classes = units.classes()
    found = {n: Use(classes[uses[0].over], classes[uses[0].under]) for n, uses in book.uses.items()}
    moving = {n: use for n, use in found.items() if bool((use.over != use.under).any())}
    held = {n: _why(book, n) for n in counted if n not in moving}
    return Scaling(int(classes.max()), moving, held, book.obstacles)


def _shapes(use: Use) -> tuple[torch.Size, torch.Size]:
    return use.over.shape, use.under.shape


def _why(book: Book, name: str) -> str:
    if name in book.others:
        return book.others[name]
    if name not in book.uses:
        return "not used"
    use = book.uses[name][0]
    return book.units.why(torch.cat([use.over.flatten(), use.under.flatten()]))


@dataclass(frozen=True)
class _Term:
    """Squared gradients of one parameter, summed over entries of the same scale."""

    use: Use
    squares: Tensor

    def at(self, log_tau: Tensor) -> Tensor:
        log_scale = exponent(self.use, log_tau.to(self.squares.device))
        return (self.squares * (-2 * log_scale).exp()).sum().cpu()


class GradientNorm:
    """||g||^2 as a function of t [count], t = 0 where ``gradient`` was taken."""

    def __init__(self, scaling: Scaling, gradient: Parameters) -> None:
        squares = {n: real_view(g.detach()).double().square() for n, g in gradient.items()}
        rest = [value.sum().cpu() for n, value in squares.items() if n not in scaling.uses]
        self.start = torch.zeros(scaling.count, dtype=torch.float64, device="cpu")
        self._rest = sum(rest, start=torch.zeros((), dtype=torch.float64, device="cpu"))
        self._terms = [_term(use, squares[name]) for name, use in scaling.uses.items()]

    def at(self, log_tau: Tensor) -> Tensor:
        """||g||^2, a scalar that can be differentiated by t."""
        parts = [term.at(log_tau) for term in self._terms]
        return torch.stack([self._rest, *parts]).sum()

    def slope(self, log_tau: Tensor) -> Tensor:
        """d(1/2 ||g||^2)/dt [count]."""
        with torch.enable_grad():
            t = log_tau.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(0.5 * self.at(t), [t])
        return slope


def _term(use: Use, squares: Tensor) -> _Term:
    shape = (use.over - use.under).shape
    alike = [axis for axis, size in enumerate(shape) if size == 1 < squares.shape[axis]]
    there = Use(use.over.to(squares.device), use.under.to(squares.device))
    return _Term(there, squares.sum(alike, keepdim=True) if alike else squares)
