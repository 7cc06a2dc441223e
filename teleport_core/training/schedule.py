"""When a training run teleports, and what becomes of its optimizer: Algorithm 1 for any loop."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from torch import nn
from torch.optim import Optimizer

from teleport_core.errors import OptionError
from teleport_core.interface import Teleporter
from teleport_core.option_checks import require_choice, require_int
from teleport_core.problem import LossFn
from teleport_core.registry import make
from teleport_core.teleport import teleport
from teleport_core.training.batches import Unpack, pair
from teleport_core.training.call import Action, Call, Teleports

# What teleport itself takes, as verify=, beside the options of the method.
_OF_THE_CALL = {
    name for name, one in signature(teleport).parameters.items() if one.kind is one.KEYWORD_ONLY
}

STATES = ("keep", "reset", "transport", "reuse")
GUARDS = ("lookahead",)


@dataclass(frozen=True, init=False)
class Schedule:
    """Teleports before some epochs or steps of a training loop (Algorithm 1, arXiv 2502.11362).

    Attributes:
        method: one of ``available()``.
        epochs: the epochs, counted from 0, before which ``before_epoch`` teleports: anything that
            answers ``epoch in epochs``. Default: the paper's first five, and none where there is
            ``at_steps``.
        at_steps: the optimizer steps, counted from 0, before which ``before_step`` does.
        batches: so many batches, from the loader's first on, are teleported on, one after the
            other; a shorter loader gives what it has. Default 32, the paper's b.
        optimizer_state: "keep"; "reset" to that of a new optimizer; "transport", where the method
            has an ``action``, see ``transport``; or "reuse", of optimizers with betas, by the
            cosine of the move and the gradient of the step before, see ``training.reuse``.
        guard: None; or "lookahead": one optimizer step is taken from both points on the next batch,
            and the teleports of the call stay only if the loss on it is not worse for them.
        options: the method's options, for example ``steps=8, lr=0.01``, and those of ``teleport``,
            for example ``verify="outputs"``.

    Raises:
        OptionError: an unknown or wrong value of these.
    """

    method: str
    epochs: Container[int]
    at_steps: Container[int]
    batches: int
    optimizer_state: str
    guard: str | None
    options: Mapping[str, Any]
    _call: Call = field(repr=False, compare=False)

    def __init__(
        self,
        method: str = "nullspace",
        *,
        epochs: Container[int] | None = None,
        at_steps: Container[int] | None = None,
        batches: int = 32,
        optimizer_state: str = "keep",
        guard: str | None = None,
        **options: Any,
    ) -> None:
        if epochs is None:
            epochs = range(5) if at_steps is None else ()
        number = require_int("batches", batches, at_least=1)
        rule = require_choice("optimizer_state", optimizer_state, STATES)
        if guard is not None:
            require_choice("guard, where it is not None,", guard, GUARDS)
        teleporter = make(method, **{k: v for k, v in options.items() if k not in _OF_THE_CALL})
        action = _action(teleporter) if rule == "transport" else None
        fields = {
            "method": method,
            "epochs": _container("epochs", epochs),
            "at_steps": _container("at_steps", () if at_steps is None else at_steps),
            "batches": number,
            "optimizer_state": rule,
            "guard": guard,
            "options": options,
            "_call": Call(
                method,
                options,
                number,
                rule,
                guard is not None,
                action,
                teleporter.takes_task_losses,
            ),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def before_epoch(
        self,
        epoch: int,
        model: nn.Module,
        loss_fn: LossFn,
        loader: Any,
        optimizer: Optimizer,
        *,
        unpack: Unpack = pair,
    ) -> Teleports:
        """Teleport if this epoch is on the schedule.

        Nothing but values of parameters, and the optimizer's state unless it is kept, is other
        than before: the loader and all generators of random numbers are as if nobody had drawn from
        them. Dropout is off for the call; batch norm stays in the mode it is in.

        Args:
            epoch: from 0 on.
            model: in training mode, as the epoch will train it.
            loss_fn: ``loss_fn(model_output, targets)`` returns a scalar tensor, or with ``cost``
                one value per task.
            loader: a DataLoader, a list of batches, whatever can be iterated over again.
            optimizer: what trains the model.
            unpack: makes ``(inputs, targets)`` of what the loader yields. Default: a pair is that
                already; a mapping is inputs by keyword, with None as targets.

        Returns:
            A result for each batch, none where the epoch is not on the schedule.

        Raises:
            TeleportError: nothing has moved then, nor after an interrupt.
        """
        if require_int("epoch", epoch, at_least=0) not in self.epochs:
            return Teleports()
        return self._call.carry_out(model, loss_fn, loader, optimizer, unpack)

    def before_step(
        self,
        step: int,
        model: nn.Module,
        loss_fn: LossFn,
        loader: Any,
        optimizer: Optimizer,
        *,
        unpack: Unpack = pair,
    ) -> Teleports:
        """Teleport if this step is in ``at_steps``; else as ``before_epoch``.

        The loop may be in the middle of the same loader.
        """
        if require_int("step", step, at_least=0) not in self.at_steps:
            return Teleports()
        return self._call.carry_out(model, loss_fn, loader, optimizer, unpack)


def _container(name: str, value: Any) -> Container[int]:
    if not isinstance(value, Container) or isinstance(value, (str, bytes)):
        raise OptionError(
            f"expected {name} to hold whole numbers, such as range(5) or {{0, 10}}; got {value!r}"
        )
    return value


def _action(teleporter: Teleporter) -> Action:
    """How a method says what its move did: ``action(result)`` -> parameter name -> scale s."""
    action: Action | None = getattr(teleporter, "action", None)
    if action is None:
        raise OptionError(
            f"expected a method whose move is a linear action W -> s * W; {teleporter.name} has "
            "none, so that its optimizer state cannot be transported: use optimizer_state='keep' "
            "or 'reset'"
        )
    return action
