"""What a teleport does to loss and gradient norm, step by step; never timed."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bench.measure import restore
from bench.problems.build import Built
from bench.variants import Variant

if TYPE_CHECKING:
    import torch

    from teleport_core import Problem, TeleportResult
    from teleport_core.nullspace.bounds import LayerInputs

Record = dict[str, Any]

_TRAINING_STEPS = 200
_TRAINING_LR = 0.1
# The search brackets by factors of 4 over 1e-14 ... 1e+14 and then bisects to 2 %.
_FIRST_LR = 1e-2
_BRACKET = 4.0
_BRACKET_TRIES = 20
_BISECTIONS = 6
_STUCK = ("NO_NULL_SPACE", "NO_ASCENT_DIRECTION")


@dataclass
class Subject:
    """A problem at its starting point, with everything that is measured on it."""

    problem: "Problem"
    built: Built
    start: dict[str, "torch.Tensor"]

    def reset(self) -> None:
        """Go back to the starting point."""
        restore(self.problem.model, self.start)

    @cached_property
    def inputs(self) -> "list[LayerInputs]":
        """The inputs of every movable layer at the starting point, in order of first use."""
        from teleport_core.nullspace.bounds import layer_inputs

        self.reset()
        return layer_inputs(self.problem, 1.0)

    def dtype_of(self, layer: "LayerInputs") -> "torch.dtype":
        """The type of a layer's weight."""
        return self.start[layer.weight].dtype


def subject(built: Built, start: str) -> Subject:
    """A subject at the initial weights, or after a short training on the point's batches."""
    from teleport_core import Problem
    from teleport_core.checks import check_problem

    inputs, targets = built.batches[0]
    problem = Problem(built.model, built.loss_fn, inputs, targets)
    check_problem(problem)
    if start == "trained":
        _train(built)
    values = {name: v.detach().clone() for name, v in built.model.state_dict().items()}
    return Subject(problem, built, values)


def _train(built: Built) -> None:
    import torch

    from teleport_core import Problem

    optimizer = torch.optim.SGD(built.model.parameters(), lr=_TRAINING_LR)
    for step in range(_TRAINING_STEPS):
        inputs, targets = built.batches[step % len(built.batches)]
        optimizer.zero_grad()
        Problem(built.model, built.loss_fn, inputs, targets).loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    optimizer.zero_grad()


def advance(where: Subject, variant: Variant, steps: int, **options: Any) -> "TeleportResult":
    """One call from the starting point; the model is left where it ended."""
    from teleport_core import make

    where.reset()
    teleporter = make(variant.method, **{**variant.options, **options, "steps": steps})
    return teleporter.advance(where.problem, teleporter.prepare(where.problem))


def walk(
    where: Subject, variant: Variant, steps: int, **options: Any
) -> Iterator["TeleportResult"]:
    """The result after each step; the model is at the point in question.

    Each point is reached by one call from the start, so that a basis is as old as it is in use,
    whatever the method keeps between its steps. Below tau = 1 it keeps nothing but bases: it is
    prepared once and advanced a step at a time, which is the same and takes a fifth of the time.
    With ``max_drift`` and ``overshoot=False`` a call is one thing: the points are the ends of calls
    with so many steps each.
    """
    from teleport_core import make

    if _is_one_call({**variant.options, **options}):
        yield from (advance(where, variant, step, **options) for step in range(1, steps + 1))
        return
    where.reset()
    teleporter = make(variant.method, **{**variant.options, **options, "steps": 1})
    state = teleporter.prepare(where.problem)
    for step in range(1, steps + 1):
        result = teleporter.advance(where.problem, state)
        yield replace(result, steps_done=step - 1 + result.steps_done)


def _is_one_call(options: dict[str, Any]) -> bool:
    """Whether steps taken in calls of their own would end elsewhere."""
    # max_drift leaves no other tau.
    return options.get("tau", 1.0) == 1.0 or not options.get("overshoot", True)


def find_lr(
    where: Subject, variant: Variant, steps: int, growth: float, taus: Sequence[float] = (1.0,)
) -> float:
    """The learning rate at which ``steps`` steps multiply ||g||^2 by ``growth``, or just less.

    Methods and thresholds are then compared at the same gain: that of the largest tau at which
    anything moves. What bounds the drift or the norm is left out of the search.
    """
    bounds = ("max_drift", "overshoot", "cap")
    plain = {name: value for name, value in variant.options.items() if name not in bounds}
    variant = Variant(variant.method, plain)
    for tau in sorted(taus, reverse=True):
        options = {"tau": tau} if takes_tau(variant) else {}
        if advance(where, variant, 1, lr=_FIRST_LR, **options).status.name not in _STUCK:
            break
    return _search_lr(where, variant, steps, growth, options)


def _search_lr(
    where: Subject, variant: Variant, steps: int, growth: float, options: dict[str, Any]
) -> float:
    from teleport_core.look import look

    where.reset()
    wanted = growth * look(where.problem).grad_norm_sq

    def overshoots(lr: float) -> bool:
        result = advance(where, variant, steps, lr=lr, **{**options, "cap": wanted})
        if result.steps_done < steps:
            return result.status.name in ("NON_FINITE", "CAPPED")
        # NaN counts as too much.
        return not look(where.problem).grad_norm_sq <= wanted

    too_high = overshoots(_FIRST_LR)
    factor = 1 / _BRACKET if too_high else _BRACKET
    low = high = _FIRST_LR
    for _ in range(_BRACKET_TRIES):
        if too_high:
            low, high = low * factor, low
        else:
            low, high = high, high * factor
        if overshoots(low if too_high else high) != too_high:
            break
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if overshoots(middle) else (middle, high)
    return low


