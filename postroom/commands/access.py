"""`postroom access list|credential|revoke`: who may what on Kafka, and the passwords that prove it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.commands import noun
from postroom.errors import UserError
from postroom.output import Form, Output, write_rows

if TYPE_CHECKING:
    from postroom.access import Role
    from postroom.config import Settings

LIST_COLUMNS = ("user", "may", "on")
CREDENTIAL_COLUMNS = ("user", "password_file")


def register(app: typer.Typer) -> None:
    """Add the noun."""
    group = noun(app, "access", "Who may what on Kafka, and their passwords.", "This installation")
    group.command("list")(list_access)
    group.command()(credential)
    group.command()(revoke)


def list_access(
    user: Annotated[str | None, typer.Option(help="only this user, for instance owner.dwp")] = None,
    output: Output = Form.TABLE,
) -> None:
    """List who may what, as contracts and agreements have it; what is not listed nobody may.

    Nothing is asked of Kafka: `postroom topics plan` says how the cluster differs.

    Example: postroom access list --user subscriber.council-leeds
    """
    from postroom.settings import settings

    found = [role for role in _roles(settings()) if user is None or role.user == user]
    if not found:
        raise UserError(
            "there is no such user", where=str(user), mend="`postroom access list` names them all"
        )
    rows = [
        {"user": acl.user, "may": acl.operation, "on": acl.on} for role in found for acl in sorted(role.may)
    ]
    write_rows(rows, output, LIST_COLUMNS)


def credential(
    users: Annotated[list[str], typer.Argument(metavar="USER...", help="for instance owner.dwp")],
    out: Annotated[
        Path | None, typer.Option(help="the directory for the password files; must for a cluster of your own")
    ] = None,
    output: Output = Form.TABLE,
) -> None:
    """Make a new password for users, let Kafka know it, and write each to a file that only you may read.

    The password goes nowhere else: not to the terminal, not onto a command line. An older one ends. On the
    local stack the files are kept in its state, and POSTROOM_KAFKA_USERNAME alone then names the user.

    Example: postroom access credential owner.dwp subscriber.council-leeds
    """
    from connectors import find_stack
    from connectors.kafka_users import Users
    from connectors.local_security import find_security, new_password, password_file
    from postroom.settings import settings

    current = settings()
    _require_known(users, current)
    stack = find_stack(current)
    security = find_security(current.state_dir) if stack.local else None
    directory = out or (security.directory if security else None)
    if directory is None:
        raise UserError(
            "it is not said where the passwords go" if not stack.local else "this local stack has no users",
            where=stack.kafka,
            mend="--out DIRECTORY" if not stack.local else "`postroom down`, then `postroom up --secure`",
        )
    known = Users(stack.access)
    rows = []
    for user in users:
        file = password_file(directory, user)
        fresh = file.with_suffix(".new")
        known.set_password(user, new_password(fresh))
        fresh.replace(file)  # not before Kafka has it: until then the old one is the one that works
        rows.append({"user": user, "password_file": str(file)})
    write_rows(rows, output, CREDENTIAL_COLUMNS)


def revoke(users: Annotated[list[str], typer.Argument(metavar="USER...")]) -> None:
    """Take users' passwords away: nobody can come as them any more. What they may do is the rules' business.

    A connection that is open lives on until it ends; to end it at once, deny the user by hand too.

    Example: postroom access revoke owner.dwp
    """
    from connectors import find_stack
    from connectors.kafka_users import Users
    from postroom.console import say
    from postroom.settings import settings

    known = Users(find_stack(settings()).access)
    for user in users:
        known.remove(user)
        say(f"{user} has no password any more")


def _require_known(users: list[str], current: Settings) -> None:
    from connectors.local_security import ADMIN

    names = {role.user for role in _roles(current)} | {ADMIN}
    for user in users:
        if user not in names:
            raise UserError(
                "there is no such user",
                where=user,
                why="no contract, agreement or part of Postroom has it",
                mend="`postroom access list` names them all",
            )


def _roles(current: Settings) -> list[Role]:
    from postroom.access import roles
    from postroom.composition import load_rules_files

    contracts, agreements = load_rules_files(current.contracts_dir, current.agreements_dir)
    return roles(contracts, agreements.values(), shared_directly=current.shared_directly)
