"""What of the disclosure log a person is told: a function of what was told before and the next entry (V5).

Two kinds of facts are told. *Shared*: under an agreement something reached a subscriber that had not reached
it before. *Consent changed*: what a person decided has taken something back. Everything else is kept quiet,
above all why a view of a protected or a dead person went.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

SHARED, CONSENT_CHANGED = "shared", "consent-changed"
KINDS = (SHARED, CONSENT_CHANGED)

BY_CONSENT = frozenset({"consent-withdrawn", "consent-paused"})
"""The denials that are a person's own decision (C6); an expiry is nobody's news."""


class NotAnEntry(ValueError):  # noqa: N818 - what it is
    """A record of the disclosure log that is none: nobody but a worker of ours writes there."""


class _Answer(msgspec.Struct):
    permit: str | None = None
    deny: str | None = None


class _Decision(msgspec.Struct):
    denied: str | None
    attributes: dict[str, _Answer] = {}


class _Cause(msgspec.Struct):
    hash: str


class Entry(msgspec.Struct):
    """As much of an entry as notices need: no cause, and no value, which is not in it."""

    agreement: str
    cause: _Cause
    decision: _Decision
    key: str
    kind: str
    person: str
    reason: str | None
    sequence: int
    subscriber: str
    time: str

    @property
    def shown(self) -> frozenset[str]:
        """The attributes that the subscriber may see from now on."""
        if self.kind != "view":
            return frozenset()
        return frozenset(name for name, each in self.decision.attributes.items() if each.permit is not None)

    @property
    def taken_by_consent(self) -> frozenset[str]:
        """The attributes that the person's own decision withholds."""
        answers = self.decision.attributes.items()
        return frozenset(name for name, each in answers if each.deny in BY_CONSENT)


class Notice(NamedTuple):
    """One message to one person; `reference` is the same whenever the same fact is read."""

    reference: str
    kind: str
    person: str
    agreement: str
    subscriber: str
    time: str


_decode = msgspec.json.Decoder(Entry).decode


def read_entry(value: bytes | None) -> Entry:
    """Read a record of the disclosure log; NotAnEntry."""
    try:
        return _decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotAnEntry from None


def notice_of(entry: Entry, shown_before: frozenset[str]) -> Notice | None:
    """Say what an entry is for its person, given what was shown under the agreement before it."""
    kind = _kind(entry, shown_before)
    if kind is None:
        return None
    return Notice(
        reference_of(kind, entry), kind, entry.person, entry.agreement, entry.subscriber, entry.time
    )


def _kind(entry: Entry, shown_before: frozenset[str]) -> str | None:
    if entry.decision.denied is None and shown_before & entry.taken_by_consent:
        return CONSENT_CHANGED
    return SHARED if entry.shown - shown_before else None


def reference_of(kind: str, entry: Entry) -> str:
    """Name a notice by its fact, so that GOV.UK Notify can be asked whether it has it.

    Of keyed hashes only (person, cause), for a reference "must not contain any personal information"
    (docs.notifications.service.gov.uk, "reference").
    """
    text = "\0".join((kind, entry.agreement, entry.person, entry.cause.hash, str(entry.sequence)))
    return "postroom-" + hashlib.sha256(text.encode()).hexdigest()[:40]
