"""`postroom up`, `down`: the local Kafka and registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from postroom.output import Form, Output, write_rows

if TYPE_CHECKING:
    from postroom.config import Settings

PANEL = "The local stack"
UP_COLUMNS = ("part", "address")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=PANEL)(up)
    app.command(rich_help_panel=PANEL)(down)


def up(
    secure: Annotated[
        bool, typer.Option("--secure", help="Kafka with TLS, passwords and access rules, from now on.")
    ] = False,
    output: Output = Form.TABLE,
) -> None:
    """Start Kafka and the schema registry on this machine, unless they run.

    With --secure Kafka speaks TLS, asks for a user and a password, and lets nobody do what `postroom topics
    apply` has not granted; commands here are then the administrator's, unless POSTROOM_KAFKA_USERNAME names
    another user whose password `postroom access credential` made. A stack once secured stays so.

    With POSTROOM_KAFKA and POSTROOM_REGISTRY set, looks whether those answer and starts nothing. The first
    run fetches 153 MB. Data is kept in .state (POSTROOM_STATE) of the current directory and survives `down`;
    where that is, is said, and whether contracts are missing there: each directory has a stack of its own.

    Example: POSTROOM_KAFKA_PORT=19092 postroom up
    """
    from connectors import ensure_stack
    from postroom.console import ConsoleReport
    from postroom.settings import settings

    current = settings()
    _say_ground(current)
    stack = ensure_stack(current, ConsoleReport(), secure=secure)
    rows = [{"part": "kafka", "address": stack.kafka}, {"part": "registry", "address": stack.registry}]
    write_rows(rows, output, UP_COLUMNS)


def _say_ground(current: Settings) -> None:
    """Say where the stack stands, before it starts: whoever is in the wrong directory sees it (ADR 0064).

    Contracts are not needed for a Kafka of one's own, as for the tests of another program, so their lack is
    no refusal.
    """
    from connectors.local_stack import external, stack_above
    from postroom.console import say

    if external(current):
        return
    say(f"this stack is the one of {current.state_dir.absolute()} (POSTROOM_STATE)")
    if above := stack_above(current):
        say(above)
    if not current.contracts_dir.is_dir():
        say(
            f"there are no contracts in {current.contracts_dir.absolute()} (POSTROOM_CONTRACTS): if this is "
            "the wrong directory, `postroom down`, go to the one that has them, and `postroom up` there"
        )


def down() -> None:
    """Stop what `up` started, and nothing else; data stays.

    Example: postroom down && rm -r .state    (begin from nothing)
    """
    from connectors import stop_stack
    from connectors.local_stack import external, stack_above
    from postroom.console import ConsoleReport, say
    from postroom.settings import settings

    current = settings()
    if not stop_stack(current, ConsoleReport()):
        say(f"nothing was running that `postroom up` started in {current.state_dir}")
        if above := stack_above(current):
            say(above)
    if existing := external(current):
        say(f"{existing.kafka} and {existing.registry} were not started by Postroom and go on")
