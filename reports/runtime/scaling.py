"""The section on how time and memory grow along each axis."""

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from bench.statistics.growth_verdicts import Answer
from reports.run.setting import Setting
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.analysis import Analysis
from reports.tables.columns import frame
from reports.tables.growth import MEMORY, SGD_PHASE, Grown, ScalingRow, scaling_row
from reports.text import html_tables as html
from reports.text.formatting import DASH, WORDS, listed
from reports.text.html_tables import Cell, Column, Table

# A setting, a variant and an axis.
Place = tuple[Setting, str, str]


class Scaling(Section):
    """Slopes, exponents, laws and verdicts."""

    name, title, order, measured = "scaling", "Scaling", 70, True

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``scaling.csv``."""
        return {"scaling": frame([*map(scaling_row, found.growth)], ScalingRow)}

    def render(self, shown: Shown, fill: Fill) -> Markup:
        """Sentences and two tables."""
        growth = shown.analysis.growth
        return fill(
            TEMPLATES / "scaling.html.j2",
            scaling=scaling_tables(growth),
            known=any(each.growth.levels > 1 for each in growth),
            sentences=scaling_sentences(growth),
        )


def scaling_sentences(growth: Sequence[Grown]) -> list[str]:
    """What became of the paper's claims by axis; all that is undecided in one sentence."""
    judged = [each for each in growth if each.phase == "total" and each.verdict]
    decided = [_decided(judged, word) for word in (Answer.HOLDS.value, Answer.FAILS.value)]
    return [sentence for sentence in (*decided, _undecided_words(judged)) if sentence]


def _decided(judged: Sequence[Grown], word: str) -> str:
    """``Holds: near-constant in hidden width d of nullspace; ...``."""
    axes: dict[tuple[str, str], list[str]] = {}
    for each in judged:
        claim, _, found = each.verdict.partition(": ")
        if found == word:
            axes.setdefault((claim, each.variant), []).append(f"{WORDS[each.axis]} {each.axis}")
    variants: dict[str, list[str]] = {}
    for (claim, variant), own in axes.items():
        variants.setdefault(f"{claim} in {listed(list(dict.fromkeys(own)))}", []).append(variant)
    parts = [f"{what} for {listed(own)}" for what, own in variants.items()]
    return f"{word.capitalize()}: {'; '.join(parts)}." if parts else ""


def _undecided_words(judged: Sequence[Grown]) -> str:
    open_ = [each.axis for each in judged if Answer.OPEN.value in each.verdict]
    if not open_:
        return ""
    every = [each.axis for each in judged]
    parts = [
        f"{WORDS[axis]} {axis} ({open_.count(axis)} of {every.count(axis)})"
        for axis in dict.fromkeys(open_)
    ]
    return (
        f"Cannot be told from these levels: {len(open_)} of {len(every)} growths, along "
        f"{listed(parts)}; the table says why."
    )


def scaling_tables(growth: Sequence[Grown]) -> list[Table]:
    """How the total grows along each axis; how its phases and the memory do, where it is known."""
    swept = {grown.axis for grown in growth if grown.growth.levels > 1}
    rows: dict[Place, dict[str, Grown]] = {}
    for grown in (grown for grown in growth if grown.axis in swept):
        place = (grown.setting, grown.variant, grown.axis)
        rows.setdefault(place, {})[grown.phase] = grown
    several = len({setting for setting, _, _ in rows}) > 1
    text = ["setting", "variant", "axis"] if several else ["variant", "axis"]
    whole = html.columns([*text], ["levels", "slope", "exponent", "floor"])
    whole += [Column(label, False) for label in ("law", "verdict", "remark")]
    parts = html.columns([*text], ["slope of prepare", "slope of steps", "slope of peak memory"])
    named = [(_named(place, phases, several), phases) for place, phases in rows.items()]
    of_parts = [
        (name, [_slope(phases.get(phase)) for phase in ("prepare", "steps", MEMORY)])
        for name, phases in named
        if SGD_PHASE not in phases or MEMORY in phases
    ]
    known = any(cell.text != DASH for _, cells in of_parts for cell in cells)
    named_all = sorted(named, key=lambda pair: _undecided(pair[1]))
    of_both = [[*name, *_total_cells(phases)] for name, phases in named_all]
    of_phases = [[*name, *cells] for name, cells in of_parts] if known else []
    return [
        Table(
            "How the time of prepare and steps grows along each axis that was swept", whole, of_both
        ).without_empty(),
        Table("How each phase and the memory grow", parts, of_phases).without_empty(),
    ]


def _named(place: Place, phases: dict[str, Grown], several: bool) -> list[Cell]:
    setting, variant, axis = place
    name = f"{variant} (a single step)" if SGD_PHASE in phases else variant
    along = f"{WORDS[axis]} {axis}"
    return html.texts(*([", ".join(setting)] if several else []), name, along)


def _undecided(phases: dict[str, Grown]) -> bool:
    """Rows without a verdict come last."""
    total = phases.get("total") or phases[SGD_PHASE]
    return Answer.OPEN.value in total.verdict or not total.verdict


def _total_cells(phases: dict[str, Grown]) -> list[Cell]:
    total = phases.get("total") or phases[SGD_PHASE]
    growth = total.growth
    return [
        html.words(_levels(total)),
        _slope(total),
        html.slope(growth.exponent, growth.ci_low, growth.ci_high),
        html.seconds(growth.floor_s),
        *html.texts(_law(total), total.verdict, growth.reason),
    ]


def _law(grown: Grown) -> str:
    law, rivals = grown.growth.law, ", ".join(grown.growth.rivals)
    return f"{law} ({rivals})" if rivals else law


def _levels(grown: Grown) -> str:
    if grown.lowest is None:
        return DASH
    return f"{grown.lowest} to {grown.highest} ({grown.growth.levels})"


def _slope(grown: Grown | None) -> Cell:
    if grown is None:
        return html.UNKNOWN
    return html.slope(grown.growth.slope, grown.growth.slope_low, grown.growth.slope_high)
