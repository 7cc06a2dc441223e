"""``report`` and ``merge`` end alike on half of a sweep; ``report`` reads what a gate leaves."""

import json
from collections.abc import Callable
from pathlib import Path

from recorded_runs import LABELS, run_directory

from bench.comparison.history import KIND
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.plan.shards import Shard, share
from bench.spec.preset import load_preset
from bench.storage.journal import Journal
from bench.storage.run_directory import open_run, write_environment

Called = Callable[..., tuple[int, str, str]]

SPEC = load_preset("smoke").with_overrides(device="cpu", threads=1)


def shard(path: Path, part: Shard) -> Path:
    """A finished shard with made-up records."""
    run = open_run(path, SPEC, "teleport-bench run", resume=False)
    write_environment(run, {"torch": "2.13.0"})
    with Journal(run.journal) as journal:
        for unit in make_units(share(make_plan(SPEC), part), [], part):
            for cell_id in unit.cell_ids:
                facts = {"method": "m", "variant": "v", **unit.base}
                journal.append({**facts, "cell_id": cell_id, "status": "ok"})
    return path


def test_half_a_run_is_incomplete_for_both(command: Called, stand_in: None, tmp_path: Path) -> None:
    parts = [shard(tmp_path / str(index), Shard(index, 2)) for index in (1, 2)]

    half = command("merge", parts[0], "--out", "half")
    for code, printed, errors in (half, command("report", parts[0]), command("report", "half")):
        assert code == 4
        assert printed.endswith("report.html\n")
        assert "incomplete: " in errors
    assert command("merge", *parts, "--out", "all")[0] == 0
    assert command("report", "all")[0] == 0


def test_what_is_no_sweep_is_not_half_of_one(
    command: Called, stand_in: None, tmp_path: Path
) -> None:
    run = open_run(tmp_path / "run", SPEC, "teleport-bench profile", resume=False)
    with Journal(run.journal) as journal:
        for unit in make_units(make_plan(SPEC), [])[:1]:
            facts = {**unit.base, "kind": "profile", "method": "m", "variant": "v"}
            journal.append({**facts, "unit": "u", "cell_id": "c", "status": "ok"})

    assert command("report", run.path)[0] == 0
    run.spec.unlink()
    assert command("report", run.path)[0] == 0


def entry(when: float) -> dict[str, object]:
    cell = {"label": LABELS[0], "head_median": 0.002 + when / 1e6}
    place = {"environment": "e", "benchmark": "b", "head": f"commit{when:g}", "when": when}
    return {"kind": KIND, **place, "cells": {LABELS[0]: cell}}


def test_the_directory_of_a_gate_has_a_page_with_its_history(
    command: Called, tmp_path: Path
) -> None:
    for side in ("base", "head"):
        run_directory(tmp_path / "gate" / side)
        journal = tmp_path / "gate" / side / "journal.jsonl"
        records = [{**json.loads(line), "looks": 4} for line in journal.read_text().splitlines()]
        journal.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    (tmp_path / "gate" / "gate.json").write_text("{}")
    with Journal(tmp_path / "history.jsonl") as history:
        history.append(*(entry(when) for when in (1.0, 2.0)))

    code, printed, errors = command("report", "gate", "--history", "history.jsonl")

    assert (code, errors) == (0, "")
    page = Path(printed.strip())
    assert page == Path("gate") / "head" / "report.html"
    assert "in 2 gates" in page.read_text(encoding="utf-8")
