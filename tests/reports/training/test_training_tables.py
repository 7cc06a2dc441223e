"""training.csv, teleports.csv, tuning.csv and acceleration.csv, against a planted experiment."""

import math
from statistics import median

import pandas as pd
import pytest
import synthetic_training as synthetic
from msgspec.structs import replace
from synthetic_training import STEPS, TELEPORT, changed, lost, of_trial

from bench.errors import JournalError
from bench.storage.records import TeleportRecord, TrainingRecord, TrialRecord
from reports.training.acceleration import rows_of
from reports.training.experiment import Experiment
from reports.training.targets import target

CONTRACT = {
    "training": (
        "trial_id,model,dataset,optimizer,arm,lr,seed,epoch,step,train_seconds,teleport_seconds,"
        "gradient_equivalents,train_loss,test_loss,test_metric"
    ),
    "teleports": (
        "trial_id,epoch,batch,status,steps_done,loss_before,loss_after,train_loss_before,"
        "train_loss_after,objective_before,objective_after,displacement,seconds"
    ),
    "acceleration": (
        "model,dataset,optimizer,arm,against,axis,lr_rule,target,hit_rate,ratio,ci_low,ci_high,p,"
        "seeds,verdict"
    ),
    "tuning": "optimizer,arm,lr,final_losses,chosen,at_edge",
}


def row(found, optimizer="sgd", arm=TELEPORT, rule="fixed", axis="steps"):
    return rows_of(found.comparisons, optimizer, arm, rule)[axis]


@pytest.mark.parametrize("name", CONTRACT)
def test_the_columns_of_the_contract_come_in_their_order(name, table_of):
    asked = synthetic.settings(seeds=1)
    table = table_of(name, synthetic.records(asked), asked)
    wanted = CONTRACT[name].split(",")

    assert [column for column in table.columns if column in wanted] == wanted
    assert len(table)


def test_every_evaluation_and_teleport_has_a_row(table_of):
    asked = synthetic.settings(seeds=1)
    records = synthetic.records(asked)
    evaluations = [r for r in records if type(r) is TrainingRecord]
    teleports = [r for r in records if type(r) is TeleportRecord]

    assert len(table_of("training", records, asked)) == len(evaluations)
    assert len(table_of("teleports", records, asked)) == len(teleports) > 0


def test_what_a_resumed_run_made_again_counts_once(table_of):
    asked = synthetic.settings(seeds=1)
    records = synthetic.records(asked)
    again = [
        replace(r, train_loss=9.0)
        for r in records
        if type(r) is TrainingRecord and (r.epoch, r.optimizer, r.role) == (3.0, "sgd", "test")
    ]

    before = table_of("training", records, asked)
    after = table_of("training", [*records, *again], asked)

    assert len(after) == len(before)
    assert (after["train_loss"] == 9.0).sum() == len(again) > 0


def test_the_target_is_what_plain_reaches_at_its_share_of_the_budget(journal, asked, judged_of):
    found = judged_of(journal, asked)
    for rule, lr in (("fixed", 2e-3), ("tuned", 0.1)):
        pilot = [
            r.train_loss
            for r in journal
            if type(r) is TrainingRecord
            and (r.optimizer, r.arm, r.role, r.lr_rule, r.lr)
            == ("sgd", "plain", "tuning", rule, lr)
            and r.epoch <= asked.target_at * asked.epochs
        ]
        assert row(found, rule=rule).target == min(pilot)


def test_the_target_is_the_median_over_the_tuning_seeds(judged_of):
    asked = synthetic.settings(seeds=1, tuning_seeds=3)
    records = synthetic.records(asked)
    ends = [
        r.train_loss
        for r in records
        if type(r) is TrainingRecord
        and (r.optimizer, r.arm, r.role, r.lr_rule) == ("adam", "plain", "tuning", "fixed")
        and r.epoch == 8
    ]
    assert len(ends) == 3
    assert row(judged_of(records, asked), "adam").target == median(ends)


