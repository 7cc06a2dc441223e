"""Stop at CAP, not after it: for any engine, by its last step alone."""

from collections.abc import Callable
from dataclasses import replace

from teleport_core.ascent import Ascent
from teleport_core.interface import State
from teleport_core.nullspace.cap.evaluate import anything, objective_at, visit
from teleport_core.nullspace.cap.shorten import shorten
from teleport_core.objectives.goal import Goal
from teleport_core.problem import Problem
from teleport_core.results import Status


def stop_at_cap(
    problem: Problem,
    state: State,
    cap: float,
    climb: Callable[[], Ascent],
    goal: Goal | None = None,
) -> Ascent:
    """Run ``climb``, and shorten its last step if that passed ``cap``.

    Costs one gradient, and some ten more where a step is shortened. After an exception the
    parameters are as before.
    """
    start = problem.copy()
    try:
        result = climb()
        if result.steps_done and result.status in (Status.DONE, Status.CAPPED):
            return _shortened(problem, state, cap, result, goal)
    except BaseException:
        problem.write(start)
        raise
    return result


def _shortened(
    problem: Problem, state: State, cap: float, result: Ascent, goal: Goal | None
) -> Ascent:
    seen = visit(problem, problem.detached())
    if isinstance(seen, Status) or seen.grad_norm_sq <= cap:
        return result  # a point that is not finite is given up by whoever looks at the end
    after = problem.copy()
    if not state.step_back(problem):
        return result
    share, there = shorten(problem, problem.copy(), after, cap, anything)
    problem.write(there)
    end = visit(problem, there)
    assert not isinstance(end, Status)
    loss, norms = [*result.loss[:-1], end.loss], [*result.grad_norm_sq[:-1], end.grad_norm_sq]
    lengths = [*[1.0] * (result.steps_done - 1), share]
    objective = [] if goal is None else [*result.objective[:-1], objective_at(problem, goal)]
    ended = replace(result, status=Status.CAPPED, loss=loss, grad_norm_sq=norms, lengths=lengths)
    return replace(ended, objective=objective)
