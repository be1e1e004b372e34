"""`postroom dashboards build|check`: Grafana's boards, from what they show and from the contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from postroom.commands import noun
from postroom.output import Form, Output

Directory = Annotated[Path, typer.Argument(metavar="DIRECTORY", help="where the boards are")]


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "dashboards", "Boards for Grafana, made from code.", "Operating")
    group.command()(build)
    group.command()(check)


def build(directory: Directory, output: Output = Form.TABLE) -> None:
    """Make every board with the contracts' departments; say which changed.

    Needs Grafana's foundation SDK: pip install 'postroom[dashboards]'.

    Example: postroom dashboards build deploy/grafana/dashboards
    """
    from postroom import made_files

    made_files.build(_wanted(), directory, output)


def check(directory: Directory, output: Output = Form.TABLE) -> None:
    """Say which boards are not in step with code and contracts. Exit 1 if there is one.

    Example: postroom dashboards check deploy/grafana/dashboards
    """
    from postroom import made_files

    made_files.check(_wanted(), directory, output)


def _wanted() -> dict[str, str]:
    from postroom.composition import load_rules_files
    from postroom.dashboards import boards
    from postroom.errors import UserError
    from postroom.made_files import with_sums
    from postroom.settings import settings

    try:
        from postroom.dashboards.grafana import as_json
    except ModuleNotFoundError as missing:
        raise UserError(
            "boards are built with Grafana's foundation SDK, which is not here",
            where=str(missing.name),
            mend="pip install 'postroom[dashboards]'",
        ) from missing
    current = settings()
    contracts, _ = load_rules_files(current.contracts_dir, current.agreements_dir)
    return with_sums({f"{board.uid}.json": as_json(board) for board in boards(contracts)})
