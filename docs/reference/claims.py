"""The page of the ledger: every claim with what came of it."""

from collections import Counter

from bench.claims.ledger import Claim, Finding, ledger


def claims_page() -> str:
    """All sources, a table each, and a sentence on how many came out how."""
    every = [claim for source in ledger() for claim in source.claim]
    counted = Counter(claim.finding.outcome.value for claim in every)
    counts = ", ".join(f"{number} {outcome}" for outcome, number in counted.most_common())
    lines = [
        "# What has been claimed, and what came of it",
        "",
        f"{len(every)} claims of papers, of their released code and of our own: {counts}. "
        "`teleport-bench claims` shows them, `teleport-bench claims --quick` tests anew all that "
        "take less than a minute, in float64, with another seed and in float32, and ends with 1 "
        "where something else comes out.",
        "",
        "*Conditional* means: it holds in some of the settings that were tried, and not in others. "
        "Where the command trains or sweeps, the figure is that of a recorded run in `results`.",
    ]
    for source in ledger():
        lines += ["", f"## [{source.title}]({source.address})", ""]
        lines += ["| claim | outcome | found | tested by |", "|---|---|---|---|"]
        lines += [_row(claim) for claim in source.claim]
    return "\n".join(lines) + "\n"


def _row(claim: Claim) -> str:
    found = claim.finding
    told = f"{found.text}{_figure(found)}" + (
        f" Tried again: {claim.again}." if claim.again else ""
    )
    cells = (
        f"<a id='{claim.id}'></a>{claim.says} ({claim.where})",
        f"**{found.outcome.value}**",
        told,
        f"`{claim.command}`",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _figure(found: Finding) -> str:
    if found.value is None:
        return "."
    interval = "" if found.low is None else f" [{found.low:.3g}, {found.high:.3g}]"
    return f" ({found.value:.3g}{interval})."
