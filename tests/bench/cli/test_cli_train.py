"""``teleport-bench train`` as a user types it: from arms to verdicts, killed and taken up again."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SMALL = (
    *("--optimizer", "adam", "--arm", "nullspace:growth=2", "--arm", "aa", "--lr", "0.01"),
    *("--tune", "0", "--seeds", "2", "--epochs", "2", "--samples", "128", "--schedule", "0:1"),
    *("--axis", "d=16", "--batches", "1", "--device", "cpu", "--threads", "1"),
)


def table(out: Path, name: str) -> list[dict[str, str]]:
    with (out / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def kept(out: Path) -> dict[str, tuple[str, str]]:
    """Values of every trial at every step, without times."""
    return {
        f"{row['trial_id']}-{row['step']}": (row["train_loss"], row["test_loss"])
        for row in table(out, "training")
    }


@pytest.mark.long
def test_killed_and_taken_up_again_it_ends_with_the_same_values(command, tmp_path: Path) -> None:
    """The worker with it, by SIGKILL; --resume alone finds the run's own spec."""
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    words = [sys.executable, "-m", "bench", "train", *SMALL, "--quiet", "--out", str(broken)]
    process = subprocess.Popen(words, cwd=ROOT, start_new_session=True)
    journal = broken / "journal.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = [json.loads(line) for line in journal.read_text().splitlines() if line.endswith("}")]
    assert before

    assert command("train", "--out", str(broken), "--resume", "--quiet")[0] == 0
    code, printed, _ = command("train", *SMALL, "--quiet", "--out", str(whole))

    assert code == 0
    assert printed.strip() == str(whole / "report.html")
    assert kept(broken) == kept(whole)
    verdicts = table(whole, "acceleration")
    assert {row["verdict"] for row in verdicts} == {"UNDECIDED"}  # two seeds
    assert {row["arm"] for row in verdicts} == {"nullspace:growth=2", "aa"}
    page = (whole / "report.html").read_text()
    assert "Does it pay?" in page


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--optimizer", "sdg"), "did you mean 'sgd'"),
        (("--lr", "0", "--tune", "0"), "expected a learning rate, or trials to tune it"),
        (("--schedule", "0:50"), "expected a schedule within 15 epochs"),
        (("--schedule", "soon"), "expected a schedule FIRST:END of epochs"),
        (("--arm", "random"), "expected a teleport among training.arms beside random"),
        (("--preset", "quick"), "expected a preset that trains; quick has no [training]"),
        (("--axis", "d=16,32"), "expected one level of each letter"),
        (("--seeds", "0"), "expected training.seeds to be a whole number from 1"),
        (("--resume",), "expected --out with --resume to name a run"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(command, given: tuple[str, ...], said: str) -> None:
    code, printed, errors = command("train", "--dry-run", *given)

    assert code == 2
    assert said in errors
    assert not printed
