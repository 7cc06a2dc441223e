"""Transport: an optimizer at a rescaled point is what it would be, had it been there all along."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_problems import batch, mlp
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop

from teleport_core import ProblemError
from teleport_core.training import transport
from teleport_core.training.optimizer_state import fresh, require_own

# Where a root is divided by, eps must not show; 1 / s^2 of a power of two would hide rounding.
OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "momentum": lambda p: SGD(p, 0.05, momentum=0.9),
    "nesterov": lambda p: SGD(p, 0.05, momentum=0.9, nesterov=True),
    "plain SGD": lambda p: SGD(p, 0.05),
    "adagrad": lambda p: Adagrad(p, 0.05, eps=1e-300),
    "rmsprop": lambda p: RMSprop(p, 1e-3, eps=1e-300),
    "rmsprop, centred, momentum": lambda p: RMSprop(
        p, 1e-4, eps=1e-300, momentum=0.9, centered=True
    ),
    "adam": lambda p: Adam(p, 1e-3, eps=1e-300),
    "amsgrad": lambda p: Adam(p, 1e-3, eps=1e-300, amsgrad=True),
    "adamw": lambda p: AdamW(p, 1e-3, eps=1e-300, weight_decay=0.1),
}
WIDTHS = [6, 10, 8, 3]


def scales_of(model: nn.Sequential, seed: int = 5) -> dict[Tensor, Tensor]:
    """Hidden unit j of each layer becomes a_j times itself, and the layer above undoes it."""
    generator = torch.Generator().manual_seed(seed)
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    below, scales = torch.ones(1, dtype=torch.float64), {}
    for layer in layers:
        above = torch.exp(torch.randn(len(layer.weight), generator=generator).double())
        above = above if layer is not layers[-1] else torch.ones_like(above)
        scales[layer.weight], scales[layer.bias] = above[:, None] / below, above
        below = above
    return scales


@torch.no_grad()
def rescale(scales: dict[Tensor, Tensor]) -> None:
    for parameter, scale in scales.items():
        parameter.mul_(scale)


def gradients(model: nn.Module, seed: int) -> None:
    model.zero_grad()
    inputs, targets = batch(12, WIDTHS[0], WIDTHS[-1], seed=seed)
    F.cross_entropy(model(inputs), targets).backward()


def state_of(optimizer: Optimizer, model: nn.Module) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value
        for name, p in model.named_parameters()
        for key, value in optimizer.state.get(p, {}).items()
        if isinstance(value, Tensor)
    }


def agree(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert (value - theirs[name]).abs().max() <= 1e-12 * value.abs().max(), name


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_the_state_is_that_of_gradients_at_rescaled_points(name: str) -> None:
    model = mlp(WIDTHS)
    optimizer = OPTIMIZERS[name](model.parameters())
    other = copy.deepcopy(model)
    rebuilt = OPTIMIZERS[name](other.parameters())
    scales, theirs = scales_of(model), scales_of(other)
    for step in range(5):
        with torch.no_grad():
            for p, q in zip(model.parameters(), other.parameters(), strict=True):
                q.copy_(p)
        rescale(theirs)
        for net, one in ((model, optimizer), (other, rebuilt)):
            gradients(net, seed=step)
            one.step()

    rescale(scales)
    transport(optimizer, scales)

    assert len(state_of(optimizer, model)) >= (0 if name == "plain SGD" else 6)
    agree(state_of(optimizer, model), state_of(rebuilt, other))


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_there_and_back_training_goes_on_as_it_would_have(name: str) -> None:
    ends = []
    for away in (False, True):
        model = mlp(WIDTHS)
        optimizer = OPTIMIZERS[name](model.parameters())
        for step in range(8):
            if step == 4 and away:
                there = scales_of(model)
                back = {p: 1 / s for p, s in there.items()}
                for scales in (there, back):
                    rescale(scales)
                    transport(optimizer, scales)
            gradients(model, seed=step)
            optimizer.step()
        ends.append({k: v.detach() for k, v in model.state_dict().items()})

    for key, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][key], rtol=1e-12, atol=1e-12, msg=key)


def trained(kind: Callable[..., Optimizer], **options: Any) -> tuple[nn.Sequential, Optimizer]:
    model = mlp(WIDTHS)
    optimizer = kind(model.parameters(), lr=1e-3, **options)
    gradients(model, seed=0)
    optimizer.step()
    return model, optimizer


def test_what_stays_behind_is_seen() -> None:
    """Without transport, the state is not that of the rescaled points."""
    model, optimizer = trained(Adam)
    before = {k: v.clone() for k, v in state_of(optimizer, model).items()}
    transport(optimizer, scales_of(model))

    with pytest.raises(AssertionError):
        agree(state_of(optimizer, model), before)


def test_names_serve_where_the_optimizer_knows_them() -> None:
    model = mlp(WIDTHS)
    optimizer = SGD(model.named_parameters(), lr=1e-3, momentum=0.9)
    gradients(model, seed=0)
    optimizer.step()
    held = optimizer.state[model[0].weight]["momentum_buffer"]
    before = held.clone()

    transport(optimizer, {"0.weight": torch.tensor(4.0)})

    assert torch.equal(optimizer.state[model[0].weight]["momentum_buffer"], before / 4)
    assert torch.equal(held, before)  # no tensor is written


def test_negative_scales_are_actions_of_linear_layers() -> None:
    model, optimizer = trained(RMSprop, momentum=0.9)
    state = optimizer.state[model[0].weight]
    before = {key: value.clone() for key, value in state.items()}

    transport(optimizer, {model[0].weight: torch.tensor(-2.0)})

    after = optimizer.state[model[0].weight]
    assert torch.equal(after["square_avg"], before["square_avg"] / 4)
    assert torch.equal(after["momentum_buffer"], -before["momentum_buffer"])


@pytest.mark.parametrize(
    ("scale", "says"),
    [
        (0.0, "finite and nowhere zero"),
        (float("nan"), "finite and nowhere zero"),
        (float("inf"), "finite and nowhere zero"),
        (torch.ones(7), r"broadcast to \[10, 6\]; got \[7\]"),
        (torch.ones(2, 10, 6), r"got \[2, 10, 6\]"),
    ],
)
def test_a_scale_that_is_none_changes_nothing(scale: Any, says: str) -> None:
    model, optimizer = trained(Adam)
    before = copy.deepcopy(optimizer.state_dict())

    with pytest.raises(ProblemError, match=says):
        transport(optimizer, {model[0].bias: torch.tensor(2.0), model[0].weight: scale})

    assert repr(optimizer.state_dict()) == repr(before)


def test_other_optimizers_and_entries_are_refused() -> None:
    model, optimizer = trained(Adadelta)
    with pytest.raises(
        ProblemError, match="one of SGD, Adagrad, RMSprop, Adam, AdamW; got Adadelta"
    ):
        transport(optimizer, {model[0].weight: torch.tensor(2.0)})

    model, optimizer = trained(Adam)
    optimizer.state[model[0].weight]["slow"] = torch.zeros(10, 6)
    with pytest.raises(ProblemError, match="Adam has 'slow' too"):
        transport(optimizer, {})

    model, optimizer = trained(Adam)
    with pytest.raises(ProblemError, match=r"'0\.weight': make the optimizer from"):
        transport(optimizer, {"0.weight": torch.tensor(2.0)})
    with pytest.raises(ProblemError, match="that the optimizer holds"):
        transport(optimizer, {nn.Parameter(torch.ones(1)): torch.tensor(2.0)})


@pytest.mark.parametrize("kind", [SGD, Adam, Adagrad])
def test_a_fresh_state_is_that_of_a_new_optimizer(kind: Callable[..., Optimizer]) -> None:
    options = {"initial_accumulator_value": 0.5} if kind is Adagrad else {}
    model, optimizer = trained(kind, **options)

    new = kind(model.parameters(), lr=1e-3, **options).state

    found = fresh(optimizer)
    assert repr(found) == repr(dict(new))
    assert bool(found) == (kind is Adagrad)


def test_an_optimizer_of_another_model_is_refused() -> None:
    model, optimizer = trained(SGD)
    require_own(optimizer, model)
    with pytest.raises(ProblemError, match="SGD holds none of its parameters"):
        require_own(optimizer, mlp(WIDTHS))
