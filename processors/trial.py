"""What a department's events would meet and do, before anybody else sees them: every problem of a line by its
JSON path (E7), and the views that would change. Nothing here holds a value of an event.

Intake stops at its first reason, because one is enough to reject; a department that tries its events out
wants to mend all of them in one round. The verdict is intake's all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec

from processors.citizen_state import RecordState
from processors.consent import ANY
from processors.explain import (
    NO_VALUE,
    Answer,
    Difference,
    Unchanged,
    compare_views,
    explain,
    person_state,
    withheld_of_it,
)
from processors.intake import Intake
from processors.messages import FRAGMENTS_TOPIC, Said
from processors.outcomes import Rejection
from processors.replay import run_lines
from processors.rules import Rules
from schemas import (
    EVERYONE,
    Addressees,
    Agreement,
    Basis,
    Bounds,
    Enrolled,
    Found,
    Warned,
    cloudevent_from_json,
    diagnose,
    warnings,
)

CONSENT, ENROLMENT = "consent", "enrolment"


class Verdict(NamedTuple):
    """What intake says of a line; `type` as far as it could be read, `problems` only where it is rejected."""

    type: str | None
    reason: Rejection | None
    problems: tuple[Found, ...] = ()
    warnings: tuple[Warned, ...] = ()


class Change(NamedTuple):
    """How many views of an agreement gain, lose or change a field; `needs` says what of the persons first."""

    agreement: str
    field: str
    gain: int
    lose: int
    changed: int
    needs: str


NO_NEWS = "no-news", "the view has it already, or has another owner's word that goes before (R5)"
"""Why nothing changes where nothing is denied."""


def examine(line: bytes | None, rules: Rules, at_ms: int) -> Verdict:
    """Ask intake about one line (None: it was too long), and look for every problem if it says no."""
    limits = rules.limits
    bounds = Bounds(limits.value_bytes, limits.earliest_ms, limits.future_ms, limits.attributes_bytes)
    if line is None:
        return Verdict(None, Rejection.OVERSIZED, tuple(diagnose(None, rules.contracts, at_ms, bounds)))
    intake = Intake(rules)
    verdict = intake.accept_json(line, at_ms)
    if isinstance(verdict, Said):
        return Verdict(verdict.type, None, warnings=_warnings(line, rules, intake.addressees))
    problems = tuple(dict.fromkeys(diagnose(line, rules.contracts, at_ms, bounds)))
    reason = verdict.reason
    return Verdict(verdict.type, reason, problems or (Found("$", f"{reason}", reason),))


def _warnings(line: bytes, rules: Rules, addressees: Addressees) -> tuple[Warned, ...]:
    event = cloudevent_from_json(msgspec.json.decode(line))
    contract = rules.contracts.by_type[event.type]
    return warnings(contract, contract.from_json(event.data), event.time, addressees)


def would_change(
    before: Sequence[bytes], events: Sequence[bytes], rules: Rules, at_ms: int
) -> Iterator[Change]:
    """What the events change in the views when `before` has been said already, by the pipeline itself.

    First as things are; then what would change too if every person had consented and were enrolled, because
    a department that tries out its own events seldom has the citizens' decisions beside them.
    """
    now = _differences(before, events, rules, at_ms)
    yield from (Change(*each, needs="") for each in now)
    known = {(each.agreement, each.field) for each in now}
    needs = {name: _needs(agreement) for name, agreement in rules.agreements.items()}
    if not any(needs.values()):
        return
    willing = {name: _as_if_willing(agreement) for name, agreement in rules.agreements.items()}
    for each in _differences(before, events, replace(rules, agreements=willing), at_ms):
        if (each.agreement, each.field) not in known and needs[each.agreement]:
            yield Change(*each, needs=needs[each.agreement])


def why_unchanged(
    before: Sequence[bytes],
    events: Sequence[bytes],
    rules: Rules,
    at_ms: int,
    changes: Iterable[Change],
) -> list[Unchanged]:
    """What of an agreement that these events are about does not change, and why: C6's reason, if it denies.

    Of agreements that grant none of it, or that a statement does not name, nothing is said.
    """
    told = {(each.agreement, each.field.partition(".")[0]) for each in changes}
    replayed = run_lines([*before, *events], rules, at_ms)
    intake, states = Intake(rules), replayed.pipeline.states[FRAGMENTS_TOPIC]
    persons: dict[tuple[str, str, str, str], set[str]] = {}
    for said in (intake.accept_json(line, at_ms) for line in events):
        if not isinstance(said, Said):
            continue
        person = replayed.person_of(said.subject)
        state = person_state(states, person) or RecordState(person)
        stated = {each.attribute for each in rules.contracts.by_type[said.type].attributes}
        for agreement in rules.agreements.values():
            about = {
                grant.attribute for grant in agreement.attributes if grant.attribute in stated or not stated
            }
            about -= {attribute for name, attribute in told if name == agreement.agreement}
            if about and _names(said, agreement):
                for answer in explain(rules, agreement, state, at_ms):
                    if answer.attribute in about:
                        reason = (agreement.agreement, answer.attribute, *_unmoved(answer))
                        persons.setdefault(reason, set()).add(person)
    return [Unchanged(*reason, len(whose)) for reason, whose in sorted(persons.items())]


def _names(said: Said, agreement: Agreement) -> bool:
    """Whether what a statement of consent, objection or enrolment names is this agreement (C1, C2, C4)."""
    stated = said.consent or said.objection
    if stated is not None:
        subscriber, purpose = agreement.subscriber, agreement.purpose
        return stated.subscriber in (ANY, subscriber) and stated.purpose in (ANY, purpose)
    return said.enrolment is None or said.enrolment.agreement == agreement.agreement


def _unmoved(answer: Answer) -> tuple[str, str]:
    """Why a field that did not change is as it is: withheld, without a value, or shown already."""
    return withheld_of_it(answer) or (NO_NEWS if answer.lineage else NO_VALUE)


def _differences(
    before: Sequence[bytes], events: Sequence[bytes], rules: Rules, at_ms: int
) -> list[Difference]:
    without = run_lines(before, rules, at_ms).pipeline.views()
    return compare_views(without, run_lines([*before, *events], rules, at_ms).pipeline.views())


def _needs(agreement: Agreement) -> str:
    """What an agreement asks of a person before anything of them is in its view (C1, C4)."""
    asked = ((agreement.basis is Basis.CONSENT, CONSENT), (isinstance(agreement.scope, Enrolled), ENROLMENT))
    return " and ".join(word for needed, word in asked if needed)


def _as_if_willing(agreement: Agreement) -> Agreement:
    """The agreement as it would be towards persons who all consent and are all enrolled; for trying only."""
    basis = Basis.PUBLIC_TASK if agreement.basis is Basis.CONSENT else agreement.basis
    scope = EVERYONE if isinstance(agreement.scope, Enrolled) else agreement.scope
    return replace(agreement, basis=basis, scope=scope)
