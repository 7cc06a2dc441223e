"""The fast engine against the textbook one: the same step, the same endings."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import pytest
import torch
from by_onednn import every_product_by_onednn
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import identical, output_change, snapshot, svd_basis
from small_problems import ACTIVATIONS, batch, classification, mlp, regression, residual
from torch import nn
from torch.nn import functional as F

from teleport_core import OptionError, Problem, Status, TeleportResult, make
from teleport_core.layers import linear_layers
from teleport_core.nullspace.bases.gram import GramBasis
from teleport_core.nullspace.engine import EngineState
from teleport_core.nullspace.half_hvp import forward
from teleport_core.nullspace.half_hvp import layer as frozen
from teleport_core.nullspace.half_hvp.cap_rule import Decision
from teleport_core.nullspace.half_hvp.schedule import Schedule
from teleport_core.objectives.gradient import gradient_at, objective_gradient


@st.composite
def problems(draw: st.DrawFn) -> Callable[[torch.dtype], Problem]:
    """Random stacks: depth 1-6, widths 1-64, any batch, duplicated samples, dead units."""
    depth = draw(st.integers(1, 6))
    widths = draw(st.lists(st.integers(1, 64), min_size=depth + 1, max_size=depth + 1))
    n = draw(st.integers(1, 80))
    bias, seed = draw(st.booleans()), draw(st.integers(0, 10**6))
    activation = ACTIVATIONS[draw(st.sampled_from(list(ACTIVATIONS)))]
    copies, dead = draw(st.integers(0, 3)), draw(st.booleans())
    squared = draw(st.booleans()) or widths[-1] == 1

    def build(dtype: torch.dtype) -> Problem:
        model = mlp(widths, activation, bias=bias, seed=seed)
        inputs, targets = batch(n, widths[0], widths[-1], seed=seed)
        inputs[: min(copies, n - 1)] = inputs[n - 1]
        if dead and depth > 1:
            with torch.no_grad():
                model[0].weight[: widths[1] // 2] = 0.0
        inputs, model = inputs.to(dtype), model.to(dtype)
        if squared:
            values = torch.sin(inputs.sum(1, keepdim=True)).expand(-1, widths[-1])
            return Problem(model, F.mse_loss, inputs, values.contiguous())
        return Problem(model, F.cross_entropy, inputs, targets)

    return build


def run(problem: Problem, engine: str, **options: Any) -> TeleportResult:
    teleporter = make("nullspace", engine=engine, **options)
    return teleporter.advance(problem, teleporter.prepare(problem))


def scale_of_step(problem: Problem) -> dict[str, float]:
    """||[H g]_l|| for every movable layer."""
    counted = problem.counted()
    leaves = {k: v.clone().requires_grad_(True) for k, v in problem.detached().items()}
    _, gradient = gradient_at(problem, leaves, counted, differentiable=True)
    full = objective_gradient(leaves, gradient, counted)
    return {
        layer.weight: float(layer.gather(full).norm().detach()) for layer in linear_layers(problem)
    }


def shared_bases(problem: Problem) -> Callable[..., list[GramBasis]]:
    """Stands in for ``gram_bases`` and hands out the textbook engine's bases, layer by layer.

    Where a spectrum decays through the cut, the singular vectors next to it are noise, and each
    engine's own rounding turns them: only with one decision for both are the steps comparable.
    """
    state = make("nullspace", engine="textbook").prepare(problem)
    pairs = zip(state.layers, state.bases, strict=True)
    bases = [(layer, basis.vectors) for layer, basis in pairs if not layer.data_fed]

    def basis_of_same(x: torch.Tensor, *, ones: bool) -> torch.Tensor:
        for layer, vectors in bases:
            seen = layer.representation()[: layer.representation().shape[0] - ones]
            alike = (layer.bias is not None) == ones and seen.shape == x.shape
            if alike and (seen - x).norm() <= 1e-12 * x.norm():
                return vectors
        return svd_basis(x, ones=ones)  # a layer fed by data alone, whose status needs a look

    def shared(inputs: Sequence[torch.Tensor], *, ones: bool) -> list[GramBasis]:
        return [GramBasis(basis_of_same(x, ones=ones), None) for x in inputs]

    return shared


def odd(m: int, b: torch.Tensor) -> bool:
    """Some products and not others: of one layer, of one batch."""
    return bool((m + 3 * b.shape[0] + 5 * b.shape[1]) % 2)


BY_ONEDNN = {
    "none": nullcontext,
    "some": lambda: every_product_by_onednn(but=odd),
    "all": every_product_by_onednn,
}


def assert_same_step(
    build: Callable[[torch.dtype], Problem], dtype: torch.dtype, *, onednn: str
) -> None:
    """One step of both engines differs by rounding of lr ||[H g]_l||."""
    slow, fast = build(dtype), build(dtype)
    before, scales = snapshot(slow), scale_of_step(slow)
    lr = 0.1

    expected = run(slow, "textbook", steps=1, lr=lr)
    with BY_ONEDNN[onednn]():
        result = run(fast, "half_hvp", steps=1, lr=lr)

    if result.status is not expected.status:
        # Where rounding is all that is left, one may take a step of that size; see below.
        assert {result.status, expected.status} == {Status.DONE, Status.NO_ASCENT_DIRECTION}
    assert result.null_dims == expected.null_dims
    tolerance = 1e-10 if dtype is torch.float64 else 1e-4
    if result.status is expected.status is Status.DONE:
        assert result.grad_norm_sq[0] == pytest.approx(expected.grad_norm_sq[0], rel=tolerance)
    for layer in linear_layers(slow):
        for name in filter(None, (layer.weight, layer.bias)):
            difference = (slow.detached()[name] - fast.detached()[name]).norm()
            rounding = 4 * torch.finfo(dtype).eps * before[name].norm()
            assert difference <= tolerance * lr * scales[layer.weight] + rounding


@settings(max_examples=300, deadline=None)
@given(problems(), st.sampled_from(["none", "some", "all"]))
def test_engines_agree_where_the_rank_decision_is_shared(
    build: Callable[[torch.dtype], Problem], onednn: str
) -> None:
    shared = shared_bases(build(torch.float64))
    with patch.object(forward, "gram_bases", shared), patch.object(frozen, "gram_bases", shared):
        assert_same_step(build, torch.float64, onednn=onednn)


@settings(max_examples=150, deadline=None)
@given(
    problems(),
    st.sampled_from([torch.float64, torch.float32]),
    st.sampled_from(["none", "some", "all"]),
)
def test_engines_agree_on_their_own_where_no_rank_is_in_doubt(
    build: Callable[[torch.dtype], Problem], dtype: torch.dtype, onednn: str
) -> None:
    problem = build(dtype)
    lowest = 1e-6 if dtype is torch.float64 else 1e-4
    for layer in linear_layers(problem):
        share = torch.linalg.svdvals(layer.representation().double())
        share = share / share[0]
        if bool(((share > 1e-16 * max(layer.representation().shape)) & (share < lowest)).any()):
            return
    assert_same_step(build, dtype, onednn=onednn)


STEPS = 8


@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from([torch.float64, torch.float32]))
def test_outputs_stay_for_eight_steps(
    build: Callable[[torch.dtype], Problem], dtype: torch.dtype
) -> None:
    """At a first step of 1e-2 of the weights' size, and a gradient that grows up to 100-fold."""
    problem = build(dtype)
    before = problem.output().detach()
    sizes = scale_of_step(problem)
    weights = problem.detached()
    lr = min(
        (1e-2 * float(weights[name].norm()) / size for name, size in sizes.items() if size > 0),
        default=1e-2,
    )

    result = run(problem, "half_hvp", steps=STEPS, lr=max(lr, 1e-12))

    tolerance = 1e-10 if dtype is torch.float64 else 1e-5
    if result.status is not Status.DONE or float(before.abs().max()) < 1e-3:
        return
    # Rounding of weights that have grown without bound is not what is tested.
    if result.grad_norm_sq[STEPS - 1] <= 100 * result.grad_norm_sq[0]:
        assert output_change(problem, before) <= tolerance


