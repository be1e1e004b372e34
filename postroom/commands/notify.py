"""`postroom notify run|check|status|failed|retry`: people are told, through GOV.UK Notify."""

from __future__ import annotations

import time

import typer

from postroom.commands import noun
from postroom.errors import Exit
from postroom.output import Form, Output, write_rows

PLAN_COLUMNS = ("notice", "template", "about")
STATUS_COLUMNS = ("state", "notices")
FAILED_COLUMNS = ("reference", "kind", "agreement", "state", "why", "time")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "notify", "Tell people what is shared, through GOV.UK Notify.", "Events")
    for verb in (run, check, status, failed, retry):
        group.command()(verb)


def run() -> None:
    """Tell people what was shared and which consent took effect, until SIGTERM or Ctrl-C.

    What is told, by which template and with which API key stands in the file POSTROOM_NOTIFY. It begins with
    what the disclosure log says from its first start on. How far it has come is in the state directory: keep
    that on a disk that stays. One process sends; another waits for it to end. What is away is waited for.

    Example: POSTROOM_NOTIFY=docs/examples/notify.yaml postroom notify run
    """
    from connectors import find_stack
    from postroom.lasting import last
    from postroom.notify import RunningNotify
    from postroom.settings import settings

    current = settings()
    stack = find_stack(current)
    last("notify", current, stack, RunningNotify(current, stack))


def check(output: Output = Form.TABLE) -> None:
    """Say all that is wrong with the file of notices and its API key (exit 2); else list what is told.

    Example: postroom notify check
    """
    from postroom.notify import plan_of
    from postroom.settings import settings

    plan = plan_of(settings())
    about = ", ".join(sorted(plan.purposes))
    rows = [
        {"notice": kind, "template": template, "about": about} for kind, template in plan.templates.items()
    ]
    write_rows(rows, output, PLAN_COLUMNS)


def status(output: Output = Form.TABLE) -> None:
    """Say how many notices there are in each state; exit 1 if some were refused or had no address.

    Example: postroom notify status -o json
    """
    from postroom.notify import journal_of
    from postroom.settings import settings

    journal = journal_of(settings())
    write_rows(
        [{"state": state, "notices": count} for state, count in journal.counts().items()],
        output,
        STATUS_COLUMNS,
    )
    if journal.failed():
        raise typer.Exit(Exit.FOUND)


def failed(output: Output = Form.TABLE) -> None:
    """List the notices that will not be sent, and why; exit 1 if there are any. For whom is not said.

    Example: postroom notify failed
    """
    from postroom.notify import journal_of
    from postroom.settings import settings

    rows = [each._asdict() for each in journal_of(settings()).failed()]
    write_rows(rows, output, FAILED_COLUMNS, none="no notice failed")
    if rows:
        raise typer.Exit(Exit.FOUND)


def retry() -> None:
    """Make notices due again that were refused or had no address: after that was mended.

    Example: postroom notify retry
    """
    from postroom.console import counted, say
    from postroom.notify import journal_of
    from postroom.settings import settings

    again = journal_of(settings()).retry(time.time())
    say(f"{counted(again, 'notice is', 'notices are')} due again")
