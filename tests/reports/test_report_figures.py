import math
import os
import re
import subprocess
import sys

import pytest
import synthetic_run as synthetic
from msgspec.structs import replace
from page_reading import runtime_panels, svg

from bench.spec.axes import AXES
from reports.preservation import curve_figures
from reports.preservation.curves import step_line
from reports.preservation.spectrum_figures import spectrum_groups, spectrum_line
from reports.run.run import load
from reports.run.setting import Setting
from reports.runtime.figures import VIEWS, draw, panels
from reports.tables.analysis import analysed
from reports.text.canvas import look, panel, styles, symlog_ticks

SETTING = Setting(**synthetic.SETTING)


def preservation_groups(records):
    """The panels of Figure 6b, every variant in a style of its own."""
    looks = styles(sorted({record.variant for record in records}))
    return curve_figures.preservation_groups(records, looks)


def groups(text, name):
    """The <g> elements drawn under the gid ``name``, up to their end tag."""
    return re.findall(rf'<g id="{name}">(.*?)</g>\s*(?=<g id=|</g>)', text, re.DOTALL)


def marks(text, name):
    """Markers drawn under the gid ``name``: matplotlib places one <use> a marker."""
    return sum(part.count("<use ") for part in groups(text, name))


@pytest.fixture(scope="module")
def derived(run_dir):
    return analysed(load(run_dir))


@pytest.fixture(scope="module")
def views(derived):
    return {
        view: panels(derived.cells, derived.growth, SETTING, synthetic.BASE, view) for view in VIEWS
    }


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_has_one_panel_per_axis_in_the_papers_order(page, view):
    found = [re.search(r"against (\w),", image["alt"])[1] for image in runtime_panels(page, view)]
    assert tuple(found) == AXES


@pytest.mark.parametrize("view", VIEWS)
def test_points_of_the_panels_are_the_ok_cells_of_the_sweeps_and_no_others(views, read, view):
    table = read("runtime")
    ok = table[(table.status == "ok") & (table.method != "sgd")]
    value, low, high = VIEWS[view]
    for data in views[view]:
        others = [axis for axis in AXES if axis != data.axis]
        rows = ok[(ok[others] == [synthetic.BASE[axis] for axis in others]).all(axis=1)]
        wanted = {
            (row["variant"], row[data.axis], row[value], row[low], row[high])
            for row in rows.to_dict("records")
        }
        drawn = {(name, *point) for name, points in data.points.items() for point in points}
        assert drawn == wanted
        assert len(wanted) == sum(len(points) for points in data.points.values())


def test_as_many_markers_are_drawn_as_the_panel_has_points(views, page):
    for data, image in zip(views["seconds"], runtime_panels(page, "seconds"), strict=True):
        points = sum(len(curve) for curve in data.points.values())
        assert marks(svg(image), "points") == points


@pytest.mark.parametrize("view", VIEWS)
def test_as_many_crosses_are_drawn_as_cells_failed(page, read, view):
    table = read("runtime")
    failed = (table.status != "ok").sum()
    drawings = [svg(image) for image in runtime_panels(page, view)]
    assert sum(text.count('id="failed"') for text in drawings) == failed == 2
    assert sum(marks(text, "failed") for text in drawings) == failed


def test_invalid_cells_with_samples_are_crosses_and_not_points(views):
    (data,) = [data for data in views["seconds"] if data.axis == "n"]
    assert [point.level for point in data.points["symmetry"]] == [8, 16, 32, 64]
    assert [(f.variant, f.level, f.status) for f in data.failures] == [("symmetry", 96, "invalid")]


def test_a_failed_base_cell_is_a_cross_in_all_five_panels(report_of):
    cells = synthetic.cells()
    index = synthetic.find(cells, "nullspace")
    cells[index] = synthetic.broken(cells[index], "timeout", "took too long")
    _, page = report_of(cells)
    for view in VIEWS:
        drawn = [marks(svg(image), "failed") for image in runtime_panels(page, view)]
        assert drawn == [1, 1, 1, 1, 1]


