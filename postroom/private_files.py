"""Secrets that a file of a connector names: each in a file that only we may read."""

from __future__ import annotations

from pathlib import Path

from connectors import Misused
from postroom.config import read_private
from postroom.errors import UserError


def read_secret(file: Path) -> bytes:
    """Read a secret's file; Misused, in a connector's words, when others may read it too."""
    try:
        return read_private(file, "a secret's file", "name it in the connector's own file")
    except UserError as error:
        raise misused(error) from error


def misused(error: UserError) -> Misused:
    """Say a user's error in a connector's words."""
    return Misused(error.what, where=error.where, why=error.why, mend=error.mend)
