"""What leaves the backbone: view records, retractions, obligations, and the log that proves each (V1-V5)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal

import msgspec

from processors.citizen_state import RecordState, Sent
from processors.decision import Decision
from processors.disclosure_log import Entry, LoggedCause, encode_entry, reasons
from processors.messages import DISCLOSURES_TOPIC, OBLIGATIONS_TOPIC, Cause, Owed, encode
from processors.outcomes import Retraction
from processors.rules import Rules, keyed, keyed_hex
from processors.stage import Headers, Latency, Outcome, Outgoing, Step, Trace
from schemas import Agreement, ViewCodec, format_instant, frame, parse_duration

SOURCE = b"urn:gov:postroom:record"
VIEW_UPDATED = b"uk.gov.postroom.view-updated.v1"
VIEW_RETRACTED = b"uk.gov.postroom.view-retracted.v1"
CONTENT_TYPE = ("content-type", b"application/avro")
OBLIGATION = b"uk.gov.postroom.deletion-due.v1"
TIME_PASSED = Cause()
"""What causes a change that no event does (V8, V9)."""

ORPHAN_DELETE_WITHIN = parse_duration("P1D")
"""How long to delete what an agreement that no longer exists had shared."""

_moment = lru_cache(maxsize=64)(format_instant)
"""A step writes the same moment into all that it discloses."""

_encode_json = msgspec.json.Encoder(order="sorted").encode


def view_topic(agreement: str) -> str:
    """Name an agreement's topic (V1)."""
    return f"view.{agreement}"


def obligations_topic(subscriber: str) -> str:
    """Name a subscriber's topic of obligations (V4)."""
    return f"obligations.{subscriber}"


