"""The README's examples run as they stand."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def test_the_python_example_runs_and_keeps_the_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    example = blocks()[0]
    names: dict[str, object] = {}

    exec(compile(example, "README.md", "exec"), names)

    printed = capsys.readouterr().out.split()
    result, change = names["result"], float(printed[-1])
    assert len([line for line in example.splitlines() if line.strip()]) == 11
    assert printed[0] in ("DONE", "CAPPED")
    assert result.grad_norm_sq[-1] > 1.01 * result.grad_norm_sq[0]  # type: ignore[attr-defined]
    assert change < 1e-5


def test_the_factory_of_the_readme_is_a_factory(tmp_path: Path) -> None:
    from bench.plan.points import Point
    from bench.problems.build import build

    (tmp_path / "my_models.py").write_text(blocks()[1])
    address = f"{tmp_path}/my_models.py:factory"
    point = Point(2, 8, 4, 3, 2, address, "digits", "cpu", "float32")

    assert len(build(point, seed=0, bias=False, data_dir=None).batches) == 2


@pytest.mark.long
def test_the_command_for_the_factory_of_the_readme_is_fine_as_it_stands(tmp_path: Path) -> None:
    (command,) = re.findall(r"^(teleport-bench run --model my_models\S+)", README, re.MULTILINE)
    (tmp_path / "my_models.py").write_text(blocks()[1])
    words = [sys.executable, "-m", "bench", *command.split()[1:], "--preset", "smoke", "--quiet"]
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / done.stdout.strip()).is_file()


def test_every_command_of_the_readme_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.main import get_command
    from typer.testing import CliRunner

    from bench.cli.app import app
    from bench.plan.points import make_plan

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^teleport-bench (\w+)((?: \S+)*)", text, flags=re.MULTILINE)
    known = get_command(app).commands  # type: ignore[attr-defined]
    runner = CliRunner()
    # A dry run ends well whatever a worker would refuse: none is asked.
    monkeypatch.setattr("bench.cli.measuring.ways.rehearse", lambda spec, *_, **__: make_plan(spec))
    (tmp_path / "my_models.py").write_text("def factory(d): ...")
    monkeypatch.chdir(tmp_path)

    assert len(commands) >= 7
    for name, rest in commands:
        assert name in known
        if name == "run" and "--resume" not in rest:
            arguments = rest.split("#")[0].split()
            done = runner.invoke(app, ["run", *arguments, "--dry-run"])
            assert done.exit_code == 0, done.output


def test_whether_it_pays_is_what_the_recorded_run_says() -> None:
    run = ROOT / "results" / "training" / "fashion-mlp" / "acceleration.csv"
    with run.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["arm"] == "nullspace:cap=5.0,lr=0.2"]
    shown = re.findall(
        r"^\| (sgd|momentum|adagrad|adam) \| (.*) \|$",
        (ROOT / "README.md").read_text(),
        re.MULTILINE,
    )

    assert len(shown) == 4
    for optimizer, cells in shown:
        places = [(axis, rule) for rule in ("fixed", "tuned") for axis in ("steps", "seconds")]
        for cell, (axis, rule) in zip(cells.split(" | "), places, strict=True):
            row = next(
                row
                for row in rows
                if (row["optimizer"], row["axis"], row["lr_rule"]) == (optimizer, axis, rule)
            )
            ratio, low, high = (float(row[name]) for name in ("ratio", "ci_low", "ci_high"))
            assert cell == f"{ratio:.3g} [{low:.3g}, {high:.3g}] {row['verdict']}"
