"""What the 2023 code as released costs, against its operations written out by hand.

Only on an idle machine: ``make verify``.
"""

from statistics import median
from time import perf_counter

import pytest
import torch
from small_problems import classification
from torch import Tensor, nn

from teleport_core import Problem, make

STEPS, LR = 8, 1e-6


def bare(problem: Problem) -> None:
    """Products, pseudo-inverses and autograd passes of one call, on a stack without biases."""
    inputs = problem.inputs.T
    W = [p.detach().clone() for p in problem.parameters().values()]
    act = nn.functional.leaky_relu
    h = [inputs]
    for V in W[:-2]:
        h.append(act(V @ h[-1], 0.1))
    h_pinv = [torch.linalg.pinv(x) for x in h]

    def sweep(matrices: list[Tensor], T: list[Tensor]) -> list[Tensor]:
        moved = list(matrices)
        for m, t in enumerate(T):
            Vh = moved[m] @ h[m]
            after = act(torch.addmm(Vh, t, Vh), 0.1)
            moved[m + 1] = moved[m + 1] @ act(Vh, 0.1) @ torch.linalg.pinv(after)
            moved[m] = torch.addmm(moved[m], t, moved[m])
        return moved

    for _ in range(STEPS):
        T = [torch.zeros(V.shape[0], V.shape[0], requires_grad=True) for V in W[:-1]]
        moved = [matrix.view_as(matrix) for matrix in sweep(W, T)]
        x = problem.inputs
        for V in moved[:-1]:
            x = act(x @ V.T, 0.1)
        loss = problem.loss_fn(x @ moved[-1].T, problem.targets)
        g = torch.autograd.grad(loss, moved, create_graph=True)
        torch.stack([part.detach().norm() for part in g]).square().sum().item()
        dT = torch.autograd.grad(g, T, grad_outputs=[part.detach() for part in g])
        with torch.no_grad():
            step = [2 * LR * d for d in dT]
            W = sweep(W, step)
            for m in range(1, len(h)):
                h[m] = torch.addmm(h[m], step[m - 1], h[m])
                h_pinv[m] = torch.addmm(h_pinv[m], h_pinv[m], step[m - 1], alpha=-1)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("width", [256, 1024, 4096])
def test_the_released_code_costs_what_its_operations_cost(width: int) -> None:
    def leaky() -> nn.Module:
        return nn.LeakyReLU(0.1)

    problem = classification([784, width, width, 10], 32, leaky, bias=False, dtype=torch.float32)
    published = make("symmetry", published=True, steps=STEPS, lr=LR)
    fast = make("nullspace", engine="half_hvp", steps=STEPS, lr=LR)
    times: dict[str, list[float]] = {"published": [], "bare": [], "fast": []}
    rounds = {256: 61, 1024: 15, 4096: 2}[width]
    for number in range(-1, rounds):
        for name, call in (
            ("published", lambda: published.advance(problem, published.prepare(problem))),
            ("bare", lambda: bare(problem)),
            ("fast", lambda: fast.advance(problem, fast.prepare(problem))),
        ):
            started = perf_counter()
            call()
            if number >= 0:
                times[name].append(perf_counter() - started)
    ratio = [a / b for a, b in zip(times["published"], times["bare"], strict=True)]
    gain = [a / b for a, b in zip(times["published"], times["fast"], strict=True)]
    found = f"published / bare {median(ratio):.2f}, / null space {median(gain):.1f}"
    print(f"width {width}: {found}")

    assert median(ratio) <= 1.1
