"""Where torch lacks a derivative: which operation it is, and which module calls it."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from teleport_core.errors import ModelError
from teleport_core.problem import Problem
from teleport_core.torch_private import TorchDispatchMode, tree_leaves

# What torch says, with the operation in it; of one that has a derivative for other layouts only;
# and of one without, met in the backward pass.
_UNKNOWN = re.compile(r"derivative for '?(?:aten::)?_*(\w+?)(_backward\w*)?[:' ]")
_OTHER_LAYOUT = re.compile(r"Could not run 'aten::_*(\w+?)(?:_backward\w*)' with arguments from")
_NOWHERE = re.compile(r"The function '_*(\w+)' is not differentiable")
_OVERWRITTEN = "has been modified by an inplace operation"
_IN_LOSS = "loss_fn"


@contextmanager
def derivatives_needed(problem: Problem) -> Iterator[None]:
    """Name the operation and its module where torch has no derivative of it, or none any more.

    Raises:
        ModelError: instead of torch's own error.
    """
    try:
        yield
    except RuntimeError as error:
        if _OVERWRITTEN in str(error):
            raise ModelError(
                "expected what the backward pass needs to be left alone; the forward pass "
                f"overwrites it after its use: use operations that are not in place ({error})"
            ) from error
        found = _missing(problem, str(error))
        if found is None:
            raise
        raise ModelError(_refusal(*found)) from error


def require_differentiable(problem: Problem, gradients: Iterable[Tensor]) -> None:
    """Refuse gradients that torch would differentiate again as if a part of them were constant.

    Raises:
        ModelError: a function in their graph is marked ``once_differentiable``.
    """
    if not any(node.name().endswith("Error") for node in graph(gradients)):
        return
    outputs = [x for x in tree_leaves(problem.output()) if isinstance(x, Tensor)]
    functions = [getattr(node, "_forward_cls", None) for node in graph(outputs)]
    marked = [f.__name__ for f in functions if f and hasattr(f.backward, "__wrapped__")]
    name = marked[-1] if marked else "one"
    raise ModelError(
        f"expected operations with a second derivative in torch; {name}, a torch.autograd.Function "
        "marked once_differentiable, has none: write it with operations that have one"
    )


def require_numbers(derivatives: Iterable[tuple[str, Tensor]], cure: str) -> None:
    """Refuse second derivatives that are NaN where the gradient is finite, by weight.

    Raises:
        ModelError: one is.
    """
    named = [(name, torch.isnan(value).any()) for name, value in derivatives]
    flags = torch.stack([flag for _, flag in named]).tolist() if named else []
    found = [name for (name, _), flag in zip(named, flags, strict=True) if flag]
    if found:
        raise ModelError(
            f"expected second derivatives that are numbers; torch gives NaN for {found[0]}, as of "
            f"a root at zero or in logcumsumexp: {cure}"
        )


def graph(ends: Iterable[Tensor]) -> Iterator[Any]:
    """Every node behind some tensors, the last operations first."""
    found: set[Any] = set()
    left: list[Any] = [end.grad_fn for end in ends]
    while left:
        node = left.pop()
        if node is not None and node not in found:
            found.add(node)
            yield node
            left += [following for following, _ in node.next_functions]


def _missing(problem: Problem, text: str) -> tuple[str, str, str] | None:
    """(operation, where it is called, order of the derivative) that torch complains about."""
    found = _UNKNOWN.search(text)
    if found is not None:
        operation, order = found[1], "second" if found[2] else "first"
    elif found := _OTHER_LAYOUT.search(text):
        operation, order = found[1], "first"
    elif found := _NOWHERE.search(text):
        operation, order = found[1], "second"
    else:
        return None
    return operation, _caller(problem, operation), order


def _refusal(operation: str, place: str, order: str) -> str:
    cures = {
        "first": "write it with operations that have one, or .detach() what goes into it",
        "second": "write it with operations that have one, or tell what it is made of with "
        "teleport_core.layers.register",
    }
    cure = cures[order]
    if place == _IN_LOSS and order == "second":
        cure = "use engine='auto' at tau=1, which differentiates the loss once"
    return (
        f"expected operations with a {order} derivative in torch; {operation} in {place} has none: "
        f"{cure}"
    )


def _caller(problem: Problem, operation: str) -> str:
    """The innermost module that calls an operation, or the loss."""
    calls = _Calls(operation)
    hooks = torch.nn.modules.module
    before = hooks.register_module_forward_pre_hook(lambda m, _: calls.running.append(m))
    after = hooks.register_module_forward_hook(lambda *_: calls.leave(), always_call=True)
    try:
        with calls:
            problem.loss()
    finally:
        before.remove()
        after.remove()
    names = {module: name for name, module in problem.model.named_modules()}
    within = [module for module in calls.within if module in names]
    if within:
        return f"{names[within[-1]] or 'the model'} ({type(within[-1]).__name__})"
    return _IN_LOSS if calls.happened else "the model"


class _Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Listens for the first call of an operation, and knows ``within`` which modules it is."""

    def __init__(self, operation: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.happened = False
        self.within: list[nn.Module] = []
        self.running: list[nn.Module] = []
        self._operation = operation

    def leave(self) -> None:
        self.running.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._operation in str(func) and not self.happened:
            self.happened, self.within = True, [*self.running]
        return func(*args, **dict(kwargs or {}))
