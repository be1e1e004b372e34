"""Mapping files as commands use them: read from disk, under the contracts in force, with their keys."""

from __future__ import annotations

import hashlib
from pathlib import Path

from postroom.config import read_private
from postroom.errors import UserError
from producers.mapped import MappingWrong, RowMapping, read_mapping
from schemas import Contracts

MAPPING_BYTES_MAX = 1_048_576


def mapping_at(path: Path, contracts: Contracts) -> RowMapping:
    """The mapping in a file; UserError when it cannot be read, MappingWrong with all that is wrong in it."""
    return read_mapping(text_at(path), contracts, lambda name: _key(path.parent / Path(name).expanduser()))


def text_at(path: Path) -> str:
    """A mapping file's text; UserError."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAPPING_BYTES_MAX + 1)
        if len(content) > MAPPING_BYTES_MAX:
            raise UserError("that is no mapping file", where=str(path), why="it is longer than 1 MiB")
        return content.decode()
    except OSError as error:
        why = error.strerror or type(error).__name__
        mend = "docs/examples/files/carers/mapping.yaml is one"
        raise UserError("the mapping file cannot be read", where=str(path), why=why, mend=mend) from error
    except UnicodeDecodeError:
        raise UserError("the mapping file is not UTF-8", where=str(path)) from None


def unusable(path: Path, wrong: MappingWrong) -> UserError:
    """Say of a mapping that cannot be used all that is wrong with it."""
    why = "\n".join(map(str, wrong.faults))
    return UserError("the mapping is wrong", where=str(path), why=why, mend="`postroom files check`")


def digest_of(path: Path, rules: str) -> str:
    """What a file is judged by: the mapping's text, and the contracts' fingerprint."""
    return hashlib.sha256(f"{rules}\0{text_at(path)}".encode()).hexdigest()


def _key(path: Path) -> bytes:
    try:
        return read_private(
            path, "the key of a mapping's ids", "name it in `id.key_file`, beside the mapping"
        )
    except UserError as error:
        raise ValueError(": ".join(part for part in (error.what, error.why) if part)) from error
