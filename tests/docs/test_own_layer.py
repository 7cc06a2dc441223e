"""docs/own_layer.md, executed."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import teleport_core
from teleport_core import Status
from teleport_core.layers import linear_layers, registry

TEXT = (Path(__file__).parents[2] / "docs" / "own_layer.md").read_text()
FIRST, SECOND = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Everything the page defines; its adapters are forgotten afterwards."""
    monkeypatch.setattr(registry, "_ADAPTERS", dict(registry._ADAPTERS))
    monkeypatch.setattr(registry, "ONCE_DIFFERENTIABLE", set(registry.ONCE_DIFFERENTIABLE))
    names: dict[str, Any] = {}
    exec(FIRST + SECOND, names)
    return names


def test_the_block_moves_and_the_outputs_stay(page: dict[str, Any]) -> None:
    result = page["result"]

    assert result.status is Status.DONE
    assert result.null_dims["2.B"] == [8]
    assert result.null_dims["2.C"] == [4]
    assert set(result.held) == {"2.a"}
    assert result.grad_norm_sq[-1] > 1.001 * result.grad_norm_sq[0]
    change = page["model"](page["x"]) - page["before"]
    assert change.abs().max() < 1e-12 * page["before"].abs().max()


def test_both_engines_take_the_adapter_s_word(page: dict[str, Any]) -> None:
    ends = []
    for engine in ("half_hvp", "textbook"):
        torch.manual_seed(1)
        block = page["StateSpace"](16, 12)
        model = nn.Sequential(nn.Linear(5, 16), nn.SiLU(), block, nn.Linear(16, 3)).double()
        batch = (page["x"], page["y"])
        teleport_core.teleport(model, page["loss_fn"], batch, lr=0.1, engine=engine)
        ends.append(model.state_dict())

    assert all(torch.allclose(ends[0][k], ends[1][k], rtol=0, atol=1e-10) for k in ends[0])


def test_without_the_adapter_the_block_is_held_and_said_to_be(page: dict[str, Any]) -> None:
    registry._ADAPTERS.pop(page["state_space"])

    batch = (page["x"], page["y"])
    result = teleport_core.teleport(page["model"], page["loss_fn"], batch, lr=0.01)

    assert result.held["2.B"] == "used in state_space"
    assert "2.C" not in result.null_dims


class Located(nn.Module):
    def __init__(self, by_position: Any) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(3, 6), nn.Linear(5, 3)
        self.bank = nn.Parameter(torch.randn(4, 5, 6) / 3)
        self.by_position = by_position

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.by_position(torch.tanh(self.enter(x)), self.bank)))


def test_an_operator_of_one_s_own_is_exact_group_by_group(page: dict[str, Any]) -> None:
    torch.manual_seed(2)
    model = Located(page["by_position"]).double()
    x, y = torch.randn(2, 4, 3).double(), torch.randint(0, 3, (2, 4))
    problem = teleport_core.Problem(model, page["loss_fn"], x, y)
    before = model(x).detach()
    layers = [layer for layer in linear_layers(problem) if layer.weight == "bank"]
    rows = [layer.gather(problem.detached()) @ layer.representation() for layer in layers]
    seen = page["by_position"](torch.tanh(model.enter(x)), model.bank).detach()

    result = teleport_core.teleport(model, page["loss_fn"], (x, y), lr=0.1)

    assert result.null_dims["bank"] == [4, 4, 4, 4]
    torch.testing.assert_close(torch.stack(rows), seen.permute(1, 2, 0), rtol=0, atol=1e-12)
    assert (model(x) - before).abs().max() < 1e-12
    assert result.grad_norm_sq[-1] > 1.0001 * result.grad_norm_sq[0]
