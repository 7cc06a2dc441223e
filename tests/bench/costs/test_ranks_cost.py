"""The cost model across ranks: its volumes are those of the exchanges, its page is its own."""

from pathlib import Path

import pytest

from bench.costs.ranks import WAYS, Machine, Stack, teleport_step, training_step
from teleport_core.nullspace.ranks.volume import Way, floats, floats_of_last

ROOT = Path(__file__).resolve().parents[3]
BLOCK = [(4096, 4096)] * 4 + [(11008, 4096)] * 2 + [(4096, 11008)]
LARGE = [*BLOCK * 32, (32000, 4096)]


@pytest.mark.parametrize(("way", "thin"), [("thin", True), ("dense", False)])
def test_volumes_are_those_that_the_exchanges_are_chosen_by(way: str, thin: bool) -> None:
    shapes, N, R = [(64, 21), (256, 65), (10, 257)], 24, 3
    chosen = Way(thin, thin)
    sent = sum(
        floats(chosen, out, features, N, moves=place > 0)
        for place, (out, features) in enumerate(shapes[:-1])
    )
    sent += floats_of_last(chosen, *shapes[-1], N, moves=True)
    cost = teleport_step(Stack(shapes, 8), N, Machine(R, 0.0, 1.0, 0.0), way)
    assert cost.received == pytest.approx(8 * sent * (R - 1) / R)
    assert cost.seconds == cost.received


@pytest.mark.parametrize("way", WAYS)
def test_a_lone_rank_sends_nothing_and_its_seconds_are_operations(way: str) -> None:
    machine = Machine(1, 1.0, 1.0, 2.0)
    cost = teleport_step(Stack([(4, 3), (5, 4)]), 6, machine, way)
    assert (cost.received, cost.turns, cost.seconds) == (0, 0, 2 * cost.operations)


def test_a_way_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="expected a way among replicated, dense, thin"):
        teleport_step(Stack([(4, 3)]), 6, Machine(2, 0.0, 0.0, 0.0), "thick")


def test_the_page_says_what_the_model_does() -> None:
    page = (ROOT / "docs" / "teleport_at_scale.md").read_text(encoding="utf-8")
    train = training_step(Stack(LARGE, 2), 65536, Machine(64, 1e-5, 1 / 40e9, 2.5e-15))
    assert f"takes {train.seconds:.1f} s" in page
    machine = Machine(64, 1e-5, 1 / 40e9, 2.5e-14)
    for columns in (1024, 2048):
        for way in WAYS:
            cost = teleport_step(Stack(LARGE), columns, machine, way)
            row = f"| {columns} | {way} | {cost.received / 1e9:.2f} | {cost.seconds:.2f} |"
            assert f"{row} {8 * cost.seconds / train.seconds:.2f} |" in page
    f = 63 / 64
    crossing = 4 * f * 4 * machine.beta / (10 * f * machine.gamma)
    assert f"at N = {crossing:.0f}" in page
