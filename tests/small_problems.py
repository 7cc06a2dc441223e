"""Small problems that every method is tried on; a new problem is a new entry."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Problem

ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky": lambda: nn.LeakyReLU(0.1),
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "none": nn.Identity,
}


def mlp(
    widths: list[int],
    activation: Callable[[], nn.Module] = nn.ReLU,
    *,
    bias: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        layers.append(nn.Linear(fan_in, fan_out, bias=bias))
        if i + 2 < len(widths):
            layers.append(activation())
    return nn.Sequential(*layers).to(dtype)


def batch(
    n: int, features: int, classes: int, *, seed: int = 1, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, features, generator=generator, dtype=torch.float64).to(dtype)
    return inputs, torch.randint(0, classes, (n,), generator=generator)


def classification(
    widths: list[int],
    n: int,
    activation: Callable[[], nn.Module] = nn.ReLU,
    *,
    bias: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Problem:
    model = mlp(widths, activation, bias=bias, seed=seed, dtype=dtype)
    inputs, targets = batch(n, widths[0], widths[-1], seed=seed + 1, dtype=dtype)
    return Problem(model, F.cross_entropy, inputs, targets)


def regression(widths: list[int], n: int, activation: Callable[[], nn.Module]) -> Problem:
    model = mlp(widths, activation, seed=3)
    inputs, _ = batch(n, widths[0], 2, seed=4)
    targets = torch.sin(inputs[:, :1]).expand(-1, widths[-1]).clone()
    return Problem(model, F.mse_loss, inputs, targets)


class Residual(nn.Module):
    """Linear layers that are called by hand, a skip connection, batch norm in train mode."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 16)
        self.norm = nn.BatchNorm1d(16)
        self.inner = nn.Linear(16, 16)
        self.last = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.norm(self.first(x)))
        return self.last(h + torch.tanh(self.inner(h)))


def residual() -> Problem:
    torch.manual_seed(5)
    inputs, targets = batch(6, 12, 5, seed=6)
    return Problem(Residual().double(), F.cross_entropy, inputs, targets)


class SelfAttention(nn.Module):
    """Two heads over two tokens, without a residual sum."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(12, 2, batch_first=True)
        self.last = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.unflatten(1, (2, 12))
        return self.last(
            self.attention(tokens, tokens, tokens, need_weights=False)[0].tanh().sum(1)
        )


def self_attention() -> Problem:
    torch.manual_seed(8)
    inputs, targets = batch(3, 24, 5, seed=9)
    return Problem(SelfAttention().double(), F.cross_entropy, inputs, targets)


@dataclass(frozen=True)
class Case:
    """A problem and who moves it.

    Attributes:
        exact_for: methods that promise outputs unchanged on the batch.
        approximate_for: exact methods that say that here they are not.
    """

    build: Callable[[], Problem]
    exact_for: tuple[str, ...]
    approximate_for: tuple[str, ...] = ()


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.1)


NULLSPACE = "nullspace"
PRE = "symmetry:preactivations"
ACT = "symmetry:activations"
RESCALE = "rescale"
GAUGE = "gauge"

CASES: dict[str, Case] = {
    "relu": Case(lambda: classification([20, 16, 12, 5], 8), (NULLSPACE, PRE, RESCALE)),
    "leaky-no-bias": Case(
        lambda: classification([20, 16, 12, 5], 8, _leaky, bias=False),
        (NULLSPACE, PRE, ACT, RESCALE),
    ),
    "leaky-bias": Case(
        lambda: classification([20, 16, 12, 5], 8, _leaky), (NULLSPACE, PRE, ACT, RESCALE)
    ),
    "tanh-regression": Case(lambda: regression([10, 14, 14, 3], 6, nn.Tanh), (NULLSPACE, PRE)),
    "gelu-deep": Case(lambda: classification([9, 12, 12, 12, 12, 4], 5, nn.GELU), (NULLSPACE, PRE)),
    "softplus": Case(lambda: classification([11, 13, 7], 4, nn.Softplus), (NULLSPACE, PRE)),
    "residual-batchnorm": Case(residual, (NULLSPACE,), (GAUGE,)),
    "attention": Case(self_attention, (NULLSPACE, GAUGE)),
}
