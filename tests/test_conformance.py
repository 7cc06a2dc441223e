"""Every method on every small problem; a new method or problem is a new row, not a new test."""

from typing import Any

import pytest
import torch
from oracles import identical, loss_and_grad_norm_sq, output_change, snapshot
from small_problems import ACT, CASES, GAUGE, NULLSPACE, PRE, RESCALE
from task_problems import one_output

from baselines.test_functions import problem_of
from teleport_core import (
    Guarantee,
    ModelError,
    Problem,
    ProblemError,
    Status,
    TeleportResult,
    available,
    make,
    teleport,
)

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    NULLSPACE: ("nullspace", {}),
    "nullspace:energy": ("nullspace", {"rank_rule": "energy"}),
    "nullspace:gpm": ("nullspace", {"rank_rule": "gpm"}),
    "nullspace:tau": ("nullspace", {"tau": 0.9}),
    "nullspace:max_drift": ("nullspace", {"max_drift": 1e-3}),
    "nullspace:overshoot": ("nullspace", {"overshoot": False}),
    "nullspace:l1": ("nullspace", {"objective": "l1"}),
    PRE: ("symmetry", {}),
    ACT: ("symmetry", {"acts_on": "activations"}),
    "symmetry:preactivations,published": ("symmetry", {"published": True}),
    "symmetry:activations,published": (
        "symmetry",
        {"published": True, "acts_on": "activations"},
    ),
    "level_set": ("level_set", {}),
    "level_set:level": ("level_set", {"sublevel": False}),
    "level_set:published": ("level_set", {"published": True}),
    "so2": ("so2", {"policy": "random"}),  # that which takes lr
    GAUGE: ("gauge", {}),
    "identity": ("identity", {}),
    "random": ("random", {"displacement": 0.1}),
    RESCALE: ("rescale", {"bound": 2.0}),
    "enorm": ("enorm", {}),
    "pathcond": ("pathcond", {}),
    "rescale:random": ("rescale", {"policy": "random"}),
    "rescale:best_of": ("rescale", {"policy": "best_of"}),
    "rescale:best_of,published": ("rescale", {"policy": "best_of", "published": True}),
    "cost": ("cost", {"trigger": "always"}),
    "cost:published": ("cost", {"trigger": "always", "published": True}),
}
EXACT = (Guarantee.EXACT_ON_BATCH, Guarantee.EXACT_EVERYWHERE)
STEPS = 8
PROBLEMS = {name: case.build for name, case in CASES.items()} | {
    "booth": lambda: problem_of("booth"),
    "two-tasks": one_output,
}


def movable(method: str) -> Problem:
    """A problem that the method moves."""
    tasks = {"cost": "two-tasks", "cost:published": "two-tasks"}
    return PROBLEMS[{"so2": "booth", GAUGE: "attention", **tasks}.get(method, "leaky-no-bias")]()


def run(problem: Problem, method: str, lr: float, **more: Any) -> TeleportResult:
    name, options = METHODS[method]
    batch = (problem.inputs, problem.targets)
    if make(name, **options).takes_lr:
        more["lr"] = lr
    return teleport(
        problem.model, problem.loss_fn, batch, method=name, steps=STEPS, **options, **more
    )


