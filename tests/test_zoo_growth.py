"""Every architecture grows as far as it is asked to, with outputs unchanged."""

import pytest
from oracles import output_change
from zoo import ZOO, build

from teleport_core import Guarantee, Status, TeleportResult, teleport

pytestmark = [
    # Torch's own: rules of forward mode are scripted; a hint about padding of even kernels.
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning"),
]


@pytest.mark.parametrize("growth", [1.5, 4, 20])
@pytest.mark.parametrize("name", list(ZOO))
def test_the_gradient_norm_ends_where_it_was_asked_to(name: str, growth: float) -> None:
    problem = build(name)
    before = problem.output().detach()

    batch = (problem.inputs, problem.targets)
    result: TeleportResult = teleport(problem.model, problem.loss_fn, batch, growth=growth)

    assert result.status is ZOO[name].status
    if result.status is Status.DONE:
        assert result.grad_norm_sq[-1] / result.grad_norm_sq[0] == pytest.approx(growth, rel=0.05)
        assert result.guarantee is Guarantee.EXACT_ON_BATCH
        assert output_change(problem, before) < 1e-10
        assert len(result.lrs) == result.steps_done == 8
