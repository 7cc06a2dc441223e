"""What differs between two runs has a name and both values."""

import pytest

from bench.machine.comparable import COMPARABLE
from bench.machine.model_code import KEY
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.variants import parse_variant
from bench.storage.mismatch import (
    code_differences,
    environment_differences,
    model_differences,
    spec_differences,
)

SPEC = load_preset("smoke").with_overrides(device="cpu")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 7}, ["seed was 0, is 7"]),
        ({"base": {**SPEC.base, "t": 3}}, [f"base.t was {SPEC.base['t']}, is 3"]),
        ({"device": "cuda:1"}, ["device was 'cpu', is 'cuda'"]),
        (
            {"variants": (parse_variant("identity"),)},
            [
                "methods was ['nullspace', 'symmetry'], is ['identity']",
                "preservation.variants was ['nullspace', 'symmetry'], is ['identity']",
            ],
        ),
        ({"budget": 5.0, "preset": "other", "data_dir": "/data"}, []),
        ({"variants": SPEC.variants[::-1]}, []),
    ],
)
def test_keys_of_a_spec(changes, said):
    other = SPEC.with_overrides(**changes)

    assert spec_differences(SPEC, other) == said
    assert bool(said) == (SPEC.digest() != other.digest())


def test_of_many_keys_the_first_are_named():
    other = SPEC.with_overrides(
        seed=1, bias=True, dtype="float64", threads=1, axes=(parse_axis("n=2,4"),)
    )
    named = spec_differences(SPEC, other)

    assert named[:3] == [
        "dtype was 'float32', is 'float64'",
        "bias was False, is True",
        "seed was 0, is 1",
    ]
    assert len(named) == 4
    assert named[3].endswith(" more keys differ")


def test_entries_of_an_environment():
    one = dict.fromkeys(COMPARABLE, 1) | {"driver": "580.1", "load_average": [1]}

    assert environment_differences(one, one | {"driver": "580.2", "load_average": [2]}) == []
    assert environment_differences(one, one | {"torch": "2.13.0", "gpu_name": None}) == [
        "torch was 1, is '2.13.0'",
        "gpu_name was 1, is absent",
    ]


def test_files_of_a_model_and_their_commits():
    one = {KEY: {"net.py": "1", "old.py": "2", "same.py": "3"}, "model_commit": "a"}
    other = {KEY: {"net.py": "4", "same.py": "3"}, "model_commit": "b"}

    assert model_differences(one, other) == [
        "net.py was '1', is '4'",
        "old.py was '2', is absent",
        "model_commit was 'a', is 'b'",
    ]
    assert model_differences(one, one | {"model_commit": "b"}) == []


@pytest.mark.parametrize("unknown", [{}, {KEY: None}, {KEY: 3}])
def test_runs_that_do_not_know_their_model_are_no_reason_to_refuse(unknown):
    assert model_differences(unknown, {KEY: {"a.py": "1"}}) == []
    assert model_differences({KEY: {"a.py": "1"}}, unknown) == []


def test_code_that_measures():
    assert code_differences({"benchmark_code": "a"}, {"benchmark_code": "b"}) == [
        "benchmark_code was 'a', is 'b'"
    ]
    assert code_differences({"benchmark_code": "a"}, {"benchmark_code": "a"}) == []
