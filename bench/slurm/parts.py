"""The parts of a sweep that tasks measure: which takes longest, and what each of them lacks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from bench.files import write_whole
from bench.measurements.units import lacking, units_of_parts
from bench.plan.points import make_plan
from bench.plan.units import Unit
from bench.slurm.ledger import Place
from bench.spec.spec import Spec
from bench.storage.journal import as_line, lines, read
from bench.storage.records import Line, Record
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


class Parts:
    """A spec in so many parts, numbered from 1, as ``bench.plan.shards`` makes them."""

    def __init__(self, spec: Spec, count: int) -> None:
        """Nothing is read."""
        self.count = count
        self._units = units_of_parts(make_plan(spec), count)

    @property
    def numbers(self) -> range:
        """All of them."""
        return range(1, self.count + 1)

    def lacking(self, part: int, records: Sequence[Record]) -> list[Unit]:
        """What a part has to measure besides these records."""
        return lacking(self._units[part - 1], records)

    def look(self, part: int, place: Place) -> Found:
        """What a part's journal says; its task may still be writing.

        Raises:
            JournalError: it is damaged.
        """
        run = place.part(part)
        records = read(run.journal) if run.journal.exists() else []
        return Found(
            units=len(self._units[part - 1]),
            lacking=len(self.lacking(part, records)),
            statuses=Counter(record.status for record in records),
        )

    def longest_first(self) -> list[int]:
        """All parts in order: what begins last should not be what takes longest.

        Only the order counts: the size of a unit's point, for each of its trials.
        """
        return sorted(self.numbers, key=lambda part: -sum(map(_work, self._units[part - 1])))


def part_count(spec: Spec, most: int) -> int:
    """How many parts: with one block at most in each, and one group beside the clock, or fewer."""
    (units,) = units_of_parts(make_plan(spec), 1)
    blocks = sum(unit.is_block for unit in units)
    groups = {unit.group or unit.unit for unit in units if not unit.is_block}
    return min(most, max(blocks, len(groups)))


def _work(unit: Unit) -> int:
    point = unit.command.get("point", {})
    size = prod(int(point.get(letter, 1)) for letter in "tdnlb") * int(point.get("d", 1))
    return size * len(unit.command.get("trials", ())) or size


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
        aside = run.path / "failed.jsonl"
        earlier = lines(aside)[0] if aside.exists() else []
        write_whole(aside, _text([*earlier, *failed]))
        kept = [line for line in found if line.get("status") not in UNLUCKY]
        write_whole(run.journal, _text(kept))


def _text(found: Sequence[Line]) -> str:
    return b"".join(map(as_line, found)).decode()
