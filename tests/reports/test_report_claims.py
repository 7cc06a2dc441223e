import pytest
import synthetic_run as synthetic
from msgspec.structs import replace

from reports.claims.claim import Evidence
from reports.claims.claims import NOT_MEASURED, claims
from reports.run.run import load
from reports.tables.analysis import analysed
from reports.tables.schedule import cost_tables


def evidence_of(directory):
    found = analysed(load(directory))
    costs, _ = found.costs
    return Evidence(found.growth, found.run.preservation, found.run.spectrum, costs)


@pytest.fixture(scope="module")
def measured(run_dir):
    return {row.claim: row for row in claims(evidence_of(run_dir))}


def lines(measured, start):
    (row,) = [row for claim, row in measured.items() if claim.startswith(start)]
    return [line.replace("\u00a0", " ") for line in row.measured]


def test_without_measurements_every_claim_says_so(tmp_path):
    rows = claims(evidence_of(synthetic.write(tmp_path, [])))
    assert len(rows) == 11
    assert all(row.measured == [NOT_MEASURED] for row in rows)
    assert all(row.source and row.reading for row in rows)


def test_slopes_are_those_of_the_scaling_table(measured, read):
    table = read("scaling").set_index(["variant", "axis", "phase"])
    row = table.loc[("nullspace", "d", "total")]
    wanted = f"nullspace slope {row.slope:.2f} [{row.slope_low:.2f}, {row.slope_high:.2f}]"
    assert (
        lines(measured, "Near-constant")[0]
        == f"hidden width d = 32 to 512: {wanted} ({row.verdict})"
    )
    assert row.verdict == "near-constant: fails"


def test_linear_growth_is_read_from_the_exponent(measured, read):
    table = read("scaling").set_index(["variant", "axis", "phase"])
    row = table.loc[("nullspace", "t", "total")]
    wanted = f"exponent {row.exponent:.2f} [{row.ci_low:.2f}, {row.ci_high:.2f}]"
    found = lines(measured, "Runtime grows linearly")
    assert [line.split(" = ")[0][-1] for line in found] == ["t", "l", "b"]
    assert wanted in found[0]


def test_both_methods_are_compared_over_the_levels_they_have(measured):
    found = lines(measured, "The runtime of symmetry teleport")
    assert found[1].startswith("hidden width d = 32 to 512: nullspace slope")
    assert "symmetry slope" in found[1]
    assert "published" not in found[1]
    assert found[2].startswith("hidden width d = 32 to 256: symmetry:published=true slope")


def test_drift_gain_and_thresholds_are_those_of_the_records(measured):
    (exact,) = lines(measured, "In the exact null space")
    single, double = "3.0 \N{MULTIPLICATION SIGN} 10⁻⁷", "3.0 \N{MULTIPLICATION SIGN} 10⁻¹⁰"
    assert f"at most {single} in float32, {double} in float64, 8 steps" in exact
    assert "grew 4.00-fold" in exact
    near = lines(measured, "The loss remains constant")
    assert [line.split(":")[0] for line in near] == [
        "nullspace, init, τ = 0.999",
        "nullspace, init, τ = 0.99",
    ]
    (growth,) = lines(measured, "The gradient norm grows faster")
    assert growth.endswith("4.00-fold at τ = 1, 9.00-fold at τ = 0.999 and 40.0-fold at τ = 0.99")


def test_gains_are_compared_at_the_last_step_all_of_them_reached(tmp_path):
    short = synthetic.preservation("nullspace", 0.9, 1e-2, 256.0)
    short["rows"] = short["rows"][:5]
    full = synthetic.preservation("nullspace", 1.0, 1e-7, 16.0)
    rows = claims(evidence_of(synthetic.write(tmp_path, [full, short])))
    (growth,) = [row for row in rows if row.claim.startswith("The gradient norm")]
    assert growth.measured[0].endswith("after 4 steps: 4.00-fold at τ = 1 and 16.0-fold at τ = 0.9")


def test_symmetry_lists_every_variant_that_was_followed(tmp_path):
    kept = synthetic.preservation("symmetry", 1.0, 8e-7, 4.0)
    lost = synthetic.preservation("symmetry:published=true", 1.0, 0.25, 4.0)
    rows = claims(evidence_of(synthetic.write(tmp_path, [kept, lost])))
    found = rows[-1].measured
    assert found[0].startswith("symmetry, init: loss drift at most 8.0")
    assert found[1].startswith("symmetry:published=true, init: loss drift at most 0.250")


def test_variance_names_counts_and_dimensions(measured):
    (line,) = lines(measured, "A majority of the input variance")
    assert line == (
        "mlp on digits, 2.weight: 50 % in 2, 90 % in 5 and 99 % in 10 of 32 eigenvectors "
        "(input dimensions: 128)"
    )


def test_the_cost_of_the_papers_schedule_follows_from_the_medians(run_dir, read):
    run = load(run_dir)
    ((table,), notes) = cost_tables(run.cells, run.partners, synthetic.BASE)
    assert notes == []
    assert table.schedule.teleports == 160
    assert table.schedule.sgd_steps == 100 * 45  # 1438 of 1797 samples in batches of 32
    assert [cost.variant for cost in table.costs] == synthetic.VARIANTS
    cost = table.costs[0]
    runtime = read("runtime")
    base = runtime[(runtime[list(synthetic.BASE)] == list(synthetic.BASE.values())).all(axis=1)]
    row = base[base.variant == "nullspace"].iloc[0]
    assert (cost.prepare_s, cost.step_s) == pytest.approx((row.prepare_s, row.step_s))
    assert cost.teleport_s == pytest.approx(160 * (row.prepare_s + 8 * row.step_s), rel=0.03)
    assert cost.training_s == pytest.approx(4500 * row.sgd_s)
    assert cost.share.value == pytest.approx(cost.teleport_s / cost.training_s, rel=0.05)
    assert cost.share.low <= cost.share.value <= cost.share.high


def test_the_schedule_goes_through_the_samples_that_were_there(run_dir):
    run = load(run_dir)
    cells = [replace(cell, train_samples=10_000) for cell in run.cells]
    ((table,), _) = cost_tables(cells, run.partners, synthetic.BASE)
    assert table.schedule.samples_per_epoch == 10_000
    assert table.schedule.sgd_steps == 100 * 313


def test_without_a_recorded_number_of_samples_there_is_no_schedule_and_it_is_said(run_dir):
    run = load(run_dir)
    cells = [replace(cell, train_samples=None) for cell in run.cells]
    tables, notes = cost_tables(cells, run.partners, synthetic.BASE)
    assert tables == []
    (note,) = notes
    assert "How many training samples digits has is not in the records of this run: the" in note
