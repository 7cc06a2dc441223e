"""A run that is told to stop, by a key, a signal or a terminal that closes, ends in order."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bench.errors import StoppedError

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class _Told(KeyboardInterrupt):
    """A signal asked the run to end; like Ctrl-C it is no Exception that code could swallow."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def stoppable(hint: Callable[[], str] = str) -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into what Ctrl-C raises; what is ignored (nohup) stays ignored.

    ``hint`` gives what is said after "interrupted by SIGINT".

    Raises:
        StoppedError: once everything within has ended, in place of the interrupt: the library of
            the command line would swallow that without a word.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _tell)
    try:
        yield
    except KeyboardInterrupt as end:
        told = end.number if isinstance(end, _Told) else int(signal.SIGINT)
        raise StoppedError(signal.Signals(told).name, told, hint()) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(number: int, _frame: FrameType | None) -> None:
    # A terminal that closes sends more than one: the first ends the run, the others must not
    # disturb the end.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise _Told(number)
