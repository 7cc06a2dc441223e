"""The section on whether a teleport could pay: verdicts, figures, a row an arm."""

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from bench.storage.probe_records import ProbeRecord
from reports.probe.comparison import MINIMUM, Comparison, comparisons
from reports.probe.figures import probe_groups
from reports.probe.tables import LossRow, ProbeRow, VerdictRow, loss_rows, probe_row, verdict_row
from reports.probe.verdict import verdicts
from reports.run.run import Run
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.analysis import Analysis
from reports.tables.columns import frame
from reports.text import html_tables as html
from reports.text.html_tables import Cell, Table


class Probe(Section):
    """Left out, tables and all, where nothing was probed."""

    name, title, order = "probe", "Probe", 1

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``probe.csv``, ``probe_verdicts.csv`` and ``probe_losses.csv``."""
        records = probed(found.run)
        if not records:
            return {}
        return {
            "probe": frame([*map(probe_row, comparisons(records))], ProbeRow),
            "probe_verdicts": frame([*map(verdict_row, verdicts(records))], VerdictRow),
            "probe_losses": frame(loss_rows(records), LossRow),
        }

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """Sentences, panels and a table."""
        records = probed(shown.run)
        if not records:
            return None
        found = comparisons(records)
        return fill(
            TEMPLATES / "probe.html.j2",
            verdicts=verdicts(records),
            percent=f"{100 * (MINIMUM - 1):.0f} %",
            groups=probe_groups(found, records),
            table_of_arms=table_of(found),
        )


def probed(run: Run) -> list[ProbeRecord]:
    """The records of a run, the last one where an arm was probed again."""
    records = [each for each in run.others.get("probe", []) if isinstance(each, ProbeRecord)]
    return list({record.cell_id: record for record in records}.values())


def table_of(found: Sequence[Comparison]) -> Table:
    """A row an arm and horizon."""
    text = ["optimizer", "variant"]
    numeric = ["epochs before", "steps", "decrease, over plain", "first-order gain, over plain"]
    numeric += ["learning rate", "of plain", "loss at the start", "decrease", "of plain"]
    numeric += ["change by the move", "move, in steps", "seeds", "p above", "p below"]
    rows = [_cells(each) for each in found]
    caption = "Each arm against plain training, each at its best learning rate of the sweep"
    return Table(caption, html.columns(text, numeric), rows)


def _cells(found: Comparison) -> list[Cell]:
    lr = html.numbers(found.lr)
    return [
        *html.texts(found.place.optimizer, found.variant),
        html.whole(found.place.epochs),
        html.whole(found.horizon),
        html.numbers(*found.ratio[:3]),
        html.numbers(*found.gain[:3]),
        lr._replace(remark=f"{found.at_edge} at an edge" if found.at_edge else ""),
        html.numbers(found.lr_plain),
        html.numbers(found.loss_start),
        html.numbers(found.decrease),
        html.numbers(found.decrease_plain),
        html.small(found.move_change),
        html.numbers(found.cost_steps),
        html.whole(found.seeds),
        html.numbers(found.p_above),
        html.numbers(found.p_below),
    ]
