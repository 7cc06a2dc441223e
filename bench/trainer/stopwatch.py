"""A clock that can stand still: what is done for a trial counts, what watches it does not."""

from collections.abc import Iterator
from contextlib import contextmanager

from teleport_core.wall_clock import wall_clock


class Stopwatch:
    """Seconds that went by while it ran."""

    def __init__(self, device: str, seconds: float = 0.0) -> None:
        self._now = wall_clock(device)
        self._before = seconds
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Up to now."""
        running = 0.0 if self._since is None else self._now() - self._since
        return self._before + running

    def start(self) -> None:
        """Go on."""
        self._since = self._now()

    def stop(self) -> None:
        """Stand still."""
        self._before, self._since = self.seconds, None

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Stand still for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()
