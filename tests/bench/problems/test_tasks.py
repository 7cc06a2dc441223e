"""Problems of several tasks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from idx_files import write_part

from bench.plan.points import Point
from bench.problems.factory import call_factory, loaders_of
from bench.problems.tasks import images
from bench.problems.tasks.images import digits_parity, overlapped, two_digits
from bench.problems.tasks.network import Heads, cross_entropies


def test_a_digit_is_told_and_whether_it_is_odd() -> None:
    model, loss_fn, (train, heldout) = digits_parity(d=16, l=3, n=64)

    assert len(train) == (1797 - 359) // 64
    assert sum(len(y) for _, y in heldout) == 359 // 64 * 64
    inputs, targets = train[0]
    assert torch.equal(targets[:, 1], targets[:, 0] % 2)
    losses = loss_fn(model(inputs), targets)
    assert losses.tolist() == pytest.approx([np.log(10), np.log(2)], rel=0.2)


def test_two_images_lie_over_each_other() -> None:
    pixels = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    pixels[0, 0, 0, :2] = 255
    pixels[0, 0, 1, :2] = 255
    pixels[1, 0, 26:, 26:] = 51

    pictures, labels = overlapped(pixels, torch.tensor([3, 7]), 40, seed=0)

    for picture, (first, second) in zip(pictures.view(-1, 18, 18), labels.tolist(), strict=True):
        expected = torch.zeros(18, 18)
        expected[(0, 0) if first == 3 else (13, 13)] = 1.0 if first == 3 else 0.2
        place, value = ((4, 4), 1.0) if second == 3 else ((17, 17), 0.2)
        expected[place] = value
        torch.testing.assert_close(picture, expected)
    assert len({tuple(pair) for pair in labels.tolist()}) == 4


def test_two_digits_are_made_of_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part, count in (("train", 30), ("t10k", 20)):
        write_part(tmp_path / "mnist", part, count)
    monkeypatch.setenv("TELEPORT_DATA", str(tmp_path))
    images._pairs.cache_clear()
    try:
        model, loss_fn, (train, heldout) = two_digits(d=8, l=2, n=500)
    finally:
        images._pairs.cache_clear()

    assert [len(y) for _, y in train] == [500] * 8
    assert [len(y) for _, y in heldout] == [500] * 2
    inputs, targets = train[0]
    assert loss_fn(model(inputs), targets).shape == (2,)
    assert (inputs.min(), inputs.max() <= 1, inputs.shape[1]) == (0, True, 324)


def test_heads_share_all_but_themselves() -> None:
    torch.manual_seed(0)
    model = Heads(6, (3, 2), d=5, l=3)
    scores = model(torch.randn(4, 6))
    targets = torch.tensor([[0, 1], [1, 0], [2, 1], [0, 0]])

    losses = cross_entropies(scores, targets)

    first = dict.fromkeys(n for n, _ in model.named_parameters())
    for task in (0, 1):
        found = torch.autograd.grad(
            losses[task], [*model.parameters()], retain_graph=True, allow_unused=True,
            materialize_grads=True,
        )  # fmt: skip
        reached = {n for n, g in zip(first, found, strict=True) if g.any()}
        assert reached == {n for n in first if not n.startswith(f"heads.{1 - task}")}


def test_a_sweep_takes_the_first_of_two_loaders() -> None:
    address = "bench.problems.tasks.images:digits_parity"
    point = Point(
        t=1, d=8, n=50, l=2, b=2, model=address, dataset="", device="cpu", dtype="float32"
    )

    _, _, batches, heldout = call_factory(point, 0, ())

    assert [len(y) for _, y in batches] == [50, 50]
    assert heldout is not None


@pytest.mark.parametrize("given", [[(1, 2)], (torch.zeros(1), torch.zeros(1))])
def test_a_pair_of_tensors_is_no_pair_of_loaders(given: Any) -> None:
    assert loaders_of(given) == (given, None)
