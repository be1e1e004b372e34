"""`postroom outbox ddl|run|parked|retry`: events that a department writes into its own database."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom.commands import noun
from postroom.errors import Exit
from postroom.output import Form, Output, write_rows

COLUMNS = ("id", "type", "source", "reason", "why", "since")

Owner = Annotated[str, typer.Argument(help="the department, as in its contracts")]
OnlyReason = Annotated[str | None, typer.Option(help="only rows parked for this reason (E7)")]


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "outbox", "Publish from a table in a department's own database.", "Events")
    for verb in (ddl, run, parked, retry):
        group.command()(verb)


def ddl(
    owner: Owner,
    system: Annotated[str, typer.Option(help="the system that the events come from (E1)")],
) -> None:
    """Print the SQL of the outbox: the table, what makes its events, and the roles. Running it again is
    harmless.

    The table follows the convention of Debezium's outbox event router.

    Example: postroom outbox ddl dwp --system cis | psql …
    """
    from connectors.postgres.outbox_ddl import outbox_ddl

    typer.echo(outbox_ddl(owner, system), nl=False)


def run(owner: Owner) -> None:
    """Publish what is committed to the outbox, until SIGTERM or Ctrl-C.

    POSTROOM_POSTGRES says where it is. A row leaves the table once Kafka has acknowledged its event; one
    that can never be published stays, parked with its reason. A second process stands by. What is away, at
    the start too, is waited for.

    Example: POSTROOM_POSTGRES=postgresql://relay@localhost/cis postroom outbox run dwp
    """
    from connectors import find_stack
    from postroom.lasting import last
    from postroom.outbox import RunningOutbox
    from postroom.postgres import database_for
    from postroom.settings import settings

    current = settings()
    stack = find_stack(current)
    last("outbox", current, stack, RunningOutbox(current, stack, database_for(current, "outbox"), owner))


def parked(reason: OnlyReason = None, output: Output = Form.TABLE) -> None:
    """List the rows that cannot be published, and why; exit 1 if there are any. What they say is not shown.

    Example: postroom outbox parked --reason contract-mismatch
    """
    from connectors.postgres.outbox import OutboxTable
    from postroom.postgres import database_for
    from postroom.settings import settings

    with database_for(settings(), "outbox").connection() as connection:
        rows = OutboxTable(connection).parked(reason)
    write_rows(rows, output, COLUMNS, none="no row is parked")
    if rows:
        raise typer.Exit(Exit.FOUND)


def retry(reason: OnlyReason = None) -> None:
    """Make parked rows due again: after they were mended, or the contract that they wait for has come.

    Example: postroom outbox retry --reason unknown-type
    """
    from connectors.postgres.outbox import OutboxTable
    from postroom.console import counted, say
    from postroom.postgres import database_for
    from postroom.settings import settings

    with database_for(settings(), "outbox").connection() as connection:
        count = OutboxTable(connection).retry(reason)
    say(f"{counted(count, 'row is', 'rows are')} due again")
