"""One kept forward pass, and the two passes through its graph that every step takes.

The weights that move are no part of the graph: ``teleport_core.layers.tape`` answers for them at
their present values.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.errors import UNSEEN_USE, ModelError
from teleport_core.layers.tape import Tape
from teleport_core.norms import square_sum
from teleport_core.nullspace.ranks.shared import Shared
from teleport_core.problem import Parameters


@dataclass
class KeptPass:
    """The graph of one forward pass.

    Attributes:
        loss: with its graph.
        others: counted parameters that take part other than by uses, by name.
        tape: what the uses share.
        inputs: u, one for each distinct input of a layer that moves.
        transposed: (name, E) for s ("") and every one of ``others`` on which an input depends.
        shared: with whom gradients are summed, and of which parameters; None for a lone process.
    """

    loss: Tensor
    others: Parameters
    tape: Tape
    inputs: list[Tensor]
    transposed: list[tuple[str, Tensor]]
    shared: Shared | None = None

    def gradients(self) -> float:
        """D where it is kept, dL/dW everywhere, at the present weights; ||g||^2."""
        tape = self.tape
        tape.gradients.clear()
        tape.norm_sq.clear()
        try:
            found = torch.autograd.grad(
                self.loss, [tape.along, *self.others.values()], retain_graph=True, allow_unused=True
            )
        except RuntimeError as error:
            if "modified by an inplace operation" not in str(error):
                raise
            # The weights that moved are in the graph of the model's own operations.
            raise ModelError(f"expected to see every use of every weight; {UNSEEN_USE}") from error
        for name, gradient in zip(self.others, found[1:], strict=True):
            if gradient is not None:
                known, dense = tape.gradients.get(name), gradient.to_dense()
                tape.gradients[name] = dense if known is None else known + dense
        if self.shared is not None:
            tape.gradients.update(self.shared.summed(tape.gradients, tape.parameters))
        squares = [*map(square_sum, tape.gradients.values()), *tape.norm_sq]
        return float(torch.stack(squares).sum()) if squares else 0.0

    def tangents(self) -> list[Tensor | None]:
        """R{x} of the distinct inputs of layers that move, after ``gradients``, which then go."""
        if not self.transposed:
            return [None] * len(self.inputs)
        along = {"": torch.ones_like(self.tape.along)} | self.tape.gradients
        known = [(E, along[name]) for name, E in self.transposed if name in along]
        ends, directions = [E for E, _ in known], [direction for _, direction in known]
        found = torch.autograd.grad(
            ends, self.inputs, directions, retain_graph=True, allow_unused=True
        )
        self.tape.gradients.clear()  # as large as all weights
        return list(found)


def transpose(
    tape: Tape, roots: list[Tensor], others: Parameters
) -> tuple[list[Tensor], list[tuple[str, Tensor]]]:
    """u, and E(u): the gradient of <u, X> with respect to s and the other parameters."""
    if not roots:
        return [], []
    inputs = [x.detach().new_zeros(()).expand_as(x).requires_grad_(True) for x in roots]
    wanted = {"": tape.along} | others
    tape.transposing = True
    try:
        found = torch.autograd.grad(
            roots, list(wanted.values()), inputs, create_graph=True, allow_unused=True
        )
    finally:
        tape.transposing = False
    pairs = zip(wanted, found, strict=True)
    return inputs, [(name, E) for name, E in pairs if E is not None and E.requires_grad]
