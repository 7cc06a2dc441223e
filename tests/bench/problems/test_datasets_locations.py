import sys
from pathlib import Path

import pytest
from idx_files import isolate, write_part

from bench.errors import DataError
from bench.problems.datasets import load_dataset, locations
from bench.problems.datasets.loaders.mnist import FASHION_MNIST, MNIST
from bench.problems.datasets.locations import find, locate, shown


@pytest.fixture
def roots(monkeypatch, tmp_path):
    roots = isolate(monkeypatch, tmp_path) | {"data_dir": tmp_path / "given"}
    roots["data_dir"].mkdir()
    return roots


def test_places_are_searched_in_order(roots):
    data_dir = roots["data_dir"]
    for name in ("debian", "shared", "cache", "variable", "data_dir"):
        write_part(roots[name] / "mnist", "t10k", 3)
        assert locate(MNIST.files, data_dir).folder == roots[name] / "mnist"


def test_parts_come_training_first_packed_or_not(roots):
    folder = roots["cache"] / "mnist"
    write_part(folder, "t10k", 3, "")
    write_part(folder, "train", 3)
    pairs = locate(MNIST.files, None).files
    assert [pair.images.name for pair in pairs] == [
        "train-images-idx3-ubyte.gz",
        "t10k-images-idx3-ubyte",
    ]


def test_root_that_is_the_data_sets_folder_is_taken(roots):
    folder = roots["data_dir"] / "mnist"
    write_part(folder, "t10k", 3)
    assert locate(MNIST.files, folder).folder == folder
    # Files of the same names: MNIST must not pass for Fashion-MNIST.
    assert find(FASHION_MNIST.files, folder) is None


def test_missing_data_set_lists_places_and_command(roots):
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", roots["data_dir"])
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("expected the files of data set 'mnist', train-images-idx3-ubyte.gz")
    assert lines[1:6] == [
        f"  --data-dir: {roots['data_dir'] / 'mnist'}",
        f"  $TELEPORT_DATA: {roots['variable'] / 'mnist'}",
        f"  user cache: {roots['cache'] / 'mnist'}",
        f"  ../shared/data: {roots['shared'] / 'mnist'}",
        f"  {roots['debian']}: {roots['debian'] / 'mnist'}",
    ]
    assert lines[6:] == ["download them with: teleport-bench data fetch mnist"]


def test_places_that_this_machine_lacks_say_why(roots, monkeypatch, tmp_path):
    monkeypatch.delenv("TELEPORT_DATA")
    monkeypatch.setattr(locations, "_CHECKOUT", tmp_path / "site-packages")
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataError) as caught:
        locate(MNIST.files, None)
    message = str(caught.value)
    assert "--data-dir: not given" in message
    assert "$TELEPORT_DATA: not set" in message
    assert "user cache: pooch, which knows where that is, is missing" in message
    assert "../shared/data: not a source checkout" in message


def test_data_is_found_without_pooch(roots, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    write_part(roots["debian"] / "mnist", "t10k", 3)
    assert locate(MNIST.files, None).folder == roots["debian"] / "mnist"


def test_data_dir_that_is_no_folder_is_refused_not_passed_over(roots, tmp_path):
    write_part(roots["debian"] / "mnist", "t10k", 3)
    with pytest.raises(DataError, match="expected --data-dir to be a folder; there is none at"):
        locate(MNIST.files, tmp_path / "mistyped")


@pytest.mark.parametrize("lost", ["images-idx3", "labels-idx1"])
def test_half_a_pair_is_refused_not_passed_over(roots, lost):
    folder = roots["cache"] / "mnist"
    write_part(folder, "t10k", 3)
    write_part(folder, "train", 3)
    (folder / f"train-{lost}-ubyte.gz").unlink()
    with pytest.raises(DataError) as caught:
        locate(MNIST.files, None)
    message = str(caught.value)
    assert message.startswith(f"expected train-{lost}-ubyte(.gz) beside {folder}")
    assert message.endswith("there is none: teleport-bench data fetch mnist")


def test_source_names_neither_the_user_nor_where_the_checkout_is(roots, monkeypatch):
    home = roots["cache"].parent
    monkeypatch.setattr(Path, "home", lambda: home)
    assert shown(home / "x" / "mnist") == "~/x/mnist"
    assert shown(Path("/usr/share/datasets")) == "/usr/share/datasets"
    write_part(roots["shared"] / "mnist", "t10k", 5)
    assert load_dataset("mnist").source.startswith("../shared/data/mnist, only its t10k files")
    write_part(roots["cache"] / "mnist", "t10k", 5)
    assert load_dataset("mnist").source.startswith("~/cache/mnist, ")


@pytest.mark.parametrize(
    "where", ["MNIST/raw", "MNIST", "mnist/raw", "mnist"], ids=lambda where: where
)
def test_mnist_is_found_where_other_libraries_put_it(roots, where):
    folder = roots["data_dir"] / where
    write_part(folder, "t10k", 3)
    assert locate(MNIST.files, roots["data_dir"]).folder == folder
    # A root may itself be one of these folders, or the upper of two.
    assert locate(MNIST.files, folder).folder == folder
    assert locate(MNIST.files, roots["data_dir"] / where.split("/")[0]).folder == folder
    assert find(FASHION_MNIST.files, roots["data_dir"]) is None


def test_files_with_a_dot_in_their_names_or_in_folders_of_their_own_are_found(roots):
    folder = roots["data_dir"] / "mnist"
    write_part(folder, "t10k", 3, "")
    images, labels = (folder / f"t10k-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
    images.rename(folder / "t10k-images.idx3-ubyte")
    labels.rename(folder / "kept")
    labels.mkdir()
    (folder / "kept").rename(labels / labels.name)

    (pair,) = locate(MNIST.files, roots["data_dir"]).files

    assert pair.images == folder / "t10k-images.idx3-ubyte"
    assert pair.labels == labels / labels.name


def test_a_plain_file_comes_before_a_packed_one_that_may_be_cut(roots):
    folder = roots["data_dir"] / "mnist"
    write_part(folder, "t10k", 3, "")
    for path in list(folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(b"")
    assert len(load_dataset("mnist", roots["data_dir"])) > 0
