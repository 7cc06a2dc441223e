"""Losses of a model over many batches, and what a teleport costs in passes."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from training_units import spec_of

from bench.measurements.training import point_of_training
from bench.problems.datasets import load_dataset
from bench.trainer.data import task_of
from bench.trainer.equivalents import price_of
from bench.trainer.evaluation import Evaluation
from bench.training.arms import parse_arm
from teleport_core import make


def batches(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    sizes = [5, 3, 2][:count]
    return [
        (torch.randn(n, 4, generator=generator), torch.randint(0, 3, (n,), generator=generator))
        for n in sizes
    ]


def test_a_mean_is_over_samples_and_not_over_batches() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.BatchNorm1d(3)).train()
    state = torch.get_rng_state()
    buffers = [b.clone() for b in model.buffers()]
    losses = Evaluation(F.cross_entropy, batches(3), batches(1)).of(model)

    assert model.training
    assert model[1].training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), buffers, strict=True))
    inputs, targets = (torch.cat(parts) for parts in zip(*batches(3), strict=True))
    with torch.no_grad():
        model.eval()
        assert losses.train_loss == pytest.approx(float(F.cross_entropy(model(inputs), targets)))
        right = (model(batches(1)[0][0]).argmax(-1) == batches(1)[0][1]).float().mean()
    assert losses.test_metric == pytest.approx(float(right))


def test_what_is_not_finite_or_not_there_is_none() -> None:
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight.fill_(float("nan"))

    assert Evaluation(F.cross_entropy, batches(2), []).of(model) == (None,) * 6


def test_a_loss_without_classes_has_no_metric() -> None:
    pairs = [(torch.randn(4, 2), torch.randn(4, 2))]

    losses = Evaluation(F.mse_loss, pairs, pairs).of(nn.Linear(2, 2))

    assert losses.test_metric is None
    assert losses.test_loss is not None


def test_a_teleport_is_priced_by_what_it_computes() -> None:
    """Against the closed forms of a stack of linear layers."""
    spec = spec_of({"d": 64, "n": 32})
    data = load_dataset("digits", None)
    task = task_of(point_of_training(spec), spec.sections["training"], 0, data, bias=False)
    training, batch = next(task.batches.epoch(0)), next(task.batches.teleports(0, 32))

    price = price_of(parse_arm("nullspace:lr=1e-6"), task, 8, training, batch)

    assert price is not None
    phases = make("nullspace").operations([64, 64, 64, 10], 32, bias=False, itemsize=4)
    assert phases is not None
    widths = ((64, 64), (64, 64), (64, 10))
    products = sum(2 * a * b * 32 * (3 if k else 2) for k, (a, b) in enumerate(widths))
    step, prepare = (
        phases[name].products + phases[name].factorisations for name in ("step", "prepare")
    )
    steps = 8 * price.step * products
    assert 8 * step < steps < 8 * step + prepare + products  # what is kept and checked, too
    assert price.of(8) == price.call + 8 * price.step
    assert 1 <= price.call < 2  # at the cap: one forward and backward pass
