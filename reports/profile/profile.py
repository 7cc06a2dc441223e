"""The section of the page on where the time goes: a bar per variant with its phases, and tables."""

from collections.abc import Mapping
from math import nan
from typing import NamedTuple

import pandas as pd
from markupsafe import Markup

from bench.spec.axes import AXES
from bench.storage.records import ProfileRecord
from reports.profile.tables import (
    OperatorRow,
    PhaseRow,
    ProfileRow,
    device_peak,
    is_whole,
    operator_rows,
    phase_rows,
    profile_row,
)
from reports.run.run import as_float
from reports.run.setting import setting_of
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.analysis import Analysis
from reports.tables.columns import frame
from reports.tables.roofline import Roof, roof_of, sentence, share
from reports.text import formatting
from reports.text import html_tables as html
from reports.text.html_tables import Cell, Column, Table

BAR_WIDTH, BAR_HEIGHT = 600, 24
_DECOMPOSITIONS = ("basis", "pseudo-inverse", "inverse")
_OPERATORS_SHOWN = 6
_CHARACTER = 6.2  # of a label, in units of the bar
# In the order of a call; what the papers call the bottleneck stands out.
_COLOURS = {
    "basis": "#b5400f",
    "pseudo-inverse": "#d9730d",
    "inverse": "#e8a33d",
    "capture": "#8c6bb1",
    "forward": "#a9c7e0",
    "backward": "#6b9cc4",
    "double backward": "#2f5f8a",
    "tangent": "#3f8f8b",
    "projection": "#7fb069",
    "update": "#c9b458",
    "check": "#b8b0a5",
    "graph": "#9c7a5b",
    "other": "#dedbd7",
}
_UNKNOWN_COLOUR = "#8a8a8a"
_LIGHT_INK = {"basis", "double backward", "tangent", "capture"}


class Piece(NamedTuple):
    """One phase of a bar: its place in units of the bar, its label if that fits, its words."""

    x: float
    width: float
    colour: str
    label: str
    light: bool
    words: str


class Bar(NamedTuple):
    """The time of one variant, cut into its phases."""

    variant: str
    time: str
    pieces: list[Piece]
    words: str


class Group(NamedTuple):
    """The variants that were profiled at one point."""

    heading: str
    shares: list[str]
    bars: list[Bar]
    legend: list[tuple[str, str]]
    phases: Table
    calls: Table
    operators: Table
    traces: list[tuple[str, str]]


class Profile(Section):
    """Bars and tables of every point that was profiled."""

    name, title, order = "profile", "Profile", 80

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``profile.csv``, ``profile_phases.csv``, ``profile_operators.csv``; no empty one."""
        records, roof = found.run.profiles, roof_of(found.run.environment)
        every = {
            "profile": frame([profile_row(record, roof) for record in records], ProfileRow),
            "profile_phases": frame([p for r in records for p in phase_rows(r)], PhaseRow),
            "profile_operators": frame([o for r in records for o in operator_rows(r)], OperatorRow),
        }
        return {name: table for name, table in every.items() if len(table)}

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """Every point, or how to profile; of a run that only trained nothing."""
        run = shown.run
        if shown.nothing_timed and not run.profiles:
            return None
        good = [record for record in run.profiles if is_whole(record)]
        points: dict[str, list[ProfileRecord]] = {}
        for record in good:
            levels = {axis: level for axis in AXES if (level := getattr(record, axis)) is not None}
            heading = f"{formatting.point(levels)} ({setting_of(record).heading})"
            points.setdefault(heading, []).append(record)
        roof = roof_of(run.environment)
        return fill(
            TEMPLATES / "profile.html.j2",
            groups=[_group(heading, found, roof) for heading, found in points.items()],
            roof=sentence(run.environment),
            notes=[f"{record.variant}: {record.note}." for record in good if record.note],
            command=f"tensorboard --logdir {run.directory.name}/profiles/tensorboard",
        )


def _group(heading: str, records: list[ProfileRecord], roof: Roof) -> Group:
    rows = {record.variant: phase_rows(record) for record in records}
    present = {row.phase for found in rows.values() for row in found}
    order = [*(name for name in _COLOURS if name in present), *sorted(present - set(_COLOURS))]
    return Group(
        heading=heading,
        shares=_shares_of_decompositions(rows),
        bars=[_bar(record, order) for record in records],
        legend=[(name, _COLOURS.get(name, _UNKNOWN_COLOUR)) for name in order],
        phases=_phase_table(records),
        calls=_call_table(records, roof),
        operators=_operator_table(records),
        traces=[(record.variant, record.raw_trace or "") for record in records],
    )


def _shares_of_decompositions(rows: Mapping[str, list[PhaseRow]]) -> list[str]:
    """What the papers call the bottleneck, as shares of the variants' calls; a sentence a phase."""
    shares: dict[str, list[str]] = {}
    for name in _DECOMPOSITIONS:
        for variant, found in rows.items():
            for row in (row for row in found if row.phase == name):
                share_of = f"{formatting.percent(row.share)} of {variant}"
                shares.setdefault(name, []).append(share_of)
    return [f"{name.capitalize()}: {formatting.listed(found)}." for name, found in shares.items()]


