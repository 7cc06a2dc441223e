"""growth: ||g||^2 ends as many times its value as was asked for, and outputs stay."""

import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import identical, output_change, snapshot
from small_problems import CASES, classification
from test_half_hvp import problems
from torch import nn

from teleport_core import (
    Guarantee,
    OptionError,
    Problem,
    Status,
    TeleportResult,
    available,
    make,
    teleport,
)
from teleport_core.nullspace.growth import Climber, Plan
from teleport_core.nullspace.half_hvp.schedule import Schedule
from teleport_core.nullspace.line import Seen
from teleport_core.nullspace.polynomial import Trial, next_length
from teleport_core.nullspace.traced.kept_pass import KeptPass
from teleport_core.verification import guarantee as limits

NETS: dict[str, Callable[[], Problem]] = {
    "tanh": lambda: classification([20, 40, 40, 10], 8, nn.Tanh),
    "wide": lambda: classification([9, 300, 11], 64),
    "deep": lambda: classification([30, 30, 30, 30, 30, 4], 5, nn.GELU),
    "traced": CASES["residual-batchnorm"].build,
}


def run(problem: Problem, **options: Any) -> TeleportResult:
    return teleport(problem.model, problem.loss_fn, (problem.inputs, problem.targets), **options)


def grown(result: TeleportResult) -> float:
    return result.grad_norm_sq[-1] / result.grad_norm_sq[0]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for every pass down."""
    found: list[None] = []
    for kind, name in ((Schedule, "_down"), (KeptPass, "gradients")):
        own = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda *a, _own=own: (found.append(None), _own(*a))[1])
    return found


@pytest.mark.parametrize("steps", [4, 8])
@pytest.mark.parametrize("growth", [1.1, 1.5, 4, 20, 1e4])
@pytest.mark.parametrize("net", list(NETS))
def test_three_passes_a_step_are_enough(
    net: str, growth: float, steps: int, passes: list[None]
) -> None:
    problem = NETS[net]()
    before = problem.output().detach()

    result = run(problem, growth=growth, steps=steps)

    assert (result.status, result.steps_done) == (Status.DONE, steps)
    assert grown(result) == pytest.approx(growth, rel=0.0101)
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert output_change(problem, before) < 1e-11
    # A factor of ten a step takes more of them where steps are few.
    assert len(passes) <= (3 * steps if growth <= 20 else max(3 * steps, 20))
    assert len(result.lrs) == steps
    assert min(result.lrs) > 0
    assert result.to_dict()["lrs"] == result.lrs
    pairs = zip(result.grad_norm_sq, result.grad_norm_sq[1:], strict=False)
    for number, (start, end) in enumerate(pairs):
        here = result.grad_norm_sq[0] * growth ** ((number + 1) / steps)
        assert end > start
        assert end == pytest.approx(here, rel=0.0251)


def grows_or_says_why(build: Callable[[torch.dtype], Problem], growth: float, steps: int) -> None:
    problem = build(torch.float64)
    before = problem.output().detach()
    try:
        result = run(problem, growth=growth, steps=steps)
    except Exception as error:
        assert type(error).__module__ == "teleport_core.errors"
        return
    if result.status is Status.DONE:
        assert grown(result) == pytest.approx(growth, rel=0.05)
    if result.guarantee is Guarantee.EXACT_ON_BATCH and bool(before.any()):
        # What a call may change at most, however far weights move: some do by their own size often
        # over, where next to nothing of the gradient is free.
        assert output_change(problem, before) < 2 * torch.finfo(torch.float64).eps ** 0.25
    assert len(result.lrs) == result.steps_done


@settings(max_examples=60, deadline=None)
@given(problems(), st.floats(1.01, 100), st.integers(1, 10))
def test_any_stack_grows(build: Any, growth: float, steps: int) -> None:
    grows_or_says_why(build, growth, steps)


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(problems(), st.floats(1.01, 1e4), st.integers(1, 16))
def test_any_stack_grows_far(build: Any, growth: float, steps: int) -> None:
    grows_or_says_why(build, growth, steps)


@pytest.mark.parametrize("growth", [1.5, 20])
def test_both_derivations_end_at_the_same_norm(growth: float) -> None:
    ends = {}
    for engine in ("half_hvp", "textbook"):
        problem = NETS["tanh"]()
        ends[engine] = run(problem, growth=growth, engine=engine), snapshot(problem)

    (fast, weights), (published, others) = ends.values()
    assert published.engine.name == "textbook"
    assert fast.grad_norm_sq == pytest.approx(published.grad_norm_sq, rel=1e-9)
    assert fast.lrs == pytest.approx(published.lrs, rel=1e-8)
    for name, value in weights.items():
        assert torch.allclose(value, others[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("growth", [4, 100])
def test_one_step_grows_as_far(growth: float, dtype: torch.dtype, passes: list[None]) -> None:
    problem = classification([30, 40, 40, 4], 8, nn.ReLU, dtype=dtype)

    result = run(problem, growth=growth, steps=1)

    assert result.status is Status.DONE
    assert grown(result) == pytest.approx(growth, rel=0.0101)
    assert len(passes) <= 8


@pytest.mark.parametrize("tau", [0.99, 0.9])
def test_spaces_that_are_not_exact_grow_or_say_how_far(tau: float) -> None:
    result = run(NETS["wide"](), growth=3, tau=tau)

    assert result.status in (Status.DONE, Status.GROWTH_NOT_REACHED)
    assert (result.status is Status.DONE) == (abs(grown(result) / 3 - 1) <= 0.05)
    assert grown(result) > 1


@pytest.mark.parametrize("overshoot", [True, False])
@pytest.mark.parametrize("options", [{}, {"engine": "textbook"}])
@pytest.mark.parametrize("net", ["tanh", "traced"])
def test_no_step_passes_the_cap(net: str, options: dict[str, Any], overshoot: bool) -> None:
    start = run(NETS[net](), growth=2).grad_norm_sq[0]
    cap = 3 * start

    result = run(NETS[net](), growth=20, cap=cap, overshoot=overshoot, **options)

    assert result.status is Status.CAPPED
    assert max(result.grad_norm_sq) <= cap * (1 + 1e-12)
    assert result.grad_norm_sq[-1] >= 0.99 * cap
    assert 0 < result.steps_done < 8


@pytest.mark.parametrize("options", [{}, {"engine": "textbook"}])
@pytest.mark.parametrize("net", ["tanh", "traced"])
def test_asked_again_with_fewer_steps_it_takes_those_again(
    net: str, options: dict[str, Any]
) -> None:
    problem = NETS[net]()
    teleporter = make("nullspace", growth=20, **options)
    state = teleporter.prepare(problem)
    points = []
    for steps in (8, 5, 8, 4):
        result = replace(teleporter, steps=steps).advance(problem, state)
        points.append((snapshot(problem), result.lrs, result.grad_norm_sq))
        if steps == 5:
            assert state.step_back(problem)
            back = snapshot(problem)
        state.restore(problem)

    assert points[0][1:] == points[2][1:]
    assert points[0][1][:5] == points[1][1]
    for one, other in ((points[0][0], points[2][0]), (back, points[3][0])):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_steps_that_changed_outputs_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "teleport_core.verification.last_kept.verified_guarantee",
        lambda problem, state, change, promised: (
            promised if torch.equal(snapshot(problem)["2.weight"], kept) else Guarantee.APPROXIMATE
        ),
    )
    problem = NETS["tanh"]()
    teleporter = make("nullspace", growth=20)
    replace(teleporter, steps=1).advance(problem, state := teleporter.prepare(problem))
    kept = snapshot(problem)["2.weight"]
    state.restore(problem)

    with pytest.warns(limits.TeleportWarning):
        result = run(problem, growth=20)

    assert (result.status, result.steps_done) == (Status.OUTPUTS_CHANGED, 1)
    assert torch.equal(snapshot(problem)["2.weight"], kept)
    assert len(result.lrs) == 1


@pytest.mark.parametrize("options", [{}, {"engine": "textbook"}])
@pytest.mark.parametrize("net", ["tanh", "traced"])
def test_an_interrupt_leaves_everything_as_it_was(
    net: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, own, calls = NETS[net](), Climber._look, []

    def interrupted(self: Climber) -> Seen:
        calls.append(None)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return own(self)

    monkeypatch.setattr(Climber, "_look", interrupted)
    before = snapshot(problem)
    teleporter = make("nullspace", growth=20, **options)
    state = teleporter.prepare(problem)

    with pytest.raises(KeyboardInterrupt):
        teleporter.advance(problem, state)

    assert identical(problem, before)


def test_where_nothing_can_move_the_status_says_so() -> None:
    problem = classification([3, 4, 2], 50)
    before = snapshot(problem)

    result = run(problem, growth=2)

    assert (result.status, result.lrs) == (Status.NO_NULL_SPACE, [])
    assert identical(problem, before)


class Flat:
    """||g||^2 that grows by 10 % at most, or only up to a jump."""

    def __init__(self, norm_at: Callable[[float], float]) -> None:
        self.norm_at, self.origin, self.place = norm_at, 0.0, 0.0

    def look(self) -> Seen:
        return Seen.plain(self.norm_at(self.place))

    def aim(self, *, first: bool) -> float:
        self.origin = self.place
        return 0.5

    def go(self, length: float) -> None:
        self.place = self.origin + length


@pytest.mark.parametrize(
    "norm_at",
    [
        lambda s: 1 + 0.1 * math.tanh(s),
        lambda s: 1 + s if s < 0.3 else math.nan,
        lambda s: 1 + s if s < 0.3 else 1e9,
        lambda s: 1 - s,
    ],
)
def test_what_cannot_grow_ends_at_the_best_point(norm_at: Callable[[float], float]) -> None:
    line = Flat(norm_at)

    ascent = Climber(line, Plan(2.0, 8, math.inf)).climb(8)

    assert ascent.status is Status.GROWTH_NOT_REACHED
    assert ascent.grad_norm_sq[-1] == max(ascent.grad_norm_sq) == norm_at(line.place)
    assert line.place == pytest.approx(sum(ascent.lrs))
    assert len(ascent.lrs) == ascent.steps_done == len(ascent.loss) - 1


@given(st.floats(0.1, 10), st.floats(0, 10), st.floats(0, 10), st.floats(1.01, 100))
def test_a_cubic_is_found_at_once(a: float, b: float, c: float, aim: float) -> None:
    def value(s: float) -> float:
        return 1 + s * (a + s * (b + s * c))

    far = 2 * (aim - 1) / a
    trials = [Trial(s, value(s)) for s in (far, far / 3)]
    window = type("Window", (), {"aim": aim})()

    found = next_length(1.0, a, window, trials)

    low = 0.0 if value(far / 3) > aim else far / 3
    assert value(found) == pytest.approx(aim, rel=1e-6) or found < low + 0.51 * far


@pytest.mark.parametrize("growth", [1, 0.5, -2, math.nan, math.inf, "4", True, 1e400])
def test_no_growth_is_refused(growth: object) -> None:
    with pytest.raises(OptionError, match=r"expected growth to be a finite number > 1; got"):
        make("nullspace", growth=growth)


@pytest.mark.parametrize("lr", [0.01, 1.0])
def test_growth_goes_with_no_lr(lr: float) -> None:
    with pytest.raises(OptionError, match=r"expected growth without lr"):
        make("nullspace", growth=2, lr=lr)
    with pytest.raises(OptionError, match=r"expected growth without lr"):
        replace(make("nullspace", growth=2), lr=lr)
    with pytest.raises(OptionError, match=r"expected growth without lr"):
        replace(make("nullspace", lr=lr), growth=2)


def test_growth_survives_other_changes() -> None:
    method = make("nullspace", growth=torch.tensor(4))

    assert type(method.growth) is float
    assert replace(method, steps=2).growth == 4
    assert replace(make("nullspace"), growth=4) == method
    assert pickle.loads(pickle.dumps(method)) == method
    assert replace(pickle.loads(pickle.dumps(method)), steps=2).growth == 4
    assert (make("nullspace").lr, repr(make("nullspace").lr)) == (0.01, "0.01")
    assert replace(method, growth=None, lr=0.5).lr == 0.5


def test_who_cannot_grow_says_so() -> None:
    with pytest.raises(OptionError, match="expected no growth for these options of nullspace"):
        make("nullspace", growth=2, max_drift=0.1)
    with pytest.raises(OptionError, match="expected no growth for these options of symmetry"):
        make("symmetry", growth=2, published=True)
    for method in {*available()} - {"gauge", "nullspace", "rescale", "symmetry"}:
        with pytest.raises(OptionError, match=f"expected no growth for these options of {method}"):
            make(method, growth=2)


def test_operations_of_trials_are_not_known() -> None:
    for method in ("nullspace", "symmetry"):
        counted = [
            make(method, **options).operations([4, 8, 2], 3, bias=True, itemsize=4)
            for options in ({}, {"growth": 2})
        ]
        assert counted[0] is not None
        assert counted[1] is None
