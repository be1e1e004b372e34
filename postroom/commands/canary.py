"""`postroom canary run`: whether events become views and withdrawals retractions, seen from outside."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom.commands import noun
from postroom.errors import Exit


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "canary", "Postroom watches itself, from both ends.", "Operating")
    group.command()(run)


def run(
    every: Annotated[float, typer.Option(min=0.1, help="seconds from one round to the next")] = 5.0,
    withdraw_every: Annotated[int, typer.Option(min=1, help="withdraw in each so many rounds")] = 6,
    patience: Annotated[float, typer.Option(min=1, help="seconds until a round has failed")] = 30.0,
    rounds: Annotated[int | None, typer.Option(min=1, help="end after so many; none: go on")] = None,
    name: Annotated[str, typer.Option(help="this canary's name; several need several")] = "one",
) -> None:
    """Publish about a citizen who does not exist, read the view as a subscriber, withdraw, see it go.

    Its contract and agreement hold nobody else (docs/metrics.md). What it measured is on /metrics of this
    process, with how far the stages' groups are behind. With --rounds the exit code is 1 if the last failed.

    Example: postroom canary run --rounds 6
    """
    from connectors import find_stack
    from postroom.canary.process import keep_on, stops_at_signals, watching
    from postroom.logs import configure_logs
    from postroom.settings import settings

    current = settings()
    configure_logs(current)
    with watching(current, find_stack(current), name, withdraw_every, patience) as canary:
        succeeded = keep_on(canary, every, stops_at_signals(), rounds)
    if rounds is not None and not succeeded:
        raise typer.Exit(Exit.FOUND)
