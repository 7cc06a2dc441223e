"""One of several workers: a thread of its own talks with it, and its device is tied to both."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Protocol, Self, TypeVar

from bench.parallel.devices import Device
from bench.process.worker import Worker
from bench.runner.progress import QuietProgress
from bench.runner.runner import Runner

Found = TypeVar("Found")


class LaneWorker(Worker, Protocol):
    """A worker that another thread than the one that talks with it can end."""

    def interrupt(self) -> None:
        """Kill it; who talks with it hears that it is gone."""


Launch = Callable[..., LaneWorker]


class StoppedLaneError(Exception):
    """No worker is started any more."""


class Lane:
    """A worker on a device, and what is to be said of every cell measured there."""

    def __init__(self, device: Device, launch: Launch, silence: float) -> None:
        """``launch(variables=...)`` starts a worker."""
        self.device = device
        self.flags: list[str] = []
        self._start = partial(launch, variables=device.variables)
        self._stopped = False
        self._worker: LaneWorker | None = None
        self._lock = threading.Lock()
        self.runner = Runner(QuietProgress(), self._launch, silence)
        # The kernel ends a worker with the thread that started it, so that has to stay. What a
        # thread is tied to goes over to the processes that it starts.
        self._thread = ThreadPoolExecutor(1, device.name, self._tie)

    def ask(self, function: Callable[["Lane"], Found]) -> Future[Found]:
        """Have its thread do something."""
        return self._thread.submit(function, self)

    def stop(self) -> None:
        """End its worker at once, for good; any thread may do this."""
        with self._lock:
            self._stopped = True
            if self._worker is not None:
                self._worker.interrupt()

    def close(self) -> None:
        """End worker and thread."""
        self._thread.submit(self.runner.abort if self._stopped else self.runner.close)
        self._thread.shutdown()

    def _tie(self) -> None:
        if self.device.cores:
            os.sched_setaffinity(0, self.device.cores)

    def _launch(self) -> Worker:
        with self._lock:
            if self._stopped:
                raise StoppedLaneError
            self._worker = self._start()
            return self._worker


class Lanes:
    """All of them; use it as a context manager: an error or an interrupt ends every worker."""

    def __init__(self, devices: Sequence[Device], launch: Launch, silence: float) -> None:
        self.every = [Lane(device, launch, silence) for device in devices]

    def each(
        self, function: Callable[[Lane], Found], stopping: Callable[[], None] | None = None
    ) -> list[Found]:
        """What all of them answer, which they find at the same time.

        Raises:
            BaseException: what the first of them raised, or an interrupt; ``stopping`` was called
                then, every worker is ended, and no function still runs.
        """
        asked = [lane.ask(function) for lane in self.every]
        try:
            done, _ = wait(asked, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            return [future.result() for future in asked]
        except BaseException:
            if stopping is not None:
                stopping()
            self.stop()
            wait(asked)
            raise

    def stop(self) -> None:
        """End every worker at once, for good."""
        for lane in self.every:
            lane.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.stop()
        for lane in self.every:
            lane.close()
