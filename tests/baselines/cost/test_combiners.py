import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from baselines.cost.combiners import cagrad, fairgrad, mean
from baselines.cost.trigger import dominated_conflict
from teleport_core.errors import ProblemError


def gradients(tasks, seed):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.logspace(-1, 1, tasks, dtype=torch.float64)[:, None]
    return sizes * torch.randn(tasks, 12, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("tasks", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_cagrad_solves_its_subproblem_as_well_as_scipy(tasks, seed):
    G, c = gradients(tasks, seed), 0.4
    A, g0 = G.numpy(), G.mean(0).numpy()
    radius = c * np.linalg.norm(g0)

    def value(w):
        return w @ A @ g0 + radius * np.linalg.norm(w @ A)

    best = minimize(
        value,
        np.full(tasks, 1 / tasks),
        bounds=[(0, 1)] * tasks,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    mixed = best.x @ A
    expected = g0 + radius * mixed / np.linalg.norm(mixed)
    np.testing.assert_allclose(cagrad(G, c).numpy(), expected, atol=1e-4 * np.linalg.norm(g0))
    # Strong duality: the worst improvement of a task is the subproblem's minimum.
    assert (G @ cagrad(G, c)).min().item() == pytest.approx(best.fun, rel=1e-5, abs=1e-6)


def test_cagrad_without_room_is_the_mean():
    G = gradients(3, 0)
    torch.testing.assert_close(cagrad(G, 0.0), mean(G))


@pytest.mark.parametrize("tasks", [2, 3, 7])
def test_fairgrad_gives_weights_whose_products_are_their_inverses(tasks):
    G = gradients(tasks, tasks)
    gains = G @ fairgrad(G)  # (G G^T) w, which is 1/w
    torch.testing.assert_close((1 / gains) @ G, fairgrad(G), rtol=1e-9, atol=1e-9)
    assert (gains > 0).all()


def test_fairgrad_refuses_opposed_gradients():
    g = gradients(2, 0)[0]
    with pytest.raises(ProblemError, match="common direction of descent"):
        fairgrad(torch.stack([g, -2 * g]))


def test_conflict_is_that_of_the_weakest_task_alone():
    strong, weak = torch.tensor([3.0, 0.0]), torch.tensor([-1.0, 0.5])
    assert dominated_conflict(torch.stack([strong, weak]))
    assert not dominated_conflict(torch.stack([strong, -weak]))
    # The mean points against the larger of two, and not against the smallest.
    others = torch.tensor([[3.0, 0.0], [3.0, 0.0], [-4.0, 0.0], [0.0, 1.0]])
    assert others[2] @ others.mean(0) < 0
    assert not dominated_conflict(others)
