"""``compare`` on run directories and files of pytest-benchmark: what it says and its exit code."""

import json

import pytest
from recorded_runs import LABELS, run_directory
from typer.testing import CliRunner

from bench.cli.app import app
from bench.comparison.calibration import Calibration, CellNoise, save
from bench.comparison.exports import document as exported
from bench.errors import BenchError
from bench.machine.comparable import comparable_key
from bench.storage.run_directory import RunDirectory, read_environment

FIRST = LABELS[0]


def compare(base, head, *options):
    done = CliRunner().invoke(app, ["compare", str(base), str(head), *map(str, options)])
    if isinstance(done.exception, BenchError):
        return done.exception.exit_code, str(done.exception)
    return done.exit_code, done.output


def verdict(output, label=FIRST):
    (line,) = [each for each in output.splitlines() if f"  {label}  " in each]
    return line.split("  ")[0]


@pytest.fixture
def base(tmp_path):
    return run_directory(tmp_path / "base", seed=1)


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({}, 0, "SAME"),
        ({"factors": {FIRST: 1.3}}, 1, "SLOWER"),
        ({"factors": {FIRST: 0.7}}, 0, "FASTER"),
        ({"factors": {FIRST: 1.05}}, 0, "AMBIGUOUS"),
        ({"failed": (FIRST,)}, 4, "BROKEN"),
        ({"absent": (FIRST,)}, 4, "MISSING"),
        ({"torch": "2.14.0"}, 3, "NOT COMPARABLE"),
        ({"cpu_model": "another"}, 3, "NOT COMPARABLE"),
        ({"cache": "cold"}, 3, "NOT COMPARABLE"),
        ({"benchmark_code": "fedcba9876543210"}, 3, "NOT COMPARABLE"),
    ],
)
def test_exit_code_and_verdict(tmp_path, base, changes, code, word):
    head = run_directory(tmp_path / "head", seed=2, **changes)
    found, output = compare(base, head)

    assert (found, verdict(output)) == (code, word)
    assert f"(exit {code})" in output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"torch": "2.14.0"}, "torch was '2.13.0', is '2.14.0'"),
        ({"benchmark_code": "fe"}, "benchmark_code was '0123456789abcdef', is 'fe'"),
        ({"cache": "cold"}, "sampling.cache was 'hot', is 'cold'"),
        ({"model_code": {"net.py": "2"}}, "net.py was '1', is '2'"),
    ],
)
def test_what_differs_is_named_with_both_values(tmp_path, changes, said):
    base = run_directory(tmp_path / "base", model_code={"net.py": "1"})
    head = run_directory(tmp_path / "head", **{"model_code": {"net.py": "1"}, **changes})

    assert f"from {base} to {head}: {said}\n" in compare(base, head)[1]


def test_cells_that_are_not_comparable_say_what_differs(tmp_path, base):
    head = run_directory(tmp_path / "head", torch="2.14.0", cache="cold")
    compare(base, head, "--out", tmp_path / "out")
    found = exported.load(tmp_path / "out" / "gate.json").judgements

    assert {judgement.comparison.reason for judgement in found} == {
        "torch was '2.13.0', is '2.14.0'; sampling.cache was 'hot', is 'cold'"
    }


def test_whole_calls_decide_nothing(tmp_path, base):
    """They are few, and say what the checks cost, too."""
    head = run_directory(tmp_path / "head", seed=2)
    for directory, seconds in ((base, 0.01), (head, 0.1)):
        journal = RunDirectory(directory).journal
        calls = [{"seconds": seconds, "sgd_s": 0.001}] * 7
        lines = [json.loads(line) | {"calls": calls} for line in journal.read_text().splitlines()]
        journal.write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert compare(base, head)[0] == 0
    assert verdict(compare(base, head)[1]) == "SAME"


def test_strict_fails_on_what_cannot_be_told(tmp_path, base):
    head = run_directory(tmp_path / "head", {FIRST: 1.05}, seed=2)

    assert compare(base, head, "--strict")[0] == 5


def test_a_cell_that_only_head_has_is_new(tmp_path, base):
    less = run_directory(tmp_path / "less", absent=(FIRST,), seed=2)
    found, output = compare(less, base)

    assert (found, verdict(output)) == (0, "NEW")


