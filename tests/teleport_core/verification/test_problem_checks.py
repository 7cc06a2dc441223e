"""A batch is judged by loss and gradient, and by what the model returns."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from teleport_core import Guarantee, ProblemError

LABELS = torch.tensor([0, 1, 2, 0])


class Gaps(nn.Module):
    """NaN is what was not measured; attention scores, too, get a mask of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 3))

    def forward(self, x: Tensor, extra: Tensor, mask: Tensor) -> Tensor:
        x = torch.cat([torch.nan_to_num(x), extra], 1)
        return self.net(torch.softmax(x @ x.T + mask, 1) @ x)


def batch(*, gaps: bool, masked: bool) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    x, mask = torch.randn(4, 5), torch.zeros(4, 4)
    if gaps:
        x[2, 1] = math.nan
    if masked:
        mask = mask.masked_fill(torch.ones(4, 4).triu(1).bool(), -math.inf)
    return x, x[:, :0], mask


@pytest.mark.parametrize("engine", ["auto", "textbook"])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_inputs_that_are_not_finite_or_empty_on_purpose_are_welcome(
    engine: str, *, gaps: bool, masked: bool
) -> None:
    inputs = batch(gaps=gaps, masked=masked)

    result = teleport_core.teleport(
        Gaps(), F.cross_entropy, (inputs, LABELS), steps=2, lr=1e-3, engine=engine
    )

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.steps_done == 2


def test_a_gradient_that_the_inputs_make_nan_is_refused_though_the_loss_is_finite() -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 3)), torch.randn(4, 5)
    x[3] = math.nan

    with pytest.raises(
        ProblemError,
        match=r"finite gradient .* got \|\|g\|\|\^2 = nan; 5 values in an input of shape \(4, 5\)",
    ):
        teleport_core.teleport(net, lambda o, t: F.cross_entropy(o[:3], t[:3]), (x, LABELS))


def test_no_sample_is_refused_also_where_the_loss_of_nothing_is_finite() -> None:
    net = nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 3))

    with pytest.raises(ProblemError, match=r"one sample; the model returns .* shape \(0, 3\)"):
        teleport_core.teleport(
            net,
            lambda o, t: F.cross_entropy(o, t, reduction="sum"),
            (torch.randn(0, 5), LABELS[:0]),
        )
