"""Historical trajectory reuse: how much of Adam's memory of gradients is good after a move.

Zhou et al. (2025), arXiv 2503.04046: with c the cosine of the previous combined gradient and the
move, Adam forgets all where c <= 0, and takes c beta_1 and c beta_2 in place of its betas where
c > 0, in the next step alone. The optimizer and its groups stay the same objects, so that a
schedule of its learning rate goes on.
"""

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.optim import Optimizer

from teleport_core.errors import ProblemError
from teleport_core.training.optimizer_state import fresh, parameters_of, put

_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")


class Trace(NamedTuple):
    """Parameters of an optimizer, the gradient of the step before of each, and where each was."""

    parameters: list[Tensor]
    gradients: list[Tensor]
    before: list[Tensor]

    @classmethod
    def of(cls, optimizer: Optimizer) -> Self:
        """Before a move; empty where there was no step yet.

        Raises:
            ProblemError: no group has betas, or the gradients of the step before are gone.
        """
        for group in optimizer.param_groups:
            if "betas" not in group:
                raise ProblemError(
                    "expected an optimizer with betas, such as Adam, for optimizer_state='reuse'; "
                    f"got {type(optimizer).__name__}: use 'keep' or 'reset'"
                )
        if not optimizer.state:
            return cls([], [], [])
        known = [p for p in parameters_of(optimizer) if p.grad is not None]
        if not known:
            raise ProblemError(
                "expected the gradients of the step before in .grad, which optimizer_state='reuse' "
                "compares the move with; there are none: call optimizer.zero_grad() right before "
                "the backward pass, and not after the step"
            )
        gradients = [p.grad.detach().clone() for p in known if p.grad is not None]
        return cls(known, gradients, [p.detach().clone() for p in known])

    def cosine(self) -> float | None:
        """c, over the parameters that moved since; None where none did."""
        inner = gradients = moves = 0.0
        for p, gradient, before in zip(*self, strict=True):
            move = p.detach() - before
            if bool(move.any()):
                inner += float((gradient * move).sum(dtype=torch.float64))
                gradients += float(gradient.square().sum(dtype=torch.float64))
                moves += float(move.square().sum(dtype=torch.float64))
        return inner / (gradients * moves) ** 0.5 if moves and gradients else None


def reuse(optimizer: Optimizer, cosine: float) -> None:
    """Have an optimizer forget, or take scaled betas in its next step, as the cosine says."""
    for name in _HOOKS:  # of an earlier move before the same step
        for hook in list(getattr(optimizer, name).values()):
            if isinstance(owner := getattr(hook, "__self__", None), _NextStep):
                owner.end()
    if cosine <= 0:
        put(optimizer, fresh(optimizer))
    elif cosine < 1:
        _NextStep(optimizer, cosine)


class _NextStep:
    """Betas that act in one step: put into the groups before it, and taken out after it."""

    def __init__(self, optimizer: Optimizer, factor: float) -> None:
        self._factor = factor
        self._own: list[Any] = []
        self._handles = [
            optimizer.register_step_pre_hook(self.begin),
            optimizer.register_step_post_hook(self.finish),
        ]

    def begin(self, optimizer: Optimizer, *_: Any) -> None:
        """Scale the betas."""
        self._own = [group["betas"] for group in optimizer.param_groups]
        for group, betas in zip(optimizer.param_groups, self._own, strict=True):
            group["betas"] = tuple(self._factor * beta for beta in betas)

    def finish(self, optimizer: Optimizer, *_: Any) -> None:
        """Put them back."""
        for group, betas in zip(optimizer.param_groups, self._own, strict=True):
            group["betas"] = betas
        self.end()

    def end(self) -> None:
        """Watch no further step."""
        for handle in self._handles:
            handle.remove()
