"""`postroom dlq list|show|replay|discard`: what intake rejected, and what was done about it (E7)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from postroom.commands import noun
from postroom.errors import Exit, UserError
from postroom.output import Form, Output, write_json, write_rows

if TYPE_CHECKING:
    from postroom.dead_letters import Filter
    from processors.dead_letters import Decision, Request, Standing

COLUMNS = (
    "time", "reason", "type", "source", "id", "topic", "partition", "offset", "state", "tried"
)  # fmt: skip
TRAIL_COLUMNS = ("time", "result", "reason", "by", "why")
ANSWER_COLUMNS = ("letter", "result", "reason", "type", "source", "id")
COUNT_COLUMNS = ("reason", "type", "letters")
UNANSWERED = "unanswered"


class Which(StrEnum):
    """Letters by what became of them."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"
    ALL = "all"


Reasons = Annotated[list[str] | None, typer.Option("--reason", help="only this reason of E7; again for more")]
Types = Annotated[list[str] | None, typer.Option("--type", help="only this event type; again for more")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="only this source; again for more")]
Since = Annotated[str | None, typer.Option(help="not older than 30m, 2h, 7d, or an instant")]
Until = Annotated[str | None, typer.Option(help="older than 30m, 2h, 7d, or an instant")]
Limit = Annotated[int | None, typer.Option(min=1, help="the oldest so many")]
Places = Annotated[list[str] | None, typer.Argument(help="letters as TOPIC/PARTITION/OFFSET")]
By = Annotated[str | None, typer.Option(help="who asks; without it, the user of this session")]
Why = Annotated[str | None, typer.Option(help="the reason, which is kept for ever; a ticket, no names")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count by reason what would be asked, ask nothing.")]
Everything = Annotated[bool, typer.Option("--all", help="All that are open, without a filter.")]
Wait = Annotated[float, typer.Option(min=1, help="seconds to wait for a worker's answer")]


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "dlq", "Dead letters: events that intake rejected.", "Operating")
    group.command("list")(list_letters)
    group.command()(show)
    group.command()(replay)
    group.command()(discard)


def list_letters(
    reason: Reasons = None,
    type_: Types = None,
    source: Sources = None,
    since: Since = None,
    until: Until = None,
    state: Annotated[Which, typer.Option(help="what became of them")] = Which.OPEN,
    limit: Limit = None,
    output: Output = Form.TABLE,
) -> None:
    """List dead letters, open ones unless told otherwise. Exit 1 if there is one.

    The payload stays on the department's own topic, under its access rules.

    Example: postroom dlq list --reason identifier-invalid --since 2d -o jsonl
    """
    from postroom.dead_letters import row_of

    found = _find(_filter(reason, type_, source, since, until, state), limit)
    everything = state is Which.OPEN and not (reason or type_ or source or since or until)
    write_rows(
        map(row_of, found),
        output,
        COLUMNS,
        none="no dead letter is open" if everything else "no such dead letter",
    )
    if found:
        raise typer.Exit(Exit.FOUND)


def show(
    letter: Annotated[str, typer.Argument(help="as TOPIC/PARTITION/OFFSET")], output: Output = Form.TABLE
) -> None:
    """Show one letter, until when its event may be read again, and who did what about it.

    Example: postroom dlq show uk.gov.civil.death.v1/2/17
    """
    from postroom.console import say
    from postroom.dead_letters import Filter, row_of, trail

    (standing,) = _find(Filter(state="all", places=_places([letter])), None) or (None,)
    if standing is None:
        raise UserError(
            "there is no such dead letter",
            where=letter,
            why="letters are kept for 90 days",
            mend="`postroom dlq list --state all`",
            code=Exit.FOUND,
        )
    until = _kept_until(standing)
    if output is not Form.TABLE:
        write_json({**row_of(standing), "kept_until": until, "trail": trail(standing)})
        return
    write_rows([row_of(standing)], output, COLUMNS)
    say(f"the department's topic keeps the event until about {until}" if until else "its topic is not ours")
    write_rows(trail(standing), output, TRAIL_COLUMNS, none="nobody has done anything about it")


def replay(
    letters: Places = None,
    reason: Reasons = None,
    type_: Types = None,
    source: Sources = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    everything: Everything = False,
    by: By = None,
    why: Why = None,
    dry_run: DryRun = False,
    wait: Wait = 30.0,
    output: Output = Form.TABLE,
) -> None:
    """Let intake judge open letters' events again, from where the departments put them.

    Each becomes `replayed`, `still-rejected` with the reason, or `gone` when the department's retention has
    passed it. Times are checked against the time of the replay. What was replayed is not asked again. Who
    asked and why is kept for ever. Exit 1 unless all were replayed, 3 if no worker answered in time; what was
    asked is then answered when one runs.

    Example: postroom dlq replay --reason unknown-type --since 1d --why "OPS-17: contract registered late"
    """
    wanted = _filter(reason, type_, source, since, until, Which.OPEN, letters)
    _act("replay", wanted, limit, everything, by, why, dry_run, wait, output)


def discard(
    letters: Places = None,
    reason: Reasons = None,
    type_: Types = None,
    source: Sources = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    everything: Everything = False,
    by: By = None,
    why: Why = None,
    dry_run: DryRun = False,
    wait: Wait = 30.0,
    output: Output = Form.TABLE,
) -> None:
    """Close open letters whose events need not be replayed, for a reason that is kept for ever.

    Example: postroom dlq discard uk.gov.civil.death.v1/2/17 --why "OPS-18: published again as v2"
    """
    wanted = _filter(reason, type_, source, since, until, Which.OPEN, letters)
    _act("discard", wanted, limit, everything, by, why, dry_run, wait, output)


