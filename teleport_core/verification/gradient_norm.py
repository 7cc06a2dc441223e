"""||g||^2 of a loss without ever holding two gradients: what a look at a model may cost.

``torch.autograd.grad`` answers with all gradients at once, a second set of weights. Here each is
let go as soon as its norm is taken, but for a model so small that asking takes longer.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from teleport_core.norms import square_sum
from teleport_core.torch_private import current_pass

# Bytes.
_SMALL = 2**22


def gradient_norm_sq(loss: Tensor, leaves: Sequence[Tensor]) -> Tensor:
    """||dL/d(leaves)||^2 as a scalar tensor; leaves that the loss does not use count nothing."""
    norms = _Norms()
    small = sum(leaf.numel() * leaf.element_size() for leaf in leaves) < _SMALL
    with nullcontext() if small else _hooked(norms, loss, leaves):
        left = torch.autograd.grad(loss, list(leaves), allow_unused=True)
    for place, gradient in enumerate(left):
        if place not in norms.taken and gradient is not None:
            norms.taken[place] = square_sum(gradient)
    found = [norms.taken[place] for place in sorted(norms.taken)]
    return torch.stack(found).sum() if found else loss.new_zeros(())


class _Norms:
    """Takes the norm of each gradient of one backward pass and hands on zeros that take no room."""

    # Any other pass is left alone: one inside it, as of a block that computes its inputs again, and
    # all later ones, should an interrupt have left a hook on a parameter.

    def __init__(self) -> None:
        self.taken: dict[int, Tensor] = {}
        self._pass: int | None = None

    def begin(self, _: Tensor) -> None:
        """The loss is where a pass begins."""
        if self._pass is None:
            self._pass = current_pass()

    def taker(self, place: int) -> Callable[[Tensor | None], Tensor | None]:
        """The hook of one leaf; torch calls it with None where a function gave no gradient."""

        def take(gradient: Tensor | None) -> Tensor | None:
            ours = current_pass() == self._pass
            if gradient is None or gradient.layout is not torch.strided or not ours:
                return None
            self.taken[place] = square_sum(gradient)
            return gradient.new_zeros(()).expand(gradient.shape)

        return take


@contextmanager
def _hooked(norms: _Norms, loss: Tensor, leaves: Sequence[Tensor]) -> Iterator[None]:
    handles = []
    try:
        handles.append(loss.register_hook(norms.begin))  # type: ignore[no-untyped-call]
        for place, leaf in enumerate(leaves):
            handles.append(leaf.register_hook(norms.taker(place)))  # type: ignore[no-untyped-call]
        yield
    finally:
        for handle in handles:
            handle.remove()
