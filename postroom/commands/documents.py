"""`postroom documents build|check`: AsyncAPI, OpenAPI, data contracts and the catalogue, from the rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from postroom.commands import noun
from postroom.output import Form, Output

Directory = Annotated[Path, typer.Argument(metavar="DIRECTORY", help="where the documents are")]


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "documents", "What others learn from: AsyncAPI, OpenAPI, ODCS, a catalogue.", "Rules")
    group.command()(build)
    group.command()(check)


def build(directory: Directory, output: Output = Form.TABLE) -> None:
    """Write every document of these contracts and agreements; say what was done to which files.

    asyncapi.json and one for each organisation, openapi.json of the gateway, a data contract (ODCS) for each
    contract and each view, and catalogue/index.html to read. A file that was made before and is wanted no
    more is removed; what was not made here stays.

    Example: postroom documents build docs/generated
    """
    from postroom import made_files

    made_files.build(_wanted(), directory, output)


def check(directory: Directory, output: Output = Form.TABLE) -> None:
    """Say which documents are not in step with contracts and agreements. Exit 1 if there is one.

    Example: postroom documents check docs/generated
    """
    from postroom import made_files

    made_files.check(_wanted(), directory, output)


def _wanted() -> dict[str, str]:
    from postroom.composition import load_rules_files
    from postroom.documents import made
    from postroom.settings import settings

    current = settings()
    contracts, agreements = load_rules_files(current.contracts_dir, current.agreements_dir)
    return made(contracts, agreements, current.partitions, shared_directly=current.shared_directly)
