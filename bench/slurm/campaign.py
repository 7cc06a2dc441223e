"""A run on a cluster from its first array to the end of its last task.

What a task did is read from the journal of its part, never from SLURM: a cluster without accounting
forgets how a task ended, and a journal does not. SLURM is asked only whether a task may still run.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.files import write_whole
from bench.slurm.cluster import Cluster
from bench.slurm.ledger import Place, Submission
from bench.slurm.parts import Found, Parts
from bench.slurm.queue import Queue
from bench.slurm.scheduler import WAITING, Scheduler, SchedulerError, output_pattern
from bench.slurm.script import Array, script
from bench.spec.spec import Spec

MOST_TRIES = 2


@dataclass(frozen=True)
class Orders:
    """How arrays are submitted."""

    cluster: Cluster
    root: Path  # the folder that holds our packages
    silence: float  # seconds after which a worker without sign of life is killed


class Campaign:
    """Submits the parts of a run, and those that failed once more; one process at a time."""

    def __init__(
        self,
        place: Place,
        spec: Spec,
        orders: Orders,
        scheduler: Scheduler,
        say: Callable[[str], None],
    ) -> None:
        """``say`` is told what happens to a part."""
        self._place = place
        self._orders = orders
        self._scheduler = scheduler
        self._say = say
        self._ledger = place.read()
        self._parts = Parts(spec, self._ledger.count)
        self._good: set[int] = set()
        self._failed: set[int] = set()
        self._unanswered = False

    def begin(self) -> None:
        """Submit every part that is not whole; where tasks are in the queue, look on.

        Raises:
            SchedulerError: SLURM cannot be asked, or refused the array.
        """
        self._place.cancelled.unlink(missing_ok=True)
        if self._ledger.submissions and self._queue().left:
            return
        self._ledger.effort += 1
        order = self._parts.longest_first()
        self._submit([part for part in order if not self._parts.look(part, self._place).good])

    def step(self) -> bool:
        """Look once; queue again what failed once. Whether all is over."""
        try:
            over = self._step(self._queue())
        except SchedulerError as error:
            if not self._unanswered:
                self._say(f"{error}; asking again")
            self._unanswered = True
            return False
        self._unanswered = False
        return over

    def _step(self, queue: Queue) -> bool:
        closed = self._good | self._failed
        open_ones = [part for part in self._parts.numbers if part not in closed]
        ended = [part for part in open_ones if not queue.may_run(part)]
        again = [part for part in ended if self._is_tried_again(part, queue)]
        if self._place.cancelled.exists():
            return not queue.left
        # While tasks wait, more of them would wait, too, and the limit could not be kept.
        if again and not any(task.state in WAITING for task in queue.left):
            self._submit(again, running=len(queue.left))
            return False
        return not queue.left and not again

    def counts(self) -> Counter[str]:
        """How many parts are measured, failed or under way."""
        under_way = self._ledger.count - len(self._good) - len(self._failed)
        found = {"measured": len(self._good), "failed": len(self._failed), "under way": under_way}
        return +Counter(found)

    def _queue(self) -> Queue:
        names = [submission.name for submission in self._ledger.submissions]
        return Queue(self._ledger, self._scheduler.tasks(names))

    def _is_tried_again(self, part: int, queue: Queue) -> bool:
        """Note what became of a part whose task is over; whether it is to be queued again."""
        found = self._parts.look(part, self._place)
        last = self._ledger.tries(part) >= MOST_TRIES
        if found.good:
            self._good.add(part)
        elif last:
            self._failed.add(part)
        self._note(part, queue, "given up" if last else "to be queued again, once", found)
        return not found.good and not last

    def _note(self, part: int, queue: Queue, then: str, found: Found) -> None:
        """Keep how a task ended, and say so, the first time it is seen."""
        latest, task = self._ledger.latest(part), queue.task(part)
        if latest is None or latest[1] in latest[0].ends:
            return
        submission, index = latest
        submission.ends[index] = state = queue.state(part)
        if submission.job is None and task is not None:  # nobody heard sbatch out
            submission.job = task.job.partition("_")[0]
        self._place.write(self._ledger)
        if not found.good:
            self._say(f"part {part}/{self._ledger.count} {state}: {found.words()}; {then}")

    def _submit(self, parts: Sequence[int], running: int = 0) -> None:
        if not parts:
            return
        cluster, submission = self._orders.cluster, self._ledger.add(parts)
        limit = None if cluster.parallel is None else max(1, cluster.parallel - running)
        path, place = self._place.script(submission), self._place
        array = Array(
            submission.name, parts, self._ledger.count, place.run.path, self._orders.silence
        )
        write_whole(path, script(cluster, array, self._orders.root, limit))
        place.write(self._ledger)
        try:
            submission.job = self._scheduler.submit(path, output_pattern(place.logs))
        except SchedulerError:
            self._ledger.submissions.remove(submission)
            place.write(self._ledger)
            raise
        place.write(self._ledger)
        self._say(_submitted(submission))
        if place.cancelled.exists():  # while it was submitted
            self._scheduler.cancel([submission.name])


def _submitted(submission: Submission) -> str:
    count = len(submission.parts)
    return f"job {submission.job}: {count} {'task' if count == 1 else 'tasks'} submitted"
