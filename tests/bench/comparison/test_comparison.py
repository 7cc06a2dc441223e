"""Verdicts on injected samples: every kind of cell, and simulated suites of identical code."""

import math
import subprocess
import sys

import numpy as np
import pytest

from bench.comparison.verdicts import CellComparison, Side, Verdict, compare_cells

CELLS, COUNT = 50, 30
NAN, INF = math.nan, math.inf


def side(seconds, session="", **facts):
    return Side("a cell", list(seconds), range(len(seconds)), session, **facts)


def compare(base, head, **options):
    (found,) = compare_cells({"c": base}, {"c": head}, **options)
    return found


def around(centre, count=12, noise=0.01):
    """Samples spread evenly in log time, ``noise`` to either side."""
    return (centre * np.exp(np.linspace(-noise, noise, count))).tolist()


# One cell


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [
        (1.0, Verdict.SAME),
        (1.02, Verdict.SAME),
        (1 / 1.02, Verdict.SAME),
        (1.05, Verdict.AMBIGUOUS),
        (1 / 1.05, Verdict.AMBIGUOUS),
        (1.1, Verdict.SLOWER),
        (1 / 1.1, Verdict.FASTER),
    ],
)
@pytest.mark.parametrize("session", ["", "together"])
def test_verdict_of_a_clear_ratio(factor, verdict, session):
    rng = np.random.default_rng(1)
    base = rng.permutation(around(3.0))
    head = rng.permutation(around(3.0 * factor))
    found = compare(side(base, session), side(head, session))
    assert found.verdict is verdict
    assert found.ratio.value == pytest.approx(factor, rel=0.01)
    assert found.ratio.low < found.ratio.value < found.ratio.high
    assert (found.base_count, found.head_count, found.ratio.count) == (12, 12, 12)
    assert found.base_median == pytest.approx(3.0)
    assert found.head_median == pytest.approx(3.0 * factor)
    assert found.paired == bool(session)


def test_minimum_effect_decides_what_matters():
    base, head = side(around(1.0)), side(around(1.1))
    assert compare(base, head, min_effects=0.05).verdict is Verdict.SLOWER
    assert compare(base, head, min_effects=0.2).verdict is Verdict.SAME
    assert compare(base, head, min_effects={"c": 0.1}).verdict is Verdict.AMBIGUOUS
    assert compare(base, head, min_effects={"c": 0.1}).min_effect == 0.1


@pytest.mark.parametrize("effect", [0.0, -0.1, NAN, {}, {"d": 0.1}])
def test_minimum_effect_that_is_none_is_refused(effect):
    with pytest.raises(
        ValueError, match=r"positive minimum effect for cell c; got .* 0.05 for 5 %"
    ):
        compare(side(around(1.0)), side(around(1.0)), min_effects=effect)


def test_a_large_ratio_of_noisy_samples_is_ambiguous():
    rng = np.random.default_rng(2)
    noisy = side(np.exp(0.5 * rng.standard_normal(12)))
    found = compare(noisy, side(1.2 * np.exp(0.5 * rng.standard_normal(12))))
    assert found.verdict is Verdict.AMBIGUOUS
    assert "wide: the noise hides the minimum effect" in found.reason


@pytest.mark.parametrize(
    ("base", "head", "verdict", "reason"),
    [
        (None, side([1.0]), Verdict.NEW, "base has no such cell"),
        (side([1.0]), None, Verdict.MISSING, "head has no such cell"),
        (side([1.0]), side([], status="oom"), Verdict.BROKEN, "head: oom"),
        (side([1.0]), side([2.0], status="crashed", reason="x"), Verdict.BROKEN, "crashed (x)"),
        (side([], status="oom"), side([], status="oom"), Verdict.BROKEN, "base: oom; head: oom"),
        (side([], status="oom"), side([1.0]), Verdict.NEW, "base: oom"),
        (side([1.0]), side([]), Verdict.BROKEN, "head: no samples"),
        (side([1.0]), side([1.0, NAN]), Verdict.BROKEN, "head: 1 of 2 samples are no times"),
        (side([INF]), side([1.0]), Verdict.BROKEN, "base: 1 of 1 samples are no times, one is inf"),
        (side([1.0]), side([-1.0]), Verdict.BROKEN, "one is -1.0"),
        (side([1.0] * 9), side([0.0] * 9), Verdict.AMBIGUOUS, "below the clock's resolution"),
        (
            side([1.0], environment="a"),
            side([1.0], environment="b"),
            Verdict.NOT_COMPARABLE,
            "the environment differs: base 'a', head 'b'",
        ),
        (
            side([1.0], benchmark="1"),
            side([1.0], benchmark="2", status="oom"),
            Verdict.NOT_COMPARABLE,
            "the benchmark differs: base '1', head '2'",
        ),
        (side([1.0] * 3), side([1.0] * 3), Verdict.AMBIGUOUS, "3 samples a side are too few to"),
        (side([1.0] * 3, "s"), side([2.0] * 3, "s"), Verdict.AMBIGUOUS, "3 rounds .* take 7"),
        (
            Side("x", [1.0], [0], "s"),
            Side("x", [1.0], [1], "s"),
            Verdict.AMBIGUOUS,
            "no round has equally many samples",
        ),
    ],
)
def test_cells_without_a_ratio_have_a_verdict_and_a_reason(base, head, verdict, reason):
    cells = ({"c": s} if s else {} for s in (base, head))
    (found,) = compare_cells(*cells)
    assert found.verdict is verdict
    assert reason in found.reason or " .* " in reason
    if " .* " in reason:
        assert all(part in found.reason for part in reason.split(" .* "))
    assert found.cell_id == "c"