def test_cells_that_are_all_new_are_fine(tmp_path, base):
    found, output = compare(run_directory(tmp_path / "none", absent=tuple(LABELS)), base)

    assert found == 0
    assert "4 cells: 4 new. No regression found (exit 0)" in output


def test_the_minimum_effect_can_be_chosen(tmp_path, base):
    head = run_directory(tmp_path / "head", {FIRST: 1.3}, seed=2)

    assert compare(base, head, "--min-effect", "0.5")[0] == 0
    assert "expected --min-effect to be above 0" in compare(base, head, "--min-effect", "0")[1]


def calibration(path, run, min_effect, benchmark=None):
    environment = read_environment(RunDirectory(run))
    cells = {label: CellNoise(label, 0.01, 0.01, 0.002, min_effect, 5) for label in LABELS}
    benchmark = benchmark or environment["benchmark_code"]
    save(Calibration(comparable_key(environment), benchmark, 1e-9, cells), path)
    return path


def test_calibrated_minimum_effects_are_used(tmp_path, base):
    head = run_directory(tmp_path / "head", {FIRST: 1.3}, seed=2)
    file = calibration(tmp_path / "calibration.json", base, 0.5)

    assert compare(base, head, "--calibration", file)[0] == 0


def test_a_calibration_of_other_measuring_code_is_refused(tmp_path, base):
    file = calibration(tmp_path / "calibration.json", base, 0.5, benchmark="another")
    code, text = compare(base, base, "--calibration", file)

    assert code == 3
    assert "expected a calibration of this measuring code" in text
    assert "run 'teleport-bench calibrate' again" in text


def test_out_holds_json_markdown_junit_and_both_sides_for_pytest_benchmark(tmp_path, base):
    head = run_directory(tmp_path / "head", {FIRST: 1.3}, seed=2)
    compare(base, head, "--out", tmp_path / "out")

    names = {path.name for path in (tmp_path / "out").iterdir()}
    sides = {"pytest-benchmark-base.json", "pytest-benchmark-head.json"}
    assert names == {"gate.json", "gate.md", "junit.xml", *sides}
    assert exported.load(tmp_path / "out" / "gate.json").exit_code == 1
    found, output = compare(*(tmp_path / "out" / name for name in sorted(sides)))
    assert found == 1
    assert verdict(output) == "SLOWER"


def pytest_file(path, factor, **changes):
    stats = {"data": [0.001 * factor * (1 + 0.0002 * i) for i in range(30)]}
    test = {"name": "test_step", "fullname": "tests/x.py::test_step", "stats": stats}
    machine = {"cpu": {"brand_raw": "made up", "count": 2}, "system": "Linux", **changes}
    path.write_text(json.dumps({"machine_info": machine, "benchmarks": [test]}))
    return path


def test_files_of_pytest_benchmark_are_read(tmp_path):
    base, head = (pytest_file(tmp_path / name, factor) for name, factor in (("a", 1), ("b", 1.3)))

    assert compare(base, base)[0] == 0
    assert compare(base, head)[0] == 1


def test_a_file_of_another_machine_is_not_comparable(tmp_path):
    here = pytest_file(tmp_path / "a", 1, node="one", release="6.1")
    renamed = pytest_file(tmp_path / "b", 1, node="two", release="6.2")
    other = pytest_file(tmp_path / "c", 1, machine="aarch64")

    assert compare(here, renamed)[0] == 0
    assert compare(here, other)[0] == 3


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[" * 100_000, "expected the JSON of pytest-benchmark"),
        ("not json", "expected the JSON of pytest-benchmark"),
        ("[]", "expected the JSON of pytest-benchmark"),
        (
            '{"machine_info": {}, "benchmarks": [{"fullname": "t", "name": "t", "stats": {}}]}',
            "expected the raw samples of t",
        ),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, base, content, text):
    path = tmp_path / "file.json"
    path.write_text(content)
    code, said = compare(base, path)

    assert code == 2
    assert text in said
    assert "write it" in said


def test_what_is_not_there_is_refused(tmp_path, base):
    code, said = compare(base, tmp_path / "nothing")

    assert code == 2
    assert "expected a run directory or a file of pytest-benchmark" in said
