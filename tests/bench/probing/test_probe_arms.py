"""Arms from one start, against loops written out."""

from typing import Any

import pytest
import torch
from oracles import loss_and_grad_norm_sq
from small_problems import mlp
from torch import nn
from torch.nn import functional as F

from bench.probing.arms import Bench
from bench.problems.build import Built
from bench.spec.variants import parse_variant
from bench.timing.start import copy_of
from teleport_core import Problem

LRS, HORIZONS = (0.1, 0.4), (1, 4)


def built() -> Built:
    torch.manual_seed(3)
    batches = [(torch.randn(5, 6).double(), torch.randint(0, 3, (5,))) for _ in range(3)]
    return Built(mlp([6, 9, 8, 3]), F.cross_entropy, batches, None)


def bench_of(made: Built, optimizer: str = "sgd", lrs: Any = LRS) -> Bench:
    return Bench(made, optimizer, lrs, HORIZONS)


def written_out(model: nn.Module, batches: list[Any], optimizer: Any) -> list[float]:
    """The mean loss of all batches after the steps of each horizon."""
    found = []
    for step in range(max(HORIZONS)):
        inputs, targets = batches[step % len(batches)]
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        if step + 1 in HORIZONS:
            losses = [F.cross_entropy(model(x), y).detach() for x, y in batches]
            found.append(float(torch.stack(losses).mean()))
    return found


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_the_plain_arm_is_training_written_out(name: str) -> None:
    made = built()
    bench = bench_of(made, name)
    start = copy_of(made.model)

    facts = bench.arm(bench.beginning())

    for trained in facts["sweep"]:
        twin = built()
        kind = torch.optim.SGD if name == "sgd" else torch.optim.Adam
        optimizer = kind(twin.model.parameters(), lr=trained["lr"])
        expected = written_out(twin.model, twin.batches, optimizer)
        assert trained["losses"] == pytest.approx(expected, rel=1e-12)
    assert facts["loss_start"] == facts["loss_moved"]
    assert [trained["lr"] for trained in facts["sweep"]] == [*LRS]
    assert all(torch.equal(value, start[name]) for name, value in copy_of(made.model).items())


def test_the_gain_is_that_of_the_mean_gradient() -> None:
    made = built()
    inputs, targets = (torch.cat(parts) for parts in zip(*made.batches, strict=True))
    _, norm_sq = loss_and_grad_norm_sq(Problem(made.model, F.cross_entropy, inputs, targets))

    bench = bench_of(made)
    assert bench.arm(bench.beginning())["gain"] == pytest.approx(norm_sq, rel=1e-10)


def test_a_move_comes_first_and_is_taken_back_for_the_next_arm() -> None:
    made = built()
    bench = bench_of(made)
    start = bench.beginning()
    plain = bench.arm(start)

    moved = bench.arm(
        start, lambda: bench.teleports(parse_variant("nullspace:growth=3.0"), 4, batches=1)
    )

    assert moved["ended"] == ["DONE"]
    assert moved["grown"] == [pytest.approx(3.0, rel=0.02)]
    assert moved["loss_start"] == plain["loss_start"] != moved["loss_moved"]
    assert moved["gain"] > 1.3 * plain["gain"]
    assert moved["sweep"] != plain["sweep"]
    assert bench.arm(start)["sweep"] == plain["sweep"]


def test_a_later_start_goes_on_with_the_optimizer_s_state() -> None:
    made = built()
    bench = bench_of(made, "adam", (0.05,))
    start = bench.beginning()
    later = bench.later(start, 3, 0.05)

    twin = built()
    optimizer = torch.optim.Adam(twin.model.parameters(), lr=0.05)
    written = [*twin.batches]
    for inputs, targets in written:
        optimizer.zero_grad()
        F.cross_entropy(twin.model(inputs), targets).backward()
        optimizer.step()
    expected = written_out(twin.model, twin.batches, optimizer)

    assert bench.arm(later)["sweep"][0]["losses"] == pytest.approx(expected, rel=1e-12)
    assert bench.arm(start)["loss_start"] != bench.arm(later)["loss_start"]


def test_behind_a_loss_that_is_not_finite_nothing_is_known() -> None:
    bench = bench_of(built(), lrs=(1e200,))

    assert bench.arm(bench.beginning())["sweep"][0]["losses"][-1] is None
