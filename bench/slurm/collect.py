"""One run of all parts, once no task may run any more; what no task measured is said to be so."""

from pathlib import Path

from bench.errors import JournalError, RunError
from bench.plan.units import Unit
from bench.process.worker import WorkerGoneError
from bench.runner.block_attempt import Attempt
from bench.runner.unit_attempt import UnitAttempt
from bench.slurm.ledger import Ledger, Place
from bench.slurm.parts import Parts
from bench.slurm.queue import FORGOTTEN
from bench.spec.spec import Spec
from bench.storage.journal import Journal, read
from bench.storage.merge import merge_runs
from bench.storage.records import Record

_LAST_LINES = 20


class NothingMeasuredError(RunError):
    """No task of an array has begun to measure."""

    exit_code: int = 4


def collect(place: Place, spec: Spec, command: str) -> None:
    """Merge the parts into the run directory, in place of what was merged before.

    Raises:
        NothingMeasuredError: no task has begun to.
        JournalError: a part is damaged, or parts come from machines of several kinds.
    """
    ledger = place.read()
    parts = Parts(spec, ledger.count)
    begun = [run for run in map(place.part, parts.numbers) if run.journal.exists()]
    if not begun:
        said = _last_lines(place, ledger, 1)
        raise NothingMeasuredError(
            f"expected tasks that measure; none has begun: {' | '.join(said[-3:]) or 'no output'}:"
            f" what they wrote is in {place.logs}"
        )
    for run in begun:
        with Journal(run.journal):  # cuts off what was being written when a task was killed
            pass
    place.run.journal.unlink(missing_ok=True)
    try:
        merge_runs([run.path for run in begun], place.run.path, command)
    except JournalError as error:
        raise JournalError(
            f"{error}; parts are in {begun[0].path.parent}. Nodes of one kind are asked for with "
            'options = ["--constraint=..."] in slurm.toml'
        ) from error
    with Journal(place.run.journal) as journal:
        for part in parts.numbers:
            run = place.part(part)
            records = read(run.journal) if run.journal.exists() else []
            for unit in parts.lacking(part, records):
                _fail(unit, _how_it_ended(place, ledger, part), records, journal)


def _how_it_ended(place: Place, ledger: Ledger, part: int) -> WorkerGoneError:
    latest = ledger.latest(part)
    if latest is None:
        return WorkerGoneError("lost", "it was never submitted")
    submission, index = latest
    state = submission.ends.get(index, FORGOTTEN)
    said = _last_lines(place, ledger, part)
    words = f": {' | '.join(said[-3:])}" if said else "; it wrote nothing"
    status = "cancelled" if state == "CANCELLED" else "lost"
    task = f"task {submission.job}_{index} of SLURM"
    return WorkerGoneError(status, f"{task} {state}{words}", tuple(said))


def _fail(unit: Unit, gone: WorkerGoneError, records: list[Record], journal: Journal) -> None:
    """Keep a record of its failure for what a part's tasks ended without."""
    if unit.is_block:
        missing = [cell for cell in unit.command["cells"] if not cell.get("reference")]
        Attempt(unit.base, missing, journal.append).lose(gone)
        return
    attempt = UnitAttempt(unit, journal.append)
    attempt.records += [record for record in records if record.unit == unit.unit]
    attempt.lose(gone)


def _last_lines(place: Place, ledger: Ledger, part: int) -> list[str]:
    """The end of what a part's last task wrote."""
    latest = ledger.latest(part)
    if latest is None:
        return []
    submission, index = latest
    log: Path = place.logs / f"{submission.job}_{index}.out"
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()][-_LAST_LINES:]
