"""max_drift: never exceeded, and as far up as any tau of the grid."""

import math
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from drift_runs import GRID, Run, best_of_the_grid, random_runs
from oracles import identical, loss_and_grad_norm_sq, output_change, snapshot
from small_problems import CASES, classification

from teleport_core import Guarantee, OptionError, Problem, Status, TeleportResult, make, teleport
from teleport_core.nullspace.drift.nested_spaces import TAUS, nested_spaces
from teleport_core.rank import RULES

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning"),
]

MAX_DRIFT = 1e-3
STEPS = 8
QUICK = list(random_runs(20, seed=0))
MANY = list(random_runs(200, seed=1))


def run(problem: Problem, **options: object) -> TeleportResult:
    batch = (problem.inputs, problem.targets)
    options = {"steps": STEPS, "max_drift": MAX_DRIFT, **options}
    return teleport(problem.model, problem.loss_fn, batch, **options)


def relu() -> Problem:
    return classification([20, 16, 12, 5], 8)


@dataclass(frozen=True)
class Outcome:
    """Loss and ||g||^2 before and after, and the largest ||g||^2 that any tau reaches."""

    before: tuple[float, float]
    after: tuple[float, float]
    highest: float
    result: TeleportResult


@cache
def outcome(case: Run, dtype: torch.dtype = torch.float64) -> Outcome:
    problem = case.problem(dtype)
    before = loss_and_grad_norm_sq(problem)
    highest = best_of_the_grid(problem, case.lr, STEPS, MAX_DRIFT)
    result = run(problem, lr=case.lr)
    return Outcome(before, loss_and_grad_norm_sq(problem), highest, result)


def assert_kept_and_high(one: Outcome, dtype: torch.dtype = torch.float64) -> None:
    before, after, result = one.before, one.after, one.result
    assert abs(after[0] - before[0]) <= MAX_DRIFT * abs(before[0])
    assert after[1] >= 0.9 * one.highest
    assert (result.loss[-1], result.grad_norm_sq[-1]) == after
    assert len(result.loss) == len(result.grad_norm_sq) == result.steps_done + 1
    assert len(result.taus) == result.steps_done
    assert all(abs(loss - before[0]) <= MAX_DRIFT * abs(before[0]) for loss in result.loss)
    eps = torch.finfo(dtype).eps
    if result.guarantee is Guarantee.EXACT_ON_BATCH:
        assert all(tau == 1.0 for tau in result.taus)
        assert result.output_change < 2 * eps**0.25
    else:
        assert result.guarantee is Guarantee.APPROXIMATE
        assert min(result.taus, default=1.0) < 1.0 or result.output_change > 1000 * eps


@pytest.mark.filterwarnings("ignore::teleport_core.TeleportWarning")  # so far, rounding shows
@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_a_random_run_keeps_the_loss_and_reaches_what_any_tau_does(case: Run) -> None:
    assert_kept_and_high(outcome(case))


@pytest.mark.filterwarnings("ignore::teleport_core.TeleportWarning")  # so far, rounding shows
@pytest.mark.long
@pytest.mark.parametrize("case", MANY, ids=lambda case: f"{case.name}-{case.seed}")
def test_no_run_of_many_drifts_or_stays_behind(case: Run) -> None:
    assert_kept_and_high(outcome(case))


@pytest.mark.parametrize("name", ["conv2d-pool", "encoder-prenorm", "lstm", "raw-products"])
def test_in_float32_too(name: str) -> None:
    assert_kept_and_high(outcome(Run(name, seed=3, lr=0.02), torch.float32), torch.float32)


@pytest.mark.filterwarnings("ignore::teleport_core.TeleportWarning")  # so far, rounding shows
def test_the_runs_cover_ends_of_every_kind() -> None:
    """A table of easy runs would show nothing."""
    ends = [outcome(case).result for case in QUICK]

    assert {Status.DONE, Status.DRIFTED} <= {end.status for end in ends}
    assert {1.0, 0.99, 0.9, 0.5} <= {tau for end in ends for tau in end.taus}
    assert any(end.lengths for end in ends)
    assert any(len(set(end.taus)) > 1 for end in ends)


@pytest.mark.parametrize("max_drift", [1e-6, 1e-4, 1e-2, 0.3])
def test_the_more_may_change_the_larger_the_gradient(max_drift: float) -> None:
    problem, looser = relu(), relu()
    first = float(problem.loss().detach())

    result = run(problem, lr=0.3, max_drift=max_drift)

    assert abs(result.loss[-1] - first) <= max_drift * first
    assert run(looser, lr=0.3, max_drift=2 * max_drift).grad_norm_sq[-1] >= result.grad_norm_sq[-1]


def test_with_next_to_nothing_allowed_it_is_the_exact_teleport() -> None:
    """No step below tau = 1 changes the loss by less than a part in 10^13."""
    problem, exact = relu(), relu()
    before = problem.output().detach()

    result = run(problem, lr=0.3, max_drift=1e-13)
    expected = run(exact, lr=0.3, max_drift=None, engine="textbook")

    assert (result.status, result.taus) == (Status.DONE, [1.0] * STEPS)
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.grad_norm_sq == pytest.approx(expected.grad_norm_sq, rel=1e-12)
    assert result.null_dims == expected.null_dims
    assert output_change(problem, before) < 1e-12


