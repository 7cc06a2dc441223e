"""All five kinds of thing from one package outside the source tree, by its entry points alone.

A method with an option that is swept, a data set, a network, a measurement with a section of the
spec, and a section of the page with a CSV file: they are found in the help, the lists, the journal,
the tables and the page.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from outside_package import write_package

ROOT = Path(__file__).resolve().parents[1]

TOY = r'''
"""What the command line may know: no torch here."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.plan.units import Unit
from bench.problems.datasets.provider import Provider
from bench.storage.records import Record


def load_waves(data_dir):
    import torch

    from bench.problems.datasets.dataset import Dataset

    generator = torch.Generator().manual_seed(3)
    x = torch.randn(60, 12, generator=generator)
    y = torch.randint(0, 3, (60,), generator=generator)
    return Dataset.from_parts("waves", (x[:40], y[:40]), (x[40:], y[40:]), 3, "made up")


WAVES = Provider(load_waves)


@dataclass(frozen=True)
class Settings:
    powers: tuple[int, ...] = (1, 2)


class Power(Record, kw_only=True, tag="power"):
    power: int
    value: float


class Powers:
    name = "powers"
    settings = Settings
    records = (Power,)
    runs = "toy_work:powers"

    def units(self, plan):
        settings = plan.spec.sections.get("powers")
        if settings is None:
            return []
        powers = list(settings.powers)
        return [
            Unit(
                unit="powers",
                label="powers of two",
                command={"do": "powers", "powers": powers},
                base={"kind": "power", "unit": "powers", "of": len(powers)},
                cell_ids=("powers",),
            )
        ]


POWERS = Powers()


class PowersSection:
    name = "powers"
    title = "Powers of two"
    order = 95

    def tables(self, found, /):
        rows = found.run.others.get("power", [])
        return {"powers": pd.DataFrame([{"power": r.power, "value": r.value} for r in rows])}

    def render(self, shown, fill, /):
        rows = shown.run.others.get("power", [])
        template = Path(__file__).with_name("powers.html.j2")
        return fill(template, rows=rows) if rows else None
'''

WORK = r'''
"""What runs in the worker: torch at the top, as in any torch code."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from teleport_core import Guarantee, State, Status, Teleporter, TeleportResult


@dataclass(frozen=True, kw_only=True)
class Shuffle(Teleporter):
    """Turns the order of the hidden units round, ``times`` times: exact everywhere."""

    name: ClassVar[str] = "shuffle"
    times: int = 2

    def prepare(self, problem):
        return State(before={n: p.detach().clone() for n, p in problem.parameters().items()})

    def advance(self, problem, state):
        first, last = list(problem.parameters())[0], list(problem.parameters())[-1]
        for _ in range(self.times):
            own = problem.detached()
            problem.write({first: own[first].flip(0).clone(), last: own[last].flip(1).clone()})
        unknown = [float("nan")] * (self.steps + 1)
        return TeleportResult(
            status=Status.DONE, steps_done=self.steps, loss=unknown, grad_norm_sq=list(unknown),
            null_dims={}, guarantee=Guarantee.EXACT_EVERYWHERE,
        )


def narrow(shape):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(shape.sample[0], shape.d, bias=False), nn.Tanh(),
        nn.Linear(shape.d, shape.outputs, bias=False),
    )


def powers(command, emit):
    for power in command["powers"]:
        value = float(torch.tensor(2.0) ** power)
        emit({"event": "record", "record": {"power": power, "value": value}})
'''

TEMPLATE = """<h2>Powers of two</h2>
<p>{% for row in rows %}<span>2^{{ row.power }} = {{ row.value }}</span> {% endfor %}</p>
"""

ENTRIES = {
    "teleport_bench.methods": {"shuffle": "toy_work:Shuffle"},
    "teleport_bench.datasets": {"waves": "toy:WAVES"},
    "teleport_bench.networks": {"narrow": "toy_work:narrow"},
    "teleport_bench.measurements": {"powers": "toy:POWERS"},
    "teleport_bench.sections": {"powers": "toy:PowersSection"},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_package(folder, "toy", TOY, ENTRIES)
    (folder / "toy_work.py").write_text(WORK)
    (folder / "powers.html.j2").write_text(TEMPLATE)
    return folder


def teleport_bench(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-P", "-m", "bench", *arguments],
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def run(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    base = (ROOT / "bench" / "spec" / "presets" / "smoke.toml").read_text()
    (folder / "spec.toml").write_text(f"{base}\n[powers]\npowers = [1, 3, 5]\n")
    done = teleport_bench(
        site, "run", "--preset", str(folder / "spec.toml"), "--model", "narrow",
        "--dataset", "waves", "--axis", "d=6,8", "--axis", "n=4", "--axis", "l=2",
        "--axis", "b=1", "--axis", "t=2",
        "--method", "shuffle:times=1", "--method", "shuffle:times=3",
        "--out", str(folder / "run"), "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run"


def test_the_method_and_its_swept_option_the_data_set_and_the_network_are_in_the_journal(
    run: Path,
) -> None:
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    cells = [line for line in lines if line["kind"] == "cell"]
    assert {cell["variant"] for cell in cells} == {"sgd", "shuffle:times=1", "shuffle:times=3"}
    assert {(cell["model"], cell["dataset"]) for cell in cells} == {("narrow", "waves")}
    assert {cell["status"] for cell in cells} == {"ok"}
    assert {cell["d"] for cell in cells} == {6, 8}
    assert {cell["train_samples"] for cell in cells} == {40}
    kept = {line["variant"] for line in lines if line["kind"] == "preservation"}
    assert kept == {"shuffle:times=1", "shuffle:times=3"}


def test_the_measurement_is_in_the_journal_the_csv_and_the_page(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    powers = [line for line in lines if line["kind"] == "power"]
    assert [line["value"] for line in powers] == [2.0, 8.0, 32.0]
    table = pd.read_csv(run / "powers.csv")
    assert list(table["value"]) == [2.0, 8.0, 32.0]
    page = (run / "report.html").read_text()
    assert "2^5 = 32.0" in page
    assert 'href="#powers"' in page


def test_its_section_of_the_spec_is_kept(run: Path) -> None:
    assert "[powers]" in (run / "spec.toml").read_text()


def test_help_and_list_name_them(site: Path) -> None:
    listed = teleport_bench(site, "data", "list")
    assert "waves" in listed.stdout, listed.stderr
    shown = teleport_bench(site, "run", "--help")
    for name in ("shuffle", "waves", "narrow"):
        assert name in shown.stdout
    plain = teleport_bench(Path(os.devnull), "run", "--help")
    assert "narrow" not in plain.stdout
