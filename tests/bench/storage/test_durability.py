"""After a power cut at any moment: nothing that was reported safe is lost, no file is half."""

import pytest
from crash_disk import Recorder, crashes

from bench.errors import JournalError
from bench.files import write_whole
from bench.storage.journal import Journal, load
from bench.storage.records import FailureRecord


def scenario(root, monkeypatch, without=()):
    """A short run: cells into the journal, a report written and written again."""
    disk = Recorder(root)
    disk.install(monkeypatch, without)
    with Journal(root / "journal.jsonl") as journal:
        for number in range(3):
            journal.append(FailureRecord(cell_id=f"c{number}"))
            disk.mark(("cell", f"c{number}"))
    for version in ("old", "new"):
        write_whole(root / "report.html", f"{version} report, every line of it\n")
        disk.mark(("report", version))
    monkeypatch.undo()
    return disk.calls


def damage(calls, place):
    """What a reader would miss or choke on, over all states."""
    found = set()
    for safe, files in crashes(calls):
        found |= set(_lost_cells(safe, files, place))
        found |= set(_bad_report(safe, files))
    return found


def _lost_cells(safe, files, place):
    promised = {name for kind, name in safe if kind == "cell"}
    if "journal.jsonl" not in files:
        return ["the journal is gone"] if promised else []
    path = place / "journal.jsonl"
    path.write_bytes(files["journal.jsonl"])
    try:
        records, _ = load(path)
    except JournalError:
        return ["the journal is damaged"]
    return ["a cell is lost"] if promised - {record.cell_id for record in records} else []


def _bad_report(safe, files):
    texts = [f"{version} report, every line of it\n".encode() for version in ("old", "new")]
    promised = [name for kind, name in safe if kind == "report"]
    if "report.html" not in files:
        return ["the report is gone"] if promised else []
    if files["report.html"] not in texts:
        return ["the report is half"]
    return ["the report is stale"] if texts.index(files["report.html"]) < len(promised) - 1 else []


@pytest.fixture
def root(tmp_path):
    directory = tmp_path / "run"
    directory.mkdir()
    return directory


def test_a_power_cut_at_any_moment_leaves_whole_files(root, tmp_path, monkeypatch):
    calls = scenario(root, monkeypatch)

    assert damage(calls, tmp_path) == set()
    assert len(list(crashes(calls))) > 100


@pytest.mark.parametrize(
    ("without", "what"),
    [
        ("fsync of contents", {"a cell is lost", "the report is half"}),
        ("fsync of names", {"the journal is gone", "the report is gone"}),
        ("rename", {"the report is half"}),
    ],
)
def test_without_a_sync_or_the_rename_it_is_seen(root, tmp_path, monkeypatch, without, what):
    calls = scenario(root, monkeypatch, without=(without,))

    assert what <= damage(calls, tmp_path)
