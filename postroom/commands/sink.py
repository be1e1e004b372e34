"""`postroom sink ddl|run|check`: a subscriber's table that equals its view."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom.commands import noun
from postroom.errors import Exit
from postroom.output import Form, Output, write_rows

COLUMNS = ("difference", "column", "rows")

Agreement = Annotated[str, typer.Argument(help="its name, as in the agreements directory")]


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "sink", "Keep a table in a subscriber's own database equal to its view.", "Events")
    for verb in (ddl, run, check):
        group.command()(verb)


def ddl(agreement: Agreement) -> None:
    """Print the SQL that makes an agreement's table, or changes it to what the agreement is now.

    Run it again after each change of the agreement: it adds new columns, and empties and drops those that
    are withdrawn.

    Example: postroom sink ddl council-leeds-housing | psql …
    """
    from connectors.postgres.view_table import sink_ddl
    from postroom.settings import settings
    from postroom.sink import rows_of

    typer.echo(sink_ddl(rows_of(settings(), agreement).table), nl=False)


def run(agreement: Agreement) -> None:
    """Keep the table equal to the view, until SIGTERM or Ctrl-C.

    POSTROOM_POSTGRES says where it is. Rows and the positions that they were read from are committed
    together, so nothing is lost or done twice, whatever is killed. What an agreement withdraws is emptied
    at once. What is away, at the start too, is waited for.

    Example: POSTROOM_POSTGRES=postgresql://sink@localhost/housing postroom sink run council-leeds-housing
    """
    from connectors import find_stack
    from postroom.lasting import last
    from postroom.postgres import database_for
    from postroom.settings import settings
    from postroom.sink import RunningSink

    current = settings()
    stack = find_stack(current)
    last("sink", current, stack, RunningSink(current, stack, database_for(current, "sink"), agreement))


def check(
    agreement: Agreement,
    within: Annotated[float, typer.Option(min=0, help="seconds to wait for a sink that is behind")] = 30.0,
    output: Output = Form.TABLE,
) -> None:
    """Compare the table with the view's topic, both at one moment; exit 1 if they are not equal.

    It says how many rows are missing, surplus or different, and in which columns; no key and no value.

    Example: postroom sink check council-leeds-housing
    """
    from connectors import find_stack
    from postroom.console import say
    from postroom.postgres import database_for
    from postroom.settings import settings
    from postroom.sink import RunningSink

    current = settings()
    running = RunningSink(current, find_stack(current), database_for(current, "sink"), agreement)
    found = running.check(within)
    counts = [("missing", "", found.missing), ("surplus", "", found.surplus)]
    counts += [("different", column, rows) for column, rows in sorted(found.columns.items())]
    rows = [
        {"difference": kind, "column": column, "rows": number} for kind, column, number in counts if number
    ]
    write_rows(rows, output, COLUMNS, none="")
    if rows:
        raise typer.Exit(Exit.FOUND)
    say("the table equals its view")
