"""The gate on injected times: every verdict, its exit code, and how rarely identical code fails."""

from collections import Counter

import pytest
from gate_fakes import COMMANDS, Code, Machine

from bench.comparison.judgement import exit_code, judge
from bench.comparison.verdicts import Verdict
from bench.errors import NotComparableError
from bench.gate.gate import Rules, run_gate
from bench.gate.subject import Subject
from bench.spec.preset import load_preset

SLOW = "nullspace:engine=textbook"
VARIANTS = 5
WIDTHS = 2


class Roots:
    """Two source trees that hold nothing but measuring code."""

    def __init__(self, folder, head_code="x = 1"):
        self.both = folder / "base", folder / "head"
        for root, code in zip(self.both, ("x = 1", head_code), strict=True):
            (root / "bench" / "timing").mkdir(parents=True)
            (root / "bench" / "timing" / "clock.py").write_text(code)


@pytest.fixture
def roots(tmp_path):
    return Roots(tmp_path).both


def gate(roots, base=None, head=None, rules=None, **facts):
    machine = Machine(dict(zip(roots, (base or Code(), head or Code()), strict=True)), **facts)
    said = []
    spec = load_preset("gate")
    rules = rules or Rules()
    subjects = tuple(Subject(root, root) for root in roots)
    return run_gate(subjects, spec, lambda *_: rules, machine.launch, said.append), machine


def verdicts(result):
    return {j.comparison.label: j.verdict for j in result.judgements}


def code_of(result, strict=False):
    return exit_code((j.verdict for j in result.judgements), strict=strict)


def of(variant):
    return {f"{variant} d=48", f"{variant} d=128"}


def test_the_same_code_is_the_same(roots):
    result, machine = gate(roots)

    assert set(verdicts(result).values()) == {Verdict.SAME}
    assert len(result.judgements) == VARIANTS * WIDTHS
    assert (code_of(result), code_of(result, strict=True)) == (0, 0)
    assert machine.launched == Counter(dict.fromkeys(roots, 1))


def test_a_slower_variant_is_named_and_seen_in_two_pairs_of_processes(roots):
    result, machine = gate(roots, head=Code({SLOW: 1.3}))

    slower = {label for label, v in verdicts(result).items() if v is Verdict.SLOWER}
    assert slower == of(SLOW)
    assert code_of(result) == 1
    assert machine.launched == Counter(dict.fromkeys(roots, 2))
    ratio = next(j.comparison.ratio for j in result.judgements if j.verdict is Verdict.SLOWER)
    assert ratio.low < 1.3 < ratio.high


def test_a_faster_variant_is_no_regression(roots):
    result, _ = gate(roots, head=Code({SLOW: 0.7}))

    assert {label for label, v in verdicts(result).items() if v is Verdict.FASTER} == of(SLOW)
    assert code_of(result, strict=True) == 0


def unlucky(number):
    """The first process on this tree is slow for as long as it lives."""
    return 1.2 if number == 0 else 1.0


def test_one_slow_process_is_no_regression(roots):
    result, _ = gate(roots, head=Code(process=unlucky))

    assert set(verdicts(result).values()) == {Verdict.SAME}


def test_one_slow_process_would_be_one_without_the_second_pair(roots):
    result, _ = gate(roots, head=Code(process=unlucky), rules=Rules(stages=1))

    assert set(verdicts(result).values()) == {Verdict.SLOWER}


def test_a_machine_that_gets_slower_does_not_matter(roots):
    result, _ = gate(roots, ramp=0.3)

    assert set(verdicts(result).values()) == {Verdict.SAME}


def test_noise_that_hides_the_minimum_effect_is_ambiguous(roots):
    result, _ = gate(roots, noise=0.8)

    assert Verdict.AMBIGUOUS in verdicts(result).values()
    assert Verdict.SLOWER not in verdicts(result).values()
    assert (code_of(result), code_of(result, strict=True)) == (0, 5)


def test_what_ran_in_base_and_fails_in_head_is_broken(roots):
    result, _ = gate(roots, head=Code(raises=(SLOW,)))

    broken = {label for label, v in verdicts(result).items() if v is Verdict.BROKEN}
    assert broken == of(SLOW)
    assert code_of(result) == 4
    reasons = {j.comparison.reason for j in result.judgements if j.verdict is Verdict.BROKEN}
    assert reasons == {"head: crashed (ValueError: no luck today)"}


def test_a_worker_that_dies_costs_the_cell_it_was_at(roots):
    result, machine = gate(roots, head=Code(kills=(SLOW,)))

    found = Counter(verdicts(result).values())
    assert found == {Verdict.BROKEN: WIDTHS, Verdict.SAME: (VARIANTS - 1) * WIDTHS}
    assert code_of(result) == 4
    assert machine.launched[roots[1]] > 2


