"""A comparison as Markdown, for a pull request or ``GITHUB_STEP_SUMMARY``."""

from bench.comparison.exports.text import HEADINGS, row
from bench.comparison.outcome import Outcome

# GitHub refuses a step summary of more than 1024 KiB; a job may write several.
MOST_BYTES = 900 * 1024


def dumps(outcome: Outcome) -> str:
    """A heading, a sentence and a table, the worst cells first; at most ``MOST_BYTES`` long."""
    head = [
        f"## Performance: {outcome.sentence}",
        "",
        f"{_escaped(outcome.head)} against {_escaped(outcome.base)}. {outcome.headline}.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"|{' --- |' * len(HEADINGS)}",
    ]
    lines = [f"| {' | '.join(map(_escaped, row(j)))} |" for j in outcome.judgements]
    tail = [
        "",
        "A ratio above 1 means that head takes longer. "
        f"Repeat it with `{outcome.command.replace('`', '')}`.",
    ]
    room = MOST_BYTES - sum(len(line.encode()) + 1 for line in (*head, *tail)) - 100
    kept: list[str] = []
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            tail.insert(0, f"\n{len(lines) - len(kept)} more cells are left out here.")
            break
        kept.append(line)
    return "\n".join([*head, *kept, *tail]) + "\n"


def _escaped(text: str) -> str:
    """Text that stays one cell of a table and brings no markup or links of its own."""
    plain = " ".join(text.split())
    for mark in "\\`*_[]<>|~#&":
        plain = plain.replace(mark, f"\\{mark}" if mark != "&" else "&amp;")
    return plain.replace("@", "@\u200b")
