"""A call is the same whatever was called before it, and leaves the process as it found it."""

import gc
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.fx.experimental.symbolic_shapes  # on its first use torch does, which adds a warning
from deceiving_models import Forces
from oracles import snapshot
from small_problems import classification, regression
from torch import Tensor, nn
from torch.nn import functional as F
from zoo import build

from teleport_core import Problem, teleport

PAIRS, SEED = 40, 7


class Drops(nn.Module):
    """Draws numbers, and is refused for it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.linear(x), 0.5, training=True)


class DrawsForNothing(Drops):
    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + 0.0 * torch.rand(1).item()


class Fails(nn.Module):
    """Raises in the pass after so many."""

    def __init__(self, passes: int, error: type[BaseException]) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 9), nn.Linear(9, 3))
        self.left, self.error = passes, error

    def forward(self, x: Tensor) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise self.error("out of luck")
        output: Tensor = self.net(x)
        return output


def made(model: Callable[[], nn.Module]) -> Problem:
    torch.manual_seed(0)
    inputs = torch.randn(4, 6, dtype=torch.float64)
    return Problem(model().double(), F.cross_entropy, inputs, torch.tensor([0, 1, 2, 0]))


def hidden_use() -> Problem:
    torch.manual_seed(0)
    model, inputs = Forces().double(), torch.randn(5, 6, dtype=torch.float64)
    return Problem(model, lambda o, _: o.square().mean(), inputs, None)


def bad_loss() -> Problem:
    def loss(output: Tensor, targets: Tensor) -> Tensor:
        raise ValueError("no such loss")

    return replace(classification([6, 9, 9, 3], 4), loss_fn=loss)


CALLS: dict[str, tuple[Callable[[], Problem], dict[str, Any]]] = {
    "stack": (lambda: classification([20, 16, 12, 5], 8), {"lr": 0.3, "steps": 3}),
    "float32": (
        lambda: classification([20, 16, 12, 5], 8, dtype=torch.float32),
        {"lr": 0.3, "steps": 3, "cap": 10.0, "overshoot": False},
    ),
    "encoder": (lambda: build("encoder-postnorm"), {"lr": 1e-3, "steps": 2}),
    "lstm, published": (lambda: build("lstm"), {"lr": 1e-3, "steps": 2, "engine": "textbook"}),
    "loss may drift": (
        lambda: classification([20, 16, 12, 5], 8),
        {"lr": 0.3, "steps": 2, "max_drift": 1e-2},
    ),
    "symmetry": (
        lambda: classification([20, 16, 12, 5], 8, nn.LeakyReLU),
        {"method": "symmetry", "acts_on": "activations", "lr": 1e-2, "steps": 2},
    ),
    "steps taken back": (hidden_use, {"engine": "textbook", "lr": 0.5, "steps": 2}),
    "to infinity": (lambda: regression([6, 9, 9, 2], 4, nn.Softplus), {"lr": 1e200}),
    "refused as random": (lambda: made(Drops), {}),
    "draws for nothing": (
        lambda: made(lambda: nn.Sequential(nn.Linear(6, 6), nn.Tanh(), DrawsForNothing())),
        {"lr": 1e-2, "steps": 2},
    ),
    "refused option": (lambda: classification([6, 9, 9, 3], 4), {"tau": 2.0}),
    "loss raises": (bad_loss, {}),
    "model raises on the way": (lambda: made(lambda: Fails(2, RuntimeError)), {}),
    "interrupted": (
        lambda: made(lambda: Fails(5, KeyboardInterrupt)),
        {"engine": "textbook", "steps": 4},
    ),
}


def drawn_pairs() -> list[tuple[str, str]]:
    draw = random.Random(SEED)
    return [tuple(draw.sample(list(CALLS), 2)) for _ in range(PAIRS)]  # type: ignore[misc]


def switches() -> dict[str, Any]:
    """What a call could leave changed in its process."""
    cuda, mkldnn, cudnn = torch.backends.cuda, torch.backends.mkldnn, torch.backends.cudnn
    return {
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "anomalies": (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "generator": torch.get_rng_state().tolist(),
        "python's generator": random.getstate(),
        "numpy's generator": str(np.random.get_state()),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,
        ),
        "attention": (
            torch.backends.mha.get_fastpath_enabled(),
            cuda.flash_sdp_enabled(),
            cuda.mem_efficient_sdp_enabled(),
            cuda.math_sdp_enabled(),
            cuda.cudnn_sdp_enabled(),
        ),
        "libraries": (mkldnn.enabled, cudnn.enabled, cudnn.benchmark, cudnn.deterministic),
        "precision": (torch.get_float32_matmul_precision(), cuda.matmul.allow_tf32),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "modes": (torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()),
        "transforms": torch._C._functorch.maybe_current_level(),
        "warnings": list(warnings.filters),
        "collector": gc.isenabled(),
    }


@contextmanager
def settings(draw: random.Random) -> Iterator[None]:
    """Switches as a user may have set them; none of them changes a number."""
    fast, dtype = torch.backends.mha.get_fastpath_enabled(), torch.get_default_dtype()
    try:
        torch.backends.mha.set_fastpath_enabled(draw.random() < 0.5)
        torch.set_default_dtype(draw.choice([torch.float32, torch.float64]))
        torch.use_deterministic_algorithms(draw.random() < 0.5)
        with torch.set_grad_enabled(draw.random() < 0.5):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(False)


def outcome(name: str, draw: random.Random | None = None) -> tuple[Any, ...]:
    """Numbers and the final parameters of a call, which leaves every switch as it was."""
    make, options = CALLS[name]
    problem = make()
    batch = (problem.inputs, problem.targets)
    torch.manual_seed(11)
    with settings(draw) if draw else nullcontext(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = switches()
        try:
            result = teleport(problem.model, problem.loss_fn, batch, **options)
            numbers = repr((result.status, result.loss, result.grad_norm_sq, result.output_change))
        except (Exception, KeyboardInterrupt) as error:
            numbers = repr((type(error), str(error)))
        assert switches() == before
    assert all(parameter.grad is None for parameter in problem.model.parameters())
    return numbers, {k: v.numpy().tobytes() for k, v in snapshot(problem).items()}


@pytest.fixture(scope="module")
def alone() -> dict[str, tuple[Any, ...]]:
    """Each call by itself."""
    return {}


@pytest.mark.parametrize(("one", "other"), drawn_pairs())
def test_either_order_finds_the_same(
    one: str, other: str, alone: dict[str, tuple[Any, ...]]
) -> None:
    for order in ((one, other), (other, one)):
        for name in order:
            found = outcome(name)
            assert found == alone.setdefault(name, found)


@pytest.mark.parametrize("name", list(CALLS))
def test_switches_are_left_and_change_no_number(
    name: str, alone: dict[str, tuple[Any, ...]]
) -> None:
    draw = random.Random(name)
    expected = alone.setdefault(name, outcome(name))
    for _ in range(3):
        assert outcome(name, draw) == expected


def test_the_pairs_cover_every_call_and_every_end() -> None:
    assert {name for pair in drawn_pairs() for name in pair} == set(CALLS)
    ends = {name: outcome(name)[0] for name in CALLS}
    assert "OUTPUTS_CHANGED" in ends["steps taken back"]
    assert "NON_FINITE" in ends["to infinity"]
    for name in ("refused as random", "refused option", "loss raises", "model raises on the way"):
        assert "class" in ends[name]
    assert "KeyboardInterrupt" in ends["interrupted"]
