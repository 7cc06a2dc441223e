"""l1 and nuclear norms with their derivatives, against sign and SVD."""

import pytest
import torch
from torch import Tensor

from teleport_core.objectives.l1 import L1, sign
from teleport_core.objectives.nuclear import Nuclear, polar, small_range

ALONE: dict[str, Tensor] = {}


def svd_polar(matrix: Tensor) -> Tensor:
    """U V^T over the numerical range: slow and exact."""
    U, S, Vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    rank = int((1e-12 * S[0] < S).sum())
    return U[:, :rank] @ Vh[:rank]


def matrix_of(sigma: Tensor, rows: int, columns: int) -> Tensor:
    left, _ = torch.linalg.qr(torch.randn(rows, len(sigma), dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(columns, len(sigma), dtype=torch.float64))
    return left @ torch.diag(sigma) @ right.T


@pytest.mark.parametrize(("rows", "columns"), [(6, 6), (4, 9), (9, 4), (1, 5), (5, 1)])
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e20])
def test_the_polar_factor_is_that_of_the_svd(rows: int, columns: int, scale: float) -> None:
    torch.manual_seed(rows)
    sigma = torch.logspace(0, -3, min(rows, columns), dtype=torch.float64)

    matrix = matrix_of(sigma, rows, columns)

    assert (polar(scale * matrix) - svd_polar(matrix)).norm() < 1e-9


@pytest.mark.parametrize(("rank", "rows", "columns"), [(1, 7, 5), (3, 8, 8), (2, 3, 11)])
def test_of_a_deficient_matrix_it_is_that_of_the_range(rank: int, rows: int, columns: int) -> None:
    torch.manual_seed(rank)
    matrix = torch.randn(rows, rank, dtype=torch.float64) @ torch.randn(rank, columns).double()

    assert (polar(matrix) - svd_polar(matrix)).norm() < 1e-9
    assert (polar(matrix.float()).double() - svd_polar(matrix)).norm() < 0.02


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("rank", "rows", "columns"), [(9, 70, 80), (30, 90, 200), (20, 300, 128)])
def test_of_a_small_range_it_is_computed_in_it(
    rank: int, rows: int, columns: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(rank)
    sigma = torch.logspace(0, -2, rank, dtype=torch.float64)
    whole = matrix_of(sigma, rows, columns)
    matrix = whole.to(dtype)
    wide = matrix.T if rows > columns else matrix

    found = small_range(wide)

    few = 4 * rank < len(wide)
    assert (found is not None) == few
    if found is not None:
        assert found.shape[1] <= max(16, 2 * rank)
    off = (polar(matrix).double() - svd_polar(whole)).norm()
    assert off < (1e-9 if dtype is torch.float64 else 1e-2)


def test_a_whole_range_is_no_small_one() -> None:
    torch.manual_seed(0)
    matrix = matrix_of(torch.logspace(0, -3, 64, dtype=torch.float64), 64, 100)

    assert small_range(matrix) is None
    assert (polar(matrix) - svd_polar(matrix)).norm() < 1e-9


def test_every_singular_value_ends_where_the_docstring_says() -> None:
    torch.manual_seed(0)
    sigma = torch.logspace(0, -12, 25, dtype=torch.float64)
    matrix = matrix_of(sigma, 30, 26)

    found = torch.linalg.svdvals(polar(matrix))

    share = sigma / sigma.norm()
    large = share > 1e-4
    ends = torch.sort(found, descending=True).values[: len(sigma)]
    assert (ends[: int(large.sum())] - 1).abs().max() < 1e-10
    assert float(ends.max()) <= 1 + 1e-10
    assert bool((ends[share < 1e-9] <= 7.2e4 * share[share < 1e-9] + 1e-10).all())
    value, _ = Nuclear().value_and_slope({"w": matrix}, ALONE)
    missing = float(sigma.sum()) - value
    assert 0 <= missing <= int((~large).sum()) * 1e-4 * float(sigma.norm())


def test_the_nuclear_objective_takes_matrices_as_muon_does_and_the_rest_by_l1() -> None:
    torch.manual_seed(1)
    parts = {
        "matrix": torch.randn(5, 7, dtype=torch.float64),
        "convolution": torch.randn(4, 3, 2, 2, dtype=torch.float64),
        "bias": torch.randn(6, dtype=torch.float64),
        "scale": torch.tensor(-2.0, dtype=torch.float64),
        "nothing": torch.zeros(0, 3, dtype=torch.float64),
        "zero": torch.zeros(3, 3, dtype=torch.float64),
    }

    value, slope = Nuclear().value_and_slope(parts, ALONE)

    flat = parts["convolution"].reshape(4, 12)
    norms = torch.linalg.svdvals(parts["matrix"]).sum() + torch.linalg.svdvals(flat).sum()
    assert value == pytest.approx(float(norms + parts["bias"].abs().sum()) + 2.0, rel=1e-12)
    assert torch.allclose(slope["convolution"].reshape(4, 12), svd_polar(flat), atol=1e-10)
    assert torch.equal(slope["bias"], parts["bias"].sign())
    assert float(slope["scale"]) == -1.0
    assert not slope["zero"].any()
    assert all(slope[name].shape == part.shape for name, part in parts.items())


@pytest.mark.parametrize("objective", [L1(), Nuclear()])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_the_slope_is_the_derivative(objective: L1 | Nuclear, dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    g = {"w": torch.randn(4, 6, dtype=dtype), "b": torch.randn(5, dtype=dtype)}
    along = {name: torch.randn_like(part) for name, part in g.items()}
    _, slope = objective.value_and_slope(g, ALONE)

    ends = [
        objective.value_and_slope({n: g[n] + h * along[n] for n in g}, ALONE)[0]
        for h in (1e-6, -1e-6)
    ]

    expected = sum(float((slope[n].conj() * along[n]).real.sum()) for n in g)
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(expected, rel=1e-6)


def test_rounding_has_no_sign() -> None:
    values = torch.tensor([2.0, -3e-13, 4e-12, 0.0, -1.0], dtype=torch.float64)

    assert sign(values).tolist() == [1.0, 0.0, 1.0, 0.0, -1.0]
    assert sign(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert L1().value_and_slope({"w": values}, ALONE)[0] == pytest.approx(3.0)


def test_few_digits_are_computed_with_more() -> None:
    torch.manual_seed(3)
    matrix = torch.randn(8, 12)

    found = polar(matrix.bfloat16())

    assert found.dtype is torch.bfloat16
    assert (found.double() - svd_polar(matrix.bfloat16())).norm() < 0.02
