import hashlib
import subprocess
import sys

import pytest
from idx_files import isolate, publish_mnist, write_part
from outside_package import write_package
from typer.testing import CliRunner

from bench.cli.looking.data import app
from bench.errors import DataError
from bench.problems.datasets import fetch as fetch_module

LABELS = "t10k-labels-idx1-ubyte.gz"


@pytest.fixture
def roots(monkeypatch, tmp_path):
    return isolate(monkeypatch, tmp_path)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rows(result):
    return {line.split()[0]: line for line in result.stdout.splitlines()}


CIFAR = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"


def test_list_shows_each_data_set_where_and_how_many(roots):
    write_part(roots["cache"] / "mnist", "train", 12)
    write_part(roots["cache"] / "mnist", "t10k", 5)

    result = run("list")

    assert result.exit_code == 0
    table = rows(result)
    assert table["name"].split() == ["name", "found", "where", "samples"]
    assert table["digits"].split() == ["digits", "yes", "with", "scikit-learn", "1797"]
    assert table["mnist"].split() == ["mnist", "yes", str(roots["cache"] / "mnist"), "17"]
    missing = "fashion-mnist no teleport-bench data fetch fashion-mnist -"
    assert table["fashion-mnist"].split() == missing.split()
    assert table["cifar-10"].split()[:4] == ["cifar-10", "no", "download", CIFAR]
    assert "\x1b" not in result.stdout


def test_list_survives_damage_and_says_what_it_is(roots):
    write_part(roots["cache"] / "mnist", "t10k", 5)
    labels = roots["cache"] / "mnist" / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(b"nonsense")
    table = rows(run("list"))
    assert table["mnist"].startswith("mnist             damaged")
    assert str(labels) in table["mnist"]
    assert table["digits"].split()[1] == "yes"


OUTSIDE = """
import torch
from bench.problems.datasets import Dataset, Provider

def load(data_dir):
    part = torch.zeros(3, 2), torch.tensor([0, 1, 2])
    return Dataset.from_parts("toys", part, part, 3, "made up")

TOYS = Provider(load)
"""


def test_a_data_set_of_an_outside_package_is_listed_and_checked(roots, monkeypatch, tmp_path):
    entries = {"toys": "outside_toys:TOYS", "broken": "outside_toys:ABSENT"}
    write_package(tmp_path, "outside_toys", OUTSIDE, {"teleport_bench.datasets": entries})
    monkeypatch.syspath_prepend(str(tmp_path))

    table = rows(run("list"))

    assert table["toys"].split() == ["toys", "yes", "with", "outside_toys", "-"]
    assert table["broken"].split()[1] == "damaged"
    assert "made up  3 x 2  -    loaded" in rows(run("check", "toys"))["toys"]
    assert "'toys', which needs no download" in str(run("fetch", "toys").exception)


def test_list_takes_a_data_dir(roots, tmp_path):
    write_part(tmp_path / "mine" / "mnist", "t10k", 5)
    table = rows(run("list", "--data-dir", tmp_path / "mine"))
    assert table["mnist"].split()[-2:] == [str(tmp_path / "mine" / "mnist"), "5"]


def test_check_parses_and_hashes_what_is_here(roots, monkeypatch):
    folder = roots["cache"] / "mnist"
    write_part(folder, "t10k", 5)
    write_part(folder, "train", 6, "")
    images = folder / "t10k-images-idx3-ubyte.gz"
    md5 = hashlib.md5(images.read_bytes()).hexdigest()
    publish_mnist(monkeypatch, "", {images.name: md5, LABELS: "0" * 32})

    result = run("check")

    assert result.exit_code == 0
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
    assert [line[0] for line in lines] == ["name", "digits"] + ["mnist"] * 4
    notes = {line[1].split()[0]: line[1] for line in lines if line[0] == "mnist"}
    assert notes[str(images)].endswith(f"5 x 28 x 28  {md5}  the official file")
    assert notes[str(folder / LABELS)].endswith("not byte for byte the official file")
    assert notes[str(folder / "train-labels-idx1-ubyte")].endswith("not packed, no official hash")


def test_check_reports_all_damage_and_still_checks_the_rest(roots):
    write_part(roots["cache"] / "mnist", "t10k", 5)
    write_part(roots["cache"] / "fashion-mnist", "t10k", 5)
    broken = [roots["cache"] / name / LABELS for name in ("fashion-mnist", "mnist")]
    broken[0].write_bytes(broken[0].read_bytes()[:-1])  # only reading to the end shows it
    broken[1].write_bytes(b"nonsense")  # the header shows it

    result = run("check")

    assert isinstance(result.exception, DataError)
    problems = str(result.exception).splitlines()
    assert len(problems) == 2
    assert all(str(path) in line for path, line in zip(broken, problems, strict=True))
    assert "digits" in rows(result)


def test_check_of_a_name_that_is_not_here_is_a_data_error(roots):
    assert isinstance(run("check", "mnist").exception, DataError)
    assert "did you mean 'mnist'" in str(run("check", "mnits").exception)


def test_check_without_files_checks_what_is_bundled(roots):
    result = run("check")
    assert result.exit_code == 0
    assert list(rows(result)) == ["name", "digits"]


def test_check_catches_a_label_that_no_header_shows(roots):
    folder = roots["cache"] / "mnist"
    write_part(folder, "t10k", 5, "")
    labels = folder / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x0a")
    assert "found 10 at byte 12" in str(run("check", "mnist").exception)


def test_fetch_prints_the_files(roots, monkeypatch, tmp_path):
    made = [tmp_path / "a", tmp_path / "b"]
    asked = []
    monkeypatch.setattr(fetch_module, "fetch", lambda *given: asked.append(given) or made)
    result = run("fetch", "mnist", "--data-dir", tmp_path)
    assert result.stdout.split() == [str(path) for path in made]
    assert asked == [("mnist", tmp_path)]


def test_fetch_needs_a_name():
    result = run("fetch")
    assert result.exit_code == 2
    assert "Missing argument" in result.output


def test_list_and_help_import_neither_torch_nor_scikit_learn():
    code = (
        "import sys; from typer.testing import CliRunner; from bench.cli.looking.data import app;"
        "codes = [CliRunner().invoke(app, [word]).exit_code for word in ('--help', 'list')];"
        "heavy = {'torch', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules);"
        "assert codes == [0, 0], codes; assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
