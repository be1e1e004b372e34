"""`postroom alerts build|check`: Prometheus's rules and Alertmanager's configuration, from the promises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from postroom.commands import noun
from postroom.output import Form, Output

Directory = Annotated[
    Path, typer.Argument(metavar="DIRECTORY", help="holds slo.yaml; what is made goes there too")
]
Scale = Annotated[float, typer.Option(min=1, help="let time run so many times faster, for a test")]


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "alerts", "Promises as code: alerts that Prometheus evaluates.", "Operating")
    group.command()(build)
    group.command()(check)


def build(directory: Directory, scale: Scale = 1, output: Output = Form.TABLE) -> None:
    """Make prometheus/rules.yaml and alertmanager/alertmanager.yml from slo.yaml; say which changed.

    Example: postroom alerts build deploy
    """
    from postroom import made_files

    made_files.build(_wanted(directory, scale), directory, output)


def check(directory: Directory, output: Output = Form.TABLE) -> None:
    """Say which files are not in step with slo.yaml. Exit 1 if there is one.

    Example: postroom alerts check deploy
    """
    from postroom import made_files

    made_files.check(_wanted(directory, 1), directory, output)


def _wanted(directory: Path, scale: float) -> dict[str, str]:
    from postroom.alerts import load_promises, made
    from postroom.made_files import with_sums

    return with_sums(made(load_promises(directory / "slo.yaml"), scale))
