"""Several workers that measure nothing, and other runners beside them: every cell once."""

import itertools
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bench.errors import JournalError, RunError, SpecError, StorageError
from bench.leases.leases import FOLDER, Leases
from bench.leases.owner import Owner
from bench.parallel.begin import Workers
from bench.parallel.together import carry_out_together
from bench.plan.points import make_plan
from bench.plan.units import Unit
from bench.process.local import WorkerProcess
from bench.process.protocol import Message
from bench.runner.progress import Progress, QuietProgress
from bench.runner.runner import Runner, Summary
from bench.runner.session import Listener, carry_out
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.spec.variants import parse_variant
from bench.storage.journal import Journal, load, read
from bench.storage.lock import locked
from bench.storage.records import Record, cells_of

STAND_IN = Path(__file__).parents[2] / "soak" / "stand_in"


def spec() -> Spec:
    """Six points of three cells."""
    preset = load_preset("smoke")
    return preset.with_overrides(
        device="cpu",
        axes=(parse_axis("d=16,24,32"), parse_axis("t=1,2,3,4"), parse_axis("b=1")),
        variants=(parse_variant("nullspace"), parse_variant("identity")),
        preservation=replace(preset.preservation, enabled=False),
    )


PLAN = make_plan(spec())
CELLS = sorted(cell.cell_id for block in PLAN.blocks for cell in block.cells)


class Watched(WorkerProcess):
    """Notes where it ran; the one in ``killed`` is killed after so many of its messages."""

    made: ClassVar[list["Watched"]] = []
    killed: ClassVar[dict[int, int]] = {}
    heard: ClassVar[Callable[[Message], None]]

    def __init__(self, **settings: Any) -> None:
        super().__init__(STAND_IN, **settings)
        self.number, self.messages = len(self.made), 0
        self.cores = os.sched_getaffinity(self._process.pid)
        self.made.append(self)

    def receive(self, timeout: float) -> Message:
        self.messages += 1
        if self.killed.get(self.number) == self.messages:
            os.kill(self._process.pid, signal.SIGKILL)
        message = super().receive(timeout)
        Watched.heard(message)
        return message


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("WITNESS", str(tmp_path / "witness"))
    monkeypatch.setenv("FAULTS", "0")
    Watched.made, Watched.killed, Watched.heard = [], {}, lambda _: None
    yield
    assert [pid for worker in Watched.made for pid in worker.leftovers] == []


WORKERS = Workers(2, Watched, silence=30.0, beat=0.1, expiry=0.6)


def together(
    directory: Path, workers: Workers = WORKERS, of: Spec | None = None, **more: Any
) -> Summary:
    more = {"command": "", "progress": QuietProgress(), **more}
    return carry_out_together(of or spec(), directory, workers, **more)


def check(directory: Path) -> list[Any]:
    """Every cell once and fine, each beside an SGD of its own session, and no lease is left."""
    records, notes = load(directory / "journal.jsonl")
    cells = cells_of(records)
    assert notes == []
    assert sorted(cell.cell_id for cell in cells) == CELLS
    assert {cell.status for cell in cells} == {"ok"}
    sessions = {record.session for record in records if record.method == "sgd"}  # type: ignore[attr-defined]
    assert {cell.session for cell in cells} <= sessions
    assert not (directory / FOLDER).exists()
    return cells


def journals(directory: Path) -> list[Path]:
    return sorted(directory.glob("journal-*.jsonl"))


def test_two_workers_measure_every_cell_once_on_a_core_each(tmp_path: Path) -> None:
    summary = together(tmp_path / "run")

    check(tmp_path / "run")
    assert summary.complete
    assert Counter({"ok": 18}) == summary.statuses
    assert len(journals(tmp_path / "run")) == 1
    probe, one, other = (worker.cores for worker in Watched.made)
    assert one | other <= probe
    assert not one & other
    assert len(one) == len(other)
    environment = json.loads(next((tmp_path / "run").glob("environment-*")).read_text())
    (session,) = environment["sessions"]
    assert [found["aa_ratio"] for found in session["devices"].values()] == [1.0, 1.0]
    assert session["seconds"] >= 0