@pytest.mark.parametrize("engine", ["textbook", "half_hvp"])
@pytest.mark.parametrize(
    ("build", "options", "status"),
    [
        (lambda: classification([9, 8, 7, 4], 5, nn.Tanh), {}, Status.DONE),
        (lambda: classification([9, 8, 7, 4], 5, nn.Tanh), {"cap": 1e-9}, Status.CAPPED),
        (lambda: classification([5, 4, 4, 3], 12, nn.Tanh), {}, Status.NO_NULL_SPACE),
        (lambda: classification([20, 5], 6), {}, Status.NO_ASCENT_DIRECTION),
        (lambda: classification([20, 4, 4, 3], 12, nn.Tanh), {}, Status.NO_ASCENT_DIRECTION),
        (lambda: regression([6, 9, 9, 2], 4, nn.Softplus), {"lr": 50.0}, Status.NON_FINITE),
        (lambda: regression([6, 9, 9, 2], 4, nn.Softplus), {"lr": 1e200}, Status.NON_FINITE),
    ],
)
def test_both_engines_end_the_same_way(
    engine: str, build: Callable[[], Problem], options: dict[str, Any], status: Status
) -> None:
    problem, twin = build(), build()
    before = snapshot(problem)

    result = run(problem, engine, steps=20, **options)
    other = run(twin, "textbook", steps=20, **options)

    assert result.status is status
    assert result.null_dims == other.null_dims
    # The textbook engine sees a loss overflow one step before the norm does.
    assert result.steps_done - other.steps_done in ((0, 1) if status is Status.NON_FINITE else (0,))
    assert len(result.loss) == len(result.grad_norm_sq) == result.steps_done + 1
    assert result.loss[0] == pytest.approx(other.loss[0], nan_ok=True) or status in (
        Status.NO_NULL_SPACE,
        Status.NO_ASCENT_DIRECTION,
    )
    if not result.steps_done:
        assert identical(problem, before)