def lr_that_grows(case: str, method: str) -> tuple[Problem, TeleportResult, torch.Tensor]:
    """The first of a few learning rates at which ||g||^2 grows by 1.000001 to 100."""
    for lr in (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
        problem = CASES[case].build()
        before = problem.output().detach()
        result = run(problem, method, lr)
        growth = result.grad_norm_sq[-1] / result.grad_norm_sq[0]
        if result.status is Status.DONE and 1.000001 < growth < 100:
            return problem, result, before
    raise AssertionError(f"no learning rate makes {method} grow on {case}")


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.filterwarnings("ignore::teleport_core.TeleportWarning")  # so far, rounding shows
@pytest.mark.parametrize("method", [NULLSPACE, PRE, ACT, GAUGE, RESCALE])
def test_exact_methods_change_no_output_while_the_gradient_grows(case: str, method: str) -> None:
    if method in CASES[case].approximate_for:
        assert run(CASES[case].build(), method, 1e-3).guarantee is Guarantee.APPROXIMATE
        return
    if method not in CASES[case].exact_for:
        problem = CASES[case].build()
        before = snapshot(problem)
        with pytest.raises(ModelError, match=r"expected .*; "):
            run(problem, method, 1e-3)
        assert identical(problem, before)
        return

    problem, result, before = lr_that_grows(case, method)

    assert result.guarantee is EXACT[method in (GAUGE, RESCALE)]
    assert result.steps_done == STEPS
    assert output_change(problem, before) < 1e-10
    assert result.loss[-1] == pytest.approx(result.loss[0], rel=1e-10)


@pytest.mark.parametrize("case", list(PROBLEMS))
@pytest.mark.parametrize("method", list(METHODS))
def test_every_result_is_honest(case: str, method: str) -> None:
    """Whatever a method does, its lists fit its steps and its ends are what is really there."""
    problem = PROBLEMS[case]()
    before = snapshot(problem)
    try:
        result = run(problem, method, 1e-3)
    except (ModelError, ProblemError) as error:
        tasks = {case == "two-tasks", method.startswith("cost")}
        assert isinstance(error, ProblemError) == (tasks == {True, False})
        assert len(str(error)) > 40
        assert identical(problem, before)
        return

    loss, norm = loss_and_grad_norm_sq(problem)
    assert len(result.loss) == len(result.grad_norm_sq) == result.steps_done + 1
    assert result.loss[-1] == loss
    assert result.grad_norm_sq[-1] == pytest.approx(norm, rel=1e-12)
    assert result.steps_done > 0 or identical(problem, before)
    moved = not identical(problem, before)
    assert moved == (result.steps_done > 0 and method != "identity")


@pytest.mark.parametrize("method", list(METHODS))
def test_calling_twice_on_equal_models_is_bit_identical(method: str) -> None:
    ends = []
    for _ in range(2):
        problem = movable(method)
        run(problem, method, 1e-3)
        ends.append(snapshot(problem))

    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize("method", [m for m in METHODS if m != "identity"])
def test_cap_below_the_present_norm_moves_nothing(method: str) -> None:
    problem = movable(method)
    before = snapshot(problem)

    result = run(problem, method, 1e-3, cap=1e-12)

    assert (result.status, result.steps_done) == (Status.CAPPED, 0)
    assert identical(problem, before)


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precision_works_or_is_refused(method: str, dtype: torch.dtype) -> None:
    problem = movable(method)
    problem = Problem(
        problem.model.to(dtype), problem.loss_fn, problem.inputs.to(dtype), problem.targets
    )
    before = problem.output().detach().double()
    try:
        result = run(problem, method, 1e-3)
    except ModelError as error:
        assert dtype is torch.bfloat16
        assert "bfloat16" in str(error)
        return

    assert all(p.dtype is dtype for p in problem.model.parameters())
    if result.guarantee in EXACT:
        tolerance = 1e-5 if dtype is torch.float32 else 0.1
        assert output_change(problem, before) < tolerance


def test_published_guarantee_is_first_order_and_the_drift_shows_why() -> None:
    for method, floor in (
        ("symmetry:preactivations,published", 1e-9),
        ("symmetry:activations,published", 1e-9),
    ):
        problem = CASES["leaky-no-bias"].build()
        before = problem.output().detach()

        result = run(problem, method, 1e-2)

        assert result.guarantee is Guarantee.FIRST_ORDER
        assert output_change(problem, before) > floor


def test_every_registered_method_of_ours_is_in_the_table() -> None:
    assert {name for name, _ in METHODS.values()} == set(available())
    assert all(make(name, **options).steps == STEPS for name, options in METHODS.values())
