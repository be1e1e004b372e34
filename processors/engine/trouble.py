"""How the engine ends: at once, with one clear line, and without a byte of anybody's data (V6).

An engine that does not know what happened must not go on. Ownership, the outcome of the open transaction
and the position are all established again on restart, so stopping loses nothing and guessing might.
"""

from __future__ import annotations

import os
import threading
import traceback
from typing import NoReturn

from processors.engine.journal import say
from processors.engine.stops import note_stop

EXIT_STOPPED = 70
"""The exit code of a process that stopped itself; a supervisor restarts it."""
END_S_MAX = 25.0
"""How long an end in order may take: some transactions' time, and less than the half minute after which those
who run services kill."""


class EngineStop(Exception):  # noqa: N818 - it is not an error of the program but its decision to stop
    """The process must stop; the message is written by us and safe to print."""


class SenderGap(EngineStop):
    """A sender's running count jumped or repeated: something was lost or written twice (§7)."""


class ChangelogTruncated(EngineStop):
    """The beginning of a changelog was deleted: state cannot be rebuilt and must not be guessed."""


class OffsetsMoved(EngineStop):
    """The committed offsets of a group no longer agree with the state that was committed with them."""


class InputDeleted(EngineStop):
    """Records were deleted from an input topic before they were read."""


def stop_process(where: str, error: BaseException) -> NoReturn:
    """Print why and end the process with code 70, at once: no handler gets to write anything any more.

    Messages of foreign exceptions may quote data (a stage's ValueError may hold an identifier), so only our
    own and Kafka's are printed; of the others the type and the lines of code. Where an error has a cause,
    the lines are the cause's.
    """
    note_stop(type(error).__name__)
    shown = str(error) if _is_safe(error) else "message withheld, it may hold personal data"
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)[-4:]
    say(
        "stopped",
        "error",
        where=where,
        error=type(error).__name__,
        message=shown,
        lines=[f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames],
        exit_code=EXIT_STOPPED,
    )
    os._exit(EXIT_STOPPED)


def end_at_the_latest(seconds: float = END_S_MAX) -> None:
    """End with :func:`stop_process` if the process has not ended in order by then.

    A client library may wait for ever for what never comes; whoever said stop must not. Nothing is lost: it
    is the end of a killed worker, a moment before it would have been killed.
    """
    why = EngineStop(f"told to stop {seconds:.0f} s ago, and something still does not end")
    timer = threading.Timer(seconds, stop_process, ("end", why))
    timer.daemon = True
    timer.start()


def _is_safe(error: BaseException) -> bool:
    return isinstance(error, EngineStop) or type(error).__module__.startswith("aiokafka.")