def trajectory(where: Subject, variant: Variant, steps: int, lr: float, tau: float) -> Record:
    """The rows of one preservation record; its guarantee is held to the outputs at the end."""
    from teleport_core.interface import State
    from teleport_core.look import look, require_gradient, upheld

    options = {"lr": lr, **({"tau": tau} if takes_tau(variant) else {})}
    observe = _observer(where, variant, tau)
    where.reset()
    problem, before = where.problem, look(where.problem)
    start = State(before={name: where.start[name] for name in problem.parameters()})
    rows = [{"step": 0, **observe(None)}]
    result, guarantee = None, None
    for step, result in enumerate(walk(where, variant, steps, **options), 1):
        if step == 1:
            require_gradient(problem, before, result.grad_norm_sq[0])
        guarantee = upheld(problem, start, before, look(problem), result.guarantee)
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


def takes_tau(variant: Variant) -> bool:
    """Whether the method has the option ``tau``, and nothing in its place."""
    return _knows_tau(variant) and "max_drift" not in variant.options


def _knows_tau(variant: Variant) -> bool:
    from dataclasses import fields

    from teleport_core.registry import method_class

    return "tau" in {f.name for f in fields(method_class(variant.method))}


def _observer(
    where: Subject, variant: Variant, tau: float
) -> Callable[["TeleportResult | None"], dict[str, Any]]:
    """A function that measures the model where it is now, after what led there."""
    import torch

    from teleport_core import Problem
    from teleport_core.look import look
    from teleport_core.nullspace.bounds import preactivation_bound, preactivation_change

    problem, heldout = where.problem, where.built.heldout
    double = copy.deepcopy(problem.model).double()
    rule = variant.options.get("rank_rule")

    def bounded(result: "TeleportResult | None") -> "list[LayerInputs] | None":
        if not _knows_tau(variant):
            return None
        # Where tau is chosen step by step, the loosest space holds all moves.
        loosest = min(result.taus, default=tau) if result else tau
        return inputs_at(where, loosest, str(rule) if rule else None)

    def loss_in(model: "torch.nn.Module", batch: tuple[Any, Any]) -> float:
        with torch.no_grad():
            return float(Problem(model, problem.loss_fn, *batch).loss())

    def observe(result: "TeleportResult | None") -> dict[str, Any]:
        inputs = bounded(result)
        batch = (problem.inputs, problem.targets)
        double.load_state_dict(problem.model.state_dict())
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


def inputs_at(where: Subject, tau: float, rank_rule: str | None) -> "list[LayerInputs]":
    """The layers' inputs with the singular value that a rule leaves out first."""
    from teleport_core.rank import RULES, resolve_rule

    rule = RULES[resolve_rule(rank_rule, tau)]

    def residual(layer: "LayerInputs") -> float:
        kept = rule(layer.sigma, layer.shape, where.dtype_of(layer), tau)
        return float(layer.sigma[kept]) if kept < layer.sigma.numel() else 0.0

    return [replace(layer, residual=residual(layer)) for layer in where.inputs]


def _as_double(batch: tuple[Any, Any]) -> tuple[Any, Any]:
    import torch
    from torch.utils._pytree import tree_map

    def one(value: Any) -> Any:
        floating = isinstance(value, torch.Tensor) and value.is_floating_point()
        return value.double() if floating else value

    return tree_map(one, batch[0]), tree_map(one, batch[1])


def _with_drift(row: Record, first: Record) -> Record:
    """Relative change of each loss since step 0."""
    pairs = {
        "drift_float32": "loss",
        "drift_float64": "loss_float64",
        "heldout_drift": "heldout_loss",
    }
    drifts = {name: _relative(row[key], first[key]) for name, key in pairs.items()}
    return {**row, **drifts}


def _relative(now: float | None, before: float | None) -> float | None:
    if now is None or before is None or before == 0.0:
        return None
    return abs(now - before) / abs(before)


def spectra(where: Subject, taus: Sequence[float] = (1.0,)) -> Iterator[Record]:
    """Singular values of every movable layer's input, squared (the paper's Fig. 6a).

    Beside them the dimensions that each rank rule leaves free at each of ``taus``.
    """
    from teleport_core.layers import linear_layers

    data_fed = {layer.weight: layer.data_fed for layer in linear_layers(where.problem)}
    parts = Counter(layer.weight for layer in where.inputs)
    seen: Counter[str] = Counter()
    for position, layer in enumerate(where.inputs, 1):
        seen[layer.weight] += 1
        # A grouped convolution has a space for each group.
        part = f" ({seen[layer.weight]})" if parts[layer.weight] > 1 else ""
        yield {
            "layer": layer.weight + part,
            "position": position,
            "rows": layer.shape[0],
            "columns": layer.shape[1],
            "data_fed": data_fed[layer.weight],
            "free": free_dimensions(layer.sigma, layer.shape, where.dtype_of(layer), taus),
            "eigenvalues": layer.sigma.square().tolist(),
        }


def free_dimensions(
    sigma: "torch.Tensor", shape: tuple[int, int], dtype: "torch.dtype", taus: Sequence[float]
) -> list[Record]:
    """Dimensions of a layer's input that each rank rule leaves free at each threshold.

    Numerical rank has no threshold: it stands once, at tau = 1.
    """
    from teleport_core.rank import RULES

    return [
        {"rule": name, "tau": tau, "dimensions": shape[0] - rule(sigma, shape, dtype, tau)}
        for name, rule in RULES.items()
        for tau in ((1.0,) if name == "numerical" else taus)
    ]