def test_fits_are_the_totals_of_the_scaling_table(views, read):
    table = read("scaling").set_index(["variant", "axis", "phase"])
    for data in views["seconds"]:
        for variant, fit in data.fits.items():
            row = table.loc[(variant, data.axis, "total")]
            found = (fit.growth.floor_s, fit.growth.scale, fit.growth.exponent)
            assert found == (row.floor_s, row.scale, row.exponent)
        assert set(data.fits) == set(data.points)
    assert not any(data.fits for data in views["sgd_steps"])


def test_the_grey_line_counts_the_teleport_steps_of_a_call(views):
    by_axis = {data.axis: data.reference for data in views["sgd_steps"]}
    assert by_axis["t"] == [(level, level * 2) for level in synthetic.LEVELS["t"]]
    assert by_axis["b"] == [(level, level * 8) for level in synthetic.LEVELS["b"]]
    assert {steps for _, steps in by_axis["d"]} == {16}


def test_all_panels_of_a_view_share_their_vertical_axis(page):
    def ticks(text):
        return re.findall(r">([\d.]+ m?s)</text>", text)

    shown = [ticks(svg(image)) for image in runtime_panels(page, "seconds")]
    assert len(shown[0]) >= 3
    assert all(other == shown[0] for other in shown)


def test_cells_without_a_ratio_leave_the_sgd_view_and_are_counted(report_of):
    cells = synthetic.cells()
    index = synthetic.find(cells, "sgd", d=64)
    cells[index] = synthetic.broken(cells[index], "crashed", "lost")
    _, page = report_of(cells)
    seconds, steps = (
        sum(marks(svg(image), "points") for image in runtime_panels(page, view)) for view in VIEWS
    )
    assert seconds - steps == 3
    assert "no SGD step was timed beside them: 3 cells" in page.words


def test_an_axis_that_was_held_at_one_level_has_no_panel(report_of):
    swept = [
        cell for cell in synthetic.cells() if {**cell, "d": 0} == {**cell, **synthetic.BASE, "d": 0}
    ]
    assert {cell["d"] for cell in swept} == set(synthetic.LEVELS["d"])
    _, page = report_of(swept)
    for view in VIEWS:
        (image,) = runtime_panels(page, view)
        assert "against d," in image["alt"]


def test_sweeps_of_one_level_and_without_any_time_are_drawn(report_of):
    base = [synthetic.cells()[index] for index in range(4)]
    _, page = report_of(base)
    assert [marks(svg(i), "points") for i in runtime_panels(page, "seconds")] == [3] * 5
    failed = [synthetic.broken(cell, "oom", "too large") for cell in synthetic.cells()]
    _, page = report_of(failed)
    drawn = [svg(image) for image in runtime_panels(page, "seconds")]
    assert [marks(text, "points") for text in drawn] == [0] * 5
    assert [marks(text, "failed") for text in drawn] == [15] * 5


def test_styles_differ_without_colour():
    chosen = styles([f"variant {index}" for index in range(50)])
    assert len({(style.marker, style.dashes) for style in chosen.values()}) == 50
    first = list(chosen.values())[:5]
    assert len({style.marker for style in first}) == len({style.dashes for style in first}) == 5
    assert len({style.words for style in chosen.values()}) == 50


def test_a_drawing_does_not_depend_on_the_users_settings(views):
    import matplotlib as mpl

    chosen = styles(synthetic.VARIANTS)
    before = draw(views["seconds"][:1], chosen)
    with mpl.rc_context({"xtick.major.size": 20.0, "font.size": 30.0, "svg.hashsalt": "x"}):
        assert draw(views["seconds"][:1], chosen) == before


def test_axes_have_names_and_units(page):
    for view, label in (("seconds", "prepare and steps"), ("sgd_steps", "steps, in SGD steps")):
        for image in runtime_panels(page, view):
            assert label in svg(image)
    d_panel = svg(runtime_panels(page, "seconds")[1])
    assert "d, hidden width" in d_panel
    assert [f">{level}<" in d_panel for level in synthetic.LEVELS["d"]] == [True] * 5


def test_alt_texts_state_numbers(page):
    (image,) = [i for i in runtime_panels(page, "seconds") if "against d" in i["alt"]]
    alt = " ".join(image["alt"].split())
    assert re.search(r"nullspace: 6\.\d+ ms at 32 to 3\d\.\d ms at 512, 5 levels\.", alt)
    assert "Failed: symmetry:published=true at d = 512 (oom)." in alt


