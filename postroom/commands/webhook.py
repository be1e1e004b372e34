"""`postroom webhook run|check|list|status|release|park|forget|key`: views by HTTP POST, how they stand."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated, Any

import typer

from postroom.commands import noun
from postroom.errors import Exit, UserError
from postroom.output import Form, Output, write_rows

LIST_COLUMNS = ("endpoint", "subscriber", "agreements", "to", "state", "why")
STATUS_COLUMNS = ("endpoint", "state", "why", "since", "failures", "permitted", "rate", "held")

Name = Annotated[str, typer.Argument(help="an endpoint's name in the file of webhooks")]


class Scheme(StrEnum):
    """The two schemes of Standard Webhooks."""

    V1 = "v1"
    V1A = "v1a"


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "webhook", "Views by HTTP POST.", "Events")
    for verb in (run, check, status, release, park, forget, key):
        group.command()(verb)
    group.command("list")(list_endpoints)


def run() -> None:
    """Deliver until SIGTERM or Ctrl-C.

    Who receives what stands in the file POSTROOM_WEBHOOKS; a newer one is taken up while it runs. How far
    each endpoint was sent to, and what its receiver holds, is in the state directory: keep that on a disk
    that stays. One process delivers; another waits for it to end.

    Example: POSTROOM_WEBHOOKS=docs/examples/webhooks.yaml postroom webhook run
    """
    from connectors import find_stack
    from postroom.settings import settings
    from postroom.webhook import run as deliver

    current = settings()
    deliver(current, find_stack(current))


def check(
    ask: Annotated[bool, typer.Option("--ask", help="Ask each receiver for its permission too.")] = False,
) -> None:
    """Say all that is wrong with the file of webhooks and its keys; exit 2 then.

    With --ask, exit 1 when a receiver does not permit to be sent to, or is not reached as it would be.

    Example: postroom webhook check --ask
    """
    import asyncio

    from postroom.console import counted, say
    from postroom.settings import settings
    from postroom.webhook import ask_each, endpoints_of

    found = endpoints_of(settings())
    say(f"{counted(len(found), 'endpoint')}, nothing wrong with the file")
    if not ask:
        return
    problems = asyncio.run(ask_each(settings(), found))
    for name, why in problems.items():
        say(f"{name}: {why}")
    say(f"{len(found) - len(problems)} of {len(found)} permit to be sent to")
    if problems:
        raise typer.Exit(Exit.FOUND)


def list_endpoints(output: Output = Form.TABLE) -> None:
    """List who receives what, and where; of an address the host only.

    Example: postroom webhook list -o jsonl
    """
    from postroom.settings import settings
    from postroom.webhook import endpoints_of, journal_of

    endpoints = endpoints_of(settings())
    standings = {found.endpoint: found for found in journal_of(settings()).standings()}
    rows = []
    for name in sorted(endpoints.keys() | standings.keys()):
        endpoint, standing = endpoints.get(name), standings.get(name)
        rows.append(
            {
                "endpoint": name,
                "subscriber": endpoint.subscriber if endpoint else "",
                "agreements": list(endpoint.agreements) if endpoint else [],
                "to": endpoint.host if endpoint else "(not in the file)",
                "state": standing.state if standing else "not begun",
                "why": standing.why if standing else "",
            }
        )
    write_rows(rows, output, LIST_COLUMNS, none="the file names no endpoint")


def status(output: Output = Form.TABLE) -> None:
    """Say how each endpoint stands; exit 1 if one is parked or disabled.

    `why` is what its last attempt ended with, while it fails. `held` counts the keys that its receiver may
    hold; each is retracted before it is forgotten.

    Example: postroom webhook status -o json
    """
    from connectors.webhook import ACTIVE
    from postroom.console import say
    from postroom.settings import settings
    from postroom.webhook import journal_of
    from schemas import format_instant

    journal = journal_of(settings())
    rows: list[dict[str, Any]] = [
        {
            "endpoint": each.endpoint,
            "state": each.state,
            "why": each.why,
            "since": format_instant(each.since_ms),
            "failures": each.failures,
            "permitted": format_instant(each.agreed_ms) if each.agreed_with else None,
            "rate": each.rate,
            "held": journal.held_count(each.endpoint),
        }
        for each in journal.standings()
    ]
    write_rows(rows, output, STATUS_COLUMNS, none="no endpoint has begun")
    if stopped := [row["endpoint"] for row in rows if row["state"] != ACTIVE]:
        for name in stopped:
            say(f"nothing is sent to {name} until `postroom webhook release {name}`; mend its receiver first")
        raise typer.Exit(Exit.FOUND)


def release(name: Name) -> None:
    """Let an endpoint go on that was parked or disabled; a running process notices within seconds.

    Its receiver is asked for permission again, and gets the newest state of each key and every retraction.

    Example: postroom webhook release leeds-housing
    """
    from postroom.console import say
    from postroom.settings import settings
    from postroom.webhook import journal_of

    journal = journal_of(settings())
    if journal.standing(name) is None:
        raise _unknown(name)
    released = journal.release(name, _now_ms())
    say(f"{name} goes on" if released else f"{name} is active already")


def park(name: Name) -> None:
    """Stop sending to an endpoint until it is released; what it is owed stays owed.

    Example: postroom webhook park leeds-housing
    """
    from connectors.webhook import PARKED
    from postroom.console import say
    from postroom.settings import settings
    from postroom.webhook import journal_of

    journal = journal_of(settings())
    if journal.standing(name) is None:
        raise _unknown(name)
    journal.stop(name, PARKED, "an operator parked it", _now_ms())
    say(f"{name} is parked; `postroom webhook release {name}` lets it go on")


def forget(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what it would do.")] = False,
) -> None:
    """Delete all that is known of an endpoint that is no longer in the file.

    What its receiver holds is not taken back by webhooks after this: the obligations to delete are what is
    left (`postroom obligations list`). Without --yes nothing is deleted, and exit 1.

    Example: postroom webhook forget leeds-housing --yes
    """
    from postroom.console import counted, say
    from postroom.settings import settings
    from postroom.webhook import endpoints_of, journal_of

    journal = journal_of(settings())
    if journal.standing(name) is None:
        raise _unknown(name)
    if name in endpoints_of(settings()):
        raise UserError(
            "an endpoint that is in the file is not forgotten",
            where=name,
            why="it would be sent everything again from the beginning",
            mend="take it out of the file of webhooks first",
        )
    if not yes:
        held = counted(journal.held_count(name), "key")
        say(f"{held} may be held by its receiver; --yes forgets what is known of them")
        raise typer.Exit(Exit.FOUND)
    journal.forget(name)
    say(f"{name} is forgotten")


def key(
    scheme: Annotated[Scheme, typer.Option(help="v1: a shared secret; v1a: a key pair")] = Scheme.V1A,
) -> None:
    """Make a signing key: what signs on stdout, for a file of mode 600; what verifies on stderr.

    Example: (umask 077; postroom webhook key > leeds.key)
    """
    import base64
    import secrets

    from connectors.webhook.signatures import PRIVATE, SYMMETRIC, read_key
    from postroom.console import say

    text = (SYMMETRIC if scheme is Scheme.V1 else PRIVATE) + base64.b64encode(
        secrets.token_bytes(32)
    ).decode()
    typer.echo(text)
    public = read_key(text).public
    say(f"for the receiver: {public}" if public else "the receiver verifies with the same secret")


def _unknown(name: str) -> UserError:
    return UserError("there is no such endpoint", where=name, mend="`postroom webhook list` names them")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
