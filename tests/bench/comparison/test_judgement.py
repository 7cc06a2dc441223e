"""From verdicts to an exit code, and which clock decides."""

import random

import pytest

from bench.comparison.judgement import exit_code, headline, judge, labels_of, measured, worst_first
from bench.comparison.verdicts import Verdict
from bench.storage.records import CellRecord, made

V = Verdict


@pytest.mark.parametrize(
    ("found", "code", "strict"),
    [
        ((), 3, 3),
        ((V.SAME,), 0, 0),
        ((V.SAME, V.FASTER), 0, 0),
        ((V.SAME, V.NEW), 0, 0),
        ((V.NEW,), 0, 0),
        ((V.SAME, V.AMBIGUOUS), 0, 5),
        ((V.AMBIGUOUS, V.NEW), 0, 5),
        ((V.SAME, V.MISSING), 4, 4),
        ((V.SAME, V.BROKEN), 4, 4),
        ((V.BROKEN,), 4, 4),
        ((V.AMBIGUOUS, V.BROKEN), 4, 4),
        ((V.SAME, V.NOT_COMPARABLE), 3, 3),
        ((V.BROKEN, V.NOT_COMPARABLE), 3, 3),
        ((V.SLOWER,), 1, 1),
        (tuple(V), 1, 1),
    ],
)
def test_exit_code(found, code, strict):
    assert exit_code(found, strict=False) == code
    assert exit_code(found, strict=True) == strict


def record(cell_id="c", samples=(), **facts):
    known = {
        "block_id": "b",
        "method": "nullspace",
        "variant": "nullspace",
        "status": "ok",
        "d": 48,
    }
    known |= {"model": "mlp", "dataset": "digits", "device": "cpu", "dtype": "float32"}
    own = {"cell_id": cell_id, "session": "s", "samples": list(samples)}
    return made({**known, **own, **facts}, CellRecord)


def times(centre, noise, clock, seed, count=24):
    rng = random.Random(seed)
    return [
        {"round": i, "clock": clock, "seconds": centre * (1 + noise * rng.gauss(0, 1))}
        for i in range(count)
    ]


def judged(head_wall, head_processor, noise=0.5):
    """A cell whose wall times are noisy and whose processor times are not."""
    base = record(samples=times(1, noise, "wall", 1) + times(0.9, 0.01, "processor", 2))
    head = record(
        samples=times(head_wall, noise, "wall", 3)
        + times(0.9 * head_processor, 0.01, "processor", 4)
    )
    (found,) = judge(measured([base], "e", "b"), measured([head], "e", "b"))
    return found


def test_processor_time_decides_where_wall_time_cannot():
    slower, same = judged(1.3, 1.3), judged(1.0, 1.0)

    assert (slower.verdict, slower.clock) == (V.SLOWER, "processor")
    assert (same.verdict, same.clock) == (V.SAME, "processor")


def test_wall_time_decides_where_it_can():
    """Time spent waiting is a regression that processor time does not see."""
    waits = judged(1.3, 1.0, noise=0.01)

    assert (waits.verdict, waits.clock) == (V.SLOWER, "wall")


def test_wall_time_that_can_tell_needs_no_other_clock():
    assert judged(1.3, 1.3, noise=0.01).clock == "wall"


def test_processor_time_outside_of_the_walls_interval_decides_nothing():
    waits = judged(1.2, 1.0, noise=0.2)

    assert waits.comparison.ratio.low > 1.0  # so that processor time says something else
    assert (waits.verdict, waits.clock) == (V.AMBIGUOUS, "wall")


def test_looks_are_paid_for_by_wider_intervals():
    base = measured([record(samples=times(1, 0.05, "wall", 1))], "e", "b")
    head = measured([record(samples=times(1, 0.05, "wall", 2))], "e", "b")
    (once,), (often,) = judge(base, head), judge(base, head, looks=4)

    assert often.comparison.ratio.low < once.comparison.ratio.low
    assert often.comparison.ratio.high > once.comparison.ratio.high


def test_of_a_cell_measured_again_the_newest_record_counts():
    records = [record(status="oom"), record(samples=times(1, 0.01, "wall", 1))]

    assert measured(records, "e", "b")["wall"]["c"].status == "ok"


def test_labels_name_what_differs():
    cells = {"a": record(d=48), "b": record(d=128)}

    assert labels_of(cells) == {"a": "nullspace d=48", "b": "nullspace d=128"}
    assert labels_of({"a": cells["a"]}) == {"a": "nullspace"}


def test_the_worst_stand_first():
    judgements = [judged(1.0, 1.0), judged(1.3, 1.3)]

    assert [j.verdict for j in worst_first(judgements)] == [V.SLOWER, V.SAME]
    assert headline(judgements) == "2 cells: 1 slower, 1 same"
