"""Which sign-ins were used for what: a token may say one link, and say it again, and never another.

Kept on disk, so that neither a crash nor a restart lets a token be used twice. What it was used for is kept
as a keyed hash, and only as long as the token could be believed.
"""

from __future__ import annotations

import hmac
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

KEPT_S = 3600
"""Beyond a token's own end: clocks differ."""
_SCHEMA = """\
CREATE TABLE IF NOT EXISTS secret (secret BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS used (token BLOB PRIMARY KEY, what BLOB NOT NULL, until_s INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS used_until ON used (until_s);
"""


class UsedTokens:
    """One file in the state directory, of one process at a time."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        file.chmod(0o600)
        self._database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
        self._secret = self._own_secret()

    def _own_secret(self) -> bytes:
        with closing(self._database.execute("SELECT secret FROM secret")) as found:
            row = found.fetchone()
        if row is not None:
            return bytes(row[0])
        made = secrets.token_bytes(32)
        self._database.execute("INSERT INTO secret VALUES (?)", (made,))
        return made

    def use(self, sign_in: str, what: str, expires_s: int, now_s: float) -> bool:
        """Use a sign-in for something, for good; tell whether it was not used for anything else before.

        INVARIANT: it is on disk when this returns, so before the event is sent.
        """
        self._database.execute("DELETE FROM used WHERE until_s < ?", (int(now_s),))
        token, meant = self._hash("sign-in", sign_in), self._hash("what", what)
        self._database.execute(
            "INSERT OR IGNORE INTO used VALUES (?, ?, ?)", (token, meant, expires_s + KEPT_S)
        )
        with closing(self._database.execute("SELECT what FROM used WHERE token = ?", (token,))) as found:
            row = found.fetchone()
        return row is not None and hmac.compare_digest(bytes(row[0]), meant)

    def _hash(self, kind: str, text: str) -> bytes:
        return hmac.digest(self._secret, f"{kind}\0{text}".encode(), "sha256")

    def close(self) -> None:
        """End."""
        self._database.close()
