from typing import Any

import pytest

from bench.errors import SpecError
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.plan.shards import Shard
from bench.spec.preset import load_preset
from bench.storage.records import TrialRecord
from bench.training.settings import Training
from bench.training.trials import judged_trials, tuning_trials
from bench.training.tuning import chosen_lr

SETTINGS = Training(
    optimizers=("sgd", "adam"),
    arms=("nullspace:growth=4", "aa", "normalised"),
    lr=2e-4,
    tune=3,
    tuning_seeds=2,
)


def test_every_arm_with_a_rate_of_its_own_has_as_many_trials() -> None:
    tuned = [trial for trial in tuning_trials(SETTINGS, "sgd", 0) if trial.lr_rule == "tuned"]

    counts = {arm: sum(trial.arm == arm for trial in tuned) for arm in {t.arm for t in tuned}}

    names = ("plain", "nullspace:growth=4", "normalised", "normalised+nullspace:growth=4")
    assert counts == dict.fromkeys(names, 3)


def test_seeds_that_tune_are_not_judged() -> None:
    tuning = {t.seed for run in range(2) for t in tuning_trials(SETTINGS, "adam", run)}
    judged = {t.seed for seed in range(50) for t in judged_trials(SETTINGS, "adam", seed)}

    assert not tuning & judged
    assert len(tuning) == 2


def test_every_arm_is_judged_as_it_is_and_tuned() -> None:
    trials = judged_trials(SETTINGS, "adam", 0)

    assert [(t.arm, t.lr_rule, t.lr) for t in trials] == [
        ("plain", "fixed", 2e-4),
        ("plain", "tuned", None),
        ("nullspace:growth=4", "fixed", 2e-4),
        ("nullspace:growth=4", "tuned", None),
        ("aa", "fixed", 2e-4),
        ("aa", "tuned", None),
    ]
    assert any(t.arm == "normalised" for t in judged_trials(SETTINGS, "sgd", 0))


def test_the_parts_of_a_run_have_what_their_units_need() -> None:
    plan = make_plan(load_preset("train-quick").with_overrides(device="cpu"))
    whole = make_units(plan, [])

    parts = [make_units(plan, [], Shard(index, 3)) for index in (1, 2, 3)]

    assert sorted(unit.unit for part in parts for unit in part) == sorted(u.unit for u in whole)
    for part in parts:
        assert {need for unit in part for need in unit.needs} <= {unit.unit for unit in part}


def ended(arm: str, lr: float, loss: float | None, **changes: Any) -> TrialRecord:
    facts: dict[str, Any] = {"optimizer": "sgd", "lr_rule": "tuned", "role": "tuning", "seed": 1}
    outcome = "diverged" if loss is None else "finished"
    facts |= {"trial_id": f"{arm}{lr}", "outcome": outcome, "train_loss": loss} | changes
    return TrialRecord(arm=arm, lr=lr, **facts)


def test_the_rate_with_the_lowest_median_is_chosen() -> None:
    losses = {0.1: (0.5, 0.5, 9.0), 0.3: (0.6, 0.4, 0.4), 1.0: (0.1, 0.1, None)}
    trials = [ended("plain", lr, loss) for lr, each in losses.items() for loss in each]
    others = [ended("aa", 0.1, 0.0), ended("plain", 0.1, 0.0, role="test")]
    others += [ended("plain", 0.1, 0.0, lr_rule="fixed")]

    assert chosen_lr("plain", [*trials, *others]) == (0.3, False)


def test_the_end_of_a_grid_is_flagged() -> None:
    trials = [ended("plain", lr, lr) for lr in (0.1, 0.3, 1.0)]

    assert chosen_lr("plain", trials) == (0.1, True)


def test_where_nothing_trains_nothing_is_chosen() -> None:
    with pytest.raises(SpecError, match=r"plain has no learning rate: .* at 0\.1, 0\.3 some"):
        chosen_lr("plain", [ended("plain", 0.1, None), ended("plain", 0.3, None)])
    with pytest.raises(SpecError, match="got no trial"):
        chosen_lr("plain", [])
