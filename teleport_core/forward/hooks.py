"""Forward hooks that watch: what they read of parameters changes no output."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


class HookReadings:
    """What the running hook has read of parameters; of no account if it returns nothing.

    Args:
        count: called for each reading that counts.
    """

    def __init__(self, count: Callable[..., object]) -> None:
        self._count = count
        self._open: list[list[tuple[Any, ...]]] = []

    def note(self, *reading: Any) -> None:
        """A value that carries no gradient was taken from a parameter."""
        if self._open:
            self._open[-1].append(reading)
        else:
            self._count(*reading)

    def _told(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **keywords: Any) -> Any:
            self._open.append([])
            result: Any = self  # anything but None, in case it raises
            try:
                result = hook(*args, **keywords)
            finally:
                readings = self._open.pop()
                if result is not None:
                    for reading in readings:
                        self.note(*reading)
            return result

        return run

    @contextmanager
    def of(self, model: nn.Module) -> Iterator[None]:
        """Be told when the hooks of a model begin and end."""
        tables = [t for m in model.modules() for t in (m._forward_hooks, m._forward_pre_hooks) if t]
        before = [dict(table) for table in tables]
        try:
            for table in tables:
                table.update({key: self._told(hook) for key, hook in table.items()})
            yield
        finally:
            for table, hooks in zip(tables, before, strict=True):
                table.update({key: hook for key, hook in hooks.items() if key in table})