def test_variants_of_a_point_stay_together(tmp_path: Path) -> None:
    cells = check_after(tmp_path, together)

    assert len({(cell.block_id, cell.session) for cell in cells}) == 6


def check_after(tmp_path: Path, run: Callable[[Path], Summary]) -> list[Any]:
    assert run(tmp_path / "run").complete
    return check(tmp_path / "run")


# Its first 20 messages or so are of the environment and of A/A.
@pytest.mark.parametrize("messages", [24, 33])
def test_the_block_of_a_worker_that_is_killed_is_taken_over(tmp_path: Path, messages: int) -> None:
    Watched.killed = {1: messages}

    check_after(tmp_path, together)
    assert len(Watched.made) == 4


def test_a_worker_that_is_killed_twice_over_a_block_is_to_blame(tmp_path: Path) -> None:
    one = replace(WORKERS, count=1)
    Watched.killed = {1: 31, 2: 6}

    summary = together(tmp_path / "run", one)

    assert summary.statuses == {"ok": 17, "oom": 1}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_fifty_killed_workers_in_a_row(tmp_path: Path) -> None:
    for number in range(50):
        Watched.made, Watched.killed = [], {1 + number % 2: 20 + number}
        check_after(tmp_path / str(number), together)


def test_what_is_there_is_not_measured_again(tmp_path: Path) -> None:
    together(tmp_path)
    before = {path: path.read_bytes() for path in journals(tmp_path)}

    assert together(tmp_path).complete
    check(tmp_path)
    assert before == {path: path.read_bytes() for path in before}
    assert carry_out(spec(), tmp_path, Runner(QuietProgress(), Watched), command="", resume=True)


def test_a_run_of_one_worker_is_gone_on_with_by_several(tmp_path: Path) -> None:
    from bench.plan.shards import parse_shard

    half = parse_shard("1/2")
    carry_out(spec(), tmp_path, Runner(QuietProgress(), Watched), command="", part=half)
    assert len(read(tmp_path / "journal.jsonl")) == 9

    assert together(tmp_path).complete
    check(tmp_path)


def test_an_interrupt_ends_every_worker_and_what_was_measured_stays(tmp_path: Path) -> None:
    cells = itertools.count(1)  # next() is one step, whichever thread asks

    def interrupt(message: Message) -> None:
        if message["event"] == "cell" and next(cells) == 10:  # four of them A/A
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    Watched.heard = interrupt
    # Whatever tests before it in this process have left there.
    found = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            together(tmp_path)
    finally:
        signal.signal(signal.SIGINT, found)

    kept = cells_of(read(tmp_path / "journal.jsonl"))
    assert 4 <= len(kept) < 18
    assert {cell.status for cell in kept} == {"ok"}
    assert not (tmp_path / FOLDER).exists()
    Watched.heard = lambda _: None
    together(tmp_path)
    check(tmp_path)


def test_a_full_disk_ends_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append, count = Journal.append, [0]

    def full(self: Journal, *records: Record) -> None:
        count[0] += 1
        if count[0] == 5:
            raise StorageError("the disk is full")
        append(self, *records)

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(StorageError, match="the disk is full"):
        together(tmp_path)
    assert len(read(tmp_path / "journal.jsonl")) in (4, 5)


def test_a_spent_budget_leaves_what_is_left(tmp_path: Path) -> None:
    summary = together(tmp_path, of=replace(spec(), budget=1e-9))

    assert summary.left == 6
    assert not summary.complete


