"""Why a person's field is or is not shared, and who gains and loses what under other agreements (C6, V5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from processors.citizen_state import RecordState, decode_record
from processors.decision import OF_ATTRIBUTES, QUESTIONS, Question, decide_closed
from processors.golden import Citizen, Golden, fold
from processors.outcomes import Denial
from processors.rules import Rules
from schemas import Agreement, format_instant

SHARED, UNKNOWN, WITHHELD = "shared", "unknown", "withheld"

MEANINGS: Mapping[Denial, str] = {denial: meaning for denial, _, meaning in QUESTIONS} | {
    Denial.NO_CONSENT: "the citizen never granted consent that covers this",
    Denial.CONSENT_NOT_YET_VALID: "the citizen's consent begins later",
    Denial.CONSENT_EXPIRED: "the citizen's consent has ended",
    Denial.CONSENT_WITHDRAWN: "the citizen withdrew consent",
    Denial.CONSENT_PAUSED: "the citizen paused consent",
    Denial.ERROR: "deciding failed, so nothing is shared",
}


class Answer(NamedTuple):
    """One field: what it rests on or why it is withheld, and where its value came from; never the value."""

    attribute: str
    item: str
    answer: str
    reason: str
    because: str
    lineage: str


def explain(rules: Rules, agreement: Agreement, state: RecordState, now_ms: int) -> list[Answer]:
    """Decide for one person and agreement and say, field by field, why (C6)."""
    citizen = fold(state.fragments, rules.contracts.attributes, now_ms)
    out = agreement.agreement in state.sent
    decision = decide_closed(Question(agreement, citizen, state.person, rules, now_ms, out))
    answers: list[Answer] = []
    for attribute, verdict in decision.attributes.items():
        for item, golden in _items(citizen, attribute):
            lineage = "" if golden is None else _lineage(golden)
            if isinstance(verdict, Denial):
                because = _because(verdict, attribute, rules)
                answers.append(Answer(attribute, item, WITHHELD, verdict.value, because, lineage))
            else:
                answer = UNKNOWN if golden is None else SHARED
                answers.append(
                    Answer(
                        attribute,
                        item,
                        answer,
                        verdict.basis,
                        rests_on(verdict.consent, verdict.gateway),
                        lineage,
                    )
                )
    return answers


def _because(denial: Denial, attribute: str, rules: Rules) -> str:
    """The reason in words; of consent also the category, because consent is given by category (C1)."""
    if denial not in OF_ATTRIBUTES:
        return MEANINGS[denial]
    known = rules.contracts.attributes[attribute]
    must = ", which a consent must name" if known.sensitivity == "special-category" else ""
    return f"{MEANINGS[denial]} (category {known.category}{must})"


def _items(citizen: Citizen, attribute: str) -> list[tuple[str, Golden | None]]:
    items = citizen.golden.get(attribute, {})
    return [(item, items[item]) for item in sorted(items)] or [("", None)]


def rests_on(consent: Sequence[str] | None, gateway: str | None) -> str:
    """Say what a permit rests on: the consent event by (source, id), or the statutory power (C6)."""
    if consent is not None:
        return "consent event {1} of {0}".format(*consent)
    return gateway or "no gateway is needed"


def why_withheld(denial: str) -> str:
    """Say a reason of the decision in words; one that this release does not know is its own word."""
    return {each.value: meaning for each, meaning in MEANINGS.items()}.get(denial, denial)


def _lineage(golden: Golden) -> str:
    """Which event said it, of which identifier's scheme, true since when, said when (R5)."""
    entry = golden.entry
    scheme = golden.identifier.partition(":")[0]
    since, said = format_instant(entry.effective_at), format_instant(entry.asserted_at)
    return f"{entry.source} {entry.id} about the {scheme}; true since {since}, said {said}"


class Difference(NamedTuple):
    """How many persons gain or lose a field of an agreement under a proposed set of agreements."""

    agreement: str
    field: str
    gain: int
    lose: int
    changed: int


