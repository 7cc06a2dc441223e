"""Files that are broken in any way end a command with a code of their own, never 1 or 70."""

import json
import random
import shutil

import pytest
from recorded_runs import run_directory
from typer.testing import CliRunner

from bench.cli.app import app
from bench.errors import BenchError

FACTS = {"machine": "x86_64", "python_version": "3.12", "cpu": {"brand_raw": "Chip"}}
TOKENS = (b"null", b"[]", b"{}", b'"x"', b"-1", b"1e400", b"NaN", b"9" * 400, b"\xff", b"\\ud800")
FILES = ("journal.jsonl", "spec.toml", "environment.json")


def command(*words):
    """The exit code of a command and what it said; anything but an error of ours is raised."""
    done = CliRunner().invoke(app, [*map(str, words)])
    if isinstance(done.exception, BenchError):
        return done.exception.exit_code, str(done.exception)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def benchmark(**changes):
    test = {"name": "f", "fullname": "f", "stats": {"data": [1 + i / 1e4 for i in range(30)]}}
    return {name: value for name, value in {**test, **changes}.items() if value != "absent"}


def document(path, machine=FACTS, tests=None):
    tests = [benchmark()] if tests is None else tests
    path.write_text(json.dumps({"machine_info": machine, "benchmarks": tests}))
    return path


def on(cpu):
    return {**FACTS, "cpu": cpu}


@pytest.mark.parametrize(
    ("machine", "tests"),
    [
        (None, None),
        ([], None),
        ("x", None),
        (on("Chip"), None),
        (on([]), None),
        ({**FACTS, "teleport_bench": 3}, None),
        ({**FACTS, "teleport_bench": {"environment": "a"}}, None),
        (FACTS, {}),
        (FACTS, ["x"]),
        (FACTS, [None]),
        (FACTS, [benchmark(stats="absent")]),
        (FACTS, [benchmark(stats=None)]),
        (FACTS, [benchmark(stats=[])]),
        (FACTS, [benchmark(fullname="absent")]),
        (FACTS, [benchmark(fullname=["f"])]),
        (FACTS, [benchmark(name="absent")]),
        (FACTS, [benchmark(stats={"data": "123"})]),
        (FACTS, [benchmark(stats={"data": ["1", "2"]})]),
        (FACTS, [benchmark(stats={"data": [True, None]})]),
        (FACTS, [benchmark(stats={"data": {}})]),
        (FACTS, [benchmark(stats={"data": []})]),
        (FACTS, [benchmark(stats={"data": [10**400]})]),
    ],
)
def test_a_broken_file_of_pytest_benchmark_is_one_line(tmp_path, machine, tests):
    good = document(tmp_path / "good.json")
    broken = document(tmp_path / "broken.json", machine, tests)

    for sides in ((good, broken), (broken, good)):
        code, said = command("compare", *sides)
        assert code == 2
        assert "in broken.json" in said
        assert "\n" not in said


@pytest.mark.parametrize("text", ["[" * 100_000, "null", "", '{"benchmarks": []}'])
def test_what_is_no_document_is_one_line(tmp_path, text):
    (tmp_path / "broken.json").write_text(text)
    code, said = command("compare", document(tmp_path / "a.json"), tmp_path / "broken.json")
    assert code == 2
    assert "expected the JSON of pytest-benchmark in broken.json" in said


@pytest.mark.parametrize(
    ("one", "other", "code"),
    [
        ({"brand": "Chip One"}, {"brand": "Chip Two"}, 3),
        ({"brand": "Chip One"}, {"brand": "Chip One"}, 0),
        ({"arch": "ARM_8", "model": 1}, {"arch": "ARM_8", "model": 3}, 3),
        ({"arch": "ARM_8", "model": 1}, {"arch": "ARM_8", "model": 1}, 0),
        ({"hardware_raw": "BCM2835"}, {"hardware_raw": "BCM2711"}, 3),
        ({"brand_raw": "C", "stepping": 1}, {"brand_raw": "C", "stepping": 2}, 3),
        ({"brand_raw": "C", "hz_actual": [1, 0]}, {"brand_raw": "C", "hz_actual": [2, 0]}, 0),
        ({"arch": "ARM_8", "count": 4}, {"arch": "ARM_8", "count": 4}, 3),
        ({"brand": "C"}, {"brand_raw": "C"}, 0),
        ({"brand_raw": "C", "l3_cache_size": 1}, {"brand_raw": "C", "l3_cache_size": 2}, 3),
        ({"brand_raw": ""}, {"brand_raw": ""}, 3),
        ({}, {}, 3),
        (None, None, 3),
    ],
)
def test_processors_are_told_apart_or_not_compared(tmp_path, one, other, code):
    base = document(tmp_path / "a.json", on(one))
    head = document(tmp_path / "b.json", on(other), [benchmark(extra_info={})])
    assert command("compare", base, head)[0] == code


