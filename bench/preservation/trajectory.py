"""What a teleport does to loss and gradient norm, step by step; never timed."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from bench.preservation.starting_point import Subject, at_threshold, walk
from bench.timing.start import restore, values_of
from teleport_core import Problem, State, Teleporter, TeleportResult
from teleport_core.nullspace.bases.bounds import (
    LayerInputs,
    preactivation_bound,
    preactivation_change,
)
from teleport_core.rank import RULES
from teleport_core.torch_private import tree_map
from teleport_core.verification.guarantee import require_gradient, verified_guarantee
from teleport_core.verification.reference import look, output_change

Record = dict[str, Any]


def trajectory(
    where: Subject, method: Teleporter, steps: int, lr: float | None, tau: float
) -> Record:
    """The rows of one preservation record; its guarantee is held to the outputs at the end.

    ``lr`` is None where the method chooses the length of its steps otherwise.
    """
    method = at_threshold(method, tau)
    if lr is not None:
        method = replace(method, lr=lr)
    observe = _observer(where, method, tau)
    where.reset()
    problem, before = where.problem, look(where.problem)
    start = State(before={name: where.start[name] for name in problem.parameters()})
    rows = [{"step": 0, **observe(None)}]
    result, guarantee = None, None
    for step, result in enumerate(walk(where, method, steps), 1):
        if step == 1:
            require_gradient(problem, before, result.grad_norm_sq[0])
        change = output_change(before, look(problem))
        guarantee = verified_guarantee(problem, start, change, result.guarantee)
        if result.steps_done < step:
            break
        rows.append({"step": step, **observe(result)})
    where.reset()
    if result is None or guarantee is None:
        raise ValueError("expected at least one step")
    return {
        "rows": [_with_drift(row, rows[0]) for row in rows],
        "teleport_status": result.status.name,
        "guarantee": guarantee.name,
        "null_dims": result.null_dims,
    }


def _observer(
    where: Subject, method: Teleporter, tau: float
) -> Callable[[TeleportResult | None], dict[str, Any]]:
    """A function that measures the model where it is now, after what led there."""
    problem, heldout = where.problem, where.built.heldout
    double = copy.deepcopy(problem.model).double()

    def bounded(result: TeleportResult | None) -> list[LayerInputs] | None:
        # Where tau is chosen step by step, the loosest space holds all moves.
        loosest = min(result.taus, default=tau) if result else tau
        rule = method.rank_rule_at(loosest)
        return None if rule is None else inputs_at(where, loosest, rule)

    def loss_in(model: nn.Module, batch: tuple[Any, Any]) -> float:
        with torch.no_grad():
            return float(Problem(model, problem.loss_fn, *batch).loss())

    def observe(result: TeleportResult | None) -> dict[str, Any]:
        inputs = bounded(result)
        batch = (problem.inputs, problem.targets)
        restore(double, values_of(problem.model))
        now = problem.detached()
        before = {name: where.start[name] for name in now}
        return {
            "loss": loss_in(problem.model, batch),
            "loss_float64": loss_in(double, _as_double(batch)),
            "heldout_loss": None if heldout is None else loss_in(problem.model, heldout),
            "grad_norm_sq": look(problem).grad_norm_sq,
            "preactivation_bound": inputs and preactivation_bound(inputs, before, now),
            "preactivation_change": inputs and preactivation_change(inputs, before, now),
        }

    return observe


def inputs_at(where: Subject, tau: float, rank_rule: str) -> list[LayerInputs]:
    """The layers' inputs with the singular value that a rule leaves out first."""
    rule = RULES[rank_rule]

    def residual(layer: LayerInputs) -> float:
        kept = rule(layer.sigma, layer.shape, where.dtype_of(layer), tau)
        return float(layer.sigma[kept]) if kept < layer.sigma.numel() else 0.0

    return [replace(layer, residual=residual(layer)) for layer in where.inputs]


def _as_double(batch: tuple[Any, Any]) -> tuple[Any, Any]:
    def one(value: Any) -> Any:
        floating = isinstance(value, torch.Tensor) and value.is_floating_point()
        return value.double() if floating else value

    return tree_map(one, batch[0]), tree_map(one, batch[1])


def _with_drift(row: Record, first: Record) -> Record:
    """Relative change of each loss since step 0."""
    return {
        **row,
        "drift_float32": _relative(row["loss"], first["loss"]),
        "drift_float64": _relative(row["loss_float64"], first["loss_float64"]),
        "heldout_drift": _relative(row["heldout_loss"], first["heldout_loss"]),
    }


def _relative(now: float | None, before: float | None) -> float | None:
    if now is None or before is None or before == 0.0:
        return None
    return abs(now - before) / abs(before)
