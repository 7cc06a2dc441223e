"""An array on a real cluster of one node, from the command line to the merged run."""

import time
from collections import Counter
from pathlib import Path

import pytest
from one_node_cluster import OneNode, processes_of
from submissions import Called, widths

from bench.cli.cluster.cancel import cancel
from bench.slurm.ledger import Place
from bench.storage.journal import read
from bench.storage.records import cells_of

RAISING, SEGFAULTING, CANCELLED = 10, 14, 18
WIDTHS = (8, RAISING, 12, SEGFAULTING, 16, CANCELLED)


@pytest.fixture
def submit(
    command: Called,
    cluster: OneNode,
    quick_python: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Called:
    """Submit what is in ``spec.toml``; its cells come at once, and no report is written."""
    monkeypatch.setenv("WITNESS", str(tmp_path / "witness"))
    monkeypatch.setattr("bench.cli.cluster.on.sleep", lambda _: time.sleep(0.1))
    monkeypatch.setattr("reports.write_report", lambda path: path / "report.html")
    (tmp_path / "slurm.toml").write_text(
        f'partition = "main"\ntime = "5"\npython = "{quick_python}"\noptions = ["--mem=1"]\n'
    )

    def run(*words: object) -> tuple[int, str, str]:
        return command("run", *words, "--on", "slurm.toml", "--out", "run")

    return run


def cells(folder: Path) -> dict[tuple[int | None, str], tuple[str, str]]:
    found = cells_of(read(folder / "run" / "journal.jsonl"))
    by_place = {(cell.d, cell.method): (cell.status, cell.reason) for cell in found}
    assert len(by_place) == len(found)
    return by_place


def assert_nothing_runs(cluster: OneNode, folder: Path) -> None:
    assert cluster.asked("squeue", "-h") == ""
    assert processes_of(folder) == []


def test_what_fails_is_one_blocks_failure_and_is_queued_again_once(
    submit: Called,
    command: Called,
    cluster: OneNode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults = {RAISING: "raises", SEGFAULTING: "segfaults", CANCELLED: "is_cancelled"}
    monkeypatch.setenv("FAULTS_AT", ",".join(f"{d}:{name}" for d, name in faults.items()))
    (tmp_path / "spec.toml").write_text(widths(*WIDTHS).to_toml(""))

    code, printed, errors = submit("--preset", "spec.toml")

    assert code == 4, errors
    assert printed.strip() == str(tmp_path / "run" / "report.html")
    found = cells(tmp_path)
    assert set(found) == {(d, method) for d in WIDTHS for method in ("sgd", "identity")}
    assert {place: status for place, (status, _) in found.items() if status != "ok"} == {
        (RAISING, "identity"): "crashed",
        (SEGFAULTING, "identity"): "crashed",
        (CANCELLED, "sgd"): "cancelled",
        (CANCELLED, "identity"): "cancelled",
    }
    assert "SIGSEGV" in found[SEGFAULTING, "identity"][1]
    assert "CANCELLED" in found[CANCELLED, "sgd"][1]

    ledger = Place(tmp_path / "run").read()
    tried = Counter(part for submission in ledger.submissions for part in submission.parts)
    assert Counter(tried.values()) == {1: 3, 2: 3}
    code, printed, _ = command("status", "run")
    assert code == 4
    assert printed.startswith("6 parts: 3 measured, 2 FAILED, 1 CANCELLED\n")
    assert_nothing_runs(cluster, tmp_path)


def test_a_run_is_left_cancelled_and_taken_up_again(
    submit: Called,
    command: Called,
    cluster: OneNode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "spec.toml").write_text(widths(8, 16).to_toml(""))
    monkeypatch.setenv("FAULTS_AT", "16:waits")
    place = Place(tmp_path / "run")

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("bench.cli.cluster.on.sleep", interrupt)
        code, _, errors = submit("--preset", "spec.toml")
    assert code == 130
    assert f"'teleport-bench status {place.run.path}' looks on" in errors
    assert cluster.asked("squeue", "-h") != ""
    assert command("status", "run")[0] == 0
    code, _, errors = command("run", "--resume", "--out", "run")
    assert code == 2
    assert "expected --on to go on with a run that was submitted" in errors

    def cancelling(_seconds: float) -> None:
        time.sleep(0.1)
        of_short = [place.part(part).journal for part in (1, 2)]
        said = "".join(journal.read_text() for journal in of_short if journal.exists())
        if '"d":8' in said and not place.cancelled.exists():
            cancel(Path("run"))

    with monkeypatch.context() as patched:
        patched.setattr("bench.cli.cluster.on.sleep", cancelling)
        code, _, errors = submit("--resume")
    assert code == 4
    assert Counter(status for status, _ in cells(tmp_path).values()) == {"ok": 2, "cancelled": 2}
    assert len(place.read().submissions) == 1
    assert_nothing_runs(cluster, tmp_path)

    monkeypatch.delenv("FAULTS_AT")
    code, _, errors = submit("--resume")
    assert code == 0, errors
    assert {status for status, _ in cells(tmp_path).values()} == {"ok"}
    assert [len(each.parts) for each in place.read().submissions] == [2, 1]
    assert command("status", "run")[:2] == (0, "2 parts: 2 measured\n")
    assert_nothing_runs(cluster, tmp_path)


def test_tasks_at_work_beside_each_other_hold_a_gpu_and_a_core_of_their_own(
    cluster: OneNode, tmp_path: Path
) -> None:
    """No GPU is needed for that: two device nodes stand for them."""
    from bench.slurm.cluster import Cluster
    from bench.slurm.scheduler import Scheduler, output_pattern
    from bench.slurm.script import Array, script

    # Ends when the other one has begun.
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/bash\necho "$CUDA_VISIBLE_DEVICES $(taskset -cp $$)" > "$4/$SLURM_ARRAY_TASK_ID"\n'
        'for _ in $(seq 300); do [ -e "$4/0" ] && [ -e "$4/1" ] && exit; sleep 0.1; done; exit 1\n'
    )
    python.chmod(0o755)
    array = Array("two", (1, 2), 2, tmp_path, 60.0)
    path = tmp_path / "two.sh"
    path.write_text(script(Cluster(gpus_per_task=1, python=str(python)), array, tmp_path))

    slurm = Scheduler()
    slurm.submit(path, output_pattern(tmp_path))
    last = time.monotonic() + 60
    while not all(task.ended for task in slurm.tasks(["two"]).values()):
        assert time.monotonic() < last
        time.sleep(0.05)

    assert [task.state for task in slurm.tasks(["two"]).values()] == ["COMPLETED"] * 2
    said = [(tmp_path / index).read_text().split() for index in ("0", "1")]
    assert {words[0] for words in said} == {"0", "1"}
    assert len({words[-1] for words in said}) == 2
