"""One try at a unit beside the clock, on made-up events."""

from bench.measurements.preservation import PRESERVATION
from bench.plan.points import make_plan
from bench.process.local import WorkerGoneError
from bench.runner.unit_attempt import UnitAttempt
from bench.spec.preset import load_preset
from bench.storage.records import PreservationRecord


def attempt():
    """A try at the first unit of smoke's preservation, which has two thresholds."""
    unit = PRESERVATION.units(make_plan(load_preset("smoke").with_overrides(device="cpu")))[0]
    kept = []
    return unit, UnitAttempt(unit, kept.append), kept


def note(item):
    return {"v": 1, "event": "note", **item}


def record(item):
    facts = {**item, "status": "ok", "of": 2, "rows": [{"step": 0, "loss": 0.5}]}
    return {"v": 1, "event": "record", "record": facts}


def test_a_failure_is_of_what_was_worked_on_and_leaves_what_was_there():
    unit, tried, kept = attempt()
    first, second = unit.command["items"]

    for event in (note(first), record(first), note(second)):
        tried.take(event)
    assert len(kept) == 1
    tried.lose(WorkerGoneError("oom", "signal SIGKILL", ("last",)))

    assert tried.records == kept
    assert all(isinstance(each, PreservationRecord) for each in kept)
    found = [(r.cell_id, r.tau, r.status, r.of, len(r.rows), r.last_lines) for r in kept]
    assert found == [
        (first["cell_id"], first["tau"], "ok", 2, 1, None),
        (second["cell_id"], second["tau"], "oom", None, 0, ["last"]),
    ]


def test_a_failure_before_anything_is_of_the_first():
    unit, tried, kept = attempt()

    tried.take({"event": "failed", "status": "invalid", "reason": "no finite loss"})
    tried.take({"event": "failed", "status": "crashed", "reason": "said twice"})

    assert [(r.cell_id, r.status, r.reason) for r in kept] == [
        (unit.command["items"][0]["cell_id"], "invalid", "no finite loss")
    ]


def test_a_failure_after_the_last_record_takes_the_place_of_none():
    unit, tried, kept = attempt()
    first = unit.command["items"][0]

    for event in (note(first), record(first)):
        tried.take(event)
    tried.take({"event": "failed", "status": "crashed", "reason": "too late"})

    assert [r.cell_id for r in kept] == [first["cell_id"], unit.unit]
