"""One task of an array: measures its part of a run, without a report.

    python -m bench.cli.cluster.task DIRECTORY I/N SECONDS

A part that was begun before is taken up again, and what crashed in it is measured once more.
"""

import sys
from pathlib import Path

from bench.cli.measuring.carried import INCOMPLETE
from bench.cli.progress import PlainProgress
from bench.cli.stopping import stoppable
from bench.errors import BenchError
from bench.plan.shards import parse_shard
from bench.runner.runner import Runner
from bench.runner.session import carry_out
from bench.slurm.ledger import Place
from bench.slurm.parts import UNLUCKY, forget_failures
from bench.storage.lock import locked
from bench.storage.run_directory import read_spec


def task(directory: Path, shard: str, silence: float) -> int:
    """Measure a part; the exit code, by which SLURM calls the task COMPLETED or FAILED.

    Raises:
        BenchError: it cannot be measured here.
    """
    place, part = Place(directory), parse_shard(shard)
    run = place.part(part.index)
    resume = run.journal.exists()
    if resume:
        with locked(run.path):
            forget_failures(run)
    with stoppable():
        summary = carry_out(
            read_spec(place.run),
            run.path,
            Runner(PlainProgress(), silence=silence),
            command=f"teleport-bench run --preset spec.toml --shard {shard}",
            part=part,
            resume=resume,
        )
    return INCOMPLETE if UNLUCKY & set(summary.statuses) else 0


def main() -> None:
    """Run as a program."""
    directory, shard, silence = sys.argv[1:]
    try:
        sys.exit(task(Path(directory), shard, float(silence)))
    except BenchError as error:
        print(f"teleport-bench: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
