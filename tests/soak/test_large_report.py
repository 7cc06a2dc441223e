"""The report of a sweep of very many cells: every row in the CSV files, a page that opens."""

import csv
import subprocess
import sys
import time

import large_journal
import pytest
from driving import ROOT

CODE = """
import contextlib, resource, sys
from bench.cli.app import main
sys.argv = ["teleport-bench", "report", sys.argv[1]]
with contextlib.suppress(SystemExit):
    main()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
KIB = 1024


def reported(directory):
    """Seconds and peak bytes of a report in a process of its own."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(directory)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.monotonic() - began, int(done.stdout.split()[-1]) * KIB


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def check_whole(directory, cells):
    assert rows(directory / "runtime.csv") == cells
    assert rows(directory / "samples.csv") == 7 * cells
    page = (directory / "report.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 10e6
    assert "runtime.csv" in page
    return page


def test_the_report_of_three_thousand_cells(tmp_path):
    directory = large_journal.write(tmp_path / "run", 3_000)

    reported(directory)

    page = check_whole(directory, 3_000)
    assert page.count("<tr") < 3_000


@pytest.mark.long
def test_the_report_of_a_hundred_thousand_cells(tmp_path):
    directory = large_journal.write(tmp_path / "run", 100_000)

    seconds, peak = reported(directory)

    size = (directory / "report.html").stat().st_size
    print(f"\n{seconds:.1f} s, {peak / 2**30:.2f} GiB, page {size / 1e6:.1f} MB")
    check_whole(directory, 100_000)
    assert seconds <= 45
    assert peak <= 1.2 * 2**30
