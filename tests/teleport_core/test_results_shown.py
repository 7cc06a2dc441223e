"""Every result is one line to read, and plain values for JSON."""

import json

import pytest
import torch
from torch import nn

import teleport_core


def net() -> tuple[nn.Module, nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)
    )
    return model, nn.CrossEntropyLoss(), (torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]))


@pytest.mark.parametrize(
    "method", ["nullspace", "symmetry", "rescale", "enorm", "gauge", "level_set", "random"]
)
def test_of_every_method(method: str) -> None:
    try:
        result = teleport_core.teleport(*net(), method=method, steps=2)
    except teleport_core.ModelError:
        assert method == "gauge"  # there is no such pair here
        return
    found = json.loads(json.dumps(result.to_dict()))
    assert found["status"] == result.status.name
    assert set(found["seconds"]) == {"prepare", "steps", "checks"}
    assert repr(result).startswith(f"{type(result).__name__}({result.status.name}, 2 steps, loss ")
    assert "\n" not in repr(result)
    assert len(repr(result)) < 160


def test_of_a_schedule_and_of_an_advice() -> None:
    model, loss, batch = net()
    loader = [batch, batch]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = teleport_core.Schedule(method="nullspace", epochs=(0,), batches=2, guard="lookahead")

    found = schedule.before_epoch(0, model, loss, loader, optimizer)

    plain = json.loads(json.dumps(found.to_dict()))
    assert (len(plain["results"]), plain["kept"]) == (2, found.kept)
    assert set(plain["lookahead"]) == {"stayed", "moved"}
    assert repr(found).startswith("Teleports(2, 2 DONE")
    assert repr(schedule.before_epoch(1, model, loss, loader, optimizer)) == "Teleports(0)"
    advice = teleport_core.advise(model, loss, loader)
    assert json.loads(json.dumps(advice.to_dict()))["model"] == "Sequential"
    assert repr(advice).startswith("Advice(Sequential, ")
    assert "\n" not in repr(advice)
