"""overshoot=False: the last step ends at the cap, not beyond it, whatever the engine."""

import math

import pytest
import torch
from drift_runs import Run
from oracles import identical, loss_and_grad_norm_sq, output_change, snapshot
from small_problems import CASES, classification

from teleport_core import Guarantee, OptionError, Problem, Status, TeleportResult, make, teleport
from teleport_core.ascent import Ascent
from teleport_core.nullspace.cap.evaluate import anything
from teleport_core.nullspace.cap.overshoot import stop_at_cap
from teleport_core.nullspace.cap.shorten import shorten
from teleport_core.nullspace.drift.search import Found, Place, below_cap
from teleport_core.nullspace.half_hvp.engine import HalfHvpState
from teleport_core.nullspace.textbook import TextbookState
from teleport_core.nullspace.traced.engine import TracedState

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")

STEPS = 8
# What to build, its lr, and options; between them all engines, with and without max_drift.
ENGINES = {
    "half_hvp": ("relu", 0.3, {"engine": "half_hvp"}),
    "traced": ("conv2d-pool", 0.02, {"engine": "half_hvp"}),
    "textbook": ("relu", 0.3, {"engine": "textbook"}),
    "below 1": ("conv2d-pool", 0.02, {"tau": 0.99}),
    "max_drift": ("relu", 0.3, {"max_drift": 1e-3}),
    "encoder": ("encoder-prenorm", 0.01, {}),
}
STATES = {"half_hvp": HalfHvpState, "traced": TracedState, "textbook": TextbookState}


def build(name: str) -> Problem:
    if name == "relu":
        return classification([20, 16, 12, 5], 8)
    return Run(name, seed=0, lr=1.0).problem()


def run(problem: Problem, **options: object) -> TeleportResult:
    batch = (problem.inputs, problem.targets)
    return teleport(problem.model, problem.loss_fn, batch, **{"steps": STEPS, **options})


@pytest.mark.parametrize("name", list(ENGINES))
@pytest.mark.parametrize("last", [2, STEPS])
def test_the_step_that_would_pass_the_cap_ends_just_below_it(name: str, last: int) -> None:
    """The step in question is one of the middle, or the very last, after which no test comes."""
    which, lr, options = ENGINES[name]
    norms = [
        run(build(which), lr=lr, steps=n, **options).grad_norm_sq[-1] for n in (last - 1, last)
    ]
    cap = 0.3 * norms[0] + 0.7 * norms[1]
    problem, passing = build(which), build(which)
    first = float(problem.loss().detach())

    result = run(problem, lr=lr, cap=cap, overshoot=False, **options)
    beyond = run(passing, lr=lr, cap=cap, **options)

    loss, norm = loss_and_grad_norm_sq(problem)
    assert 0.999 * cap <= norm <= cap < beyond.grad_norm_sq[-1]
    assert result.status is Status.CAPPED
    assert result.steps_done == beyond.steps_done
    assert result.loss[-1] == loss
    assert result.grad_norm_sq[-1] == pytest.approx(norm, rel=1e-12)
    assert result.grad_norm_sq[:-1] == beyond.grad_norm_sq[:-1]
    assert len(result.loss) == result.steps_done + 1
    *whole, share = result.lengths
    assert whole == [1.0] * (result.steps_done - 1)
    assert 0.0 < share < 1.0
    if "max_drift" in options:
        assert abs(loss - first) <= 1e-3 * first


@pytest.mark.parametrize("name", ["half_hvp", "traced", "textbook"])
def test_each_engine_is_among_them_and_keeps_its_guarantee(name: str) -> None:
    which, lr, options = ENGINES[name]
    problem = build(which)
    before = problem.output().detach()
    cap = 1.5 * loss_and_grad_norm_sq(problem)[1]
    teleporter = make("nullspace", lr=lr, cap=cap, overshoot=False, **options)

    assert isinstance(teleporter.prepare(problem), STATES[name])
    result = run(problem, lr=lr, cap=cap, overshoot=False, **options)

    assert result.status is Status.CAPPED
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert output_change(problem, before) < 1e-10


@pytest.mark.parametrize("name", list(ENGINES))
@pytest.mark.parametrize("cap", [math.inf, 1e30, 1e-12])
def test_where_no_step_passes_the_cap_nothing_is_different(name: str, cap: float) -> None:
    which, lr, options = ENGINES[name]
    problem, plain = build(which), build(which)

    result = run(problem, lr=lr, cap=cap, overshoot=False, **options)
    expected = run(plain, lr=lr, cap=cap, **options)

    assert result.status is expected.status
    assert (result.loss[-1], result.grad_norm_sq) == (expected.loss[-1], expected.grad_norm_sq)
    assert result.lengths == expected.lengths
    assert identical(problem, snapshot(plain))


