"""What ``compare`` compares: a run directory, or a file of pytest-benchmark."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.comparison.differences import facts_differences
from bench.comparison.exports import pytest_benchmark
from bench.comparison.judgement import Measured, measured
from bench.errors import SpecError
from bench.machine.comparable import comparable_key
from bench.spec.spec import Spec
from bench.storage import journal
from bench.storage.mismatch import model_differences, spec_differences
from bench.storage.records import cells_of
from bench.storage.run_directory import RunDirectory, read_environment, read_spec


@dataclass(frozen=True)
class Source:
    """The cells of a run, the keys of machine and measuring code ("" where not known).

    ``looks`` says how often the data were looked at before the measurement stopped.
    """

    measured: Measured
    environment: str
    benchmark: str
    looks: int
    facts: Mapping[str, Any] = field(default_factory=dict)  # of the environment, of a run
    spec: Spec | None = None  # of a run


def read_source(path: Path) -> Source:
    """Read a run directory or a JSON file of pytest-benchmark.

    Raises:
        SpecError: neither of them.
        JournalError: a damaged journal, or nothing that tells what the run ran on.
    """
    if path.is_dir():
        return _run(RunDirectory(path))
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(
            f"expected a run directory or a file of pytest-benchmark at {path}; {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise SpecError(f"expected JSON in {path}; it is no text") from None
    found = pytest_benchmark.loads(text, path.name)
    sides = [side for cells in found.values() for side in cells.values()]
    keys = next(((s.environment, s.benchmark) for s in sides), ("", ""))
    return Source(found, *keys, looks=1)


def _run(run: RunDirectory) -> Source:
    records, _ = journal.load(run.journal)
    environment = read_environment(run)
    key, benchmark = comparable_key(environment), str(environment.get("benchmark_code") or "")
    looks = max((record.looks or 1 for record in cells_of(records)), default=1)
    # Cold and hot times are never put beside each other.
    spec = read_spec(run)
    measured_as = f"{benchmark} {spec.sampling.cache}"
    found = measured(records, key, measured_as)
    return Source(found, key, benchmark, looks, environment, spec)


def incomparable(base: Source, head: Source) -> list[str]:
    """What of it keeps times from being put beside each other; none of other files."""
    found = facts_differences(base.facts, head.facts)
    if base.spec is not None and head.spec is not None:
        was, now = base.spec.sampling.cache, head.spec.sampling.cache
        found += [f"sampling.cache was {was!r}, is {now!r}"] if was != now else []
    return found


def source_differences(base: Source, head: Source) -> list[str]:
    """What differs between two runs besides their times, by name; none of other files."""
    found = [
        *facts_differences(base.facts, head.facts),
        *model_differences(base.facts, head.facts),
    ]
    if base.spec is not None and head.spec is not None:
        found += spec_differences(base.spec, head.spec)
    return found
