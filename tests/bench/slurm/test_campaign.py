"""Which parts are submitted when, with a SLURM that does as the test says."""

from pathlib import Path

import pytest
from submissions import MadeUpScheduler, measure, parts_of, widths

from bench.plan.points import make_plan
from bench.plan.shards import Shard, share
from bench.slurm.campaign import Campaign, Orders
from bench.slurm.cluster import Cluster
from bench.slurm.directory import prepare
from bench.slurm.ledger import Place
from bench.slurm.parts import forget_failures
from bench.slurm.scheduler import SchedulerError
from bench.storage.journal import read
from bench.storage.lock import locked

SPEC = widths(8, 16, 24, 32)
PARTS = [1, 2, 3, 4]


class Run:
    """A campaign, what it said, and the SLURM it speaks to."""

    def __init__(self, path: Path, cluster: Cluster) -> None:
        self.place, self.cluster = Place(path), cluster
        self.slurm, self.said = MadeUpScheduler(), list[str]()
        prepare(self.place, SPEC, cluster, "teleport-bench run", resume=False)
        self.campaign = self.again()

    def again(self) -> Campaign:
        """The process that looks on, anew."""
        orders = Orders(self.cluster, Path("/none"), 60.0)
        return Campaign(self.place, SPEC, orders, self.slurm, self.said.append)

    def measure(self, part: int, status: str = "ok") -> None:
        measure(self.place, SPEC, Shard(part, 4), status)

    @property
    def submitted(self) -> list[list[int]]:
        return [parts_of(script) for script in self.slurm.scripts]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run", Cluster())


def test_the_longest_part_comes_first(run: Run) -> None:
    run.campaign.begin()

    plan = make_plan(SPEC)
    (order,) = run.submitted
    assert [share(plan, Shard(part, 4)).blocks[0].point.d for part in order] == [32, 24, 16, 8]
    assert "#SBATCH --array=0-3\n" in run.slurm.scripts[0]


def test_all_is_over_when_every_part_is_whole(run: Run) -> None:
    run.campaign.begin()
    assert not run.campaign.step()
    for part in PARTS:
        run.measure(part)
    run.slurm.all_are("RUNNING")
    assert not run.campaign.step()
    run.slurm.all_are("COMPLETED")

    assert run.campaign.step()
    assert run.campaign.counts() == {"measured": 4}
    assert run.said == ["job 1: 4 tasks submitted"]


@pytest.mark.parametrize("status", ["crashed", "oom", "timeout", ""])
def test_what_failed_is_queued_again_once_and_then_given_up(run: Run, status: str) -> None:
    run.campaign.begin()
    for part in (1, 2, 4):
        run.measure(part)
    run.measure(3, status)
    run.slurm.all_are("FAILED")

    assert not run.campaign.step()
    assert run.submitted[1:] == [[3]]
    run.slurm.all_are("NODE_FAIL")
    assert run.campaign.step()

    assert len(run.submitted) == 2
    assert run.campaign.counts() == {"measured": 3, "failed": 1}
    what = f"2 {status}" if status else "1 of 1 not measured"
    assert run.said[1] == f"part 3/4 FAILED: {what}; to be queued again, once"
    assert run.said[-1] == f"part 3/4 NODE_FAIL: {what}; given up"


@pytest.mark.parametrize("status", ["skipped", "invalid"])
def test_what_would_fail_again_is_not_queued_again(run: Run, status: str) -> None:
    run.campaign.begin()
    for part in PARTS:
        run.measure(part, status)
    run.slurm.all_are("COMPLETED")

    assert run.campaign.step()
    assert len(run.submitted) == 1


def test_a_second_try_that_works_is_a_part_like_any_other(run: Run) -> None:
    run.campaign.begin()
    for part in PARTS:
        run.measure(part, "ok" if part > 1 else "crashed")
    run.slurm.all_are("COMPLETED")
    run.campaign.step()
    again = run.place.part(1)
    with locked(again.path):
        forget_failures(again)
    run.measure(1)
    run.slurm.all_are("COMPLETED")

    assert run.campaign.step()
    assert run.campaign.counts() == {"measured": 4}
    assert {record.status for record in read(again.journal)} == {"ok"}


