"""C1 to C8: what may be shared of a person under an agreement, and under which key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.model import times
from tests.model.contracts import Agreement, Attribute, Rules
from tests.model.identifiers import scheme_of
from tests.model.identity import Identity, Note, i4_anchor, note_if
from tests.model.intake import Event
from tests.model.record import Assertion

PROTECTIVE = {  # of statements at equal times the protective state wins
    "GRANTED": 0,
    "PAUSED": 1,
    "WITHDRAWN": 2,
    "LIFTED": 0,
    "OBJECTED": 1,
    "RESTRICTED": 1,
    "ENROLLED": 0,
    "ENDED": 1,
}
Golden = dict[str, dict[str | None, Assertion]]


@dataclass(frozen=True)
class Person:
    """A person and all that bears on a decision about them."""

    members: frozenset[str]
    identity: Identity
    golden: Golden
    said: tuple[Event, ...]  # events of §5's kinds about any member
    restricted: bool


@dataclass(frozen=True)
class Decision:
    """C6: `reason` denies the whole view; otherwise every attribute has its own, `permit` among them."""

    reason: str | None
    attributes: dict[str, str]


def section_5_order(event: Event) -> tuple[int, int, str, str]:
    """Time, then the protective state, then source and id."""
    return (event.time_ms, PROTECTIVE[event.term("state")], event.source, event.id)


def latest(statements: Iterable[Event]) -> Event | None:
    """The last statement in that order."""
    return max(statements, key=section_5_order, default=None)


# ---- C1 ----


def c1_covers(consent: Event, attribute: Attribute) -> bool:
    """The categories named; an empty list all, but an empty GRANTED nothing that is special-category."""
    categories = consent.term("categories")
    if categories:
        return attribute.category in categories
    return not (consent.term("state") == "GRANTED" and attribute.special)


def c1_stands(grant: Event, stops: Iterable[Event], note: Note) -> bool:
    """No PAUSED or WITHDRAWN is as late or, from another source, within the five minutes before."""
    for stop in stops:
        early_ms = grant.time_ms - stop.time_ms
        if early_ms <= 0:
            note_if(note, early_ms == 0, "C1 stopped at equal times")
            return False
        if stop.source != grant.source and early_ms <= times.FIVE_MINUTES_MS:
            note("C1 stopped by the five minutes")
            note_if(note, early_ms == times.FIVE_MINUTES_MS, "C1 stopped by five minutes to the millisecond")
            return False
        note_if(note, early_ms <= times.FIVE_MINUTES_MS, "C1 same source within five minutes stands")
    return True


def c1_consent(person: Person, agreement: Agreement, attribute: Attribute, at_ms: int, note: Note) -> str:
    """`permit`, or why the consent for an attribute is not in force (C6)."""
    covering = [
        each
        for each in person.said
        if each.contract.kind == "consent"
        and each.term("subscriber") == agreement.subscriber
        and each.term("purpose") == agreement.purpose
        and c1_covers(each, attribute)
    ]
    grants = [each for each in covering if each.term("state") == "GRANTED"]
    stops = [each for each in covering if each.term("state") != "GRANTED"]
    if not grants:
        return "no-consent"
    standing = [grant for grant in grants if c1_stands(grant, stops, note)]
    if not standing:
        stop = latest(stops)
        assert stop is not None
        return "consent-withdrawn" if stop.term("state") == "WITHDRAWN" else "consent-paused"
    spans = [c1_span(grant) for grant in standing]
    note_if(note, any(ends == at_ms for _, ends in spans), "C1 a grant ends at T")
    note_if(note, any(begins == at_ms for begins, _ in spans), "C1 a grant begins at T")
    if any(begins <= at_ms < ends for begins, ends in spans):
        note_if(note, len(standing) < len(grants), "C1 one grant stands, another does not")
        return "permit"
    return (
        "consent-not-yet-valid" if any(at_ms < begins < ends for begins, ends in spans) else "consent-expired"
    )


def c1_span(grant: Event) -> tuple[int, int]:
    """From max(time, valid_from) to the end of valid_until."""
    valid_from, valid_until = grant.term("valid_from"), grant.term("valid_until")
    return (
        grant.time_ms if valid_from is None else max(grant.time_ms, times.beginning(valid_from)),
        times.NEVER_MS if valid_until is None else times.end(valid_until),
    )


# ---- C2, C3, C4 ----


def c2_objected(person: Person, agreement: Agreement, note: Note) -> bool:
    """The latest for each (subscriber, purpose) as stated; any that matches objects for all."""
    stated: dict[tuple[str, str], list[Event]] = {}
    for each in person.said:
        if each.contract.kind == "objection":
            stated.setdefault((each.term("subscriber"), each.term("purpose")), []).append(each)
    states = []
    for (subscriber, purpose), statements in stated.items():
        if subscriber in ("*", agreement.subscriber) and purpose in ("*", agreement.purpose):
            last = latest(statements)
            assert last is not None
            states.append(last.term("state"))
    note_if(
        note,
        "OBJECTED" in states and "LIFTED" in states,
        "C2 lifted for one, objected for another that matches",
    )
    note_if(note, bool(states) and "OBJECTED" not in states, "C2 lifted")
    return "OBJECTED" in states


def c3_restricted_identifiers(events: Iterable[Event]) -> set[str]:
    """Identifiers of which the latest that some owner said is RESTRICTED."""
    said: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        if event.contract.kind == "restriction":
            said.setdefault((event.owner, event.subject), []).append(event)
    restricted = set()
    for (_, identifier), statements in said.items():
        last = latest(statements)
        if last is not None and last.term("state") == "RESTRICTED":
            restricted.add(identifier)
    return restricted


def c3_restricted(members: frozenset[str], identity: Identity, restricted: set[str], note: Note) -> bool:
    """In the component of a member, or at the other end of a cut edge of a member."""
    component = frozenset[str]().union(*(identity.component_of[member] for member in members))
    ends = {end for pair in identity.cut if members & set(pair) for end in pair}
    note_if(note, bool(members & restricted), "C3 restricted itself")
    note_if(note, bool((component - members) & restricted), "C3 restricted over a skipped edge")
    note_if(note, bool((ends - component) & restricted), "C3 restricted over a cut edge")
    return bool((component | ends) & restricted)


def c4_enrolled(person: Person, agreement: Agreement, note: Note) -> bool:
    """The latest wins; only the agreement's own subscriber may state it."""
    about = [
        each
        for each in person.said
        if each.contract.kind == "enrolment" and each.term("agreement") == agreement.name
    ]
    own = [each for each in about if each.owner == agreement.subscriber]
    note_if(note, len(own) < len(about), "C4 stated by another")
    last = latest(own)
    note_if(note, last is not None and last.term("state") == "ENDED", "C4 ended")
    return last is not None and last.term("state") == "ENROLLED"