def test_norms_along_the_way_are_those_of_the_textbook() -> None:
    slow, fast = (classification([9, 8, 7, 4], 5, nn.Tanh) for _ in range(2))

    expected, result = (run(p, e, steps=6, lr=0.5) for p, e in ((slow, "textbook"), (fast, "auto")))

    assert result.grad_norm_sq[:6] == pytest.approx(expected.grad_norm_sq[:6], rel=1e-9)
    assert result.loss[0] == pytest.approx(expected.loss[0], rel=1e-12)


def test_cap_stops_both_engines_at_the_same_step() -> None:
    norms = run(classification([9, 8, 7, 4], 5, nn.Tanh), "textbook", steps=6, lr=1.0).grad_norm_sq
    ends = [
        run(classification([9, 8, 7, 4], 5, nn.Tanh), e, steps=6, lr=1.0, cap=norms[3] * 0.999)
        for e in ("textbook", "half_hvp")
    ]

    assert ends[0].steps_done == ends[1].steps_done == 3
    assert ends[1].grad_norm_sq == pytest.approx(norms[:4], rel=1e-9)


@pytest.mark.parametrize("lr", [50.0, 1e200])
def test_divergence_goes_back_to_the_last_finite_step_bit_for_bit(lr: float) -> None:
    problem = regression([6, 9, 9, 2], 4, nn.Softplus)
    result = run(problem, "half_hvp", steps=50, lr=lr)
    replay = regression([6, 9, 9, 2], 4, nn.Softplus)

    if result.steps_done:
        run(replay, "half_hvp", steps=result.steps_done, lr=lr)

    assert result.status is Status.NON_FINITE
    assert identical(problem, snapshot(replay))


@pytest.mark.parametrize("frozen_part", ["0", "2", "4.weight", "2.bias", "0.weight"])
def test_frozen_parameters_neither_move_nor_count(frozen_part: str) -> None:
    ends = []
    for engine in ("textbook", "half_hvp"):
        problem = classification([9, 8, 7, 4], 5, nn.Tanh)
        for name, parameter in problem.model.named_parameters():
            if name.startswith(frozen_part):
                parameter.requires_grad_(False)
        result = run(problem, engine, steps=4, lr=0.3)
        ends.append((result, snapshot(problem)))

    (expected, slow), (result, fast) = ends
    assert result.null_dims == expected.null_dims
    assert result.grad_norm_sq[:4] == pytest.approx(expected.grad_norm_sq[:4], rel=1e-9)
    assert all(torch.allclose(slow[k], fast[k], rtol=0, atol=1e-11) for k in slow)


