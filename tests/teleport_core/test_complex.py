"""Complex parameters are held, and the real ones beside them move exactly."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import teleport_core
from teleport_core import Guarantee, ModelError


class Magnitude(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


class Complex(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.complex128)


class Fourier(nn.Module):
    """A layer of a Fourier neural operator: a complex weight between two transforms."""

    def __init__(self, *, buffer: bool) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 30), nn.Linear(30, 3)
        w = torch.randn(16, 16, dtype=torch.complex128) / 4
        if buffer:
            self.register_buffer("w", w)
        else:
            self.w = nn.Parameter(w)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        return self.b(torch.tanh(torch.fft.irfft(torch.fft.rfft(h) @ self.w, n=30)))


def between() -> nn.Module:
    layer = nn.Linear(30, 16, dtype=torch.complex128)
    return nn.Sequential(
        nn.Linear(6, 30), nn.Tanh(), Complex(), layer, Magnitude(), nn.Linear(16, 3)
    )


MODELS: dict[str, tuple[Callable[[], nn.Module], set[str]]] = {
    "parameter": (lambda: Fourier(buffer=False), {"w"}),
    "buffer": (lambda: Fourier(buffer=True), set()),
    "layer": (between, {"3.weight", "3.bias"}),
}


def teleported(name: str, **options: object) -> tuple[nn.Module, teleport_core.TeleportResult]:
    torch.manual_seed(0)
    model = MODELS[name][0]()
    for part in model.modules():
        if isinstance(part, nn.Linear) and not part.weight.is_complex():
            part.double()
    batch = (torch.randn(4, 6).double(), torch.tensor([0, 1, 2, 0]))
    result = teleport_core.teleport(
        model, F.cross_entropy, batch, **{"lr": 1e-2, "steps": 2, **options}
    )
    return model, result


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("engine", ["auto", "textbook"])
def test_real_parameters_move_and_complex_ones_are_held(name: str, engine: str) -> None:
    start = teleported(name, method="identity")[0].state_dict()

    model, result = teleported(name, engine=engine)

    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.steps_done == 2
    assert result.output_change < 1e-12
    assert result.grad_norm_sq[2] > result.grad_norm_sq[1] > result.grad_norm_sq[0]
    assert set(result.held) == MODELS[name][1]
    moved = {n for n, value in model.state_dict().items() if not torch.equal(value, start[n])}
    assert moved
    assert not moved & ({"w"} | MODELS[name][1])


@pytest.mark.parametrize("name", list(MODELS))
def test_engines_agree_on_the_gradient_of_complex_parameters(name: str) -> None:
    """The textbook engine differentiates twice and shares nothing with the other."""
    one, two = teleported(name)[1], teleported(name, engine="textbook")[1]

    assert one.grad_norm_sq == pytest.approx(two.grad_norm_sq, rel=1e-10)


def complex_stack() -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    first = nn.Linear(6, 30, dtype=torch.complex64)
    net = nn.Sequential(first, nn.Tanh(), nn.Linear(30, 3, dtype=torch.complex64))
    return net, (torch.randn(4, 6, dtype=torch.complex64), torch.tensor([0, 1, 2, 0]))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "0.weight is used in complex arithmetic"),
        ({"engine": "half_hvp"}, "complex"),
        ({"engine": "textbook"}, "0.weight is used in complex arithmetic"),
        ({"method": "symmetry"}, r"expected real parameters; 0.weight is torch.complex64"),
    ],
)
def test_a_model_of_complex_weights_alone_is_refused(options: dict[str, str], text: str) -> None:
    net, batch = complex_stack()

    with pytest.raises(ModelError, match=text):
        teleport_core.teleport(net, lambda o, t: F.cross_entropy(o.abs(), t), batch, **options)
