"""What the fast engine holds: no gradient of the weights' size, and nothing new in a step."""

from typing import Any

import pytest
import torch
from memory_counting import peak_bytes
from small_problems import classification
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.timing.rounds import sgd_call
from teleport_core import Problem, make, teleport
from teleport_core.nullspace.half_hvp.engine import HalfHvpState

NETS: dict[str, tuple[list[int], int]] = {
    "784-256-256-10": ([784, 256, 256, 10], 32),
    "784-1024-1024-10": ([784, 1024, 1024, 10], 32),
    "six of 512": ([784] + [512] * 6 + [10], 32),
    "784-1024-1024-10, n=256": ([784, 1024, 1024, 10], 256),
}


def net(name: str) -> Problem:
    widths, n = NETS[name]
    return classification(widths, n, lambda: nn.LeakyReLU(0.1), bias=False, dtype=torch.float32)


def bytes_of(tensors: list[Tensor]) -> int:
    """Each storage once."""
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


def thin_factors(problem: Problem, state: HalfHvpState) -> int:
    """Everything that grows with the batch: per layer X, D, slopes, tangents, Q and the like.

    Preparing needs X and Q in float64 too, twice: X L^-T is formed beside X, then cast.
    """
    weights = {p.untyped_storage().data_ptr() for p in problem.parameters().values()}
    found: list[Tensor] = []
    for layer in state.layers:
        found += [v for v in vars(layer).values() if isinstance(v, Tensor)]
    in_double = sum(layer.inputs.numel() * 8 * 2 for layer in state.moving)
    return in_double + bytes_of([t for t in found if t.untyped_storage().data_ptr() not in weights])


@pytest.mark.parametrize("name", list(NETS))
def test_a_call_holds_no_more_than_an_sgd_step_and_its_thin_factors(name: str) -> None:
    problem = net(name)
    weights = bytes_of([*problem.parameters().values()])
    teleporter = make("nullspace", engine="half_hvp", lr=1e-6)
    sgd = peak_bytes(lambda: sgd_call([problem], 1, []))
    assert sgd >= weights  # all gradients at once: the counter sees them

    state = teleporter.prepare(problem)
    assert isinstance(state, HalfHvpState)
    thin = thin_factors(problem, state)
    del state
    call = peak_bytes(lambda: teleporter.advance(problem, teleporter.prepare(problem)))

    assert weights + call <= 1.2 * (weights + sgd) + thin
    # Beside the thin factors only what makes an exception harmless: the moving weights, once.
    assert call <= weights + thin


@pytest.mark.parametrize("name", list(NETS))
def test_a_teleport_that_is_held_to_the_model_adds_its_largest_gradient(name: str) -> None:
    """Both looks at the model are in it; the second comes while the start is still kept."""
    problem = net(name)
    parameters = [*problem.parameters().values()]
    weights, largest = bytes_of(parameters), max(bytes_of([p]) for p in parameters)
    batch = (problem.inputs, problem.targets)
    sgd = peak_bytes(lambda: sgd_call([problem], 1, []))
    state = make("nullspace", lr=1e-6).prepare(problem)
    assert isinstance(state, HalfHvpState)
    thin = thin_factors(problem, state)
    del state

    call = peak_bytes(lambda: teleport(problem.model, problem.loss_fn, batch, lr=1e-6))

    pieces = 2 * 2**20  # differences and squares of a part of the weights
    # Another copy of the weights is what an error puts back, whatever the model did to them.
    assert call <= weights + sgd + thin + largest + pieces


class _NewStorage(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {
            t.untyped_storage().data_ptr()
            for t in tree_leaves((args, kwargs))
            if isinstance(t, Tensor)
        }
        for t in tree_leaves(result):
            if isinstance(t, Tensor) and t.untyped_storage().data_ptr() not in given:
                self.found.append((func.overloadpacket.__name__, t.untyped_storage().nbytes()))
        return result


@pytest.mark.parametrize("name", list(NETS))
def test_steps_allocate_nothing_but_single_numbers(name: str) -> None:
    """And what oneDNN answers with: a product as large as the activations, one at a time."""
    widths, n = NETS[name]
    problem = net(name)
    teleporter = make("nullspace", engine="half_hvp", lr=1e-6)
    state = teleporter.prepare(problem)
    teleporter.advance(problem, state)

    with _NewStorage() as seen:
        teleporter.advance(problem, state)

    assert len(seen.found) > 8  # the mode sees: norms are new numbers
    matrices = {each for each in seen.found if each[1] > 64}
    assert {name for name, _ in matrices} <= {"_linear_pointwise"}
    assert max((size for _, size in matrices), default=0) <= 4 * n * max(widths[1:])
