"""Where a part stands, by what was submitted and what SLURM still knows of it."""

from dataclasses import dataclass

from bench.slurm.ledger import Ledger
from bench.slurm.scheduler import Seen, Tasks

# Of a task that SLURM does not know any more, and whose end nobody saw.
FORGOTTEN = "ENDED"
NEVER = "NOT SUBMITTED"


@dataclass(frozen=True)
class Queue:
    """Parts seen as tasks of their last arrays."""

    ledger: Ledger
    tasks: Tasks

    def task(self, part: int) -> Seen | None:
        """What squeue says of the part's last task, if it still does."""
        latest = self.ledger.latest(part)
        return None if latest is None else self.tasks.get((latest[0].name, latest[1]))

    def may_run(self, part: int) -> bool:
        """Whether the task runs or waits."""
        task = self.task(part)
        return task is not None and not task.ended

    def state(self, part: int) -> str:
        """The state of the task in SLURM's words, or how it was seen to end."""
        latest, task = self.ledger.latest(part), self.task(part)
        if latest is None:
            return NEVER
        return task.state if task is not None else latest[0].ends.get(latest[1], FORGOTTEN)

    def name(self, part: int) -> str:
        """The task as users of SLURM write it, 12_3; empty where it never was submitted."""
        latest = self.ledger.latest(part)
        return "" if latest is None else f"{latest[0].job or '?'}_{latest[1]}"

    @property
    def left(self) -> list[Seen]:
        """All tasks of the run that run or wait."""
        return [task for task in self.tasks.values() if not task.ended]
