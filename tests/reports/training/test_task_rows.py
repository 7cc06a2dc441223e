"""What training.csv has of several tasks."""

import pytest

from bench.storage.records import TrainingRecord
from reports.training.experiment import Course, Experiment
from reports.training.rows import delta_m, training_rows


def course(arm: str, losses: list[float] | None, *, seed: int = 0, role: str = "test") -> Course:
    facts = {
        "trial_id": f"{arm} {seed}",
        "optimizer": "adam",
        "arm": arm,
        "lr_rule": "fixed",
        "role": role,
        "lr": 0.1,
        "seed": seed,
    }
    record = TrainingRecord(
        **facts,  # type: ignore[arg-type]
        epoch=1.0,
        step=5,
        train_seconds=1.0,
        teleport_seconds=0.0,
        test_task_losses=losses,
        conflict_cosines=None if losses is None else [0.5, -0.25],
    )
    return Course(record, [record], [], None)


def test_delta_m_is_the_mean_of_the_signed_relative_changes_in_percent() -> None:
    assert delta_m([0.9, 2.2], [1.0, 2.0]) == pytest.approx(0.0)
    assert delta_m([0.8, 1.8], [1.0, 2.0]) == pytest.approx(-15.0)
    assert delta_m([-8.0, 1.0], [-10.0, 1.0]) == pytest.approx(10.0)
    assert delta_m(None, [1.0, 2.0]) is delta_m([1.0], [0.0]) is delta_m([1.0], None) is None


def test_each_row_is_held_against_plain_training_of_its_seed() -> None:
    courses = [
        course("plain", [1.0, 2.0]),
        course("cost", [0.8, 1.8]),
        course("plain", [4.0, 4.0], seed=1),
        course("cost", [5.0, 5.0], seed=1),
        course("plain", [9.0, 9.0], role="tuning"),
        course("other", None),
    ]

    rows = training_rows(Experiment(None, courses))

    found = [row.delta_m for row in rows]
    assert found == [0.0, pytest.approx(-15.0), 0.0, pytest.approx(25.0), None, None]
    assert rows[1].test_task_losses == "0.8 1.8"
    assert rows[1].conflict_cosines == "0.5 -0.25"
    assert (rows[-1].test_task_losses, rows[-1].train_task_losses) == ("", "")
