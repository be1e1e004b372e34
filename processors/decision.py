"""The decision on (agreement, person, moment): who may see which attribute, and why (C6).

The order of the questions is a table, so that a policy person can read it; the first that applies denies.
Every permit names what it rests on. The page `docs/decision.md` is rendered from :data:`QUESTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from processors.consent import consented, enrolled, objected
from processors.golden import Citizen, Golden
from processors.messages import Consent
from processors.outcomes import Denial
from processors.rules import Rules, keyed_hex
from schemas import DEATH, EVERYONE, Agreement, Basis, Deceased, Enrolled, Where, scheme_of

PAIRWISE = "pairwise"


class Permit(NamedTuple):
    """What a permitted field rests on: the basis, and the statutory gateway or the consent event (C6, V5)."""

    basis: str
    gateway: str | None = None
    consent: tuple[str, str] | None = None


class Decision(NamedTuple):
    """The answer: the view's key and each attribute's permit or denial, or why there is no view at all."""

    denied: Denial | None
    key: str | None
    attributes: Mapping[str, Permit | Denial]


@dataclass(slots=True)
class Question:
    """One asking: may this agreement see this citizen at ``now_ms``?"""

    agreement: Agreement
    citizen: Citizen
    person: str
    rules: Rules
    now_ms: int
    view_is_out: bool
    _key: tuple[str | None] | None = None

    def permit(self, attribute: str) -> Permit | Denial:
        """Whether the agreement's basis permits one attribute (C1, C9)."""
        agreement = self.agreement
        if agreement.basis is not Basis.CONSENT:
            return Permit(agreement.basis.value, agreement.gateway)
        said = self.citizen.consents.get((agreement.subscriber, agreement.purpose), ())
        kind = self.rules.contracts.attributes[attribute]
        answer = consented(said, kind, self.now_ms, self.rules.limits.consent_grace_ms)
        if isinstance(answer, Consent):
            return Permit(agreement.basis.value, consent=(answer.source, answer.id))
        return answer

    @property
    def key(self) -> str | None:
        """The view's key, found once: pairwise, or the person's identifier of the agreement's scheme (C8)."""
        if self._key is None:
            self._key = (self._find_key(),)
        return self._key[0]

    def _find_key(self) -> str | None:
        agreement = self.agreement
        if agreement.subject == PAIRWISE:
            return "s-" + keyed_hex(self.rules.pairwise_keys[agreement.agreement], self.person)
        live = self.citizen.identifiers - self.citizen.superseded
        return min([i for i in live if scheme_of(i) == agreement.subject], default=None)


def _not_in_force(question: Question) -> bool:
    return not question.agreement.valid_from <= question.now_ms < question.agreement.valid_until


def _overfull(question: Question) -> bool:
    return question.citizen.overfull


def _incomplete(question: Question) -> bool:
    return not question.citizen.complete and not question.view_is_out


def _out_of_scope(question: Question) -> bool:
    citizen, agreement = question.citizen, question.agreement
    scope, attribute = agreement.scope, agreement.scope_attribute
    # INVARIANT: presence in a topic discloses too, so scope may rest only on what is permitted (C5).
    if attribute is not None and isinstance(question.permit(attribute), Denial):
        return True
    if isinstance(scope, Enrolled):
        return not enrolled(citizen.enrolments.values(), agreement)
    if isinstance(scope, Deceased):
        return not _has_died(citizen)
    if isinstance(scope, Where):
        return not any(_matches(scope, golden) for golden in citizen.golden.get(scope.attribute, {}).values())
    # INVARIANT: a scope that nobody here can judge is nobody's (C6).
    return scope != EVERYONE


def _matches(scope: Where, golden: Golden) -> bool:
    value = msgspec.json.decode(golden.entry.value)
    if scope.field is not None:
        value = value.get(scope.field) if isinstance(value, dict) else None
    return scope.matches(value)


def _restricted(question: Question) -> bool:
    return question.citizen.restricted and not question.agreement.sees_restricted


def _deceased(question: Question) -> bool:
    return question.agreement.after_death == "stop" and _has_died(question.citizen)


def _has_died(citizen: Citizen) -> bool:
    return bool(citizen.golden.get(DEATH))


def _objected(question: Question) -> bool:
    return question.agreement.honours_objection and objected(
        question.citizen.objections.values(), question.agreement
    )


def _no_subject_identifier(question: Question) -> bool:
    return question.key is None


QUESTIONS: tuple[tuple[Denial, Callable[[Question], bool], str], ...] = (
    (Denial.AGREEMENT_NOT_IN_FORCE, _not_in_force, "the agreement is not valid at this moment"),
    (Denial.OVERFULL, _overfull, "more was taken away of the person than could be remembered (R8)"),
    (Denial.INCOMPLETE, _incomplete, "not all that is known of the person has arrived, so no view begins"),
    (Denial.OUT_OF_SCOPE, _out_of_scope, "the person is not among those whom the agreement is about"),
    (
        Denial.RESTRICTED,
        _restricted,
        "the person is protected and the agreement does not see protected persons",
    ),
    (Denial.DECEASED, _deceased, "the person has died and the agreement ends with death"),
    (Denial.OBJECTED, _objected, "the person objected and the agreement honours objections"),
    (Denial.NO_SUBJECT_IDENTIFIER, _no_subject_identifier, "the person has no live identifier of the scheme"),
)
"""The decision in its order (C6): the reason, the question that gives it, and what it means."""

OF_ATTRIBUTES = tuple(each for each in Denial if each not in {d for d, _, _ in QUESTIONS} | {Denial.ERROR})
"""What is asked of one attribute at a time, on basis consent alone (C6): :func:`consented` answers."""


def decide(question: Question) -> Decision:
    """Ask the questions in their order; then, attribute by attribute, what the basis permits (C6)."""
    for denial, applies, _meaning in QUESTIONS:
        if applies(question):
            return Decision(
                denial, None, {grant.attribute: denial for grant in question.agreement.attributes}
            )
    attributes = {
        grant.attribute: question.permit(grant.attribute) for grant in question.agreement.attributes
    }
    return Decision(None, question.key, attributes)


def summary(decision: Decision) -> tuple[str, str]:
    """Return a decision as it is counted: permitted, partial or denied, and the first denial's reason."""
    if decision.denied is not None:
        return "denied", decision.denied
    denials = [answer for answer in decision.attributes.values() if isinstance(answer, Denial)]
    if not denials:
        return "permitted", ""
    return "partial" if len(denials) < len(decision.attributes) else "denied", denials[0]


def may_permit(question: Question, attributes: Iterable[str]) -> bool:
    """Whether the basis permits one of the attributes, or fails to tell: then it is decided."""
    try:
        return any(isinstance(question.permit(attribute), Permit) for attribute in attributes)
    except Exception:
        return True


def decide_closed(question: Question) -> Decision:
    """Decide, and deny everything when deciding fails (C6: an error is a denial, and an alert)."""
    try:
        return decide(question)
    except Exception:
        denied: dict[str, Any] = {grant.attribute: Denial.ERROR for grant in question.agreement.attributes}
        return Decision(Denial.ERROR, None, denied)
