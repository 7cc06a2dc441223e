"""Who gets the fast engine: whoever is a chain of layers, however it is written and watched."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_problems import batch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from teleport_core import ModelError, Problem, TeleportResult, teleport
from teleport_core.nullspace.half_hvp.chain import NoChain, is_chain, read_chain
from teleport_core.stack import ELEMENTWISE

INPUTS, TARGETS = batch(5, 6, 3)


def layers(activation: Callable[[], nn.Module] = nn.Tanh) -> list[nn.Module]:
    torch.manual_seed(0)
    sizes = [(6, 12), (12, 9), (9, 3)]
    found: list[nn.Module] = []
    for a, b in sizes:
        found += [nn.Linear(a, b), activation()]
    return found[:-1]


def net() -> nn.Sequential:
    return nn.Sequential(*layers()).double()


class Functional(nn.Module):
    """The same layers in a forward method."""

    def __init__(self) -> None:
        super().__init__()
        self.body = net()

    def forward(self, x: Tensor) -> Tensor:
        first, _, second, _, last = self.body
        output: Tensor = last(torch.tanh(second(first(x).tanh())))
        return output


class Wrapper(nn.Module):
    """What the loss needs is done inside, and the dtype is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.body = net()

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.body[0].weight.dtype)  # type: ignore[arg-type,union-attr]
        return F.log_softmax(self.body(x.reshape(len(x), -1)).reshape(-1, 3), dim=1)


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = net()

    def forward(self, pixels: Tensor, scale: Tensor) -> dict[str, Tensor]:
        return {"logits": self.body(pixels * scale)}


def hooked(*hooks: Callable[..., Any]) -> nn.Module:
    model = net()
    for module in model.modules():
        for hook in hooks:
            module.register_forward_hook(hook)
        module.register_forward_pre_hook(lambda *_: None)
    return model


def reads_parameters(module: nn.Module, _: Any, output: Tensor) -> None:
    """As trackers of experiments do."""
    for parameter in module.parameters():
        torch.histc(parameter.data.flatten(), 8).tolist()
        parameter.detach().norm().item()
    output.detach().abs().max().item()


def regularised() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Identity(), *net(), nn.Dropout(0.5)).double().eval()


CHAINS: dict[str, Callable[[], nn.Module]] = {
    "sequential": net,
    "in a forward method": Functional,
    "wrapped": Wrapper,
    "flatten, identity, dropout in eval mode": regularised,
    "hooks that watch": lambda: hooked(lambda *_: None, reads_parameters),
}


def run(model: nn.Module, loss: Any = F.cross_entropy, **options: Any) -> TeleportResult:
    return teleport(model, loss, (INPUTS, TARGETS), lr=0.1, steps=3, **options)


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_gets_the_fast_engine_however_it_is_written(name: str) -> None:
    model, plain = CHAINS[name](), net()
    loss = F.nll_loss if name == "wrapped" else F.cross_entropy

    result = run(model, loss)
    expected = run(plain)

    assert result.engine == ("half_hvp", "the model is a chain of linear layers and activations")
    assert result.grad_norm_sq == pytest.approx(expected.grad_norm_sq, rel=1e-12)
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=0)


def test_inputs_by_name_and_outputs_in_a_dictionary() -> None:
    model, plain = Named(), net()
    given = {"pixels": INPUTS / 2, "scale": torch.tensor(2.0).double()}

    result = teleport(
        model, lambda o, y: F.cross_entropy(o["logits"], y), (given, TARGETS), lr=0.1, steps=3
    )

    assert result.engine.name == "half_hvp"
    assert result.grad_norm_sq == pytest.approx(run(plain).grad_norm_sq, rel=1e-12)


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_every_activation_of_a_stack_is_one_of_a_chain(kind: type[nn.Module]) -> None:
    model = nn.Sequential(*layers(kind)).double()
    assert is_chain(Problem(model, F.cross_entropy, INPUTS, TARGETS))


def test_hooks_are_the_users_own_afterwards() -> None:
    model = hooked(reads_parameters)
    before = [dict(m._forward_hooks) | dict(m._forward_pre_hooks) for m in model.modules()]
    run(model)
    after = [dict(m._forward_hooks) | dict(m._forward_pre_hooks) for m in model.modules()]
    assert before == after


