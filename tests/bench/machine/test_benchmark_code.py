"""The key of the measuring code: what changes it and what does not."""

import shutil
from pathlib import Path

import pytest

from bench.machine import benchmark_code
from bench.machine.benchmark_code import benchmark_key, essence

CLOCK = 'def now():\n    """The time."""\n    return 1  # now\n'


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "bench" / "problems").mkdir(parents=True)
    (tmp_path / "bench" / "timing").mkdir()
    (tmp_path / "bench" / "timing" / "clock.py").write_text(CLOCK)
    (tmp_path / "bench" / "problems" / "mlp.py").write_text("x = 1")
    (tmp_path / "bench" / "report.py").write_text("x = 1")
    return tmp_path


def changed(tree, name, text):
    before = benchmark_key(tree)
    (tree / "bench" / name).write_text(text)
    return benchmark_key(tree) != before


def test_what_measures_and_what_is_built_count(tree):
    assert changed(tree, "timing/clock.py", CLOCK.replace("1", "2"))
    assert changed(tree, "problems/mlp.py", "x = 2")
    assert changed(tree, "problems/new.py", "x = 1")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("worker/block.py", "options_at(variant, point.t)", "options_at(variant, 2 * point.t)"),
        ("timing/clock.py", "return end - start", "return 2 * (end - start)"),
        ("problems/networks/mlp.py", "[shape.d] * (shape.l - 1)", "[shape.d] * shape.l"),
    ],
)
def test_a_change_of_what_is_timed_here_counts(tmp_path, name, old, new):
    """How a method is called counts as much as the clock."""
    package = Path(benchmark_code.__file__).parents[1]
    for folder in benchmark_code._MEASURING:
        if (package / folder).is_dir():
            shutil.copytree(package / folder, tmp_path / "bench" / folder)
    source = (tmp_path / "bench" / name).read_text()
    assert old in source

    assert changed(tmp_path, name, source.replace(old, new))


def test_every_name_of_what_measures_is_a_file_or_a_package_here():
    package = Path(benchmark_code.__file__).parents[1]

    assert all((package / name).exists() for name in benchmark_code._MEASURING)


def test_comments_docstrings_layout_and_other_files_do_not(tree):
    assert not changed(tree, "timing/clock.py", "def now():\n\n    return (1)\n")
    assert not changed(tree, "report.py", "x = 2")


def test_a_string_that_is_no_docstring_counts():
    assert essence('x = "a"') != essence('x = "b"')
    assert essence('"a"') == essence('"b"')


def test_a_tree_without_such_code_has_no_key(tmp_path, tree):
    assert benchmark_key(tmp_path / "nothing") is None
    (tree / "bench" / "timing" / "clock.py").write_text("def now(:")
    assert benchmark_key(tree) is None
