"""The order of turns and what is kept of them."""

from collections import Counter

from bench.gate.rounds import calls_of_a_turn, middle, turns

CELLS = [f"c{i}" for i in range(20)]


def test_every_cell_has_two_turns_a_side_in_the_order_abba_or_baab():
    found = turns(CELLS, 0, 0)
    sides = {cell: [side for side, each in found if each == cell] for cell in CELLS}

    assert Counter(tuple(order) for order in sides.values()).keys() == {(0, 1, 1, 0), (1, 0, 0, 1)}
    cells = [cell for _, cell in found]
    assert all(len(set(cells[i : i + 4])) == 1 for i in range(0, len(cells), 4))


def test_the_order_follows_from_seed_and_number_alone():
    assert turns(CELLS, 7, 3) == turns(reversed(CELLS), 7, 3)
    assert turns(CELLS, 7, 3) != turns(CELLS, 7, 4)
    assert turns(CELLS, 7, 3) != turns(CELLS, 8, 3)


def sample(seconds, clock="wall"):
    return {"clock": clock, "seconds": seconds}


def test_of_a_turn_the_middle_sample_of_every_clock_is_kept():
    samples = [sample(3), sample(1), sample(9), sample(2, "processor"), sample(5, "processor")]

    assert middle(samples) == [sample(3), sample(2, "processor")]
    assert middle([]) == []


def test_a_turn_takes_two_milliseconds_or_fifty_calls():
    assert calls_of_a_turn([sample(0.001), sample(0.1), sample(1e-9, "processor")]) == 2
    assert calls_of_a_turn([sample(1e-9)]) == 50
    assert calls_of_a_turn([sample(1.0)]) == 1
    assert calls_of_a_turn([]) == 1
