"""What left the backbone, in order, and the promises that every record of it must keep (I6, V1-V5)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from processors.citizen_state import RecordState, decode_record
from processors.messages import DISCLOSURES_TOPIC, DISPUTES_TOPIC
from processors.rules import Rules
from processors.stage import Outgoing
from schemas import ViewCodec, unframe

View = dict[str, Any]


class Broken(AssertionError):  # noqa: N818 -- a promise is broken, not in error
    """A promise was broken on the way."""


@dataclass(frozen=True)
class Emission:
    """One value that a view record held: what, when, and how much identity had heard by then."""

    agreement: str
    key: str
    attribute: str
    value: Any
    heard: int
    now_ms: int
    rules: Rules
    identifiers: frozenset[str]


@dataclass
class Held:
    """What a subscriber has under one key by the records it received, and where the values came from."""

    record: int = 0
    sequence: int = 0
    view: View = field(default_factory=dict)
    person: str = ""
    sources: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Lost:
    """A delivered value that a later record took away; ``disclosure`` says by which decision."""

    agreement: str
    key: str
    attribute: str
    at: int
    shown: int
    record: int
    sources: frozenset[str]
    disclosure: dict[str, Any]
    whole: bool
    """Whether all of the person was present, and nobody had just left, when the record decided."""

    def corrected(self) -> bool:
        """Whether the value itself had ended: permitted still, by a decision on the whole person."""
        return self.whole and not self.denied()

    def shown_under(self) -> tuple[str, str]:
        """Under which key, and of which person, it was shown."""
        return self.key, self.disclosure["person"]

    def denied(self) -> bool:
        """Whether that decision no longer permitted the value."""
        answers = self.disclosure["decision"].get("attributes", {})
        return "permit" not in answers.get(self.attribute, {})

    def ended(self) -> bool:
        """Whether the whole view ceased, and not because a key changed or an identifier left (V2)."""
        return self.disclosure["reason"] == "ended"


@dataclass
class Ledger:
    """Takes what a step wrote, checks it, and remembers it."""

    held: dict[tuple[str, str], Held] = field(default_factory=dict)
    emissions: list[Emission] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    obligations: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    disputes: dict[str, list[str]] = field(default_factory=dict)
    taken_over: dict[tuple[str, str], int] = field(default_factory=dict)
    """By (agreement, key): the last record whose view took the key's place, and answers for its values."""
    shown: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """By (agreement, key or person, attribute): the last record that showed it, and answers for it."""
    steps: int = 0
    records: int = 0
    _codecs: dict[tuple[int, str], ViewCodec] = field(default_factory=dict)

    def take(
        self,
        outgoing: Sequence[Outgoing],
        rules: Rules,
        when: tuple[int, int],
        states: Mapping[bytes, bytes],
        departing: bool,
    ) -> None:
        """Check and keep what one step wrote.

        ``when`` is how much identity had heard, and the moment; ``states`` are the task's after the step, and
        ``departing`` says that it decided between messages too, on states that nobody saw.
        """
        self.steps += 1
        views = [out for out in outgoing if out.topic.startswith("view.")]
        log = [json.loads(out.value or b"") for out in outgoing if out.topic == DISCLOSURES_TOPIC]
        if len(views) != len(log):
            raise Broken(f"V5: {len(views)} view records, {len(log)} disclosures")
        for out, entry in zip(views, log, strict=True):
            record = decode_record(states[entry["person"].encode()])
            self._view(out, entry, rules, when, record, departing)
        for out in outgoing:
            if out.topic == DISPUTES_TOPIC:
                self._dispute(out)
            elif out.topic.startswith("obligations."):
                self.obligations.append((self.steps, json.loads(out.value or b"")))

    def _dispute(self, out: Outgoing) -> None:
        if out.value is not None:
            self.disputes[out.key.decode()] = list(msgspec.msgpack.decode(out.value))
        elif self.disputes.pop(out.key.decode(), None) is None:
            raise Broken(f"I3: a dispute was settled that was not open: {out.key!r}")

    def _view(
        self,
        out: Outgoing,
        entry: dict[str, Any],
        rules: Rules,
        when: tuple[int, int],
        record: RecordState,
        departing: bool,
    ) -> None:
        self.records += 1
        agreement, key = out.topic.removeprefix("view."), out.key.decode()
        sequence = int(dict(out.headers)["postroom_sequence"])
        held = self.held.setdefault((agreement, key), Held())
        where = f"{agreement} {key} #{sequence}"
        if (entry["agreement"], entry["key"], entry["sequence"]) != (agreement, key, sequence):
            raise Broken(f"V5: the disclosure of {where} is of another record")
        if sequence != held.sequence + 1:
            raise Broken(f"V3: {where} follows #{held.sequence}")
        if held.view and held.person != entry["person"]:
            raise Broken(f"V2: {where}: a second record writes the key before the first retracted")
        view = self._read(out, agreement, rules)
        if view == held.view:
            raise Broken(f"V1: {where} changes nothing")
        if out.value is not None and not view:
            raise Broken(f"C7: {where} is a view without a value")
        last = record.sequences.get(f"{agreement}\0{key}") == sequence
        if last and not departing:
            _check_half_said(held.view, view, record, where)
        sources = _sources(record, agreement, key) if last and view else {}
        self._lose(held, view, (agreement, key), entry, last and not departing and _is_whole(record))
        near = frozenset(record.fragments) | ({key} if ":" in key else set())
        near |= {i for sent in record.sent.values() for of in sent.sources.values() for i in of}
        self.emissions += [Emission(agreement, key, name, view[name], *when, rules, near) for name in view]
        for name, value in out.headers:
            if name == "postroom_supersedes":
                self.taken_over[agreement, value.decode()] = self.records
        for name in view:
            self.shown[agreement, key, name] = self.shown[agreement, entry["person"], name] = self.records
        self.held[agreement, key] = Held(self.records, sequence, view, entry["person"], sources)

    def _lose(
        self,
        held: Held,
        view: View,
        place: tuple[str, str],
        entry: dict[str, Any],
        whole: bool,
    ) -> None:
        for attribute in held.view.keys() - view.keys():
            origin = held.sources.get(attribute, frozenset())
            self.lost.append(
                Lost(*place, attribute, self.steps, held.record, self.records, origin, entry, whole)
            )

    def _read(self, out: Outgoing, agreement: str, rules: Rules) -> View:
        """What is not null of a view; nothing of a tombstone."""
        if out.value is None:
            return {}
        name = (id(rules), agreement)
        if name not in self._codecs:
            self._codecs[name] = ViewCodec(rules.agreements[agreement], rules.contracts)
        view = self._codecs[name].decode(unframe(out.value)[1])
        return {attribute: value for attribute, value in view.items() if value is not None}

    def views(self, rules: Rules) -> dict[str, dict[str, Any]]:
        """The latest view under each key, as `replay` gives them; also one of an agreement that is gone."""
        found: dict[str, dict[str, Any]] = {name: {} for name in sorted(rules.agreements)}
        for (name, key), held in sorted(self.held.items()):
            if held.view:
                granted = (
                    [g.attribute for g in rules.agreements[name].attributes]
                    if name in rules.agreements
                    else []
                )
                found.setdefault(name, {})[key] = dict.fromkeys(granted) | held.view
        return found

    def goes_on(self, lost: Lost) -> bool:
        """Whether a later view answers for the value: of its key, its person, or in the key's place."""
        shown = (self.shown.get((lost.agreement, at, lost.attribute), -1) for at in lost.shown_under())
        taken_over = self.taken_over.get((lost.agreement, lost.key), -1)
        return taken_over > lost.shown or max(shown) > lost.record

    def owed_at(self, lost: Lost) -> list[int]:
        """The steps, from the loss on, in which the deletion of the value was asked for (V4)."""
        return [
            at
            for at, owed in self.obligations
            if at >= lost.at
            and (owed["agreement"], owed["key"]) == (lost.agreement, lost.key)
            and lost.attribute in owed["fields"]
        ]


def _check_half_said(before: View, view: View, record: RecordState, where: str) -> None:
    """On half of what was said no view begins, and none gains or changes a value (I6)."""
    if _is_whole(record):
        return
    if view and not before:
        raise Broken(f"I6: {where} begins while the record is incomplete")
    if any(before.get(name) != value for name, value in view.items()):
        raise Broken(f"I6: {where} grants while the record is incomplete")


def _is_whole(record: RecordState) -> bool:
    present = tuple(sorted(record.fragments))
    return all(fragment.members == present for fragment in record.fragments.values())


def _sources(record: RecordState, agreement: str, key: str) -> dict[str, frozenset[str]]:
    sent = record.sent.get(agreement)
    return {} if sent is None or sent.key != key else {n: frozenset(s) for n, s in sent.sources.items()}