class Discloser:
    """Writes what one person's record discloses during one step; every write counts up its key's sequence.

    :attr:`cause` is the event that what is written next is owed to, :attr:`protected_since_ms` when the
    broker had the one that protects (V7), and :attr:`moment_ms` the moment that has passed, if one has (V8).
    """

    def __init__(
        self, rules: Rules, codecs: Mapping[str, ViewCodec], state: RecordState, step: Step, now_ms: int
    ) -> None:
        self.rules, self.codecs, self.state, self.step, self.now_ms = rules, codecs, state, step, now_ms
        self.cause = TIME_PASSED
        self.protected_since_ms = 0
        self.moment_ms: int | None = None

    def caused_by(self, cause: Cause, protected_since_ms: int = 0) -> None:
        """Name the event to which what is written next is owed."""
        self.cause, self.protected_since_ms = cause, protected_since_ms

    def update(self, agreement: Agreement, sent: Sent, decision: Decision, supersedes: Iterable[str]) -> None:
        """Write a view whose content changed, and its disclosure."""
        name = agreement.agreement
        sequence = self.state.next_sequence(name, sent.key)
        value = frame(self.rules.view_schema_ids.get(name, 0), self.codecs[name].encode_json(sent.content))
        opaque = self._opaque_cause(name, sent.key, sequence)
        headers = self._headers(
            VIEW_UPDATED,
            name,
            agreement.version,
            sent.key,
            sequence,
            opaque,
            CONTENT_TYPE,
            *[("postroom_supersedes", key.encode()) for key in supersedes],
        )
        self.step.outgoing.append(Outgoing(view_topic(name), sent.key.encode(), value, headers))
        self._log("view", name, agreement.version, sent, sequence, opaque, decision, None, value)
        self.step.outcomes.append(Outcome(name, "view"))
        if self.cause.published_ms:
            self.step.latencies.append(Latency("end_to_end", self.cause.published_ms))
        self._trace("view", name)
        self._time_passed()

    def retract(
        self,
        name: str,
        agreement: Agreement | None,
        sent: Sent,
        decision: Decision | None,
        reason: Retraction,
    ) -> None:
        """Write the tombstone of a view that ceased or changed its key: never why, and no successor (V2)."""
        sequence = self.state.next_sequence(name, sent.key)
        version = agreement.version if agreement is not None else sent.version
        why = ("postroom_reason", reason.value.encode())
        opaque = self._opaque_cause(name, sent.key, sequence)
        headers = self._headers(VIEW_RETRACTED, name, version, sent.key, sequence, opaque, why)
        self.step.outgoing.append(Outgoing(view_topic(name), sent.key.encode(), None, headers))
        self._log("retraction", name, version, sent, sequence, opaque, decision, reason, None)
        self.step.outcomes.append(Outcome(name, "retraction", reason.value))
        if self.protected_since_ms:
            self.step.latencies.append(Latency("withdrawal_to_retraction", self.protected_since_ms))
        self._trace("retraction", name)
        self._time_passed()

    def oblige(
        self,
        name: str,
        agreement: Agreement | None,
        subscriber: str,
        key: str,
        attributes: Iterable[str],
    ) -> None:
        """Owe the deletion of values that a subscriber holds and may no longer (V4)."""
        fields = sorted(attributes)
        if not fields:
            return
        sequence = self.state.sequences.get(f"{name}\0{key}", 0)
        within = agreement.delete_within if agreement is not None else ORPHAN_DELETE_WITHIN
        text = f"{name}|{key}|{sequence}|{','.join(fields)}"
        obligation_id = "o-" + keyed_hex(self.rules.keys.commitment, text)
        deadline_ms = within.after(self.now_ms)
        obligation = {
            "obligation": obligation_id,
            "agreement": name,
            "key": key,
            "fields": fields,
            "sequence": sequence,
            "since": format_instant(self.now_ms),
            "deadline": format_instant(deadline_ms),
        }
        headers = (("ce_type", OBLIGATION), ("content-type", b"application/json"))
        topic = obligations_topic(subscriber)
        self.step.outgoing.append(Outgoing(topic, key.encode(), _encode_json(obligation), headers))
        owed = Owed(obligation_id, subscriber, name, key, tuple(fields), self.now_ms, deadline_ms)
        self.step.outgoing.append(Outgoing(OBLIGATIONS_TOPIC, obligation_id.encode(), encode(owed)))
        self.step.outcomes.append(Outcome(name, "obligation"))

    def _trace(self, what: Literal["view", "retraction"], name: str) -> None:
        if self.cause.traceparent:
            self.step.traces.append(Trace(self.cause.traceparent, what, name, self.cause.published_ms))

    def _time_passed(self) -> None:
        """Measure what time alone has changed from the moment that changed it (V8)."""
        if self.moment_ms is not None and self.cause == TIME_PASSED:
            self.step.latencies.append(Latency("moment_to_view", self.moment_ms))

    def _headers(
        self,
        ce_type: bytes,
        name: str,
        version: int,
        key: str,
        sequence: int,
        opaque: str,
        *more: tuple[str, bytes],
    ) -> Headers:
        """The headers of every view record (V3), then those that only this one has."""
        agreement, subject, count = f"{name}@{version}".encode(), key.encode(), b"%d" % sequence
        traceparent = self.cause.traceparent
        trace = (("traceparent", traceparent.encode()),) if traceparent else ()
        return (
            ("ce_specversion", b"1.0"),
            ("ce_id", b"%s/%s/%s" % (agreement, subject, count)),
            ("ce_source", SOURCE),
            ("ce_type", ce_type),
            ("ce_time", _moment(self.now_ms).encode()),
            ("ce_subject", subject),
            ("postroom_sequence", count),
            ("postroom_agreement", agreement),
            ("postroom_cause", opaque.encode()),
            *trace,
            *more,
        )

    def _opaque_cause(self, name: str, key: str, sequence: int) -> str:
        """The keyed hash of the cause, which only the disclosure log resolves (V3)."""
        # INVARIANT: another one in every record. Where one event changes two views, whoever holds both would
        # see by an equal hash that they are one person's (C8), or where a key's person went (V2).
        text = f"{name}\0{key}\0{sequence}\0{self.cause.source}\0{self.cause.id}"
        return keyed_hex(self.rules.keys.cause, text)

    def _log(
        self,
        kind: str,
        name: str,
        version: int,
        sent: Sent,
        sequence: int,
        opaque: str,
        decision: Decision | None,
        reason: Retraction | None,
        value: bytes | None,
    ) -> None:
        """Append one entry to the disclosure log: who saw which fields, why, and a salted commitment (V5)."""
        salt = keyed(self.rules.keys.commitment, f"{name}|{sent.key}|{sequence}")
        cause = self.cause
        entry = Entry(
            agreement=name,
            cause=LoggedCause(opaque, cause.id, cause.source),
            commitment=hashlib.sha256(salt + (value or b"")).hexdigest(),
            decision=reasons(decision),
            fields=sorted(sent.content),
            key=sent.key,
            kind=kind,
            person=self.state.person,
            reason=None if reason is None else reason.value,
            sequence=sequence,
            subscriber=sent.subscriber,
            time=_moment(self.now_ms),
            version=version,
        )
        self.step.outgoing.append(
            Outgoing(DISCLOSURES_TOPIC, self.state.person.encode(), encode_entry(entry))
        )
