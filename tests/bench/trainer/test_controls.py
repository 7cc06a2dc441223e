"""What each control does where its paired arm teleports."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from training_units import carried_out, commands, judged, spec_of

ARMS = ("nullspace:growth=4", "reset", "random", "pseudo", "lr-gain", "spend", "normalised")
PAIR = "nullspace:growth=4"


@cache
def records(optimizer: str) -> list[dict[str, Any]]:
    """All arms of one seed, with one moment, in the middle of training."""
    with TemporaryDirectory() as folder:
        spec = spec_of(arms=ARMS, optimizers=(optimizer,), schedule="1:2", evaluations=5)
        tuning, last = commands(spec, Path(folder))
        return carried_out({**last, "given": carried_out(tuning)})


def moves(arm: str, optimizer: str = "adam") -> list[dict[str, Any]]:
    return judged(records(optimizer), arm, "teleport")


def losses(arm: str, optimizer: str = "adam") -> list[float]:
    return [record["train_loss"] for record in judged(records(optimizer), arm)]


@pytest.mark.parametrize("arm", ARMS[:-1])
def test_up_to_the_moment_every_arm_is_plain(arm: str) -> None:
    assert losses(arm)[:6] == losses("plain")[:6]
    assert losses(arm)[6:] != losses("plain")[6:]


@pytest.mark.parametrize("arm", ["random", "pseudo"])
def test_a_direction_goes_as_far_as_the_pair(arm: str) -> None:
    lengths = [move["displacement"] for move in moves(PAIR)]

    assert [move["displacement"] for move in moves(arm)] == pytest.approx(lengths, rel=1e-5)
    assert min(lengths) > 0


def test_random_keeps_the_loss_on_the_batch_and_pseudo_has_no_reason_to() -> None:
    for move in moves("random"):
        assert move["teleport_status"] == "DONE"
        assert move["loss_after"] == pytest.approx(move["loss_before"], rel=1e-4)
    assert {move["teleport_status"] for move in moves("pseudo")} == {"PSEUDO"}
    changed = [moves("pseudo")[-1]["train_loss_after"], moves("pseudo")[0]["train_loss_before"]]
    assert changed[0] != pytest.approx(changed[1], rel=1e-4)


def test_reset_is_nothing_to_an_optimizer_without_a_state() -> None:
    assert losses("reset", "sgd") == losses("plain", "sgd")
    assert losses("reset", "adam") != losses("plain", "adam")
    assert moves("reset") == []


def test_spend_takes_as_many_steps_more_as_the_teleports_were_worth() -> None:
    worth = sum(move["gradient_equivalents"] for move in moves(PAIR))
    ends = judged(records("adam"), "spend")[-1]

    assert worth > 2
    assert ends["gradient_equivalents"] == ends["step"] + round(worth)
    assert ends["step"] == judged(records("adam"), "plain")[-1]["step"]


def test_a_higher_rate_lasts_as_long_as_the_gain() -> None:
    """SGD: the change of the first step after the moment is gain times as large."""
    from bench.trainer.run import Run

    run = Run.__new__(Run)
    seen: list[float] = []
    run.step, run.boosted, run.trial = 5, (3.0, 7), {"lr": 0.1}

    class Settings:
        epochs, warmup, lr_schedule = 2, 0, "constant"

    class Study:
        class task:  # noqa: N801
            class batches:  # noqa: N801
                steps = 10

        settings = Settings

    run.task = Study.task  # type: ignore[assignment]
    run.study, run.model, run.optimizer = Study, None, None  # type: ignore[assignment]
    import bench.trainer.run as module

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "set_lr", lambda _, lr: seen.append(lr))
        patched.setattr(module, "take_step", lambda *_: None)
        for _ in range(4):
            run.train(None)  # type: ignore[arg-type]

    assert seen == pytest.approx([0.3, 0.3, 0.1, 0.1])


def test_the_gain_is_that_of_the_gradient_norm() -> None:
    from bench.trainer.moments.moves import Happened

    happened = Happened(0, floor=1.0)
    for norm in (4.0, 2.0, 0.9, 5.0):
        happened.watch(norm)

    assert (happened.lasted, happened.over) == (2, True)


def test_normalised_steps_are_of_one_length() -> None:
    plain, fixed = losses("plain", "sgd"), losses("normalised", "sgd")

    assert fixed[:2] == plain[:2]  # that of the first step
    assert fixed[2] != plain[2]
    assert losses(f"normalised+{PAIR}", "sgd")[:6] == fixed[:6]
    assert not judged(records("adam"), "normalised")
