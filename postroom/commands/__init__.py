"""One file per noun. Each has `register(app)`, which `postroom.cli` finds by itself.

Imports that cost time (Kafka, Avro, rich) belong inside the functions, so that `postroom --help` is quick.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

import typer


def noun(app: typer.Typer, name: str, meaning: str, panel: str) -> typer.Typer:
    """Add a noun to the command and return where its verbs go; without a verb it teaches and exits 2."""
    group = typer.Typer(help=meaning)
    group.callback(invoke_without_command=True)(help_without_verb)
    app.add_typer(group, name=name, rich_help_panel=panel)
    return group


def help_without_verb(context: typer.Context) -> None:
    """Show the help as words, on stderr, when nothing was asked for: wrong use."""
    if context.invoked_subcommand is None:
        with redirect_stdout(sys.stderr):  # typer prints it itself, or returns it
            typer.echo(context.get_help())
        raise typer.Exit(2)
