"""A directory that became read-only: refused with what to write instead, everything intact."""

import errno
import os
import sys

import pytest
import synthetic_run

from bench.cli.app import main
from bench.errors import RunError
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.storage.lock import locked
from bench.storage.run_directory import open_run
from reports import write_report

_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    """A finished run; no call can open a file in it for writing any more."""
    directory = synthetic_run.write(tmp_path / "run", synthetic_run.records()[:8])
    write_report(directory)
    opened = os.open

    def refusing(path, flags, *more, **others):
        if flags & _CHANGES and str(path).startswith(str(directory)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return opened(path, flags, *more, **others)

    monkeypatch.setattr(os, "open", refusing)
    return directory


@pytest.fixture
def unchanged(run_dir):
    """Fails if the test changed any file of the run."""
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    yield
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before


@pytest.mark.usefixtures("unchanged")
def test_report_says_so_and_ends(run_dir, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["teleport-bench", "report", str(run_dir)])

    with pytest.raises(SystemExit) as ended:
        main()

    said = capsys.readouterr().err
    assert ended.value.code == 4
    assert f"expected to write {run_dir}" in said
    assert "Read-only file system: nothing that was there is changed" in said
    assert "Traceback" not in said


@pytest.mark.usefixtures("unchanged")
def test_a_run_is_refused_at_the_lock(run_dir):
    with (
        pytest.raises(RunError, match="Read-only file system: choose another --out"),
        locked(run_dir),
    ):
        pytest.fail("the lock was taken")


def test_a_run_is_refused_at_its_spec(tmp_path, monkeypatch):
    def refusing(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    spec = load_preset("smoke").with_overrides(axes=(parse_axis("d=8"),))
    monkeypatch.setattr("bench.files._write_synced", refusing)

    with pytest.raises(RunError, match="Read-only file system: choose another --out"):
        open_run(tmp_path / "run", spec, "teleport-bench run", resume=False)
    assert list((tmp_path / "run").iterdir()) == []
