"""Consent, objection and enrolment: what a person's statements allow now (C1, C2, C4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from processors.messages import Consent, Enrolment, Objection
from processors.outcomes import Denial
from schemas import Agreement, Attribute

SPECIAL_CATEGORY = "special-category"
ANY = "*"


def covers(consent: Consent, attribute: Attribute) -> bool:
    """Whether a statement covers an attribute: named, or all of them; never special categories unnamed
    (C1).
    """
    if consent.categories:
        return attribute.category in consent.categories
    return consent.state != "GRANTED" or attribute.sensitivity != SPECIAL_CATEGORY


def stands(grant: Consent, stops: Iterable[Consent], grace_ms: int) -> bool:
    """Whether no covering pause or withdrawal defeats the grant (C1).

    One that is not earlier does; so does one from another source that is not more than ``grace_ms`` earlier,
    because two sources' clocks do not tell which decision came last.
    """
    return not any(
        stop.time >= grant.time or (stop.source != grant.source and stop.time >= grant.time - grace_ms)
        for stop in stops
    )


def futile_grants(consents: Sequence[Consent], grace_ms: int) -> set[Consent]:
    """The grants that can never stand, because another source's stop came just before them (C1).

    Their source would believe them in force: it stated them after the stop, and not five minutes after.
    """
    stops = [consent for consent in consents if consent.state != "GRANTED"]
    if not stops:
        return set()
    return {
        grant
        for grant in consents
        if grant.state == "GRANTED"
        and any(
            (stop.subscriber, stop.purpose) == (grant.subscriber, grant.purpose)
            and stop.source != grant.source
            and grant.time - grace_ms <= stop.time < grant.time
            and (not stop.categories or not grant.categories or set(stop.categories) & set(grant.categories))
            for stop in stops
        )
    }


def consented(
    consents: Sequence[Consent], attribute: Attribute, now_ms: int, grace_ms: int
) -> Consent | Denial:
    """Return the grant that permits the attribute now, or why none does (C1, C6).

    ``consents`` are all statements of the person's identifiers about one subscriber and purpose.
    """
    grants: list[Consent] = []
    stops: list[Consent] = []
    for consent in consents:
        if covers(consent, attribute):
            (grants if consent.state == "GRANTED" else stops).append(consent)
    if not grants:
        return Denial.NO_CONSENT
    standing = [grant for grant in grants if stands(grant, stops, grace_ms)] if stops else grants
    if not standing:
        last = max(stops, key=lambda stop: (stop.time, stop.state == "WITHDRAWN", stop.source, stop.id))
        return Denial.CONSENT_WITHDRAWN if last.state == "WITHDRAWN" else Denial.CONSENT_PAUSED
    in_force = [g for g in standing if begin(g) <= now_ms and (g.ends is None or now_ms < g.ends)]
    if in_force:
        return max(in_force, key=lambda grant: (grant.time, grant.source, grant.id))
    still_begins = any(begin(g) > now_ms and (g.ends is None or begin(g) < g.ends) for g in standing)
    return Denial.CONSENT_NOT_YET_VALID if still_begins else Denial.CONSENT_EXPIRED


def begin(grant: Consent) -> int:
    """When a grant begins: not before it was stated (C1)."""
    return grant.time if grant.begins is None else max(grant.time, grant.begins)


def objected(objections: Iterable[Objection], agreement: Agreement) -> bool:
    """Whether an objection that matches the agreement is in force (C2)."""
    return any(
        objection.state == "OBJECTED"
        and objection.subscriber in (ANY, agreement.subscriber)
        and objection.purpose in (ANY, agreement.purpose)
        for objection in objections
    )


def enrolled(enrolments: Iterable[Enrolment], agreement: Agreement) -> bool:
    """Whether the agreement's own subscriber is interested in this person (C4)."""
    return any(
        enrolment.state == "ENROLLED"
        and enrolment.agreement == agreement.agreement
        and enrolment.owner == agreement.subscriber
        for enrolment in enrolments
    )
