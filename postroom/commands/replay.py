"""`postroom replay`: the whole pipeline over a file, in one process, without Kafka."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from postroom.inputs import moment, opened
from postroom.output import Form

PANEL = "Events"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=PANEL)(replay)


def replay(
    file: Annotated[str, typer.Argument(metavar="EVENTS.jsonl", help="one CloudEvent a line; - reads stdin")],
    at: Annotated[str, typer.Option("--at", help="the moment of the question, RFC 3339")],
    contracts: Annotated[Path | None, typer.Option(help="default: POSTROOM_CONTRACTS")] = None,
    agreements: Annotated[Path | None, typer.Option(help="default: POSTROOM_AGREEMENTS")] = None,
    output: Annotated[Form, typer.Option("--output", "-o", help="json, or jsonl for one line")] = Form.JSON,
) -> None:
    """Say what views, persons, disputes and rejections a file of events leads to at one moment.

    The same stages as on Kafka, so the same answer; equal input gives equal bytes. The keys come from
    POSTROOM_SECRET (or its file), as everywhere.

    Example: postroom replay events.jsonl --agreements schemas/agreements --at 2026-06-01T12:00:00Z -o json
    """
    from postroom.composition import load_rules_files
    from postroom.settings import settings
    from processors.replay import replay as run

    at_ms = moment(at)
    current = settings()
    rules = load_rules_files(contracts or current.contracts_dir, agreements or current.agreements_dir)
    secret = current.secret_bytes()
    with opened(file) as stream:
        result = run(_with_progress(stream), *rules, secret, at_ms)
    _write(result, output)


def _with_progress(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Show on a terminal how many lines were read."""
    if not sys.stderr.isatty():
        yield from lines
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(lines, "reading events", console=Console(stderr=True), transient=True)


def _write(result: dict[str, Any], form: Form) -> None:
    compact = form is Form.JSONL
    text = json.dumps(
        result,
        ensure_ascii=False,
        sort_keys=True,
        indent=None if compact else 1,
        separators=(",", ":") if compact else None,
    )
    sys.stdout.write(text + "\n")