def test_zero_keeps_its_place_below_the_smallest_drift():
    with look():
        _, axes = panel("x", "y")
        symlog_ticks(axes, [0.0, 3e-8, 2e-3])
        height = axes.transData.transform([(0, 0.0), (0, 1e-8), (0, 1e-2)])[:, 1]
        labels = [text.get_text() for text in axes.get_yticklabels()]
    assert height[0] < height[1] < height[2]
    assert labels[:2] == ["0", "10⁻⁸"]


def test_figure_6b_has_a_curve_per_tau_with_its_recorded_values(derived):
    (group,) = preservation_groups(derived.run.preservation)
    names = [entry.label for entry in group.legend]
    assert names == ["nullspace, τ = 1", "nullspace, τ = 0.999", "nullspace, τ = 0.99", "symmetry"]
    assert [marks(drawing.svg, "curve") for drawing in group.drawings] == [36] * 4
    exact = next(record for record in derived.run.preservation if record.tau == 1.0)
    steps, values = step_line(exact, "drift_float32")
    assert steps == list(range(9))
    assert values == [point.drift_float32 for point in exact.rows]


def test_a_model_without_held_out_data_has_no_panel_for_it(run_dir):
    record = load(run_dir).preservation[0]
    without = replace(record, rows=[replace(p, heldout_drift=None) for p in record.rows])
    (whole,) = preservation_groups([record])
    (group,) = preservation_groups([without])
    assert len(group.drawings) == len(whole.drawings) - 1


def test_the_float64_panel_is_left_out_where_it_would_look_the_same():
    record = synthetic.preservation("nullspace", 0.9, 1e-3, 4.0)
    for row in record["rows"]:
        row["drift_float64"] = row["drift_float32"]
    (group,) = preservation_groups(synthetic.structs([record]))
    assert len(group.drawings) == 3


def test_a_curve_stops_where_nothing_is_known_and_failed_ones_are_not_drawn():
    short = synthetic.preservation("nullspace", 0.9, 1e-3, 4.0)
    short["rows"][5]["grad_norm_sq"] = None
    failed = {**synthetic.preservation("nullspace", 0.5, 1, 2.0), "status": "crashed"}
    curves = synthetic.structs([short, failed])
    assert 5 not in step_line(curves[0], "grad_norm_sq")[0]
    (group,) = preservation_groups(curves)
    assert [entry.label for entry in group.legend] == ["nullspace, τ = 0.9"]


def test_curves_of_one_name_stay_apart():
    twice = [synthetic.preservation("nullspace", 1.0, 1e-7, 4.0) for _ in range(2)]
    (group,) = preservation_groups(synthetic.structs(twice))
    assert [entry.label for entry in group.legend] == ["nullspace, τ = 1", "nullspace, τ = 1 (2)"]


def test_figure_6a_draws_every_layer_and_marks_the_second(derived, read):
    spectrum = derived.run.spectrum
    (group,) = spectrum_groups(spectrum)
    (drawing,) = group.drawings
    assert drawing.svg.count('id="second"') == 1
    assert drawing.svg.count('id="layer"') == 2
    second = next(record for record in spectrum if record.position == 2)
    x, y = spectrum_line(second)
    rows = read("spectrum")
    rows = rows[rows.layer == "2.weight"]
    assert x == pytest.approx(list(100 * rows.share_of_eigenvectors))
    assert y == pytest.approx(list(100 * rows.cumulative_energy))
    assert "2.weight: 90 % of the energy in 5 of 32 eigenvectors" in drawing.alt


def test_a_layer_without_energy_does_not_break_the_figure():
    flat = {**synthetic.spectrum("0.weight", 2, 64, 0.5), "eigenvalues": [0.0, 0.0]}
    (record,) = synthetic.structs([flat])
    (group,) = spectrum_groups([record])
    assert group.drawings[0].alt.endswith("0.weight: no energy.")
    assert all(math.isnan(value) for value in spectrum_line(record)[1])


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "nonsense"])
def test_the_backend_a_notebook_asks_for_does_not_matter(backend):
    asked = (
        "import os; from reports.sections.registered import sections; sections(); "
        "import reports.text.canvas; print(os.environ['MPLBACKEND'])"
    )
    told = os.environ | {"MPLBACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", asked], env=told, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == backend
