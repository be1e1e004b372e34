"""A small SQLite file of one installation, which only its user may read."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Literal

BUSY_S = 15.0
"""How long an operator's command and the process beside it wait for each other."""


def open_private_database(
    path: Path, synchronous: Literal["NORMAL", "FULL"], schema: str
) -> sqlite3.Connection:
    """Open it, made if need be, each statement its own transaction; OSError, sqlite3.Error.

    After a crash of the machine what is committed `FULL` is there; `NORMAL` may lose the last moments.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA synchronous = {synchronous}")
    # What was deleted is not left in free pages: it was about somebody.
    database.execute("PRAGMA secure_delete = ON")
    database.executescript(schema)
    return database
