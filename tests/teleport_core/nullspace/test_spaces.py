"""Null spaces from pieces of a layer's inputs: right for any size of piece, in bounded memory."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from memory_counting import peak_bytes
from torch import Tensor, nn
from torch.nn import functional as F
from zoo import ZOO, build

from teleport_core import Problem, Status
from teleport_core.layers import Layer, linear_layers
from teleport_core.nullspace.bases import spaces as module
from teleport_core.nullspace.bases.resolution import surely_full
from teleport_core.nullspace.bases.spaces import Space, spaces
from teleport_core.projection import basis_of

STREAMED = [name for name, row in ZOO.items() if row.status is Status.DONE]


def projector(space: Space) -> Tensor:
    """I less the projector on the inputs."""
    return space.project(torch.eye(space.features, dtype=torch.float64))


def oracle(layer: Layer) -> Tensor:
    """The same from the SVD of the whole representation matrix."""
    B = basis_of(layer.representation(), "numerical", 1.0).vectors
    return torch.eye(len(B), dtype=B.dtype) - B @ B.T


@pytest.mark.parametrize("limit", [1, 7, 4096])
@pytest.mark.parametrize("name", STREAMED)
def test_pieces_of_any_size_give_the_space_of_the_whole(name: str, limit: int) -> None:
    for layer, space in zip(found := linear_layers(build(name)), spaces(found, limit), strict=True):
        if not space.free:
            assert torch.linalg.matrix_rank(layer.representation()) == space.features
        else:
            torch.testing.assert_close(projector(space), oracle(layer), rtol=0, atol=1e-6)


def one_layer(inputs: Tensor) -> Layer:
    """A linear layer that sees ``inputs`` [columns, features] above one that moves."""
    first = nn.Linear(inputs.shape[1], inputs.shape[1], bias=False).double()
    nn.init.eye_(first.weight)
    head = nn.Linear(inputs.shape[1], 3, bias=False).double()
    targets = torch.zeros(len(inputs), dtype=torch.int64)
    problem = Problem(nn.Sequential(first, head), F.cross_entropy, inputs, targets)
    return linear_layers(problem)[1]


def with_values(columns: int, sigma: list[float]) -> Tensor:
    """Inputs [columns, features] with these singular values."""
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(columns, len(sigma), generator=generator, dtype=torch.float64)
    left, _ = torch.linalg.qr(noise)
    right, _ = torch.linalg.qr(noise[: len(sigma)])
    return left * torch.tensor(sigma, dtype=torch.float64) @ right


@pytest.mark.parametrize(
    ("smallest", "free"), [(1e-3, 0), (1e-6, 0), (1e-9, 0), (1e-12, 0), (1e-17, 1), (0.0, 1)]
)
def test_values_that_a_gram_matrix_cannot_see_are_decided_all_the_same(
    smallest: float, free: int
) -> None:
    layer = one_layer(with_values(40, [1.0] * 7 + [smallest]))
    (space,) = spaces([layer], 16)
    assert space.free == free


def test_full_rank_is_proved_without_eigenvectors(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("eigenvectors were asked for")

    monkeypatch.setattr(torch.linalg, "eigh", refuse)
    assert spaces([one_layer(with_values(40, [1.0, 0.5, 0.25, 0.1]))], 16)[0].free == 0
    with pytest.raises(AssertionError, match="eigenvectors"):
        spaces([one_layer(with_values(40, [1.0, 0.5, 0.25, 0.0]))], 16)


def test_the_bound_that_proves_full_rank_is_one() -> None:
    for smallest in (0.5, 1e-2, 1e-4, 1e-6):
        values = [1.0, 0.7, 0.3, smallest]
        X = with_values(30, values)
        K, energy = (X.T @ X)[None], torch.tensor([sum(v * v for v in values)]).double()
        assert not surely_full(K, 1.01 * smallest, energy)[0]
        assert surely_full(K, 0.3 * smallest, energy)[0]
        assert not surely_full(K, 0.3 * smallest, 20 * energy)[0]


@pytest.mark.parametrize("n", [2, 60, 400])
def test_a_matrix_of_lower_rank_is_never_proved_full(n: int) -> None:
    """However large its size makes the rounding of the factor."""
    for seed in range(5):
        X = torch.randn(n - 1, n, dtype=torch.float64, generator=torch.manual_seed(seed))
        K = (X.T @ X)[None]
        assert not surely_full(K, 1e-12, X.square().sum()[None])[0]


def of_a_conv(conv: nn.Module, x: Tensor) -> Layer:
    model = nn.Sequential(conv.double(), nn.Flatten())
    loss = lambda o, t: o.square().sum()  # noqa: E731
    return linear_layers(Problem(model, loss, x.double(), None))[0]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "conv",
    [
        lambda bias: nn.Conv2d(4, 6, 3, padding=1, bias=bias),
        lambda bias: nn.Conv2d(4, 6, 3, stride=2, bias=bias),
        lambda bias: nn.Conv2d(4, 6, 5, stride=2, dilation=2, padding=4, bias=bias),
        lambda bias: nn.Conv2d(4, 6, (1, 3), stride=(3, 1), groups=2, bias=bias),
        lambda bias: nn.ConvTranspose2d(4, 6, 3, stride=2, bias=bias),
    ],
)
def test_the_energy_bounds_that_of_all_patches(conv: Any, bias: bool) -> None:
    x = torch.randn(3, 4, 11, 12)
    x[:, :, 1::2], x[..., 1::2] = 0, 0  # what is left is in more patches than most
    layer = of_a_conv(conv(bias), x)
    entries = torch.cat(list(layer.pieces(64)), 1).square().sum((1, 2))
    energy = layer.energy()
    assert energy is not None
    assert (energy >= entries * (1 - 1e-12)).all()
    assert (energy <= 10 * entries).all()


def test_columns_that_prove_that_nothing_is_free_are_enough() -> None:
    taken: list[int] = []

    def pieces(layer: Layer, limit: int) -> Iterator[Tensor]:
        for piece in Layer.pieces(layer, limit):
            taken.append(piece.shape[1])
            yield piece

    torch.manual_seed(0)
    layer = of_a_conv(nn.Conv2d(4, 6, 3), torch.randn(8, 4, 18, 18))
    layer.pieces = lambda limit: pieces(layer, limit)  # type: ignore[method-assign]
    assert spaces([layer], 64)[0].free == 0
    assert sum(taken) < 300 < 8 * 256

    taken.clear()
    dead = torch.randn(8, 4, 18, 18)
    dead[:, 1] = 0
    layer = of_a_conv(nn.Conv2d(4, 6, 3), dead)
    layer.pieces = lambda limit: pieces(layer, limit)  # type: ignore[method-assign]
    assert spaces([layer], 64)[0].free == 9
    assert sum(taken) >= 8 * 256


def test_both_halves_of_a_space_project_alike() -> None:
    # In float64 zeros are left to the QR factorisation, which gives a span.
    X = with_values(40, [1.0, 0.5, 0.2, 0.0, 0.0])
    space = module.of_grams((X.T @ X)[None], 40 * 1.2e-7, torch.float32)[0]
    assert space is not None
    assert space.rest is not None
    span, _ = torch.linalg.qr(X.T)
    G = torch.randn(3, 5)
    other = Space(5, 2, span=span[:, :3].float())
    torch.testing.assert_close(space.project(G), other.project(G), rtol=0, atol=1e-5)


class Convolved(nn.Module):
    """Two convolutions over a long line; the second one sees 9 * 12 features."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 12, 9, padding=4)
        self.second = nn.Conv1d(12, 4, 9, padding=4)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x))).mean(-1)


