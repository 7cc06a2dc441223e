"""Experiments say what the ledger says, in float32 and float64 and with another seed."""

import pytest
import torch

from bench.claims.ledger import Finding, Outcome, ledger, together
from bench.claims.trying import tried
from bench.errors import RunError
from bench.experiments.carrying import SETTINGS, experiment

CLAIMS = [claim for source in ledger() for claim in source.claim if claim.experiment]
# These take seconds on one core; they are for 'claims --quick' and make verify.
LONG = {"rescaling:larger_gradients_as_expected", "level_set:released_penalty_ends_at_the_optimum"}


def outcome_of(name: str) -> Outcome:
    found = []
    for dtype, seed in SETTINGS.values():
        torch.manual_seed(seed)
        found.append(experiment(name)(dtype, seed))
    assert all(isinstance(each, Finding) and each.text for each in found)
    return together(each.outcome for each in found)


@pytest.mark.parametrize(
    "claim", [c for c in CLAIMS if c.experiment not in LONG], ids=lambda claim: claim.id
)
def test_an_experiment_says_what_the_ledger_says(claim) -> None:
    assert outcome_of(claim.experiment) is claim.finding.outcome


@pytest.mark.long
@pytest.mark.parametrize(
    "claim", [c for c in CLAIMS if c.experiment in LONG], ids=lambda claim: claim.id
)
def test_a_longer_experiment_says_what_the_ledger_says(claim) -> None:
    assert outcome_of(claim.experiment) is claim.finding.outcome


def test_one_that_fails_says_why() -> None:
    with pytest.raises(RunError, match="no_such_thing"):
        list(tried(["ranks:no_such_thing"]))
