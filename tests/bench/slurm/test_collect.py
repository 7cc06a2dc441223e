"""What the parts come to, whole, in part, or not at all."""

from pathlib import Path

import pytest
from submissions import measure, widths

from bench.errors import JournalError, RunError
from bench.plan.shards import Shard
from bench.slurm.cluster import Cluster
from bench.slurm.collect import NothingMeasuredError, collect
from bench.slurm.directory import prepare
from bench.slurm.ledger import Place
from bench.storage.journal import read
from bench.storage.records import cells_of

SPEC = widths(8, 16, 24)
COMMAND = "teleport-bench run"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A run whose array is over: the second task was cancelled, the third SLURM forgot."""
    place = Place(tmp_path / "run")
    prepare(place, SPEC, Cluster(), COMMAND, resume=False)
    ledger = place.read()
    submission = ledger.add([1, 2, 3])
    submission.job, submission.ends = "7", {1: "CANCELLED"}
    place.write(ledger)
    return place


def statuses(place: Place) -> list[tuple[str, str]]:
    return sorted((cell.status, cell.reason) for cell in cells_of(read(place.run.journal)))


def test_all_parts_together_are_one_run(place: Place) -> None:
    for part in (1, 2, 3):
        measure(place, SPEC, Shard(part, 3))

    collect(place, SPEC, COMMAND)

    assert [status for status, _ in statuses(place)] == ["ok"] * 6
    before = place.run.journal.read_bytes()
    collect(place, SPEC, COMMAND)
    assert place.run.journal.read_bytes() == before


def test_what_no_task_measured_is_a_record_of_its_failure(place: Place) -> None:
    measure(place, SPEC, Shard(1, 3))
    measure(place, SPEC, Shard(3, 3), "")
    torn = place.part(3).journal
    torn.write_text('{"schema": 1, "kind": "ce')
    (place.logs / "7_1.out").write_text("loading\n\nslurmstepd: CANCELLED AT noon\n")

    collect(place, SPEC, COMMAND)

    cancelled = "task 7_1 of SLURM CANCELLED: loading | slurmstepd: CANCELLED AT noon"
    forgotten = "task 7_2 of SLURM ENDED; it wrote nothing"
    assert statuses(place) == [
        *[("cancelled", cancelled)] * 2,
        *[("lost", forgotten)] * 2,
        *[("ok", "")] * 2,
    ]
    assert torn.read_text() == ""


def test_a_part_measured_later_replaces_the_record_of_its_failure(place: Place) -> None:
    measure(place, SPEC, Shard(1, 3))
    collect(place, SPEC, COMMAND)
    for part in (2, 3):
        measure(place, SPEC, Shard(part, 3))

    collect(place, SPEC, COMMAND)

    assert [status for status, _ in statuses(place)] == ["ok"] * 6


def test_parts_of_several_kinds_of_nodes_are_no_run(place: Place) -> None:
    measure(place, SPEC, Shard(1, 3), cpu_model="one")
    measure(place, SPEC, Shard(2, 3), cpu_model="another")

    with pytest.raises(JournalError, match=r"cpu_model was 'one', is 'another'.*--constraint="):
        collect(place, SPEC, COMMAND)


def test_where_no_task_began_its_words_say_why(place: Place) -> None:
    (place.logs / "7_0.out").write_text("module: command not found\n")

    with pytest.raises(NothingMeasuredError, match="none has begun: module: command not found"):
        collect(place, SPEC, COMMAND)

    assert NothingMeasuredError.exit_code == 4


def test_a_directory_holds_one_run(place: Place) -> None:
    with pytest.raises(RunError, match=r"a run was submitted from .*: add --resume"):
        prepare(place, SPEC, Cluster(), COMMAND, resume=False)
    with pytest.raises(JournalError, match=r"seed was 0, is 5: choose another --out"):
        prepare(place, SPEC.with_overrides(seed=5), Cluster(), COMMAND, resume=True)
    with pytest.raises(RunError, match="nothing was submitted from there"):
        prepare(Place(place.run.path / "none"), SPEC, Cluster(), COMMAND, resume=True)
    place.file.write_text('{"count": "many"}')
    with pytest.raises(JournalError, match=r"expected .*submitted.json to say what was submitted"):
        place.read()
