"""The parts of a sweep that tasks measure: how many, which first, and what each of them lacks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from bench.files import write_whole
from bench.measurements.units import make_units
from bench.plan.points import Plan, make_plan
from bench.plan.shards import Shard, share
from bench.plan.units import Unit
from bench.slurm.ledger import Place, shards
from bench.spec.spec import Spec
from bench.storage.journal import as_line, lines, read
from bench.storage.records import Record
from bench.storage.run_directory import RunDirectory

# What a second try may mend; a cell that was skipped or is invalid would be so again.
UNLUCKY = frozenset({"crashed", "oom", "timeout"})


@dataclass(frozen=True)
class Found:
    """What the journal of a part says."""

    units: int  # that it should hold
    lacking: int  # of these, how many are not there or not whole
    statuses: Counter[str]  # of its records

    @property
    def good(self) -> bool:
        """Whether nothing is left that a second try could mend."""
        return not self.lacking and not UNLUCKY & set(self.statuses)

    def words(self) -> str:
        """What is wrong with it."""
        bad = [f"{n} {status}" for status, n in sorted(self.statuses.items()) if status in UNLUCKY]
        left = [f"{self.lacking} of {self.units} not measured"] if self.lacking else []
        return ", ".join([*bad, *left])


def units_of(plan: Plan, part: Shard, records: Sequence[Record] = ()) -> list[Unit]:
    """What a part has to measure besides the records that are there."""
    return make_units(share(plan, part), records, part)


def part_count(spec: Spec, most: int) -> int:
    """How many tasks there are.

    Each has one block at most, and one group beside the clock, if there may be so many.
    """
    units = make_units(make_plan(spec), [])
    blocks = sum(unit.is_block for unit in units)
    groups = len({unit.group or unit.unit for unit in units if not unit.is_block})
    return min(most, max(blocks, groups))


def longest_first(spec: Spec, count: int) -> list[int]:
    """The parts, the longest first: what begins last should not be what takes longest.

    Only the order counts: multiplications of a unit's point, for each of its trials.
    """
    plan = make_plan(spec)
    work = {part.index: sum(_work(unit) for unit in units_of(plan, part)) for part in shards(count)}
    return sorted(work, key=lambda index: -work[index])


def _work(unit: Unit) -> int:
    point = unit.command.get("point", {})
    size = prod(int(point.get(letter, 1)) for letter in "tdnlb") * int(point.get("d", 1))
    return size * len(unit.command.get("trials", ())) or size


def look(plan: Plan, part: Shard, place: Place) -> Found:
    """What a part's journal says; its task may still be writing.

    Raises:
        JournalError: it is damaged.
    """
    run = place.part(part.index)
    records = read(run.journal) if run.journal.exists() else []
    return Found(
        units=len(units_of(plan, part)),
        lacking=len(units_of(plan, part, records)),
        statuses=Counter(record.status for record in records),
    )


def forget_failures(run: RunDirectory) -> None:
    """Take out of a journal what another try may mend, so that it is measured again.

    Its lines stay beside it, in ``failed.jsonl``. The caller holds the directory's lock.

    Raises:
        JournalError: the journal is damaged.
        StorageError: the disk took no more; the journal is as it was.
    """
    if not run.journal.exists():
        return
    found, _ = lines(run.journal)
    failed = [line for line in found if line.get("status") in UNLUCKY]
    if failed:
        kept = [line for line in found if line.get("status") not in UNLUCKY]
        aside = run.path / "failed.jsonl"
        earlier = lines(aside)[0] if aside.exists() else []
        write_whole(aside, _text([*earlier, *failed]))
        write_whole(run.journal, _text(kept))


def _text(found: list[dict[str, object]]) -> str:
    return b"".join(map(as_line, found)).decode()
