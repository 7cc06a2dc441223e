"""A live model measured in the process that holds it, and left as it was."""

import copy
import json
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import bench
import teleport_core
from bench.errors import SpecError
from reports.measured.measured import Measured


@pytest.fixture(autouse=True)
def _few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three pairs of calls tell as much here as seven."""
    monkeypatch.setattr("bench.timing.whole_calls.CELL_SECONDS", 0.0)


class Live(nn.Module):
    """Batch norm in train mode, dropout, and a layer that nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.drop = nn.Linear(6, 24), nn.BatchNorm1d(24), nn.Dropout(0.4)
        self.b, self.c, self.unused = nn.Linear(24, 24), nn.Linear(24, 3), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c(torch.tanh(self.b(self.drop(torch.tanh(self.norm(self.a(x)))))))


def live() -> tuple[Live, DataLoader[Any]]:
    torch.manual_seed(3)
    data = TensorDataset(torch.randn(40, 6), torch.randint(0, 3, (40,)))
    return Live(), DataLoader(data, batch_size=8, shuffle=True)


def everything(model: nn.Module) -> dict[str, Any]:
    """What must be the same afterwards, bit for bit."""
    return {
        "tensors": copy.deepcopy(model.state_dict()),
        "objects": [id(p) for p in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "modes": [m.training for m in model.modules()],
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].tolist(),
        "python": random.getstate(),
        "threads": torch.get_num_threads(),
    }


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return all(same(one[key], other[key]) for key in one | other)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_costs_effects_and_a_model_as_it_was() -> None:
    model, loader = live()
    F.cross_entropy(model(torch.randn(8, 6)), torch.zeros(8, dtype=torch.long)).backward()
    before = everything(model)

    found = bench.measure(
        model, F.cross_entropy, loader, ["nullspace", "rescale", "symmetry"], steps=3
    )

    assert same(before, everything(model))
    null, rescale, symmetry = found.methods
    assert (null.status, rescale.status, symmetry.status) == ("ok", "skipped", "skipped")
    assert null.gain == pytest.approx(4, rel=0.03)
    assert len(null.grad_norm_sq) == 4
    assert null.loss_change < 1e-4 < null.heldout_change
    assert null.guarantee == "EXACT_ON_BATCH"
    for name in ("step_sgd_steps", "prepare_sgd_steps", "call_sgd_steps"):
        assert 0 < getattr(null, name).value < math.inf
    parts = null.prepare_sgd_steps.value + 3 * null.step_sgd_steps.value
    assert parts < 3 * null.call_sgd_steps.value  # the call has its checks, too
    assert "tanh in" in rescale.reason
    assert found.notes == ("Dropout was off for the measurement: drop (Dropout).",)
    assert (found.model, found.parameters) == ("Live", 897)


def test_as_it_was_after_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model, loader = live()
    before = everything(model)

    def fails(*_: Any) -> Any:
        with torch.no_grad():
            model.a.weight.add_(1)
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.notebook.measure.cost", fails)
    with pytest.raises(KeyboardInterrupt):
        bench.measure(model, F.cross_entropy, loader, ["nullspace"], steps=2)
    assert same(before, everything(model))


def net() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2)
    )
    return model, (torch.randn(4, 5), torch.tensor([0, 1, 0, 1]))


def test_the_gradient_norms_are_those_of_the_same_call() -> None:
    """On one batch, with autograd off around it, and with options of the user's own."""
    model, batch = net()
    with torch.no_grad():
        found = bench.measure(model, F.cross_entropy, batch, ["nullspace:lr=0.05"], steps=2)

    twin, batch = net()
    result = teleport_core.teleport(twin, F.cross_entropy, batch, steps=2, lr=0.05)
    assert found.methods[0].grad_norm_sq == tuple(result.grad_norm_sq)
    assert math.isnan(found.methods[0].heldout_change)


def test_what_does_not_move_has_a_reason_and_no_cost() -> None:
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
    wide = (torch.randn(64, 5), torch.randint(0, 2, (64,)))

    (row,) = bench.measure(model, F.cross_entropy, wide, "nullspace", steps=2).methods

    assert (row.status, row.teleport_status) == ("invalid", "NO_NULL_SPACE")
    assert "use a smaller batch" in row.reason
    assert math.isnan(row.call_s.value)


@pytest.mark.parametrize(
    ("methods", "error", "words"),
    [
        (["nulspace"], teleport_core.OptionError, "did you mean 'nullspace'"),
        (["nullspace:tua=1"], teleport_core.OptionError, "did you mean 'tau'"),
        ([], SpecError, "expected at least one method"),
        (["sgd"], SpecError, "plain SGD"),
    ],
)
def test_what_cannot_be_measured_is_refused_first(
    methods: list[str], error: type[Exception], words: str
) -> None:
    model, batch = net()
    with pytest.raises(error, match=words):
        bench.measure(model, F.cross_entropy, batch, methods)


@pytest.fixture(scope="module")
def measured() -> Measured:
    model, batch = net()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.timing.whole_calls.CELL_SECONDS", 0.0)
        return bench.measure(
            model, F.cross_entropy, [batch, batch], ["nullspace", "rescale", "gauge"], steps=2
        )


def test_json_takes_all_of_it(measured: Measured) -> None:
    found = json.loads(json.dumps(measured.to_dict()))

    assert found["model"] == "Sequential"
    assert [each["variant"] for each in found["methods"]] == ["nullspace", "rescale", "gauge"]
    assert found["methods"][0]["gain"] == measured.methods[0].gain
    assert set(found["methods"][0]["call_sgd_steps"]) == {"value", "low", "high"}


def test_the_table_is_a_row_per_method(measured: Measured) -> None:
    table = measured.table

    assert list(table["variant"]) == ["nullspace", "rescale", "gauge"]
    assert table["call_sgd_steps"][0] == measured.methods[0].call_sgd_steps.value
    assert len(repr(measured).splitlines()) == 1
    assert repr(measured).startswith("Measured(Sequential, 402 parameters, cpu, float32; a call in")
    assert str(measured).splitlines()[1].split()[:2] == ["method", "guarantee"]


def test_a_notebook_shows_table_figure_and_reasons(measured: Measured) -> None:
    page = measured._repr_html_()

    assert page.count("<table") == 1
    assert page.count("data:image/svg+xml,") == 1
    assert "gauge: " in page or len(measured.methods) == len(measured.figure.legends[0].texts)
    left, right = measured.figure.axes
    shown = [list(line.get_ydata()) for line in right.get_lines()]
    first = measured.methods[0].grad_norm_sq
    assert shown[0] == [norm / first[0] for norm in first]
    assert len(left.containers) >= 3
