"""Descents on a page: every number given is drawn where it belongs."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from page_reading import Page

from bench.errors import JournalError
from bench.storage.kinds.descent_records import DescentRecord, LandscapeRecord, Visit
from bench.storage.records import Record, plain
from reports import write_report
from reports.descents.figures import after_teleports, group, jumps
from reports.run.setting import setting_of
from reports.text import canvas

PLACE = {"model": "booth", "dataset": "its own batches", "device": "cpu", "dtype": "float64"}
STEPS = [(0, 3.0, 1.0), (1, 2.0, 1.0), (2, 1.0, 0.0)]
TWICE = [(0, 3.0, 1.0), (0, 1.0, 3.0), (1, 1.0, 1.0), (2, 0.5, 0.5), (2, 0.1, 0.7)]


def descent(variant: str, points: list[tuple[int, float, float]], to: tuple[int, ...] = ()) -> Any:
    visits = [
        Visit(step=step, x=x, y=y, loss=x**2 + y**2, grad_norm_sq=4 * (x**2 + y**2) + k,
              teleported=k in to)
        for k, (step, x, y) in enumerate(points)
    ]  # fmt: skip
    return DescentRecord(variant=variant, visits=visits, cell_id=variant, **PLACE)


def landscape(**more: Any) -> LandscapeRecord:
    x, y = [-4.0, -1.0, 0.0, 1.0, 4.0], [-3.0, 0.0, 3.0]
    values = [[a**2 + b**2 for a in x] for b in y]
    known = {"x": x, "y": y, "values": values, "minimisers": [(0.0, 0.0)], "cell_id": "around"}
    return LandscapeRecord(**{**PLACE, **known, **more})


BOTH = [descent("plain", STEPS), descent("so2", TWICE, to=(1, 4))]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    """The axes of each panel in the order in which they are finished."""
    seen: list[Axes] = []
    finish = canvas.finish

    def spy(figure: Any, alt: str) -> canvas.Drawing:
        if len(alt) > 40 or "against" in alt:  # no swatch of a legend
            seen.extend(figure.axes)
        return finish(figure, alt)

    monkeypatch.setattr(canvas, "finish", spy)
    return seen


def lines(axes: Axes, gid: str) -> list[list[list[float]]]:
    return [line.get_xydata().tolist() for line in axes.lines if line.get_gid() == gid]


def test_steps_begin_after_their_teleports() -> None:
    assert [(v.step, v.x) for v in after_teleports(BOTH[1])] == [(0, 1.0), (1, 1.0), (2, 0.1)]
    assert [(a.x, b.x) for a, b in jumps(BOTH[1])] == [(3.0, 1.0), (0.5, 0.1)]
    assert jumps(BOTH[0]) == []


def test_paths_teleports_and_minima_are_drawn(drawn: list[Axes]) -> None:
    found = group(setting_of(BOTH[0]), BOTH, landscape())

    first, second, *curves = drawn
    assert len(curves) == 3
    assert [entry.label for entry in found.legend] == ["plain", "so2"]
    for axes, points in ((first, STEPS), (second, TWICE)):
        assert lines(axes, "path") == [[[x, y] for _, x, y in points]]
        assert lines(axes, "minimum") == [[[0.0, 0.0]]]
        assert (axes.get_xlim(), axes.get_ylim()) == ((-4, 4), (-3, 3))
        assert len(axes.collections) > 0  # the level sets
    assert lines(first, "jump") == []
    assert lines(second, "jump") == [[[3, 1], [1, 3]], [[0.5, 0.5], [0.1, 0.7]]]


def test_curves_are_logarithmic_and_teleports_are_marked(drawn: list[Axes]) -> None:
    group(setting_of(BOTH[0]), BOTH, None)

    loss, norm, both = drawn
    assert lines(loss, "curve") == [
        [[0, 10], [1, 5], [2, 1]], [[0, 10], [1, 2], [2, pytest.approx(0.5)]]
    ]  # fmt: skip
    assert lines(norm, "curve")[0] == [[0, 40], [1, 21], [2, 6]]
    assert lines(both, "curve")[0] == [[10, 40], [5, 21], [1, 6]]
    assert lines(both, "jumps") == [[], [[10, 41], [pytest.approx(0.5), pytest.approx(6)]]]
    assert {axes.get_yscale() for axes in drawn} == {"log"}
    assert both.get_xscale() == "log"


@pytest.mark.parametrize("offset", [0.0, 7.0])
def test_levels_are_counted_from_the_minimum(drawn: list[Axes], offset: float) -> None:
    values = [[value + offset for value in row] for row in landscape().values]

    group(setting_of(BOTH[0]), BOTH[:1], landscape(values=values))

    levels = drawn[0].collections[0].levels  # type: ignore[attr-defined]
    assert levels[-1] == pytest.approx(math.log(25), rel=1e-9)
    assert levels[0] == pytest.approx(math.log(25e-5), rel=1e-9)


def written(directory: Path, records: list[Record]) -> Path:
    lines_ = "".join(f"{json.dumps(plain(each))}\n" for each in records)
    (directory / "journal.jsonl").write_text(lines_)
    return write_report(directory)


def test_page_and_file_of_a_run(tmp_path: Path) -> None:
    refused = DescentRecord(variant="gauge", status="skipped", reason="no pair", **PLACE)

    page = Page(written(tmp_path, [*BOTH, landscape(), refused]).read_text("utf-8"))

    assert "#descents" in [attrs["href"] for attrs in page.all("a")]
    assert sum("panel" in attrs.get("class", "") for attrs in page.all("img")) == 5
    with (tmp_path / "descents.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["variant"], r["step"], r["teleported"], r["x"]) for r in rows[3:5]] == [
        ("so2", "0", "0", "3.0"), ("so2", "0", "1", "1.0")
    ]  # fmt: skip
    assert len(rows) == 8


def test_a_journal_of_anybody_s_makes_a_page_or_is_refused(tmp_path: Path) -> None:
    far = descent("far", STEPS)
    far.visits[1] = Visit(step=1, x=1e300, y=-1e300, loss=1e308, grad_norm_sq=None)
    wild = landscape(values=[[None, 1e308, -1e308, 0.0, 1.0]] * 3)
    assert "Descents" in Page(written(tmp_path, [far, wild]).read_text("utf-8")).words
    flat = landscape(values=[[None] * 5] * 3)
    assert "Descents" in Page(written(tmp_path, [far, flat]).read_text("utf-8")).words

    for record, text in ((landscape(), "a value for each point"), (landscape(), "ascending order")):
        line = plain(record)
        if "value" in text:
            line["values"][1] = [1.0]
        else:
            line["x"][0] = 9.0
        (tmp_path / "journal.jsonl").write_text(f"{json.dumps(line)}\n")
        with pytest.raises(JournalError, match=text):
            write_report(tmp_path)
