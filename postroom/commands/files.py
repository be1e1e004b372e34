"""`postroom files check|run|send|status|forget`: files that a department sends at night."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from postroom.commands import noun
from postroom.errors import Exit, UserError
from postroom.output import Form, Output, write_rows

STATUS_COLUMNS = ("drop", "file", "sha256", "state", "published", "bad", "since", "why", "mend")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "files", "Publish CSV and JSON Lines that a department sends at night.", "Events")
    for verb in (check, run, send, status, forget):
        group.command()(verb)


def check(
    mapping: Annotated[Path, typer.Argument(metavar="MAPPING", help="the mapping file (YAML)")],
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="a sample of what is sent")] = None,
    show: Annotated[int, typer.Option(min=0, max=10_000, help="how many problems to name by row")] = 20,
    contracts: Annotated[Path | None, typer.Option(help="default: POSTROOM_CONTRACTS")] = None,
    output: Output = Form.TABLE,
) -> None:
    """Say all that is wrong with a mapping, and with a file under it; nothing runs and nothing is sent.

    A problem is named by row, line and column with what to do about it; no value is shown. Rows are those of
    a spreadsheet: the header is row 1. Exit 1 if anything is wrong.

    Example: postroom files check docs/examples/files/carers/mapping.yaml carers.csv
    """
    from postroom.files.check import look, tell, write
    from postroom.settings import settings

    found = look(mapping, file, contracts or settings().contracts_dir, show)
    write(found, output)
    tell(found)
    if found.are_any:
        raise typer.Exit(Exit.FOUND)


def run() -> None:
    """Publish what departments put into their drops, until SIGTERM or Ctrl-C.

    POSTROOM_DROPS holds the drops: <name>/mapping.yaml says how the rows of <name>/incoming become events. A
    file is taken once its checksum lies beside it (sha256sum FILE > FILE.sha256), judged as a whole, and
    published row by row, each once, whatever is killed on the way; bad rows lie in <name>/quarantine. One
    process works; another waits. What is away, at the start too, is waited for.

    Example: POSTROOM_DROPS=/srv/drops postroom files run
    """
    from connectors import find_stack
    from postroom.files.drops import Files
    from postroom.lasting import last
    from postroom.settings import settings

    current = settings()
    stack = find_stack(current)
    last("files", current, stack, Files(current, stack))


def send(
    drops: Annotated[list[str] | None, typer.Argument(metavar="[DROP]…", help="default: all of them")] = None,
) -> None:
    """Publish what lies in drops now, and end: the same as `run`, once.

    On a terminal it shows a bar, elsewhere it logs. Killed or cut off, it goes on where it was when it is
    started again. Exit 1 if a row was bad or a file was left or refused, 3 if Kafka or the registry is
    unreachable or `files run` has the turn.

    Example: postroom files send carers
    """
    import sys

    from connectors import find_stack
    from postroom.console import counted, counting, say
    from postroom.files.drops import Files
    from postroom.files.round import logged
    from postroom.lasting import until_told
    from postroom.logs import configure_logs
    from postroom.settings import settings

    current = settings()
    configure_logs(current)
    with until_told() as stop:
        bar = counting if sys.stderr.isatty() else logged
        told = Files(current, find_stack(current)).send(drops or (), bar, stop.is_set)
    for each in (*told.odd, *told.left):
        say(each)
    files, rows = counted(told.published, "file"), counted(told.rows, "row")
    say(f"{files} published; {rows} published, {told.bad_rows} bad put aside")
    if stop.is_set():
        say("stopped on the way; start it again to go on")
    if told.left or told.bad_rows or stop.is_set():
        raise typer.Exit(Exit.FOUND)


def status(output: Output = Form.TABLE) -> None:
    """List every file that was taken and how it stands, and what lies in the drops and waits, with why.

    JSON has a `reason` besides for what waits: one word that stays the same when a sentence is put better.
    Exit 1 if one was refused.

    Example: postroom files status -o json
    """
    from connectors.files.journal import State
    from postroom.console import complain
    from postroom.errors import of_trouble
    from postroom.files.drops import journal_of, waiting
    from postroom.settings import settings
    from schemas import format_instant

    found = journal_of(settings()).all()
    rows = [
        {
            "drop": each.drop,
            "file": each.name,
            "sha256": each.sha256[:12],
            "state": each.state,
            "published": each.published,
            "bad": each.bad,
            "since": format_instant(each.since_ms),
            "reason": "",
            "why": each.why,
            "mend": each.mend,
        }
        for each in found
    ]
    for each in waiting(settings(), lambda trouble: complain(of_trouble(trouble))):
        rows.append(
            {
                "drop": each.drop,
                "file": each.file,
                "sha256": each.sha256[:12],
                "state": "waiting",
                "published": 0,
                "bad": 0,
                "since": "",
                **each.left._asdict(),
            }
        )
    write_rows(rows, output, STATUS_COLUMNS, none="no file has been seen yet")
    if any(each.state == State.REFUSED for each in found):
        raise typer.Exit(Exit.FOUND)


def forget(
    drop: Annotated[str, typer.Argument(help="the drop")],
    checksum: Annotated[str, typer.Argument(help="the beginning of the file's checksum, as `status` has it")],
) -> None:
    """Forget a file that is done with: handed in again it is published again.

    Its rows make the same events as before, which count once, unless the mapping was changed meanwhile.

    Example: postroom files forget carers 5d41402abc4b
    """
    from connectors.files.journal import State
    from postroom.console import say
    from postroom.files.drops import journal_of
    from postroom.settings import settings

    journal = journal_of(settings())
    found = [each for each in journal.all() if each.drop == drop and each.sha256.startswith(checksum.lower())]
    if len(found) != 1:
        what = "there is no such file" if not found else "several files begin so"
        raise UserError(what, where=f"{drop} {checksum}", mend="`postroom files status` lists them")
    if found[0].state == State.TAKEN:
        mend = "wait until it has ended; a copy of ours is what is left of it otherwise"
        raise UserError("a file that is under way is not forgotten", where=found[0].name, mend=mend)
    journal.forget(found[0])
    say(f"{found[0].name} is forgotten")
