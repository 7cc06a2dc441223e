"""Normalised sequential linear programming (SLP) on a level set, with an exact penalty.

Mishkin, Bietti and Gower (2024), arXiv 2403.03362: 1/2 log ||g||^2 is maximised along linear models
of itself and of the loss, each step in closed form, its size found by a line search on a merit
function.
Three things are not the released code's (``baselines.level_set.published``):

- the penalty is gamma = max(gamma, 2 |lambda|), lambda the multiplier of the linear model. Along
  the step the merit function rises by rho ||p||^2 - r lambda + gamma |r| to first order, p the part
  of q along the level set and r the violation; that is rho ||p||^2 or more once gamma >= |lambda|;
- rho grows when the first trial of a step is accepted;
- a trial far off the level set is refused, as shortening rho does not shorten the way back.
"""

import math
from dataclasses import dataclass, field

from baselines.level_set.level import Level, merit
from baselines.level_set.point import Model, Visited, hessian_times, visit
from teleport_core.ascent import Ascent, nowhere
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Status
from teleport_core.verification.derivatives import require_differentiable, require_numbers

# The paper's line search; its demo shrinks rho to 0.8, the experiments to 0.5.
ALPHA = 0.5
BETA = 0.8
MOST_TRIALS = 100
CURE = "use method='nullspace', which at tau=1 needs first derivatives only"
# Of the loss: what a trial may violate the level set by.
_FAR = 0.5
# Newton's method on f = f_0 alone, at the end.
_MOST_CORRECTIONS = 20


@dataclass(frozen=True)
class Search:
    """What an SLP is asked for.

    Attributes:
        steps: iterations at the most.
        rho: the first step size; None: of the length that lr H g has.
        lr: see rho.
        sublevel: whether the loss may fall.
        tolerance: the squared KKT residual that is small enough.
        feasible: the violation, relative to the loss, that rounding may leave.
        cap: no step is taken once ||g||^2 has reached it.
    """

    steps: int
    rho: float | None
    lr: float
    sublevel: bool
    tolerance: float
    feasible: float
    cap: float

    def first_rho(self, norm_sq: float) -> float:
        """The rho at which rho q = lr H g."""
        return self.lr * norm_sq if self.rho is None else self.rho


@dataclass
class _Best:
    """The visited point of the largest ||g||^2 among those on the level set."""

    parameters: Parameters
    steps: int
    norm_sq: float

    def see(self, there: Visited, steps: int) -> None:
        if there.norm_sq > self.norm_sq:
            self.parameters, self.steps = there.parameters, steps
            self.norm_sq = there.norm_sq


@dataclass
class _Climb:
    """Where the SLP is, and what it has visited."""

    problem: Problem
    search: Search
    level: Level
    there: Visited
    best: _Best
    rho: float
    gamma: float = 0.0
    loss: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    rhos: list[float] = field(default_factory=list)

    def feasible(self, there: Visited) -> bool:
        """Whether a call may end there."""
        allowed = self.search.feasible * abs(self.level.loss)
        return self.level.violation(there.loss) <= allowed

    def arrive(self, there: Visited) -> None:
        """Note a point that is there to stay."""
        self.there = there
        self.loss.append(there.loss)
        self.norms.append(there.norm_sq)
        if self.feasible(there):
            self.best.see(there, len(self.loss) - 1)


def climbed(problem: Problem, start: Parameters, search: Search) -> Ascent:
    """Where the SLP leads from ``start``; nothing is written to the model."""
    there = visit(problem, start)
    if not there.finite:
        return nowhere(Status.NON_FINITE)
    require_differentiable(problem, there.graph.values())
    level = Level(there.loss, search.sublevel)
    best = _Best(start, 0, there.norm_sq)
    climb = _Climb(problem, search, level, there, best, search.first_rho(there.norm_sq))
    climb.arrive(there)
    del there
    status = Status.DONE
    for _ in range(search.steps):
        found = _step(climb)
        if found is not None:
            status = found
            break
    return _ended(climb, status)


def _step(climb: _Climb) -> Status | None:
    """Take one step; why none was taken, otherwise."""
    there = climb.there
    if there.norm_sq >= climb.search.cap:
        return Status.CAPPED
    if not there.norm_sq:
        return Status.STATIONARY
    g = there.gradient()
    Hg = hessian_times(climb.problem, there, g)
    model = Model.of(there.parameters, there.loss, g, Hg)
    if not math.isfinite(model.residual):
        if not climb.rhos:
            require_numbers(Hg.items(), CURE)
        return Status.NON_FINITE
    if model.residual <= climb.search.tolerance and climb.feasible(there):
        return Status.STATIONARY
    climb.gamma = max(climb.gamma, 2 * abs(model.multiplier))
    for trial in range(MOST_TRIALS):
        v = climb.level.normal_step(model, climb.rho)
        there = visit(climb.problem, model.moved(climb.rho, v))
        if _accepted(climb, model, v, there):
            climb.rhos.append(climb.rho)
            climb.arrive(there)
            climb.rho /= BETA if trial == 0 else 1.0
            return None
        del there  # one graph at a time
        climb.rho *= BETA
    return Status.NO_STEP_ACCEPTED


def _accepted(climb: _Climb, model: Model, v: float, there: Visited) -> bool:
    """The Armijo condition on the merit function, near the level set."""
    level, gamma = climb.level, climb.gamma
    violation = level.violation(there.loss)
    if not there.finite or violation > (_FAR * abs(level.loss) or math.inf):
        return False
    before = merit(model.norm_sq, (1 - ALPHA) * gamma * level.violation(model.loss))
    return merit(there.norm_sq, gamma * violation) >= before + ALPHA / 2 * model.rise(climb.rho, v)


def _ended(climb: _Climb, status: Status) -> Ascent:
    """The last point, put back onto the level set; the best one that is on it if that fails."""
    steps, best = len(climb.rhos), climb.best
    end = _corrected(climb)
    if climb.feasible(end) and end.norm_sq >= climb.norms[0]:
        parameters = end.parameters
        loss, norms = [*climb.loss[:-1], end.loss], [*climb.norms[:-1], end.norm_sq]
    else:
        status = status if best.steps == steps else Status.OFF_LEVEL_SET
        steps, parameters = best.steps, best.parameters
        loss, norms = climb.loss[: steps + 1], climb.norms[: steps + 1]
    moved = parameters if steps else None
    return Ascent(status, steps, moved, None, loss, norms, lrs=climb.rhos[:steps])


def _corrected(climb: _Climb) -> Visited:
    """The solution of the subproblem at rho = 0, again and again: w - (f - f_0) g / G."""
    climb.there = there = climb.there.without_graph()
    near = climb.search.tolerance**0.5 * abs(climb.level.loss)
    for _ in range(_MOST_CORRECTIONS):
        if climb.level.violation(there.loss) <= near or not there.norm_sq:
            break
        length = (there.loss - climb.level.loss) / there.norm_sq
        moved = {n: value - length * there.graph[n] for n, value in there.parameters.items()}
        nearer = visit(climb.problem, moved, differentiable=False)
        is_nearer = climb.level.violation(nearer.loss) < climb.level.violation(there.loss)
        if not (nearer.finite and is_nearer):
            break
        there = nearer
    return there
