import subprocess
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

from bench.errors import DataError, RegistrationError
from bench.problems.datasets import Dataset, Provider, dataset_names, load_dataset
from bench.problems.datasets.registry import GROUP
from bench.problems.datasets.split import split_indices


def small(**changes):
    values = {
        "name": "small",
        "inputs": torch.zeros(3, 2),
        "targets": torch.tensor([0, 1, 2]),
        "heldout_inputs": torch.ones(1, 2),
        "heldout_targets": torch.tensor([1]),
        "outputs": 3,
        "source": "made up",
    }
    return Dataset(**(values | changes))


def load_small(data_dir):
    return small(source=str(data_dir))


def load_nonsense(data_dir):
    return [data_dir]


SMALL, NONSENSE = Provider(load_small), Provider(load_nonsense)


def register(monkeypatch, *points):
    found = [EntryPoint(name, value, GROUP) for name, value in points]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found)


def test_digits_are_scaled_and_split():
    digits = load_dataset("digits")

    assert digits.inputs.shape == (1438, 1, 8, 8)
    assert digits.heldout_inputs.shape == (359, 1, 8, 8)
    assert digits.inputs.dtype == torch.float32
    assert digits.targets.dtype == torch.int64
    both = torch.cat([digits.inputs, digits.heldout_inputs])
    assert both.min() == 0
    assert both.max() == 1
    assert digits.outputs == 10
    assert digits.source == ("scikit-learn's digits, 1438 for training, 359 held out (seed 0)")


def test_digits_keep_every_sample_with_its_target():
    from sklearn.datasets import load_digits

    pixels, targets = load_digits(return_X_y=True)
    digits = load_dataset("digits")

    def rows(x, y):
        return sorted((*row, label) for row, label in zip(x.tolist(), y.tolist(), strict=True))

    ours = rows(digits.inputs.flatten(1) * 16, digits.targets)
    theirs = rows(digits.heldout_inputs.flatten(1) * 16, digits.heldout_targets)
    assert sorted(ours + theirs) == rows(pixels, targets)


def test_auto_is_digits():
    assert load_dataset("auto").name == "digits"


def test_without_scikit_learn_the_message_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match="pip install scikit-learn, or choose another"):
        load_dataset("digits")


def test_split_is_the_same_on_every_machine():
    train, heldout = split_indices(20)
    # Written down once: a change would make old and new runs train on different samples.
    assert heldout.tolist() == [11, 3, 13, 2]
    assert sorted([*train, *heldout]) == list(range(20))


@pytest.mark.parametrize(("count", "heldout"), [(2, 1), (5, 1), (10, 2), (1797, 359)])
def test_split_holds_out_a_fifth_but_at_least_one(count, heldout):
    ours, theirs = split_indices(count)
    assert (len(ours), len(theirs)) == (count - heldout, heldout)
    assert not np.intersect1d(ours, theirs).size


def test_one_sample_cannot_be_split():
    with pytest.raises(DataError, match="expected at least 2 samples to split; got 1"):
        split_indices(1)


def test_names_are_ours_and_sorted():
    assert {"digits", "fashion-mnist", "mnist"} <= set(dataset_names())
    assert dataset_names() == sorted(dataset_names())


@pytest.mark.parametrize("wrong", ["minst", "MNIST-"])
def test_unknown_name_lists_what_is_known(wrong):
    with pytest.raises(DataError) as caught:
        load_dataset(wrong)
    assert (
        "one of cifar-10, cifar-100, digits, electricity, exchange_rate, fashion-mnist, mnist"
        in str(caught.value)
    )
    assert f"got {wrong!r}" in str(caught.value)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(DataError, match=r"got 'fashion_mnist'; did you mean 'fashion-mnist'\?"):
        load_dataset("fashion_mnist")


def test_entry_point_adds_a_data_set_that_is_given_the_folder(monkeypatch, tmp_path):
    register(monkeypatch, ("small", f"{__name__}:SMALL"))
    assert "small" in dataset_names()
    assert load_dataset("small", tmp_path).source == str(tmp_path)


def test_two_loaders_of_one_name_are_refused(monkeypatch):
    register(monkeypatch, ("mnist", "other:load"))
    with pytest.raises(RegistrationError, match=r"MNIST and other:load are registered: rename"):
        load_dataset("digits")


@pytest.mark.parametrize("address", ["not_installed:load", f"{__name__}:absent"])
def test_loader_that_cannot_be_imported_is_named(monkeypatch, address):
    register(monkeypatch, ("small", address))
    with pytest.raises(RegistrationError, match=f"'small' of {GROUP} at {address}; .*: install"):
        load_dataset("small")


def test_loader_that_returns_something_else_is_refused(monkeypatch):
    register(monkeypatch, ("small", f"{__name__}:NONSENSE"))
    with pytest.raises(DataError, match=r"to return a bench.problems.datasets.Dataset; got list"):
        load_dataset("small")


def test_an_entry_that_is_no_provider_is_refused(monkeypatch):
    register(monkeypatch, ("small", f"{__name__}:load_small"))
    with pytest.raises(DataError, match=r"set 'small', to be a .*Provider; got function"):
        load_dataset("small")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": torch.zeros(3)}, r"inputs to be \[samples, ...\] .*; got \[3\] of torch"),
        (
            {"inputs": torch.zeros(3, 2).double()},
            r"inputs .*float32 or torch.uint8; got \[3, 2\] of torch.float64",
        ),
        (
            {"inputs": torch.zeros(0, 2), "targets": torch.zeros(0).long()},
            r"inputs .*; got \[0, 2\]",
        ),
        (
            {"targets": torch.tensor([0, 1])},
            r"targets to be \[samples\] = \[3\] of torch.int64; got \[2\]",
        ),
        ({"targets": torch.zeros(3)}, r"targets .*; got \[3\] of torch.float32"),
        ({"targets": torch.tensor([0, 1, 3])}, "targets to be class numbers 0 to 2; got 0 to 3"),
        ({"heldout_targets": torch.tensor([-1])}, "heldout_targets .* 0 to 2; got -1 to -1"),
        (
            {"heldout_inputs": torch.zeros(1, 3)},
            r"heldout_inputs to be samples of \[2\] .*; got \[3\]",
        ),
    ],
)
def test_data_set_that_does_not_fit_together_is_refused(changes, message):
    small()
    with pytest.raises(DataError, match=f"data set 'small': expected {message}"):
        small(**changes)


def test_names_and_inventory_do_not_import_torch():
    code = (
        "import sys; from bench.problems.datasets import dataset_names; dataset_names();"
        "from bench.problems.datasets.inventory import inventory; inventory();"
        "heavy = {'torch', 'sklearn', 'pandas'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
