"""Batch norm: in eval mode its statistics move along, and are put back with all else."""

import math
from typing import Any

import pytest
import torch
from gauge_models import build, convolutions, normed
from oracles import identical, loss_and_grad_norm_sq, output_change, snapshot
from torch import nn

from baselines.gauge.statistics import Statistics
from teleport_core import Guarantee, ModelError, Problem, Status, TeleportResult, make, teleport


def run(problem: Problem, **options: Any) -> TeleportResult:
    batch = (problem.inputs, problem.targets)
    return teleport(problem.model, problem.loss_fn, batch, method="gauge", **options)


def test_statistics_are_those_of_scaled_inputs() -> None:
    problem = build("batch norm")
    before = snapshot(problem)

    run(problem, steps=3, lr=10.0)

    now = snapshot(problem)
    weight, eps = now["0.weight"], 1e-5
    tau = weight.flatten(1).norm(dim=1) / before["0.weight"].flatten(1).norm(dim=1)
    assert float((tau - 1).abs().max()) > 0.1
    assert torch.allclose(weight, tau[:, None, None, None] * before["0.weight"])
    assert torch.allclose(now["0.bias"], tau * before["0.bias"])
    assert torch.allclose(now["2.running_mean"], tau * before["2.running_mean"])
    expected = tau**2 * (before["2.running_var"] + eps) - eps
    assert torch.allclose(now["2.running_var"], expected, rtol=1e-12)
    for name in ("num_batches_tracked", "weight", "bias"):
        assert torch.equal(now[f"2.{name}"], before[f"2.{name}"])


def test_no_variance_becomes_negative() -> None:
    problem = build("batch norm")
    norm: Any = problem.model[2]  # type: ignore[index]
    nn.init.constant_(norm.weight, 1e-3)  # else what comes after is saturated
    norm.running_var.copy_(torch.tensor([0.0, 1e-7, 1e-6, 1e-5, 1e-3, 1.0]))
    before = problem.output().detach()

    result = run(problem, steps=4, lr=1e9)

    assert result.status is Status.DONE
    assert float(norm.running_var.min()) >= 0
    assert float(norm.running_var[:4].max()) < 1e-12  # as far down as they may go
    assert output_change(problem, before) < 1e-12


def test_the_smallest_scale_leaves_no_variance() -> None:
    buffers = {"m": torch.tensor([1.0, 2.0]).double(), "v": torch.tensor([0.3, 4.0]).double()}
    statistics = Statistics("m", "v", 1e-2, torch.arange(2))
    tau = statistics.smallest(buffers).sqrt()

    assert statistics.scaled(buffers, tau)["v"] == pytest.approx([0.0, 0.0], abs=1e-15)


def test_in_train_mode_the_call_is_approximate_and_buffers_stay() -> None:
    problem = convolutions(train=True)
    buffers = {name: b.clone() for name, b in problem.model.named_buffers()}

    result = run(problem, steps=3, lr=0.01)

    assert result.guarantee is Guarantee.APPROXIMATE
    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]
    assert 0 < result.output_change < 1e-2
    assert all(torch.equal(b, buffers[name]) for name, b in problem.model.named_buffers())


@pytest.mark.parametrize("train", [True, False])
def test_a_norm_is_told_without_a_pass_where_it_is_exact(*, train: bool) -> None:
    torch.manual_seed(0)
    problem = convolutions(train=train)

    result = run(problem, steps=3, lr=0.01, verify="off")

    if train:
        assert math.isnan(result.grad_norm_sq[-1])
    else:
        norm = loss_and_grad_norm_sq(problem)[1]
        assert result.grad_norm_sq[-1] == pytest.approx(norm, rel=1e-12)


def test_in_train_mode_the_change_is_that_of_eps() -> None:
    """With an eps a thousand times as small outputs change a thousand times less."""
    changes = []
    for eps in (1e-5, 1e-8):
        torch.manual_seed(0)
        problem = convolutions(train=True)
        for module in problem.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = eps
        changes.append(run(problem, steps=1, lr=0.01).output_change)

    assert changes[0] / changes[1] == pytest.approx(1000, rel=0.1)


# --- what is put back ---------------------------------------------------------------------------


class _BrokenError(Exception):
    pass


@pytest.mark.parametrize("call", ["advance", "look"])
def test_buffers_are_put_back_after_an_error(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = build("batch norm")
    before = snapshot(problem)
    kind = type(make("gauge"))
    advance = kind.advance

    def broken(self: Any, problem: Problem, state: Any) -> TeleportResult:
        result = advance(self, problem, state)
        assert not identical(problem, before)
        assert result.steps_done == 8
        raise _BrokenError

    if call == "advance":
        monkeypatch.setattr(kind, "advance", broken)
    else:
        monkeypatch.setattr(
            "teleport_core.verification.last_kept.output_change",
            lambda *_: (_ for _ in ()).throw(_BrokenError),
        )
    with pytest.raises(_BrokenError):
        run(problem, lr=10.0)

    assert identical(problem, before)


@pytest.mark.filterwarnings("ignore::teleport_core.TeleportWarning")
def test_buffers_are_put_back_where_the_outputs_did_not_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = build("batch norm")
    before = snapshot(problem)
    monkeypatch.setattr(
        Statistics, "scaled", lambda self, buffers, tau: {self.mean: 2 * buffers[self.mean]}
    )

    result = run(problem, lr=10.0)

    assert (result.status, result.steps_done) == (Status.OUTPUTS_CHANGED, 0)
    assert identical(problem, before)


def test_other_buffers_end_as_they_began() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls.data.add_(1)
            return x

    problem = normed(
        nn.Linear(4, 5), nn.BatchNorm1d(5), Counting(), nn.Tanh(), nn.Linear(5, 3), images=False
    )
    before = snapshot(problem)

    run(problem, lr=10.0)

    now = snapshot(problem)
    assert torch.equal(now["2.calls"], before["2.calls"])
    assert not torch.equal(now["1.running_var"], before["1.running_var"])


# --- what does not move -------------------------------------------------------------------------


def test_a_batch_norm_of_two_layers_holds_both() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 5), nn.Linear(4, 5)
            self.norm, self.head = nn.BatchNorm1d(5), nn.Linear(5, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.norm(self.one(x)) * self.norm(self.two(x))
            return self.head(h)  # type: ignore[no-any-return]

    problem = normed(Shared(), images=False)
    before = snapshot(problem)

    with pytest.raises(ModelError, match="a batch norm that is used in several places"):
        run(problem)
    assert identical(problem, before)


def test_a_batch_norm_of_two_names_is_one() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.norm, self.head = nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)
            self.alias = self.norm

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.alias(self.one(x)).tanh())  # type: ignore[no-any-return]

    problem = normed(Twice(), images=False)
    before = problem.output().detach()

    result = run(problem, steps=3, lr=10.0)

    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]
    assert output_change(problem, before) < 1e-12
