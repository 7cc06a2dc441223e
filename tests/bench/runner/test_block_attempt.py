"""What becomes of what a worker said before it was lost, and the time that whole calls take."""

from pathlib import Path
from typing import Any

import pytest

from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.process.worker import WorkerGoneError
from bench.runner import runner
from bench.runner.block_attempt import Attempt
from bench.runner.progress import QuietProgress
from bench.runner.runner import Runner
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.storage.journal import Journal
from bench.storage.records import CellRecord

BASE = {"kind": "cell", "block_id": "b", "model": "mlp", "dataset": "digits"}
BASE |= {"device": "cpu", "dtype": "float32"}
CELLS = [{"cell_id": name, "variant": name, "method": name} for name in ("sgd", "nullspace")]
SAMPLES = [{"round": 0, "clock": "wall", "seconds": 0.5}]
MEMORY = {"peak_memory_bytes": 4096, "memory_note": ""}
CALLS = {"calls": [{"seconds": 0.25, "sgd_s": 0.125}], "call_note": ""}
NOTE = "whole calls are not timed: the worker ended with signal SIGKILL"


def said(cell_id: str, **facts: Any) -> dict[str, Any]:
    return {"event": "timed", "cell_id": cell_id, "status": "ok", "reason": "", **facts}


def lost_after(*events: dict[str, Any]) -> dict[str, CellRecord]:
    """The records of an attempt whose worker is killed after it said these."""
    kept: list[CellRecord] = []
    attempt = Attempt(BASE, CELLS, kept.append)
    for cell in CELLS:
        attempt.take({"event": "sample", "cell_id": cell["cell_id"], "samples": SAMPLES})
    for event in events:
        attempt.take(event)
    attempt.lose(WorkerGoneError("oom", "the worker ended with signal SIGKILL"))
    return {record.variant: record for record in kept}


def test_a_worker_that_falls_in_a_whole_call_costs_no_samples_and_no_memory() -> None:
    found = lost_after(said("sgd", **MEMORY), said("nullspace", **MEMORY))

    assert {record.status for record in found.values()} == {"ok"}
    assert all(len(record.samples) == 1 for record in found.values())
    assert [(r.peak_memory_bytes, r.memory_note) for r in found.values()] == [(4096, "")] * 2
    assert found["nullspace"].call_note == NOTE
    assert found["sgd"].call_note == ""


def test_calls_that_were_said_stay() -> None:
    found = lost_after(said("sgd", **MEMORY), said("nullspace", **MEMORY, **CALLS))

    assert [(c.seconds, c.sgd_s) for c in found["nullspace"].calls] == [(0.25, 0.125)]
    assert found["nullspace"].call_note == ""


def test_what_was_not_said_is_named() -> None:
    found = lost_after(said("sgd"), said("nullspace"))

    assert found["nullspace"].call_note == NOTE
    peak = "peak memory is not known: the worker ended with signal SIGKILL"
    assert [record.memory_note for record in found.values()] == [peak] * 2


@pytest.mark.parametrize("calls", [[{"seconds": "long", "sgd_s": 0.1}], [{"seconds": 0.1}], 3])
def test_calls_that_no_record_may_hold_make_no_record(calls: Any) -> None:
    kept: list[CellRecord] = []
    attempt = Attempt(BASE, CELLS, kept.append)

    attempt.take({**said("nullspace"), "event": "cell", "calls": calls})

    assert (kept[0].status, kept[0].calls) == ("crashed", [])
    assert "calls" in kept[0].reason


class Slow:
    """A worker whose cells have their samples in no time, and whole calls of 40 s a block."""

    def __init__(self) -> None:
        self.time = 0.0
        self.events: list[dict[str, Any]] = [{"event": "ready"}]

    def send(self, command: dict[str, Any]) -> None:
        for cell in command["cells"]:
            timed = said(cell["cell_id"])
            self.events += [timed, {**timed, "event": "cell"}]
        self.events += [{"event": "done"}]

    def receive(self, timeout: float) -> dict[str, Any]:
        event = self.events.pop(0)
        self.time += 40.0 * (event["event"] == "done")
        return event

    def stop(self) -> None: ...

    def kill(self) -> None: ...


@pytest.mark.parametrize(("budget", "left"), [(None, 0), (100.0, 0), (60.0, 1), (40.0, 2)])
def test_a_budget_counts_the_whole_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: float | None, left: int
) -> None:
    """Of three blocks none is begun once the budget is spent."""
    worker = Slow()
    monkeypatch.setattr(runner, "monotonic", lambda: worker.time)
    spec = load_preset("smoke").with_overrides(device="cpu", axes=(parse_axis("t=1,2,4"),))
    units = [unit for unit in make_units(make_plan(spec), []) if unit.is_block]

    with Journal(tmp_path / "journal.jsonl") as journal:
        summary = Runner(QuietProgress(), launch=lambda: worker).run(units, journal, budget)

    assert len(units) == 3
    assert summary.left == left
