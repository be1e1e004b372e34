"""`postroom demo`: the whole way through in the terminal, on a real Kafka, in a minute or so."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.commands.run import Shell

if TYPE_CHECKING:
    from connectors import Stack
    from postroom.config import Settings
    from postroom.demo.citizen import Rosa
    from postroom.demo.ground import TimedReport
    from postroom.demo.page import Page
    from postroom.interruption import Interruption

PANEL = "The local stack"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=PANEL)(demo)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave Kafka and the registry running.")] = False,
    shell: Annotated[Shell, typer.Option(help="what holds the worker's consumer groups")] = Shell.FAUST,
) -> None:
    """Tell the story: departments publish, records form, a citizen withdraws and the view is gone.

    Starts what is missing, and stops at the end what it started; a stack that ran before goes on. Every
    number is measured in this run. Can be played again on the same data: each run invents its citizens.

    Example: postroom demo --keep
    """
    from postroom.demo.ground import TimedReport, alone, standing_stack
    from postroom.demo.page import Page
    from postroom.interruption import Interruption
    from postroom.settings import settings

    current, page, report, interruption = settings(), Page(), TimedReport(), Interruption()
    page.title("Postroom: from a department's event to a service's view")
    page.say("All of this happens now, on a real Kafka. The citizens are invented, the numbers measured.")
    with interruption.listening(), alone(current):
        began = time.monotonic()
        with standing_stack(current, report, interruption, keep=keep) as (stack, ran_before):
            page.chapter("The stack answers")
            _say_how(page, report, stack, ran_before, time.monotonic() - began)
            with interruption.gently():
                rosa = _play(page, current, stack, shell, interruption)
        took_s = time.monotonic() - began - report.download_s
        _what_next(page, rosa, up=ran_before or keep, took_s=took_s)


def _play(page: Page, current: Settings, stack: Stack, shell: Shell, interruption: Interruption) -> Rosa:
    """Prepare the rest, and tell the story while a worker works."""
    from postroom.composition import reachable_registry
    from postroom.demo.citizen import new_rosa
    from postroom.demo.ground import registered, topics_as_planned, working
    from postroom.demo.post import now_ms, posted
    from postroom.demo.readers import Readers
    from postroom.demo.story import NEEDED, Story
    from postroom.errors import UserError
    from processors import view_topic

    registry = reachable_registry(stack)
    contracts, agreements = registered(current, registry, interruption)
    if missing := sorted(set(NEEDED) - agreements.keys()):
        raise UserError(
            "the demo tells of agreements that are not here",
            where=str(current.agreements_dir),
            why=f"missing: {', '.join(missing)}",
            mend="play it with the contracts and agreements of this repository (POSTROOM_CONTRACTS)",
        )
    topics, made = topics_as_planned(current, stack, contracts, agreements)
    page.say(
        f"{len(contracts.by_type)} contracts passed the gate and are registered; "
        f"{topics} topics are as planned, {made} of them made now."
    )
    readers = Readers(stack, registry, [view_topic(name) for name in agreements])
    with working(current, shell.value, interruption) as worker, posted(stack, registry, contracts) as post:
        page.say(
            f"A worker runs every stage ({shell.value}, process {worker.process.pid}); "
            f"its log is {_short(worker.log)}."
        )
        readers.start()
        rosa = new_rosa(now_ms())
        Story(page, stack, registry, contracts, agreements, readers, worker, post, rosa).tell()
    return rosa


def _say_how(page: Page, report: TimedReport, stack: Stack, ran_before: bool, took_s: float) -> None:
    from postroom.demo.page import seconds

    how = "ran already" if ran_before else f"started in {seconds(took_s - report.download_s)}"
    if report.fetched_bytes:
        how += f", after {report.fetched_bytes / 1e6:.0f} MB were fetched in {seconds(report.download_s)}"
    page.say(f"Kafka {stack.kafka} and the schema registry {stack.registry}: {how}.")


def _what_next(page: Page, rosa: Rosa, *, up: bool, took_s: float) -> None:
    from postroom.demo.page import seconds

    me = _as_typed()
    page.chapter("Try next")
    stack = "run on" if up else "are stopped; their data is kept"
    page.say(f"The demo took {seconds(took_s)}, downloads apart. Kafka and the registry {stack}.")
    steps = (
        *(() if up else (("up", "start them again"),)),
        ("view council-leeds-council-tax-reduction -o jsonl", "what that council reads now"),
        (f"audit person nino:{rosa.nino}", "who was given what about Rosa, and why"),
        (f"identity show nhs:{rosa.nhs}", "which identifiers are hers, and who said so"),
        ("publish docs/examples/first-event.jsonl", "publish a file of events, as departments do"),
        ("run all", "a worker that takes them up, until Ctrl-C: best in a terminal of its own"),
        ("view council-leeds-housing -o jsonl", "once it has: the view that came of them"),
        ("down", "stop Kafka and the registry; their data is kept"),
    )
    for words, meaning in steps:
        page.command(f"{me} {words}", meaning)
    page.say("docs/first-steps.md shows the way from a file of your own events to a view.")


def _as_typed() -> str:
    """The command as the user can type it again."""
    found = shutil.which("postroom")
    return "postroom" if found and Path(found) == Path(sys.argv[0]).absolute() else sys.argv[0]


def _short(path: Path) -> str:
    """A path as the user would write it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
