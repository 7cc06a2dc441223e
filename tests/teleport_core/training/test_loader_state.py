"""Whoever draws after us draws what he would have drawn."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset

from teleport_core.training.loader_state import as_if_undrawn

DATA = torch.arange(24.0)


class Augmented(Dataset[Tensor]):
    """Each sample with noise from a generator of its own, in a list of transforms."""

    def __init__(self) -> None:
        self.transforms = [{"noise": np.random.default_rng(3)}, {"flip": random.Random(4)}]
        self.counts = {"looks": 0}
        self.numbers = DATA

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Tensor:
        self.counts["looks"] += 1
        sign = self.transforms[1]["flip"].choice([-1, 1])
        return (
            sign * self.numbers[index] + self.transforms[0]["noise"].random() + self.counts["looks"]
        )


class InPlace:
    """A sampler that shuffles what it holds, a list or an array."""

    def __init__(self, order: Any) -> None:
        self.order, self.epoch = order, 0
        self.drawing = np.random.RandomState(7)

    def __iter__(self) -> Iterator[int]:
        self.epoch += 1
        self.drawing.shuffle(self.order)
        yield from (int(i) for i in self.order)

    def __len__(self) -> int:
        return 24


class Stream(IterableDataset[float]):
    def __init__(self) -> None:
        self.position = 0

    def __iter__(self) -> Iterator[float]:
        while True:
            self.position += 1
            yield float(self.position)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(9)


LOADERS = {
    "generator": lambda: DataLoader(DATA, 4, shuffle=True, generator=seeded()),
    "replacement": lambda: DataLoader(
        DATA, 4, sampler=RandomSampler(DATA, replacement=True, generator=seeded())
    ),
    "augmented": lambda: DataLoader(Augmented(), 4, shuffle=True, generator=seeded()),
    "shuffled list": lambda: DataLoader(DATA, 4, sampler=InPlace(list(range(24)))),
    "shuffled array": lambda: DataLoader(DATA, 4, sampler=InPlace(np.arange(24))),
    "stream": lambda: DataLoader(Stream(), 4),
    "list": lambda: [DATA[:4], DATA[4:8], DATA[8:]],
    "workers": lambda: DataLoader(
        Augmented(), 4, shuffle=True, generator=seeded(), num_workers=1, persistent_workers=True
    ),
}


def drawn(iterator: Iterator[Any], count: int) -> list[list[float]]:
    return [next(iterator).tolist() for _ in range(count)]


def loop(loader: Any, *, disturb: bool) -> list[list[float]]:
    """Two epochs, in the middle and in between of which somebody else draws."""
    found = []
    for _ in range(2):
        if disturb:
            with as_if_undrawn(loader):
                drawn(iter(loader), 2)
        iterator = iter(loader)
        found += drawn(iterator, 1)
        if disturb:
            with as_if_undrawn(loader):
                drawn(iter(loader), 3)
        found += drawn(iterator, 2)
    return found


@pytest.mark.parametrize("name", list(LOADERS))
def test_a_loop_draws_what_it_would_have_drawn(name: str) -> None:
    assert loop(LOADERS[name](), disturb=True) == loop(LOADERS[name](), disturb=False)


@pytest.mark.parametrize("name", [n for n in LOADERS if n not in ("list", "workers")])
def test_a_loop_that_is_disturbed_shows_it(name: str) -> None:
    """Without us each of these loaders goes on elsewhere."""
    loader, other = LOADERS[name](), LOADERS[name]()
    drawn(iter(loader), 3)

    assert drawn(iter(loader), 2) != drawn(iter(other), 2)


def test_a_list_of_batches_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [torch.arange(4), torch.arange(4)]
    monkeypatch.setattr(Tensor, "clone", lambda _: pytest.fail("copied"))

    with as_if_undrawn(batches), as_if_undrawn(DataLoader(TensorDataset(batches[0]))):
        pass


def test_a_model_and_its_optimizer_are_no_parts_of_a_loader() -> None:
    """Though a data set may know them, to pick its samples by."""
    data = Augmented()
    data.model = torch.nn.Linear(2, 2)
    data.optimizer = torch.optim.SGD(data.model.parameters(), lr=0.1)

    with as_if_undrawn(DataLoader(data, 4)):
        data.model.eval()
        data.optimizer.state[data.model.weight] = {"momentum_buffer": torch.ones(2, 2)}
        data.counts["looks"] = 5

    assert not data.model.training
    assert len(data.optimizer.state) == 1
    assert data.counts == {"looks": 0}


def test_after_an_error_it_is_put_back_too() -> None:
    loader, other = LOADERS["generator"](), LOADERS["generator"]()

    with pytest.raises(StopIteration), as_if_undrawn(loader):
        drawn(iter(loader), 99)

    assert drawn(iter(loader), 2) == drawn(iter(other), 2)
