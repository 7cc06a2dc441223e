"""What is not submitted, what a rehearsal shows, and a look at a run of this machine."""

from pathlib import Path

import pytest
from submissions import Called, measure, widths

from bench.plan.shards import Shard
from bench.slurm.ledger import Place

SWEEP = ("run", "--preset", "smoke", "--device", "cpu", "--on", "slurm.toml")


@pytest.fixture
def call(command: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Called:
    """The command line on a machine without SLURM."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "slurm.toml").write_text('partition = "main"\nparallel = 2\n')
    return command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*SWEEP, "--shard", "1/2"), "expected --on without --shard"),
        ((*SWEEP, "--profile"), "expected --on without --profile"),
        ((*SWEEP, "--budget", "5"), "expected no budget of seconds on a cluster"),
        ((*SWEEP, "--device", "cuda"), "slurm.toml gives none: add gpus_per_task = 1"),
        ((*SWEEP, "--on", "none.toml"), "expected --on to name a file that describes the cluster"),
        ((*SWEEP, "--out", "o"), "expected the commands of SLURM here; there is no sbatch"),
        (("train", "--device", "cpu", "--on", "slurm.toml", "--out", "o"), "there is no sbatch"),
        ((*SWEEP, "--timeout", "0"), "expected timeout to be a number > 0"),
        (("cancel", "nowhere"), "expected a run on a cluster in nowhere; nothing was submitted"),
        (("status", "nowhere"), "expected nowhere/spec.toml beside the journal"),
    ],
)
def test_what_cannot_be_submitted_is_one_message(
    call: Called, words: tuple[str, ...], message: str
) -> None:
    code, printed, errors = call(*words)

    assert code == 2
    assert message in errors
    assert not printed


def test_a_rehearsal_shows_plan_and_script_and_touches_nothing(
    call: Called, tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())

    code, printed, _ = call(*SWEEP, "--dry-run")

    assert code == 0
    assert printed.startswith("preset smoke: model mlp")
    assert "#SBATCH --array=0-3%2\n" in printed
    assert sorted(tmp_path.iterdir()) == before


def test_status_counts_a_run_that_was_measured_here(call: Called, tmp_path: Path) -> None:
    spec, place = widths(8, 16), Place(tmp_path)
    measure(place, spec, Shard(1, 2))

    assert call("status", "parts/1") == (4, "2 ok; 1 units left\n", "")
