"""``teleport-bench claims``: what has been claimed of teleports, and what came of it."""

from typing import Annotated

import typer

Names = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Test these anew; see the table.")
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Test anew all that take less than a minute each.")
]


def claims(ids: Names = None, quick: Quick = False) -> None:
    """Show every claim of the papers with its outcome, from recorded runs or anew.

    A claim is tested anew in float32, float64 and with another seed. The exit code is 1 where
    something else comes out than the ledger says.
    """
    from bench.claims.ledger import chosen, together
    from bench.claims.trying import tried
    from bench.cli.table import print_table

    wanted = chosen(ids or [])
    if not (ids or quick):
        rows = [(c.id, c.finding.outcome.value, c.finding.text, c.where) for c in wanted]
        print_table(("claim", "outcome", "found", "where"), rows)
        return
    by_experiment = {c.experiment: c for c in wanted if c.experiment}
    for claim in wanted:
        if ids and not claim.experiment:
            typer.echo(f"{claim.id}: takes longer; it is tested by: {claim.command}", err=True)
    others = 0
    for found in tried(list(by_experiment)):
        claim = by_experiment[found.experiment]
        outcome, said = together(f.outcome for f in found.findings.values()), claim.finding.outcome
        others += outcome is not said
        told = "" if outcome is said else f" (the ledger says: {said.value})"
        typer.echo(f"{claim.id}: {outcome.value}{told}")
        for setting, finding in found.findings.items():
            typer.echo(f"    {setting}: {finding.text}")
    if quick and not ids:
        typer.echo("\nFrom recorded runs, as each takes longer:")
        for claim in wanted:
            if not claim.experiment:
                typer.echo(f"{claim.id}: {claim.finding.outcome.value}")
                typer.echo(f"    {claim.finding.text}")
                typer.echo(f"    {claim.command}")
    if others:
        raise typer.Exit(1)
