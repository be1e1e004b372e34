"""`postroom contract new`: a department's first contract, by asking (E4, E5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from postroom.contract.questions import Mistake, Questions, Said, by_name
from postroom.errors import Exit, UserError
from postroom.output import Form, Output, write_rows

if TYPE_CHECKING:
    from schemas import Contract, Contracts, Problem
    from schemas.scaffold import Answers

COLUMNS = ("file", "state")
WRITTEN, ADDED, TO_ADD = "written", "added", "to add"


class Addition(NamedTuple):
    """What one file of the catalogue lacks: the lines, below which line of it, and how they are put there."""

    file: str
    below: str
    lines: str
    add: Callable[[str], str]


Directory = Annotated[Path | None, typer.Option(help="default: POSTROOM_CONTRACTS")]
Domain = Annotated[str | None, typer.Option(help="of the fact, for instance libraries")]
Fact = Annotated[str | None, typer.Option(help="for instance reading-card")]
Version = Annotated[int, typer.Option(min=1, help="1 for a fact that nobody stated before")]
Owner = Annotated[list[str] | None, typer.Option(help="who may publish it; may be given again")]
Doc = Annotated[str | None, typer.Option(help="what has happened, in one sentence")]
Kind = Annotated[str | None, typer.Option(help="fact, link, consent, … (E4); default: fact")]
Subject = Annotated[str | None, typer.Option(help="the scheme that names the person; * for any")]
SchemePattern = Annotated[str | None, typer.Option(help="of a scheme of your own")]
SchemeDescription = Annotated[str | None, typer.Option(help="of a scheme of your own")]
SchemeExclusive = Annotated[bool | None, typer.Option(help="whether a person has one value of it at a time")]
SamePerson = Annotated[list[str] | None, typer.Option(help="another scheme of the same person")]
SupersededBy = Annotated[list[str] | None, typer.Option(help="the scheme of what replaces it")]
Other = Annotated[str | None, typer.Option(help="of a link or an unlink: the other scheme")]
Attribute = Annotated[
    list[str] | None, typer.Option(help="NAME or NAME:TYPE, as often as needed; none for none")
]
Category = Annotated[list[str] | None, typer.Option(help="NAME=CATEGORY of a new attribute")]
Describe = Annotated[list[str] | None, typer.Option(help="NAME=TEXT of a new attribute")]
Sensitivity = Annotated[list[str] | None, typer.Option(help="NAME=WORD of a new attribute")]
Repeats = Annotated[list[str] | None, typer.Option(help="a new attribute that a person has several of")]
Item = Annotated[str | None, typer.Option(help="the field that says which of several")]
Effective = Annotated[str | None, typer.Option(help="FIELD or FIELD:TYPE, from when; none")]
Until = Annotated[str | None, typer.Option(help="FIELD or FIELD:TYPE, until when; none")]
Correctable = Annotated[bool, typer.Option(help="whether an event may correct an earlier one")]
Retention = Annotated[str | None, typer.Option(help="how long it counts, for instance P7Y")]
WriteCatalogue = Annotated[
    bool, typer.Option("--write-catalogue", help="add the lines that the catalogue lacks, too")
]


def new(
    contracts: Directory = None,
    domain: Domain = None,
    fact: Fact = None,
    version: Version = 1,
    owner: Owner = None,
    doc: Doc = None,
    kind: Kind = None,
    subject: Subject = None,
    scheme_pattern: SchemePattern = None,
    scheme_description: SchemeDescription = None,
    scheme_exclusive: SchemeExclusive = None,
    same_person: SamePerson = None,
    superseded_by: SupersededBy = None,
    other: Other = None,
    attribute: Attribute = None,
    category: Category = None,
    describe: Describe = None,
    sensitivity: Sensitivity = None,
    repeats: Repeats = None,
    item: Item = None,
    effective: Effective = None,
    until: Until = None,
    correctable: Correctable = True,
    retention: Retention = None,
    write_catalogue: WriteCatalogue = False,
    output: Output = Form.TABLE,
) -> None:
    """Write a contract from answers: asked for at a terminal, or given as options. Never over another one.

    Without an option everything is asked; with one only what has no usual answer: none, no, kind fact.
    Only the .avsc is written; what attributes.yaml, identifiers.yaml or authority.yaml lack is shown, or
    added by --write-catalogue (authority is somebody's to give: ask first). Then the gate looks at it; exit 1
    while something remains. TYPE: text, date, partial-date, timestamp, whole-number, decimal, yes-no,
    one-of=A|B|OTHER (a list without OTHER can take no symbol later).

    Example: postroom contract new --domain libraries --fact reading-card --owner library
    --doc "A reader got a card." --subject nino --attribute reading_card:text --category reading_card=leisure
    --describe "reading_card=The card." --sensitivity reading_card=standard --effective issued_on
    --retention P3Y
    """
    directory, known = _catalogue(contracts)
    wrong = list[Mistake]()
    said = Said(
        domain=domain, fact=fact, version=version, owners=owner, doc=doc, kind=kind, subject=subject,
        scheme_pattern=scheme_pattern, scheme_description=scheme_description,
        scheme_exclusive=scheme_exclusive, same_person=same_person, superseded_by=superseded_by, other=other,
        attributes=attribute, categories=by_name(category, "category", wrong),
        descriptions=by_name(describe, "describe", wrong),
        sensitivities=by_name(sensitivity, "sensitivity", wrong),
        repeats=repeats, item=item, effective=effective, until=until, correctable=correctable,
        retention=retention,
    )  # fmt: skip
    answers = Questions(said, known, wrong).answers()
    path = directory / answers.path
    schema, contract = _made(path, answers, known)
    additions = list(_additions(answers, contract, known))
    _write(path, json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    added = [_added(directory, each, write_catalogue) for each in additions]
    _show([{"file": str(path), "state": WRITTEN, "lines": ""}, *added], output)
    _end(directory, answers)


def _made(path: Path, answers: Answers, known: Contracts) -> tuple[dict[str, object], Contract]:
    """The schema of the answers, and the contract that it makes; UserError while nothing is written yet."""
    from schemas.scaffold import UnknownType, problems, schema_of

    if path.exists():
        mend = "change it by hand and let `contract check` look, or remove it, or answer another --version"
        raise UserError("there is such a contract already", where=str(path), mend=mend)
    try:
        schema = schema_of(answers, known)
    except UnknownType as unknown:
        raise UserError("a type is not known", why=str(unknown), mend="--attribute NAME:TYPE") from unknown
    contract, found = problems(answers, schema, known)
    if contract is None:
        why = "\n".join(f"{each.field or 'the record'}: {each.why}" for each in found)
        mend = "\n".join(dict.fromkeys(each.mend for each in found))
        raise UserError(
            "the answers make no contract; nothing was written", where=answers.path, why=why, mend=mend
        )
    return schema, contract


def _end(directory: Path, answers: Answers) -> None:
    """Say what the gate says of it now, and exit by that."""
    from postroom.console import say
    from schemas.scaffold import closed

    for each in closed(answers):
        say(
            f"hint: {each.name}: it can take no new symbol later, because it has no default; with "
            f"`{each.name}:{each.type}|OTHER` older readers take OTHER for it; decide before `freeze`"
        )
    remaining = _remaining(directory, answers.path)
    for problem in remaining:
        say(str(problem))
    if remaining:
        raise typer.Exit(Exit.FOUND)
    say(f"the gate takes it; next: `postroom contract test {answers.type} --sample`")


def _catalogue(contracts: Path | None) -> tuple[Path, Contracts]:
    """The directory and what is sound in it: another department's fault does not keep this one waiting."""
    from postroom.settings import settings
    from schemas import read_contracts

    directory = contracts or settings().contracts_dir
    if not directory.is_dir():
        raise UserError("there is no contracts directory", where=str(directory), mend="name one that exists")
    return directory, read_contracts(directory)[0]


def _additions(answers: Answers, contract: Contract, known: Contracts) -> Iterator[Addition]:
    """What the catalogue lacks for the contract, file by file."""
    from schemas import catalogue_text as text
    from schemas.scaffold import missing_pairs

    if answers.new_attributes:
        attributes = list(answers.new_attributes.values())
        lines = "".join(map(text.attribute_lines, attributes))
        add = partial(text.with_attributes, attributes=attributes)
        yield Addition("attributes.yaml", "attributes:", lines, add)
    if answers.new_schemes:
        lines = "".join(text.scheme_lines(name, scheme) for name, scheme in answers.new_schemes.items())
        add = partial(text.with_schemes, schemes=answers.new_schemes)
        yield Addition("identifiers.yaml", "schemes:", lines, add)
    missing = missing_pairs(contract, answers, known)
    if missing:
        lines = "".join(text.pair_lines(owner, pairs) for owner, pairs in missing.items())
        yield Addition("authority.yaml", "", lines, partial(text.with_pairs, missing=missing))


def _added(directory: Path, addition: Addition, write: bool) -> dict[str, str]:
    """Add the lines if that was asked for and can be done, else leave them to a person."""
    from postroom.console import say
    from schemas.catalogue_text import NotAdded

    path = directory / addition.file
    state = TO_ADD
    if write:
        try:
            _write(path, addition.add(path.read_text(encoding="utf-8") if path.exists() else ""))
            state = ADDED
        except NotAdded as why:
            say(f"{path}: {why}; add the lines by hand")
    below = f"# below {addition.below}\n" if addition.below and state == TO_ADD else ""
    return {"file": str(path), "state": state, "lines": below + addition.lines}


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            "the file cannot be written", where=str(path), why=error.strerror or str(error)
        ) from error


def _show(rows: list[dict[str, str]], output: Form) -> None:
    if output is not Form.TABLE:
        write_rows(rows, output, (*COLUMNS, "lines"))
        return
    for row in rows:
        typer.echo(f"{row['state']}: {row['file']}\n{row['lines']}", nl=bool(not row["lines"]))


def _remaining(directory: Path, file: str) -> list[Problem]:
    """What the gate says of the new contract as the files now are; of others only what is the catalogue's."""
    from schemas import check_directory

    _, problems = check_directory(directory)
    return [each for each in problems if each.file == file or each.file.endswith(".yaml")]
