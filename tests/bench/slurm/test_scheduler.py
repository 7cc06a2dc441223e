"""What SLURM's commands answer, and what becomes of an answer that is none."""

from pathlib import Path

import pytest

from bench.slurm.scheduler import Scheduler, SchedulerError, Seen, output_pattern, parsed

# As squeue of SLURM 22.05 prints it.
ANSWER = """\
a-1|0|COMPLETED|17|None
a-1|1|FAILED|17|NonZeroExitCode
a-1|2|RUNNING|17|None
a-1|3|PENDING|17|JobArrayTaskLimit
a-1|4|PENDING|17|ReqNodeNotAvail, UnavailableNodes:n[1-2] | n4
a-1|N/A|RUNNING|18|None
slurm_load_jobs: something else
"""


class Commands:
    """A folder with commands of SLURM that answer as a test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def answers(self, name: str, out: str = "", err: str = "", code: int = 0) -> None:
        path = self.folder / name
        said = self.folder / f"{name}.said"
        path.write_text(
            f'#!/bin/bash\nprintf "%s\\n" "$@" > {said}\ncat <<"EOF"\n{out}\nEOF\n'
            f'cat >&2 <<"EOF"\n{err}\nEOF\nexit {code}\n'
        )
        path.chmod(0o755)

    def words(self, name: str) -> list[str]:
        return (self.folder / f"{name}.said").read_text().splitlines()


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Commands(tmp_path)


def test_tasks_are_read_by_array_and_index() -> None:
    found = parsed(ANSWER)

    assert set(found) == {("a-1", index) for index in range(5)}
    assert found["a-1", 1] == Seen("FAILED", "17_1", "NonZeroExitCode")
    assert [found["a-1", index].ended for index in range(5)] == [True, True, False, False, False]
    assert found["a-1", 4].reason == "ReqNodeNotAvail, UnavailableNodes:n[1-2] | n4"
    assert parsed("") == {}


@pytest.mark.parametrize(
    "state", ["PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "NEWER"]
)
def test_a_state_that_is_no_end_may_go_on(state: str) -> None:
    assert not Seen(state, "1_1", "None").ended


@pytest.mark.parametrize("state", ["CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"])
def test_an_end_is_one(state: str) -> None:
    assert Seen(state, "1_1", "None").ended


def test_a_submission_is_named_by_its_number(commands: Commands, tmp_path: Path) -> None:
    commands.answers("sbatch", "4711;cluster")

    job = Scheduler().submit(tmp_path / "a.sh", output_pattern(tmp_path / "50%"))

    assert job == "4711"
    words = commands.words("sbatch")
    assert words[0] == "--parsable"
    assert f"--output={tmp_path}/50%%/%A_%a.out" in words
    assert words[-1] == str(tmp_path / "a.sh")


@pytest.mark.parametrize(
    ("out", "code", "message"),
    [
        ("", 1, "expected sbatch to do as asked; sbatch: error: invalid partition specified: x"),
        ("Submitted batch job 5", 0, "expected sbatch to give a number; it said 'Submitted batch"),
    ],
)
def test_a_refusal_says_what_slurm_said(
    commands: Commands, tmp_path: Path, out: str, code: int, message: str
) -> None:
    commands.answers("sbatch", out, "sbatch: error: invalid partition\nspecified: x", code)

    with pytest.raises(SchedulerError, match=message):
        Scheduler().submit(tmp_path / "a.sh", tmp_path)


def test_no_answer_is_not_an_empty_one(commands: Commands) -> None:
    commands.answers("squeue", "", "slurm_load_jobs error: Unable to contact slurm controller", 1)

    with pytest.raises(SchedulerError, match="Unable to contact slurm controller"):
        Scheduler().tasks(["a-1"])


def test_ended_tasks_are_asked_for_too(commands: Commands) -> None:
    commands.answers("squeue", ANSWER)

    assert len(Scheduler().tasks(["a-1", "b-2"])) == 5
    assert {"--states=all", "--array", "--name=a-1,b-2"} <= set(commands.words("squeue"))


def test_every_array_is_cancelled_by_name(commands: Commands) -> None:
    commands.answers("scancel")

    Scheduler().cancel(["a-1"])

    assert commands.words("scancel") == ["--name=a-1"]


def test_a_machine_without_slurm_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SchedulerError, match="there is no squeue: submit from a machine of the cl"):
        Scheduler().tasks(["a-1"])
