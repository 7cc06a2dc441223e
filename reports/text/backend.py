"""Figures are drawn into memory: which window system a user prefers does not matter."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLE = "MPLBACKEND"


@contextmanager
def unread_backend() -> Iterator[None]:
    """Import matplotlib inside: it refuses a backend that it does not know, as a notebook sets."""
    kept = os.environ.pop(_VARIABLE, None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ[_VARIABLE] = kept
