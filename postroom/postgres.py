"""Where the database is that the outbox or the sink uses: one setting, whose value is shown nowhere."""

from __future__ import annotations

from connectors.postgres.line import Database, holds_password
from postroom.config import Settings
from postroom.errors import UserError


def database_for(settings: Settings, purpose: str) -> Database:
    """The database of POSTROOM_POSTGRES; UserError when it is not set, or its password stands in the file."""
    value = settings.values["postgres"]
    if value.value is None:
        raise UserError(
            "it is not said which PostgreSQL is meant",
            where="POSTROOM_POSTGRES",
            mend="set it to postgresql://user@host/database; the password belongs into a .pgpass file",
        )
    if value.source.startswith("file") and holds_password(value.value):
        raise UserError(
            "a password does not belong into a file that others may read",
            where=value.source,
            mend="leave it out of `postgres`, and put it into a .pgpass file or POSTROOM_POSTGRES",
        )
    return Database(value.value, purpose)
