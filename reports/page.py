"""The page: one HTML file that needs nothing else, with a policy that lets it load nothing else."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup, escape

from reports import sections, summary
from reports.claims.claim import Evidence
from reports.claims.claims import claims
from reports.history.series import HistorySection
from reports.preservation import figures as error_figures
from reports.preservation import null_dimensions
from reports.profile import profile
from reports.run.harmless import shortened
from reports.run.run import SGD, Record, Run
from reports.runtime import figures as runtime_figures
from reports.runtime.crossings import crossing_table
from reports.runtime.ratios import ratio_table
from reports.runtime.schedule import CostTable
from reports.tables.growth import Setting, settings
from reports.text import formatting
from reports.text.canvas import Drawing, Entry, Style, legend, styles
from reports.text.html_tables import Table

_TEMPLATES = Path(__file__).parent / "templates"
_MOST_FAILURES = 50
_MOST_NAMES = 40
_VIEW_NAMES = {"seconds": "Seconds", "sgd_steps": "SGD steps"}


@dataclass(frozen=True)
class Material:
    """Everything the page shows; ``runtime`` is drawn, ``cells`` are the rows of the last table."""

    run: Run
    base: dict[str, int]
    counts: str
    runtime: Sequence[Record]
    cells: Sequence[Record]
    scaling: Sequence[Record]
    ratios: Sequence[Record]
    crossings: Sequence[Record]
    costs: list[CostTable]
    cost_notes: list[str]
    files: list[str]
    history: HistorySection | None = None


class View(NamedTuple):
    """The panels in one unit, and how many cells have no value in it."""

    key: str
    name: str
    drawings: list[Drawing]
    unpaired: int


class RuntimeSection(NamedTuple):
    """Figure 3 in one setting."""

    heading: str
    legend: list[Entry]
    views: list[View]
    failures: list[runtime_figures.Failure]


class Failed(NamedTuple):
    """Failures with one status and reason, and what they are."""

    status: str
    reason: str
    what: list[str]


class Schedule(NamedTuple):
    """What one schedule costs, with bars."""

    heading: str
    sentence: str
    table: Table
    bars: list[tuple[str, float, str]]
    remarks: list[str]


def render(material: Material) -> str:
    """The whole page; the same material gives the same bytes."""
    loader = jinja2.FileSystemLoader(_TEMPLATES)
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    css, script = (
        (_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js")
    )
    template = environment.get_template("report.html.j2")
    return template.render(
        **_context(material),
        css=Markup(css),  # our own file
        script=Markup(script),
        policy=_policy(css, script),
    )


def breakable(text: str) -> Markup:
    """Escaped text that may be broken behind the colons and commas of a long variant."""
    escaped = escape(text)
    for mark in (":", ","):
        escaped = escaped.replace(mark, Markup(f"{mark}<wbr>"))
    return escaped


def _policy(css: str, script: str) -> str:
    """Nothing may be fetched; the one style sheet and the one script are named by their hashes."""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_hash(css)}; script-src {_hash(script)}"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _anything_else(run: Run) -> bool:
    return bool(run.cells or run.preservation or run.spectrum)


def _context(material: Material) -> dict[str, Any]:
    run = material.run
    front = _front(run.spec)
    evidence = Evidence(material.scaling, run.preservation, run.spectrum, material.costs)
    return {
        "title": summary.title(material.runtime),
        "paragraph": " ".join(
            [
                material.counts,
                summary.paragraph(material.runtime, run.preservation, material.base),
            ]
        ),
        "notes": run.notes,
        "profiles_alone": bool(run.profiles) and not _anything_else(run),
        "profile": profile.section(run.profiles, run.environment, run.directory.name),
        "base": formatting.point(material.base),
        "runtime_sections": _runtime_sections(material),
        "scaling": sections.scaling_tables(material.scaling),
        "ratios": ratio_table(material.ratios, material.base),
        "crossings": crossing_table(material.crossings),
        "preservation_groups": error_figures.preservation_groups(run.preservation),
        "preservation": sections.preservation_table(run.preservation),
        "spectrum_overview": error_figures.spectrum_overview(run.spectrum, front),
        "spectrum_groups": error_figures.spectrum_groups(run.spectrum, front),
        "spectrum_legend": error_figures.spectrum_legend(front),
        "null_dimensions": null_dimensions.table(run.spectrum),
        "spectrum": sections.spectrum_table(run.spectrum),
        "schedules": [_schedule(table) for table in material.costs],
        "cost_notes": material.cost_notes,
        "claims": claims(evidence),
        "history": material.history,
        "cells": sections.cells_table(material.cells),
        "environment": sections.environment_table(run.environment or {}),
        "failures": _failures(run.failures),
        "command": (run.spec or {}).get("command", ""),
        "files": material.files,
    }


def _front(spec: Record | None) -> list[int]:
    """The layers whose spectrum was asked for."""
    section = (spec or {}).get("preservation")
    asked = section.get("layers") if isinstance(section, dict) else None
    numbers = asked if isinstance(asked, list) else []
    return [n for n in numbers if isinstance(n, int)] or [error_figures.SECOND_LAYER]


def _runtime_sections(material: Material) -> list[RuntimeSection]:
    """Figure 3 once per setting; variants look the same in all of them."""
    variants = [row["variant"] for row in material.runtime if row["method"] != SGD]
    asked = (material.run.spec or {}).get("methods")
    order = [str(name) for name in asked] if isinstance(asked, list) else []
    names = sorted(set(variants), key=lambda v: (order.index(v) if v in order else len(order), v))
    chosen = styles(names)
    return [_runtime_section(material, setting, chosen) for setting in settings(material.runtime)]


def _runtime_section(
    material: Material, setting: Setting, chosen: dict[str, Style]
) -> RuntimeSection:
    views = []
    failures: list[runtime_figures.Failure] = []
    for key, name in _VIEW_NAMES.items():
        panels = runtime_figures.panels(
            material.runtime, material.scaling, setting, material.base, key
        )
        drawings = runtime_figures.draw(panels, chosen)
        views.append(View(key, name, drawings, sum(panel.unpaired for panel in panels)))
        failures = [failure for panel in panels for failure in panel.failures]
    heading = f"{setting.model} on {setting.dataset}, {setting.device}, {setting.dtype}"
    return RuntimeSection(heading, legend(chosen), views, failures)


def _failures(records: Sequence[Record]) -> list[Failed]:
    """Failures by status and reason, the most frequent first."""
    what: dict[tuple[str, str], list[str]] = {}
    for record in records:
        key = (str(record["status"]), shortened(str(record.get("reason") or "no reason recorded")))
        what.setdefault(key, []).append(_name(record))
    frequent = sorted(what, key=lambda key: -len(what[key]))
    shown = [Failed(*key, _some(sorted(what[key]))) for key in frequent[:_MOST_FAILURES]]
    left = sum(len(what[key]) for key in frequent[_MOST_FAILURES:])
    if left:
        shown.append(Failed("more", f"{left} with other reasons are in runtime.csv", []))
    return shown


def _some(names: list[str]) -> list[str]:
    left = len(names) - _MOST_NAMES
    return names if left <= 0 else [*names[:_MOST_NAMES], f"and {left} more, see runtime.csv"]


def _name(record: Record) -> str:
    where = formatting.point(record)
    if record["kind"] == "spectrum":
        return f"spectrum of {record['model']} on {record['dataset']}"
    kind = "preservation of " if record["kind"] == "preservation" else ""
    tau = record.get("tau") if record["kind"] == "preservation" else None
    at = f", τ = {formatting.tau(float(tau))}" if isinstance(tau, (int, float)) else ""
    return (
        f"{kind}{record['variant']}{at} at {where}" if where else f"{kind}{record['variant']}{at}"
    )


def _schedule(table: CostTable) -> Schedule:
    plan, setting = table.schedule, table.setting
    largest = max(cost.share.value for cost in table.costs)
    bars = [
        (
            cost.variant,
            round(100 * cost.share.value / largest, 2),
            formatting.percent(cost.share.value),
        )
        for cost in table.costs
    ]
    sentence = (
        f"{plan.teleport_batches} batches in each of {plan.teleport_epochs} epochs are teleported "
        f"by {plan.t} steps: {formatting.whole(plan.teleports)} teleports. The training takes "
        f"{plan.epochs} epochs over {formatting.whole(plan.samples_per_epoch)} samples in batches "
        f"of {plan.batch_size}: {formatting.whole(plan.sgd_steps)} SGD steps. Times are those at "
        f"{formatting.point(table.point)}."
    )
    heading = f"{setting.model} on {setting.dataset}, {setting.device}, {setting.dtype}"
    return Schedule(heading, sentence, sections.schedule_table(table), bars, table.remarks)