def test_a_head_that_does_not_start_is_broken_everywhere(roots):
    result, _ = gate(roots, head=Code(starts=False))

    assert set(verdicts(result).values()) == {Verdict.BROKEN}
    assert code_of(result) == 4


def test_what_only_head_can_do_is_new(roots):
    result, _ = gate(roots, base=Code(raises=(SLOW,)))

    assert {label for label, v in verdicts(result).items() if v is Verdict.NEW} == of(SLOW)
    assert code_of(result, strict=True) == 0


def test_a_regression_outweighs_a_broken_cell(roots):
    result, _ = gate(roots, head=Code({SLOW: 1.3}, raises=("symmetry",)))

    assert {Verdict.SLOWER, Verdict.BROKEN} <= set(verdicts(result).values())
    assert code_of(result) == 1


def test_another_benchmark_is_not_comparable_and_not_measured(tmp_path):
    result, machine = gate(Roots(tmp_path, head_code="x = 2").both)

    assert set(verdicts(result).values()) == {Verdict.NOT_COMPARABLE}
    assert code_of(result) == 3
    assert machine.turns == 0
    assert result.judgements[0].comparison.reason.startswith("benchmark_code was '")


def test_another_comment_in_the_benchmark_is_none(tmp_path):
    result, _ = gate(Roots(tmp_path, head_code='"""Clocks."""\n\nx = 1  # one').both)

    assert code_of(result) == 0


def test_another_environment_is_not_comparable(roots):
    result, _ = gate(roots, head=Code(environment={"torch": "2.14.0"}))

    assert set(verdicts(result).values()) == {Verdict.NOT_COMPARABLE}
    assert code_of(result) == 3


def test_a_base_without_turns_is_not_comparable(roots):
    with pytest.raises(NotComparableError, match=r"commands turn; it is older .* 'run --out'"):
        gate(roots, base=Code(commands=COMMANDS[:2]))


def test_a_base_that_does_not_start_is_not_comparable(roots):
    with pytest.raises(NotComparableError, match=r"starts in base; .*SIGSEGV: choose another"):
        gate(roots, base=Code(starts=False))


def test_a_tree_that_imports_from_elsewhere_is_not_comparable(roots, tmp_path):
    with pytest.raises(NotComparableError, match="expected head to run the code in"):
        gate(roots, head=Code(imports_from=tmp_path))


def test_a_calibrated_minimum_effect_holds_for_its_cell(roots):
    first, _ = gate(roots, head=Code({SLOW: 1.3}))
    cell = next(j.comparison.cell_id for j in first.judgements if j.verdict is Verdict.SLOWER)
    result, _ = gate(roots, head=Code({SLOW: 1.3}), rules=Rules(min_effects={cell: 0.5}))

    assert Counter(verdicts(result).values())[Verdict.SLOWER] == 1


def test_records_of_both_sides_carry_rounds_session_and_looks(roots):
    result, _ = gate(roots)

    base, head = (side.records for side in result.sides)
    assert [r.cell_id for r in base] == [r.cell_id for r in head]
    for record in (*base, *head):
        rounds = Counter(sample.round for sample in record.samples)
        assert set(rounds.values()) == {2}
        assert record.looks == 4
    assert len({record.session for record in (*base, *head)}) == 1


def test_four_looks_are_paid_for(roots):
    result, _ = gate(roots)
    widths = {}
    for looks in (1, 4):
        found = judge(*result.measured, default=0.1, looks=looks)
        widths[looks] = {j.comparison.cell_id: j.comparison.ratio for j in found}

    assert {j.comparison.cell_id: j.comparison.ratio for j in result.judgements} == widths[4]
    assert all(widths[1][cell].high < widths[4][cell].high for cell in widths[4])


def suites(tmp_path, count, **options):
    """Verdicts of so many gates of identical code."""
    roots = Roots(tmp_path).both
    return [set_of(gate(roots, seed=seed, **options)[0]) for seed in range(count)]


def set_of(result):
    return Counter(verdicts(result).values())


def check(found):
    cells = sum(sum(each.values()) for each in found)
    assert sum(bool(each[Verdict.SLOWER]) for each in found) <= 0.01 * len(found)
    assert sum(each[Verdict.AMBIGUOUS] for each in found) <= 0.1 * cells


def test_identical_code_passes(tmp_path):
    check(suites(tmp_path, 12, noise=0.05))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_identical_code_passes_in_500_gates(tmp_path):
    check(suites(tmp_path, 500, noise=0.05))


def test_without_minimum_effect_second_pair_and_pay_for_looks_it_does_not(tmp_path, monkeypatch):
    """The control: the same simulation can fail."""
    monkeypatch.setattr("bench.comparison.judgement.FALSE_ALARMS", 1.0)
    monkeypatch.setattr("bench.gate.gate.LOOKS", (24,))
    found = suites(tmp_path, 5, noise=0.05, rules=Rules(default=0.001, stages=1))

    assert any(each[Verdict.SLOWER] for each in found)
