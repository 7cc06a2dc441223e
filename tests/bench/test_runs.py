"""A run in Python: the same as the command line's, resumed, and read again."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import bench
from bench.cli.app import main
from bench.errors import JournalError, SpecError
from bench.runner.runner import Runner
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.spec.variants import parse_variant
from bench.storage.journal import read
from bench.storage.records import cells_of, kind_of
from bench.storage.run_directory import RunDirectory, read_spec

GOLDEN = Path(__file__).parents[1] / "golden" / "schema-1" / "run"
OPTIONS = "--preset smoke --axis d=8,12 --axis t=1 --method identity --device cpu --threads 1"

LOST = ("cell", 12, "identity")


def spec() -> Spec:
    """What ``OPTIONS`` say."""
    return load_preset("smoke").with_overrides(
        axes=(parse_axis("d=8,12"), parse_axis("t=1")),
        variants=(parse_variant("identity"),),
        device="cpu",
        threads=1,
    )


@pytest.fixture(scope="module", autouse=True)
def _no_roofline() -> Iterator[None]:
    """How fast the machine copies and multiplies is another test's matter, and takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, "roofline", lambda *_: {})
        yield


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of the command line."""
    out = tmp_path_factory.mktemp("by_hand") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys, "argv", ["teleport-bench", "run", *OPTIONS.split(), "--quiet", "--out", str(out)]
        )
        with pytest.raises(SystemExit) as end:
            main()
    assert not end.value.code
    return out


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> bench.Run:
    return bench.run(spec(), out=tmp_path_factory.mktemp("in_python") / "run")


def ids(directory: Path) -> list[tuple[str, str]]:
    return [(kind_of(r), r.cell_id or "") for r in read(directory / "journal.jsonl")]


def test_it_measures_what_the_command_line_measures(run: bench.Run, by_hand: Path) -> None:
    assert ids(run.directory) == ids(by_hand)
    found, typed = (read_spec(RunDirectory(path)) for path in (run.directory, by_hand))
    assert found.digest() == typed.digest()
    assert {path.name for path in by_hand.iterdir()} - {
        path.name for path in run.directory.iterdir()
    } == {"report.html", *(f"{name}.csv" for name in run.tables)}


def test_its_tables_have_the_columns_of_the_csv_files(run: bench.Run, by_hand: Path) -> None:
    for name, table in run.tables.items():
        assert list(table) == list(pd.read_csv(by_hand / f"{name}.csv")), name
    runtime = run.tables["runtime"]
    written = pd.read_csv(by_hand / "runtime.csv")
    assert list(runtime["cell_id"]) == list(written["cell_id"])
    assert sorted(runtime["variant"]) == ["identity"] * 2 + ["sgd"] * 2
    assert (runtime["median_s"] > 0).all()


def test_its_summary_is_that_of_a_complete_run(run: bench.Run) -> None:
    assert run.summary.complete
    assert run.summary.statuses["ok"] == len(ids(run.directory))
    assert run.summary.left == 0


def test_it_is_one_line_and_plain_values(run: bench.Run) -> None:
    found = json.loads(json.dumps(run.to_dict()))

    assert repr(run) == f"Run({str(run.directory)!r})"
    assert found["summary"]["statuses"] == {"ok": len(ids(run.directory))}
    rows = found["tables"]["runtime"]
    assert [row["median_s"] for row in rows] == pytest.approx(run.tables["runtime"]["median_s"])


def test_its_report_is_written_on_demand(run: bench.Run, tmp_path: Path) -> None:
    copy = shutil.copytree(run.directory, tmp_path / "run")

    page = bench.load(copy).report()

    assert page == copy / "report.html"
    assert "identity" in page.read_text(encoding="utf-8")
    assert sorted(pd.read_csv(copy / "runtime.csv")["d"]) == [8, 8, 12, 12]


def test_resuming_measures_only_what_is_missing(run: bench.Run, tmp_path: Path) -> None:
    copy = shutil.copytree(run.directory, tmp_path / "run")
    journal = copy / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    (lost,) = [r for r in cells_of(read(journal)) if (kind_of(r), r.d, r.variant) == LOST]
    kept = [line for line in lines if lost.cell_id not in line]
    assert len(lines) - len(kept) == 1
    journal.write_text("".join(kept))
    assert bench.load(copy).summary.left == 1

    again = bench.run(copy / "spec.toml", copy, resume=True)

    assert journal.read_text().startswith("".join(kept))
    added = ids(copy)[len(kept) :]
    assert [kind for kind, _ in added] == ["reference", "cell"]  # SGD once more, beside it
    assert added[1] == ("cell", lost.cell_id)
    assert again.summary.statuses == run.summary.statuses
    assert again.summary.complete


def test_nothing_to_resume_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="expected out to name a run with resume=True"):
        bench.run(spec(), tmp_path / "nowhere", resume=True)
    with pytest.raises(SpecError, match="quik"):
        bench.run("quik", tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_run_of_an_earlier_version_has_its_tables() -> None:
    run = bench.load(GOLDEN)

    assert len(run.tables["runtime"]) == 9
    for name in ("runtime", "samples", "preservation", "spectrum"):
        assert len(run.tables[name]) == len(pd.read_csv(GOLDEN / f"{name}.csv")), name
    assert run.summary.complete


def test_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="expected a journal at"):
        bench.load(tmp_path)


def test_a_name_that_is_not_there_is_said() -> None:
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'rum'"):
        bench.rum  # noqa: B018
