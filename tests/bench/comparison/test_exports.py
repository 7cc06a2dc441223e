"""A comparison as JSON, Markdown, JUnit XML and for pytest-benchmark."""

import json as standard_json
import math
import re
import subprocess
import sys
from dataclasses import astuple, replace
from xml.etree import ElementTree as ET

import pytest
from outcomes import comparison, outcome

from bench.comparison.exports import document as json
from bench.comparison.exports import junit, markdown, pytest_benchmark
from bench.comparison.exports.text import ratio
from bench.comparison.judgement import Judgement
from bench.comparison.verdicts import Side, Verdict
from bench.errors import SpecError
from bench.gate.files import SUMMARY, write_summary
from bench.statistics.medians import Estimate

SIZE = len(Verdict)
CODE = "import sys; from pytest_benchmark.cli import main; sys.argv[0] = 'x'; main()"


def same(one, other):
    """Equal, NaN included."""
    return repr(astuple(one)) == repr(astuple(other))


def test_json_comes_back_as_it_was():
    assert same(json.loads(json.dumps(outcome()), "gate.json"), outcome())


def test_json_holds_every_cell_and_no_nan():
    document = standard_json.loads(json.dumps(outcome()), parse_constant=pytest.fail)

    assert {cell["verdict"] for cell in document["cells"]} == {v.name for v in Verdict}
    assert (document["schema"], document["exit_code"]) == (1, 1)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d | {"schema": 2}, "expected schema 1 in gate.json; got 2: use the version"),
        (lambda d: d | {"kind": "x"}, "got another kind of JSON"),
        (lambda d: [], "got another kind of JSON"),
        (lambda d: {k: v for k, v in d.items() if k != "when"}, "expected 'when' in gate.json"),
    ],
)
def test_json_of_another_kind_is_refused(change, text):
    document = standard_json.dumps(change(standard_json.loads(json.dumps(outcome()))))
    with pytest.raises(SpecError, match=text):
        json.loads(document, "gate.json")


def test_markdown_has_a_row_a_cell_the_worst_first_and_no_markup_of_its_own():
    text = markdown.dumps(outcome())
    rows = [line for line in text.splitlines() if line.startswith("| ")]

    assert len(rows) == SIZE + 2
    assert rows[2].startswith("| SLOWER |")
    assert all(len(re.split(r"(?<!\\)\|", row)) == 8 for row in rows)
    assert re.search(r"(?<!\\)[<>`_]", "".join(rows)) is None
    assert "Regression (exit 1)" in text


def test_a_large_markdown_is_cut_below_what_github_takes_and_keeps_the_worst():
    slow = Judgement(comparison(Verdict.SLOWER, "the slow one"), "wall")
    long = [Judgement(comparison(Verdict.SAME, f"{i} " + "x" * 300), "wall") for i in range(5000)]
    text = markdown.dumps(replace(outcome(), judgements=[*long, slow]))

    assert len(text.encode()) <= markdown.MOST_BYTES
    assert "the slow one" in text
    left_out = int(re.search(r"(\d+) more cells are left out", text)[1])
    assert len([line for line in text.splitlines() if line.startswith("| SAME")]) == 5000 - left_out


def test_the_summary_of_a_step_is_appended(tmp_path, monkeypatch):
    path = tmp_path / "summary"
    path.write_text("before\n")
    monkeypatch.setenv(SUMMARY, str(path))
    write_summary(outcome())

    assert path.read_text() == f"before\n{markdown.dumps(outcome())}"


def cases(strict=False):
    suite = ET.fromstring(junit.dumps(replace(outcome(), strict=strict)).encode())
    return suite, {case.get("name"): [child.tag for child in case] for case in suite}


def test_junit_has_a_testcase_a_cell():
    suite, found = cases()
    kinds = {name.split()[0]: tags[0] for name, tags in found.items()}

    assert len(found) == SIZE
    assert kinds == {
        "SLOWER": "failure",
        "BROKEN": "error",
        "MISSING": "error",
        "NOT_COMPARABLE": "error",
        "AMBIGUOUS": "skipped",
        "NEW": "skipped",
        "FASTER": "system-out",
        "SAME": "system-out",
    }
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["8", "1", "3", "2"]


def test_junit_fails_what_is_ambiguous_if_strict():
    suite, _ = cases(strict=True)

    assert suite.get("failures") == "2"


def test_junit_takes_any_text():
    odd = Judgement(comparison(Verdict.SAME, "\x00\x1b[31m<&\"'\ud800"), "wall")
    suite = ET.fromstring(junit.dumps(replace(outcome(), judgements=[odd])).encode())

    assert suite[0].get("name").endswith("[31m<&\"'\N{REPLACEMENT CHARACTER}")


def sides():
    return {
        "one": Side("nullspace d=48", [0.1 + 0.2, 1e-3, 1 / 3], environment="e", benchmark="b"),
        "two": Side("symmetry d=48", [2e-3] * 5, environment="e", benchmark="b"),
        "bad": Side("symmetry d=64", [], status="oom"),
    }


def test_samples_for_pytest_benchmark_come_back_bit_for_bit():
    found = pytest_benchmark.loads(pytest_benchmark.dumps(sides(), "abc", 0.0), "x")["wall"]

    assert {side.label: side.seconds for side in found.values()} == {
        side.label: side.seconds for side in sides().values() if side.status == "ok"
    }
    assert {(side.environment, side.benchmark) for side in found.values()} == {("e", "b")}


def test_pytest_benchmark_compares_what_we_write(tmp_path):
    for number, commit in enumerate(("abc", "def"), 1):
        path = tmp_path / f"000{number}_{commit}.json"
        path.write_text(pytest_benchmark.dumps(sides(), commit, 0.0))
    done = subprocess.run(
        [sys.executable, "-c", CODE, "compare", *map(str, sorted(tmp_path.glob("*.json")))],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )

    rows = [line for line in done.stdout.splitlines() if "d=48" in line]
    assert len(rows) == 4
    assert " 500.0000 " in next(row for row in rows if row.startswith("symmetry"))


def test_statistics_are_those_of_pytest_benchmark():
    from pytest_benchmark.stats import Stats

    samples = [1.0, 2.0, 3.0, 4.0, 5.5, 7.25, 30.0]
    theirs = Stats()
    for sample in samples:
        theirs.update(sample)
    ours = pytest_benchmark.statistics_of(samples)

    for name in ("min", "max", "mean", "stddev", "rounds", "median", "ops", "total"):
        assert ours[name] == pytest.approx(getattr(theirs, name))
    assert set(theirs.as_dict()) <= set(ours)
    # Theirs is the first outlier above; the whisker of a box plot ends at the last inlier.
    assert ours["hd15iqr"] == 7.25


def test_a_ratio_shows_its_interval():
    assert ratio(Estimate(1.3, 1.25, 1.35, 24)) == "1.300 [1.250, 1.350]"
    assert ratio(Estimate(math.nan, math.nan, math.nan, 0)) == "-"
