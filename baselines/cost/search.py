"""The descent on L_t - gamma L_g in the factors of low-rank changes, and where a call ends."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from baselines.cost.lora import Pair, changes, pairs_of
from baselines.cost.objective import gradient_objective, perturbation, task_objective
from teleport_core.ascent import Ascent, nowhere
from teleport_core.norms import squared_norm
from teleport_core.phases import BACKWARD, CHECK, FORWARD
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Status

_MOST_HALVINGS = 30
# Two evaluations of one loss differ by so many eps at the most.
_ROUNDING_EPS = 64


@dataclass(frozen=True)
class Search:
    """What a call is asked for; other names are those of the options of ``CostTeleporter``.

    Attributes:
        keep: the factor of L_t.
        in_graph: whether the perturbed losses are differentiated as well.
    """

    steps: int
    lr: float
    cap: float
    gamma: float
    rank: int
    draws: int
    radius: float
    tolerance: float
    seed: int
    keep: float = 1.0
    in_graph: bool = True


class Start(NamedTuple):
    """Where a call starts: L* [tasks], R [tasks], and which parameters move and are perturbed."""

    losses: Tensor
    weights: Tensor
    adapted: list[str]
    perturbed: list[str]


class _Visited(NamedTuple):
    """A point: its task losses [tasks], and ||g||^2 where a cap asks for it."""

    losses: Tensor
    norm_sq: float


class Found(NamedTuple):
    """Where the descent led, and the task losses at every visited point."""

    ascent: Ascent
    task_losses: list[list[float]]


def searched(problem: Problem, start: Start, asked: Search) -> Found:
    """Take the steps; nothing is written to the model."""
    with torch.enable_grad():
        status, visited, change = _descended(problem, start, asked)
    if not visited:
        return Found(nowhere(status), [[math.nan] * len(start.losses)])
    if len(visited) == 1:
        return _found(status, visited, None, 1.0)
    own, share, losses = problem.detached(), 1.0, visited[-1].losses
    for _ in range(_MOST_HALVINGS):
        there = {name: own[name] + share * part for name, part in change.items()}
        if kept(losses, start.losses, asked.tolerance):
            return _found(status, [*visited[:-1], _Visited(losses, math.nan)], there, share)
        share /= 2
        with torch.no_grad():
            there = {name: own[name] + share * part for name, part in change.items()}
            losses = _losses(problem, {**own, **there})
    return _found(Status.LOSSES_NOT_KEPT, visited[:1], None, 1.0)


def kept(losses: Tensor, before: Tensor, tolerance: float) -> bool:
    """Whether every task's loss is finite and within ``tolerance`` of what it was, relatively."""
    with CHECK:
        rounding = _ROUNDING_EPS * torch.finfo(before.dtype).eps * before.abs().max()
        within = (losses - before).abs() <= tolerance * before.abs() + rounding
        return bool((torch.isfinite(losses) & within).all())


def _descended(
    problem: Problem, start: Start, asked: Search
) -> tuple[Status, list[_Visited], Parameters]:
    """How it ended, the points, and by how much the weights differ at the last from the first."""
    own = problem.detached()
    generator = torch.Generator().manual_seed(asked.seed)
    pairs = pairs_of({n: own[n] for n in start.adapted}, asked.rank, generator)
    factors = [factor for pair in pairs.values() for factor in pair]
    adam = torch.optim.Adam(factors, lr=asked.lr)
    visited: list[_Visited] = []
    last: Parameters = {}
    for step in range(asked.steps + 1):
        there, change = _point(problem, own, pairs)
        losses = _losses(problem, there)
        if not bool(torch.isfinite(losses).all()):
            return Status.NON_FINITE, visited, last
        norm_sq = _norm_sq(problem, losses, there) if asked.cap < math.inf else math.nan
        visited.append(_Visited(losses.detach(), norm_sq))
        last = {name: part.detach() for name, part in change.items()}
        if step == asked.steps:
            break
        if norm_sq >= asked.cap:
            return Status.CAPPED, visited, last
        objective = _objective(problem, start, asked, there, losses, generator)
        with BACKWARD:
            slopes = torch.autograd.grad(objective, factors, allow_unused=True)
        if not any(slope is not None and bool(slope.any()) for slope in slopes):
            return Status.NO_ASCENT_DIRECTION, visited, last
        for factor, slope in zip(factors, slopes, strict=True):
            factor.grad = slope
        adam.step()
    return Status.DONE, visited, last


def _point(
    problem: Problem, own: Parameters, pairs: dict[str, Pair]
) -> tuple[Parameters, Parameters]:
    """All parameters with their changes, those that count in a graph, and the changes."""
    change = changes(pairs, own)
    there = problem.leaves(own)
    return {**there, **{name: there[name] + part for name, part in change.items()}}, change


def _objective(
    problem: Problem,
    start: Start,
    asked: Search,
    there: Parameters,
    losses: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """L_t - gamma L_g with new noise."""
    kept_objective = asked.keep * task_objective(losses, start.losses)
    if not asked.gamma:
        return kept_objective
    shaken = {name: there[name] for name in start.perturbed}
    noises = [perturbation(shaken, asked.radius, generator) for _ in range(asked.draws)]

    def losses_at(parameters: Parameters) -> Tensor:
        with torch.set_grad_enabled(asked.in_graph):
            return _losses(problem, parameters)

    climbed = gradient_objective(losses_at, there, losses, noises, start.weights, asked.radius)
    return kept_objective - asked.gamma * climbed


def _losses(problem: Problem, parameters: Parameters) -> Tensor:
    with FORWARD:
        return problem.losses_of(problem.output(parameters))


def _norm_sq(problem: Problem, losses: Tensor, there: Parameters) -> float:
    """||g||^2 of the mean loss at a point, by its parameters themselves."""
    wanted = [there[name] for name in problem.counted()]
    with BACKWARD:
        found = torch.autograd.grad(
            losses.mean(), wanted, retain_graph=True, allow_unused=True, materialize_grads=True
        )
    return float(squared_norm(found))


def _found(
    status: Status, visited: list[_Visited], there: Parameters | None, share: float
) -> Found:
    """What is known of the points; of a way that was shortened that of its ends alone."""
    steps = len(visited) - 1
    losses, norms = [each.losses for each in visited], [each.norm_sq for each in visited]
    if share < 1:
        unknown = torch.full_like(losses[0], math.nan)
        losses[1:-1], norms[1:-1] = [unknown] * (steps - 1), [math.nan] * (steps - 1)
    means = [float(each.mean()) for each in losses]
    lengths = [share] * steps if share < 1 else []
    ascent = Ascent(status, steps, there, None, means, norms, lengths=lengths)
    return Found(ascent, [each.tolist() for each in losses])
