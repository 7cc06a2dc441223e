"""What is trained on, and how much of it."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from training_units import spec_of

from bench.errors import SpecError
from bench.measurements.training import point_of_training
from bench.problems.datasets import load_dataset
from bench.trainer.data import Loaded, Rows, Task, task_of

HEAD = "import torch\nfrom torch import nn\nloss = nn.functional.cross_entropy\n"


def task(model: str = "mlp", **changes: Any) -> Task:
    spec = spec_of(model=model, **changes)
    data = None if ":" in model else load_dataset("digits", None)
    settings = spec.sections["training"]
    return task_of(point_of_training(spec), settings, 0, data, bias=False)


def test_an_epoch_has_every_sample_once_in_an_order_of_its_seed() -> None:
    batches = task(samples=160).batches
    assert isinstance(batches, Rows)

    epochs = [torch.cat([inputs for inputs, _ in batches.epoch(seed)]) for seed in (1, 1, 2)]

    assert torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], epochs[2])
    assert torch.equal(epochs[0].sum(0), epochs[2].sum(0))
    assert (batches.steps, len(epochs[0])) == (5, 160)


def test_teleport_batches_are_of_their_own_size() -> None:
    found = list(islice(task().batches.teleports(0, 16), 3))

    assert [len(targets) for _, targets in found] == [16, 16, 16]
    assert not torch.equal(found[0][0], found[1][0])


def test_losses_are_over_so_many_samples() -> None:
    train, heldout = task(evaluation_samples=64).batches.evaluated()

    assert [sum(len(targets) for _, targets in part) for part in (train, heldout)] == [64, 64]


def test_a_model_of_a_seed_is_the_same_again() -> None:
    made = task()

    one, again, other = (next(made.model(seed).parameters()) for seed in (3, 3, 4))

    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert made.model(3).training


def factory(tmp_path: Path, returned: str) -> str:
    path = tmp_path / "own.py"
    body = "    x, y = torch.randn(8, 3), torch.zeros(8, dtype=torch.long)\n"
    path.write_text(f"{HEAD}def factory():\n{body}    return nn.Linear(3, 2), loss, {returned}\n")
    return f"{path}:factory"


def test_a_factory_may_return_a_loader_or_two(tmp_path: Path) -> None:
    one = task(factory(tmp_path, "[(x, y), (x, y)]")).batches
    assert isinstance(one, Loaded)
    assert (one.steps, one.evaluated()[1]) == (2, [])

    (tmp_path / "two").mkdir()
    two = task(factory(tmp_path / "two", "([(x, y)] * 3, [(x, y)])")).batches
    assert (two.steps, len(two.evaluated()[1])) == (3, 1)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "expected .* to return a loader, or a list of batches, as its third value; got N"),
        ("[]", "at least one batch"),
        ("__import__('itertools').repeat((x, y))", "goes on after 10000 batches"),
        ("[x, y, x]", r"pairs \(inputs, targets\)"),
    ],
)
def test_a_factory_without_a_loader_is_refused(tmp_path: Path, returned: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        task(factory(tmp_path, returned))


def test_too_large_a_batch_is_refused() -> None:
    with pytest.raises(SpecError, match="n <= 20, the training samples; got batch_size=32"):
        task(samples=20)
