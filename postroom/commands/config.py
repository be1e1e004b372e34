"""`postroom config show`: every setting, and where it came from."""

from __future__ import annotations

import typer

from postroom.commands import noun
from postroom.output import Form, Output, write_rows

COLUMNS = ("setting", "value", "source", "meaning")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    meaning = "The settings: environment POSTROOM_* over postroom.toml over defaults."
    noun(app, "config", meaning, "This installation").command()(show)


def show(output: Output = Form.TABLE) -> None:
    """Show every setting, where it came from, and what it means; secrets are hidden.

    Example: POSTROOM_PARTITIONS=8 postroom config show
    """
    from postroom.known_settings import BY_NAME
    from postroom.settings import settings

    rows = [
        {
            "setting": value.name,
            "value": value.shown,
            "source": value.source,
            "meaning": BY_NAME[value.name].meaning,
        }
        for value in settings().values.values()
    ]
    write_rows(rows, output, COLUMNS)
