"""What a call goes back to is where it began, also where somebody wrote the weights in between."""

import torch
from small_problems import classification

from teleport_core.nullspace.start import Start


def test_what_was_written_before_the_steps_is_part_of_the_start() -> None:
    problem = classification([6, 9, 9, 3], 4)
    weights = problem.detached()
    start = Start(problem, weights)
    with torch.no_grad():
        for weight in weights.values():
            weight.add_(1.0)
    trained = problem.copy()

    start.renew()
    with torch.no_grad():
        for weight in weights.values():
            weight.mul_(3.0)
    start.restore()

    for name, value in problem.detached().items():
        assert torch.equal(value, trained[name])
        assert torch.equal(start.values[name], trained[name])


def test_copies_that_are_there_serve_as_they_are() -> None:
    problem = classification([6, 9, 9, 3], 4)
    problem.copies.update(problem.copy())

    start = Start(problem, problem.detached())

    assert all(start.values[name] is problem.copies[name] for name in problem.parameters())
