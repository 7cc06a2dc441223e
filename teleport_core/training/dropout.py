"""A model in training mode, only that nothing in it is dropped at random."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from teleport_core.forward.generators import Generators
from teleport_core.problem import Problem
from teleport_core.torch_private import DropoutNd


class _Switched(NamedTuple):
    """An attribute of a module, and what it was."""

    module: nn.Module
    name: str
    before: Any


@contextmanager
def without_dropout(problem: Problem) -> Iterator[dict[str, str]]:
    """Switch dropout off, and nothing else: batch norm stays in training mode.

    Layers of torch that drop are known by their kind. What else draws at random, in a forward pass
    of the batch, is a dropout of the model's own (stochastic depth, ``F.dropout`` in an attention):
    the module that draws, without its children, is put to eval mode.

    Yields:
        What was switched off: name of a module -> name of its class.
    """
    changed: list[_Switched] = []
    try:
        _switch_off(problem, changed)
        yield _names(problem, changed)
    finally:
        for module, name, value in reversed(changed):
            setattr(module, name, value)


def switch_dropout_off(problem: Problem) -> dict[str, str]:
    """The same for good; what was switched off."""
    changed: list[_Switched] = []
    _switch_off(problem, changed)
    return _names(problem, changed)


def _switch_off(problem: Problem, changed: list[_Switched]) -> None:
    def switch(module: nn.Module, name: str, value: Any) -> None:
        changed.append(_Switched(module, name, getattr(module, name)))
        setattr(module, name, value)

    for module in _modules(problem):
        if isinstance(module, DropoutNd) and module.training:
            switch(module, "training", False)
        # In eval mode cuDNN computes no gradient of a recurrent layer.
        elif isinstance(module, (nn.RNNBase, nn.MultiheadAttention)) and module.dropout:
            switch(module, "dropout", 0.0)
    for module in _drawing(problem):
        if module.training:
            switch(module, "training", False)


def _names(problem: Problem, changed: list[_Switched]) -> dict[str, str]:
    """Of each module its first name; one of the loss, or the model itself, is called by its class.

    One that would drop nothing is left out.
    """
    named = {id(m): name for one in problem.modules() for name, m in one.named_modules()}
    dropped = [each.module for each in changed if getattr(each.module, "p", 1) != 0]
    return {named[id(m)] or type(m).__name__: type(m).__name__ for m in dropped}


def _modules(problem: Problem) -> list[nn.Module]:
    return list({id(m): m for one in problem.modules() for m in one.modules()}.values())


def _drawing(problem: Problem) -> list[nn.Module]:
    """The modules that draw a random number themselves, not by a child."""
    generators = Generators(problem.modules(), {p.device for p in problem.parameters().values()})
    try:
        with torch.no_grad():
            problem.loss()
            # Hooks make a compiled model compile again: only where there is something to find.
            return _seen_drawing(problem, generators.now()) if generators.moved() else []
    except Exception:  # teleport itself says what is wrong with such a model
        return []
    finally:
        generators.put_back()


def _seen_drawing(problem: Problem, last: Generators) -> list[nn.Module]:
    running: list[nn.Module] = []
    found: dict[int, nn.Module] = {}

    def look() -> None:
        nonlocal last
        if running and last.moved():
            found[id(running[-1])] = running[-1]
            last = last.now()

    def enter(module: nn.Module, args: Any) -> None:
        del args
        look()
        running.append(module)

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        del module, args, output
        look()
        running.pop()

    with ExitStack() as hooks:
        for module in _modules(problem):
            hooks.callback(module.register_forward_pre_hook(enter).remove)
            hooks.callback(module.register_forward_hook(leave).remove)
        problem.loss()
    return list(found.values())