class Written(Functional):
    """The same with something between the layers."""

    def between(self, h: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        first, _, second, _, last = self.body
        output: Tensor = last(self.between(second(first(x).tanh()).tanh()))
        return output


class Doubled(Written):
    def between(self, h: Tensor) -> Tensor:
        return 2 * h


class InPlace(Written):
    def forward(self, x: Tensor) -> Tensor:
        first, _, second, _, last = self.body
        output: Tensor = last(torch.relu_(second(first(x).tanh())))
        return output


class InPlaceLater(Written):
    def forward(self, x: Tensor) -> Tensor:
        first, _, second, _, last = self.body
        h = second(first(x).tanh()).relu()
        output: Tensor = last(h)
        h.mul_(1)
        return output


class Normed(Written):
    def between(self, h: Tensor) -> Tensor:
        return F.layer_norm(h, (9,))


class Shortcut(Written):
    def between(self, h: Tensor) -> Tensor:
        return self.body[2](self.body[0](INPUTS).tanh()).tanh() + 0 * h


class Quiet(Written):
    def forward(self, x: Tensor) -> Tensor:
        first, _, second, _, last = self.body
        with torch.no_grad():
            h = first(x)
        output: Tensor = last(second(h).tanh())
        return output


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return -gradients[0]


class Reversal(Written):
    def between(self, h: Tensor) -> Tensor:
        found: Tensor = Reversed.apply(h)
        return found


class Hushed(Written):
    def between(self, h: Tensor) -> Tensor:
        return h.detach()


class GradientHook(Written):
    def between(self, h: Tensor) -> Tensor:
        h.register_hook(lambda g: 3 * g)
        return h


class Asks(Written):
    """A gradient on the way."""

    def between(self, h: Tensor) -> Tensor:
        (g,) = torch.autograd.grad(h.square().sum(), self.body[0].weight, create_graph=True)
        return h + 0 * g.sum()


class Reads(Written):
    def between(self, h: Tensor) -> Tensor:
        return h if self.body[0].weight[0, 0].item() < 99 else 2 * h


def changed_by_a_hook() -> nn.Module:
    return hooked(lambda module, _, output: 1.01 * output)


def read_by_a_hook_that_changes() -> nn.Module:
    def scale(module: nn.Module, _: Any, output: Tensor) -> Tensor:
        next(module.parameters(), torch.zeros(1)).data.norm()
        return output

    return hooked(scale)


def convolution() -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 2, 3), nn.Flatten())


NO_CHAINS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a product between": (Doubled, "something else comes between body.2.weight and body.4"),
    "in place": (InPlace, "cut at its layers it raises RuntimeError"),
    "in place, later": (InPlaceLater, "an activation is written in place"),
    "a norm": (Normed, "something else comes between"),
    "a layer used twice": (Shortcut, "is used twice"),
    "a backward pass of its own": (Reversal, "something else comes between"),
    "cut": (Hushed, "something else comes between"),
    "without a gradient": (Quiet, "body.0.weight is used without a gradient"),
    "a hook on a gradient": (GradientHook, "has a hook on its gradient"),
    "a gradient on the way": (Asks, "cut at its layers it raises RuntimeError"),
    "a value of a parameter": (Reads, "a parameter is used in __getitem__"),
    "a hook that changes": (changed_by_a_hook, "something else comes between"),
    "a hook that returns something": (read_by_a_hook_that_changes, "a parameter is used in"),
    "convolution": (
        lambda: nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 2, 3), nn.Flatten()),
        "conv1d",
    ),
}


# By every engine but the published one.
REFUSED = (
    "a gradient on the way", "in place, later", "a hook that returns something",
)  # fmt: skip


@pytest.mark.parametrize("name", NO_CHAINS)
def test_what_is_none_is_said_and_steps_as_the_published_formulation_does(name: str) -> None:
    build, why = NO_CHAINS[name]
    model = build().double()
    with pytest.raises(NoChain, match=why):
        read_chain(Problem(model, F.cross_entropy, INPUTS, TARGETS))
    if name in REFUSED:
        with pytest.raises(ModelError):
            run(model)
        return

    textbook = copy.deepcopy(model)
    result, expected = run(model), run(textbook, engine="textbook")

    assert result.engine.name == "traced"
    assert why in result.engine.why
    assert expected.engine == ("textbook", "engine='textbook' was asked for")
    ends = (result.grad_norm_sq, expected.grad_norm_sq)
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def test_a_model_is_given_up_before_its_first_convolution() -> None:
    problem = Problem(convolution().double(), F.cross_entropy, INPUTS, TARGETS)
    with FlopCounterMode(display=False) as counter, pytest.raises(NoChain):
        read_chain(problem)
    assert counter.get_total_flops() == 0


def test_a_loss_that_reads_an_activation_is_no_chains() -> None:
    model, kept = net(), []
    model[1].register_forward_hook(lambda module, _, output: kept.append(output))

    def sparse(output: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(output, targets) + 0.1 * kept[-1].abs().mean()

    result = run(model, sparse)

    assert result.engine.name == "traced"
    assert "the loss reads an activation" in result.engine.why
    assert result.output_change < 1e-12


def test_weights_of_convolutions_in_channels_last_step_as_others_do() -> None:
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten()]
    one = nn.Sequential(*body, nn.Linear(16 * 4, 3)).double()
    other = copy.deepcopy(one).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    given = (x, TARGETS[:2])

    plain = teleport(one, F.cross_entropy, given, lr=0.1, steps=3)
    result = teleport(other, F.cross_entropy, given, lr=0.1, steps=3)

    assert result.null_dims == plain.null_dims
    assert result.grad_norm_sq == pytest.approx(plain.grad_norm_sq, rel=1e-12)
    assert other[2].weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[union-attr,call-arg]


def test_other_methods_and_spaces_say_why_too() -> None:
    assert run(net(), method="symmetry").engine == ("symmetry", "it has no other")
    assert "tau = 0.9" in run(net(), tau=0.9).engine.why
    assert "max_drift" in run(net(), max_drift=0.1).engine.why
