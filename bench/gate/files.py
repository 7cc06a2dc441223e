"""What a comparison leaves behind: the exports, and of a gate both sides as run directories."""

import os
from pathlib import Path

from bench.comparison.exports import document, junit, markdown, pytest_benchmark
from bench.comparison.judgement import WALL, Measured
from bench.comparison.outcome import Outcome
from bench.files import write_whole
from bench.gate.gate import GateResult, SideResult
from bench.spec.spec import Spec
from bench.storage.journal import Journal
from bench.storage.run_directory import open_run, write_environment

SUMMARY = "GITHUB_STEP_SUMMARY"


def write_exports(out: Path, outcome: Outcome, base: Measured, head: Measured) -> None:
    """JSON, Markdown, JUnit XML, and the times of both sides for pytest-benchmark."""
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "gate.json", document.dumps(outcome))
    write_whole(out / "gate.md", markdown.dumps(outcome))
    write_whole(out / "junit.xml", junit.dumps(outcome))
    for name, sides, commit in (("base", base, outcome.base), ("head", head, outcome.head)):
        text = pytest_benchmark.dumps(sides.get(WALL, {}), commit, outcome.when)
        write_whole(out / f"pytest-benchmark-{name}.json", text)


def write_sides(out: Path, result: GateResult, command: str) -> None:
    """``base`` and ``head``: run directories that ``compare`` and ``report`` read."""
    for name, side in zip(("base", "head"), result.sides, strict=True):
        write_side(out / name, result.spec, side, command)


def write_side(path: Path, spec: Spec, side: SideResult, command: str) -> None:
    """What was measured of one side as a run directory."""
    run = open_run(path, spec, command, resume=False)
    write_environment(run, {**side.environment, "benchmark_code": side.benchmark})
    with Journal(run.journal) as journal:
        journal.append(*side.records)


def write_summary(outcome: Outcome) -> None:
    """Append the Markdown to GitHub's step summary, where there is one."""
    path = os.environ.get(SUMMARY)
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(markdown.dumps(outcome))
