import pytest
import torch
from oracles import loss_and_grad_norm_sq
from small_problems import CASES

from teleport_core import Guarantee, OptionError, Status, teleport


def moved_by(seed: int, displacement: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    """(the move as one vector, outputs after minus before)."""
    problem = CASES["leaky-no-bias"].build()
    before, outputs = problem.copy(), problem.output().detach()
    options = {"displacement": displacement, "seed": seed}
    batch = (problem.inputs, problem.targets)
    result = teleport(problem.model, problem.loss_fn, batch, method="random", **options)
    assert (result.status, result.guarantee) == (Status.DONE, Guarantee.EXACT_ON_BATCH)
    after = problem.copy()
    move = torch.cat([(after[name] - before[name]).flatten() for name in before])
    return move, problem.output().detach() - outputs


def test_it_moves_so_far_and_changes_no_output() -> None:
    move, change = moved_by(seed=0)

    assert float(move.norm()) == pytest.approx(0.5, rel=1e-12)
    assert float(change.abs().max()) < 1e-12


def test_a_seed_is_a_direction() -> None:
    one, again, other = moved_by(0)[0], moved_by(0)[0], moved_by(1)[0]

    assert torch.equal(one, again)
    cosine = float(one @ other / one.norm() / other.norm())
    assert abs(cosine) < 0.9


def test_the_direction_is_none_of_the_gradient() -> None:
    """Of ||g||^2 a random direction raises as often as it lowers."""
    signs = []
    for seed in range(12):
        problem = CASES["leaky-no-bias"].build()
        batch = (problem.inputs, problem.targets)
        options = {"displacement": 1e-3, "seed": seed}
        before = loss_and_grad_norm_sq(problem)[1]
        teleport(problem.model, problem.loss_fn, batch, method="random", **options)
        signs.append(loss_and_grad_norm_sq(problem)[1] > before)

    assert 1 <= sum(signs) <= 11


def test_where_nothing_is_free_nothing_moves() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    generator = torch.Generator().manual_seed(0)
    batch = (torch.randn(64, 3, generator=generator), torch.zeros(64, dtype=torch.long))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}

    with torch.no_grad():
        model[0].bias += 2.0
        before["0.bias"] = model[0].bias.detach().clone()
    result = teleport(model, torch.nn.functional.cross_entropy, batch, method="random")

    assert result.status is Status.NO_NULL_SPACE
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize(
    "options", [{"displacement": 0.0}, {"seed": -1}, {"growth": 4.0}, {"lr": 0.1}]
)
def test_bad_options_are_refused(options: dict[str, float]) -> None:
    problem = CASES["leaky-no-bias"].build()
    with pytest.raises(OptionError, match="expected"):
        teleport(
            problem.model,
            problem.loss_fn,
            (problem.inputs, problem.targets),
            method="random",
            **options,
        )
