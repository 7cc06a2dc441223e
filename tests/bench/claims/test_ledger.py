"""The ledger: what an entry must have, and that its figures are those of the recorded runs."""

import csv
from pathlib import Path

import pytest

from bench.claims import ledger as module
from bench.claims.ledger import Outcome, chosen, ledger, together
from bench.errors import SpecError

ROOT = Path(__file__).parents[3]
CLAIMS = [claim for source in ledger() for claim in source.claim]


def test_there_are_enough_and_most_are_decided() -> None:
    outcomes = [claim.finding.outcome for claim in CLAIMS]
    open_ = [o for o in outcomes if o in (Outcome.UNDECIDED, Outcome.NEEDS_GPU)]
    assert len(CLAIMS) >= 45
    assert len(CLAIMS) - len(open_) >= 30
    assert len(open_) <= 10


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_entry_can_be_tested_and_a_refuted_one_was_tried_again(claim) -> None:
    assert claim.command.startswith("teleport-bench ")
    assert claim.says.endswith(".")
    if claim.finding.outcome is Outcome.REFUTED:
        assert claim.again
    if claim.experiment and claim.command.startswith("teleport-bench claims"):
        assert claim.command == f"teleport-bench claims {claim.id}"


RECORDED = [claim for claim in CLAIMS if claim.recorded]


@pytest.mark.parametrize("claim", RECORDED, ids=lambda claim: claim.id)
def test_figures_are_those_of_the_recorded_run(claim) -> None:
    recorded = claim.recorded
    with (ROOT / recorded.table).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if recorded.where.items() <= row.items()]
    assert len(rows) == 1
    for name, column in (("value", "column"), ("low", "low"), ("high", "high")):
        if (at := getattr(recorded, column)) is not None:
            said = getattr(claim.finding, name)
            assert said == pytest.approx(float(rows[0][at]), rel=0.006), (name, rows[0][at])


def test_outcomes_that_differ_are_conditions() -> None:
    assert together([Outcome.REFUTED, Outcome.REFUTED]) is Outcome.REFUTED
    assert together([Outcome.REFUTED, Outcome.REPRODUCED]) is Outcome.CONDITIONAL


def test_names_are_looked_up_and_unknown_ones_named() -> None:
    assert [claim.id for claim in chosen(["null-space-minus"])] == ["null-space-minus"]
    assert len(chosen([])) == len(CLAIMS)
    with pytest.raises(SpecError, match="got nothing-of-it: 'teleport-bench claims' has them"):
        chosen(["nothing-of-it"])


def test_a_file_that_is_no_source_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match=r"in own\.toml; Object missing required field"):
        module._read("own.toml", 'title = "x"')
    with pytest.raises(SpecError, match=r"in own\.toml"):
        module._read("own.toml", "title =")
