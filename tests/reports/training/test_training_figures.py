"""What the figures of a training experiment are drawn from."""

import math
import re

import pytest
import synthetic_training as synthetic
from msgspec.structs import replace
from synthetic_training import MOMENTS, TELEPORT, changed, lost, of_trial

from bench.storage.records import TeleportRecord, TrainingRecord
from reports.text.canvas import styles
from reports.training.figures import bars, curves, forest, moves, rates
from reports.training.figures.curves import median_line, thinned
from reports.training.gains import gains
from reports.training.moves import time_share
from reports.training.verdicts import compared

PLACE = ("sgd", TELEPORT, "fixed")
SMALL = synthetic.settings(seeds=3, optimizers=("sgd",), arms=("plain", TELEPORT), tune=0)


def courses(judged_of, records, asked=SMALL):
    return [*judged_of(records, asked).experiment.judged(*PLACE).values()]


def test_the_median_is_over_all_seeds_and_not_over_those_that_are_left(judged_of):
    records = synthetic.records(SMALL)
    whole = median_line(courses(judged_of, records), "step", "train_loss")
    assert len(whole) == SMALL.epochs + 1

    for seed, outcome in ((0, "diverged"), (1, "failed")):
        records = lost(records, of_trial(records, *PLACE, seed), outcome, 4)
    cut = median_line(courses(judged_of, records), "step", "train_loss")
    # From epoch 4 on two of three are lost: their median is no loss, and the third alone is none.
    assert cut == whole[:4]


def test_one_lost_seed_of_three_moves_the_median_up(judged_of):
    records = synthetic.records(SMALL)
    whole = median_line(courses(judged_of, records), "step", "train_loss")
    best = min(courses(judged_of, records), key=lambda course: course.last_loss).facts.seed
    records = lost(records, of_trial(records, *PLACE, best), "diverged", 4)
    found = median_line(courses(judged_of, records), "step", "train_loss")

    assert len(found) == len(whole)
    assert found[-1][1] > whole[-1][1]


def test_curves_are_thin_for_seeds_and_thick_for_the_median(judged_of):
    experiment = judged_of(synthetic.records(SMALL), SMALL).experiment
    views = curves.views(experiment, "fixed", styles(experiment.arms))

    assert [(view.key, len(view.panels)) for view in views] == [
        ("epoch", 2),
        ("train_seconds", 2),
        ("gradient_equivalents", 2),
    ]
    drawn = views[0].panels[0].drawing.svg
    assert drawn.count('id="median"') == 2
    seeds = re.findall(r'<g id="seeds">\s*<path d="([^"]+)"', drawn)
    assert [path.count("M ") for path in seeds] == [3, 3]


def test_disturbed_seconds_are_not_drawn(judged_of):
    records = synthetic.records(SMALL)
    records = changed(records, of_trial(records, *PLACE, 1), interruptions=1)
    experiment = judged_of(records, SMALL).experiment
    views = curves.views(experiment, "fixed", styles(experiment.arms))

    assert [view.left_out for view in views] == [0, 1, 0]


def test_learning_rates_are_written_out_and_the_chosen_one_has_a_ring(judged_of):
    asked = synthetic.settings(seeds=1, optimizers=("adam",), arms=("plain", TELEPORT))
    records = synthetic.records(asked)
    diverged = [i for i, r in enumerate(records) if (r.role, r.lr) == ("tuning", 0.01)]
    records = lost(records, diverged, "diverged", 2)
    found = judged_of(records, asked)
    (panel,) = rates.rate_panels(found.rates, styles(found.experiment.arms))

    texts = re.findall(r">([0-9.]+)</text>", panel.drawing.svg)
    assert {"0.0001", "0.000316", "0.001", "0.00316", "0.01"} <= set(texts)
    assert panel.drawing.svg.count('id="lost"') == 2
    assert "at 0.001, its best; diverged or failed at 0.01." in panel.drawing.alt


def test_a_rate_of_nothing_has_no_place_on_a_logarithmic_axis(judged_of):
    asked = synthetic.settings(seeds=1, optimizers=("adam",), arms=("plain", TELEPORT))
    records = [replace(r, lr=0.0) if r.lr == 0.01 else r for r in synthetic.records(asked)]
    found = judged_of(records, asked)
    (panel,) = rates.rate_panels(found.rates, styles(found.experiment.arms))
    assert ">0.00316</text>" in panel.drawing.svg
    assert ">0</text>" not in panel.drawing.svg


def test_a_line_of_many_points_keeps_its_ends():
    line = [(float(x), 1.0) for x in range(1001)]
    shown = thinned(line, 20)
    assert len(shown) == 20
    assert (shown[0], shown[-1]) == (line[0], line[-1])
    assert thinned(line[:5], 20) == line[:5]


