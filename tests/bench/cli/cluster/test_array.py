"""An array on a real cluster of one node, from the command line to the merged run."""

from collections import Counter
from pathlib import Path

import pytest
from one_node_cluster import OneNode, processes_of
from submissions import Called, widths

from bench.slurm.ledger import Place
from bench.storage.journal import read
from bench.storage.records import cells_of

TWELVE = tuple(range(8, 32, 2))
RAISING, SEGFAULTING, CANCELLED = 10, 18, 24


@pytest.fixture
def submit(
    command: Called, cluster: OneNode, quick_python: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Called:  # fmt: skip
    """Run what is in ``spec.toml``; its cells come at once."""
    monkeypatch.setenv("WITNESS", str(tmp_path / "witness"))
    (tmp_path / "slurm.toml").write_text(
        f'partition = "main"\ntime = "5"\npython = "{quick_python}"\noptions = ["--mem=1"]\n'
    )

    def run(*words: object) -> tuple[int, str, str]:
        return command("run", "--preset", "spec.toml", "--on", "slurm.toml", *words)

    return run


def test_what_fails_is_one_blocks_failure_and_is_queued_again_once(
    submit: Called, command: Called, cluster: OneNode, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    faults = {RAISING: "raises", SEGFAULTING: "segfaults", CANCELLED: "is_cancelled"}
    monkeypatch.setenv("FAULTS_AT", ",".join(f"{d}:{name}" for d, name in faults.items()))
    (tmp_path / "spec.toml").write_text(widths(*TWELVE).to_toml(""))

    code, printed, errors = submit("--out", "run")

    assert code == 4, errors
    assert printed.strip() == str(tmp_path / "run" / "report.html")
    cells = cells_of(read(tmp_path / "run" / "journal.jsonl"))
    assert {(c.d, c.method) for c in cells} == {(d, m) for d in TWELVE for m in ("sgd", "identity")}
    assert len(cells) == 2 * len(TWELVE)
    bad = {(c.d, c.method): (c.status, c.reason) for c in cells if c.status != "ok"}
    assert {place: status for place, (status, _) in bad.items()} == {
        (RAISING, "identity"): "crashed",
        (SEGFAULTING, "identity"): "crashed",
        (CANCELLED, "sgd"): "cancelled",
        (CANCELLED, "identity"): "cancelled",
    }
    assert "SIGSEGV" in bad[SEGFAULTING, "identity"][1]
    assert "CANCELLED" in bad[CANCELLED, "sgd"][1]

    ledger = Place(tmp_path / "run").read()
    tried = Counter(part for submission in ledger.submissions for part in submission.parts)
    assert Counter(tried.values()) == {1: 9, 2: 3}
    code, printed, _ = command("status", "run")
    assert code == 4
    assert printed.startswith("12 parts: 9 measured, 2 FAILED, 1 CANCELLED\n")
    assert cluster.asked("squeue", "-h") == ""
    assert processes_of(tmp_path) == []
