"""Small files that several processes share: written whole or not at all, changed under a lock."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectors.trouble import Unreachable

POLL_SECONDS = 0.1


def private_directory(path: Path) -> Path:
    """Make a directory that only this user may enter: what is inside is personal data.

    Those above it that are missing as well: `mkdir(parents=True)` gives them the mode of any directory, and
    whichever part came first would leave the state directory open to others.
    """
    for each in (*reversed(path.parents), path):
        if not each.is_dir():
            each.mkdir(mode=0o700, exist_ok=True)
    return path


@contextmanager
def locked(path: Path, waiting: Callable[[], None], timeout_seconds: float = 600) -> Iterator[None]:
    """Hold the file lock; `waiting` is called once when somebody else holds it.

    The kernel gives the lock back when its holder dies, so a crash leaves nothing to clean up.
    """
    private_directory(path.parent)
    with path.open("a") as handle:
        deadline = time.monotonic() + timeout_seconds
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Unreachable(
                        "another postroom holds the lock",
                        where=str(path),
                        why=f"for more than {timeout_seconds:.0f} s",
                        mend="wait for it to end, or end it",
                    ) from error
                if not told:
                    waiting()
                    told = True
                time.sleep(POLL_SECONDS)
        yield


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file in one step: a reader sees the old content or the new, never half."""
    private_directory(path.parent)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    half.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the file; an absent or broken file is an empty object."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write the object in one step."""
    write_whole(path, json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")
