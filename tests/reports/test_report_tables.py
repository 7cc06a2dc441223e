import csv
import math
import random
from statistics import median

import pandas as pd
import pytest
import synthetic_run as synthetic
from msgspec.structs import replace

from bench.storage.records import SpectrumRecord, Stop
from reports import tables_of
from reports.preservation.eigenvalues import eigenvectors_for
from reports.preservation.preserved import preservation_table
from reports.run.run import load
from reports.run.setting import base_point
from reports.sections.registered import sections
from reports.tables.columns import Row, frame, from_columns
from reports.tables.growth import growths, scaling_row, sweep
from reports.tables.roofline import roof_of
from reports.tables.runtime import cell_rows
from reports.text.csv_files import csv as to_csv
from reports.text.formatting import DASH

COLUMNS = {
    "runtime": "cell_id, method, variant, model, dataset, device, dtype, t, d, n, l, b, status, "
    "reason, steps_done, samples, median_s, ci_low_s, ci_high_s, prepare_s, step_s, sgd_s, "
    "sgd_steps, peak_memory_bytes, operations, bytes, call_s, call_sgd_steps",
    "samples": "cell_id, round, seconds, prepare_s, steps_s, clock",
    "preservation": "method, variant, model, dataset, tau, step, loss, drift_float32, "
    "drift_float64, heldout_drift, grad_norm_sq, preactivation_bound",
    "spectrum": "model, dataset, layer, index, share_of_eigenvectors, cumulative_energy",
    "scaling": "method, variant, axis, phase, exponent, ci_low, ci_high, slope, floor_s, levels",
}
RECORDS = synthetic.records()
CELLS = [record for record in RECORDS if record["kind"] == "cell"]
STRUCTS = synthetic.structs(CELLS)


class Entry(Row, frozen=True):
    """A row of each kind of column."""

    name: str
    value: float | None
    size: int | None
    known: bool | None


def entry(**changed):
    return Entry(**{"name": "", "value": None, "size": None, "known": None, **changed})


def row_of_cell(cell, partners=None):
    (row,) = cell_rows([cell], partners or {}, roof_of(None))
    return row


def row_of(table, variant, **levels):
    wanted = {**synthetic.BASE, **levels}
    chosen = table[table.variant == variant]
    for axis, level in wanted.items():
        chosen = chosen[chosen[axis] == level]
    (row,) = chosen.to_dict("records")
    return row


