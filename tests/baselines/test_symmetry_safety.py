"""After an error, a cap or a divergence the parameters are what they were; calls repeat."""

import copy

import pytest
import torch
from oracles import identical, loss_and_grad_norm_sq, output_change, snapshot
from small_problems import batch, classification, mlp
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from teleport_core import Guarantee, OptionError, Problem, ProblemError, Status, TeleportResult

VARIANTS = [
    {"acts_on": acts_on, "published": published}
    for acts_on in ("preactivations", "activations")
    for published in (False, True)
]
every_variant = pytest.mark.parametrize(
    "variant", VARIANTS, ids=["2023", "2023-published", "2022", "2022-published"]
)


def build() -> Problem:
    return classification([20, 16, 12, 5], 8, lambda: nn.LeakyReLU(0.1), bias=False)


def advance(problem: Problem, **options: object) -> TeleportResult:
    method = teleport_core.make("symmetry", **options)
    return method.advance(problem, method.prepare(problem))


class FailsAt:
    """A loss that is NaN, or raises, on its call number ``call`` (from 0) alone."""

    def __init__(self, call: int, *, raises: bool = False) -> None:
        self.call, self.raises, self.calls = call, raises, 0

    def __call__(self, output: Tensor, targets: Tensor) -> Tensor:
        self.calls += 1
        loss = F.cross_entropy(output, targets)
        if self.calls != self.call + 1:
            return loss
        if self.raises:
            raise ZeroDivisionError
        return loss * float("nan")


@every_variant
def test_an_exception_midway_leaves_the_parameters(variant: dict[str, object]) -> None:
    problem = build()
    failing = Problem(problem.model, FailsAt(3, raises=True), problem.inputs, problem.targets)
    before = snapshot(problem)

    with pytest.raises(ZeroDivisionError):
        advance(failing, lr=0.02, **variant)

    assert identical(problem, before)


@every_variant
@pytest.mark.parametrize("visit", [0, 1, 3])
def test_a_nan_loss_takes_back_the_step_that_led_to_it(
    variant: dict[str, object], visit: int
) -> None:
    problem, twin = build(), build()
    failing = Problem(problem.model, FailsAt(visit), problem.inputs, problem.targets)

    result = advance(failing, lr=0.02, **variant)

    assert result.status is Status.NON_FINITE
    assert result.steps_done == max(visit - 1, 0)
    if result.steps_done:
        advance(twin, lr=0.02, steps=result.steps_done, **variant)
    assert identical(problem, snapshot(twin))


@every_variant
@pytest.mark.parametrize("lr", [1e60, 1e300])
def test_divergence_ends_at_finite_parameters(variant: dict[str, object], lr: float) -> None:
    problem = build()

    result = advance(problem, lr=lr, **variant)

    assert result.status is Status.NON_FINITE
    assert result.steps_done < 8
    assert all(bool(torch.isfinite(p).all()) for p in problem.model.parameters())


@every_variant
def test_a_last_step_that_diverged_is_taken_back(variant: dict[str, object]) -> None:
    """With one step the point before it is the start, whose storage has been written."""
    problem = build()
    before = snapshot(problem)
    calls = 3  # two checks and the visit of the start

    result = teleport_core.teleport(
        problem.model,
        FailsAt(calls),
        (problem.inputs, problem.targets),
        method="symmetry",
        steps=1,
        lr=0.02,
        **variant,
    )

    assert result.status is Status.NON_FINITE
    assert result.steps_done == 0
    assert identical(problem, before)


@every_variant
def test_a_cap_below_the_start_leaves_the_parameters(variant: dict[str, object]) -> None:
    problem = build()
    before = snapshot(problem)

    result = advance(problem, cap=1e-3, **variant)

    assert result.status is Status.CAPPED
    assert result.steps_done == 0
    assert len(result.loss) == len(result.grad_norm_sq) == 1
    assert identical(problem, before)


