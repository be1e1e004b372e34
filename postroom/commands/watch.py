"""`postroom watch`: the promises and the flow, live in a terminal, without Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.errors import UserError

if TYPE_CHECKING:
    from postroom.snapshot import Snapshot

EVERY_S = 2.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Operating")(watch)


def watch(
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metrics", help="a /metrics of a worker or the canary; again for more"),
    ] = None,
    every: Annotated[float, typer.Option(min=0.5, help="seconds between looks")] = EVERY_S,
    once: Annotated[
        bool, typer.Option("--once", help="Look twice, write one screen to stdout, end.")
    ] = False,
    svg: Annotated[Path | None, typer.Option(help="with --once, a picture of the screen to write")] = None,
    width: Annotated[int, typer.Option(min=60, max=300, help="columns with --once")] = 110,
) -> None:
    """Show promises, flow by stage, consent, what waits, dead letters and obligations, live. Ctrl-C ends it.

    Stages, dead letters and obligations come from Kafka; promises, consent and what waits in states from the
    workers' own figures, and what a subscriber sees from the canary's: at --metrics, or at
    POSTROOM_METRICS_HOST and _PORT if a port is set. Without them the rest is shown.

    Example: postroom watch --metrics http://127.0.0.1:9464/metrics
    """
    from connectors import find_stack, stack_status
    from postroom.composition import load_rules_files
    from postroom.settings import settings
    from postroom.snapshot import Looking

    if svg is not None and not once:
        raise UserError("a picture is of one screen", where="--svg", mend="add --once")
    current = settings()
    urls = metrics or []
    if not urls and current.metrics_port:
        urls = [f"http://{current.metrics_host}:{current.metrics_port}/metrics"]
    rules = load_rules_files(current.contracts_dir, current.agreements_dir)
    looking = Looking(find_stack(current), *rules, urls)
    if once:
        looking.look(stack_status(current))
        time.sleep(every)
        _picture(looking.look(stack_status(current)), width, svg)
        return
    _live(lambda: looking.look(stack_status(current)), every)


def _picture(found: Snapshot, width: int, svg: Path | None) -> None:
    """Write one screen as text, and as a picture if one is wanted."""
    from rich.console import Console

    from postroom.watch_screen import screen

    console = Console(width=width, record=svg is not None)
    console.print(screen(found))
    if svg is not None:
        console.save_svg(str(svg), title="postroom watch")


def _live(look: Callable[[], Snapshot], every_s: float) -> None:
    """Look and draw until Ctrl-C, which is how one leaves and no failure."""
    from rich.console import Console
    from rich.live import Live

    from postroom.watch_screen import screen

    console = Console()
    if not console.is_terminal:
        raise UserError("this is no terminal", where="stdout", mend="postroom watch --once")
    try:
        with Live(screen(look()), console=console, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(every_s)
                live.update(screen(look()), refresh=True)
    except KeyboardInterrupt:
        return