@pytest.mark.parametrize("name", COLUMNS)
def test_first_columns_are_those_of_the_contract(run_dir, name):
    with (run_dir / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    wanted = COLUMNS[name].split(", ")
    assert header[: len(wanted)] == wanted
    assert len(set(header)) == len(header)


@pytest.mark.parametrize("name", COLUMNS)
def test_files_without_any_cell_still_have_their_columns(report_of, name):
    directory, _ = report_of([])
    table = pd.read_csv(directory / f"{name}.csv")
    assert list(table.columns)[: len(COLUMNS[name].split(", "))] == COLUMNS[name].split(", ")
    assert table.empty


def test_samples_are_those_of_the_journal_bit_for_bit(read):
    written = {(row["cell_id"], row["round"]): row for row in read("samples").to_dict("records")}
    kept = 0
    for cell in CELLS:
        for sample in cell["samples"]:
            row = written[cell["cell_id"], sample["round"]]
            assert (row["seconds"], row["prepare_s"], row["steps_s"]) == (
                sample["seconds"],
                sample["prepare_s"],
                sample["steps_s"],
            )
            kept += 1
    assert kept == len(written) == len(read("samples"))


def test_floats_of_any_size_read_back_exactly():
    source = random.Random(3)
    values = [source.uniform(-1, 1) * 10.0 ** source.randint(-300, 300) for _ in range(300)]
    text = to_csv(frame([entry(value=value) for value in values], Entry))
    assert [float(row["value"]) for row in csv.DictReader(text.splitlines())] == values


def test_every_cell_has_one_row(read):
    table = read("runtime")
    assert len(table) == len(CELLS)
    assert table.cell_id.is_unique


def test_times_are_medians_of_the_samples_per_batch_and_per_step(read):
    index = synthetic.find(CELLS, "nullspace", b=8)
    samples = CELLS[index]["samples"]
    row = row_of(read("runtime"), "nullspace", b=8)
    assert row["median_s"] == median(s["seconds"] for s in samples)
    assert row["prepare_s"] == pytest.approx(median(s["prepare_s"] for s in samples) / 8)
    assert row["step_s"] == pytest.approx(median(s["steps_s"] for s in samples) / 64)
    assert row["ci_low_s"] < row["median_s"] < row["ci_high_s"]


def test_sgd_steps_are_the_median_of_paired_ratios(read):
    ours = CELLS[synthetic.find(CELLS, "symmetry")]["samples"]
    sgd = CELLS[synthetic.find(CELLS, "sgd")]["samples"]
    row = row_of(read("runtime"), "symmetry")
    ratios = [a["steps_s"] / b["steps_s"] for a, b in zip(ours, sgd, strict=True)]
    assert row["sgd_steps"] == pytest.approx(median(ratios))
    assert row["sgd_steps_low"] <= row["sgd_steps"] <= row["sgd_steps_high"]
    assert row["sgd_s"] == pytest.approx(median(s["steps_s"] for s in sgd) / 16)
    phases = [16 * a["seconds"] / b["steps_s"] for a, b in zip(ours, sgd, strict=True)]
    assert row["phases_sgd_steps"] == pytest.approx(median(phases))


def test_rounds_are_paired_by_their_number_not_by_their_place():
    sgd, cell = STRUCTS[0], STRUCTS[1]
    shuffled = replace(cell, samples=[s for s in reversed(cell.samples) if s.round != 2])
    ratios = [
        a.steps_s / b.steps_s
        for a, b in zip(cell.samples, sgd.samples, strict=True)
        if a.round != 2
    ]
    row = row_of_cell(shuffled, {cell.cell_id: sgd})
    assert row.sgd_steps == pytest.approx(median(ratios))


def test_the_device_clock_does_not_mix_with_the_wall_clock():
    cell = STRUCTS[1]
    device = [replace(s, clock="cuda_event", seconds=1e9, steps_s=1e9) for s in cell.samples]
    row = row_of_cell(replace(cell, samples=cell.samples + device))
    plain = row_of_cell(cell)
    assert (row.median_s, row.step_s, row.samples) == (
        plain.median_s,
        plain.step_s,
        len(cell.samples),
    )


def test_cells_that_are_not_ok_keep_row_and_reason_but_no_time(read):
    invalid = row_of(read("runtime"), "symmetry", n=96)
    assert invalid["status"] == "invalid"
    assert invalid["reason"] == "3 of 16 steps were carried out (NON_FINITE)"
    assert invalid["samples"] == synthetic.ROUNDS
    assert all(math.isnan(invalid[key]) for key in ("median_s", "step_s", "sgd_steps", "sgd_s"))
    oom = row_of(read("runtime"), "symmetry:published=true", d=512)
    assert (oom["status"], oom["samples"]) == ("oom", 0)


def test_a_cell_measured_again_counts_once_with_its_last_record(report_of):
    first = synthetic.broken(CELLS[1], "crashed", "the worker died")
    directory, _ = report_of([CELLS[0], first, CELLS[1]])
    table = pd.read_csv(directory / "runtime.csv")
    assert list(table.status) == ["ok", "ok"]


def test_samples_pair_up_only_within_one_session(tmp_path):
    """A resumed block: one cell of the first process is there, SGD ran again beside the other."""
    sgd, early, late, lone = ({**cell, "session": "first"} for cell in CELLS[:4])
    late["session"] = "second"
    lone["session"] = "third"
    reference = {
        **sgd,
        "kind": "reference",
        "session": "second",
        "samples": [{**s, "steps_s": 2 * s["steps_s"]} for s in sgd["samples"]],
    }
    directory = synthetic.write(tmp_path, [early, sgd, reference, late, lone])

    run = load(directory)

    assert run.partners[early["cell_id"]] == synthetic.structs([sgd])[0]
    assert run.partners[late["cell_id"]] == synthetic.structs([reference])[0]
    assert lone["cell_id"] not in run.partners
    assert len(run.cells) == 4


def test_a_sweep_holds_the_cells_whose_other_letters_are_the_base(run_dir):
    run = load(run_dir)
    base = base_point(run.cells, run.spec)
    setting = tuple(synthetic.SETTING.values())
    for axis, levels in synthetic.LEVELS.items():
        chosen = sweep(run.cells, setting, axis, base)
        assert [getattr(c, axis) for c in chosen if c.variant == "nullspace"] == levels
        assert len(chosen) == len(levels) * (len(synthetic.VARIANTS) + 1)


def test_without_a_spec_the_most_common_levels_are_the_base():
    assert base_point(STRUCTS, None) == synthetic.BASE
    assert base_point(STRUCTS, {"base": {"t": 8}}) == synthetic.BASE
    elsewhere = {**synthetic.BASE, "t": 2}
    assert base_point(STRUCTS, {"base": elsewhere}) == elsewhere


def test_scaling_has_a_row_per_variant_axis_and_phase(read):
    table = read("scaling")
    assert len(table) == 5 * (3 * len(synthetic.VARIANTS) + 1)
    assert set(table.phase) == {"prepare", "steps", "total", "sgd step"}
    assert not table.duplicated(["variant", "axis", "phase"]).any()


def test_scaling_finds_the_growth_the_synthetic_times_have(read):
    table = read("scaling").set_index(["variant", "axis", "phase"])
    assert table.loc[("nullspace", "b", "total"), "exponent"] == pytest.approx(1, abs=0.1)
    assert table.loc[("nullspace", "t", "steps"), "slope"] == pytest.approx(1, abs=0.05)
    assert table.loc[("nullspace", "t", "prepare"), "slope"] == pytest.approx(0, abs=0.05)
    growing = table.loc[("symmetry", "d", "steps"), "slope"]
    assert growing > table.loc[("nullspace", "d", "steps"), "slope"] + 0.3


def test_scaling_counts_only_levels_with_a_time(read):
    table = read("scaling").set_index(["variant", "axis", "phase"])
    row = table.loc[("symmetry:published=true", "d", "total")]
    assert (row.levels, row.lowest, row.highest) == (4, 32, 256)


def test_spectrum_shares_end_at_one_and_count_from_the_first_eigenvector(read):
    table = read("spectrum")
    layer = table[table.layer == "2.weight"]
    assert list(layer["index"]) == list(range(1, 33))
    assert layer.share_of_eigenvectors.iloc[0] == 1 / 32
    assert layer.share_of_input_space.iloc[-1] == 32 / 128
    assert layer.cumulative_energy.iloc[-1] == pytest.approx(1)
    assert layer.cumulative_energy.is_monotonic_increasing
    total = sum(0.6**k for k in range(32))
    assert layer.cumulative_energy.iloc[1] == pytest.approx(1.6 / total)


def test_eigenvectors_needed_are_the_first_that_reach_the_share():
    record = SpectrumRecord(model="mlp", dataset="digits", eigenvalues=[5.0, 4.0, 1.0])
    assert [eigenvectors_for(record, share) for share in (0.5, 0.51, 0.9, 1.0)] == [1, 2, 2, 3]


def test_preservation_has_a_row_per_curve_and_step(read):
    table = read("preservation")
    assert len(table) == 4 * 9
    exact = table[(table.variant == "nullspace") & (table.tau == 1.0)]
    assert list(exact.step) == list(range(9))
    assert exact.drift_float32.iloc[-1] == 3e-7


def test_missing_numbers_are_empty_cells(report_of):
    record = synthetic.preservation("nullspace", 1.0, 1e-7, 4.0)
    record["rows"][3]["grad_norm_sq"] = None
    directory, _ = report_of([record])
    with (directory / "preservation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[3]["grad_norm_sq"] == ""
    assert rows[4]["grad_norm_sq"] != ""


def test_whole_numbers_stay_whole_beside_missing_ones():
    text = to_csv(frame([entry(size=2**60), entry()], Entry))
    assert text.splitlines() == ["name,value,size,known", f",,{2**60},", ",,,"]


def test_a_column_nobody_declared_is_an_error():
    with pytest.raises(TypeError, match="Unexpected keyword argument 'valeu'"):
        entry(valeu=1.0)
    with pytest.raises(TypeError, match="got name, size"):
        from_columns({"name": ["x"], "size": [1]}, Entry)


def test_a_declared_column_that_no_row_sets_is_an_error():
    with pytest.raises(TypeError, match="Missing required argument 'known'"):
        Entry(name="x", value=1.0, size=1)


def every_row_type(base=Row):
    sections()  # imports them all
    found = [kind for kind in base.__subclasses__() if kind.__module__.startswith("reports.")]
    return [*found, *(below for kind in found for below in every_row_type(kind))]


@pytest.mark.parametrize("kind", every_row_type())
def test_no_column_has_a_default_and_every_column_has_a_type(kind):
    assert kind.__struct_defaults__ == ()
    assert list(frame([], kind).columns) == list(kind.__struct_fields__)


def test_every_table_of_a_report_is_of_a_row_type(run_dir):
    declared = {kind.__struct_fields__ for kind in every_row_type()}
    found = tables_of(run_dir)
    assert len(found) == 8
    assert {tuple(table.columns) for table in found.values()} <= declared


def test_csv_texts_are_no_formulas(report_of):
    reasons = [f'{start}HYPERLINK("x"),\n\x1b[31mred\x00' for start in "=+-@"]
    cells = [
        synthetic.broken(cell, "crashed", reason)
        for cell, reason in zip(CELLS[1:5], reasons, strict=True)
    ]
    directory, _ = report_of(cells)
    with (directory / "runtime.csv").open(encoding="utf-8", newline="") as file:
        found = sorted(row["reason"] for row in csv.DictReader(file))
    assert found == sorted(f'\'{start}HYPERLINK("x"), red' for start in "=+-@")


def test_negative_numbers_are_not_taken_for_formulas():
    assert to_csv(frame([entry(value=-0.5)], Entry)).splitlines()[1] == ",-0.5,,"


def test_a_method_that_chooses_its_tau_has_none_in_the_table():
    followed = synthetic.preservation("nullspace:max_drift=0.001", 1.0, 1e-3, 4.0)
    records = [{**followed, "tau": None}, synthetic.preservation("x", 0.9, 0, 1)]
    table = preservation_table(synthetic.structs(records))
    (column,) = (i for i, head in enumerate(table.columns) if head.label == "τ")
    assert sorted(row[column].text for row in table.rows) == ["0.9", DASH]
    assert not any("nan" in cell.text for row in table.rows for cell in row)


def test_the_change_of_preactivations_stands_before_its_bound():
    curve = synthetic.preservation("nullspace", 0.9, 7e-3, 4.0)
    table = preservation_table(synthetic.structs([curve]))
    labels = [head.label for head in table.columns]
    position = labels.index("pre-activation change")
    assert labels[position + 1] == "its bound"
    (row,) = table.rows
    assert [cell.value for cell in row[position : position + 2]] == pytest.approx([1e-3, 7e-3])


def test_whether_data_alone_feeds_a_layer_is_in_the_table(report_of):
    free = [{"rule": "numerical", "tau": 1.0, "dimensions": 3}]
    layers = [
        {**synthetic.spectrum(f"{i}.weight", i, 64, 0.5), "data_fed": fed, "free": free}
        for i, fed in enumerate((True, False, None))
    ]
    directory, _ = report_of(layers)
    with (directory / "null_dimensions.csv").open(encoding="utf-8", newline="") as file:
        assert [row["data_fed"] for row in csv.DictReader(file)] == ["True", "False", ""]


def test_the_floor_of_memory_is_in_bytes_and_no_time():
    cells = [replace(cell, peak_memory_bytes=1000 * cell.d + 5_000_000) for cell in STRUCTS]
    rows = [scaling_row(grown) for grown in growths(cells, synthetic.BASE)]
    memory = next(row for row in rows if (row.phase, row.axis) == ("memory", "d"))
    assert memory.floor_bytes > 4e6
    assert math.isnan(memory.floor_s)
    assert math.isnan(memory.scale)
    assert all(math.isnan(row.floor_bytes) for row in rows if row.phase != "memory")


def test_intervals_of_samples_that_were_looked_at_are_wider():
    cell = STRUCTS[1]
    often = replace(cell, samples=cell.samples * 4)
    looked = replace(often, stop=Stop(interval_level=0.999))
    plain, wide = row_of_cell(often), row_of_cell(looked)
    assert wide.ci_high_s - wide.ci_low_s > plain.ci_high_s - plain.ci_low_s
