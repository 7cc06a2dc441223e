"""The section of the page on where the time goes: bars, flame graphs, memory, and tables."""

from collections.abc import Mapping
from math import nan
from typing import NamedTuple

import pandas as pd
from markupsafe import Markup

from bench.spec.axes import AXES
from bench.storage.records import ProfileRecord
from reports.profile.bars import Bar, bars
from reports.profile.flame import Flame, flame
from reports.profile.memory_figure import memory_panels
from reports.profile.phase_colours import colour_of, ordered
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
from reports.text.canvas import Drawing, Entry, Style, legend
from reports.text.html_tables import Cell, Column, Table

_DECOMPOSITIONS = ("basis", "pseudo-inverse", "inverse")
_OPERATORS_SHOWN = 6


class Group(NamedTuple):
    """The variants that were profiled at one point."""

    heading: str
    shares: list[str]
    bars: list[Bar]
    legend: list[tuple[str, str]]
    flames: list[Flame]
    memory: list[tuple[str, Drawing]]
    variants: list[Entry]
    phases: Table
    calls: Table
    operators: Table
    traces: list[tuple[str, str]]


class Profile(Section):
    """Bars and tables of every point that was profiled."""

    name, title, order = "profile", "Profile", 50

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
            groups=[_group(name, found, roof, shown.styles) for name, found in points.items()],
            roof=sentence(run.environment),
            notes=[f"{record.variant}: {record.note}." for record in good if record.note],
            command=f"tensorboard --logdir {run.directory.name}/profiles/tensorboard",
        )


def _group(
    heading: str, records: list[ProfileRecord], roof: Roof, styles: Mapping[str, Style]
) -> Group:
    rows = {record.variant: phase_rows(record) for record in records}
    order = ordered({row.phase for found in rows.values() for row in found})
    memory = memory_panels(records, styles)
    drawn = {name: style for name, style in styles.items() if name in rows} if memory else {}
    return Group(
        heading=heading,
        shares=_shares_of_decompositions(rows),
        bars=bars(records, order),
        legend=[(name, colour_of(name)) for name in order],
        flames=[found for record in records if (found := flame(record)) is not None],
        memory=memory,
        variants=legend(drawn),
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
