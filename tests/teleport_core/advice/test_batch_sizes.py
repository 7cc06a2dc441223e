"""Batches cut and put together: which sizes there are, of which samples, and why no more."""

from typing import Any

import pytest
import torch
from loops import data, loader, net
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from teleport_core import advise
from teleport_core.advice.batch_sizes import sized


def batch(start: int, samples: int) -> tuple[Tensor, Tensor]:
    rows = torch.arange(start, start + samples)
    return rows[:, None].expand(-1, 3).double(), rows


def test_the_first_samples_in_order() -> None:
    found = sized([batch(0, 8), batch(8, 8), batch(16, 8), batch(24, 8)])

    assert found.own == 8
    assert list(found.batches) == [1, 2, 4, 8, 16, 32]
    assert found.notes == ()
    for size, (x, y) in found.batches.items():
        assert torch.equal(y, torch.arange(size))
        assert torch.equal(x, y[:, None].expand(-1, 3).double())


def test_a_ragged_last_batch() -> None:
    found = sized([batch(0, 16), batch(16, 16), batch(32, 7)])

    assert list(found.batches) == [2, 4, 8, 16, 32]
    assert found.notes == ("Sizes end at the 39 samples of 3 batches: no more was drawn.",)


def test_ragged_batches_in_the_middle_join() -> None:
    found = sized([batch(0, 6), batch(6, 2), batch(8, 5)])

    assert list(found.batches) == [1, 3, 6, 12]
    assert torch.equal(found.batches[12][1], torch.arange(12))


def test_a_batch_of_one() -> None:
    found = sized([batch(0, 1), batch(1, 1), batch(2, 1), batch(3, 1)])

    assert list(found.batches) == [1, 2, 4]
    assert found.own == 1


def test_batches_of_other_shapes_do_not_join() -> None:
    def sequences(length: int) -> Any:
        return {"ids": torch.zeros(4, length), "cache": None, "hidden": True}, torch.zeros(4)

    found = sized([sequences(5), sequences(5), sequences(7), sequences(5)])

    assert list(found.batches) == [1, 2, 4, 8]
    assert found.notes == (
        "Sizes end at the 8 samples of 2 batches: the next is of other shapes, of 4 drawn.",
    )
    inputs, _ = found.batches[8]
    assert inputs["ids"].shape == (8, 5)
    assert inputs["cache"] is None
    assert inputs["hidden"] is True


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ((torch.zeros(4, 2), torch.zeros(2, 2)), "share their first axis ([4, 2], [2, 2], [4])"),
        ((torch.zeros(4, 2), torch.tensor(0.5)), "share their first axis ([4, 2], [], [4])"),
        ({"x": torch.zeros(4, 2), "tokens": 3}, "hold more than tensors (int)"),
    ],
)
def test_what_cannot_be_cut_is_looked_at_whole(inputs: Any, why: str) -> None:
    one = (inputs, torch.zeros(4))
    found = sized([one, one])

    assert found.batches == {4: one}
    assert why in found.notes[0]
    assert found.notes[0].startswith(
        "Only the loader's own batch was looked at: inputs and targets"
    )


def test_an_advice_on_a_ragged_loader() -> None:
    found = advise(net(), F.cross_entropy, DataLoader(data(20), 8))

    assert found.sizes == (2, 4, 8, 16)
    assert found.notes[0].startswith("Sizes end at the 20 samples of 3 batches")
    assert "Sizes end at the 20 samples" in str(found)


def test_a_size_that_the_model_refuses_is_left_out() -> None:
    found = advise(net(), F.cross_entropy, loader(), batches=4)

    assert found.sizes == (2, 4, 8, 16, 32)
    assert found.notes == (
        "Not looked at: 1 sample, ValueError: Expected more than 1 value per channel when "
        "training, got input size torch.Size([1, 24])",
    )


def test_batches_go_to_the_model_by_keyword() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net().eval()

        def forward(self, x: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(self.body(x), labels)

    batches = [{"x": x, "labels": y} for x, y in DataLoader(data(), 8)]
    model = Own().eval()

    found = advise(model, lambda out, _: out, batches, batches=2)
    renamed = advise(
        model, lambda out, _: out, DataLoader(data(), 8), batches=2,
        unpack=lambda item: ({"x": item[0], "labels": item[1]}, None),
    )  # fmt: skip

    assert found.sizes == (1, 2, 4, 8, 16)
    assert renamed.layers == found.layers
