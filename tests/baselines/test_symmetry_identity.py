"""What the released actions do at the identity of the group, before any ascent."""

import pytest
import torch
from plane_problems import run
from small_problems import batch, classification
from torch import nn


@pytest.mark.parametrize("acts_on", ["preactivations", "activations"])
def test_only_the_released_action_moves_other_data_where_nothing_is_climbed(acts_on: str) -> None:
    others, _ = batch(50, 20, 5, seed=9)
    changes = {}
    for published in (True, False):
        problem = classification([20, 16, 12, 5], 4, lambda: nn.LeakyReLU(0.1), bias=False)
        with torch.no_grad():
            before = [problem.output(), problem.model(others)]
            run(problem, "symmetry", acts_on=acts_on, published=published, lr=1e-30, steps=1)
            after = [problem.output(), problem.model(others)]
        changes[published] = [
            float((new - old).norm() / old.norm()) for new, old in zip(after, before, strict=True)
        ]

    assert changes[True][0] < 1e-12
    assert changes[True][1] > 0.2
    assert max(changes[False]) < 1e-12