def test_nothing_is_queued_again_while_tasks_wait_and_the_limit_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", Cluster(parallel=3))
    run.campaign.begin()
    assert "--array=0-3%3" in run.slurm.scripts[0]
    name = Path(next(iter(run.slurm.states))[0]).name
    run.slurm.states |= {(name, 0): "FAILED", (name, 1): "RUNNING", (name, 2): "RUNNING"}
    run.campaign.step()
    assert len(run.submitted) == 1

    run.slurm.states[name, 3] = "FAILED"
    run.campaign.step()

    assert run.submitted[1] == sorted([run.submitted[0][0], run.submitted[0][3]])
    assert "--array=0-1%1" in run.slurm.scripts[1]


def test_a_task_that_slurm_has_forgotten_is_judged_by_its_journal(run: Run) -> None:
    run.campaign.begin()
    for part in (1, 2, 3):
        run.measure(part)
    run.slurm.states.clear()

    assert not run.campaign.step()
    assert run.submitted[1:] == [[4]]
    assert "part 4/4 ENDED: 1 of 1 not measured; to be queued again, once" in run.said


def test_without_an_answer_of_slurm_nothing_is_concluded(run: Run) -> None:
    run.campaign.begin()
    run.slurm.all_are("FAILED")
    run.slurm.fault = "expected squeue to do as asked; no controller"

    assert not run.campaign.step()
    assert not run.campaign.step()
    assert run.said[1:] == ["expected squeue to do as asked; no controller; asking again"]
    run.slurm.fault = ""
    assert not run.campaign.step()
    assert len(run.submitted) == 2


def test_an_array_that_is_refused_leaves_nothing_behind(run: Run) -> None:
    run.slurm.fault = "expected sbatch to do as asked; invalid partition"

    with pytest.raises(SchedulerError, match="invalid partition"):
        run.campaign.begin()

    assert run.place.read().submissions == []
    prepare(run.place, SPEC, run.cluster, "teleport-bench run", resume=False)  # is free again


def test_after_cancel_nothing_is_queued_again(run: Run) -> None:
    run.campaign.begin()
    run.place.cancelled.touch()
    assert not run.campaign.step()
    run.slurm.all_are("CANCELLED")

    assert run.campaign.step()
    assert len(run.submitted) == 1

    run.again().begin()
    assert sorted(run.submitted[1]) == PARTS
    assert not run.place.cancelled.exists()


def test_an_array_submitted_while_the_run_was_cancelled_is_cancelled_too(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = run.slurm.submit

    def slow(*words: Path) -> str:
        run.place.cancelled.touch()
        return submit(*words)

    monkeypatch.setattr(run.slurm, "submit", slow)
    run.campaign.begin()

    assert run.slurm.cancelled == [run.place.read().submissions[0].name]


def test_taken_up_while_tasks_are_in_the_queue_a_run_looks_on(run: Run) -> None:
    run.campaign.begin()
    run.slurm.all_are("FAILED")
    run.campaign.step()
    later = run.again()
    later.begin()
    assert len(run.submitted) == 2
    run.slurm.all_are("FAILED")

    assert later.step()
    assert len(run.submitted) == 2


def test_taken_up_after_its_end_a_run_tries_what_failed_anew(run: Run) -> None:
    run.campaign.begin()
    for part in (1, 2, 3):
        run.measure(part)
    for _ in range(2):
        run.slurm.all_are("FAILED")
        run.campaign.step()
    later = run.again()
    later.begin()

    assert run.submitted[1:] == [[4], [4]]
    run.slurm.all_are("FAILED")
    assert not later.step()
    assert run.submitted[3:] == [[4]]


def test_an_array_whose_number_nobody_heard_is_found_by_its_name(run: Run) -> None:
    run.campaign.begin()
    ledger = run.place.read()
    ledger.submissions[0].job = None
    run.place.write(ledger)
    later = run.again()
    later.begin()
    assert len(run.submitted) == 1
    run.slurm.all_are("FAILED")
    later.step()

    assert run.place.read().submissions[0].job == "1"
