"""The same calls on a GPU as on the host: every method, every architecture, every ending."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import identical, output_change, snapshot
from small_problems import CASES, classification
from test_conformance import METHODS
from torch import nn
from torch.utils._pytree import tree_map_only
from zoo import ZOO, build

from teleport_core import Guarantee, ModelError, Problem, Status, TeleportResult, make, teleport
from teleport_core.nullspace.half_hvp.cuda_graph import Recorded, recordings_of
from teleport_core.nullspace.half_hvp.engine import HalfHvpState

DEVICE = "cuda"
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    # Torch's own: a hint about padding of even kernels.
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning"),
]


def moved(problem: Problem) -> Problem:
    """The problem with everything on the GPU."""
    inputs, targets = tree_map_only(
        torch.Tensor, lambda value: value.to(DEVICE), (problem.inputs, problem.targets)
    )
    return Problem(problem.model.to(DEVICE), problem.loss_fn, inputs, targets)


def call(problem: Problem, **options: Any) -> TeleportResult:
    return teleport(problem.model, problem.loss_fn, (problem.inputs, problem.targets), **options)


def assert_alike(device: TeleportResult, host: TeleportResult) -> None:
    assert (device.status, device.steps_done) == (host.status, host.steps_done)
    assert device.null_dims == host.null_dims
    assert device.held == host.held
    assert device.grad_norm_sq == pytest.approx(host.grad_norm_sq, rel=1e-6, nan_ok=True)
    assert device.loss == pytest.approx(host.loss, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("method", list(METHODS))
def test_every_method(case: str, method: str) -> None:
    name, options = METHODS[method]
    problem = moved(CASES[case].build())
    before = snapshot(problem)
    try:
        host = call(CASES[case].build(), method=name, lr=1e-3, **options)
    except ModelError as error:
        with pytest.raises(ModelError) as refused:
            call(problem, method=name, lr=1e-3, **options)
        assert str(refused.value) == str(error)
        assert identical(problem, before)
        return
    output = problem.output().detach()

    result = call(problem, method=name, lr=1e-3, **options)

    assert_alike(result, host)
    if result.guarantee is Guarantee.EXACT_ON_BATCH:
        assert output_change(problem, output) < 1e-10


@pytest.mark.parametrize("name", list(ZOO))
def test_every_architecture(name: str) -> None:
    problem = moved(build(name))
    output = problem.output().detach()

    host = call(build(name), lr=1e-4)
    result = call(problem, lr=1e-4)

    assert result.status is ZOO[name].status
    assert_alike(result, host)
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert output_change(problem, output) < 1e-10


def tanh_net() -> Problem:
    return classification([9, 8, 8, 7, 4], 5, nn.Tanh)


ENDINGS: dict[str, tuple[Callable[[], Problem], dict[str, Any], Status]] = {
    "done": (tanh_net, {"lr": 0.05}, Status.DONE),
    "projected product": (
        lambda: classification([9, 300, 11], 256, nn.Tanh), {"lr": 0.5}, Status.DONE,
    ),
    "capped at once": (tanh_net, {"cap": 1e-9}, Status.CAPPED),
    "capped later": (tanh_net, {"lr": 3.0, "cap": 1.5}, Status.CAPPED),
    "diverges at once": (tanh_net, {"lr": 1e200, "steps": 50}, Status.NON_FINITE),
}  # fmt: skip


@pytest.mark.parametrize("ending", list(ENDINGS))
def test_a_graph_ends_as_the_host_does(ending: str) -> None:
    build_problem, options, status = ENDINGS[ending]
    problem, host = moved(build_problem()), build_problem()
    teleporters = [make("nullspace", engine="half_hvp", **options) for _ in range(2)]

    state = teleporters[0].prepare(problem)
    result = teleporters[0].advance(problem, state)
    expected = teleporters[1].advance(host, teleporters[1].prepare(host))

    assert isinstance(state, HalfHvpState)
    assert isinstance(state.loop, Recorded)
    assert result.status is expected.status is status
    assert result.steps_done == expected.steps_done
    assert result.grad_norm_sq == pytest.approx(expected.grad_norm_sq, rel=1e-6, nan_ok=True)
    for name, value in snapshot(host).items():
        torch.testing.assert_close(snapshot(problem)[name].cpu(), value, rtol=1e-6, atol=1e-9)


def test_batches_of_one_shape_share_a_graph() -> None:
    made = make("nullspace", lr=0.05)
    shared, host = moved(tanh_net()), tanh_net()
    generator = torch.Generator().manual_seed(1)
    loops = []
    for _ in range(3):
        inputs = torch.randn(5, 9, dtype=torch.float64, generator=generator)
        problem = Problem(shared.model, shared.loss_fn, inputs.to(DEVICE), shared.targets)
        state = made.prepare(problem)
        made.advance(problem, state)
        loops.append(state.loop)
        del state
        call(Problem(host.model, host.loss_fn, inputs, host.targets), lr=0.05)

    assert loops[0] is loops[1] is loops[2]
    for name, value in snapshot(host).items():
        torch.testing.assert_close(snapshot(shared)[name].cpu(), value, rtol=1e-6, atol=1e-9)


def test_calls_of_one_shape_share_a_graph() -> None:
    problem = moved(tanh_net())
    for _ in range(3):
        call(problem, lr=0.05)
    assert len(recordings_of(problem.model)._kept) == 1


def test_an_exception_leaves_the_parameters_bit_for_bit() -> None:
    problem = moved(tanh_net())
    before, calls = snapshot(problem), []

    def breaks(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(output, targets)

    broken = Problem(problem.model, breaks, problem.inputs, problem.targets)
    with pytest.raises(KeyboardInterrupt):
        call(broken, lr=0.5)
    assert identical(problem, before)


@pytest.mark.parametrize("columns", [16, 64])
def test_float32_stays_exact_at_the_width_of_the_paper(columns: int) -> None:
    """TF32 would change outputs by 1e-3; the products here are float32's own."""
    problem = moved(classification([784, 512, 512, 10], columns, nn.ReLU, dtype=torch.float32))
    result = call(problem, lr=0.005)
    assert result.status is Status.DONE
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.output_change < 1e-4
