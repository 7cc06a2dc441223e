"""Products by oneDNN are those of torch, and are taken where they gain."""

from collections.abc import Callable

import pytest
import torch
from small_problems import classification
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import make, products

M, K, N = 48, 600, 500

LAYOUTS: dict[str, Callable[[int, int], Tensor]] = {
    "by rows": torch.randn,
    "by columns": lambda r, c: torch.randn(c, r).T,
    "part of wider rows": lambda r, c: torch.randn(r, 2 * c)[:, 7 : 7 + c],
    "every other row": lambda r, c: torch.randn(2 * r, c)[::2],
    "every other column": lambda r, c: torch.randn(r, 2 * c)[:, ::2],
    "one row for all": lambda r, c: torch.randn(1, c).expand(r, c),
    "one number": lambda r, c: torch.tensor(0.5).expand(r, c),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def close(found: Tensor, a: Tensor, b: Tensor, c: Tensor | float = 0.0) -> None:
    """Within rounding of a sum of K products, each as large as the largest."""
    exact = a.double() @ b.double() + c
    scale = a.abs().double() @ b.abs().double() + 1
    assert found.shape == exact.shape
    assert float(((found - exact).abs() / scale).max()) < 2e-5


@pytest.mark.parametrize("right", ["by rows", "by columns"])
@pytest.mark.parametrize("left", list(LAYOUTS))
def test_in_any_layout(left: str, right: str) -> None:
    a, b = LAYOUTS[left](M, K), LAYOUTS[right](K, N)
    close(products.by_onednn(a, b), a, b)
    for layout in list(LAYOUTS)[:4]:
        c = LAYOUTS[layout](M, N)
        kept = c.clone()
        found = products.plus_by_onednn(c, a, b)
        close(found, a, b, kept.double())
        assert torch.equal(c, kept)
    assert products.by_onednn(a, b).is_contiguous()


@pytest.mark.parametrize("shape", [(2, 1, 2), (3, 7, 5), (1, K, N), (M, 1, N), (M, K, 1)])
def test_of_any_shape(shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    a, b = torch.randn(m, k), torch.randn(k, n)
    close(products.by_onednn(a, b), a, b)


def test_the_same_to_the_last_bit_each_time() -> None:
    a, b, c = torch.randn(32, 1024), torch.randn(1024, 1024), torch.randn(32, 1024)
    first, added = products.by_onednn(a, b), products.plus_by_onednn(c, a, b)
    for _ in range(20):
        assert torch.equal(products.by_onednn(a, b), first)
        assert torch.equal(products.plus_by_onednn(c, a, b), added)


def test_what_is_not_finite_stays_so() -> None:
    a, b = torch.randn(M, K), torch.randn(K, N)
    a[3, 4] = torch.inf
    assert not products.by_onednn(a, b)[3].isfinite().any()
    assert products.by_onednn(a, b)[2].isfinite().all()


def test_it_gains_with_large_float32_matrices_on_the_cpu_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    b = torch.zeros(1024, 1024)
    assert products.gains(32, b)
    assert products.gains(32, b.T)
    assert not products.gains(1, torch.zeros(4096, 4096))
    assert not products.gains(4096, torch.zeros(4096, 1))
    assert not products.gains(32, torch.zeros(256, 256))
    assert not products.gains(32, torch.zeros(65536, 32))  # as D^T X of many tokens, 32 wide
    assert not products.gains(100_000, torch.zeros(16, 16))
    assert products.gains(10, torch.zeros(4096, 512))
    assert not products.gains(32, b.double())
    assert not products.gains(32, b.bfloat16())
    assert not products.gains(32, b.to("meta"))
    with monkeypatch.context() as patched:
        patched.setattr(products, "linear_pointwise", None)
        assert not products.gains(32, b)


def test_not_where_the_right_factor_has_gaps() -> None:
    """oneDNN has no kernel for those and falls back to a loop: 340 ms where torch takes 0.4."""
    dense = {layout for layout, build in LAYOUTS.items() if products.gains(M, build(K, N))}
    assert dense == {"by rows", "by columns"}


@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")
def test_not_where_it_is_switched_off() -> None:
    with torch.backends.mkldnn.flags(enabled=False):
        assert not products.gains(32, torch.zeros(1024, 1024))
    assert products.gains(32, torch.zeros(1024, 1024))


@pytest.mark.parametrize("large", [False, True])
def test_products_by_whoever_is_faster(*, large: bool) -> None:
    m, k, n = (200, 300, 400) if large else (5, 6, 7)
    a, b, c = torch.randn(m, k), torch.randn(k, n), torch.randn(m, n)
    assert products.gains(m, b) is large
    close(products.product(a, b), a, b)
    close(products.added_product(c.clone(), a, b), a, b, c.double())
    bias, x = torch.randn(n), torch.randn(4, m // 4, k) if large else torch.randn(5, 1, k)
    with torch.no_grad():
        for given in (None, bias):
            found = products.linear(x, b.T, given)
            torch.testing.assert_close(found, F.linear(x, b.T, given), rtol=1e-4, atol=1e-4)


def test_a_gradient_that_is_recorded_is_torch_s_own() -> None:
    weight = torch.randn(400, 300, requires_grad=True)
    z = products.linear(torch.randn(200, 300), weight, None)
    (gradient,) = torch.autograd.grad(z.sum(), weight)
    assert gradient.shape == weight.shape


def test_no_columns_and_no_features() -> None:
    with torch.no_grad():
        assert products.linear(torch.zeros(0, 3), torch.zeros(4, 3), None).shape == (0, 4)
        assert products.linear(torch.zeros(2, 0), torch.zeros(4, 0), None).shape == (2, 4)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("widths", "n"), [([40, 600, 600, 10], 40), ([40, 300, 300, 10], 140)])
def test_a_wide_net_takes_the_step_that_float64_takes(
    widths: list[int], n: int, *, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of products W^T D, W R{X}, D M and the projection; with and without oneDNN."""

    def step(dtype: torch.dtype) -> tuple[list[Tensor], float]:
        problem = classification(widths, n, nn.Tanh, bias=bias, dtype=dtype)
        before = [p.detach().clone() for p in problem.model.parameters()]
        teleporter = make("nullspace", engine="half_hvp", steps=2, lr=0.1)
        result = teleporter.advance(problem, teleporter.prepare(problem))
        after = [p.detach() for p in problem.model.parameters()]
        moves = [(new - old).double() for new, old in zip(after, before, strict=True)]
        return moves, result.grad_norm_sq[1]

    exact, norm = step(torch.float64)
    assert products.gains(n, torch.zeros(widths[1], widths[2]))
    found = [step(torch.float32)]
    monkeypatch.setattr(products, "linear_pointwise", None)
    found.append(step(torch.float32))
    for moves, grad_norm_sq in found:
        assert grad_norm_sq == pytest.approx(norm, rel=1e-4)
        for moved, right in zip(moves, exact, strict=True):
            assert (moved - right).norm() <= 1e-4 * right.norm() + 1e-6
    assert any(not torch.equal(a, b) for a, b in zip(found[0][0], found[1][0], strict=True))
