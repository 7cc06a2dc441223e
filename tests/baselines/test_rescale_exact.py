"""rescale on every kind of net: outputs stay for all data, gradients transform as they should."""

import copy
from typing import Any

import pytest
import torch
from oracles import identical, loss_and_grad_norm_sq
from rescale_nets import NETS
from torch import Tensor, nn

import teleport_core
from baselines.rescale.teleporter import RescaleTeleporter
from teleport_core import Guarantee, Problem, Status


def smooth(output: Tensor, targets: Any) -> Tensor:
    return (output.square() + output).mean()


def close(one: Tensor, other: Tensor, size: float = 0.0) -> bool:
    """To 1e-12 of the largest entry, or of a size."""
    one, other = one.detach(), other.detach()
    return float((one - other).abs().max()) <= 1e-12 * max(float(other.abs().max()), size)


def gradients(model: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    model = copy.deepcopy(model)  # running statistics are of no account
    named = dict(model.named_parameters())
    values = torch.autograd.grad(smooth(model(inputs), None), list(named.values()))
    return dict(zip(named, values, strict=True))


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", list(NETS))
def test_outputs_stay_everywhere_and_gradients_are_divided(name: str, train: bool) -> None:
    net = NETS[name]
    model = net.model().train(train)
    start, batch, others = copy.deepcopy(model), net.inputs(6), net.inputs(8, seed=2)
    options = {"method": "rescale", "policy": "random", "bound": 0.9, "steps": 1}

    result = teleport_core.teleport(model, smooth, (batch, None), **options)

    assert result.status is Status.DONE
    assert result.guarantee is Guarantee.EXACT_EVERYWHERE
    assert len(result.log_tau) == net.free
    scales = result.scales()
    assert min(float((s - 1).abs().max()) for s in scales.values()) > 0.05
    for key, value in start.named_parameters():
        moved = dict(model.named_parameters())[key]
        assert close(moved, value * scales.get(key, torch.ones(())))
        assert (key in result.held) == (key not in scales) == torch.equal(moved, value)
    for key, value in start.named_buffers():
        assert torch.equal(dict(model.named_buffers())[key], value)
    before, after = gradients(start, batch), gradients(model, batch)
    size = max(float(g.abs().max()) for g in before.values())  # that of a bias below a norm is 0
    for key, gradient in after.items():
        assert close(gradient * scales.get(key, torch.ones(())), before[key], size)
    for data in (batch, others):
        assert close(copy.deepcopy(model)(data), copy.deepcopy(start)(data))


@pytest.mark.parametrize("name", ["resnet", "recurrent", "transposed"])
def test_the_closed_form_is_the_norm_of_the_moved_model(name: str) -> None:
    net = NETS[name]
    problem = Problem(net.model(), smooth, net.inputs(6), None)
    method = RescaleTeleporter(policy="random", bound=0.9, steps=3)

    state = method.prepare(problem)
    result = method.advance(problem, state)

    assert result.grad_norm_sq[-1] == pytest.approx(loss_and_grad_norm_sq(problem)[1], rel=1e-12)
    assert len(set(result.grad_norm_sq)) == 4
    slope = state.norm.slope(state.norm.start)
    for k, direction in enumerate(torch.eye(len(slope), dtype=torch.float64)[:4]):
        up, down = (float(state.norm.at(step * direction)) for step in (1e-5, -1e-5))
        assert (up - down) / 4e-5 == pytest.approx(float(slope[k]), rel=1e-6, abs=1e-9)


def test_one_forward_and_one_backward_pass_whatever_the_steps() -> None:
    net = NETS["mlp"]
    model, passes = net.model(), [0]
    model.register_forward_hook(lambda *_: passes.__setitem__(0, passes[0] + 1))
    problem = Problem(model, smooth, net.inputs(6), None)
    for options in ({"lr": 0.1}, {"growth": 1.2}, {"policy": "best_of"}):
        method, passes[0] = RescaleTeleporter(steps=7, **options), 0

        method.advance(problem, method.prepare(problem))

        assert passes == [1]


def test_a_single_layer_has_no_unit_to_scale() -> None:
    model = nn.Linear(4, 3).double()
    problem = Problem(model, smooth, torch.randn(5, 4).double(), None)
    before = {key: value.clone() for key, value in model.state_dict().items()}

    result = teleport_core.teleport(model, smooth, (problem.inputs, None), method="rescale")

    assert (result.status, result.steps_done) == (Status.NO_ASCENT_DIRECTION, 0)
    assert identical(problem, before)


def test_hooks_on_parameters_change_nothing() -> None:
    net = NETS["mlp"]
    model, twin = net.model(), net.model()
    for parameter in model.parameters():
        parameter.register_hook(lambda gradient: 100 * gradient)

    for each in (model, twin):
        teleport_core.teleport(each, smooth, (net.inputs(6), None), method="rescale", lr=0.1)

    assert all(map(torch.equal, model.parameters(), twin.parameters()))


def test_in_float32_the_outputs_stay_to_its_rounding() -> None:
    net = NETS["resnet"]
    model, batch = net.model().float(), net.inputs(6).float()

    result = teleport_core.teleport(model, smooth, (batch, None), method="rescale", growth=2)

    assert result.status is Status.DONE
    assert result.output_change < 1e-5
