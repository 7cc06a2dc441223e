import pytest
import torch
from oracles import null_space_projector
from torch import Tensor, nn

from teleport_core import ProblemError, teleport
from teleport_core.projection import basis_of, project


@pytest.fixture(params=["tall", "wide", "duplicates"])
def representation(request: pytest.FixtureRequest) -> torch.Tensor:
    torch.manual_seed(0)
    shape = {"tall": (12, 5), "wide": (6, 9), "duplicates": (12, 5)}[request.param]
    matrix = torch.randn(*shape, dtype=torch.float64)
    if request.param == "duplicates":
        matrix[:, 3] = matrix[:, 1]
    return matrix


def test_projection_annihilates_the_inputs(representation: torch.Tensor) -> None:
    gradient = torch.randn(4, representation.shape[0], dtype=torch.float64)
    basis = basis_of(representation, "numerical", 1.0)

    moved = project(gradient, basis.vectors)

    assert (moved @ representation).norm() <= 1e-13 * gradient.norm() * representation.norm()


def test_projection_is_idempotent_and_self_adjoint(representation: torch.Tensor) -> None:
    basis = basis_of(representation, "numerical", 1.0).vectors
    a, b = torch.randn(2, 3, representation.shape[0], dtype=torch.float64)

    once = project(a, basis)

    assert (project(once, basis) - once).norm() <= 1e-14 * a.norm()
    assert abs((once * b).sum() - (a * project(b, basis)).sum()) <= 1e-13


def test_projection_equals_the_dense_pseudo_inverse(representation: torch.Tensor) -> None:
    gradient = torch.randn(4, representation.shape[0], dtype=torch.float64)
    basis = basis_of(representation, "numerical", 1.0)

    expected = gradient @ null_space_projector(representation.T)

    torch.testing.assert_close(project(gradient, basis.vectors), expected, atol=1e-12, rtol=0)


def test_free_dimensions_are_features_minus_rank() -> None:
    matrix = torch.randn(12, 5, dtype=torch.float64)
    matrix[:, 3] = matrix[:, 1]

    assert basis_of(matrix, "numerical", 1.0).free == 12 - 4


@pytest.mark.parametrize("tau", [0.5, 0.9, 0.99])
def test_residual_bounds_what_is_left_of_the_inputs(tau: float) -> None:
    torch.manual_seed(1)
    matrix = torch.randn(15, 10, dtype=torch.float64) * torch.logspace(0, -3, 10)
    basis = basis_of(matrix, "energy", tau)
    update = project(torch.randn(4, 15, dtype=torch.float64), basis.vectors)

    left = matrix - basis.vectors @ (basis.vectors.T @ matrix)

    assert (update @ matrix).norm() <= update.norm() * basis.residual * (1 + 1e-12)
    assert left.square().sum() <= (1 - tau) * matrix.square().sum() * (1 + 1e-12)
    assert basis.residual > 0


@pytest.mark.parametrize("engine", ["auto", "textbook"])
@pytest.mark.parametrize("n", [3, 40])
@pytest.mark.parametrize("plain", [True, False])
def test_an_overflow_inside_the_model_is_named(engine: str, n: int, plain: bool) -> None:
    """``plain``: a stack of linear layers, else any module."""

    class Halved(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / 2

    def capped(output: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output.nan_to_num(0.0, 1.0, -1.0), targets)

    middle = nn.ReLU() if plain else Halved()
    model = nn.Sequential(nn.Linear(4, 6), middle, nn.Linear(6, 3))
    with torch.no_grad():
        model[0].bias.fill_(3e38)
        model[0].weight.mul_(1e38)
    before = [p.clone() for p in model.parameters()]
    x, y = 1e3 * torch.ones(n, 4), torch.zeros(n, dtype=torch.int64)

    with pytest.raises(ProblemError, match="got non-finite values inside the model"):
        teleport(model, capped, (x, y), engine=engine)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
