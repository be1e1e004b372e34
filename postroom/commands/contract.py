"""`postroom contract new|check|test|register|freeze|docs`: a department's contract from its first line to the
registry (E6).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.commands import noun
from postroom.contract.new import new
from postroom.contract.trial import try_events
from postroom.errors import Exit, UserError
from postroom.output import Form, Output, write_rows

if TYPE_CHECKING:
    from connectors.registry import Registry
    from schemas import Contract, Contracts, Problem

PROBLEM_COLUMNS = ("file", "field", "reason", "why", "mend")
NAMES_MAX = 5
REGISTERED_COLUMNS = ("type", "id", "state")  # the subject is the type and -value: JSON has it too

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[PATH…]", help="contracts directories or single contracts; default: POSTROOM_CONTRACTS"
    ),
]


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(
        app, "contract", "What departments publish: the gate, the registration, a readable page.", "Rules"
    )
    group.command()(new)
    group.command()(check)
    group.command(name="test")(try_events)
    group.command(name="register")(register_contracts)
    group.command()(freeze)
    group.command()(docs)


def check(
    paths: Paths = None,
    registered: Annotated[
        bool, typer.Option("--registered", help="compare with the versions that the registry holds, too")
    ] = False,
    output: Output = Form.TABLE,
) -> None:
    """Let contracts through the gate, or say every reason why not, with file and field. Exit 1 if there is
    one. A field that does not say what it is (`doc`) is a hint and no reason.

    Works without a registry: compatibility is checked against the committed history, and of contracts that
    are not in it as they are, that is said. With --registered the registry is asked too; exit 3 if it cannot
    be reached.

    Example: postroom contract check --registered
    """
    from postroom.console import counted, say
    from schemas import without_doc

    problems: list[Problem] = []
    chosen_contracts: list[Contract] = []
    for directory, chosen in _chosen(paths):
        contracts, found = _gate(directory, chosen)
        problems += found
        sound = _contracts(contracts, chosen)
        chosen_contracts += sound
        for contract in sound:
            if lacking := without_doc(contract):
                named = ", ".join(lacking)
                say(f"hint: {contract.path}: {named}: no `doc`, so no page can say what that is")
        if not registered and (new := _not_in_history(contracts, sound)):
            say(
                f"not compared: {_few(new)}: not in the history as written here, so what was registered "
                "since is not known; `postroom contract check --registered` asks the registry"
            )
        say(f"{directory}: {counted(len(sound), 'sound contract')}")
    if registered:
        problems += _refused(chosen_contracts, _registry())
    _show(problems, output)


def register_contracts(paths: Paths = None, output: Output = Form.TABLE) -> None:
    """Register contracts as <type>-value under FULL_TRANSITIVE: all of them, or none if the gate refuses one.

    Exit 1 when the gate refuses, 3 when the registry cannot be reached. The same contract again changes
    nothing: a table counts those that are there already, JSON has a row for each.

    Example: postroom contract register
    """
    from postroom.console import say
    from postroom.contract.registered import register_one

    chosen_contracts: list[Contract] = []
    problems: list[Problem] = []
    new: list[str] = []
    for directory, chosen in _chosen(paths):
        contracts, found = _gate(directory, chosen)
        problems += found
        sound = _contracts(contracts, chosen)
        chosen_contracts += sound
        new += _not_in_history(contracts, sound)
    if problems:
        say("nothing was registered")
        _show(problems, output)
    registry = _registry()
    if problems := _refused(chosen_contracts, registry):
        say(
            "nothing was registered: the registry holds versions that these contracts are not compatible with"
        )
        _show(problems, output)
    _show_registered([register_one(contract, registry) for contract in chosen_contracts], output)
    if new:
        say(
            f"registered, and not in the history: {_few(new)}; `postroom contract freeze` writes it there, "
            "to be committed: a check without this registry knows nothing else"
        )


def freeze(paths: Paths = None, output: Output = Form.TABLE) -> None:
    """Write the contracts as they are into history/<type>/<n>.avsc, to be committed with the change.

    The history is what the gate holds every later version to, on machines that reach no registry. Only
    contracts that pass the gate are written, and only if they differ from their latest version.

    Example: postroom contract freeze
    """
    import json

    from postroom.console import say
    from schemas import read_history, unfrozen

    rows = []
    for directory, chosen in _chosen(paths):
        contracts, problems = _gate(directory, chosen)
        if problems:
            say("nothing was written")
            _show(problems, output)
        types = {contract.type for contract in _contracts(contracts, chosen)}
        for file, schema in unfrozen(contracts, read_history(directory)[0]).items():
            path = directory / file
            if path.parent.name in types:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
                rows.append({"file": str(path)})
    write_rows(rows, output, ("file",), none="the history has every contract as it is: nothing was written")


def docs(
    paths: Paths = None,
    to: Annotated[Path | None, typer.Option(help="a file to write instead of stdout")] = None,
) -> None:
    """Write a Markdown page of every contract: who publishes it, what each field means, an example event.

    Example: postroom contract docs --to contracts.md
    """
    from schemas import page

    pages = []
    for directory, chosen in _chosen(paths):
        contracts, problems = _gate(directory, chosen)
        if problems:
            _show(problems, Form.TABLE)
        pages.append(page(contracts, [contract.type for contract in _contracts(contracts, chosen)]))
    text = "\n".join(pages)
    if to is None:
        typer.echo(text, nl=False)
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            "the page cannot be written", where=str(to), why=error.strerror or str(error)
        ) from error


def _chosen(paths: list[Path] | None) -> Iterator[tuple[Path, str | None]]:
    """Each contracts directory, with the one contract in it that was named, if one was."""
    from postroom.settings import settings

    for path in paths or [settings().contracts_dir]:
        if path.is_dir():
            yield path, None
        elif path.is_file() and path.suffix == ".avsc":
            where = path.resolve()
            yield where.parent.parent, f"{where.parent.name}/{where.name}"
        else:
            yield _of_type(str(path), settings().contracts_dir)


def _of_type(type_: str, directory: Path) -> tuple[Path, str]:
    """The contract of an event type, where neither a directory nor a file was named."""
    from schemas import check_directory

    known = check_directory(directory)[0].by_type if directory.is_dir() else {}
    if type_ not in known:
        raise UserError(
            "that is neither a contracts directory nor a contract",
            where=str(Path(type_).absolute()),
            mend="name a directory, a file <domain>/<fact>.v<N>.avsc in one, or a type that "
            "POSTROOM_CONTRACTS has; `postroom contract new` begins a contract",
        )
    return directory, known[type_].path


def _gate(directory: Path, chosen: str | None) -> tuple[Contracts, list[Problem]]:
    """Everything of a directory; of one contract's problems only its own and those of the catalogue."""
    from schemas import check_directory

    contracts, problems = check_directory(directory)
    if chosen is not None:
        problems = [
            problem for problem in problems if problem.file == chosen or problem.file.endswith(".yaml")
        ]
    return contracts, problems


