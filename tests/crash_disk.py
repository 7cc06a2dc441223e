"""What a disk may hold after a power cut, from a record of the calls that were made to it.

The calls really happen; the record is played back afterwards. A file's contents are certain up to
its last fsync, a directory's names up to the directory's last fsync. Of what came later anything
may be there: writes dropped, kept or cut in the middle, and each change of a name by itself, in
any order beside the others and beside the contents.
"""

import os
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

MOST_PENDING = 6


@dataclass
class Recorder:
    """Takes the place of the calls of ``os`` that change files under ``root``."""

    root: Path
    calls: list = field(default_factory=list)
    _open: dict = field(default_factory=dict)
    _files: int = 0

    def install(self, monkeypatch, without=()):
        """Record from now on; calls named in ``without`` do nothing of what they promise."""
        self._real = {
            name: getattr(os, name)
            for name in ("open", "close", "write", "fsync", "replace", "unlink", "ftruncate")
        }
        self._names = {}
        self._without = without
        for name in self._real:
            monkeypatch.setattr(os, name, getattr(self, name))

    def open(self, path, flags, mode=0o777, **more):
        there = os.path.lexists(path)
        fd = self._real["open"](path, flags, mode, **more)
        path = Path(os.fsdecode(path))
        if path == self.root:
            self._open[fd] = "directory"
        elif path.parent == self.root:
            if not there:
                self._files += 1
                self._names[path.name] = self._files
                self.calls.append(("name", path.name, self._files))
            self._open[fd] = self._names[path.name]
        return fd

    def close(self, fd):
        self._open.pop(fd, None)
        self._real["close"](fd)

    def write(self, fd, data):
        count = self._real["write"](fd, data)
        if fd in self._open:
            self.calls.append(("write", self._open[fd], bytes(data[:count])))
        return count

    def ftruncate(self, fd, size):
        self._real["ftruncate"](fd, size)
        if fd in self._open:
            self.calls.append(("truncate", self._open[fd], size))

    def fsync(self, fd):
        target = self._open.get(fd)
        kind = "fsync of names" if target == "directory" else "fsync of contents"
        if kind not in self._without:
            self._real["fsync"](fd)
            self.calls.append(("sync", target))

    def replace(self, source, target):
        source, target = Path(source), Path(target)
        if "rename" in self._without:
            # What a program does that knows no rename: write over the old file.
            content = source.read_bytes()
            fd = self.open(target, os.O_WRONLY | os.O_CREAT, 0o644)
            self.ftruncate(fd, 0)
            self.write(fd, content)
            self.fsync(fd)
            self.close(fd)
            return
        self._real["replace"](source, target)
        self._names[target.name] = self._names.pop(source.name)
        self.calls.append(("rename", source.name, target.name, self._names[target.name]))

    def unlink(self, path, **more):
        self._real["unlink"](path, **more)
        name = Path(os.fsdecode(path)).name
        self._names.pop(name, None)
        self.calls.append(("unname", name))

    def mark(self, what):
        """Note that the program was told that ``what`` is safe."""
        self.calls.append(("safe", what))


def crashes(calls):
    """Every state after every call: (what was safe, {name: contents})."""
    for end in range(len(calls) + 1):
        safe = [call[1] for call in calls[:end] if call[0] == "safe"]
        for files in _states(calls[:end]):
            yield safe, files


def _states(calls):
    contents = {}  # file -> (certain bytes, [what came later])
    certain, pending = {}, []  # names of files, [changes of names]
    for kind, *what in calls:
        if kind in ("write", "truncate"):
            contents.setdefault(what[0], (b"", []))[1].append((kind, what[1]))
        elif kind == "sync" and what[0] == "directory":
            certain, pending = _named(certain, pending), []
        elif kind == "sync" and what[0] in contents:
            base, later = contents[what[0]]
            contents[what[0]] = (_played(base, later), [])
        elif kind in ("name", "rename", "unname"):
            pending.append((kind, *what))
    assert len(pending) <= MOST_PENDING
    for kept in product((False, True), repeat=len(pending)):
        names = _named(certain, [change for change, k in zip(pending, kept, strict=True) if k])
        for how in ("dropped", "kept", "cut"):
            yield {
                name: _after(*contents.get(file, (b"", [])), how) for name, file in names.items()
            }


def _named(names, changes):
    names = dict(names)
    for kind, name, *rest in changes:
        if kind == "name":
            names[name] = rest[0]
        else:
            names.pop(name, None)
        if kind == "rename":
            # Also where the old name never reached the disk.
            names[rest[0]] = rest[1]
    return names


def _played(base, later):
    for kind, what in later:
        base = base[:what] if kind == "truncate" else base + what
    return base


def _after(base, later, how):
    if how == "dropped" or not later:
        return base
    if how == "kept":
        return _played(base, later)
    kind, what = later[-1]
    cut = [*later[:-1], (kind, what[: len(what) // 2])] if kind == "write" else later[:-1]
    return _played(base, cut)
