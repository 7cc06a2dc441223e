"""What counts as a change of a model's outputs."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from teleport_core import Guarantee, Status, TeleportWarning, teleport
from teleport_core.verification.reference import Look, output_change

NAN, INF = math.nan, math.inf


def seen(*outputs: Tensor) -> Look:
    return Look(1.0, 1.0, [*outputs])


def test_the_change_of_several_outputs_is_that_of_the_worst() -> None:
    first = seen(torch.ones(4), torch.zeros(2), torch.ones(1))

    def after(*outputs: Tensor) -> float:
        return output_change(first, seen(*outputs))

    assert after(torch.ones(4), torch.zeros(2), torch.ones(1)) == 0
    changed = after(1.01 * torch.ones(4), torch.zeros(2), 1.5 * torch.ones(1))
    assert changed == pytest.approx(0.5)
    assert after(torch.ones(4), torch.ones(2), torch.ones(1)) == INF
    assert after(torch.ones(5), torch.zeros(2), torch.ones(1)) == INF
    assert math.isnan(output_change(seen(), seen()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.complex64])
@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ([3.0, 4.0, NAN], [3.0, 4.0, NAN], 0.0),
        ([3.0, 4.0, NAN], [3.0, 9.0, NAN], 1.0),
        ([3.0, 4.0, NAN, -INF], [3.0, 9.0, NAN, -INF], 1.0),
        ([3.0, 4.0, NAN], [3.0, 4.0, 5.0], INF),
        ([3.0, 4.0, 5.0], [3.0, 4.0, NAN], INF),
        ([3.0, 4.0, NAN], [3.0, 4.0, INF], INF),
        ([3.0, 4.0, INF], [3.0, 4.0, -INF], INF),
        ([3.0, 4.0, INF], [3.0, 4.0, 5.0], INF),
        ([NAN, NAN], [NAN, NAN], 0.0),
        ([3e4, 4e4, 4e4, 4e4], [3e4, 4e4, 4e4, 0.0], (16 / 57) ** 0.5),
    ],
)
def test_finite_entries_count_and_nan_is_a_value(
    old: list[float], new: list[float], change: float, dtype: torch.dtype
) -> None:
    before, after = (seen(torch.tensor(values, dtype=dtype)) for values in (old, new))
    assert output_change(before, after) == pytest.approx(change, rel=2e-3)


class Partial(nn.Module):
    """With ``hole``, a last row of NaN, as padding is."""

    def __init__(self, *, hole: bool) -> None:
        super().__init__()
        self.hole = hole
        body = [nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 2)]
        self.net = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        o = self.net(x)
        return torch.cat([o, o[:1].detach() * NAN]) if self.hole else o


def run(*, hole: bool, **options: Any) -> tuple[Status, Guarantee, int, float]:
    torch.manual_seed(1)
    x, y = torch.randn(5, 6), torch.randn(5, 2)
    torch.manual_seed(2)
    model = Partial(hole=hole)
    old = model(x)[:5].detach()
    result = teleport(model, lambda o, t: (o[:5] - t).square().mean(), (x, y), **options)
    really = float((model(x)[:5].detach() - old).norm() / old.norm())
    assert result.output_change == pytest.approx(really, rel=1e-3, abs=1e-8)
    return result.status, result.guarantee, result.steps_done, result.output_change


@pytest.mark.parametrize("options", [{"lr": 0.01}, {"lr": 0.05, "tau": 0.8}])
def test_a_hole_in_the_outputs_changes_nothing(options: dict[str, Any]) -> None:
    *hole, change = run(hole=True, **options)
    *none, same = run(hole=False, **options)

    assert hole == none
    assert change == pytest.approx(same, rel=1e-6)  # sums of another length


def test_a_hole_in_the_outputs_hides_no_change() -> None:
    options = {"engine": "textbook", "lr": 0.15, "steps": 10}
    with pytest.warns(TeleportWarning):
        full = run(hole=False, **options)
    with pytest.warns(TeleportWarning):
        assert run(hole=True, **options) == full
    assert full[0] is Status.OUTPUTS_CHANGED
