"""``teleport-bench claims``."""

import pytest

from bench.claims.ledger import Finding, Outcome
from bench.claims.trying import Tried


def test_the_command_tries_them_and_tells_what_differs(
    command, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = Finding(outcome=Outcome.REPRODUCED, text="it is so")
    found = Tried(experiment="null_space:minus_ascends", seconds=0.1, findings={"float64": finding})
    monkeypatch.setattr("bench.claims.trying.tried", lambda names: iter([found]))
    code, shown, _ = command("claims", "null-space-minus")
    assert code == 1
    assert "null-space-minus: reproduced (the ledger says: refuted)" in shown
    assert "float64: it is so" in shown


def test_the_ledger_is_shown(command) -> None:
    code, shown, _ = command("claims")
    assert code == 0
    assert len(shown.strip().split("\n")) > 45
    assert "null-space-minus" in shown


def test_a_claim_that_takes_longer_is_told_by_its_command(command) -> None:
    code, shown, told = command("claims", "null-space-faster-tuned")
    assert (code, shown) == (0, "")
    assert "it is tested by: teleport-bench train --preset fig8" in told


def test_an_unknown_claim_is_a_usage_error(command) -> None:
    code, _, told = command("claims", "nothing-of-it")
    assert code == 2
    assert "got nothing-of-it" in told