# ---- C5, C6 ----


def c5_in_scope(person: Person, agreement: Agreement, rules: Rules, at_ms: int, note: Note) -> bool:
    """Everyone, the enrolled, the deceased, or those of whom a golden value, or its field, is in the list."""
    if agreement.scope == "everyone":
        return True
    if agreement.scope == "enrolled":
        return c4_enrolled(person, agreement, note)
    if agreement.scope == "deceased":
        return c5_has_died(person, agreement, rules, at_ms, note)
    where = agreement.scope["where"]
    if agreement.basis == "consent":
        permitted = c1_consent(person, agreement, rules.attributes[where["attribute"]], at_ms, note)
        if permitted != "permit":
            note("C5 where the scope's attribute is not permitted")
            return False
    values = [each.value for each in person.golden.get(where["attribute"], {}).values()]
    if where.get("field") is not None:
        values = [value[where["field"]] for value in values]
    return any(same_json(value, listed) for value in values for listed in where["in"])


def c5_has_died(person: Person, agreement: Agreement, rules: Rules, at_ms: int, note: Note) -> bool:
    """A golden `death`; on basis consent one that the consent covers."""
    dead = bool(person.golden.get("death"))
    note(f"C5 deceased {dead}")
    if agreement.basis == "consent" and dead:
        permitted = c1_consent(person, agreement, rules.attributes["death"], at_ms, note)
        note_if(note, permitted != "permit", "C5 deceased, and not permitted")
        return permitted == "permit"
    return dead