def test_cap_is_compared_with_the_norm_of_the_models_own_weights() -> None:
    """The papers' formula projects weights at g = I; ||g||^2 would fall from 0.27 to 0.17 here."""
    problem = build()
    _, norm = loss_and_grad_norm_sq(problem)
    before = snapshot(problem)

    assert advance(problem, cap=0.9 * norm).status is Status.CAPPED
    assert identical(problem, before)
    assert advance(problem, cap=1.1 * norm, lr=1e-3, steps=2).status is Status.DONE


@every_variant
def test_parameters_and_optimizer_stay_the_users_objects(variant: dict[str, object]) -> None:
    problem = build()
    optimizer = torch.optim.SGD(problem.model.parameters(), lr=0.1)
    objects = list(problem.model.parameters())
    addresses = [p.data_ptr() for p in objects]

    advance(problem, lr=0.02, **variant)

    after = list(problem.model.parameters())
    assert all(a is b for a, b in zip(objects, after, strict=True))
    assert addresses == [p.data_ptr() for p in after]
    assert all(p.requires_grad and p.grad is None and p.is_leaf for p in after)
    moved = snapshot(problem)
    problem.loss().backward()
    optimizer.step()
    assert not identical(problem, moved)


@every_variant
def test_two_calls_give_the_same_result(variant: dict[str, object]) -> None:
    problem = build()
    twin = copy.deepcopy(problem)
    first, second = (repr(advance(p, lr=0.02, **variant)) for p in (problem, twin))
    assert first == second
    assert identical(problem, snapshot(twin))


@every_variant
def test_works_where_gradients_are_switched_off(variant: dict[str, object]) -> None:
    problem, twin = build(), build()
    advance(twin, lr=0.02, **variant)
    with torch.no_grad():
        advance(problem, lr=0.02, **variant)
    assert identical(problem, snapshot(twin))


@every_variant
def test_depth_one_has_no_hidden_layer_to_act_on(variant: dict[str, object]) -> None:
    inputs, targets = batch(4, 6, 3)
    problem = Problem(mlp([6, 3], bias=False), F.cross_entropy, inputs, targets)
    before = snapshot(problem)

    result = advance(problem, **variant)

    assert result.status is Status.NO_ASCENT_DIRECTION
    assert result.guarantee is Guarantee.EXACT_EVERYWHERE
    assert result.steps_done == 0
    assert identical(problem, before)


def test_zero_gradient_is_no_ascent_direction() -> None:
    problem = build()
    flat = Problem(problem.model, lambda y, _: 0.0 * y.sum(), problem.inputs, problem.targets)
    before = snapshot(problem)

    assert advance(flat).status is Status.NO_ASCENT_DIRECTION
    assert identical(problem, before)


def test_a_loss_without_gradient_is_refused() -> None:
    problem = build()
    cut = Problem(
        problem.model, lambda y, _: y.detach().square().sum(), problem.inputs, problem.targets
    )
    before = snapshot(problem)
    with pytest.raises(ProblemError, match=r"expected a loss that depends on.*do not detach"):
        advance(cut)
    assert identical(problem, before)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"acts_on": "weights"}, r"expected acts_on to be one of preactivations, activations"),
        ({"published": 1}, r"expected published to be True or False; got 1"),
        ({"publish": True}, r"did you mean 'published'"),
        ({"steps": 0}, r"expected steps to be a whole number >= 1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        teleport_core.make("symmetry", **options)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_variant
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_steps_on_a_gpu(variant: dict[str, object], dtype: torch.dtype) -> None:
    host, device = build(), build()
    host.model.to(dtype)
    device.model.to("cuda", dtype)
    host = Problem(host.model, host.loss_fn, host.inputs.to(dtype), host.targets)
    device = Problem(device.model, device.loss_fn, host.inputs.to("cuda"), host.targets.to("cuda"))
    with torch.no_grad():
        before = device.output()

    on_host = advance(host, lr=0.02, steps=3, **variant)
    on_device = advance(device, lr=0.02, steps=3, **variant)

    assert on_host.status is on_device.status is Status.DONE
    tolerance = 2000 * torch.finfo(dtype).eps
    if not variant["published"]:
        assert output_change(device, before) < tolerance
    for a, b in zip(host.model.parameters(), device.model.parameters(), strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=tolerance, atol=tolerance)
