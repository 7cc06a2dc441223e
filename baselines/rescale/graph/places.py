"""Which module is running, for whoever has to name one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)


class Places:
    """The modules of a model that are running, outermost first."""

    def __init__(self, model: nn.Module) -> None:
        self._names = {id(module): name for name, module in model.named_modules()}
        self._running: list[nn.Module] = []

    @property
    def here(self) -> str:
        """The innermost module: its name and type; empty outside of the model."""
        if not self._running:
            return ""
        module = self._running[-1]
        name = self._names[id(module)]
        return f"{name} ({type(module).__name__})" if name else type(module).__name__

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Know it as long as this lasts; the model's own hooks stay as they are."""
        handles = [
            register_module_forward_pre_hook(self._begin),
            register_module_forward_hook(self._end, always_call=True),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        del inputs
        if id(module) in self._names:
            self._running.append(module)

    def _end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        del inputs, output
        if self._running and self._running[-1] is module:
            self._running.pop()
