"""level_set on every architecture of the table: the loss stays, the gradient grows."""

import pytest
from oracles import loss_and_grad_norm_sq
from plane_problems import run
from zoo import ZOO, build

from teleport_core import Guarantee, Status

TOLERANCE = 1e-6  # the square root of the default of ``tolerance``


@pytest.mark.parametrize("name", list(ZOO))
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_the_loss_stays_within_the_tolerance_and_the_gradient_grows(name: str) -> None:
    problem = build(name)

    result = run(problem, steps=3, sublevel=False)

    loss, norm_sq = loss_and_grad_norm_sq(problem)
    assert loss == pytest.approx(result.loss[0], rel=TOLERANCE)
    assert (result.status, result.guarantee) == (Status.DONE, Guarantee.APPROXIMATE)
    assert norm_sq > 1.01 * result.grad_norm_sq[0]
