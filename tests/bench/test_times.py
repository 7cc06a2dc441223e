"""Times in plain characters."""

import math

import pytest

from bench.times import duration, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.5, "2.5 s"), (0.00225, "2.25 ms"), (3e-6, "3 us"), (5e-8, "50 ns"), (math.nan, "-")],
)
def test_times_have_the_unit_that_suits_them(value, text):
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.2, "1 s"), (45.4, "45 s"), (89.9, "90 s"), (90, "2 min"), (5399, "90 min")),
        *((5400, "1.5 h"), (math.nan, "unknown")),
    ],
)
def test_durations_are_rounded_as_one_waits(value, text):
    assert duration(value) == text