GOOD = {
    "machine_info": {"cpu": {"brand_raw": "P"}},
    "benchmarks": [{"name": "f", "fullname": "f", "stats": {"data": [1.0, 2.0, 3.0]}}],
}
ODD = (None, 3, "text", [], {}, [1], ["text"], [None], {"a": 1}, float("nan"), -1, True, 1e400)


def broken(document, path=()):
    """The document with each of its parts left out, or another kind of thing."""
    part = document
    for key in path:
        part = part[key]
    keys = part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
    for key in keys:
        here = (*path, key)
        for value in (..., *ODD):
            copy = json.loads(json.dumps(document))
            place = copy
            for step in path:
                place = place[step]
            if value is ...:
                del place[key]
            else:
                place[key] = value
            yield copy
        yield from broken(document, here)


def test_no_broken_file_is_taken_for_a_regression_or_a_fault_of_ours(tmp_path):
    good, odd = tmp_path / "good.json", tmp_path / "odd.json"
    good.write_text(json.dumps(GOOD))
    for number, document in enumerate(broken(GOOD)):
        odd.write_text(json.dumps(document))
        code, said = command("compare", good, odd)
        assert code in (0, 2, 3, 4), (document, code, said)
        assert code != 2 or "Traceback" not in said
        assert number < 400


def test_times_that_are_no_times_are_broken_and_extreme_ones_compared(tmp_path):
    base = document(tmp_path / "a.json", tests=[benchmark(stats={"data": [1e300] * 30})])
    tiny = document(tmp_path / "b.json", tests=[benchmark(stats={"data": [1e-300] * 30})])
    nan = document(tmp_path / "c.json", tests=[benchmark(stats={"data": [float("nan")] * 30})])
    assert command("compare", base, tiny)[0] == 0
    assert command("compare", tiny, base)[0] == 1
    assert command("compare", base, nan)[0] == 4


def mutated(path, rng):
    """The file with one to three pieces of it replaced."""
    data = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(data) + 1)
        data[place : place + rng.randint(0, 20)] = rng.choice(TOKENS)
    path.write_bytes(bytes(data[: rng.randrange(len(data))]) if rng.random() < 0.1 else bytes(data))


@pytest.mark.parametrize("seed", range(40))
def test_mutated_files_of_pytest_benchmark(tmp_path, seed):
    base, head = document(tmp_path / "a.json"), document(tmp_path / "b.json")
    mutated(head, random.Random(seed))
    for sides in ((base, head), (head, base)):
        assert command("compare", *sides)[0] in (0, 1, 2, 3, 4)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "verb", ["compare", "merge", "report", pytest.param("run", marks=pytest.mark.long)]
)
def test_mutated_run_directories(tmp_path, verb, name):
    good = run_directory(tmp_path / "good")
    rng = random.Random(f"{verb} {name}")
    for trial in range(4 if verb == "report" else 12):
        bad = shutil.copytree(good, tmp_path / f"bad{trial}")
        mutated(bad / name, rng)
        words = {
            "compare": ("compare", good, bad),
            "merge": ("merge", good, bad, "--out", tmp_path / f"merged{trial}"),
            "report": ("report", bad),
            # another preset than the run's: nothing is measured whatever the files say
            "run": ("run", "--preset", "smoke", "--axis", "d=7", "--resume", "--out", bad),
        }[verb]
        code, said = command(*words)
        assert code in (0, 1, 2, 3, 4), said
