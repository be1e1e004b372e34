"""`postroom contract test`: a department's events through the gate, intake and the views, offline (E6, E7).

Nothing is published and nothing is asked of Kafka or a registry. No value of an event is shown: a line's
number, the path of each problem and what was expected there are enough to mend it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from postroom.errors import Exit, UserError
from postroom.inputs import moment, opened
from postroom.output import Form, Output, write_json, write_line, write_rows

if TYPE_CHECKING:
    from processors import Rules
    from processors.explain import Unchanged
    from processors.trial import Change, Verdict
    from schemas import Agreement, Contract, Contracts, Problem

LINE_COLUMNS = ("line", "verdict", "reason", "path", "problem")
VIEW_COLUMNS = ("agreement", "field", "gain", "lose", "changed", "needs")
UNCHANGED_COLUMNS = ("agreement", "field", "reason", "because", "persons")
GATE_COLUMNS = ("file", "field", "reason", "why", "mend")
SAMPLE_AT = "2026-06-01T12:00:00Z"
"""The moment of samples unless another is given: the same samples and the same answer on every day."""


class Tried(NamedTuple):
    """A line that is not blank: its number, its content (None: too long), and what intake says of it."""

    number: int
    content: bytes | None
    verdict: Verdict


def try_events(
    type_: Annotated[
        str, typer.Argument(metavar="TYPE", help="of the contract: uk.gov.<domain>.<fact>.v<N>")
    ],
    file: Annotated[
        str | None, typer.Argument(metavar="EVENTS.jsonl", help="one CloudEvent a line; - reads stdin")
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="make events up instead of reading them")] = False,
    seed: Annotated[int, typer.Option(min=0, max=99, help="of the sample: the same gives the same")] = 0,
    count: Annotated[int, typer.Option(min=1, max=1000, help="of the sample: how many events")] = 5,
    to: Annotated[Path | None, typer.Option(help="a new file for the sample, to go on from")] = None,
    beside: Annotated[
        list[Path] | None, typer.Option(help="events that others published before, consents for instance")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help=f"the moment of the question; default: now, {SAMPLE_AT} of a sample"),
    ] = None,
    contracts: Annotated[Path | None, typer.Option(help="default: POSTROOM_CONTRACTS")] = None,
    agreements: Annotated[Path | None, typer.Option(help="default: POSTROOM_AGREEMENTS")] = None,
    output: Output = Form.TABLE,
) -> None:
    """Run events of a contract through the gate, intake and the views, with nothing running and nothing sent.

    Each line is accepted, or rejected with intake's reason and every problem by its JSON path. Then, field by
    field, how many views would be gained, lost or changed by these events: as things are, and (`needs`) once
    the persons have consented or are enrolled; and why what an agreement grants does not change, as
    `agreement explain` says it. Lines of other types stand beside. Exit 1 if the gate refuses
    the contract, a line is rejected, or no line is of the type.

    Example: postroom contract test uk.gov.benefits.claimant.v1 --sample
    """
    from postroom.composition import TRIAL_SECRET
    from postroom.console import say
    from processors import Keys, Rules
    from processors.trial import examine, why_unchanged, would_change

    if sample == (file is not None):
        raise UserError("either EVENTS.jsonl or --sample", mend="`postroom contract test --help`")
    if to is not None and not sample:
        raise UserError("--to is for a sample", mend="--sample --to FILE")
    at_ms = time.time_ns() // 1_000_000 if at is None and not sample else moment(at or SAMPLE_AT)
    directory, known, refused = _gate(contracts, type_)
    contract = known.by_type.get(type_)
    if contract is None:
        _unreadable(type_, known, refused, directory, output)
        return
    rules = Rules(known, _agreements(agreements, known), Keys(TRIAL_SECRET))
    lines = _samples(contract, rules, count, at_ms, seed, to) if sample else _lines(str(file))
    tried = [Tried(number, line, examine(line, rules, at_ms)) for number, line in lines]
    before = [line for path in beside or () for _, line in _lines(str(path)) if line is not None]
    before += [each.content for each in tried if each.content is not None and each.verdict.type != type_]
    events = [each.content for each in tried if each.content is not None and each.verdict.type == type_]
    changes = list(would_change(before, events, rules, at_ms))
    unchanged = why_unchanged(before, events, rules, at_ms, changes)
    _write(refused, tried, changes, unchanged, output)
    found = _tell(contract, rules, tried, changes)
    if refused:
        say(f"the gate refuses the contract: {len(refused)} to mend")
    if refused or found:
        raise typer.Exit(Exit.FOUND)


def _gate(contracts: Path | None, type_: str) -> tuple[Path, Contracts, list[Problem]]:
    """The sound contracts, and what the gate has against this one or the catalogue (E6)."""
    from postroom.settings import settings
    from schemas import check_directory, parse_type

    directory = contracts or settings().contracts_dir
    if not directory.is_dir():
        raise UserError("there is no contracts directory", where=str(directory), mend="name one that exists")
    parsed = parse_type(type_)
    if parsed is None:
        raise UserError("that is no type", where=type_, mend="write it as uk.gov.<domain>.<fact>.v<N>")
    file = "{}/{}.v{}.avsc".format(*parsed)
    known, problems = check_directory(directory)
    return directory, known, [each for each in problems if each.file == file or each.file.endswith(".yaml")]


def _unreadable(
    type_: str, known: Contracts, refused: Sequence[Problem], directory: Path, output: Form
) -> None:
    """A contract that is not there is wrong use; one that cannot be read is what the check found."""
    from postroom.console import say
    from schemas import near_hint

    if not refused:
        near = near_hint(type_, known.by_type).removeprefix("; ")
        mend = near or "`postroom contract new` writes one"
        raise UserError("there is no such contract", where=f"{type_} in {directory}", mend=mend)
    _write(refused, (), (), (), output)
    say("the gate refuses the contract, so no event was tried")
    raise typer.Exit(Exit.FOUND)


def _agreements(directory: Path | None, known: Contracts) -> dict[str, Agreement]:
    """The agreements; none where the default directory is not there: a department may have contracts only."""
    from postroom.console import say
    from postroom.settings import settings
    from schemas import AgreementProblems, load_agreements

    where = directory or settings().agreements_dir
    if directory is None and not where.is_dir():
        say(f"there are no agreements ({where}), so no view can change")
        return {}
    try:
        return load_agreements(where, known)
    except AgreementProblems as problems:
        raise UserError(
            "the agreements cannot be used",
            where=str(where),
            why=str(problems),
            mend="`postroom agreement check`, or name others with --agreements",
        ) from problems


def _lines(file: str) -> Iterator[tuple[int, bytes | None]]:
    """The lines of a file that say something, each with its number."""
    from producers import read_lines

    with opened(file) as stream:
        yield from ((line.number, line.content) for line in read_lines(stream) if not line.blank)


def _samples(
    contract: Contract, rules: Rules, count: int, at_ms: int, seed: int, to: Path | None
) -> Iterator[tuple[int, bytes]]:
    """Events made up for the contract, kept in a file if one is named; never over another one."""
    from producers import to_lines
    from producers.samples import NoSample, samples

    try:
        events = list(samples(contract, rules.contracts, count, at_ms, seed, _terms(rules)))
    except NoSample as defiant:
        mend = "write some events by hand: `postroom contract docs` shows their form"
        raise UserError(
            "no sample can be made", where=contract.path, why=str(defiant), mend=mend
        ) from defiant
    lines = list(to_lines(events))
    if to is not None:
        try:
            with to.open("xb") as stream:
                stream.writelines(lines)
        except OSError as error:
            why = error.strerror or str(error)
            raise UserError("the sample cannot be written", where=str(to), why=why) from error
    yield from enumerate((line.rstrip(b"\n") for line in lines), start=1)


def _terms(rules: Rules) -> list[Mapping[str, str]]:
    """What consents, objections and enrolments name of agreements: of those that there are."""
    return [
        {"subscriber": each.subscriber, "purpose": each.purpose, "agreement": each.agreement}
        for each in rules.agreements.values()
    ]


def _write(
    refused: Sequence[Problem],
    tried: Sequence[Tried],
    changes: Sequence[Change],
    unchanged: Sequence[Unchanged],
    output: Form,
) -> None:
    """Write all of it: three tables, or one document."""
    gate = [
        {"file": p.file, "field": p.field, "reason": p.reason.value, "why": p.why, "mend": p.mend}
        for p in refused
    ]
    views = [each._asdict() for each in changes]
    still = [each._asdict() for each in unchanged]
    if output is Form.TABLE:
        tables = (
            (gate, GATE_COLUMNS),
            (list(_rows(tried)), LINE_COLUMNS),
            (views, VIEW_COLUMNS),
            (still, UNCHANGED_COLUMNS),
        )
        for rows, columns in tables:
            if rows:
                write_rows(rows, output, columns)
        return
    document = {"gate": gate, "lines": [_plain(each) for each in tried], "views": views}
    document["unchanged"] = still
    (write_line if output is Form.JSONL else write_json)(document)


def _plain(tried: Tried) -> dict[str, Any]:
    reason, problems = tried.verdict.reason, tried.verdict.problems
    if reason is None:
        warned = [each._asdict() for each in tried.verdict.warnings]
        return {"line": tried.number, "verdict": "accepted"} | ({"warnings": warned} if warned else {})
    told = [each._asdict() for each in problems]
    return {"line": tried.number, "verdict": "rejected", "reason": reason.value, "problems": told}


def _rows(tried: Sequence[Tried]) -> Iterator[dict[str, Any]]:
    """A row for each accepted line, and one for each problem of a rejected one."""
    for each in tried:
        plain = _plain(each)
        problems = plain.pop("problems", None) or plain.pop("warnings", [{}])
        yield from (plain | problem for problem in problems)


def _tell(contract: Contract, rules: Rules, tried: Sequence[Tried], changes: Sequence[Change]) -> bool:
    """Sum it up in words; whether the check found something."""
    from postroom.console import say
    from schemas import Rejection, how_to_mend

    rejected = sum(each.verdict.reason is not None for each in tried)
    of_type = sum(each.verdict.type == contract.type for each in tried)
    say(f"{len(tried) - rejected} accepted, {rejected} rejected")
    found = [problem for each in tried for problem in each.verdict.problems]
    for reason in Rejection:  # each that a line has, not its first alone: one round should be enough
        for mend in sorted({how_to_mend(each) for each in found if each.reason is reason}):
            say(f"{reason}: {mend}")
    if not of_type:
        say(f"no line is of {contract.type}")
    if not changes:
        say("no view would change")
    for attribute in contract.attributes:
        named = [a.agreement for a in rules.agreements.values() if _grants(a, attribute.attribute)]
        say(f"{attribute.attribute}: {'in ' + ', '.join(named) if named else 'in no agreement'}")
    return bool(rejected) or not of_type


def _grants(agreement: Agreement, attribute: str) -> bool:
    return any(grant.attribute == attribute for grant in agreement.attributes)
