"""Whatever a loader yields is a pair beside the model."""

from collections import UserDict

import pytest
import torch
from torch import nn

from teleport_core import ProblemError
from teleport_core.training.batches import batches_of, pair

MODEL = nn.Linear(2, 2)


def test_pairs_stay_and_mappings_are_inputs() -> None:
    x, y = torch.ones(3, 2), torch.zeros(3)
    encoded = UserDict({"input_ids": x})  # as the tokenizers' batches

    assert pair([x, y]) == (x, y)
    assert pair(encoded) == (encoded, None)
    (found,) = batches_of([encoded], pair, MODEL)
    assert found == ({"input_ids": x}, None)
    ((inputs, _),) = batches_of([encoded], pair, nn.Linear(2, 2, device="meta"))
    assert inputs["input_ids"].device.type == "meta"


@pytest.mark.parametrize(("item", "what"), [((1, 2, 3), "tuple of 3"), (torch.ones(2), "Tensor")])
def test_anything_else_needs_unpack(item: object, what: str) -> None:
    with pytest.raises(ProblemError, match=f"got {what}: hand over unpack="):
        pair(item)


def test_tensors_come_to_the_model_wherever_they_lie() -> None:
    item = ({"x": torch.ones(2), "more": [torch.ones(1), "text"]}, torch.zeros(2))

    ((inputs, targets),) = batches_of([item], pair, nn.Linear(2, 2, device="meta"))

    assert [t.device.type for t in (inputs["x"], inputs["more"][0], targets)] == ["meta"] * 3
    assert inputs["more"][1] == "text"


def test_a_model_in_several_places_leaves_them_where_they_are() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    x = torch.ones(2)

    ((inputs, _),) = batches_of([(x, x)], pair, model)

    assert inputs is x
