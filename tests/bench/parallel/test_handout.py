"""What is handed out when, where another runner takes part."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.leases.leases import Leases
from bench.leases.owner import Owner
from bench.parallel.devices import Device
from bench.parallel.followed import Followed
from bench.parallel.handout import Handout
from bench.plan.units import Unit
from bench.process.worker import WorkerGoneError
from bench.runner.progress import Progress
from bench.storage.journal import Journal, name_of
from bench.storage.record import FailureRecord
from bench.storage.records import Record, made

HERE, BESIDE = Device("core 0"), Device("GPU 0", shared=True)


def unit(name: str, *needs: str, do: str = "training") -> Unit:
    return Unit(
        name, name, {"do": do, "cells": [{"cell_id": name, "method": "sgd"}]}, {}, (name,), needs
    )


def record(name: str, number: int = 1, of: int = 1) -> Record:
    return made({"cell_id": f"{name}-{number}", "unit": name, "of": of}, FailureRecord)


class Shown(Progress):
    def __init__(self) -> None:
        self.closed: list[tuple[str, int]] = []

    def unit(self, unit: Unit, records: Sequence[Record], seconds: float) -> None:
        self.closed.append((unit.unit, len(records)))


class Runner:
    """One in a directory."""

    def __init__(self, directory: Path, name: str, *units: Unit, **more: Any) -> None:
        owner = replace(Owner.here(), name=name)
        self.leases, self.shown = Leases(directory, owner), Shown()
        self.path = directory / name_of(name)
        self.handout = Handout(
            units, self.leases, Followed(directory), self.shown, more.get("budget")
        )

    def keep(self, *records: Record) -> None:
        with Journal(self.path) as journal:
            journal.append(*records)


@pytest.fixture(autouse=True)
def journal(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").touch()


def given(handout: Handout, device: Device = HERE) -> Unit:
    found = handout.next(device)
    assert found is not None
    return found


def test_what_others_need_comes_before_them(tmp_path: Path) -> None:
    own = Runner(tmp_path, "own", unit("judged", "tuning"), unit("tuning"))

    first = given(own.handout)
    assert first.unit == "tuning"
    waiting: list[Unit | None] = []
    thread = threading.Thread(target=lambda: waiting.append(own.handout.next(HERE)))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    own.keep(record("tuning"))
    own.handout.finish(first)
    thread.join()
    assert [found and found.unit for found in waiting] == ["judged"]


def test_what_another_runner_has_done_is_not_handed_out(tmp_path: Path) -> None:
    units = [unit(name) for name in "abc"]
    own, other = (Runner(tmp_path, name, *units) for name in ("own", "other"))

    theirs, mine = given(other.handout), given(own.handout)
    assert (theirs.unit, mine.unit) == ("a", "b")
    other.keep(record("a"))
    other.handout.finish(theirs)
    own.keep(record("b"))
    own.handout.finish(mine)
    assert given(own.handout).unit == "c"
    assert own.shown.closed == [("b", 1), ("a", 1)]
    assert own.handout.left == 1


def test_what_a_dead_runner_left_half_done_is_gone_on_with(tmp_path: Path) -> None:
    own, dead = (Runner(tmp_path, name, unit("a")) for name in ("own", "dead"))
    dead.keep(record("a", 1, of=2))
    given(dead.handout)
    dead.leases.close()

    assert given(own.handout).command["done"] == ["a-1"]


def test_blocks_are_timed_alone_on_their_device(tmp_path: Path) -> None:
    own = Runner(tmp_path, "own", unit("block", do="block"), unit("beside"))

    assert given(own.handout, BESIDE).unit == "beside"
    assert given(own.handout).unit == "block"
    own.keep(record("beside"))
    own.handout.finish(unit("beside"))
    assert own.handout.next(BESIDE) is None


def test_nothing_is_handed_out_when_the_budget_is_spent_or_the_run_ends(tmp_path: Path) -> None:
    assert Runner(tmp_path, "poor", unit("a"), budget=0.0).handout.next(HERE) is None
    own = Runner(tmp_path, "own", unit("a"))
    own.handout.stop()
    assert own.handout.next(HERE) is None


def test_whom_a_lost_worker_is_blamed_on(tmp_path: Path) -> None:
    own = Runner(tmp_path, "own", unit("a"), unit("b"))
    killed, fell = WorkerGoneError("oom", "killed"), WorkerGoneError("crashed", "fell")

    assert not own.handout.spares(unit("a"), fell)
    assert own.handout.spares(unit("b"), killed)
    assert not own.handout.spares(unit("b"), killed)
    own.handout.stop()
    assert own.handout.spares(unit("b"), fell)
