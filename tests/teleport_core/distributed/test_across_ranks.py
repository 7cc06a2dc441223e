"""Ranks of a group end where one process with all their samples does, or all where they began."""

import signal
from typing import Any

import pytest
import torch
from processes_of_ranks import answers
from torch import nn

from teleport_core import OptionError, teleport


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    found, ended = answers("all", tmp_path_factory.mktemp("ranks") / "store")
    assert ended == [0, 0, -signal.SIGKILL]
    return found


def test_ranks_end_where_one_process_does_bit_for_bit(said: dict[int, Any]) -> None:
    for one in said.values():
        for engine in ("one", "textbook", "pair"):
            assert one[engine] == {
                "as_one_process": True,
                "same_result": True,
                "moved": True,
                "status": "DONE",
            }


def test_a_schedule_takes_a_wrapped_model_and_training_goes_on_as_one(
    said: dict[int, Any],
) -> None:
    for one in said.values():
        trained = one["trained"]
        assert (trained["status"], trained["moved"], trained["as_one"]) == ("DONE", True, True)
        assert trained["way"] == "sharded"
        assert "expected no guard with process_group" in trained["guard"]["text"]
        assert trained["guard"]["unmoved"]


def test_sharded_parameters_are_refused_and_the_model_works_on(said: dict[int, Any]) -> None:
    for one in said.values():
        assert one["sharded"]["text"].startswith("ModelError")
        assert "before fully_shard or distribute_module" in one["sharded"]["text"]
        assert one["sharded"]["works"]


@pytest.mark.parametrize(
    ("case", "errors", "text"),
    [
        ("nobody", ("OptionError", "OptionError"), "torch.distributed.group.WORLD"),
        ("nobody", ("OptionError", "OptionError"), "process_group='local'"),
        ("nobody_wrapped", ("OptionError", "OptionError"), "process_group='local'"),
        ("wrapped_local", ("ModelError", "ModelError"), "one of 3 replicas"),
        ("no_group", ("OptionError", "OptionError"), "'locally'"),
        ("option", ("RankError", "RankError"), "method and options to be the same"),
        ("unknown_option", ("RankError", "OptionError"), "tua"),
        ("parameter", ("RankError", "RankError"), "parameters to be the same on all ranks"),
        ("nan", ("ProblemError", "ProblemError"), "NaN"),
        ("rows", ("RankError", "ProblemError"), "rows for each of the 3 samples"),
        ("batch_norm", ("ModelError", "ModelError"), "1 (BatchNorm1d) normalizes"),
        ("sync_batch_norm", ("ModelError", "ModelError"), "1 (SyncBatchNorm) normalizes"),
        ("forward", ("RankError", "ProblemError"), "planted"),
        ("other_loss", ("RankError", "RankError"), "the same loss of the same batch"),
        ("later", ("ZeroDivisionError", "RankError"), "planted"),
    ],
)
def test_one_fails_and_all_are_as_before(
    said: dict[int, Any], case: str, errors: tuple[str, str], text: str
) -> None:
    for rank, one in said.items():
        assert one["bad"][case]["error"] == errors[rank]
        assert text in one["bad"][case]["text"]
        assert one["bad"][case]["unmoved"]


def test_ranks_that_round_otherwise_take_what_the_first_reached(said: dict[int, Any]) -> None:
    for one in said.values():
        assert (one["rounded"]["error"], one["rounded"]["as_the_first"]) == ("nothing", True)
        assert one["rounded"]["loss"] == said[0]["rounded"]["loss"]


def test_a_killed_rank_leaves_the_others_as_before(said: dict[int, Any]) -> None:
    for one in said.values():
        assert one["killed"]["error"] == "RankError"
        assert "one ended, hangs or did not make the call" in one["killed"]["text"]
        assert one["killed"]["unmoved"]


def test_a_process_on_its_own_says_nothing_or_local() -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    batch = torch.randn(2, 3), torch.tensor([0, 1])
    with pytest.raises(OptionError, match="expected process_group to be None, 'local' or"):
        teleport(model, nn.CrossEntropyLoss(), batch, process_group="world")
    teleport(model, nn.CrossEntropyLoss(), batch, process_group="local", steps=1)