def _contracts(contracts: Contracts, chosen: str | None) -> list[Contract]:
    return [contract for contract in contracts.by_type.values() if chosen in (None, contract.path)]


def _not_in_history(contracts: Contracts, chosen: list[Contract]) -> list[str]:
    """Those that the history does not have as they are."""
    from schemas import read_history, unfrozen

    missing = {Path(file).parent.name for file in unfrozen(contracts, read_history(contracts.directory)[0])}
    return [contract.path for contract in chosen if contract.type in missing]


def _few(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
    return ", ".join(names[:NAMES_MAX]) + more


def _registry() -> Registry:
    from connectors import find_stack
    from connectors.registry import registry_of
    from postroom.settings import settings

    return registry_of(find_stack(settings()))


def _refused(contracts: list[Contract], registry: Registry) -> list[Problem]:
    """What the versions that the registry holds have against these contracts."""
    from postroom.contract.registered import refused_online

    return [problem for contract in contracts for problem in refused_online(contract, registry)]


def _show_registered(rows: list[Mapping[str, object]], output: Form) -> None:
    """A person reads what was done; a program is told of every contract."""
    from postroom.console import counted, say
    from postroom.contract.registered import REGISTERED

    done = [row for row in rows if row["state"] == REGISTERED]
    write_rows(done if output is Form.TABLE else rows, output, REGISTERED_COLUMNS, none="")
    there = f", {len(rows) - len(done)} already there" if len(rows) > len(done) else ""
    say(f"{counted(len(done), 'contract')} registered{there}")


def _show(problems: list[Problem], output: Form) -> None:
    """Write the problems; exit 1 if there are any."""
    from postroom.console import counted, say

    rows = [
        {"file": p.file, "field": p.field, "reason": p.reason.value, "why": p.why, "mend": p.mend}
        for p in problems
    ]
    if rows or output is not Form.TABLE:
        write_rows(rows, output, PROBLEM_COLUMNS)
    say(counted(len(problems), "problem"))
    if problems:
        raise typer.Exit(Exit.FOUND)
