"""The shared loop on a one-number problem whose every outcome is known."""

from math import inf, isnan, nan

import pytest
import torch

from teleport_core.ascent import Ascent, Point, all_finite, ascend
from teleport_core.problem import Parameters
from teleport_core.results import Status


def climb(
    norms: list[float], *, steps: int, cap: float = inf, stuck_at: int = -1, bad_move: int = -1
) -> Ascent:
    """Visit w = 0, 1, 2, ... where ||g||^2 is ``norms[w]``."""

    def visit(parameters: Parameters) -> Point:
        w = int(parameters["w"])

        def move() -> Parameters | None:
            if w == stuck_at:
                return None
            return {"w": torch.tensor(inf if w == bad_move else w + 1.0)}

        return Point(torch.tensor(10.0 + w), torch.tensor(norms[w]), move)

    return ascend({"w": torch.tensor(0.0)}, visit, steps, cap)


def test_done() -> None:
    end = climb([1, 2, 3, 4], steps=3)

    assert (end.status, end.steps_done) == (Status.DONE, 3)
    assert end.parameters == {"w": torch.tensor(3.0)}
    assert end.previous == {"w": torch.tensor(2.0)}
    assert end.grad_norm_sq[:3] == [1, 2, 3]
    assert end.loss[:3] == [10, 11, 12]
    assert isnan(end.loss[3])
    assert isnan(end.grad_norm_sq[3])


def test_capped_midway_and_at_once() -> None:
    end = climb([1, 2, 3, 4], steps=3, cap=3)
    assert (end.status, end.steps_done, end.grad_norm_sq) == (Status.CAPPED, 2, [1, 2, 3])
    assert end.parameters == {"w": torch.tensor(2.0)}

    end = climb([1, 2], steps=3, cap=1)
    assert (end.status, end.steps_done, end.parameters) == (Status.CAPPED, 0, None)


def test_no_way_up() -> None:
    end = climb([1, 2, 3], steps=3, stuck_at=0)
    assert (end.status, end.steps_done) == (Status.NO_ASCENT_DIRECTION, 0)
    assert end.parameters is None

    end = climb([1, 2, 3], steps=3, stuck_at=1)
    assert (end.status, end.steps_done) == (Status.NO_ASCENT_DIRECTION, 1)
    assert end.parameters == {"w": torch.tensor(1.0)}


def test_a_point_that_is_not_finite_is_left_again() -> None:
    end = climb([1, 2, nan, 4], steps=4)

    assert (end.status, end.steps_done) == (Status.NON_FINITE, 1)
    assert end.parameters == {"w": torch.tensor(1.0)}
    assert end.grad_norm_sq == [1, 2]


def test_a_move_that_is_not_finite_is_not_made() -> None:
    end = climb([1, 2, 3, 4], steps=4, bad_move=1)

    assert (end.status, end.steps_done) == (Status.NON_FINITE, 1)
    assert end.parameters == {"w": torch.tensor(1.0)}
    assert end.grad_norm_sq == [1, 2]


def test_not_finite_at_the_start_moves_nothing() -> None:
    end = climb([nan, 2], steps=4)

    assert (end.status, end.steps_done, end.parameters) == (Status.NON_FINITE, 0, None)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("at", [0, 500, 999])
def test_one_value_that_is_not_finite_is_found_wherever_it_is(bad: float, at: int) -> None:
    values = torch.randn(1000)
    values[at] = bad
    assert not all_finite({"a": torch.ones(3), "b": values})


def test_large_values_and_empty_tensors_are_finite() -> None:
    assert all_finite({"a": torch.full((9,), 3e38), "b": torch.empty(0, 3)})
    assert all_finite({})
