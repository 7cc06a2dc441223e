"""enorm: balanced ends of every unit, which is where a convex function is smallest."""

import copy
from itertools import pairwise

import pytest
import torch
from oracles import loss_and_grad_norm_sq
from rescale_nets import NETS
from small_problems import classification, mlp
from torch import Tensor, nn

from baselines.enorm.balance import Balance
from baselines.enorm.teleporter import EnormTeleporter
from teleport_core import Guarantee, OptionError, Problem, Status, make, teleport


def problem_of(name: str) -> Problem:
    net = NETS[name]
    return Problem(net.model(), lambda out, _: out.square().mean(), net.inputs(6), None)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_one_cycle_balances_one_hidden_layer_and_scales_its_bias(p: float) -> None:
    problem = classification([6, 9, 4], 5)
    before, bias = problem.output().detach(), problem.copy()["0.bias"]

    result = teleport(
        problem.model, problem.loss_fn, (problem.inputs, problem.targets), method="enorm", p=p,
        steps=1,
    )  # fmt: skip

    own = problem.detached()
    torch.testing.assert_close(
        own["0.weight"].norm(p, dim=1), own["2.weight"].norm(p, dim=0), rtol=1e-12, atol=0
    )
    assert result.guarantee is Guarantee.EXACT_EVERYWHERE
    torch.testing.assert_close(own["0.bias"], bias * result.scales()["0.bias"])
    torch.testing.assert_close(problem.output(), before, rtol=1e-12, atol=1e-14)
    assert result.grad_norm_sq[-1] == pytest.approx(loss_and_grad_norm_sq(problem)[1], rel=1e-12)


def minimum(scaling_total: "Total", t: Tensor) -> float:
    """By torch's own second-order method."""
    t = t.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([t], max_iter=500, tolerance_grad=1e-12, tolerance_change=0.0,
                                  line_search_fn="strong_wolfe")  # fmt: skip

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = scaling_total(t)
        value.backward()
        return value

    optimizer.step(closure)
    return float(scaling_total(t.detach()))


class Total:
    """sum W^2 of the moved weights themselves."""

    def __init__(self, problem: Problem, scaling: object) -> None:
        self.own, self.scaling = problem.copy(), scaling

    def __call__(self, t: Tensor) -> Tensor:
        moved = self.scaling.moved(self.own, t)  # type: ignore[attr-defined]
        return sum(w.square().sum() for w in moved.values() if w.dim() > 1)  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["mlp", "convolutions", "depthwise", "recurrent", "coupled"])
def test_every_cycle_leads_down_to_the_one_minimum(name: str) -> None:
    problem = problem_of("recurrent" if name == "coupled" else name)
    if name == "coupled":
        # Two units feed each other far more than anything else feeds them, and each itself.
        with torch.no_grad():
            problem.model.goes_on.weight[:2, :2] = torch.tensor([[3.0, 1.0], [0.8, 3.0]])
    state = EnormTeleporter().prepare(problem)
    balance, total = Balance(state.scaling, problem.copy(), 2.0), Total(problem, state.scaling)
    # Far from the balance to begin with.
    t = torch.linspace(-2, 2, state.scaling.count, dtype=torch.float64)
    values = [float(total(t))]
    for _ in range(200):
        t = balance.cycle(t)
        values.append(float(total(t)))

    assert all(after <= before * (1 + 1e-14) for before, after in pairwise(values))
    assert values[0] > 1.5 * values[-1]
    assert values[-1] == pytest.approx(minimum(total, t * 0), rel=1e-9)
    into, out = balance.ends(t)
    torch.testing.assert_close(into[1:], out[1:], rtol=1e-6, atol=0)


def test_units_that_feed_each_other_meet_half_way() -> None:
    """A whole step of both would lead to the other side of the valley, and back."""
    problem = problem_of("recurrent")
    with torch.no_grad():
        problem.model.goes_on.weight[:2, :2] = torch.tensor([[0.0, 30.0], [20.0, 0.0]])
    balance = Balance(EnormTeleporter().prepare(problem).scaling, problem.copy(), 2.0)
    t = torch.tensor([-1.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)

    for _ in range(3):
        t = balance.cycle(t)

    assert 2 * 30 * 20 < balance.total(t) < 1.05 * 2 * 30 * 20


def test_units_behind_a_batch_norm_keep_their_scale() -> None:
    problem = problem_of("resnet")
    start = copy.deepcopy(problem.model)

    result = teleport(problem.model, problem.loss_fn, (problem.inputs, None), method="enorm")

    assert result.status is Status.DONE
    assert result.log_tau == [0.0] * NETS["resnet"].free
    assert all(map(torch.equal, problem.model.parameters(), start.parameters()))


def test_dead_weights_are_left_alone() -> None:
    model = mlp([6, 5, 3])
    nn.init.zeros_(model[0].weight[1])
    problem = Problem(model, lambda out, _: out.square().mean(), torch.ones(2, 6).double(), None)

    result = teleport(problem.model, problem.loss_fn, (problem.inputs, None), method="enorm")

    assert result.log_tau[1] == 0.0
    assert 0.0 not in (result.log_tau[0], *result.log_tau[2:])


@pytest.mark.parametrize("p", [0, float("inf")])
def test_a_p_without_one_minimum_is_refused(p: float) -> None:
    with pytest.raises(OptionError, match="expected p to be"):
        make("enorm", p=p)
