"""Whole calls of the cells of a block: what is kept of them, and what a failure costs."""

import warnings
from typing import Any

import pytest
import torch

from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.spec.preset import load_preset
from bench.storage.records import CellRecord, made
from bench.timing import whole_calls
from bench.worker import block
from teleport_core import TeleportWarning

Events = list[dict[str, Any]]


@pytest.fixture
def command() -> dict[str, Any]:
    """The first block of the smoke preset: nullspace, symmetry and sgd."""
    spec = load_preset("smoke").with_overrides(device="cpu", threads=1)
    return make_units(make_plan(spec), [])[0].command


def ended(command: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The "cell" event of each variant, once the block is measured."""
    events: Events = []
    block.run_block(command, events.append)
    names = {cell["cell_id"]: cell["variant"] for cell in command["cells"]}
    return {names[e["cell_id"]]: e for e in events if e["event"] == "cell"}


def test_every_method_has_whole_calls_and_sgd_has_none(command: dict[str, Any]) -> None:
    found = ended(command)

    assert found["sgd"]["calls"] == []
    for variant in ("nullspace", "symmetry"):
        assert 3 <= len(found[variant]["calls"]) <= 7
        assert all(set(call) == {"seconds", "sgd_s"} for call in found[variant]["calls"])
        assert all(seconds > 0 for call in found[variant]["calls"] for seconds in call.values())
    assert {event["call_note"] for event in found.values()} == {""}


def test_every_call_and_step_starts_from_the_weights_of_the_rounds(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a learning rate that moves them, which timing itself never uses."""
    monkeypatch.setattr("bench.timing.rounds.TIMING_LR", 0.1)
    starts: list[torch.Tensor] = []
    moved: dict[str, bool] = {}

    def flat(problem: Any) -> torch.Tensor:
        return torch.cat([p.detach().reshape(-1) for p in problem.model.parameters()])

    def watched(name: str) -> Any:
        real = getattr(whole_calls, name)

        def timed(problem: Any, *rest: Any) -> float:
            starts.append(flat(problem))
            seconds: float = real(problem, *rest)
            moved[name] = not torch.equal(starts[-1], flat(problem))
            return seconds

        return timed

    for name in ("whole_call", "one_step"):
        monkeypatch.setattr(f"bench.worker.whole_calls.{name}", watched(name))
    built = block.built_point
    models = []

    def noted(given: dict[str, Any]) -> Any:
        point, made_here = built(given)
        models.append((made_here.model, [p.detach().clone() for p in made_here.model.parameters()]))
        return point, made_here

    monkeypatch.setattr(block, "built_point", noted)

    ended(command)

    ((model, before),) = models
    assert len(starts) > 16
    assert moved == {"whole_call": True, "one_step": True}
    assert all(torch.equal(s, torch.cat([p.reshape(-1) for p in before])) for s in starts)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def failing(monkeypatch: pytest.MonkeyPatch, method: str, fault: Any) -> None:
    """Calls of one method go wrong from the third on."""
    real, calls = whole_calls.teleport, []

    def teleport(*arguments: Any, **options: Any) -> Any:
        if options["method"] == method:
            calls.append(method)
            if len(calls) > 2:
                fault()
        return real(*arguments, **options)

    monkeypatch.setattr(whole_calls, "teleport", teleport)


def no_luck() -> None:
    raise ValueError("no luck today")


def warn() -> None:
    warnings.warn("the outputs changed", TeleportWarning, stacklevel=1)


@pytest.mark.parametrize(
    ("fault", "note"),
    [
        (no_luck, "whole calls are not timed: crashed: ValueError: no luck today"),
        (warn, "whole calls are not timed: it warned: the outputs changed"),
    ],
)
def test_a_call_that_goes_wrong_costs_the_cell_nothing_else(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch, fault: Any, note: str
) -> None:
    failing(monkeypatch, "nullspace", fault)

    found = ended(command)

    lost, other = found["nullspace"], found["symmetry"]
    assert (lost["calls"], lost["status"]) == ([], "ok")
    assert lost["call_note"].startswith(note)
    assert lost["stop"]["reason"]
    assert lost["peak_memory_bytes"] is not None
    assert (len(other["calls"]) >= 3, other["call_note"]) == (True, "")


def test_a_process_that_can_compute_no_more_says_what_it_knew(
    command: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the calls is said before the first of them."""
    failing(monkeypatch, "nullspace", no_luck)
    monkeypatch.setattr("bench.worker.failures.is_poisoned", lambda: True)
    events: Events = []

    with pytest.raises(ValueError, match="no luck today"):
        block.run_block(command, events.append)

    timed = [e for e in events if e["event"] == "timed"]
    assert {e["cell_id"] for e in timed if "peak_memory_bytes" in e} == {
        cell["cell_id"] for cell in command["cells"]
    }
    assert all("calls" not in e for e in timed[: 2 * len(command["cells"])])


def test_what_the_worker_says_makes_a_record(command: dict[str, Any]) -> None:
    said = ended(command)["nullspace"]
    base = {"block_id": "b", "method": "nullspace", "variant": "nullspace", "model": "mlp"}
    base |= {"dataset": "digits", "device": "cpu", "dtype": "float32"}

    record = made({**base, **said}, CellRecord)

    assert [(c.seconds, c.sgd_s) for c in record.calls] == [
        (c["seconds"], c["sgd_s"]) for c in said["calls"]
    ]
