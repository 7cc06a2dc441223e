"""Does the next step of training get further from here than from there?"""

import copy
from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from teleport_core.forward.belongings import Belongings
from teleport_core.problem import Parameters, Problem
from teleport_core.training.optimizer_state import State

_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")


class Lookahead(NamedTuple):
    """The loss on the next batch after one optimizer step on it.

    Attributes:
        stayed: from the point before the teleports, with the optimizer's state of then.
        moved: from the point after them, with the state that goes with it.
    """

    stayed: float
    moved: float

    @property
    def not_worse(self) -> bool:
        """Whether the move is to be kept; where its loss is NaN it is not."""
        return self.moved <= self.stayed


def look_ahead(
    problem: Problem,
    optimizer: Optimizer,
    before: Parameters,
    buffers: Parameters,
    state: State,
) -> Lookahead:
    """One step from both points, on copies of the optimizer; the model ends where it is now.

    Args:
        problem: the model after the teleports, and the next batch.
        optimizer: with the state that goes with that point; it is not touched.
        before: the parameters before the teleports.
        buffers: likewise.
        state: the optimizer's state of then.
    """
    here = Belongings(problem.modules())
    try:
        moved = _after_a_step(problem, here, _twin(optimizer, problem, optimizer.state))
        problem.write(before)
        problem.write_buffers(buffers)
        stayed = _after_a_step(problem, here, _twin(optimizer, problem, state))
    finally:
        here.put_all_back()
    return Lookahead(stayed, moved)


def _after_a_step(problem: Problem, own: Belongings, optimizer: Optimizer) -> float:
    def closure() -> float:
        own.set_gradients_aside()
        with torch.enable_grad():
            loss = problem.loss()
            torch.autograd.backward(loss)
        return float(loss.detach())

    with torch.no_grad():
        optimizer.step(closure)
        return float(problem.loss())


def _twin(optimizer: Optimizer, problem: Problem, state: State) -> Optimizer:
    """The same optimizer of the same parameters, those of this model alone, with a copied state."""
    # By hand: torch copies no attributes of an optimizer's own, and a learning-rate schedule counts
    # the steps of the optimizer whose method it has replaced.
    twin: Any = object.__new__(type(optimizer))
    vars(twin).update({name: v for name, v in vars(optimizer).items() if name != "step"})
    vars(twin).update({name: OrderedDict() for name in _HOOKS})
    ours = {id(p): p for p in problem.parameters().values()}
    copied = {p: copy.deepcopy(one, dict(ours)) for p, one in state.items() if id(p) in ours}
    twin.state = defaultdict(dict, copied)
    twin.param_groups = [_group(group, ours) for group in optimizer.param_groups]
    found: Optimizer = twin
    return found


def _group(group: dict[str, Any], ours: dict[int, Any]) -> dict[str, Any]:
    params: list[Tensor] = [p for p in group["params"] if id(p) in ours]
    options = {name: value for name, value in group.items() if name != "params"}
    return {"params": params, **copy.deepcopy(options)}
