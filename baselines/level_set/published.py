"""The normalised SLP as the authors' released code computes it, with its constants and mistakes.

github.com/aaronpmishkin/teleport, the version behind figure 1 (beta 0.8, 100 trials; that of the
experiments has 0.5 and 25):

- the penalty gamma = 0.1 <Hg, g> v / (G^2 violation) grows without bound as the violation goes to
  zero, so that rounding alone keeps every step short;
- rho grows where one side of the Armijo condition is five times the other: these are logarithms,
  whose ratio depends on the units of the loss;
- after a step of which every trial was refused, loss and gradient of the last of them count as
  those of the point that was never left.
"""

import math
from dataclasses import dataclass

from baselines.level_set.level import Level, merit
from baselines.level_set.point import Model, Visited, hessian_times, visit
from baselines.level_set.slp import ALPHA, BETA, CURE, MOST_TRIALS, Search
from teleport_core.ascent import Ascent, nowhere
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Status
from teleport_core.verification.derivatives import require_differentiable, require_numbers

_PENALTY = 0.1
_GROWS_AT = 5.0
_LEAST_RHO = 1e-16


@dataclass
class _Released:
    """Where the released loop is.

    Attributes:
        there: the point, with a fresh graph.
        loss: what the loop takes for its loss, and in
        gradient: for its gradient.
    """

    problem: Problem
    search: Search
    level: Level
    there: Visited
    loss: float
    gradient: Parameters
    rho: float


def published_climb(problem: Problem, start: Parameters, search: Search) -> Ascent:
    """Where the released code leads from ``start``; nothing is written to the model.

    ``search.feasible`` is a violation in the units of the loss, as there.
    """
    there = visit(problem, start)
    if not there.finite:
        return nowhere(Status.NON_FINITE)
    require_differentiable(problem, there.graph.values())
    level, rho = Level(there.loss, search.sublevel), search.first_rho(there.norm_sq)
    loop = _Released(problem, search, level, there, there.loss, there.gradient(), rho)
    del there
    status, loss, norms = Status.DONE, [loop.there.loss], [loop.there.norm_sq]
    rhos: list[float] = []
    for _ in range(search.steps):
        model, found = _model(loop, first=not rhos)
        if model is None:
            status = found
            break
        rhos.append(_stepped(loop, model))
        loss.append(loop.there.loss)
        norms.append(loop.there.norm_sq)
        if loop.rho <= _LEAST_RHO:
            status = Status.NO_STEP_ACCEPTED
            break
    moved = loop.there.parameters if rhos else None
    return Ascent(status, len(rhos), moved, None, loss, norms, lrs=rhos)


def _model(loop: _Released, *, first: bool) -> tuple[Model | None, Status]:
    """The linear model of the next step, or why there is none."""
    if loop.there.norm_sq >= loop.search.cap:
        return None, Status.CAPPED
    if not math.isfinite(loop.loss):
        return None, Status.NON_FINITE
    if not loop.there.norm_sq:
        return None, Status.STATIONARY
    Hg = hessian_times(loop.problem, loop.there, loop.gradient)
    model = Model.of(loop.there.parameters, loop.loss, loop.gradient, Hg)
    if not math.isfinite(model.residual):
        if first:
            require_numbers(Hg.items(), CURE)
        return None, Status.NON_FINITE
    near = loop.level.violation(model.loss) <= loop.search.feasible
    if model.residual <= loop.search.tolerance and near:
        return None, Status.STATIONARY
    return model, Status.DONE


def _stepped(loop: _Released, model: Model) -> float:
    """Take the next step, or none; the last rho that was tried."""
    rho, trials, accepted, five_times = loop.rho, 0, False, False
    while trials < MOST_TRIALS and not accepted:
        rho, trials = loop.rho, trials + 1
        there, reached, needed = _tried(loop, model)
        five_times = _is_five_times(reached, needed)
        loop.loss, loop.gradient = there.loss, there.gradient()
        accepted = there.finite and reached >= needed
        if accepted:
            loop.there = there
        else:
            loop.rho *= BETA
        del there  # one graph at a time
    if not accepted:
        loop.there = visit(loop.problem, model.parameters)
    if trials == MOST_TRIALS:
        loop.rho /= BETA**5
    if five_times and loop.rho > _LEAST_RHO:
        loop.rho /= BETA
    return rho


def _tried(loop: _Released, model: Model) -> tuple[Visited, float, float]:
    """A trial, and both sides of its Armijo condition."""
    level, violation = loop.level, loop.level.violation(model.loss)
    v = level.normal_step(model, loop.rho)
    there = visit(loop.problem, model.moved(loop.rho, v))
    gamma = _PENALTY
    if violation > 0:
        gamma *= model.multiplier * level.on_level(model, loop.rho) / violation
    reached = merit(there.norm_sq, gamma * level.violation(there.loss))
    needed = merit(model.norm_sq, (1 - ALPHA) * gamma * violation)
    return there, reached, needed + ALPHA / 2 * model.rise(loop.rho, v)


def _is_five_times(reached: float, needed: float) -> bool:
    """Whether reached / needed >= 5, of numbers of any sign."""
    if needed < 0:
        return reached <= _GROWS_AT * needed
    return reached >= _GROWS_AT * needed and reached > 0
