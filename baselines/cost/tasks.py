"""Several tasks at one point: their losses, the gradient of each, and what they share."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from teleport_core.errors import OptionError, ProblemError
from teleport_core.norms import squared_norm
from teleport_core.phases import BACKWARD, FORWARD
from teleport_core.problem import Parameters, Problem
from teleport_core.verification.derivatives import derivatives_needed
from teleport_core.verification.evaluation import require_loss


class Tasks(NamedTuple):
    """The tasks at a point.

    Attributes:
        losses: L_i [tasks].
        gradients: of each task, by the name of every parameter that counts.
        shared: names of the parameters that the tasks share.
    """

    losses: Tensor
    gradients: list[Parameters]
    shared: list[str]

    @property
    def grad_norm_sq(self) -> float:
        """||g||^2 of the mean loss, over all parameters."""
        by_parameter = [[g[name] for g in self.gradients] for name in self.gradients[0]]
        return float(squared_norm([torch.stack(parts).mean(0) for parts in by_parameter]))

    def matrix(self) -> Tensor:
        """G [tasks, parameters], the gradients by the shared parameters."""
        return torch.stack(
            [torch.cat([g[n].flatten() for n in self.shared]) for g in self.gradients]
        )


def tasks_at(problem: Problem, wanted: Sequence[str] | None) -> Tasks:
    """One forward pass at the model's own parameters, and a backward pass for each task.

    Args:
        problem: whose loss has one value per task.
        wanted: names of the shared parameters, or what they begin with, as those of a module do;
            None: all that have a gradient, other than zero, of every task.

    Raises:
        OptionError: no parameter has such a name.
        ProblemError: there are not several tasks, or they share no parameters.
    """
    names, leaves = problem.counted(), problem.leaves(problem.detached())
    with torch.enable_grad(), derivatives_needed(problem):
        with FORWARD:
            losses = problem.losses_of(problem.output(leaves))
            require_loss(losses, by_task=True)
        with BACKWARD:
            gradients = [_gradient(loss, [leaves[n] for n in names]) for loss in losses.unbind()]
    found = [dict(zip(names, each, strict=True)) for each in gradients]
    return Tasks(losses.detach(), found, _shared(found, wanted))


def _gradient(loss: Tensor, leaves: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(
        loss, leaves, retain_graph=True, allow_unused=True, materialize_grads=True
    )


def _shared(gradients: list[Parameters], wanted: Sequence[str] | None) -> list[str]:
    if wanted is not None:
        for one in wanted:
            if not any(_begins(name, one) for name in gradients[0]):
                raise OptionError(
                    f"expected shared to name parameters that require a gradient, or modules with "
                    f"some; got {one!r}: there are {', '.join(gradients[0])}"
                )
        return [n for n in gradients[0] if any(_begins(n, one) for one in wanted)]
    found = [n for n in gradients[0] if all(bool(g[n].any()) for g in gradients)]
    if not found:
        raise ProblemError(
            "expected tasks that share parameters; none has a gradient of every task: name those "
            "that they share with shared=..."
        )
    return found


def _begins(name: str, start: str) -> bool:
    return f"{name}.".startswith(f"{start}.")