def test_a_gain_is_split_into_parts_that_add_up(judged_of):
    found = judged_of(synthetic.records(SMALL), SMALL)
    (gain,) = gains(found.experiment)

    # Planted: two moments that lower the loss by 0.02, and 0.28 - 0.1 more in the steps after it.
    assert gain.move == pytest.approx(-0.02 * len(MOMENTS))
    assert gain.first_steps == pytest.approx((-0.18 + 0.02) * len(MOMENTS))
    assert sum(gain.parts) == pytest.approx(gain.total)
    assert gain.total < 0
    assert gain.pairs == 3


def test_losses_are_known_before_the_first_move_and_after_the_last_alone(judged_of):
    records = synthetic.records(SMALL)
    whole = gains(judged_of(records, SMALL).experiment)
    sparse = [
        replace(r, **({"train_loss_before": None} if r.batch else {"train_loss_after": None}))
        if type(r) is TeleportRecord
        else r
        for r in records
    ]
    assert gains(judged_of(sparse, SMALL).experiment) == whole


def test_a_move_that_was_taken_back_changed_nothing(judged_of):
    records = synthetic.records(SMALL)
    back = [replace(r, kept=False) if type(r) is TeleportRecord else r for r in records]
    (gain,) = gains(judged_of(back, SMALL).experiment)
    assert gain.move == 0


def test_a_gain_whose_trials_were_lost_has_no_bar(judged_of):
    records = synthetic.records(SMALL)
    for seed in (0, 1):
        records = lost(records, of_trial(records, *PLACE, seed), "diverged", 4)
    (group,) = bars.bar_groups(gains(judged_of(records, SMALL).experiment))
    assert group.bars == []
    assert "half of its trials or more were lost" in group.unknown[0]


def test_bars_lie_side_by_side_within_their_drawing(judged_of):
    (group,) = bars.bar_groups(gains(judged_of(synthetic.records(SMALL), SMALL).experiment))
    (bar,) = group.bars
    left = [piece for piece in bar.pieces if piece.x < bars.WIDTH / 2]
    assert len(left) == 2
    assert left[1].x + left[1].width == pytest.approx(left[0].x, abs=0.02)
    assert all(0 <= piece.x <= piece.x + piece.width <= bars.WIDTH for piece in bar.pieces)
    assert 0 < bar.net < bars.WIDTH / 2


def plot(found, effect=0.05):
    names = dict.fromkeys(found.experiment.arms, "#000000")
    return forest.forest(compared(found.comparisons), found.experiment.rules, names, effect)


def test_the_forest_has_a_line_per_arm_and_a_picture_per_rule(journal, asked, judged_of):
    drawn = plot(judged_of(journal, asked))
    assert drawn.lines[0][:2] == ("sgd", TELEPORT)
    assert len(drawn.lines) == 4
    for line in drawn.lines:
        assert [picture.rule for picture in line.pictures] == ["fixed", "tuned"]
        assert all(len(picture.marks) == 3 for picture in line.pictures)
    faster = drawn.lines[0].pictures[0].marks[0]
    assert faster.low <= faster.x <= faster.high < drawn.band[0] < drawn.one
    same = next(line for line in drawn.lines if line.arm == "aa").pictures[0].marks[0]
    assert same.x == drawn.one


def test_an_arm_that_never_arrives_is_at_the_far_end(journal, asked, judged_of):
    records = journal
    for seed in range(8):
        records = lost(records, of_trial(records, *PLACE, seed), "diverged", 2)
    drawn = plot(judged_of(records, asked))
    mark = drawn.lines[0].pictures[0].marks[0]
    assert mark.x == drawn.width - 10
    assert "∞" in mark.words


def test_without_a_ratio_there_is_no_forest(judged_of):
    assert plot(judged_of(synthetic.records(SMALL, tuning_alone=True), SMALL)) is None


def test_a_tooth_for_each_teleport(judged_of):
    experiment = judged_of(synthetic.records(SMALL), SMALL).experiment
    panels = moves.move_panels(experiment, "fixed", styles(experiment.arms))
    assert [panel.caption.partition(", ")[0] for panel in panels] == ["sgd", "sgd"]
    alt = panels[0].drawing.alt
    assert f"{TELEPORT}: 0.500 before the first, 4.00 after the last." in alt


def test_the_share_of_the_time_is_of_undisturbed_trials(judged_of):
    own = courses(judged_of, synthetic.records(SMALL))
    share = time_share(own)
    assert 0 < share < 0.2
    assert math.isnan(time_share([]))
    records = synthetic.records(SMALL)
    slow = [
        replace(r, teleport_seconds=r.train_seconds, busy_epochs=1)
        if type(r) is TrainingRecord and r.seed < 2
        else r
        for r in records
    ]
    (alone,) = [course for course in own if course.facts.seed == 2]
    assert time_share(courses(judged_of, slow)) == time_share([alone])
