"""Every architecture in one table: exact on the batch, and the same step by three derivations."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from by_onednn import every_product_by_onednn
from oracles import identical, output_change, snapshot
from torch import Tensor
from torch.func import grad, jvp
from zoo import ZOO, build

from teleport_core import Guarantee, Problem, Status, TeleportResult, make, teleport
from teleport_core.layers import Layer, linear_layers
from teleport_core.layers.differentiable_twice import twice_differentiable
from teleport_core.nullspace import textbook
from teleport_core.nullspace.bases.spaces import Space
from teleport_core.nullspace.engine import Climb
from teleport_core.nullspace.textbook import TextbookState
from teleport_core.nullspace.traced import engine as traced
from teleport_core.nullspace.traced.engine import TracedState
from teleport_core.objectives.gradient import gradient_at, objective_gradient
from teleport_core.problem import Parameters
from teleport_core.projection import project

pytestmark = [
    # Torch's own: rules of forward mode are scripted; a hint about padding of even kernels.
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning"),
]

STEPS = 8
MOVING = [name for name, row in ZOO.items() if row.status is Status.DONE]


def run(problem: Problem, **options: Any) -> TeleportResult:
    batch = (problem.inputs, problem.targets)
    return teleport(problem.model, problem.loss_fn, batch, steps=STEPS, **options)


def lr_that_grows(name: str) -> tuple[float, Problem, TeleportResult, Tensor]:
    """The first of a few learning rates at which ||g||^2 grows, and nowhere a hundredfold."""
    for lr in (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
        problem = build(name)
        before = problem.output().detach()
        result = run(problem, lr=lr)
        growth = [norm / result.grad_norm_sq[0] for norm in result.grad_norm_sq]
        if result.status is Status.DONE and growth[-1] > 1.0001 and max(growth) < 100:
            return lr, problem, result, before
    raise AssertionError(f"no learning rate makes {name} grow")


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.filterwarnings("ignore::teleport_core.TeleportWarning")  # so far, rounding shows
def test_outputs_stay_while_the_gradient_grows(name: str) -> None:
    _, problem, result, before = lr_that_grows(name)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.steps_done == STEPS
    assert output_change(problem, before) < 1e-10
    assert result.loss[-1] == pytest.approx(result.loss[0], rel=1e-10)
    assert result.grad_norm_sq == sorted(result.grad_norm_sq)
    assert any(any(free) for free in result.null_dims.values() if free)


@pytest.mark.parametrize("name", [name for name in ZOO if name not in MOVING])
@pytest.mark.parametrize("engine", ["half_hvp", "textbook"])
def test_where_nothing_can_move_the_status_says_so(name: str, engine: str) -> None:
    problem = build(name)
    before = snapshot(problem)

    result = run(problem, engine=engine, lr=1.0)

    assert result.status is ZOO[name].status
    assert identical(problem, before)


@pytest.fixture
def shared_bases(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[TextbookState]]:
    """The fast engine takes the bases of the textbook engine that prepared last.

    Next to the cut singular vectors are noise: only with one decision are the steps comparable.
    """
    states: list[TextbookState] = []

    def spaces(layers: list[Layer], limit: int) -> list[Space]:
        del limit
        (state,) = states
        found = {
            (layer.weight, layer.part, layer.group): Space(
                basis.features, basis.free, span=basis.vectors
            )
            for layer, basis in zip(state.layers, state.bases, strict=True)
        }
        return [found[layer.weight, layer.part, layer.group] for layer in layers]

    monkeypatch.setattr(traced, "spaces", spaces)
    return states


def objective_gradients(problem: Problem) -> Parameters:
    """H g for every counted parameter by double backward."""
    counted = problem.counted()
    leaves = {k: v.clone().requires_grad_(True) for k, v in problem.detached().items()}
    with twice_differentiable():
        _, gradient = gradient_at(problem, leaves, counted, differentiable=True)
        return objective_gradient(leaves, gradient, counted)


def assert_moved(
    problem: Problem, before: Parameters, expected: list[Tensor], full: Parameters, lr: float
) -> None:
    """Every layer moved by lr times ``expected``, to 1e-9 of lr ||[H g]_l||."""
    after = problem.detached()
    for layer, update in zip(linear_layers(problem), expected, strict=True):
        moved = layer.gather(after) - layer.gather(before)
        rounding = 8 * torch.finfo(torch.float64).eps * layer.gather(before).norm()
        scale = lr * layer.gather(full).norm()
        assert (moved - lr * update).norm() <= 1e-9 * scale + rounding, layer.weight


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("name", MOVING)
def test_engines_take_the_same_step(
    name: str, shared_bases: list[TextbookState], *, onednn: bool
) -> None:
    problem = build(name)
    shared_bases.append(textbook.prepare(problem, Climb(published=True)))
    before, full, lr = snapshot(problem), objective_gradients(problem), 0.01
    fast = make("nullspace", steps=1, lr=lr, engine="half_hvp")
    slow = make("nullspace", steps=1, lr=lr, engine="textbook")

    with every_product_by_onednn() if onednn else nullcontext():
        state = fast.prepare(problem)
        result = fast.advance(problem, state)
    moved = snapshot(problem)
    problem.write({k: before[k] for k in problem.parameters()})
    expected = slow.advance(problem, shared_bases[0])

    assert isinstance(state, TracedState)
    assert result.null_dims == expected.null_dims
    assert result.held == expected.held
    assert result.grad_norm_sq[0] == pytest.approx(expected.grad_norm_sq[0], rel=1e-12)
    updates = [(x.gather(moved) - x.gather(before)) / lr for x in shared_bases[0].layers]
    assert_moved(problem, before, updates, full, lr)


@pytest.mark.parametrize("name", [n for n in MOVING if ZOO[n].forward_mode])
def test_the_step_is_the_projection_of_h_g_by_forward_mode(
    name: str, shared_bases: list[TextbookState]
) -> None:
    """H g as the tangent of the gradient along itself: no double backward anywhere."""
    problem = build(name)
    before, counted = snapshot(problem), problem.counted()
    shared_bases.append(textbook.prepare(problem, Climb(published=True)))
    state, lr = shared_bases[0], 0.01
    rest = {k: v for k, v in problem.detached().items() if k not in counted}

    def gradient(values: Parameters) -> Parameters:
        return grad(lambda v: problem.loss(rest | v))(values)

    with twice_differentiable():
        start = {name: before[name] for name in counted}
        g = gradient(start)
        _, full = jvp(gradient, (start,), (g,))
    expected = [
        layer.keep_rows(project(layer.gather(full), basis.vectors))
        for layer, basis in zip(state.layers, state.bases, strict=True)
    ]

    teleporter = make("nullspace", steps=1, lr=lr)
    teleporter.advance(problem, teleporter.prepare(problem))

    assert_moved(problem, before, expected, full, lr)


def test_the_table_has_the_rows_that_were_promised() -> None:
    assert len(ZOO) >= 25
    assert len(MOVING) >= 25
    assert {"gpt2", "bert", "vit", "lstm", "gru", "state-space", "mlp-mixer"} <= set(MOVING)
