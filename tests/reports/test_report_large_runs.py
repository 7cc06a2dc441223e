"""A page of a run that is too large for one shows a part, and the same part of everything."""

import pytest
import synthetic_run as synthetic

from reports import large_runs
from reports.large_runs import Limits, excerpt
from reports.run.run import load
from reports.run.setting import setting_of
from reports.tables.analysis import analysed


@pytest.fixture
def part(tmp_path, monkeypatch):
    """The part that is shown where one setting, two variants and three levels are allowed."""
    monkeypatch.setattr(large_runs, "MOST_CELLS", 100)
    monkeypatch.setattr(large_runs, "_LARGE", Limits(settings=1, variants=2, levels=3))
    ours = synthetic.cells()
    other = [
        {**cell, "cell_id": f"x{cell['cell_id']}", "block_id": f"x{cell['block_id']}"}
        for cell in ours[:40]
    ]
    cells = [*ours, *({**cell, "device": "cuda"} for cell in other)]
    found = analysed(load(synthetic.write(tmp_path / "run", cells)))
    return found, excerpt(found)


def test_everything_shown_is_of_the_cells_that_are_drawn(part):
    found, shown = part
    drawn = shown.analysis
    ids = {cell.cell_id for cell in drawn.run.cells}
    variants = {(setting_of(cell), cell.variant) for cell in drawn.run.cells}

    assert {variant for _, variant in variants} == {"sgd", "nullspace", "symmetry"}
    assert {row.cell_id for row in drawn.cells} == ids
    assert {row.cell_id for row in drawn.ratios} <= ids
    for whole, some in ((found.growth, drawn.growth), (found.crossings, drawn.crossings)):
        assert {(each.setting, each.variant) for each in some} <= variants
        assert 0 < len(some) < len(whole)


def test_it_is_said_what_is_left_out(part):
    found, shown = part
    count, whole = len(shown.analysis.run.cells), len(found.run.cells)
    notes = shown.analysis.run.notes
    assert any(f"{count} of {whole} cells are drawn" in note for note in notes)