def test_a_planted_gain_is_found_on_every_axis(journal, asked, judged_of):
    found = judged_of(journal, asked)

    steps = row(found)
    assert steps.verdict == "FASTER"
    assert steps.ratio == pytest.approx(1 / 1.3, rel=0.02)
    assert (steps.hit_rate, steps.hit_rate_against, steps.seeds) == (1.0, 1.0, 10)
    # Four calls of 12 gradient-equivalents are on that clock, and not among the steps.
    work = row(found, axis="gradient_equivalents")
    assert steps.ratio < work.ratio < 1
    assert row(found, arm="aa").ratio == 1.0
    assert row(found, arm="aa").verdict == "SAME"


def test_a_busy_trial_is_left_out_of_seconds_alone(journal, asked, judged_of):
    before = judged_of(journal, asked)
    busy = changed(journal, of_trial(journal, "sgd", TELEPORT, "fixed", 4), busy_epochs=1)
    taken_up = changed(busy, of_trial(busy, "sgd", TELEPORT, "fixed", 7), interruptions=1)
    found = judged_of(taken_up, asked)

    assert (row(found, axis="seconds").seeds, row(found, axis="seconds").pairs_left_out) == (8, 2)
    for axis in ("steps", "gradient_equivalents"):
        assert row(found, axis=axis) == row(before, axis=axis)
    # Pairs of other arms with the same seed still count.
    assert row(found, arm="jitter", axis="seconds").seeds == 10


def test_a_busy_plain_trial_takes_its_pairs_out(journal, asked, judged_of):
    busy = changed(journal, of_trial(journal, "sgd", "plain", "fixed", 4), busy_epochs=2)
    found = judged_of(busy, asked)

    for arm in (TELEPORT, "aa", "jitter"):
        assert row(found, arm=arm, axis="seconds").seeds == 9
        assert row(found, arm=arm).seeds == 10


@pytest.mark.parametrize("outcome", ["diverged", "failed"])
def test_lost_trials_stay_and_never_arrive(outcome, journal, asked, judged_of):
    records = journal
    for seed in range(6):  # the four that are left are as fast as before
        records = lost(records, of_trial(records, "sgd", TELEPORT, "fixed", seed), outcome, 3)
    found = row(judged_of(records, asked))

    assert found.seeds == 10
    assert (found.hit_rate, found.hit_rate_against) == (0.4, 1.0)
    assert found.ratio == math.inf
    assert found.verdict != "FASTER"


def test_a_trial_that_has_not_ended_leaves_its_arm_undecided(journal, asked, judged_of):
    places = of_trial(journal, "sgd", TELEPORT, "fixed", 2)
    running = [r for i, r in enumerate(journal) if i not in places or type(r) is not TrialRecord]
    found = row(judged_of(running, asked))

    assert found.seeds == 9
    assert found.verdict == "UNDECIDED"
    assert "finish the experiment" in found.reason


def test_the_normalised_arm_has_a_baseline_and_a_target_of_its_own(judged_of):
    arms = ("plain", TELEPORT, "normalised")
    asked = synthetic.settings(seeds=1, optimizers=("sgd",), arms=arms)
    records = synthetic.records(asked)
    of_normalised = [i for i, r in enumerate(records) if r.arm == "normalised"]
    for place in of_normalised:  # it ends higher than plain
        if type(records[place]) is TrainingRecord:
            records[place] = replace(records[place], train_loss=records[place].train_loss + 0.5)
    found = judged_of(records, asked)

    moved = row(found, arm=f"normalised+{TELEPORT}")
    assert moved.against == "normalised"
    plain = row(found)
    assert plain.against == "plain"
    assert row(found, arm="normalised").against == "plain"
    assert moved.target == pytest.approx(plain.target + 0.5, rel=0.01)