def _act(
    action: Literal["replay", "discard"],
    wanted: Filter,
    limit: int | None,
    everything: bool,
    by: str | None,
    why: str | None,
    dry_run: bool,
    wait_s: float,
    output: Form,
) -> None:
    from postroom.console import counted, say

    if not wanted.bounded and not everything:
        raise UserError(f"it is not said what to {action}", mend="name letters, a filter, or --all")
    who, reason = ("", "") if dry_run else _who_and_why(by, why)
    found = _find(wanted, limit)
    for place in sorted(set(wanted.places) - {each.letter.place for each in found}):
        say(f"{place} is not an open dead letter: nothing is done about it")
    if dry_run:
        counts = Counter((each.letter.reason, each.letter.type or "") for each in found)
        rows = [{"reason": r, "type": t, "letters": count} for (r, t), count in sorted(counts.items())]
        write_rows(rows, output, COUNT_COLUMNS, none="")
        say(f"{counted(len(found), 'letter')}; nothing was asked")
        return
    answers = _ask(action, found, who, reason, wait_s)
    write_rows([_answer_row(*answer) for answer in answers], output, ANSWER_COLUMNS, none="")
    _end(answers)


def _ask(
    action: Literal["replay", "discard"], found: Sequence[Standing], by: str, why: str, wait_s: float
) -> list[tuple[Request, Decision | None]]:
    """Ask for all of them, with a bar on a terminal."""
    from connectors import find_stack
    from postroom.console import counted, counting
    from postroom.dead_letters import ask
    from postroom.settings import settings
    from processors.dead_letters import Request

    requests = [
        Request(each.letter.topic, each.letter.partition, each.letter.offset, action, by, why)
        for each in found
    ]
    if not requests:
        return []
    with counting(f"{action} of {counted(len(requests), 'letter')}", len(requests)) as advance:
        return list(ask(find_stack(settings()).access, requests, wait_s, advance))


def _end(answers: Sequence[tuple[Request, Decision | None]]) -> None:
    """Say what it came to, and exit by it."""
    from postroom.console import say
    from processors.dead_letters import CLOSING

    counts = Counter(UNANSWERED if each is None else each.result.value for _, each in answers)
    say(", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "nothing to do")
    if counts[UNANSWERED]:
        say("no worker answered in time: what was asked is answered when one runs (`postroom status`)")
        raise typer.Exit(Exit.UNREACHABLE)
    if any(each is not None and each.result not in CLOSING for _, each in answers):
        raise typer.Exit(Exit.FOUND)


def _answer_row(request: Request, decision: Decision | None) -> dict[str, Any]:
    if decision is None:
        return {"letter": request.place, "result": UNANSWERED, "reason": ""}
    row = {"letter": request.place, "result": decision.result.value, "reason": decision.reason}
    return row | {"type": decision.type, "source": decision.source, "id": decision.id}


def _who_and_why(by: str | None, why: str | None) -> tuple[str, str]:
    import getpass

    from postroom.dead_letters import words

    if why is None:
        raise UserError("a reason is wanted", why="it is kept for ever", mend="--why 'OPS-17: …'")
    if by is None:
        try:
            by = getpass.getuser()
        except (OSError, KeyError):
            raise UserError("this session has no user's name", mend="--by NAME") from None
    return words(by, "--by"), words(why, "--why")


def _filter(
    reasons: list[str] | None,
    types: list[str] | None,
    sources: list[str] | None,
    since: str | None,
    until: str | None,
    state: Which,
    letters: list[str] | None = None,
) -> Filter:
    from postroom.dead_letters import Filter, moment
    from schemas import Rejection

    now_ms = time.time_ns() // 1_000_000
    known = [each.value for each in Rejection]
    for reason in reasons or ():
        if reason not in known:
            raise UserError("there is no such reason", where=reason, mend=", ".join(known))
    return Filter(
        reasons or (),
        types or (),
        sources or (),
        moment(since, now_ms),
        moment(until, now_ms),
        state.value,
        _places(letters or ()),
    )


def _places(letters: Sequence[str]) -> Sequence[str]:
    for letter in letters:
        topic, _, rest = letter.partition("/")
        if not topic or [part.isascii() and part.isdigit() for part in rest.split("/")] != [True, True]:
            raise UserError("that is no dead letter's name", where=letter, mend="TOPIC/PARTITION/OFFSET")
    return letters


def _find(wanted: Filter, limit: int | None) -> list[Standing]:
    from connectors import find_stack
    from postroom.dead_letters import read_standings
    from postroom.settings import settings

    found = [each for each in read_standings(find_stack(settings()).access) if wanted.takes(each)]
    return found[:limit]


def _kept_until(standing: Standing) -> str:
    """Until about when the department's topic holds the event: its contract's retention, from its coming."""
    from postroom.composition import load_rules_files
    from postroom.settings import settings
    from schemas import format_instant

    current = settings()
    contracts, _ = load_rules_files(current.contracts_dir, current.agreements_dir)
    contract = contracts.by_type.get(standing.letter.topic)
    if contract is None:
        return ""
    return format_instant(standing.letter.timestamp_ms + contract.retention.after(0))