def test_rounds_of_a_session_are_paired_by_number_and_abba_is_averaged():
    """Base takes 1, 4 in each round and head 2, 2: the geometric means are the same."""
    rounds = [r for r in range(8) for _ in range(2)]
    base, head = (
        Side("x", list(times), list(order), "s")
        for times, order in (([1.0, 4.0] * 8, rounds), ([2.0, 2.0] * 8, reversed(rounds)))
    )
    found = compare(base, head)
    assert found.ratio == pytest.approx((1.0, 1.0, 1.0, 8))
    assert found.verdict is Verdict.SAME
    assert (found.base_count, found.head_count) == (16, 16)


def test_a_round_that_lacks_a_sample_is_left_out():
    base = Side("x", [1.0] * 8 + [99.0], [*range(8), 8], "s")
    head = Side("x", [1.0] * 8 + [99.0, 1.0], [*range(8), 7, 9], "s")
    assert compare(base, head).ratio.count == 7


def test_sessions_of_two_names_are_not_paired():
    assert not compare(side(around(1.0), "a"), side(around(1.0), "b")).paired


def test_rounds_that_do_not_match_the_samples_are_refused():
    with pytest.raises(ValueError, match="round of each of the 2 samples of x; got 1 rounds"):
        Side("x", [1.0, 2.0], [0], "s")


def test_order_is_bases_and_then_what_only_head_has():
    one = side(around(1.0))
    found = compare_cells({"b": one, "a": one}, {"c": one, "a": one})
    assert [c.cell_id for c in found] == ["b", "a", "c"]
    verdicts = [Verdict.MISSING, Verdict.SAME, Verdict.NEW]
    assert [c.verdict for c in found] == verdicts


def test_more_cells_take_more_evidence():
    """Seven rounds of one and the same ratio: enough for one cell, too few for fifty."""
    slow = {"slow": (side([1.0] * 7, "s"), side([1.3] * 7, "s"))}
    rest = {str(i): (side([1.0] * 7, "s"), side([1.0] * 7, "s")) for i in range(49)}

    def verdict(cells):
        (found, *_) = compare_cells(*({k: v[i] for k, v in cells.items()} for i in (0, 1)))
        return found

    assert verdict(slow).verdict is Verdict.SLOWER
    among = verdict(slow | rest)
    assert among.verdict is Verdict.AMBIGUOUS
    assert among.reason == "7 rounds are too few to test 50 cells: take 13"


def test_untestable_cells_do_not_cost_the_others_evidence():
    slow = {"slow": side([1.0] * 7, "s")}, {"slow": side([1.3] * 7, "s")}
    broken = {str(i): side([], status="oom") for i in range(49)}
    found = compare_cells({**slow[0], **broken}, {**slow[1], **broken})
    assert found[0].verdict is Verdict.SLOWER


# Suites of 50 cells, 30 samples a side, 3 % noise with heavy tails


def noise(rng, shape):
    """Student's t with three degrees of freedom, standard deviation 3 %."""
    return 0.03 / math.sqrt(3) * rng.standard_t(3, shape)


def suite(logs, session=""):
    return {
        str(i): Side("x", row, range(len(row)), session)
        for i, row in enumerate(np.exp(logs).tolist())
    }


def identical(rng, session):
    return (suite(noise(rng, (CELLS, COUNT)), session) for _ in range(2))


def verdicts(suites, session, simulate=identical):
    """The verdicts of simulated suites, a list a suite."""
    rng = np.random.default_rng(8)
    return [[c.verdict for c in compare_cells(*simulate(rng, session))] for _ in range(suites)]


