"""`postroom agreement check|diff|explain`: what agreements say, what a change would do, and why."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.commands import noun
from postroom.errors import Exit, UserError
from postroom.inputs import moment, opened, require_identifier
from postroom.output import Form, Output, write_rows

if TYPE_CHECKING:
    from processors.explain import Difference, Unchanged
    from schemas import Agreement, Contracts

PROBLEM_COLUMNS = ("file", "line", "field", "problem")
DIFF_COLUMNS = ("agreement", "field", "gain", "lose", "changed")
NOTHING_COLUMNS = ("agreement", "field", "reason", "because", "persons")
EXPLAIN_COLUMNS = ("attribute", "item", "answer", "reason", "because", "lineage")

Events = Annotated[
    Path, typer.Argument(metavar="EVENTS.jsonl", help="events to replay, one CloudEvent a line")
]
At = Annotated[str, typer.Option("--at", help="the moment of the question, RFC 3339")]
ContractsDir = Annotated[Path | None, typer.Option("--contracts", help="default: POSTROOM_CONTRACTS")]
AgreementsDir = Annotated[Path | None, typer.Option("--agreements", help="default: POSTROOM_AGREEMENTS")]


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "agreement", "Data-sharing agreements: who gets which fields, and why.", "Rules")
    for verb in (check, diff, explain):
        group.command()(verb)


def check(
    directory: Annotated[Path | None, typer.Argument(help="default: POSTROOM_AGREEMENTS")] = None,
    contracts: ContractsDir = None,
    output: Output = Form.TABLE,
) -> None:
    """Lint agreements: every problem with its file and line. Exit 1 if there is one.

    Example: postroom agreement check schemas/agreements
    """
    from dataclasses import asdict

    from postroom.console import counted, say
    from postroom.settings import settings
    from schemas import AgreementProblems, load_agreements, load_contracts

    current = settings()
    where = directory or current.agreements_dir
    _require_directory(where, "agreements")
    try:
        found = load_agreements(where, load_contracts(contracts or current.contracts_dir))
    except AgreementProblems as problems:
        write_rows([asdict(problem) for problem in problems.problems], output, PROBLEM_COLUMNS)
        say(f"{len(problems.problems)} to mend")
        raise typer.Exit(Exit.FOUND) from None
    write_rows([], output, PROBLEM_COLUMNS, none="")
    say(f"{counted(len(found), 'agreement')}, no problem")


def diff(
    events: Events,
    proposed: Annotated[Path, typer.Option(help="the agreements directory as it would be")],
    at: At,
    contracts: ContractsDir = None,
    agreements: AgreementsDir = None,
    output: Output = Form.TABLE,
) -> None:
    """Count who would gain and lose which fields under a proposed set of agreements. Exit 1 if anybody would.

    Replays the events under both sets with the real stages; nothing is published. The proposed directory
    is a copy of all agreements with the change in it: what is not there is lost. A field that it grants anew
    and that nobody gains stands below with why, and of how many persons.

    Example: postroom agreement diff docs/examples/first-event.jsonl --proposed draft
    --at 2026-06-01T12:00:00Z
    """
    from postroom.composition import TRIAL_SECRET, load_rules_files
    from postroom.console import counted, say
    from postroom.settings import settings
    from processors import FRAGMENTS_TOPIC, Keys, Rules
    from processors.explain import compare_views, gives_nothing
    from processors.replay import run_lines

    current = settings()
    contracts_dir, at_ms = contracts or current.contracts_dir, moment(at)
    _require_directory(proposed, "agreements")
    now, then = (
        Rules(*load_rules_files(contracts_dir, directory), Keys(TRIAL_SECRET))
        for directory in (agreements or current.agreements_dir, proposed)
    )
    pipelines = []
    for rules in (now, then):
        with opened(events) as lines:
            pipelines.append(run_lines(lines, rules, at_ms).pipeline)
    differences = compare_views(*(pipeline.views() for pipeline in pipelines))
    states = pipelines[1].states[FRAGMENTS_TOPIC]
    nothing = list(gives_nothing(then, states, at_ms, now.agreements, differences))
    _write_differences(differences, nothing, output)
    say(f"{counted(len(differences), 'field differs', 'fields differ')}; persons are counted")
    if nothing:
        say("what would be granted anew and gives nobody anything stands with why, and of how many persons")
    for name in sorted(now.agreements.keys() - then.agreements.keys()):
        say(f"{name} is gone: each view under it is taken back, and its subscriber owes the deletion")
    for name in sorted(then.agreements.keys() - now.agreements.keys()):
        say(f"{name} is new")
    for name in _same_version(now.agreements, then.agreements):
        say(f"{name} has changed and not its version: raise it, disclosures are logged under it")
    if differences:
        raise typer.Exit(Exit.FOUND)


def _write_differences(differences: Sequence[Difference], nothing: Sequence[Unchanged], output: Form) -> None:
    """Write who gains and loses, then what gives nothing: two tables, or the rows of both."""
    differing, still = ([each._asdict() for each in rows] for rows in (differences, nothing))
    if output is not Form.TABLE:
        write_rows([*differing, *still], output, ())
        return
    for rows, columns in ((differing, DIFF_COLUMNS), (still, NOTHING_COLUMNS)):
        write_rows(rows, output, columns, none="")


def explain(
    agreement: Annotated[str, typer.Argument(help="its name")],
    identifier: Annotated[str, typer.Argument(help="of the person, as scheme:value")],
    events: Annotated[Path | None, typer.Option(help="events to replay, one CloudEvent a line")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="the moment of the question, RFC 3339; default: now")
    ] = None,
    contracts: ContractsDir = None,
    agreements: AgreementsDir = None,
    output: Output = Form.TABLE,
) -> None:
    """Say for one person, field by field, whether an agreement sees it, what that rests on, and why not.

    It replays a file of events and asks nothing that runs: what the file does not hold was not said. Values
    are not shown; lineage is: which event said it, true since when. `unknown` may be shared, and nobody has
    said it. Moments are UTC, so a day of summer begins at 23:00 the evening before. What is true of the whole
    agreement stands below: how long it is in force, whom it is about, and until when the subscriber deletes.

    Example: postroom agreement explain council-leeds-housing nino:NC000017A
    --events docs/examples/first-event.jsonl --at 2026-06-01T12:00:00Z
    """
    from postroom.composition import TRIAL_SECRET, load_rules_files
    from postroom.console import say
    from postroom.settings import settings
    from processors import FRAGMENTS_TOPIC, Keys, Rules
    from processors.explain import explain as answer
    from processors.explain import person_state
    from processors.replay import run_lines

    current = settings()
    contracts_found, agreements_found = load_rules_files(
        contracts or current.contracts_dir, agreements or current.agreements_dir
    )
    if agreement not in agreements_found:
        names = ", ".join(sorted(agreements_found))
        raise UserError("there is no such agreement", where=agreement, mend=f"one of: {names}")
    require_identifier(contracts_found.schemes, identifier)
    if events is None:
        raise UserError(
            "there are no events to decide on",
            why="this replays a file of events: nobody but the workers holds a citizen's record",
            mend="name one with --events, one CloudEvent a line (docs/examples/first-event.jsonl is one); "
            "who was given what in a running installation, and why, says `postroom audit person`",
        )
    rules = Rules(contracts_found, agreements_found, Keys(TRIAL_SECRET))
    at_ms = time.time_ns() // 1_000_000 if at is None else moment(at)
    with opened(events) as lines:
        replayed = run_lines(lines, rules, at_ms)
    state = person_state(replayed.pipeline.states[FRAGMENTS_TOPIC], replayed.person_of(identifier))
    if state is None:
        say("no event that was accepted says anything about this person")
        raise typer.Exit(Exit.FOUND)
    rows = [found._asdict() for found in answer(rules, agreements_found[agreement], state, at_ms)]
    write_rows(rows, output, EXPLAIN_COLUMNS)
    for line in _as_a_whole(agreements_found[agreement], contracts_found):
        say(line)


def _as_a_whole(agreement: Agreement, contracts: Contracts) -> Iterator[str]:
    """What holds of every field of an agreement, in the catalogue's words (C5)."""
    from schemas.documents import words

    yield f"in force: {words.in_force(agreement)}, version {agreement.version}; ask of another day with --at"
    yield f"about whom: {words.about_whom(agreement)}"
    yield f"known by: {words.known_by(agreement, contracts)}"
    yield f"taken back: {agreement.subscriber} deletes it within {words.lasting(agreement.delete_within)}"


def _same_version(now: Mapping[str, Agreement], proposed: Mapping[str, Agreement]) -> list[str]:
    """The agreements that say something else under the version that they have."""
    from dataclasses import replace

    both = sorted(now.keys() & proposed.keys())
    return [
        name
        for name in both
        if now[name].version == proposed[name].version
        and replace(proposed[name], file=now[name].file) != now[name]
    ]


def _require_directory(directory: Path, what: str) -> None:
    if not directory.is_dir():
        mend = f"name the directory in which all {what} are, not a file of one"
        raise UserError(f"there is no {what} directory", where=str(directory), mend=mend)
