"""||g||^2 with one gradient held at a time."""

import math
from typing import Any

import pytest
import torch
from memory_counting import peak_bytes
from torch import Tensor, nn

from teleport_core import norms
from teleport_core.norms import distance, square_sum
from teleport_core.verification.gradient_norm import gradient_norm_sq

# Wide enough for gradients that are taken one at a time.
WIDTH = 600


def net(width: int = WIDTH) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 3)).double()


def loss_of(model: nn.Module, width: int = WIDTH) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, width, generator=generator, dtype=torch.float64)
    loss: Tensor = model(x).square().sum()
    return loss


def by_autograd(model: nn.Module) -> float:
    gradients = torch.autograd.grad(loss_of(model), list(model.parameters()))
    return sum(float(g.square().sum()) for g in gradients)


def test_it_is_that_of_the_whole_gradient() -> None:
    model = net()
    found = gradient_norm_sq(loss_of(model), list(model.parameters()))
    assert float(found) == pytest.approx(by_autograd(model), rel=1e-12)


def test_a_shared_weight_counts_with_the_sum_of_its_uses() -> None:
    weight = torch.full((2, 2), 0.5, dtype=torch.float64, requires_grad=True)
    loss = (3 * weight).sum() + (2 * weight).sum()
    assert float(gradient_norm_sq(loss, [weight])) == 4 * 25.0


def test_what_the_loss_does_not_use_counts_nothing() -> None:
    used, unused = (torch.ones(3, requires_grad=True) for _ in range(2))
    assert float(gradient_norm_sq(used.sum(), [unused, used])) == 3.0
    assert float(gradient_norm_sq(used.sum(), [unused])) == 0.0


def test_two_gradients_are_never_held_at_once() -> None:
    model = net(width=700)
    largest = max(p.numel() for p in model.parameters()) * 8
    all_of_them = sum(p.numel() for p in model.parameters()) * 8
    held = peak_bytes(lambda: gradient_norm_sq(loss_of(model, 700), list(model.parameters())))
    known = peak_bytes(lambda: torch.autograd.grad(loss_of(model, 700), list(model.parameters())))
    assert known > all_of_them > 2 * largest
    assert held < 1.5 * largest


def test_sums_by_pieces_take_the_room_of_a_piece() -> None:
    a, b = torch.zeros(2, 2048, 1024)
    assert peak_bytes(lambda: float((a - b).norm())) > a.nbytes / 2
    assert peak_bytes(lambda: distance(a, b)) < a.nbytes / 4
    assert peak_bytes(lambda: square_sum(a)) < a.nbytes / 4


def test_no_hook_stays_and_the_next_gradient_is_whole() -> None:
    model = net()
    whole = by_autograd(model)
    gradient_norm_sq(loss_of(model), list(model.parameters()))
    assert by_autograd(model) == whole
    assert not any(p._backward_hooks for p in model.parameters())


def test_no_hook_stays_after_an_exception() -> None:
    weight = torch.ones(3, requires_grad=True)
    loss = weight.sum()
    loss.backward()  # type: ignore[no-untyped-call]  # its graph is spent
    product = (weight * weight).sum()
    product.backward()  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="second time"):
        gradient_norm_sq(product, [weight])
    assert not weight._backward_hooks


def test_a_hook_that_an_interrupt_left_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = net()
    whole = by_autograd(model)
    parameters = list(model.parameters())

    class Left:
        """A handle whose owner was interrupted before he could take the hook away."""

        def remove(self) -> None:
            raise KeyboardInterrupt

    real = Tensor.register_hook
    with monkeypatch.context() as patched:
        patched.setattr(Tensor, "register_hook", lambda *given: (real(*given), Left())[1])
        with pytest.raises(KeyboardInterrupt) as kept:
            gradient_norm_sq(loss_of(model), parameters)
    assert all(p._backward_hooks for p in parameters)
    assert by_autograd(model) == whole
    assert kept.tb is not None  # and with it all that the call had made


class Recompute(torch.autograd.Function):
    """A block that is run again in its backward pass, as those that save memory are."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, block: nn.Module, *_: Tensor) -> Tensor:
        ctx.x, ctx.block = x.detach(), block
        with torch.no_grad():
            found: Tensor = block(x)
        return found

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        with torch.enable_grad():
            x = ctx.x.requires_grad_(True)
            y = ctx.block(x)
        at_x, *others = torch.autograd.grad(y, [x, *ctx.block.parameters()], g)
        return at_x, None, *others


def test_a_backward_pass_inside_it_is_left_alone() -> None:
    model = net()
    x = torch.randn(4, WIDTH, dtype=torch.float64)

    def loss() -> Tensor:
        found: Tensor = Recompute.apply(x.clone().requires_grad_(), model, *model.parameters())
        return found.square().sum()

    gradients = torch.autograd.grad(loss(), list(model.parameters()))
    expected = sum(float(g.square().sum()) for g in gradients)
    found = gradient_norm_sq(loss(), list(model.parameters()))
    assert expected > 0
    assert float(found) == pytest.approx(expected, rel=1e-12)


class Fixed(torch.autograd.Function):
    """x times a scale that is not learned."""

    @staticmethod
    def forward(_: Any, x: Tensor, scale: Tensor) -> Tensor:
        return x * scale

    @staticmethod
    def backward(_: Any, g: Tensor) -> Any:
        return g, None


def test_a_function_that_gives_no_gradient() -> None:
    weight, scale = (torch.ones(3, requires_grad=True) for _ in range(2))
    found = gradient_norm_sq(Fixed.apply(2 * weight, scale).sum(), [weight, scale])
    assert float(found) == 12.0


@pytest.mark.parametrize("rows", [50, 300_000])
def test_sparse_gradients(rows: int) -> None:
    table = nn.Embedding(rows, 4, sparse=True)
    found = gradient_norm_sq(table(torch.tensor([1, 1, 2])).sum(), [table.weight])
    assert float(found) == 4 * 4.0 + 4 * 1.0


def test_a_loss_that_is_a_parameter_itself() -> None:
    loss = torch.ones((), requires_grad=True)
    assert float(gradient_norm_sq(loss, [loss])) == 1.0


@pytest.mark.parametrize("shape", [(), (7,), (0, 3), (5, 6), (40, 5, 2)])
def test_sums_by_pieces_are_those_of_the_whole(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(norms, "_PIECE", 8)
    torch.manual_seed(2)
    a, b = torch.randn(2, *shape, dtype=torch.float64)
    assert float(square_sum(a)) == pytest.approx(float((a * a).sum()), rel=1e-13)
    assert distance(a, b) == pytest.approx(float((a - b).norm()), rel=1e-13)
    assert float(square_sum(a.T if a.dim() == 2 else a)) == pytest.approx(float((a * a).sum()))


def test_one_number_that_is_not_finite_makes_the_sum_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norms, "_PIECE", 8)
    values = torch.ones(40, 3)
    values[17, 1] = math.nan
    assert math.isnan(float(square_sum(values)))
    assert math.isnan(distance(values, torch.ones(40, 3)))
