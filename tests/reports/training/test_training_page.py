"""The page of a training experiment: what it says, and what it leaves out."""

import csv
import io
from xml.etree import ElementTree

import pytest
import synthetic_run
import synthetic_training as synthetic
from msgspec.structs import replace
from page_reading import Page, svg
from synthetic_training import TELEPORT, changed, lost, of_trial

from bench.storage.records import TrainingRecord
from reports import write_report
from reports.report import tables_of
from reports.run.run import load
from reports.tables.analysis import analysed
from reports.training.controls import aa_difference

# One optimizer and one question: few figures.
SMALL = synthetic.settings(seeds=1, optimizers=("sgd",), arms=("plain", TELEPORT, "aa"), tune=0)
OURS = ["pays", "curves", "rates", "sources", "trials"]


def sections(page):
    return [attrs["id"] for attrs in page.all("section")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Ten seeds; one trial diverged, one failed, one ran on a busy machine."""
    asked = synthetic.settings(seeds=10, figure="Figure 4", reduced="width 64 instead of 512")
    records = synthetic.records(asked)
    records = lost(records, of_trial(records, "sgd", TELEPORT, "tuned", 1), "diverged", 4)
    failed = of_trial(records, "adam", TELEPORT, "fixed", 2)
    reason = "the worker died: signal 9"
    records = lost(records, failed, "failed", 3, status="crashed", reason=reason)
    records = changed(records, of_trial(records, "sgd", "aa", "fixed", 0), busy_epochs=1)
    directory = synthetic.write(tmp_path_factory.mktemp("training"), records, asked)
    return Page(write_report(directory).read_text(encoding="utf-8"))


def test_a_run_that_only_trained_has_our_sections_and_no_empty_ones(whole):
    assert sections(whole) == [*OURS, "environment", "failures", "reading", "repeat"]
    links = [attrs["href"] for attrs in whole.all("a")]
    assert links[: len(OURS) + 1] == ["#main", *(f"#{name}" for name in OURS)]
    for absent in ("No cell was measured", "Nothing was profiled", "nothing was timed"):
        assert absent not in whole.words


def test_the_title_and_the_counts_are_of_the_trials(whole):
    assert "Teleportation benchmark: mlp on digits, cpu" in whole.words
    assert "222 training runs have ended: 220 finished, 1 diverged and 1 failed." in whole.words


def test_the_verdicts_come_first_and_what_is_undecided_is_folded(whole):
    words = whole.words
    lead = "After tuning, of 2 comparisons of a teleport with plain training 1 is faster and 1 is"
    assert words.index(lead) < words.index("Training curves")
    assert "With sgd, nullspace:growth=4 takes" in words
    assert "2 comparisons of teleports are UNDECIDED on every axis" in words
    details = whole.all("details")
    assert not [each for each in details if "open" in each]
    assert "1 of 10 pairs left out" in words


def test_what_is_repeated_and_what_is_smaller_is_said(whole):
    assert "Repeats Figure 4." in whole.words
    assert "Smaller than there: width 64 instead of 512." in whole.words


def test_lost_trials_are_listed_with_their_reasons(whole):
    assert "its loss was not finite any more" in whole.words
    assert whole.words.count("the worker died: signal 9") == 2  # here, and among the failures
    assert "training by adam, nullspace:growth=4, fixed learning rate, seed 2 (test)" in whole.words


def test_every_figure_says_what_it_shows(whole):
    images = whole.all("img", "panel")
    assert len(images) == 2 * 2 * 2 * 3 + 2 + 2 * 2 * 2  # curves, rates, teleports
    for image in images:
        assert len(image["alt"]) > 40
        ElementTree.fromstring(svg(image))
    for drawing in whole.all("svg"):
        assert drawing["role"] == "img"
        assert drawing["aria-label"]


def test_no_style_is_inline(whole):
    assert not [attrs for _, attrs in whole.tags if "style" in attrs]


def test_an_arm_has_one_colour_in_all_figures(whole):
    colour = "#de8f05"  # the second of the palette: the teleport's, after plain
    panels = whole.all("img", "panel")
    moving = [image for image in panels if "around each teleport" in image["alt"]]
    against = [image for image in panels if "against" in image["alt"]]
    assert moving
    assert against
    assert all(colour in svg(image) for image in [*moving, *against])
    assert colour in {attrs.get("fill") for attrs in whole.all("path")}


def test_plain_once_more_differs_by_nothing(whole):
    assert "differs from plain by 0 in every value that is no time, in 40 pairs" in whole.words


def with_planted_difference(name, asked):
    records = synthetic.records(asked)
    place = of_trial(records, "sgd", "aa", "fixed", 0)[4]
    assert type(records[place]) is TrainingRecord
    records[place] = replace(records[place], **{name: getattr(records[place], name) + 0.125})
    return records


def test_a_planted_difference_of_plain_once_more_is_shown(training_page):
    page = training_page(with_planted_difference("train_loss", SMALL), SMALL)

    assert "the train loss of sgd, fixed learning rate, seed 0 by 0.125" in page.words
    assert "It must be exactly 0 on a CPU" in page.words


@pytest.mark.parametrize("name", ["train_loss", "test_loss", "test_metric", "gradient_equivalents"])
def test_plain_once_more_may_differ_in_nothing_that_is_no_time(name, judged_of):
    found = judged_of(with_planted_difference(name, SMALL), SMALL).experiment
    difference = aa_difference(found)
    assert difference.value == pytest.approx(0.125)
    assert difference.what.startswith(name.replace("_", " "))


def test_other_times_are_no_difference(judged_of):
    asked = SMALL
    records = synthetic.records(asked)
    places = of_trial(records, "sgd", "aa", "fixed", 0)
    longer = [
        replace(r, train_seconds=2 * r.train_seconds)
        if i in places and type(r) is TrainingRecord
        else r
        for i, r in enumerate(records)
    ]
    assert longer != records
    assert aa_difference(judged_of(longer, asked).experiment).value == 0


def test_an_experiment_that_only_tuned_says_what_is_missing(training_page):
    asked = synthetic.settings(seeds=3)
    page = training_page(synthetic.records(asked, tuning_alone=True), asked)

    assert sections(page)[: len(OURS)] == OURS
    assert "0 of 60 trials that are judged have ended. Add --resume to go on." in page.words
    assert "No judged trial has ended yet." in page.words
    assert "No trial of the control aa has ended beside its plain one." in page.words
    assert "The rates that were chosen" in page.words


def test_an_experiment_in_the_middle_of_tuning_has_no_target(training_page):
    asked = synthetic.settings(seeds=3)
    records = synthetic.records(asked, tuning_alone=True)
    started = records[: len(records) // 3]
    page = training_page(started, asked)

    assert "of 22 tuning trials have ended" in page.words
    assert "no target: " in page.words


def test_an_experiment_with_nothing_yet_gives_a_page(training_page):
    page = training_page([], synthetic.settings())
    assert "No trial has ended yet." in page.words


def test_without_a_spec_the_curves_are_still_there(training_page):
    page = training_page(synthetic.records(SMALL), SMALL, spec=False)
    assert "What was asked for is not known" in page.words
    assert any("against epoch" in image["alt"] for image in page.all("img", "panel"))


def test_few_seeds_show_what_they_cannot_say(training_page):
    page = training_page(synthetic.records(SMALL), SMALL)
    assert "1 seed is for a look" in page.words
    assert "too few to test" in page.words
    details = page.all("details")
    assert not [each for each in details if "open" in each]
    assert "4 comparisons of teleports are UNDECIDED" not in page.words


def test_a_run_with_cells_and_trials_has_both(tmp_path):
    directory = synthetic.write(tmp_path / "run", synthetic.records(SMALL), SMALL)
    with (directory / "journal.jsonl").open("a", encoding="utf-8") as journal:
        cells = synthetic_run.write(tmp_path / "cells", synthetic_run.cells()[:4])
        journal.write((cells / "journal.jsonl").read_text())
    page = Page(write_report(directory).read_text(encoding="utf-8"))

    assert sections(page)[:6] == [*OURS, "runtime"]
    assert "training runs have ended" in page.words
    assert "cells have a time" in page.words


def test_a_run_without_training_has_none_of_it(tmp_path):
    directory = synthetic_run.write(tmp_path / "run", synthetic_run.cells()[:4])
    names = set(tables_of(directory))
    page = Page(write_report(directory).read_text(encoding="utf-8"))

    assert not set(OURS) & set(sections(page))
    assert not {"training", "teleports", "acceleration", "tuning"} & names
    assert analysed(load(directory)).training is None


def test_hostile_names_stay_text(tmp_path):
    asked = SMALL
    text = "<script>alert(1)</script>"
    records = [
        replace(r, arm=f"{r.arm}{text}" * (r.arm == "aa") or r.arm)
        for r in synthetic.records(asked)
    ]
    directory = synthetic.write(tmp_path / "run", records, asked)
    page = Page(write_report(directory).read_text(encoding="utf-8"))

    assert len(page.all("script")) == 1
    assert text in page.words
    rows = csv.DictReader(io.StringIO((directory / "training.csv").read_text()))
    assert {row["arm"] for row in rows} >= {f"aa{text}"}