def same_json(value: Any, listed: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(value, bool) or isinstance(listed, bool):
        return value is listed
    return bool(value == (listed.isoformat() if hasattr(listed, "isoformat") else listed))


def c6_decision(person: Person, agreement: Agreement, rules: Rules, at_ms: int, note: Note) -> Decision:
    """The first reason that applies, in C6's order."""
    if not agreement.valid_from_ms <= at_ms < agreement.valid_until_ms:
        return Decision("agreement-not-in-force", {})
    if not c5_in_scope(person, agreement, rules, at_ms, note):
        return Decision("out-of-scope", {})
    if person.restricted and not agreement.sees_restricted:
        return Decision("restricted", {})
    if agreement.stops_at_death and person.golden.get("death"):
        return Decision("deceased", {})
    if agreement.honours_objection and c2_objected(person, agreement, note):
        return Decision("objected", {})
    if agreement.subject != "pairwise" and c8_identifier(person, agreement.subject) is None:
        return Decision("no-subject-identifier", {})
    if agreement.basis != "consent":
        return Decision(None, dict.fromkeys((name for name, _ in agreement.attributes), "permit"))
    return Decision(
        None,
        {
            name: c1_consent(person, agreement, rules.attributes[name], at_ms, note)
            for name, _ in agreement.attributes
        },
    )


# ---- C7, C8 ----


def c7_view(person: Person, agreement: Agreement, decision: Decision, rules: Rules) -> dict[str, Any] | None:
    """All attributes of the agreement, null where denied or unknown; None when none has a value."""
    if decision.reason is not None:
        return None
    view: dict[str, Any] = {}
    for name, fields in agreement.attributes:
        golden = person.golden.get(name, {})
        if decision.attributes[name] != "permit" or not golden:
            view[name] = None
        elif rules.attributes[name].items:
            view[name] = [
                {"item": item, "value": c7_narrowed(assertion.value, fields)}
                for item, assertion in sorted(golden.items(), key=lambda pair: str(pair[0]))
            ]
        else:
            view[name] = c7_narrowed(golden[None].value, fields)
    return view if any(value is not None for value in view.values()) else None


def c7_narrowed(value: Any, fields: tuple[str, ...] | None) -> Any:
    """`fields` narrows a record."""
    return value if fields is None else {name: value[name] for name in fields}


def c8_identifier(person: Person, scheme: str) -> str | None:
    """The person's identifier of a scheme: not superseded; if several, the smallest."""
    return min(
        (one for one in person.members if scheme_of(one) == scheme and one not in person.identity.superseded),
        default=None,
    )


def c8_key(person: Person, agreement: Agreement, rules: Rules, secret: bytes) -> str:
    """The scheme's identifier, or the pairwise pseudonym."""
    if agreement.subject != "pairwise":
        identifier = c8_identifier(person, agreement.subject)
        assert identifier is not None
        return identifier
    realm = f"agreement:{agreement.name}" if agreement.group is None else f"group:{agreement.group}"
    pairwise_key = keyed(secret, f"pairwise:{agreement.subscriber}:{realm}")
    return "s-" + keyed(pairwise_key, person_id(person.members, person.identity, rules, secret)).hex()[:32]


def person_id(members: frozenset[str], identity: Identity, rules: Rules, secret: bytes) -> str:
    """I4: a keyed hash of the anchor."""
    anchor = i4_anchor(members, identity.superseded, rules.schemes)
    return "p-" + keyed(keyed(secret, "identity"), anchor).hex()[:32]


def keyed(key: bytes, text: str) -> bytes:
    """HMAC-SHA256 as raw bytes."""
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