def test_memory_is_bounded_by_the_size_of_a_piece() -> None:
    torch.manual_seed(0)
    length = 30_000
    problem = Problem(Convolved(), F.cross_entropy, torch.randn(2, 1, length), torch.tensor([0, 1]))
    layer = linear_layers(problem)[1]
    features = 12 * 9 + 1
    whole = 2 * length * features * 4

    few, many = (peak_bytes(lambda at=at: spaces([layer], at)) for at in (512, 10 * length))

    assert many > whole
    # A piece, one with ones, a panel of it in float64, and the padded input.
    assert few < 512 * features * 8 * 4 + 2 * features**2 * 8 * 6 + 2 * layer.uses[0].x.nbytes
    assert few < whole / 5
    assert math.isclose(
        spaces([layer], 512)[0].free, spaces([layer], 10 * length)[0].free, abs_tol=0
    )


def test_few_columns_cost_little_more_than_themselves_and_their_basis() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 192, 3, padding=1), nn.Tanh(), nn.Conv2d(192, 4, 3, padding=1)
    ).double()
    inputs = torch.randn(2, 3, 24, 24, dtype=torch.float64)
    problem = Problem(model, lambda z, _: z.square().mean(), inputs, None)
    layer = linear_layers(problem)[1]
    samples = layer.representation().nbytes

    # The samples, the basis and its mended copy; Gram matrices are two thirds of one of them.
    assert peak_bytes(lambda: spaces([layer], 4096)) < 4.4 * samples


def test_a_gram_matrix_is_held_once() -> None:
    X = torch.randn(1, 8, 1024, dtype=torch.float64)
    held: list[Tensor] = []

    peak = peak_bytes(lambda: held.append(module.summed_gram(iter([X]), lambda _: False)))

    assert peak < 1.3 * held[0].nbytes
    torch.testing.assert_close(held[0], X.mT @ X)
