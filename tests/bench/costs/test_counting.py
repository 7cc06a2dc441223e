"""Operations counted as torch carries them out: against closed forms, torch's counter, by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from finished_cells import finished_cells
from small_problems import classification, residual
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from bench.costs.closed_forms import UNKNOWN, call_counts, sample_counts
from bench.costs.counted import Counter
from bench.plan.points import Point
from bench.plan.profiles import Detail
from bench.problems.build import build
from bench.profiling.cells import profile_cell
from bench.timing.rounds import sgd_call
from bench.worker import memory_and_operations
from teleport_core import Problem, make
from teleport_core.operations import Operations, eigh, pinv, solve, svd
from teleport_core.products import gains

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning"),
]

METHODS: dict[str, dict[str, Any]] = {
    "nullspace": {},
    "nullspace:engine=textbook": {"engine": "textbook"},
    "symmetry": {},
    "symmetry:acts_on=activations": {"acts_on": "activations"},
    "symmetry:published=true": {"published": True},
}


def whole_call(variant: str, problem: Problem, steps: int) -> Callable[[], object]:
    if variant == "sgd":
        return lambda: sgd_call([problem], steps, [])
    method = variant.partition(":")[0]
    teleporter = make(method, steps=steps, lr=1e-7, **METHODS[variant])
    return lambda: teleporter.advance(problem, teleporter.prepare(problem))


def total_of(call: Callable[[], object]) -> Operations | None:
    with Counter() as counter:
        call()
    return counter.total


@pytest.mark.parametrize("n", [3, 10])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("widths", [[9, 13, 11], [20, 16, 12, 5], [10, 14, 12, 12, 15, 6]])
@pytest.mark.parametrize("variant", ["sgd", *METHODS])
def test_closed_forms_and_counter_agree(
    variant: str, widths: list[int], bias: bool, n: int
) -> None:
    if bias and "published" in variant:
        return  # the released code knows no biases
    problem = classification(widths, n, lambda: nn.LeakyReLU(0.1), bias=bias)

    found = call_counts(whole_call(variant, problem, 3), [problem])

    assert found == sample_counts(variant, [problem], 3)
    assert None not in found.values()


@pytest.mark.parametrize(("widths", "n"), [([6, 600, 400, 5], 40), ([6, 300, 300, 5], 140)])
def test_products_by_onednn_count_alike(widths: list[int], n: int) -> None:
    problem = classification(widths, n, dtype=torch.float32)

    found = call_counts(whole_call("nullspace", problem, 2), [problem])

    assert gains(n, torch.zeros(widths[2], widths[1]))
    assert found == sample_counts("nullspace", [problem], 2)


# torch's counter refuses it.
KNOWN_TO_TORCH = [name for name in zoo.ZOO if name != "weight-norm"]


@pytest.mark.parametrize("name", KNOWN_TO_TORCH)
def test_products_of_an_sgd_step_are_those_of_torchs_counter(name: str) -> None:
    with sdpa_kernel(SDPBackend.MATH):
        found = total_of(lambda: sgd_call([zoo.build(name)], 1, []))
        with FlopCounterMode(display=False) as expected:
            sgd_call([zoo.build(name)], 1, [])

    assert found is not None
    assert found.products == expected.get_total_flops() > 0


@pytest.mark.parametrize("name", list(zoo.ZOO))
def test_every_model_has_counts_by_the_engine_for_any_module(name: str) -> None:
    problem = zoo.build(name)

    found = call_counts(whole_call("nullspace", problem, 2), [problem])
    once = call_counts(whole_call("nullspace", problem, 1), [problem])

    assert all(value is not None and value > 0 for value in found.values())
    assert (found == once) == (name in ("full-rank", "one-convolution"))  # nothing moves


def test_fused_attention_counts_its_two_products_and_five_backward() -> None:
    """Softmax(Q K^T) V; backward forms Q K^T again, and one product for each factor of both."""
    query, key, value = (torch.randn(2, 3, s, 4, requires_grad=True) for s in (5, 7, 7))
    one = 2 * 2 * 3 * 5 * 7 * 4

    with Counter() as forward, sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        out = scaled_dot_product_attention(query, key, value)
    backward = total_of(lambda: out.sum().backward())

    assert forward.total is not None
    assert forward.total.products == 2 * one
    assert backward is not None
    assert backward.products == 5 * one


A, S, V = torch.randn(3, 6, 4), torch.eye(5).expand(3, 5, 5), torch.randn(5)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: torch.linalg.svd(A), svd(6, 4).factorisations * 3),
        (lambda: torch.linalg.eigh(S), eigh(5).factorisations * 3),
        (lambda: torch.linalg.pinv(A), pinv(6, 4).factorisations * 3),
        (lambda: torch.linalg.solve(S, V.expand(3, 5)), solve(5, 1).factorisations * 3),
        (lambda: torch.linalg.solve(S, S[..., :2]), solve(5, 2).factorisations * 3),
        (lambda: torch.linalg.solve(S, S[:, :2], left=False), solve(5, 2).factorisations * 3),
        (lambda: torch.linalg.cholesky(S), 5**3 // 3 * 3),
        (lambda: torch.linalg.inv(S), 2 * 5**3 * 3),
        (lambda: torch.linalg.qr(A), (4 * 6 * 4**2 - 4 * 4**3 // 3) * 3),
        (lambda: torch.linalg.solve_triangular(S, S[..., :2], upper=True), 5**2 * 2 * 3),
        (
            lambda: torch.linalg.solve_triangular(S, S[:, :2], upper=True, left=False),
            5**2 * 2 * 3,
        ),
    ],
)
def test_factorisations_of_every_matrix_of_a_stack(
    call: Callable[[], object], expected: int
) -> None:
    assert total_of(call) == Operations(factorisations=expected)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: S[0] @ V, Operations(2 * 25, 0, 4 * (25 + 5 + 5))),
        (lambda: torch.addmv(V, S[0], V), Operations(2 * 25, 0, 4 * (25 + 5 + 5))),
        (lambda: V.clone().addmv_(S[0], V), Operations(2 * 25, 0, 4 * (25 + 5 + 5))),
        (lambda: torch.addmm(A[0], A[0], S[0, :4, :4]), Operations(192, 0, 4 * (24 + 16 + 24))),
        (lambda: A.clone().baddbmm_(A, S[:, :4, :4]), Operations(576, 0, 12 * (24 + 16 + 24))),
        (lambda: A * A, Operations()),
        (lambda: torch.dot(V, V), Operations()),
    ],
)
def test_products(call: Callable[[], object], expected: Operations) -> None:
    assert total_of(call) == expected


def test_a_product_that_does_not_tell_leaves_nothing_known() -> None:
    bilinear, x = nn.Bilinear(3, 3, 2), torch.randn(4, 3)

    assert total_of(lambda: bilinear(x, x)) is None
    assert call_counts(lambda: bilinear(x, x), []) == UNKNOWN
    with torch.no_grad():
        assert total_of(lambda: nn.LSTM(3, 2)(torch.randn(4, 1, 3))) is None


class OnCuda(nn.Parameter):
    is_cuda = True


def test_a_graph_that_may_be_replayed_is_not_counted() -> None:
    stack, other = classification([6, 8, 3], 4), residual()
    calls: list[str] = []

    for problem, name in ((stack, "stack"), (other, "other")):
        for module in problem.model.modules():
            own = {
                key: OnCuda(value.data)
                for key, value in module._parameters.items()
                if value is not None
            }
            module._parameters.update(own)
        found = call_counts(lambda name=name: calls.append(name), [problem])
        assert found == (UNKNOWN if problem is stack else {"operations": 0, "bytes": 0})

    assert calls == ["other"]


POINT = Point(t=2, d=8, n=4, l=2, b=2, model="cnn", dataset="digits", device="cpu", dtype="float32")


def test_cells_of_any_model_carry_counts() -> None:
    cells = finished_cells(POINT, ["sgd", "nullspace", "nullspace:engine=textbook"], bias=True)

    counts = [cell["operations"] for cell in cells.values()]
    assert [cell["status"] for cell in cells.values()] == ["ok"] * 3
    assert all(cell["bytes"] > 0 for cell in cells.values())
    assert 0 < counts[0] < counts[1] < counts[2]


def test_a_profile_carries_the_counts_of_one_batch(tmp_path: Path) -> None:
    built = build(POINT, seed=0, bias=True, data_dir=None)
    problems = [Problem(built.model, built.loss_fn, *batch) for batch in built.batches]
    cell = {"cell_id": "abcdef", "variant": "sgd"}

    profile = profile_cell(cell, POINT, problems, tmp_path, Detail())

    whole = finished_cells(POINT, ["sgd"], bias=True)["sgd"]
    assert [profile[key] * POINT.b for key in UNKNOWN] == [whole[key] for key in UNKNOWN]


def test_a_call_that_cannot_be_counted_keeps_its_times(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(call: object, problems: object) -> None:
        raise RuntimeError("no such formula")

    monkeypatch.setattr(memory_and_operations, "call_counts", failing)

    cell = finished_cells(POINT, ["sgd"], bias=True)["sgd"]

    assert cell["status"] == "ok"
    assert cell["operations"] is cell["bytes"] is None
    assert "no such formula" in cell["operations_note"]
