"""Arms beside plain training: best learning rates, ratios, tests and what they come to."""

import csv
import json
import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from page_reading import Page

from bench.errors import JournalError
from bench.storage.probe_records import ProbeRecord, Trained
from bench.storage.records import plain
from reports import write_report
from reports.probe.comparison import comparisons, ranked, sign_test
from reports.probe.verdict import verdicts

START, PLAIN_DECREASE = 2.0, 1.0


def record(seed: int, variant: str, decrease: float, **facts: Any) -> ProbeRecord:
    """A sweep of three learning rates, the middle one the best; one horizon, one step."""
    loss = None if decrease == -math.inf else START - decrease
    sweep = [
        Trained(lr=0.1, losses=[START]),
        Trained(lr=0.2, losses=[loss]),
        Trained(lr=0.4, losses=[None]),
    ]
    own: dict[str, Any] = {
        "optimizer": "sgd", "seed": seed, "epochs": 0, "variant": variant, "horizons": [100],
        "sweep": sweep, "loss_start": START, "loss_moved": START + 0.25, "gain": 3.0,
        "move_s": 2.0, "step_s": 0.5, "model": "mlp", "dataset": "digits", "device": "cpu",
        "dtype": "float32", "cell_id": f"{seed}-{variant}-{facts}",
    }  # fmt: skip
    return ProbeRecord(**{**own, **facts})


def run_of(*arms: Sequence[float]) -> list[ProbeRecord]:
    """Plain training that falls by 1 in every seed, and arms with these ratios seed by seed."""
    seeds = range(len(arms[0]))
    found = [record(seed, "plain", PLAIN_DECREASE, gain=1.5) for seed in seeds]
    for number, ratios in enumerate(arms):
        found += [record(seed, f"arm{number}", ratio) for seed, ratio in enumerate(ratios)]
    return found


def word(*arms: Sequence[float]) -> str:
    (found,) = verdicts(run_of(*arms))
    assert found.sentence.startswith(f"{found.verdict} for sgd: ")
    assert found.sentence.endswith(".")
    assert found.sentence.count(". ") == 0
    return found.verdict


def test_an_arm_is_compared_seed_by_seed_at_its_best_learning_rate() -> None:
    (found,) = comparisons(run_of([1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7]))

    assert found.ratio == pytest.approx((1.4, 1.1, 1.7, 7))
    assert (found.lr, found.lr_plain, found.at_edge, found.seeds) == (0.2, 0.2, 0, 7)
    assert found.gain == (2.0, 2.0, 2.0, 7)
    assert (found.move_change, found.cost_steps) == (0.25, 4.0)
    assert (found.decrease, found.decrease_plain) == (pytest.approx(1.4), 1.0)


def test_a_best_learning_rate_at_an_end_of_the_sweep_is_counted() -> None:
    records = run_of([1.1] * 6)
    records[-1].sweep[0].losses = [0.1]

    (found,) = comparisons(records)

    assert found.at_edge == 1
    assert max(found.ratio[:3]) == pytest.approx(1.9)


def test_each_seed_is_compared_with_its_own_plain_training() -> None:
    records = run_of([0.5, 1.0, 2.0])
    for place, decrease in enumerate((0.25, 0.5, 1.0)):
        records[place].sweep[1].losses = [START - decrease]

    assert comparisons(records)[0].ratio.value == pytest.approx(2.0)


def test_a_gain_over_none_is_not_known() -> None:
    records = run_of([1.1] * 6)
    records[0].gain = -0.5

    assert math.isnan(comparisons(records)[0].gain.value)


def test_no_interval_below_six_seeds() -> None:
    assert math.isnan(ranked([1.0] * 5).low)
    assert ranked([3.0, 1.0, 2.0, 5.0, 4.0, 6.0])[:3] == (3.5, 1.0, 6.0)
    assert all(map(math.isnan, ranked([1.0] * 6 + [math.nan])[:3]))


def test_an_arm_that_diverges_is_the_lowest_and_plain_training_that_does_loses() -> None:
    (diverged,) = comparisons(run_of([1.2] * 6 + [-math.inf]))
    assert diverged.ratio[:2] == (pytest.approx(1.2), 0.0)  # 0.1 is the best, where nothing moves

    records = run_of([1.2] * 7)
    for trained in records[0].sweep:
        trained.losses = [None]
    assert comparisons(records)[0].ratio.high == math.inf


@pytest.mark.parametrize("count", [1, 4, 6])
def test_the_sign_test_is_a_count_of_all_outcomes(count: int) -> None:
    outcomes = [sum(each) for each in product((0, 1), repeat=count)]
    for hits in range(count + 1):
        exact = Fraction(sum(total >= hits for total in outcomes), 2**count)
        assert sign_test(hits, count) == float(exact)


