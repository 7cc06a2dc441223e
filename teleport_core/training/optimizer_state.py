"""What becomes of an optimizer's state where its parameters were moved: reset, or transported.

A move W -> s * W that leaves the loss where it was takes a gradient g to g / s: whatever an
optimizer has summed up of gradients is divided by s, of their squares by s^2 (the contragredient of
the action, and its square). It then goes on as if it had been at the new point all along.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from teleport_core.errors import ModelError, OptionError, ProblemError

State = dict[Tensor, Any]
"""Parameter -> what the optimizer keeps of it, as ``Optimizer.state``."""


def _first(value: Tensor, scale: Tensor) -> Tensor:
    return value / scale


def _second(value: Tensor, scale: Tensor) -> Tensor:
    return value / scale.square()


def _sign(value: Tensor, scale: Tensor) -> Tensor:
    # g over the root of the mean of g^2: of the scale only the sign is left.
    return value * scale.sign()


def _as_is(value: Any, scale: Tensor) -> Any:
    del scale
    return value


_ADAM: dict[str, Callable[[Any, Tensor], Any]] = {
    "step": _as_is,
    "exp_avg": _first,
    "exp_avg_sq": _second,
    "max_exp_avg_sq": _second,
}
_RULES: dict[type[Optimizer], dict[str, Callable[[Any, Tensor], Any]]] = {
    SGD: {"momentum_buffer": _first},
    Adagrad: {"step": _as_is, "sum": _second},
    RMSprop: {
        "step": _as_is,
        "square_avg": _second,
        "grad_avg": _first,
        "momentum_buffer": _sign,
    },
    Adam: _ADAM,
    AdamW: _ADAM,
}


def transport(optimizer: Optimizer, scales: Mapping[Tensor | str, Tensor]) -> None:
    """Take the optimizer's state along a move W -> s * W that left the loss where it was.

    Exact where the state is made of gradients alone: without weight decay that is added to the
    gradient, and, for what is divided by a root, up to ``eps``. No tensor is written: those of
    the new state are new.

    Args:
        optimizer: SGD, Adagrad, RMSprop, Adam or AdamW of torch.
        scales: parameter, or its name where the optimizer was made from ``named_parameters()``,
            -> s, of a shape that broadcasts to the parameter's, finite and nowhere zero. What is
            not named did not move.

    Raises:
        ProblemError: another optimizer, a parameter it does not hold, a scale that is none.
            Nothing has changed then.
    """
    rules = rules_of(optimizer)
    found = [_checked(optimizer, key, scale) for key, scale in scales.items()]
    moved = {p: _transported(optimizer.state.get(p, {}), s, rules) for p, s in found}
    optimizer.state.update({p: state for p, state in moved.items() if state})


def rules_of(optimizer: Optimizer) -> dict[str, Callable[[Any, Tensor], Any]]:
    """How each entry of an optimizer's state is transported.

    Raises:
        ProblemError: there is no rule for this optimizer, or for an entry.
    """
    kinds = [kind for kind in _RULES if isinstance(optimizer, kind)]
    if not kinds:
        known = ", ".join(kind.__name__ for kind in _RULES)
        raise ProblemError(
            f"expected an optimizer whose state can be transported, one of {known}; got "
            f"{type(optimizer).__name__}: use optimizer_state='keep' or 'reset'"
        )
    rules = _RULES[kinds[-1]]
    for state in optimizer.state.values():
        for name in state.keys() - rules.keys():
            raise ProblemError(
                f"expected a state of {kinds[-1].__name__} to hold {', '.join(rules)}; "
                f"{type(optimizer).__name__} has {name!r} too: use optimizer_state='keep' or "
                "'reset'"
            )
    return rules


def fresh(optimizer: Optimizer) -> State:
    """The state of a new optimizer with the same groups."""
    if isinstance(optimizer, Adagrad):  # the only one whose state is there before its first step
        start = optimizer.defaults["initial_accumulator_value"]
        groups = [{**group} for group in optimizer.param_groups]
        return dict(Adagrad(groups, initial_accumulator_value=start).state)
    return {}


def put(optimizer: Optimizer, state: State) -> None:
    """Have an optimizer go on from this state, and no other."""
    optimizer.state.clear()
    optimizer.state.update(state)


def parameters_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """Every parameter an optimizer moves."""
    for group in optimizer.param_groups:
        yield from group["params"]


def require_own(optimizer: Any, model: Any) -> None:
    """Refuse an optimizer that does not train this model.

    Raises:
        ModelError: the model is none.
        OptionError: it is no optimizer.
        ProblemError: it holds none of the model's parameters.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"expected model to be a torch.nn.Module; got {type(model).__name__}")
    if not isinstance(optimizer, Optimizer):
        raise OptionError(
            f"expected optimizer to be a torch.optim.Optimizer; got {type(optimizer).__name__}"
        )
    ours = {id(p) for p in model.parameters()}
    if not any(id(p) in ours for p in parameters_of(optimizer)):
        raise ProblemError(
            f"expected an optimizer of this model; {type(optimizer).__name__} holds none of its "
            "parameters: make it from model.parameters(), after the model was moved or wrapped"
        )


def _transported(
    state: Mapping[str, Any], scale: Tensor, rules: Mapping[str, Callable[[Any, Tensor], Any]]
) -> dict[str, Any]:
    return {
        name: None if value is None else rules[name](value, scale) for name, value in state.items()
    }


def _checked(optimizer: Optimizer, key: Tensor | str, scale: Tensor) -> tuple[Tensor, Tensor]:
    """The parameter that is meant, and its scale as a tensor beside it."""
    parameter = _named(optimizer, key) if isinstance(key, str) else key
    name = f"the scale of {key!r}" if isinstance(key, str) else "a scale"
    if not any(parameter is held for held in parameters_of(optimizer)):
        raise ProblemError("expected scales of parameters that the optimizer holds; got another")
    found = torch.as_tensor(scale).detach().to(parameter)
    try:
        fits = (found * parameter.detach()).shape == parameter.shape
    except RuntimeError:
        fits = False
    if not fits:
        raise ProblemError(
            f"expected {name} to broadcast to {list(parameter.shape)}; got {list(found.shape)}"
        )
    if not bool((found.isfinite() & (found != 0)).all()):
        raise ProblemError(f"expected {name} to be finite and nowhere zero")
    return parameter, found


def _named(optimizer: Optimizer, name: str) -> Tensor:
    for group in optimizer.param_groups:
        for known, parameter in zip(group.get("param_names", ()), group["params"], strict=False):
            if known == name:
                found: Tensor = parameter
                return found
    raise ProblemError(
        f"expected scales by parameter, or by names that the optimizer knows; got {name!r}: make "
        "the optimizer from model.named_parameters(), or use the parameters themselves as keys"
    )
