"""pathcond: the diagonal by counting paths, the minimum by torch's own second-order method."""

from itertools import pairwise, product
from typing import Any

import pytest
import torch
from oracles import loss_and_grad_norm_sq
from rescale_nets import NETS
from small_problems import mlp
from torch import Tensor, nn

from baselines.pathcond.kernel import PathKernel
from baselines.pathcond.paths import path_diagonal
from baselines.pathcond.teleporter import PathCondTeleporter, PathState
from teleport_core import Guarantee, ModelError, Problem, Status, teleport

MOVED = ["mlp", "convolutions", "depthwise", "recurrent", "by hand"]


def problem_of(name: str) -> Problem:
    net = NETS[name]
    return Problem(net.model(), lambda out, _: out.square().mean(), net.inputs(6), None)


def run(problem: Problem, **options: object) -> Any:
    batch = (problem.inputs, problem.targets)
    return teleport(problem.model, problem.loss_fn, batch, method="pathcond", **options)


def counted_paths(model: nn.Sequential) -> dict[str, Tensor]:
    """Of a stack of linear layers: every path from an input or a bias, one after the other."""
    layers = [module for module in model if isinstance(module, nn.Linear)]
    names = [f"{k}" for k, module in enumerate(model) if isinstance(module, nn.Linear)]
    found = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    widths = [layers[0].in_features, *(layer.out_features for layer in layers)]
    for begin in range(len(layers)):
        for units in product(*(range(width) for width in widths[begin + 1 :])):
            for first in [None, *range(widths[begin])]:
                if first is not None and begin > 0:
                    continue  # only inputs begin paths by a weight
                edges = [(f"{names[begin]}.bias", (units[0],))]
                if first is not None:
                    edges = [(f"{names[begin]}.weight", (units[0], first))]
                for k, (below, above) in enumerate(pairwise(units)):
                    edges.append((f"{names[begin + 1 + k]}.weight", (above, below)))
                own = dict(model.named_parameters())
                squares = [float(own[name][place].detach()) ** 2 for name, place in edges]
                for at, (name, place) in enumerate(edges):
                    rest = torch.tensor(squares[:at] + squares[at + 1 :], dtype=torch.float64)
                    found[name][place] += rest.prod()
    return {name: value.detach() for name, value in found.items()}


def test_the_diagonal_counts_every_path() -> None:
    model = mlp([3, 4, 2, 3])
    problem = Problem(model, lambda out, _: out.square().mean(), torch.randn(5, 3).double(), None)

    found = path_diagonal(problem)

    for name, expected in counted_paths(model).items():
        torch.testing.assert_close(found[name], expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", MOVED)
def test_the_diagonal_of_the_moved_net_is_divided_by_the_squares(name: str) -> None:
    problem = problem_of(name)
    before = path_diagonal(problem)

    result = run(problem, steps=2)

    scales = result.scales()
    for key, after in path_diagonal(problem).items():
        s = scales.get(key, torch.ones((), dtype=torch.float64))
        torch.testing.assert_close(after * s**2, before[key], rtol=1e-10, atol=1e-300)


def minimum(kernel: PathKernel, t: Tensor) -> float:
    """By torch's own second-order method."""
    t = t.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([t], max_iter=500, tolerance_grad=1e-12, tolerance_change=0.0,
                                  line_search_fn="strong_wolfe")  # fmt: skip

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = kernel.value(t)
        value.backward()
        return value

    optimizer.step(closure)
    return float(kernel.value(t.detach()))


@pytest.mark.parametrize("name", MOVED)
def test_every_cycle_leads_down_to_the_one_minimum(name: str) -> None:
    problem = problem_of(name)
    state = PathCondTeleporter().prepare(problem)
    assert isinstance(state, PathState)
    kernel, t = state.kernel, state.norm.start
    assert kernel is not None
    values = [float(kernel.value(t))]
    for _ in range(60):
        t = kernel.cycle(t)
        values.append(float(kernel.value(t)))

    assert all(after <= before + 1e-10 for before, after in pairwise(values))
    assert values[0] - values[1] > 1e-3
    assert values[-1] == pytest.approx(minimum(kernel, state.norm.start), abs=1e-6)


def test_one_scale_at_its_best_by_a_fine_search() -> None:
    model = mlp([3, 1, 2])
    problem = Problem(model, lambda out, _: out.square().mean(), torch.randn(5, 3).double(), None)
    state = PathCondTeleporter().prepare(problem)
    assert state.kernel is not None

    (best,) = state.kernel.cycle(state.norm.start).tolist()

    tried = torch.linspace(-3, 3, 3001, dtype=torch.float64)
    values = torch.stack([state.kernel.value(t.view(1)) for t in tried])
    assert best == pytest.approx(float(tried[values.argmin()]), abs=2e-3)


@pytest.mark.parametrize("name", MOVED)
def test_outputs_stay_for_every_input(name: str) -> None:
    problem, others = problem_of(name), NETS[name].inputs(8, seed=2)
    before = problem.model(others).detach()

    result = run(problem, steps=3)

    assert result.status is Status.DONE
    assert result.guarantee is Guarantee.EXACT_EVERYWHERE
    assert max(map(abs, result.log_tau)) > 1e-2
    change = (problem.model(others).detach() - before).abs().max()
    assert float(change / before.abs().max()) < 1e-12
    norm_sq = loss_and_grad_norm_sq(problem)[1]
    assert result.grad_norm_sq[-1] == pytest.approx(norm_sq, rel=1e-10)


def test_a_unit_without_paths_keeps_its_scale() -> None:
    problem = Problem(mlp([3, 4, 2]), lambda out, _: out.square().mean(), torch.ones(2, 3).double(),
                      None)  # fmt: skip
    with torch.no_grad():
        problem.model[2].weight[:, 1] = 0.0

    result = run(problem, steps=1)

    assert [t == 0 for t in result.log_tau] == [False, True, False, False]


def test_what_has_no_paths_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"sums over paths; 1 is a BatchNorm2d, which divides"):
        run(problem_of("batch norm"))
    table = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    inputs = torch.tensor([1, 2])
    with pytest.raises(ModelError, match=r"one tensor of real numbers, .*got one of torch.int64"):
        run(Problem(table, lambda out, _: out.square().mean(), inputs, None))
