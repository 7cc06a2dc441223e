"""Ranks that each work on their own samples end where one process with all of them does."""

from pathlib import Path
from typing import Any

import pytest
from processes_of_ranks import answers

from teleport_core.nullspace.ranks.volume import floats, floats_of_last, way, way_of_last

THREE = 2 / 3  # (R-1)/R


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    return answers("shards", tmp_path_factory.mktemp("shards") / "store")[0]


def require_exact(said: dict[int, Any]) -> None:
    """To 1e-11 of the update in float64 and 5e-6 in float32; the same bits on all ranks."""
    for name, one in said[0].items():
        bound = 5e-6 if name.endswith("float32") else 1e-11
        for other in said.values():
            assert other[name]["off"] <= bound, name
            assert other[name]["bits"] == one["bits"], name
            assert other[name]["said"] == one["said"], name
        assert one["same"][0] == one["same"][1], name
        assert one["moved"] > 1e-4, name
        assert one["way"] == "sharded"
        for ours, theirs in zip(*one["norms"], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5 if bound > 1e-9 else 1e-10), name


def test_ranks_end_where_one_process_with_all_samples_does(said: dict[int, Any]) -> None:
    require_exact({rank: one["rows"] for rank, one in said.items()})
    engines = {name: one["engine"][0] for name, one in said[0]["rows"].items()}
    assert (engines["mlp"], engines["encoder"]) == ("half_hvp", "traced")
    assert "1 of 2 gradients and 1 of 2 updates" in said[0]["rows"]["thin and dense"]["engine"][1]
    assert said[0]["rows"]["cap"]["same"][0][0] == "CAPPED"


def test_ranks_that_round_otherwise_take_what_the_first_reached(said: dict[int, Any]) -> None:
    (bits,) = {one["rounded"]["bits"] for one in said.values()}
    assert bits != said[0]["rows"]["mlp"]["bits"]
    assert said[0]["rounded"]["off"] < 1e-11


def test_what_is_left_out_of_the_sums_shows(said: dict[int, Any]) -> None:
    off = said[0]["spoiled"]
    assert {*off} == {"alone", "weights", "bases", "gradients", "rows"}
    for name, distance in off.items():
        assert distance > 1e-3, name


def test_what_couples_samples_is_refused_or_exact(said: dict[int, Any]) -> None:
    for one in said.values():
        refused, experts = one["refused"], one["experts"]
        assert "nobody knows whether refused.<locals>.contrast couples" in refused["contrastive"]
        assert refused["tau"].startswith("OptionError")
        assert "rescale needs the samples of all ranks" in refused["method"]
        assert "1 (BatchNorm1d) normalizes by statistics" in refused["replicated"]
        assert "it cannot go sharded either: nobody knows" in refused["coupled"]
        assert "1 (SyncBatchNorm) normalizes by statistics" in refused["sync"]
        assert "got 'shard'" in refused["unknown"]
        assert experts["auto"] == "moved"
        assert experts["auto moved"]
        assert "the layers that may move to be the same on all ranks" in experts["sharded"]
        assert not experts["sharded moved"]
    assert "targets that count on every rank" in said[0]["refused"]["ignored"]
    assert said[1]["refused"]["ignored"].startswith("RankError")


def test_steps_bring_what_the_formulas_say(said: dict[int, Any]) -> None:
    """f N (sum o + sum (d+1)) thin, 2 f (sum o (d+1) + sum o (d+1)) dense; means over ranks."""
    N = 60
    thin = THREE * (N * (256 + 192) + N * 257 + 2 * 10 * 193)
    N = 50
    mixed = THREE * (2 * 128 * 21 + N * 512 + N * 129 + 2 * 4 * 513)
    convolutions = [(24, 3 * 9), (64, 24 * 9)]
    dense = 2 * THREE * (sum(o * (d + 1) for o, d in convolutions) + 64 * (24 * 9 + 1))
    for name, formula in {"thin": thin, "mixed": mixed, "dense": dense}.items():
        found = {
            kind: sum(one["volume"][name][kind] for one in said.values()) / len(said)
            for kind in ("floats", "bytes", "sockets")
        }
        assert found["floats"] == pytest.approx(formula, rel=0.001), name
        for kind in ("bytes", "sockets"):
            assert found[kind] == pytest.approx(8 * formula, rel=0.05), (name, kind)


def test_a_model_that_is_spread_over_ranks_moves_as_a_whole(said: dict[int, Any]) -> None:
    for one in said.values():
        spread = one["spread"]
        assert (spread["off"], spread["kept"], spread["loss"]) == (0.0, 0.0, 0.0)
        assert (spread["hooked"], spread["trained"], spread["spread"]) == (True, True, True)
        assert spread["kind"] == "Sequential"
        assert "whose parameters are spread over ranks" in spread["plain"]
        assert "its mixed precision policy says torch.bfloat16" in spread["half"]


@pytest.mark.parametrize(
    ("widths", "N", "ranks", "millions"),
    [
        ((784, 1024, 1024, 10), 64, 2, 0.109),
        ((784, 1024, 1024, 10), 256, 8, 0.706),
        ((784, 1024, 1024, 10), 1024, 8, 2.77),
        ((784, 4096, 4096, 10), 256, 8, 2.82),
    ],
)
def test_the_cheaper_exchange_is_chosen_for_every_product(
    widths: tuple[int, ...], N: int, ranks: int, millions: float
) -> None:
    total = 0
    *lower, last = zip(widths[1:], widths, strict=False)
    for place, (out, d) in enumerate(lower):
        moves = place > 0
        total += floats(way(out, d + 1, N, moves=moves), out, d + 1, N, moves=moves)
    out, features = last[0], last[1] + 1
    chosen = way_of_last(out, features, N, moves=True, gathered=True)
    total += floats_of_last(chosen, out, features, N, moves=True)
    assert total * (ranks - 1) / ranks == pytest.approx(millions * 1e6, rel=0.01)


@pytest.mark.long
@pytest.mark.parametrize("world", [2, 3])
def test_every_row_is_exact(tmp_path: Path, world: int) -> None:
    found = answers("rows", tmp_path / "store", world)[0]
    assert len(found[0]["rows"]) == 24
    require_exact({rank: one["rows"] for rank, one in found.items()})
