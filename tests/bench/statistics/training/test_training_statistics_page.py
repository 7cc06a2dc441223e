"""docs/training_statistics.md: its example executed, its figures simulated again."""

import re
from pathlib import Path

import pytest
from test_false_alarms import share, simulate

from bench.statistics.training.verdicts import MIN_EFFECT, Verdict, least_seeds

TEXT = (Path(__file__).parents[4] / "docs" / "training_statistics.md").read_text()


def test_the_example_prints_what_the_page_shows(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(code, {})

    printed = capsys.readouterr().out.strip()
    assert printed
    assert f"prints `{printed}`" in TEXT


def test_how_often_a_gain_is_found():
    rows = re.findall(r"^\| (\d+) % \| (\d+) % \| (\d+) % \|$", TEXT, re.MULTILINE)

    assert len(rows) == 4
    for scatter, ten, twenty in rows:
        for seeds, shown in ((10, ten), (20, twenty)):
            found = simulate(int(scatter) / 100, gain=0.9, seeds=seeds)
            assert share(found, Verdict.FASTER) == pytest.approx(int(shown) / 100, abs=0.01)


def test_the_numbers_of_seeds():
    assert (least_seeds(1), least_seeds(5), least_seeds(10)) == (8, 10, 11)
    assert "Eight can decide on one arm, ten on up to five arms, eleven on ten" in TEXT
    assert f"({MIN_EFFECT:.0%}, unless you say otherwise)".replace("%", " %") in TEXT


def test_every_verdict_is_explained():
    assert [v.name for v in Verdict] == re.findall(r"^\| ([A-Z]+) \|", TEXT, re.MULTILINE)


def test_ending_at_the_budget_leaves_little_to_compare():
    """Half of plain's runs arrive by 100, the budget that fixed the target."""
    assert share(simulate(0.02, gain=0.9, budget=100), Verdict.FASTER) < 0.1
    assert share(simulate(0.02, gain=0.9, budget=150), Verdict.FASTER) > 0.9