def _bar(record: ProfileRecord, order: list[str]) -> Bar:
    shares = {row.phase: max(row.share, 0.0) for row in phase_rows(record)}
    pieces = []
    x = 0.0
    for name in (name for name in order if name in shares):
        width = BAR_WIDTH * shares[name]
        colour, light = _COLOURS.get(name, _UNKNOWN_COLOUR), name in _LIGHT_INK
        label = _label(name, f"{100 * shares[name]:.0f} %", width)
        words = f"{name} {formatting.percent(shares[name])}"
        pieces.append(Piece(round(x, 2), round(width, 2), colour, label, light, words))
        x += width
    alt = f"{record.variant}: " + ", ".join(piece.words for piece in pieces)
    return Bar(record.variant, formatting.seconds(as_float(record.seconds)), pieces, alt)


def _label(name: str, percent: str, width: float) -> str:
    """The longest label that fits into a piece."""
    labels = (f"{name} {percent}", percent)
    return next((label for label in labels if (len(label) + 1) * _CHARACTER <= width), "")


def _phase_table(records: list[ProfileRecord]) -> Table:
    text = ["variant", "phase"]
    numeric = ["times per call", "share", "time", "with what is within", "on the device"]
    rows = [
        [
            *html.texts(record.variant, row.phase),
            html.whole(row.calls or None),
            html.percent(row.share),
            html.seconds(row.self_s),
            html.seconds(row.total_s),
            html.seconds(row.device_s or nan),
        ]
        for record in records
        for row in phase_rows(record)
    ]
    caption = "Phases of one batch, prepared and taken through its t steps"
    return Table(caption, html.columns(text, numeric), rows).without_empty()


def _call_table(records: list[ProfileRecord], roof: Roof) -> Table:
    numeric = ["call", "without stopwatch", "in the trace", "launches per call", "per step"]
    numeric += ["device busy", "peak of memory", "on the device"]
    numeric += ["of the product rate", "of the copy rate"]
    rows = [_call_cells(record, roof) for record in records]
    caption = "Calls as a whole; launches are kernels, on a CPU operators of the lowest level"
    return Table(caption, html.columns(["variant"], numeric), rows).without_empty()


def _call_cells(record: ProfileRecord, roof: Roof) -> list[Cell]:
    traced, unwatched = record.traced, as_float(record.unwatched_s)
    if traced is None:
        return []
    return [
        html.words(record.variant),
        html.seconds(as_float(record.seconds)),
        html.seconds(unwatched),
        html.seconds(traced.call_s),
        html.numbers(traced.launched),
        html.numbers(traced.launched_in_steps / (record.t or 1)),
        html.percent(as_float(traced.device_busy)),
        html.memory(traced.memory_peaks.get("cpu")),
        html.memory(device_peak(traced.memory_peaks)),
        html.percent(share(roof, record, "operations_share", unwatched)),
        html.percent(share(roof, record, "bytes_share", unwatched)),
    ]


def _operator_table(records: list[ProfileRecord]) -> Table:
    text = ["variant", "operator", "phase"]
    numeric = ["times per call", "own time", "with what it calls", "own on the device"]
    rows = [
        [
            *html.texts(record.variant, row.operator, row.phase),
            html.numbers(row.calls),
            html.seconds(row.self_cpu_s),
            html.seconds(row.total_cpu_s),
            html.seconds(row.self_device_s or nan),
        ]
        for record in records
        for row in operator_rows(record)[:_OPERATORS_SHOWN]
    ]
    caption = (
        f"The {_OPERATORS_SHOWN} operators with most time of their own, in the trace, whose times "
        "hold the profiler's own work"
    )
    return Table(caption, [*html.columns(text, []), *map(Column, numeric)], rows).without_empty()