def test_it_is_the_straight_line_between_the_last_two_points() -> None:
    problem = build("relu")
    before = {k: v.clone() for k, v in problem.detached().items()}
    run(problem, lr=0.3, steps=1)
    after = {k: v.clone() for k, v in problem.detached().items()}
    norm = loss_and_grad_norm_sq(problem)[1]
    problem.write(before)
    cap = (norm + loss_and_grad_norm_sq(problem)[1]) / 2

    share, there = shorten(problem, before, after, cap, anything)

    assert 0.0 < share < 1.0
    for name, value in there.items():
        torch.testing.assert_close(value, before[name] + share * (after[name] - before[name]))
    assert identical(problem, before)
    problem.write(there)
    assert 0.999 * cap <= loss_and_grad_norm_sq(problem)[1] <= cap


def test_losses_that_are_not_allowed_are_no_way_to_the_cap() -> None:
    problem = build("relu")
    before = {k: v.clone() for k, v in problem.detached().items()}
    after = {k: 2 * v for k, v in before.items()}
    norm = loss_and_grad_norm_sq(problem)[1]

    share, there = shorten(problem, before, after, 1e6 * norm, lambda _: False)

    assert share == 0.0
    assert there is before


@pytest.mark.parametrize("max_drift", [1e-12, 1e-3])
def test_a_shortened_step_drifts_no_further_than_allowed(max_drift: float) -> None:
    """On the way to a point that is allowed there are others that are not."""
    problem = build("relu")
    before = {k: v.clone() for k, v in problem.detached().items()}
    after = {k: 2 * v for k, v in before.items()}
    first, norm = loss_and_grad_norm_sq(problem)
    place = Place(after, before, (first, first), (norm, 9 * norm), (1.0,), (1.0,))

    found = below_cap(problem, Found(place, Status.DONE), 8 * norm, max_drift)

    problem.write(found.place.parameters)
    assert float(problem.loss().detach()) == found.place.loss[-1]
    assert abs(found.place.loss[-1] - first) <= max_drift * first
    assert found.place.lengths[-1] < 0.1


@pytest.mark.filterwarnings("ignore::teleport_core.TeleportWarning")  # so far, rounding shows
def test_a_last_step_that_is_not_finite_is_taken_back_as_ever() -> None:
    ends = []
    for overshoot in (True, False):
        problem = CASES["tanh-regression"].build()
        result = run(problem, lr=1e3, cap=1e300, steps=3, overshoot=overshoot)
        assert all(math.isfinite(value) for value in loss_and_grad_norm_sq(problem))
        ends.append((result.status, result.steps_done, result.grad_norm_sq))

    assert ends[0] == ends[1]


@pytest.mark.parametrize("engine", ["half_hvp", "textbook"])
def test_an_error_while_it_is_shortened_leaves_everything_as_it_was(engine: str) -> None:
    good = build("relu")
    teleporter = make("nullspace", lr=0.3, engine=engine)
    state = teleporter.prepare(good)
    start = snapshot(good)
    cap = 1.5 * loss_and_grad_norm_sq(good)[1]
    calls = 0

    def failing(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise RuntimeError("out of luck")
        return torch.nn.functional.cross_entropy(output, targets)

    bad = Problem(good.model, failing, good.inputs, good.targets)
    with pytest.raises(RuntimeError, match="out of luck"):
        stop_at_cap(bad, state, cap, lambda: teleporter.advance(good, state))

    assert identical(good, start)


def test_overshoot_is_yes_or_no() -> None:
    with pytest.raises(OptionError, match="expected overshoot to be True or False; got 'never'"):
        make("nullspace", overshoot="never")


def test_a_drift_that_is_bounded_is_bounded_where_a_step_is_shortened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The way that serves other engines looks at the cap alone."""

    def looks_at_the_cap_alone(*_: object) -> Ascent:
        raise AssertionError

    monkeypatch.setattr("teleport_core.nullspace.engine.stop_at_cap", looks_at_the_cap_alone)
    problem = classification([20, 16, 12, 5], 8)
    method = make("nullspace", steps=2, max_drift=1e-3, overshoot=False, cap=1e9)

    assert method.advance(problem, method.prepare(problem)).status is Status.DONE