def test_go_takes_seeds_that_outdo_all_arms_tried() -> None:
    assert word([1.06] * 5) == "UNDECIDED"  # 1 / 32, but no interval
    assert word([1.06] * 6, *[[1.0] * 6] * 3) == "UNDECIDED"  # 4 / 64 is more than 5 %
    assert word([1.06] * 6, *[[1.0] * 6] * 2) == "GO"
    assert word(*[[1.06] * 7, *[[0.9] * 7] * 11]) == "UNDECIDED"
    assert word(*[[1.06] * 8, *[[0.9] * 8] * 11]) == "GO"
    assert word([1.049] * 9) == "NO-GO"


def test_no_go_takes_an_interval_and_every_arm_below() -> None:
    assert word([1.0] * 6, [0.9] * 6) == "NO-GO"
    assert word([1.0] * 5, [0.9] * 5) == "UNDECIDED"
    assert word([1.0] * 7 + [1.06], [0.9] * 8) == "NO-GO"
    assert word([1.0] * 5 + [1.06], [0.9] * 6) == "UNDECIDED"


def test_the_sentence_says_how_far_and_how_many_seeds_it_takes() -> None:
    (go,) = verdicts(run_of([1.5] * 6))
    said = go.sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert "arm0 from the initial weights lowers the loss in 100 steps 1.50 [1.50, 1.50] t" in said
    assert "its moves take as long as 4.00 steps" in go.sentence
    (open_,) = verdicts(run_of([1.5] * 3, [1.0] * 3))
    assert "3 seeds do not tell, and 6 is the fewest that can tell 2 arms" in open_.sentence


def test_starts_and_optimizers_have_their_own_plain_training() -> None:
    records = run_of([1.5] * 6)
    records += [record(s, "plain", 0.5, epochs=2) for s in range(6)]
    records += [record(s, "arm0", 0.4, epochs=2) for s in range(6)]
    records += [record(s, "plain", 0.5, optimizer="adam") for s in range(6)]
    records += [record(s, "arm0", 0.5, optimizer="adam") for s in range(6)]

    assert [c.ratio.value for c in comparisons(records)] == pytest.approx([1.5, 0.8, 1.0])
    assert [v.verdict for v in verdicts(records)] == ["GO", "NO-GO"]


def test_where_no_variant_can_move_the_model_it_is_no_go_and_says_why() -> None:
    records = [record(0, "plain", 1.0)]
    failed = {"sweep": [], "reason": "expected a stack"}
    records += [record(0, "symmetry", 1.0, status="skipped", **failed)]
    (found,) = verdicts(records)
    assert found.sentence == (
        "NO-GO for sgd: no variant can teleport this model: expected a stack."
    )

    records[-1] = record(0, "symmetry", 1.0, status="crashed", **failed)
    assert verdicts(records)[0].verdict == "UNDECIDED"


def test_a_journal_of_anybody_s_makes_a_page_or_is_refused(tmp_path: Path) -> None:
    records = run_of([1e300] * 6, [-1e300] * 6)
    records[0].sweep = records[0].sweep[:2]
    records[1].horizons, records[2].loss_start = [50], None
    records[3].gain = records[4].step_s = None
    path = tmp_path / "journal.jsonl"
    path.write_text("".join(f"{json.dumps(plain(each))}\n" for each in records))
    assert "Could a teleport pay?" in Page(write_report(tmp_path).read_text("utf-8")).words

    line = plain(records[5])
    line["sweep"][0]["losses"] = []
    path.write_text(f"{json.dumps(line)}\n")
    with pytest.raises(JournalError, match="expected a loss for each horizon"):
        write_report(tmp_path)


def test_page_and_files_of_a_run(tmp_path: Path) -> None:
    records = run_of([1.5] * 6, [1.0] * 6)
    lines = [json.dumps(plain(each)) for each in records]
    (tmp_path / "journal.jsonl").write_text("".join(f"{line}\n" for line in lines))

    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))

    assert "GO for sgd: arm0 from the initial weights" in page.words
    assert "#probe" in [attrs["href"] for attrs in page.all("a")]
    with (tmp_path / "probe.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["variant"], r["ratio"], r["ci_low"]) for r in rows] == [
        ("arm0", "1.5", "1.5"), ("arm1", "1.0", "1.0")
    ]  # fmt: skip
    assert float(rows[0]["p_above"]) == 2 / 64
    with (tmp_path / "probe_losses.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3 * len(records)
    assert "probe_verdicts.csv" in [attrs["href"] for attrs in page.all("a")]
