"""A worker's name is one process's at a time: its local stores have one writer, as Kafka's fencing has it.

Two under one name share the partitions, and nothing is lost: a store is one partition's, and RocksDB lets one
process in. But a partition that goes from one to the other meets a store that is still open, and ends the
worker; and each writes the other's count of stops. So the second does not start.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from connectors.state_files import private_directory
from postroom.errors import UserError

_held: list[IO[str]] = []
"""Open while the process lives: the kernel gives a lock back when its holder ends, however it ends."""


def hold_name(workers: Path, name: str, stages: Iterable[str]) -> None:
    """Take the name for these stages until the process ends; UserError if another process has it.

    By stage, so that a process for each stage may go by one name.
    """
    place = workers / name
    for stage in stages:
        try:
            handle = (private_directory(place) / f"{stage}.lock").open("a")
            _held.append(handle)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"another worker runs {stage} under the name {name}",
                where=str(place),
                why="a name has one local store for each partition, which one process at a time may open",
                mend="give this one a name of its own with --instance, or end the other first",
            ) from error
        except OSError as error:
            raise UserError(
                "the state directory takes no file of this worker's",
                where=str(place),
                why=error.strerror or str(error),
                mend="make room there or let this user write; POSTROOM_STATE names another",
            ) from error
