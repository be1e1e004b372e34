"""Whether this process holds the installation's secret, asked before it derives keys (C8, adr/0066).

A worker records it at the very first start; everybody else only compares. Any doubt is a refusal.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator

from connectors import Stack, Trouble, Unreachable
from connectors.kafka_once import read_once, write_once
from connectors.kafka_reader import TopicReader
from postroom.config import Settings
from postroom.errors import UserError
from postroom.topics import changelog
from processors import INSTALLATION_TOPIC, Keys
from processors.engine import EngineStop
from processors.engine.changelog import TASK_KEY, body_of
from processors.engine.journal import say
from processors.engine.settings import Discover
from processors.engine.trouble import stop_process
from processors.installation import (
    SALT_BYTES,
    SECRET_KEY,
    Recorded,
    Unreadable,
    Witness,
    ask_states,
    decode_record,
    encode_record,
    is_its_secret,
    record_of,
)

LOOK_EVERY_S = 60.0
RUNBOOK = "docs/runbooks/PostroomKeysDiffer.md"


class SecretDiffers(EngineStop):
    """The installation's record is no longer that of this worker's secret."""


def recorded(stack: Stack) -> Recorded | None:
    """Return the installation's record, None if no worker has written one; UserError if it is unreadable."""
    value = read_once(stack.access, INSTALLATION_TOPIC, SECRET_KEY, patience_s=0)
    return None if value is None else _decoded(stack, value)


def claim(settings: Settings, stack: Stack, keys: Keys) -> Recorded:
    """Return the installation's record if it is of this secret, written now if there was none.

    UserError otherwise. Where there is state but no record, because an earlier version wrote none or somebody
    deleted it, the state must have been made by this secret.
    """

    def first() -> bytes:
        if ask_states(keys, _states(stack)) is Witness.AGAINST:
            raise _refusal(settings, stack, "most of its persons are named by another one (I4)")
        return encode_record(record_of(keys, secrets.token_bytes(SALT_BYTES)))

    record = _decoded(stack, write_once(stack.access, INSTALLATION_TOPIC, SECRET_KEY, first))
    _compare(settings, stack, keys, record)
    return record


def require_its_secret(settings: Settings, stack: Stack, keys: Keys) -> None:
    """Refuse to derive keys from another secret than the installation's, for who reads and never records."""
    value = read_once(stack.access, INSTALLATION_TOPIC, SECRET_KEY)
    if value is None:
        raise UserError(
            "no worker has recorded the installation's secret yet",
            where=f"{INSTALLATION_TOPIC}; {stack.kafka}",
            why="an answer by another secret would be about other persons",
            mend="`postroom run all`, which records it",
        )
    _compare(settings, stack, keys, _decoded(stack, value))


def looked_after(
    stack: Stack, record: Recorded, discover: Callable[[str], Discover]
) -> Callable[[str], Discover]:
    """Look again now and then at the record while stages ask for newer rules, and end when it has changed."""
    watch = _Watch(stack, record)

    def of(name: str) -> Discover:
        topics = discover(name)

        async def look_first() -> frozenset[str]:
            await watch.look()
            return await topics()

        return look_first

    return of


class _Watch:
    """The record as it was at the start, compared with the topic once a minute."""

    def __init__(self, stack: Stack, record: Recorded) -> None:
        self._stack, self._record = stack, record
        self._next_s = time.monotonic() + LOOK_EVERY_S

    async def look(self) -> None:
        """Compare, at most once a minute; what is unreachable for a moment is asked again."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + LOOK_EVERY_S
        try:
            found = await asyncio.to_thread(recorded, self._stack)
        except Unreachable as trouble:
            say("secret-unread", "warning", what=trouble.what, where=trouble.where, why=trouble.why)
            return
        except (UserError, Trouble) as error:
            stop_process("secret", SecretDiffers(f"the record of its secret cannot be read: {error}"))
        if found != self._record:
            why = "is gone" if found is None else f"says {found.short} and no longer {self._record.short}"
            stop_process("secret", SecretDiffers(f"the record of its secret {why}: {RUNBOOK}"))


def _compare(settings: Settings, stack: Stack, keys: Keys, record: Recorded) -> None:
    if not is_its_secret(keys, record):
        own = record_of(keys, bytes.fromhex(record.salt))
        why = f"its fingerprint is {own.short}, and the installation's is {record.short}"
        raise _refusal(settings, stack, why)


def _refusal(settings: Settings, stack: Stack, why: str) -> UserError:
    """Say whose secret is another; of the secret itself nothing but where it came from."""
    return UserError(
        "this is not the installation's secret",
        where=f"{settings.secret_source}; {stack.kafka}",
        why=f"{why}: every citizen would be another person, and no view could be taken back (C8)",
        mend=f"POSTROOM_SECRET_FILE with the file that the other workers have; {RUNBOOK}",
    )


def _decoded(stack: Stack, value: bytes) -> Recorded:
    try:
        return decode_record(value)
    except Unreadable as error:
        raise UserError(
            "the record of the installation's secret cannot be read",
            where=f"{INSTALLATION_TOPIC}; {stack.kafka}",
            why=str(error),
            mend=f"the version of Postroom that wrote it; {RUNBOOK}",
        ) from error


def _states(stack: Stack) -> Iterator[bytes]:
    """Identity's states as its changelog has them, deletions and the tasks' own memory left out."""
    for found in TopicReader(stack.access).read([changelog("identity")]):
        if found.value is not None and found.key != TASK_KEY:
            yield body_of(found.value)