def alarms(found):
    """The share of suites with any SLOWER."""
    return np.mean([Verdict.SLOWER in suite for suite in found])


def check_identical_code(suites, session):
    found = verdicts(suites, session)
    assert alarms(found) <= 0.01
    ambiguous = np.mean([[v is Verdict.AMBIGUOUS for v in suite] for suite in found])
    assert ambiguous <= 0.10
    assert np.mean([[v is Verdict.SAME for v in suite] for suite in found]) >= 0.90


def check_slowdown_is_found(suites, session):
    rng = np.random.default_rng(9)
    found = 0
    for _ in range(suites):
        base = noise(rng, (CELLS, COUNT))
        head = noise(rng, (CELLS, COUNT))
        head[17] += math.log(1.10)
        judged = compare_cells(suite(base, session), suite(head, session))
        found += judged[17].verdict is Verdict.SLOWER
        assert sum(c.verdict is Verdict.SLOWER for c in judged) <= 1
    assert found >= 0.95 * suites


SESSIONS = pytest.mark.parametrize("session", ["", "together"])


@SESSIONS
def test_identical_code_is_not_called_slower(session):
    check_identical_code(100, session)


@SESSIONS
def test_ten_percent_in_one_cell_are_found(session):
    check_slowdown_is_found(60, session)


@pytest.mark.long
@SESSIONS
def test_identical_code_is_not_called_slower_in_1000_suites(session):
    check_identical_code(1000, session)


@pytest.mark.long
@SESSIONS
def test_ten_percent_in_one_cell_are_found_in_1000_suites(session):
    check_slowdown_is_found(1000, session)


def test_without_correction_and_minimum_effect_identical_code_is_called_slower():
    """The control: each cell on its own at 5 %, any difference matters."""
    rng = np.random.default_rng(10)
    found = 0
    for _ in range(20):
        base, head = (suite(noise(rng, (CELLS, COUNT))) for _ in range(2))
        alone = [
            compare(base[c], head[c], min_effects=1e-9, false_alarms=0.05).verdict for c in base
        ]
        found += Verdict.SLOWER in alone
    assert found > 10


def test_correction_alone_keeps_its_word():
    """Any difference matters: then only the corrected test stands between noise and an alarm."""
    rng = np.random.default_rng(11)
    found = [
        [c.verdict for c in compare_cells(*identical(rng, ""), min_effects=1e-9)]
        for _ in range(300)
    ]
    assert alarms(found) <= 0.03  # 1 % in each direction


# A thermal ramp: everything gets slower by 10 % in the course of the job


def interleaved(rng, session):
    """ABBA: a round takes one sample of base, two of head, one of base, then the next cell."""
    rounds = COUNT // 2
    order = np.array([0, 1, 1, 0])  # 0 is base
    moments = np.arange(rounds * CELLS * 4).reshape(rounds, CELLS, 4) / (rounds * CELLS * 4)
    logs = noise(rng, moments.shape) + math.log(1.1) * moments
    numbers = np.repeat(np.arange(rounds), 2)
    return (
        {
            str(c): Side("x", np.exp(logs[:, c][:, order == s]).ravel().tolist(), numbers, session)
            for c in range(CELLS)
        }
        for s in (0, 1)
    )


def sequential(rng, session):
    """All of base, then all of head."""
    moments = np.arange(2 * COUNT * CELLS).reshape(2, COUNT, CELLS) / (2 * COUNT * CELLS)
    logs = noise(rng, moments.shape) + math.log(1.1) * moments
    return (suite(logs[s].T, session) for s in (0, 1))


def test_a_thermal_ramp_leaves_interleaved_rounds_alone():
    found = verdicts(100, "together", interleaved)
    assert alarms(found) <= 0.01
    assert np.mean([[v is Verdict.SAME for v in suite] for suite in found]) >= 0.90


@pytest.mark.long
def test_a_thermal_ramp_leaves_interleaved_rounds_alone_in_1000_suites():
    assert alarms(verdicts(1000, "together", interleaved)) <= 0.01


def test_a_thermal_ramp_fools_the_sequential_order():
    """The control."""
    assert alarms(verdicts(100, "", sequential)) > 0.20


def test_it_needs_neither_torch_nor_pandas():
    code = "import sys, bench.comparison.verdicts; print({'torch', 'pandas'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_fields_are_those_that_the_tables_read():
    fields = (
        "cell_id label verdict ratio p_value min_effect base_count head_count "
        "base_median head_median paired reason"
    )
    assert list(CellComparison.__dataclass_fields__) == fields.split()
