"""Which secret an installation's persons and keys are made of: its record, and the judgement (C8).

Another secret makes another person of every citizen and another key of every view, which nobody could ever
be told to delete. So whoever derives keys asks here first, and is refused on anything but a clear yes.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from enum import Enum
from itertools import islice

import msgspec

from processors.fragment import decode_state
from processors.rules import Keys

INSTALLATION_TOPIC = "postroom.installation"
SECRET_KEY = b"secret"
"""The record's key on the topic; there is one record."""
SCHEME = "pbkdf2-hmac-sha256-600000"
"""How the fingerprint is made; a record that says another is of a later version, and is not guessed at."""
SALT_BYTES = 16
WITNESSES_MAX = 64
"""So many states are asked by which secret they were made, where nothing is recorded yet."""


class Unreadable(ValueError):  # noqa: N818 - what the record is
    """The record is none that this version can judge by."""


class Recorded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The installation's record: a salt that is no secret, and the fingerprint made with it, both in hex."""

    scheme: str
    salt: str
    fingerprint: str

    @property
    def short(self) -> str:
        """As much of the fingerprint as people and metrics need to tell two apart."""
        return self.fingerprint[:8]


class Witness(Enum):
    """What the states of an installation without a record say of a secret."""

    NONE = "there is no state"
    FOR = "most states were made by it"
    AGAINST = "most states were made by another"


def record_of(keys: Keys, salt: bytes) -> Recorded:
    """Return the record of a secret, under a salt that is new for each installation."""
    return Recorded(SCHEME, salt.hex(), keys.fingerprint(salt))


def encode_record(record: Recorded) -> bytes:
    """Return it as JSON, which an operator can read."""
    return msgspec.json.encode(record)


def decode_record(value: bytes) -> Recorded:
    """Return what was recorded; Unreadable says nothing of its content."""
    try:
        found = msgspec.json.decode(value, type=Recorded)
        bytes.fromhex(found.salt)
        bytes.fromhex(found.fingerprint)
    except ValueError as error:
        raise Unreadable("it is not as any version writes it") from error
    if found.scheme != SCHEME or not found.salt or not found.fingerprint:
        raise Unreadable("it is made in a way that this version does not know")
    return found


def shown_record(value: bytes) -> str:
    """Return what a person is shown of a record: its short fingerprint, or that it is unreadable."""
    try:
        return decode_record(value).short
    except Unreadable:
        return "unreadable"


def is_its_secret(keys: Keys, record: Recorded) -> bool:
    """Whether these keys are made of the installation's secret."""
    # INVARIANT: the whole fingerprint, not the short one that is shown: 32 bits may be the same by chance.
    return hmac.compare_digest(keys.fingerprint(bytes.fromhex(record.salt)), record.fingerprint)


def ask_states(keys: Keys, bodies: Iterable[bytes]) -> Witness:
    """Ask identity's states, which an installation without a record has, who named their persons (I4).

    A person is named by one of its members, so a secret that made the state gives its person id for one of
    them. Most decide, not all: an incident may have left some of another's.
    """
    answers = [_named_by(keys, body) for body in islice(bodies, WITNESSES_MAX)]
    if not answers:
        return Witness.NONE
    return Witness.FOR if 2 * sum(answers) > len(answers) else Witness.AGAINST


def _named_by(keys: Keys, body: bytes) -> bool:
    state = decode_state(body)
    return any(keys.person_id(member) == state.person for member in state.members)
