"""The line to a PostgreSQL server: how it is protected, and what its errors mean to a person.

A server's message may quote a value of the row that it is about, so of an error only its kind leaves this
file; and the connection string, which may hold a password, never does.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from connectors.kafka_access import is_loopback
from connectors.trouble import Misused, Trouble, Unreachable

CONNECT_S = 10
SILENT_S = 30
"""How long a server may not answer the network before the line is given up."""
LOCKED_MS = 20_000
CUT_S, CUTS_MAX = 1.0, 3
"""How long a statement may go on when all is to end, and how often the server is asked to give it up."""
SESSION = (
    "-c datestyle=ISO -c timezone=UTC -c extra_float_digits=1 -c standard_conforming_strings=on "
    f"-c lock_timeout={LOCKED_MS} -c idle_in_transaction_session_timeout=60000"
)
MENDED_BY_DDL = (
    errors.UndefinedTable,
    errors.InvalidSchemaName,
    errors.UndefinedFunction,
    errors.UndefinedObject,
)


class Database:
    """Where a database is and how to reach it; `setting` is what a person must change. Shows no secret."""

    def __init__(self, conninfo: str, purpose: str, setting: str = "POSTROOM_POSTGRES") -> None:
        self._parameters = _parameters(conninfo, setting)
        self._setting = setting
        self._parameters["application_name"] = f"postroom-{purpose}"
        host = str(self._parameters.get("host") or "the local socket")
        name = str(self._parameters.get("dbname") or self._parameters.get("user") or "")
        self.where = f"PostgreSQL at {host}:{self._parameters.get('port') or 5432}/{name}"

    def __repr__(self) -> str:
        return f"Database({self.where})"

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Hold a connection in autocommit; its errors leave as `Trouble`."""
        parameters = self._parameters
        with (
            self.asked(),
            psycopg.connect(**parameters, autocommit=True, prepare_threshold=None) as connection,
        ):
            yield connection

    def answers(self) -> bool:
        """Whether it lets us in now."""
        try:
            with self.connection():
                return True
        except Trouble:
            return False

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Translate what the server did to us."""
        try:
            yield
        except psycopg.Error as error:
            raise in_our_words(error, self.where, self._setting) from None


class Stopped(Exception):  # noqa: N818 - it has stopped
    """Told to end before it was done: whatever was not committed did not happen."""


@contextmanager
def cut_short(connection: psycopg.Connection[Any], stop: threading.Event) -> Iterator[None]:
    """Once told to stop let no statement hold up the end: the server is asked to give it up, and when it does
    not answer the line is cut. Either way it rolls back. Stopped.
    """
    over = threading.Event()
    cutter = threading.Thread(target=_cut, args=(connection, stop, over), daemon=True)
    cutter.start()
    try:
        yield
    except psycopg.OperationalError:
        if stop.is_set():
            raise Stopped from None
        raise
    finally:
        over.set()
        cutter.join()


def _cut(connection: psycopg.Connection[Any], stop: threading.Event, over: threading.Event) -> None:
    cuts = 0
    while not over.wait(CUT_S):
        if not stop.is_set():
            continue
        cuts += 1
        with suppress(psycopg.Error, OSError):  # it has ended meanwhile, or nobody answers
            if cuts <= CUTS_MAX:
                connection.cancel_safe(timeout=CUT_S)
            else:
                # Its own descriptor, so that whoever waits for an answer wakes and closes the line itself.
                with closing(socket.socket(fileno=os.dup(connection.fileno()))) as line:
                    line.shutdown(socket.SHUT_RDWR)


def _parameters(conninfo: str, setting: str) -> dict[str, Any]:
    """Everything that libpq is told. Beyond this machine the server must prove its name, unless somebody has
    written that it need not (`sslmode`).
    """
    try:
        given: dict[str, Any] = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:  # its message may quote the string, and so the password
        raise Misused(
            "the connection string of PostgreSQL cannot be read",
            where=setting,
            mend="postgresql://user@host/database, or host=… user=… dbname=…; the password in a .pgpass file",
        ) from None
    ours: dict[str, Any] = {
        "connect_timeout": CONNECT_S,
        "keepalives": 1,
        "keepalives_idle": SILENT_S // 3,
        "keepalives_interval": SILENT_S // 6,
        "keepalives_count": 4,
        "tcp_user_timeout": SILENT_S * 1000,
        "client_encoding": "UTF8",
    }
    if not _is_here(given):
        ours["sslmode"] = "verify-full"
        if "sslrootcert" not in given:
            ours["sslrootcert"] = "system"
    given["options"] = f"{given.get('options') or ''} {SESSION}".strip()
    return ours | given


def holds_password(conninfo: str) -> bool:
    """Whether there is a secret in a connection string; one that cannot be read is said to hold one."""
    try:
        return bool(conninfo_to_dict(conninfo).get("password"))
    except psycopg.ProgrammingError:
        return True


def _is_here(given: dict[str, Any]) -> bool:
    """Whether it can only be this machine, or somebody has said how the line is protected."""
    hosts = str(given.get("hostaddr") or given.get("host") or "").split(",")
    return "sslmode" in given or all(
        not host or host.startswith(("/", "@")) or is_loopback(f"{host}:0") for host in hosts
    )


def in_our_words(error: psycopg.Error, where: str, setting: str = "POSTROOM_POSTGRES") -> Trouble:
    """Say what an error is, never the value that it is about."""
    kind = type(error).__name__ + (f" ({error.sqlstate})" if error.sqlstate else "")
    if isinstance(error, errors.InsufficientPrivilege):
        return Misused(
            "PostgreSQL does not allow this user to do that",
            where=where,
            why=kind,
            mend="grant the user a role that the `ddl` commands make: postroom_sink for `sink run`, "
            "postroom_outbox_relay for `outbox run`",
        )
    if isinstance(error, MENDED_BY_DDL):
        return Misused(
            "what Postroom needs in this database is not there",
            where=where,
            why=kind,
            mend="run what `postroom outbox ddl` or `postroom sink ddl` prints, as the database's owner",
        )
    if isinstance(error, errors.UndefinedColumn):
        # Columns are looked at before they are named, so somebody has just changed the table: look again.
        mend = "the `ddl` command prints what the table must be"
        return Unreachable("a table has changed meanwhile", where=where, why=kind, mend=mend)
    if isinstance(error, errors.InvalidPassword | errors.InvalidAuthorizationSpecification):
        return Misused("PostgreSQL does not let this user in", where=where, why=kind, mend=f"check {setting}")
    if _is_refused(error):
        return Misused("PostgreSQL does not let this user in", where=where, why=kind, mend=f"check {setting}")
    if isinstance(error, psycopg.OperationalError | errors.ReadOnlySqlTransaction | psycopg.InterfaceError):
        # Before there is a session no statement has failed, so what libpq says holds nobody's data.
        why = kind if error.sqlstate else " ".join(str(error).split())[:300] or kind
        return Unreachable("PostgreSQL is unreachable", where=where, why=why, mend=f"check {setting}")
    return Trouble("PostgreSQL did not do what was asked", where=where, why=kind)


def _is_refused(error: psycopg.Error) -> bool:
    """Whether a server wanted a password that it did not get, or not this one. What libpq says of a line that
    was never made has no code: in another language than English the second looks as if nobody were there.
    """
    line = error.pgconn
    if error.sqlstate or line is None:
        return False
    return bool(line.needs_password) or (line.used_password and "authentication failed" in str(error))