def test_where_no_whole_step_is_allowed_the_longest_half_is_taken() -> None:
    """Nothing is free in the exact null space, so every step costs something."""
    problem = Run("full-rank", seed=0, lr=1.0).problem()

    result = run(problem, lr=10.0, max_drift=1e-4)

    assert result.steps_done > 0
    assert len(result.lengths) == result.steps_done
    assert min(result.lengths) < 1.0
    assert all(math.log2(length) == int(math.log2(length)) for length in result.lengths)
    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]
    assert min(result.taus) < 1.0


def test_without_any_room_the_status_says_so_and_nothing_moves() -> None:
    problem = Run("full-rank", seed=0, lr=1.0).problem()
    before = snapshot(problem)

    result = run(problem, lr=1e3, max_drift=1e-12)

    assert (result.status, result.steps_done) == (Status.DRIFTED, 0)
    assert "max_drift" in result.status.value
    assert identical(problem, before)


@pytest.mark.filterwarnings("ignore::teleport_core.TeleportWarning")  # so far, rounding may show
def test_a_point_is_never_left_for_a_lower_one() -> None:
    """At this rate the steps after the third lead down."""
    ends = [
        run(CASES["gelu-deep"].build(), lr=30.0, steps=steps).grad_norm_sq[-1]
        for steps in range(1, STEPS + 1)
    ]

    assert ends == sorted(ends)
    assert ends[-1] > 1000 * ends[0]


def test_the_cap_is_tested_before_every_step() -> None:
    problem = relu()
    cap = 1.5 * loss_and_grad_norm_sq(problem)[1]

    result = run(problem, lr=0.3, cap=cap)

    assert result.status is Status.CAPPED
    assert 0 < result.steps_done < STEPS
    assert result.grad_norm_sq[-2] < cap <= result.grad_norm_sq[-1]


def test_a_gradient_that_is_not_finite_ends_the_way_before_it() -> None:
    problem = relu()
    first = float(problem.loss().detach())

    result = run(problem, lr=1e200)

    loss, norm = loss_and_grad_norm_sq(problem)
    assert math.isfinite(norm)
    assert abs(loss - first) <= MAX_DRIFT * first
    assert result.status in (Status.NON_FINITE, Status.DRIFTED)


def test_an_error_on_the_way_leaves_everything_as_it_was() -> None:
    problem = relu()
    calls = 0

    def failing(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 9:
            raise RuntimeError("out of luck")
        return torch.nn.functional.cross_entropy(output, targets)

    problem = Problem(problem.model, failing, problem.inputs, problem.targets)
    before = snapshot(problem)

    with pytest.raises(RuntimeError, match="out of luck"):
        run(problem, lr=0.3)

    assert calls == 10
    assert identical(problem, before)


def test_the_same_call_ends_at_the_same_bits() -> None:
    ends = []
    for _ in range(2):
        problem = CASES["residual-batchnorm"].build()
        run(problem, lr=0.1)
        ends.append(snapshot(problem))

    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_spaces_of_equal_size_are_tried_once() -> None:
    problem = relu()
    levels = nested_spaces(problem, limit=4096)
    free = [tuple(n for *_, n in level.freedoms()) for level in levels.values()]

    assert len(set(free)) == len(free) <= len(TAUS)
    assert next(iter(levels)) == 1.0
    for layer, *bases in zip(levels[1.0].layers, *(x.bases for x in levels.values()), strict=True):
        R = layer.representation()
        for tau, basis in zip(levels, bases, strict=True):
            rule = RULES["numerical" if tau == 1.0 else "energy"]
            k = rule(torch.linalg.svdvals(R), (R.shape[0], R.shape[1]), R.dtype, tau)
            assert basis.vectors.shape == (R.shape[0], k)


def test_free_dimensions_are_those_of_the_loosest_space_in_use() -> None:
    problem = relu()
    levels = nested_spaces(problem, limit=4096)

    result = run(problem, lr=0.1, max_drift=0.1)

    loosest = min(result.taus)
    assert loosest < 1.0
    assert sum(sum(free or []) for free in result.null_dims.values()) == sum(
        free for *_, free in levels[loosest].freedoms()
    )


def test_the_grid_is_among_the_thresholds() -> None:
    assert set(GRID) <= set(TAUS)
    assert list(TAUS) == sorted(TAUS, reverse=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_drift": 0.0}, r"expected max_drift to be a number > 0; got 0.0"),
        ({"max_drift": -1e-3}, r"expected max_drift to be a number > 0; got -0.001"),
        ({"max_drift": "much"}, r"expected max_drift to be a number > 0; got 'much'"),
        ({"max_drift": 0.1, "tau": 0.9}, r"expected max_drift without tau .*got .*tau=0.9.*alone"),
        (
            {"max_drift": 0.1, "rank_rule": "gpm"},
            r"expected max_drift without tau and rank_rule.*got .*'gpm'.*write max_drift alone",
        ),
        (
            {"max_drift": 0.1, "engine": "half_hvp"},
            r"expected engine='auto' or 'textbook' with max_drift=0.1; got .*half_hvp.*leave",
        ),
    ],
)
def test_what_chooses_the_space_twice_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make("nullspace", **options)
