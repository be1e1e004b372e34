"""`postroom status`: what runs, who works, what waits; in exit codes for scripts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.errors import Exit
from postroom.output import Form, Output, write_json, write_line, write_rows

if TYPE_CHECKING:
    from connectors.stack import PartStatus
    from postroom.snapshot import Snapshot

PART_COLUMNS = ("part", "state", "address", "pid", "since", "memory_mb", "log", "data")
STAGE_COLUMNS = ("stage", "workers", "state", "waiting")
LOOK_AGAIN_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="The local stack")(status)


def status(
    ready: Annotated[
        bool, typer.Option("--ready", help="Exit 1 also unless a worker runs every stage.")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, help="with --ready, wait so many seconds for it")] = 0.0,
    output: Output = Form.TABLE,
) -> None:
    """Say what runs, where its log is, who works, and what waits.

    What waits is counted in records; where that would take long, the offsets are told instead as `at most`,
    because each transaction leaves a marker that is an offset too. JSON has all of it in one object: ready,
    waiting_for, stack, stages, dead_letters, obligations, disputes, secret (its fingerprint, null while no
    worker has recorded one), hints (sentences: workers that run other contracts than those here). Of a
    stage, `lag` is in offsets and `waiting` in records, null where it was not counted.

    Workers are whom Kafka counts: one that was killed counts, and is ready, until its session ends, ten
    seconds later; one that is told to end leaves at once.

    Exit 0 if the stack runs, 1 if not or, with --ready, if it is not ready, 3 if it is unreachable.

    Example: postroom status --ready --wait 60 && ./publish.sh
    """
    deadline = time.monotonic() + wait
    found = _look()
    while ready and found.not_ready() and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN_S)
        found = _look()
    _write(found, output)
    _end(found.parts, not ready or not found.not_ready())


def _look() -> Snapshot:
    """Look once; without a stack that runs there is nothing but its parts."""
    from connectors import find_stack, stack_status
    from postroom.composition import load_rules_files
    from postroom.settings import settings
    from postroom.snapshot import UP, Looking, Snapshot

    current = settings()
    parts = stack_status(current)
    if any(part.state not in UP for part in parts):
        return Snapshot(time.time_ns() // 1_000_000, parts)
    rules = load_rules_files(current.contracts_dir, current.agreements_dir)
    return Looking(find_stack(current), *rules).look(parts)


def document(found: Snapshot) -> dict[str, Any]:
    """All of a look as one object for programs; its names do not change."""
    waiting_for = found.not_ready()
    letters = found.open_letters
    owed = found.owed()
    oldest_ms = letters[0].letter.timestamp_ms if letters else found.at_ms
    return {
        "ready": not waiting_for,
        "waiting_for": waiting_for,
        "stack": [asdict(part) for part in found.parts],
        "stages": [
            {
                "stage": each.stage,
                "workers": each.workers,
                "state": each.state,
                "lag": each.lag,
                "waiting": each.waiting,
            }
            for each in found.stages
        ],
        "dead_letters": {"open": len(letters), "oldest_s": max(0, found.at_ms - oldest_ms) // 1000},
        "obligations": {
            state: sum(count for (_, each), count in owed.items() if each == state)
            for state in ("open", "overdue")
        },
        "disputes": found.disputes.total(),
        "secret": found.secret,
        "hints": [*found.hints],
    }


def _write(found: Snapshot, output: Form) -> None:
    from postroom.console import counted, say

    told = document(found)
    if output is Form.JSON:
        write_json(told)
    elif output is Form.JSONL:
        write_line(told)
    else:
        write_rows(told["stack"], output, PART_COLUMNS)
        if found.stages:
            write_rows(
                [
                    {"stage": each.stage, "workers": each.workers, "state": each.state, "waiting": each.to_go}
                    for each in found.stages
                ],
                output,
                STAGE_COLUMNS,
            )
    for part in found.parts:
        if part.problem:
            say(f"{part.part} is {part.state}: {part.problem}")
    if {part.state for part in found.parts} == {"stopped"}:
        _say_where()
        return
    if found.stages:
        letters, owed = told["dead_letters"]["open"], told["obligations"]["overdue"]
        say(
            f"{counted(letters, 'dead letter')} open, {counted(owed, 'obligation')} overdue, "
            f"{counted(told['disputes'], 'pair')} disputed"
        )
        say(f"the installation's secret has the fingerprint {found.secret or '(none recorded yet)'}")
    for hint in found.hints:
        say(hint)
    say("ready" if told["ready"] else f"not ready: {'; '.join(told['waiting_for'])}")


def _say_where() -> None:
    """Say where it was looked: whoever is in the wrong directory sees it."""
    from connectors.local_stack import stack_above
    from postroom.console import say
    from postroom.settings import settings

    say(f"nothing runs; looked in {settings().state_dir} (POSTROOM_STATE); `postroom up` starts it")
    if above := stack_above(settings()):
        say(above)


def _end(parts: Sequence[PartStatus], well: bool) -> None:
    from postroom.snapshot import UP

    states = {part.state for part in parts}
    if "unreachable" in states:
        raise typer.Exit(Exit.UNREACHABLE)
    if states - set(UP) or not well:
        raise typer.Exit(Exit.FOUND)
