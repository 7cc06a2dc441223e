"""Two ways to carry a spec out: with one worker, alone in its directory, or with several."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cli.command import repeatable
from bench.measurements.units import make_units
from bench.parallel.begin import Workers, rehearse_together
from bench.parallel.together import carry_out_together
from bench.plan.profiles import Detail
from bench.plan.shards import Shard
from bench.runner.progress import Progress
from bench.runner.runner import Runner, Summary
from bench.runner.session import Listener, carry_out, rehearse
from bench.spec.spec import Spec
from bench.times import duration


@dataclass(frozen=True)
class Alone:
    """One worker."""

    spec: Spec
    where: Path
    part: Shard
    profile: Detail | None
    runner: Runner
    resume: bool

    def carry_out(self, listener: Listener) -> Summary:
        """Measure what the directory lacks."""
        return carry_out(
            self.spec,
            self.where,
            self.runner,
            command=repeatable(),
            part=self.part,
            resume=self.resume,
            profile=self.profile,
            listener=listener,
        )

    def rehearse(self) -> Iterator[str]:
        """Lines on what it would be like here; BenchError: it would be refused."""
        try:
            plan = rehearse(
                self.spec,
                self.where,
                self.runner,
                part=self.part,
                resume=self.resume,
                profile=self.profile,
            )
            trained = [unit for unit in make_units(plan, [], self.part) if unit.kind]
            if trained and (seconds := self.runner.estimate(trained)) is not None:
                yield _estimated(seconds)
        finally:
            self.runner.close()


@dataclass(frozen=True)
class Together:
    """Several workers, and perhaps other runners in the directory."""

    spec: Spec
    where: Path
    part: Shard
    profile: Detail | None
    workers: Workers
    progress: Progress

    def carry_out(self, listener: Listener) -> Summary:
        """Measure what the directory lacks and nobody else is measuring."""
        return carry_out_together(
            self.spec,
            self.where,
            self.workers,
            command=repeatable(),
            progress=self.progress,
            part=self.part,
            profile=self.profile,
            listener=listener,
        )

    def rehearse(self) -> Iterator[str]:
        """Lines on what it would be like here; BenchError: it would be refused."""
        devices, seconds = rehearse_together(
            self.spec, self.where, self.workers, part=self.part, profile=self.profile
        )
        yield f"workers on {', '.join(device.name for device in devices)}"
        if seconds is not None:
            yield _estimated(seconds)


def _estimated(seconds: float) -> str:
    return f"estimated time: about {duration(seconds)} here, from a few steps of each"
