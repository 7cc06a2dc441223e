"""docs/objectives.md, executed."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from small_problems import classification
from torch import nn

import teleport_core
from teleport_core import Status
from teleport_core.objectives import goal, optimizer

TEXT = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text()
FIRST, SECOND = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def names() -> dict[str, Any]:
    problem = classification([20, 40, 40, 10], 8, nn.Tanh)
    other = classification([20, 40, 40, 10], 8, nn.Tanh, seed=1)
    return {
        "torch": torch,
        "teleport_core": teleport_core,
        "model": problem.model,
        "loss_fn": problem.loss_fn,
        "batch": (problem.inputs, problem.targets),
        "other": (other.inputs, other.targets),
    }


def test_the_optimizer_of_the_page_gains_what_it_says(names: dict[str, Any]) -> None:
    exec(FIRST, names)

    result = names["result"]
    assert result.status is Status.DONE
    assert result.objective[-1] / result.objective[0] == pytest.approx(2.0, rel=0.01)


def test_the_loss_on_other_data_of_the_page_falls(names: dict[str, Any]) -> None:
    exec(SECOND, names)

    objective = names["result"].objective
    assert objective[-1] < objective[0]
    assert objective == sorted(objective, reverse=True)


def test_the_page_names_every_objective_and_every_optimizer() -> None:
    for name in goal.NAMED:
        assert f'| `"{name}"` |' in TEXT
    for kind in optimizer.UPDATES:
        assert kind.__name__ in TEXT
