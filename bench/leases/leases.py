"""A file for every unit at work: it names the runner, and its time is a sign of life.

No lock is trusted, since the directory may lie on a disk that several machines share: a lease is
made by creating its file, which one of several can do, and a dead one's is taken by renaming it,
likewise. Clocks of two machines are never compared: a runner is taken for dead when its sign of
life has not changed for ``expiry`` seconds of the observer's own clock, or, on the same machine,
when its process is gone.

One that was merely stopped may wake up and find its lease taken. It sees that before it writes its
next record; what both had written by then is told apart where journals are read.
"""

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from bench.files import open_plain, write_all
from bench.leases.owner import Owner

FOLDER = "leases"
BEAT_SECONDS = 10.0
# Attributes of files on a network disk may be as old as a minute.
EXPIRY_SECONDS = 90.0

_SUFFIX = ".lease"
_MOST_BYTES = 4096
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class _Seen(NamedTuple):
    """A lease file at one moment."""

    owner: Owner | None
    inode: int
    sign: int  # when its owner last touched it, by the clock of the disk


class Leases:
    """Those of one run directory, as one runner sees them; any of its threads may ask."""

    def __init__(
        self,
        directory: Path,
        owner: Owner,
        expiry: float = EXPIRY_SECONDS,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """Make the folder for them; ``now`` is a clock that only has to go forward."""
        self._folder = directory / FOLDER
        self._folder.mkdir(exist_ok=True)
        self._owner, self._expiry, self._now = owner, expiry, now
        self._held: set[str] = set()
        self._seen: dict[Path, tuple[_Seen, float]] = {}
        self._lock = threading.RLock()

    def take(self, name: str) -> bool:
        """Hold a lease that nobody holds, or whose holder is dead; False where it is held."""
        path = self._folder / f"{name}{_SUFFIX}"
        with self._lock:
            if not self._create(path):
                found = self._observe(path)
                if found is not None and not self._is_dead(path):
                    return False
                if found is not None:
                    self._remove(path, found)
                if not self._create(path):
                    return False
            self._held.add(name)
            return True

    def exists(self, name: str) -> bool:
        """Whether anybody holds a lease, dead or alive."""
        return _read(self._folder / f"{name}{_SUFFIX}") is not None

    def holds(self, name: str) -> bool:
        """Whether a lease that was taken is still this runner's."""
        found = _read(self._folder / f"{name}{_SUFFIX}")
        return name in self._held and found is not None and found.owner == self._owner

    def give_back(self, name: str) -> None:
        """End a lease, if it is still this runner's."""
        with self._lock:
            if self.holds(name):
                (self._folder / f"{name}{_SUFFIX}").unlink(missing_ok=True)
            self._held.discard(name)

    def beat(self) -> None:
        """Give a sign of life for every lease held, and look for those of the others."""
        with self._lock:
            for name in self._held:
                if self.holds(name):
                    # A disk that takes none now may take the next one.
                    with contextlib.suppress(OSError):
                        os.utime(self._folder / f"{name}{_SUFFIX}")
            for path in self._folder.glob(f"*{_SUFFIX}"):
                self._observe(path)

    def close(self) -> None:
        """Give back what is held; the folder goes with the last lease."""
        for name in list(self._held):
            self.give_back(name)
        # What a runner that was killed had moved there; who needs it has done so in an instant.
        for aside in self._folder.glob(f".*{_SUFFIX}.*"):
            aside.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _create(self, path: Path) -> bool:
        try:
            file = os.open(path, _NEW, 0o644)
        except FileExistsError:
            return False
        except FileNotFoundError:  # another runner removed the folder with its last lease
            self._folder.mkdir(exist_ok=True)
            return self._create(path)
        try:
            write_all(file, json.dumps(self._owner.facts()).encode())
        finally:
            os.close(file)
        return True

    def _observe(self, path: Path) -> _Seen | None:
        """The lease as it is now; since when it has been so is noted. None: there is none."""
        found, before = _read(path), self._seen.get(path)
        if found is None:
            self._seen.pop(path, None)
        elif before is None or before[0] != found:
            self._seen[path] = (found, self._now())
        return found

    def _is_dead(self, path: Path) -> bool:
        """Whether the holder of a lease that was observed has ended, or gave no sign for long."""
        found, since = self._seen[path]
        if found.owner is not None and found.owner.has_ended():
            return True
        return found.owner != self._owner and self._now() - since >= self._expiry

    def _remove(self, path: Path, found: _Seen) -> None:
        """Take a dead runner's lease away; one that another has by now stays."""
        aside = path.with_name(f".{path.name}.{self._owner.name}")
        try:
            path.rename(aside)
        except FileNotFoundError:
            return
        if _read(aside) != found:  # one that was made, or gave a sign, in between: back with it
            with contextlib.suppress(OSError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)


def others(directory: Path) -> list[str]:
    """The owners of leases there that are not known to have ended; a stale one is among them."""
    found = [_read(path) for path in (directory / FOLDER).glob(f"*{_SUFFIX}")]
    owners = [seen.owner for seen in found if seen is not None and seen.owner is not None]
    return sorted({owner.name for owner in owners if not owner.has_ended()})


def _read(path: Path) -> _Seen | None:
    """A lease; the file is opened, since the attributes of one that is not may be old."""
    try:
        file = open_plain(path)
    except OSError:
        return None
    try:
        state, text = os.fstat(file), os.read(file, _MOST_BYTES)
    except OSError:
        return None
    finally:
        os.close(file)
    try:
        owner = Owner.read(json.loads(text))
    except (ValueError, RecursionError):  # it died while it wrote its name
        owner = None
    return _Seen(owner, state.st_ino, state.st_mtime_ns)


@contextlib.contextmanager
def beating(leases: Leases, every: float = BEAT_SECONDS) -> Iterator[None]:
    """Give signs of life meanwhile, and end every lease that is still held at the end."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(every):
            with contextlib.suppress(OSError):  # the next one may come through
                leases.beat()

    heart = threading.Thread(target=beat, daemon=True, name="heart")
    heart.start()
    try:
        yield
    finally:
        ended.set()
        heart.join()
        leases.close()