class Shown(Progress):
    """Remembers."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def begin(self, units: list[Unit]) -> None:
        self.said.append(len(units))

    def unit(self, unit: Unit, records: Any, seconds: float) -> None:
        self.said.append((unit.unit, len(records), seconds))

    def end(self) -> None:
        self.said.append("end")


def test_progress_counts_what_everybody_does(tmp_path: Path) -> None:
    shown, began = Shown(), time.monotonic()
    together(tmp_path, progress=shown)
    whole = time.monotonic() - began

    assert [shown.said[0], shown.said[-1]] == [6, "end"]
    units = shown.said[1:-1]
    assert sorted(unit for unit, _, _ in units) == sorted(b.block_id for b in PLAN.blocks)
    assert {count for _, count, _ in units} == {3}
    assert 0 < sum(seconds for _, _, seconds in units) <= whole


def test_a_flagged_device_marks_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.parallel.together.flags", lambda _: [[], ["noisy"]])
    said: list[str] = []
    summary = together(tmp_path, listener=Listener(say=said.append))

    flagged = [cell for cell in cells_of(read(tmp_path / "journal.jsonl")) if cell.flags]
    assert summary.flagged == len(flagged)
    assert {flag.rpartition(": ")[2] for cell in flagged for flag in cell.flags} <= {"noisy"}
    assert sum(text.startswith("flagged: core") for text in said) == 1


def test_devices_of_two_kinds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, kinds = Runner.environment, iter(("all", "A", "B"))

    def environment(self: Runner, device: str, threads: int | None) -> tuple[str, dict[str, Any]]:
        return ask(self, device, threads)[0], {"gpu_name": next(kinds)}

    monkeypatch.setattr(Runner, "environment", environment)
    with pytest.raises(RunError, match=r"devices of one kind; .*gpu_name was '?[AB]'?, is"):
        together(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_more_workers_than_cores_and_other_specs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="at least a core for every worker"):
        together(tmp_path, replace(WORKERS, count=999))
    together(tmp_path)
    with pytest.raises(JournalError, match="seed was 0, is 5"):
        together(tmp_path, of=replace(spec(), seed=5))


def test_one_that_works_alone_and_several_keep_out_of_each_others_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.storage.lock._ASKING_SECONDS", 0.05)
    with locked(tmp_path), pytest.raises(RunError, match=r"is running in it alone: wait"):
        together(tmp_path)
    elsewhere = replace(Owner.here(), name="them", machine="elsewhere")
    Leases(tmp_path, elsewhere).take("a")
    with pytest.raises(RunError, match="them shares it with others: add --workers 1"):
        carry_out(spec(), tmp_path, Runner(QuietProgress(), Watched), command="")


def test_a_dead_runners_block_is_waited_for_and_taken_over(tmp_path: Path) -> None:
    """One of another machine, whose end nobody here can see but by its silence."""
    elsewhere = replace(Owner.here(), name="them", machine="elsewhere")
    for _ in range(2):  # the second time it had finished that block, and not given it back
        Leases(tmp_path, elsewhere).take(PLAN.blocks[0].block_id)
        began = time.monotonic()
        assert together(tmp_path).complete
        check(tmp_path)
        assert time.monotonic() - began >= WORKERS.expiry


def test_a_runner_that_lost_its_lease_keeps_nothing_more_of_that_block(tmp_path: Path) -> None:
    """It was stopped for a while, and another took its block and measured it."""
    stolen: list[str] = []

    def steal(message: Message) -> None:
        files = list((tmp_path / FOLDER).glob("[0-9a-f]*.lease"))
        if message["event"] == "sample" and files and not stolen:
            stolen.append(files[0].stem)
            files[0].write_text(json.dumps(replace(Owner.here(), name="thief").facts()))
            threading.Timer(0.3, files[0].unlink, (True,)).start()

    Watched.heard = steal
    together(tmp_path, replace(WORKERS, count=1))

    check(tmp_path)
    assert len(stolen) == 1
    assert len(Watched.made) == 3  # one that looked, one that was ended, one that measured again
