"""The released normalised SLP, repeated with its constants; what is wrong with it, and not here."""

import pytest
import torch
from plane_problems import point_of, problem_at, run
from small_problems import CASES

from baselines.level_set import published
from baselines.level_set.published import _is_five_times
from baselines.test_functions import problem_of
from teleport_core import Status, TeleportResult

BOOTH = (7.5, -4.0)


def test_on_booth_its_penalty_grows_without_bound_and_freezes_it() -> None:
    theirs = run(problem_of("booth", BOOTH), rho=10.0, steps=500, published=True)
    ours = run(problem_of("booth", BOOTH), rho=10.0, steps=25)

    share = [result.grad_norm_sq[-1] / (36 * result.loss[0]) for result in (theirs, ours)]
    assert share == [pytest.approx(0.99982, abs=1e-5), pytest.approx(1, abs=1e-6)]
    assert abs(theirs.loss[-1] - 92.25) < 1e-11  # nothing but rounding is violated
    assert (theirs.lrs[300] > 1, theirs.lrs[-1] < 1e-4) == (True, True)
    assert ours.lrs[-1] > 10


def test_on_goldstein_price_ours_is_there_in_a_tenth_of_the_steps() -> None:
    theirs = run(problem_of("goldstein_price"), rho=10.0, steps=300, published=True)
    ours = run(problem_of("goldstein_price"), rho=10.0, steps=60)

    assert (theirs.status, ours.status) == (Status.DONE, Status.STATIONARY)
    assert theirs.grad_norm_sq[-1] == pytest.approx(2.79e7, rel=1e-2)
    assert ours.grad_norm_sq[-1] == pytest.approx(3.3728e7, rel=1e-4)
    assert (ours.loss[0], ours.loss[-1]) == (600, pytest.approx(600, rel=1e-6))


@pytest.mark.long
def test_both_end_where_the_released_code_ends() -> None:
    booth = run(problem_of("booth", BOOTH), rho=10.0, steps=1000, published=True)
    other = run(problem_of("goldstein_price"), rho=10.0, steps=1000, published=True)
    ours = run(problem_of("goldstein_price"), rho=10.0, steps=60)

    assert (booth.status, booth.steps_done) == (Status.DONE, 1000)
    assert booth.grad_norm_sq[-1] == pytest.approx(3320.40, abs=0.005)
    assert (other.status, other.steps_done) == (Status.STATIONARY, pytest.approx(839, abs=2))
    assert other.grad_norm_sq[-1] == pytest.approx(3.373e7, rel=1e-4)
    assert other.loss[-1] == pytest.approx(600, rel=1e-9)
    assert ours.grad_norm_sq[-1] >= other.grad_norm_sq[-1]


def path(unit: float, **options: object) -> tuple[list[float], TeleportResult]:
    booth = problem_of("booth")
    problem = problem_at(lambda w: unit * booth.loss_fn(w, None), (5.0, -5.0))
    result = run(problem, rho=1.0, steps=6, **options)
    return point_of(problem).tolist(), result


def test_its_step_sizes_depend_on_the_units_of_the_loss() -> None:
    small, large = path(1e-4, published=True), path(1e4, published=True)
    ours = path(1e-4)[0], path(1e4)[0]

    assert small[1].lrs != pytest.approx(large[1].lrs, rel=0.1)
    assert ours[0] == pytest.approx(ours[1], rel=1e-6)


def test_a_ratio_of_logarithms_of_any_sign() -> None:
    assert _is_five_times(5.0, 1.0)
    assert not _is_five_times(4.9, 1.0)
    assert _is_five_times(-5.0, -1.0)
    assert not _is_five_times(1.0, -1.0)
    assert _is_five_times(1.0, 0.0)
    assert not _is_five_times(0.0, 0.0)


def test_on_nets_it_leaves_the_level_set_and_ours_does_not() -> None:
    ends = {}
    for name, options in (("theirs", {"published": True}), ("ours", {})):
        problem = CASES["tanh-regression"].build()
        ends[name] = run(problem, steps=8, **options)

    assert ends["theirs"].loss[-1] > 2 * ends["theirs"].loss[0]
    assert ends["ours"].loss[-1] <= ends["ours"].loss[0] * (1 + 1e-6)


def test_a_step_of_which_every_trial_is_refused_goes_on_with_the_last_trials_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(published, "MOST_TRIALS", 2)
    seen = []
    of = published.Model.of

    def spy(parameters, loss, g, Hg):
        seen.append((parameters["w" if "w" in parameters else "point"].tolist(), loss, g["point"]))
        return of(parameters, loss, g, Hg)

    monkeypatch.setattr(published.Model, "of", spy)
    problem = problem_of("goldstein_price")

    result = run(problem, rho=1e3, steps=2, published=True)

    start = torch.tensor([0.0, 0.0], dtype=torch.float64)
    assert seen[0][0] == seen[1][0] == start.tolist()
    assert seen[0][1] == 600
    assert seen[1][1] > 6000
    assert result.loss[:2] == [600, 600]
    assert result.grad_norm_sq[0] == result.grad_norm_sq[1]
