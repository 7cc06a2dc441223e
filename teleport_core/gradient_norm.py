"""||g||^2 of a loss without ever holding two gradients: what a look at a model may cost.

``torch.autograd.grad`` answers with all gradients at once, a second set of weights. Here each is
let go as soon as its norm is taken.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from weakref import ref

import torch
from torch import Tensor

# Entries that are squared at a time.
_PIECE = 2**17


def gradient_norm_sq(loss: Tensor, leaves: Sequence[Tensor]) -> Tensor:
    """||dL/d(leaves)||^2 as a scalar tensor; leaves that the loss does not use count nothing."""
    norms = _Norms()
    with _hooked(norms, leaves):
        torch.autograd.grad(loss, list(leaves), allow_unused=True)
    found = [norms.taken[place] for place in sorted(norms.taken)]
    return torch.stack(found).sum() if found else loss.new_zeros(())


def square_sum(values: Tensor) -> Tensor:
    """The sum of squares, some rows at a time."""
    if values.numel() <= _PIECE:
        return values.square().sum()
    rows = max(1, _PIECE * len(values) // values.numel())
    return torch.stack([piece.square().sum() for piece in torch.split(values, rows)]).sum()


def distance(a: Tensor, b: Tensor) -> float:
    """||a - b||, some rows at a time."""
    if a.numel() <= _PIECE:
        return float((a - b).norm())
    rows = max(1, _PIECE * len(a) // a.numel())
    pairs = zip(torch.split(a, rows), torch.split(b, rows), strict=True)
    return float(torch.stack([(x - y).norm() for x, y in pairs]).norm())


class _Norms:
    """Takes the norm of each gradient and hands on zeros that take no room.

    Hooks know it by a weak reference alone: one that an interrupt leaves on a parameter does
    nothing.
    """

    def __init__(self) -> None:
        self.taken: dict[int, Tensor] = {}

    def take(self, place: int, gradient: Tensor) -> Tensor:
        self.taken[place] = square_sum(gradient)
        return gradient.new_zeros(()).expand(gradient.shape)


@contextmanager
def _hooked(norms: _Norms, leaves: Sequence[Tensor]) -> Iterator[None]:
    handles = []
    try:
        for place, leaf in enumerate(leaves):
            handles.append(leaf.register_hook(_hook(ref(norms), place)))  # type: ignore[no-untyped-call]
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(norms: "ref[_Norms]", place: int) -> Callable[[Tensor], Tensor | None]:
    def take(gradient: Tensor) -> Tensor | None:
        alive = norms()
        return None if alive is None else alive.take(place, gradient)

    return take
