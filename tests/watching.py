"""What code touches outside the folder it was given, as the interpreter's audit events tell it."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Modules are imported late, and libraries read what they were installed with.
LIBRARIES = tuple(
    os.path.realpath(place)
    for place in (sys.prefix, sys.base_prefix, ROOT, "/usr/share", "/usr/lib", "/proc", "/sys")
)
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
    *("os.chmod", "os.chown", "os.utime", "os.listdir", "os.scandir"),
}
_NEVER = {
    *("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system"),
    *("os.exec", "os.posix_spawn", "os.fork", "pickle.find_class", "shutil.unpack_archive"),
}
_READS = {"os.listdir", "os.scandir"}

_folder = None
_found = []


@contextmanager
def watched(folder):
    """Yields the list of what is touched outside ``folder`` meanwhile."""
    global _folder  # noqa: PLW0603  (a hook stays for good; this switches it)
    _found.clear()
    _folder = os.path.realpath(folder)
    try:
        yield _found
    finally:
        _folder = None


def _hook(event, args):
    if _folder is None:
        return
    if event in _NEVER:
        _found.append((event, repr(args)[:200]))
    elif event == "open" and not isinstance(args[0], int):
        changes = bool((args[2] or 0) & _CHANGES)
        _note(event, args[0], changes=changes)
    elif event in _PATHS:
        for path in args:
            if isinstance(path, (str, bytes, os.PathLike)):
                _note(event, path, changes=event not in _READS)


def _note(event, path, *, changes):
    # A link as such may be replaced: only the way to it is resolved.
    head, name = os.path.split(os.fsdecode(path).rstrip("/"))
    place = f"{os.path.realpath(head)}/{name}" if name != ".." else os.path.realpath(f"{head}/..")
    allowed = (_folder,) if changes else (_folder, *LIBRARIES)
    if not any(place == each or place.startswith(f"{each}/") for each in allowed):
        _found.append((event, os.fsdecode(path)))


sys.addaudithook(_hook)