def test_tokens_are_columns_and_activations_may_follow_each_other() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(2),
        nn.Sequential(nn.Linear(12, 10), nn.Dropout(0.5), nn.ReLU(inplace=True), nn.Tanh()),
        nn.Identity(),
        nn.Linear(10, 9, bias=False),
        nn.Linear(9, 3),
    ).double()
    model.eval()
    inputs, targets = batch(6, 12, 3)

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        assert output.shape == (2, 3, 3)
        return F.cross_entropy(output.reshape(-1, 3), target.reshape(-1))

    ends = []
    for engine in ("textbook", "half_hvp"):
        import copy

        twin = copy.deepcopy(model)
        shaped = inputs.reshape(2, 3, 3, 4)
        problem = Problem(twin, loss, shaped, targets.reshape(2, 3))
        assert run(problem, engine, steps=4, lr=0.3).status is Status.DONE
        ends.append(snapshot(problem))
    assert all(torch.allclose(ends[0][k], ends[1][k], rtol=0, atol=1e-11) for k in ends[0])


def test_auto_takes_the_fast_engine_exactly_where_it_applies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from teleport_core.nullspace.half_hvp import engine as half_hvp
    from teleport_core.nullspace.traced import engine as traced

    used: list[str] = []
    for name, engine in {"half": half_hvp, "traced": traced}.items():

        def prepare(*args: Any, name: str = name, wrapped: Any = engine.prepare) -> Any:
            state = wrapped(*args)
            if isinstance(state, EngineState):
                used.append(name)
            return state

        monkeypatch.setattr(engine, "prepare", prepare)

    run(classification([9, 8, 7, 4], 5), "auto")
    run(residual(), "auto", lr=1e-3)
    assert used == ["half", "traced"]
    run(classification([9, 8, 7, 4], 5), "auto", tau=0.9)
    run(classification([9, 8, 7, 4], 5), "auto", rank_rule="gpm")
    assert used == ["half", "traced"]


def test_below_one_the_fast_engine_says_why_it_does_not_apply() -> None:
    with pytest.raises(OptionError, match=r"expected tau=1 .* got tau=0.9 with rank_rule='energy'"):
        make("nullspace", engine="half_hvp", tau=0.9)


@pytest.mark.parametrize("onednn", BY_ONEDNN)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("n", [5, 9])
def test_layers_of_one_shape_keep_each_its_own_basis(n: int, bias: bool, onednn: str) -> None:
    def build(dtype: torch.dtype) -> Problem:
        problem = classification([9, 8, 8, 8, 8, 4], n, nn.Tanh, bias=bias, dtype=dtype)
        with torch.no_grad():
            problem.model[2].weight[3:] = problem.model[2].weight[2]  # fewer ranks above
        return problem

    assert_same_step(build, torch.float64, onednn=onednn)


@pytest.mark.parametrize("onednn", BY_ONEDNN)
def test_the_loss_sees_outputs_that_lie_as_the_models_do(onednn: str) -> None:
    problem = classification([9, 8, 7, 4], 5, nn.Tanh)
    seen: list[tuple[int, ...]] = []

    def loss_fn(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(output.stride())
        return problem.loss_fn(output.view(-1).view(5, 4), targets)

    flat = Problem(problem.model, loss_fn, problem.inputs, problem.targets)
    with BY_ONEDNN[onednn]():
        assert run(flat, "half_hvp", steps=2, lr=0.1).status is Status.DONE
    assert set(seen) == {(4, 1)}


def test_samples_lie_as_the_products_want_them() -> None:
    problem = classification([9, 8, 7, 4], 5, nn.Tanh)

    rows = make("nullspace").prepare(problem).layers
    with every_product_by_onednn():
        columns = make("nullspace").prepare(problem).layers

    assert all(x.is_contiguous() for layer in rows for x in (layer.D, layer.along, layer.tangent))
    assert all(layer.slope.is_contiguous() for layer in rows[:-1])
    for layer in columns:
        assert all(x.T.is_contiguous() for x in (layer.D, layer.slope, layer.tangent))


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_exception_between_two_steps_leaves_everything_as_it_was(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = classification([9, 8, 7, 4], 5, nn.Tanh)
    before, seen = snapshot(problem), []
    original = Schedule._project

    def fails_at_the_third_step(schedule: Schedule, decision: Decision, *, first: bool) -> bool:
        seen.append(identical(problem, before))
        if len(seen) == 3:
            raise error
        return original(schedule, decision, first=first)

    monkeypatch.setattr(Schedule, "_project", fails_at_the_third_step)

    with pytest.raises(error):
        run(problem, "half_hvp", steps=8, lr=0.5)

    assert seen == [True, False, False]
    assert identical(problem, before)
