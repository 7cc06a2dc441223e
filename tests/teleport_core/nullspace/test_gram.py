"""Bases from Gram matrices: what they span, and the rank where values are near the cut."""

import pytest
import torch
from oracles import svd_basis, with_ones

from teleport_core.nullspace.bases import gram
from teleport_core.nullspace.bases.gram import gram_bases
from teleport_core.nullspace.bases.resolution import independent, surely_full


@pytest.mark.parametrize("ones", [False, True])
@pytest.mark.parametrize("shape", [(5, 12), (12, 5), (8, 8), (1, 7), (7, 1)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gram_bases_span_the_inputs(shape: tuple[int, int], ones: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(shape, dtype=torch.float64).to(dtype)
    columns = with_ones(inputs) if ones else inputs

    Q = gram_bases([inputs], ones=ones)[0].vectors

    eps = torch.finfo(dtype).eps
    assert Q.shape == (columns.shape[0], min(columns.shape))
    assert (Q.T @ Q - torch.eye(Q.shape[1])).abs().max() < 20 * eps
    assert (columns - Q @ (Q.T @ columns)).norm() < 20 * eps * columns.norm()


@pytest.mark.parametrize("n", [3, 9])
def test_inputs_that_are_all_zero_span_nothing(n: int) -> None:
    assert gram_bases([torch.zeros(5, n)], ones=False)[0].vectors.shape == (5, 0)


@pytest.mark.parametrize(
    ("gap", "dtype", "rank"),
    [
        (1e-4, torch.float32, 5),
        (1e-7, torch.float32, 4),
        (1e-9, torch.float64, 5),
        (1e-15, torch.float64, 4),
        (0.0, torch.float64, 4),
        (0.0, torch.float32, 4),
    ],
)
def test_near_duplicates_are_decided_as_the_svd_decides(
    gap: float, dtype: torch.dtype, rank: int
) -> None:
    torch.manual_seed(0)
    inputs = torch.randn(40, 5, dtype=torch.float64)
    inputs[:, 4] = inputs[:, 3] + gap * torch.randn(40, dtype=torch.float64)
    inputs = inputs.to(dtype)

    Q = gram_bases([inputs], ones=False)[0].vectors

    assert Q.shape[1] == svd_basis(inputs, ones=False).shape[1] == rank
    assert (Q.T @ Q - torch.eye(rank)).abs().max() < 20 * torch.finfo(dtype).eps


def test_the_gram_matrix_is_not_asked_for_what_it_cannot_resolve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of the test above: without the fallback the rank comes out wrong."""
    torch.manual_seed(0)
    inputs = torch.randn(40, 5, dtype=torch.float64)
    inputs[:, 4] = inputs[:, 3] + 1e-9 * torch.randn(40, dtype=torch.float64)
    monkeypatch.setattr(gram, "undecided", lambda share, cut: False)

    Q = gram_bases([inputs], ones=False)[0].vectors

    assert Q.shape[1] != 5 or (Q.T @ Q - torch.eye(5)).abs().max() > 1e-10


def test_layers_with_and_without_dependent_samples_keep_their_own_bases() -> None:
    torch.manual_seed(0)
    layers = [torch.randn(9, 4, dtype=torch.float64) for _ in range(5)]
    layers[1][:, 3] = layers[1][:, 0]
    layers[3][:, 2:] = 0.0

    found = gram_bases(layers, ones=False)

    assert [Q.shape[1] for Q, _ in found] == [4, 3, 4, 2, 4]
    for inputs, (Q, K) in zip(layers, found, strict=True):
        torch.testing.assert_close(Q @ (Q.T @ inputs), inputs)
        torch.testing.assert_close(K, inputs.T @ inputs)


def test_where_cholesky_breaks_down_nothing_is_proved() -> None:
    """Its factor is finite all the same: only its own word tells."""
    indefinite = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)
    factor, info = torch.linalg.cholesky_ex(indefinite)
    assert int(info) > 0
    assert torch.isfinite(factor).all()

    assert independent(indefinite[None])[1] == [0.0]
    energy = torch.tensor([2.0], dtype=torch.float64)
    assert surely_full(indefinite[None], 1e-3, energy) == [False]
    assert surely_full(torch.eye(2, dtype=torch.float64)[None], 1e-3, energy) == [True]