class Unchanged(NamedTuple):
    """An attribute that an agreement grants and of which no view changes: of how many persons, and why."""

    agreement: str
    field: str
    reason: str
    because: str
    persons: int


NO_VALUE = "no-value", "nothing is said of it that holds at this moment"
NO_PERSON = "no-person", "the events are about nobody"


def withheld_of_it(answer: Answer) -> tuple[str, str] | None:
    """The reason for which a field is withheld that has a value, or would have been whatever its value."""
    if answer.answer == WITHHELD and (answer.lineage or answer.reason not in OF_ATTRIBUTES):
        return answer.reason, answer.because
    return None


def gives_nothing(
    rules: Rules,
    states: Mapping[bytes, bytes],
    at_ms: int,
    now: Mapping[str, Agreement],
    differences: Sequence[Difference],
) -> Iterator[Unchanged]:
    """Of the fields that ``rules`` grant and ``now`` does not, those that nobody gains, and why (C6, C7).

    ``states`` are the records under ``rules``; persons are counted by their reason, the most frequent first.
    """
    gained = {(each.agreement, each.field) for each in differences if each.gain}
    records = [state for state in map(decode_record, states.values()) if state.fragments]
    for name, agreement in sorted(rules.agreements.items()):
        for field in _granted_anew(now.get(name), agreement):
            if any(of == name and f"{path}.".startswith(f"{field}.") for of, path in gained):
                continue
            attribute = field.partition(".")[0]
            why: Counter[tuple[str, str]] = Counter()
            for state in records:
                answers = explain(rules, agreement, state, at_ms)
                first = next(answer for answer in answers if answer.attribute == attribute)
                why[withheld_of_it(first) or NO_VALUE] += 1
            for reason, persons in sorted(why.items(), key=lambda each: (-each[1], each[0])) or [
                (NO_PERSON, 0)
            ]:
                yield Unchanged(name, field, *reason, persons)


def _granted_anew(now: Agreement | None, proposed: Agreement) -> Iterator[str]:
    """The attributes, or fields of one, that an agreement grants and its present version does not (C5)."""
    had = {} if now is None else {grant.attribute: grant.fields for grant in now.attributes}
    for attribute, fields in ((grant.attribute, grant.fields) for grant in proposed.attributes):
        before = had.get(attribute)
        if attribute not in had or (fields is None and before is not None):
            yield attribute
        elif before is not None:
            yield from (f"{attribute}.{field}" for field in fields or () if field not in before)


Views = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By agreement, then by key, as `replay` gives them."""


def compare_views(now: Views, proposed: Views) -> list[Difference]:
    """Compare what subscribers see under two sets of agreements over the same events."""
    differences: list[Difference] = []
    for agreement in sorted(now.keys() | proposed.keys()):
        before, after = now.get(agreement, {}), proposed.get(agreement, {})
        gain: Counter[str] = Counter()
        lose: Counter[str] = Counter()
        changed: Counter[str] = Counter()
        for key in before.keys() | after.keys():
            old, new = _values(before.get(key, {})), _values(after.get(key, {}))
            gain.update(new.keys() - old.keys())
            lose.update(old.keys() - new.keys())
            changed.update(name for name in old.keys() & new.keys() if old[name] != new[name])
        differences.extend(
            Difference(agreement, field, gain[field], lose[field], changed[field])
            for field in sorted(gain.keys() | lose.keys() | changed.keys())
        )
    return differences


def _values(view: Mapping[str, Any]) -> dict[str, Any]:
    """A view's fields that have a value, narrowed fields by their path."""
    return dict(_paths("", view))


def _paths(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _paths(f"{path}.{name}" if path else name, part)
    elif isinstance(value, list):
        for part in value:
            if isinstance(part, dict) and part.keys() == {"item", "value"}:
                yield from _paths(path, part["value"])
            else:
                yield path, value
    elif value is not None:
        yield path, value


def person_state(states: Mapping[bytes, bytes], person: str) -> RecordState | None:
    """Return the record of a person in a pipeline's states."""
    body = states.get(person.encode())
    return None if body is None else decode_record(body)
