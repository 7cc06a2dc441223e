"""Minimum effects from injected repeats, and the file that holds them."""

import math
import random
from collections import Counter

import pytest
from gate_fakes import Code, Machine

from bench.comparison.calibration import (
    LEAST,
    NEVER,
    Calibration,
    calibrate,
    clock_step,
    load,
    mean_square,
    min_effect,
    moderated,
    save,
)
from bench.comparison.judgement import Judgement
from bench.comparison.verdicts import CellComparison, Verdict
from bench.errors import NotComparableError, RunError, SpecError
from bench.gate.gate import Rules, run_gate
from bench.gate.subject import Subject
from bench.spec.preset import load_preset
from bench.statistics.medians import Estimate

FINE = 1e-9  # seconds: the step of a good clock


def judgement(log, half=0.01, seconds=0.002, cell="c", verdict=Verdict.SAME):
    ratio = Estimate(math.exp(log), math.exp(log - half), math.exp(log + half), 48)
    if verdict is Verdict.BROKEN:
        ratio = Estimate(math.nan, math.nan, math.nan, 0)
    reason = "head: crashed" if verdict is Verdict.BROKEN else ""
    comparison = CellComparison(
        cell, cell, verdict, ratio, 1.0, 0.1, 48, 48, seconds, seconds, True, reason
    )
    return Judgement(comparison, "wall")


def calibrated(sigmas, repeats, seed=0, **facts):
    rng = random.Random(seed)
    found = [
        [judgement(sigma * rng.gauss(0, 1), cell=name, **facts) for name, sigma in sigmas.items()]
        for _ in range(repeats)
    ]
    return calibrate(found, "e", "b", FINE)


def test_deviations_are_those_injected():
    sigmas = {"quiet": 0.01, "middle": 0.03, "loud": 0.08}
    found = calibrated(sigmas, 2000).cells

    for name, sigma in sigmas.items():
        assert found[name].deviation == pytest.approx(sigma, rel=0.1)


def test_few_repeats_borrow_from_the_other_cells():
    own = mean_square([0.1, -0.1])

    assert own == pytest.approx(0.01)
    assert moderated(own, 2, 0.04) == pytest.approx((4 * 0.04 + 2 * 0.01) / 6)
    assert moderated(own, 2000, 0.04) == pytest.approx(own, rel=0.01)


def test_the_minimum_effect_is_three_deviations_and_the_half_width():
    assert min_effect(0.03, 0.02) == pytest.approx(math.exp(0.11) - 1)
    assert min_effect(0.0001, 0.0001) == LEAST


def test_a_cell_too_short_for_the_clock_is_never_gated():
    found = calibrate(
        [[judgement(0, seconds=999e-9)], [judgement(0, seconds=999e-9)]], "e", "b", FINE
    )

    assert found.cells["c"].min_effect == NEVER
    assert calibrated({"c": 0.01}, 5).cells["c"].min_effect < 0.2


def test_a_cell_without_a_time_cannot_be_calibrated():
    with pytest.raises(RunError, match=r"expected a time of c .* got BROKEN \(head: crashed\)"):
        calibrate([[judgement(0)], [judgement(0, verdict=Verdict.BROKEN)]], "e", "b", FINE)


def test_the_step_of_a_clock_is_its_smallest_difference():
    assert clock_step([0.0, 0.0, 3.0, 4.0, 6.0]) == 1.0
    assert clock_step([1.0, 1.0]) == math.inf


def test_what_is_saved_is_loaded(tmp_path):
    found = calibrated({"c": 0.03}, 5)
    save(found, tmp_path / "new" / "calibration.json")

    assert load(tmp_path / "new" / "calibration.json") == found
    assert load(tmp_path / "new" / "calibration.json").for_machine("e", "b", tmp_path) == {
        "c": found.cells["c"].min_effect
    }


@pytest.mark.parametrize(("where", "word"), [(("x", "b"), "machine"), (("e", "x"), "measuring")])
def test_it_holds_for_its_machine_and_code_alone(tmp_path, where, word):
    with pytest.raises(NotComparableError, match=f"expected a calibration of this {word}"):
        calibrated({"c": 0.03}, 5).for_machine(*where, tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "calibration", "schema": 9}'])
def test_another_file_is_refused(text):
    with pytest.raises(SpecError, match="make one with 'teleport-bench calibrate'"):
        Calibration.loads(text, "x.json")


def test_no_file_is_refused(tmp_path):
    with pytest.raises(SpecError, match="expected a calibration at"):
        load(tmp_path / "nothing")


def test_a_noisy_cell_fails_by_the_default_and_passes_by_its_calibration(tmp_path):
    """Processes that differ by 15 % as long as they live, as calibrate and gate meet them."""
    roots = tmp_path / "base", tmp_path / "head"
    for root in roots:
        (root / "bench" / "timing").mkdir(parents=True)
        (root / "bench" / "timing" / "clock.py").write_text("x = 1")
    rng = random.Random(5)

    def gate(rules):
        code = Code(process=lambda _number: math.exp(0.15 * rng.gauss(0, 1)))
        machine = Machine(dict.fromkeys(roots, code), seed=rng.randrange(1000), noise=0.02)
        both = tuple(Subject(root, root) for root in roots)
        return run_gate(
            both, load_preset("gate"), lambda *_: rules, machine.launch, lambda _: None
        ).judgements

    found = calibrate([gate(Rules(stages=1)) for _ in range(6)], "e", "b", FINE)
    rules = Rules(min_effects={cell: noise.min_effect for cell, noise in found.cells.items()})

    calibrated_gates = Counter(j.verdict for _ in range(6) for j in gate(rules))
    assert Verdict.SLOWER not in calibrated_gates
    plain = Counter(j.verdict for _ in range(6) for j in gate(Rules(default=0.02)))
    assert plain[Verdict.SLOWER] > 0
