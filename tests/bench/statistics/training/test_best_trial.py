"""The learning rate that tuning chooses."""

import math

import pytest

from bench.errors import RunError
from bench.statistics.training.tuning import Best, best_trial

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("trials", "best"),
    [
        ({0.01: [3.0], 0.1: [1.0], 1.0: [2.0]}, Best(0.1, at_edge=False)),
        ({1.0: [2.0], 0.01: [3.0], 0.1: [1.0]}, Best(0.1, at_edge=False)),  # in any order
        ({0.01: [3.0], 0.1: [2.0], 1.0: [1.0]}, Best(1.0, at_edge=True)),
        ({0.01: [1.0], 0.1: [2.0], 1.0: [3.0]}, Best(0.01, at_edge=True)),
        ({0.01: [3.0], 0.1: [2.0], 1.0: [NAN]}, Best(0.1, at_edge=False)),
        ({0.01: [INF], 0.1: [2.0], 1.0: [3.0]}, Best(0.1, at_edge=False)),
        ({0.1: [2.0]}, Best(0.1, at_edge=True)),
        ({1.0: [2.0], 0.1: [2.0], 0.01: [9.0]}, Best(0.1, at_edge=False)),  # the smaller of equals
        # medians, so one lucky run does not choose
        ({0.01: [9, 9, 9], 0.1: [2, 2, 2], 0.3: [0, 3, 3], 1.0: [9, 9, 9]}, Best(0.1, False)),
        # a rate that diverged once is not chosen, however good the rest of its runs is
        ({0.01: [9, 9, 9], 0.1: [2, 2, 2], 0.3: [1, 1, NAN], 1.0: [9, 9, 9]}, Best(0.1, False)),
        ({0.01: [9, 9], 0.1: [2, 2], 0.3: [-INF, 1], 1.0: [9, 9]}, Best(0.1, False)),
    ],
)
def test_the_smallest_median_without_a_diverged_run(trials, best):
    assert best_trial(trials) == best


def test_all_diverged():
    with pytest.raises(RunError, match=r"at 0\.1, 1 some run diverged .* try smaller ones"):
        best_trial({1.0: [NAN, 1.0], 0.1: [INF, 2.0]})


@pytest.mark.parametrize("trials", [{}, {0.1: []}, {0.1: [1.0], 1.0: [1.0, 2.0]}])
def test_unequal_tuning_is_refused(trials):
    with pytest.raises(RunError, match="the same tuning seeds; got"):
        best_trial(trials)
