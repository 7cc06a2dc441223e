import errno
import os
from pathlib import Path

import pytest

from bench.errors import StorageError
from bench.files import read_plain, remove_drafts, write_whole


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.csv", "old")
    write_whole(tmp_path / "a.csv", "new")

    assert (tmp_path / "a.csv").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_on_a_full_disk_the_old_file_stays_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "a.csv").write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(StorageError, match=r"expected to write .*a.csv; No space left .*repeat"):
        write_whole(tmp_path / "a.csv", "new")
    monkeypatch.undo()

    assert (tmp_path / "a.csv").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("keep")
    run = tmp_path / "run"
    run.mkdir()
    (run / "a.csv").symlink_to(outside)

    write_whole(run / "a.csv", "new")

    assert outside.read_text() == "keep"
    assert not (run / "a.csv").is_symlink()


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_only_plain_files_are_read(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_text("secret")
    target = tmp_path / "target"
    if kind == "link":
        target.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(target)
    else:
        target.mkdir()

    with pytest.raises(OSError, match=r"symbolic links|not a plain file"):
        read_plain(target)


def test_drafts_of_a_killed_writer_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (".a.csv.0123.draft", "mine.draft", ".hidden"):
        (tmp_path / name).write_text("")

    remove_drafts(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "mine.draft"]