def test_steps_of_a_fixed_length_are_of_sgd_alone(judged_of):
    asked = synthetic.settings(seeds=1, arms=("plain", TELEPORT, "normalised"))
    found = judged_of(synthetic.records(asked), asked)
    of_adam = {r.arm for r in found.comparisons if r.optimizer == "adam"}
    of_sgd = {r.arm for r in found.comparisons if r.optimizer == "sgd"}

    assert of_adam == {TELEPORT}
    assert of_sgd == {TELEPORT, "normalised", f"normalised+{TELEPORT}"}


def test_a_cost_that_cannot_be_counted_leaves_one_axis_open(journal, asked, judged_of):
    places = of_trial(journal, "sgd", TELEPORT, "fixed", 4)
    uncounted = changed(journal, places, gradient_equivalents=None)
    found = judged_of(uncounted, asked)

    work = row(found, axis="gradient_equivalents")
    assert (work.verdict, work.reason) == (
        "UNDECIDED",
        "what a teleport costs could not be counted",
    )
    assert row(found) == row(judged_of(journal, asked))
    assert row(found, arm="jitter", axis="gradient_equivalents").verdict == "SAME"


def test_three_seeds_are_undecided_by_design(judged_of):
    asked = synthetic.settings(seeds=3)
    found = row(judged_of(synthetic.records(asked), asked))

    assert found.verdict == "UNDECIDED"
    assert "3 seeds are too few" in found.reason
    assert math.isnan(found.ci_low)
    assert found.ratio < 0.8


def test_the_chosen_rate_and_the_end_of_the_grid(judged_of):
    asked = synthetic.settings(seeds=1, optimizers=("sgd",))
    records = synthetic.records(asked)
    rates = {r.lr: r for r in judged_of(records, asked).rates if r.arm == "plain" and r.runs}
    tuned = [r for r in judged_of(records, asked).rates if r.lr_rule == "tuned"]
    assert {(r.arm, r.lr) for r in tuned if r.chosen} == {("plain", 0.1), (TELEPORT, 0.1)}
    assert not any(r.at_edge for r in tuned)
    assert len(rates) == 6  # five that were tried, and the fixed one

    best = min(r.lr for r in tuned)
    lowest = [
        replace(r, train_loss=1e-3)
        if type(r) is TrialRecord and (r.role, r.arm, r.lr) == ("tuning", "plain", best)
        else r
        for r in records
    ]
    experiment: Experiment = judged_of(lowest, asked).experiment
    assert target(experiment, "sgd", "plain", "tuned").lr == best


def test_an_experiment_without_a_spec_has_no_target(journal, asked, judged_of):
    found = judged_of(journal, asked, spec=False)
    assert {r.verdict for r in found.comparisons} == {"UNDECIDED"}
    assert all("spec.toml" in r.reason for r in found.comparisons)


def test_evaluations_that_run_backwards_are_an_error_in_words(journal, asked, judged_of):
    places = of_trial(journal, "sgd", "aa", "fixed", 0)
    backwards = changed(journal, places[-2:], train_seconds=-1.0)
    with pytest.raises(
        JournalError, match=r"training records of sgd, aa, .* that make curves; .*: restore"
    ):
        judged_of(backwards, asked)


def test_a_pilot_run_that_is_no_curve_is_one_too(journal, asked, judged_of):
    places = of_trial(journal, "sgd", "plain", "fixed", 1_000_000, "tuning")
    negative = changed(journal, places[:1], epoch=-1.0)
    with pytest.raises(JournalError, match=r"training records of sgd, plain that make curves"):
        judged_of(negative, asked)


def test_losses_that_are_not_finite_are_empty_cells(table_of):
    asked = synthetic.settings(seeds=1, optimizers=("sgd",))
    records = synthetic.records(asked)
    records = lost(records, of_trial(records, "sgd", "aa", "fixed", 0), "diverged", 2)
    table = table_of("training", records, asked)
    own = table[(table.arm == "aa") & (table.lr_rule == "fixed")]

    assert own["step"].tolist() == [0, STEPS, 2 * STEPS]
    assert pd.isna(own["train_loss"]).tolist() == [False, False, True]
