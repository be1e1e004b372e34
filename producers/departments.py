"""The synthetic departments: who they are, and how each of them puts a fact into an event.

A function per fact gives ``(department, type, data)``; the life that happened decides when. Data is written
as the department's own system would write it, not as the backbone would like it: the NHS writes its numbers
in groups of three, DWP its National Insurance numbers in groups of two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas.times import format_instant

Event = dict[str, Any]
"""A CloudEvent in JSON (E3)."""

Data = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Department:
    """A system of a department that publishes."""

    owner: str
    system: str

    @property
    def source(self) -> str:
        return f"urn:gov:{self.owner}:{self.system}"


GRO = Department("gro", "registration-online")
NHS = Department("nhs", "pds")
DWP = Department("dwp", "cis")
DWP_AWARDS = Department("dwp", "awards")
HMRC = Department("hmrc", "nps")
HMRC_RTI = Department("hmrc", "rti")
DVLA = Department("dvla", "drivers")
GDS = Department("gds", "one-login")
CONSENT = Department("consent-service", "web")
HOME_OFFICE = Department("home-office", "protection")
COUNCIL = {
    "leeds": Department("council-leeds", "revenues"),
    "york": Department("council-york", "revenues"),
}


class Said(NamedTuple):
    """What a department has to say, before it is known when."""

    department: Department
    type: str
    data: Data


def cloudevent(said: Said, event_id: str, time_ms: int) -> Event:
    """The event that says it (E1, E3)."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": said.department.source,
        "type": f"uk.gov.{said.type}.v1",
        "time": format_instant(time_ms),
        "datacontenttype": "application/json",
        "data": dict(said.data),
    }


def nhs_in_groups(number: str) -> str:
    """An NHS number as the NHS prints it: 999 000 0018."""
    return f"{number[:3]} {number[3:6]} {number[6:]}"


def nino_in_groups(number: str) -> str:
    """A National Insurance number as DWP's letters print it: NC 00 00 17 A."""
    return " ".join((number[:2], number[2:4], number[4:6], number[6:8], number[8:]))


def birth(
    nhs: str, born: str, name: Data, *, authority: str, hospital: str, entry: str, registered_on: str
) -> Said:
    """GRO: an entry in the register of births."""
    data = {
        "nhs_number": nhs_in_groups(nhs),
        "date_of_birth": born,
        "name": name,
        "place_of_birth": hospital,
        "registration_district": authority.title(),
        "entry_number": entry,
        "registered_on": registered_on,
    }
    return Said(GRO, "civil.birth", data)


def death(nhs: str, nino: str | None, died: str, *, authority: str, entry: str, registered_on: str) -> Said:
    """GRO: an entry in the register of deaths."""
    data = {
        "nhs_number": nhs_in_groups(nhs),
        "nino": nino,
        "date_of_death": died,
        "registration_district": authority.title(),
        "entry_number": entry,
        "registered_on": registered_on,
        "certified_by": "MEDICAL_EXAMINER",
    }
    return Said(GRO, "civil.death", data)


def death_notification(nhs: str, died: str) -> Said:
    """NHS: a hospital or practice told of a death."""
    data = {"nhs_number": nhs_in_groups(nhs), "deceased_date": died, "status": "INFORMAL"}
    return Said(NHS, "health.death-notification", data)


def annulment(department: Department, subject: str, wrong: Event, reason: str) -> Said:
    """Anybody: an earlier event of the same source about the same subject was wrong (R3)."""
    return Said(
        department, "corrections.annulment", {"subject": subject, "event": wrong["id"], "reason": reason}
    )


def registration(nhs: str, nino: str | None, practice: Data, since: str, until: str | None = None) -> Said:
    """NHS: a patient is, or was, on a practice's list."""
    data = {
        "nhs_number": nhs_in_groups(nhs),
        "nino": nino,
        "practice": practice,
        "registered_on": since,
        "deducted_on": until,
        "registration_type": "REGULAR",
    }
    return Said(NHS, "health.registration", data)


def demographics(nhs: str, since: str, **known: object) -> Said:
    """NHS: name, birth_date or home_address on the Personal Demographics Service."""
    return Said(NHS, "health.demographics", {"nhs_number": nhs, "business_effective_from": since, **known})


def number_superseded(nhs: str, kept: str) -> Said:
    """NHS: two numbers were one patient."""
    data = {"nhs_number": nhs, "superseded_by": kept, "reason": "DUPLICATE_REGISTRATION"}
    return Said(NHS, "health.number-superseded", data)


def claimant(nino: str, since: str, **known: object) -> Said:
    """DWP: nhs_number, name, date_of_birth or address of a claimant."""
    return Said(DWP, "benefits.claimant", {"nino": nino_in_groups(nino), "since": since, **known})


def award(
    nino: str, claim: str, award: Data, starts: str, *, ends: str | None = None, prior: str | None = None
) -> Said:
    """DWP: a claim's award as it now is."""
    data = {
        "nino": nino,
        "claim_reference": claim,
        "award": award,
        "award_starts": starts,
        "award_ends": ends,
        "decision_maker_office": "Leeds Example Benefit Centre",
        "prior": prior,
    }
    return Said(DWP_AWARDS, "benefits.award", data)


def national_insurance_number(nino: str, nhs: str | None, name: Data, on: str) -> Said:
    """HMRC: a number was issued, or its holder has another name."""
    route = "ADULT_APPLICATION" if nhs is None else "CHILD_BENEFIT"
    data = {"nino": nino, "nhs_number": nhs, "name": name, "issued_on": on, "route": route}
    return Said(HMRC, "tax.national-insurance-number", data)


def self_assessment(utr: str, nino: str | None, on: str) -> Said:
    """HMRC: a Unique Taxpayer Reference."""
    data = {"utr": f"{utr[:5]} {utr[5:]}", "nino": nino, "registered_on": on, "reason": "SELF_EMPLOYED"}
    return Said(HMRC, "tax.self-assessment", data)


def employment(nino: str, paye: str, job: Data, start: str, leaving: str | None = None) -> Said:
    """HMRC: an employment as it now is."""
    data = {
        "nino": nino,
        "paye_reference": paye,
        "employment": job,
        "start_date": start,
        "leaving_date": leaving,
        "starter_declaration": "B_ONLY_JOB",
    }
    return Said(HMRC_RTI, "tax.employment", data)


def payment(nino: str, paye: str, earnings: Data, on: str) -> Said:
    """HMRC: a payment from a Full Payment Submission."""
    data = {
        "nino": nino,
        "paye_reference": paye,
        "earnings": earnings,
        "payment_date": on,
        "tax_code": "1257L",
    }
    return Said(HMRC_RTI, "tax.payment", data)


def address_change(
    authority: str, account: str, nino: str | None, address: Data, since: str, *, until: str | None = None
) -> Said:
    """A council: somebody lives, or lived, at an address."""
    data = {
        "account": account,
        "nino": nino,
        "address": address,
        "moved_in": since,
        "moved_out": until,
        "reported_by": "RESIDENT",
    }
    return Said(COUNCIL[authority], "local.address-change", data)


def council_tax_account(
    authority: str, account: str, nino: str | None, liability: Data, since: str, *, until: str | None = None
) -> Said:
    """A council: somebody is, or was, liable for council tax."""
    data = {
        "account": account,
        "nino": nino,
        "liability": liability,
        "liable_from": since,
        "liable_until": until,
    }
    return Said(COUNCIL[authority], "local.council-tax-account", data)


def licence(
    driver: str, nino: str | None, passport: str | None, licence: Data, *, since: str, until: str, issue: int
) -> Said:
    """DVLA: an entitlement to drive."""
    data = {
        "driver_number": driver,
        "nino": nino,
        "passport": passport,
        "licence": licence,
        "valid_from": since,
        "valid_to": until,
        "issue_number": f"{issue:02d}",
    }
    return Said(DVLA, "driving.licence", data)


def account_link(account: str, holder_of: str, *, linked: bool = True) -> Said:
    """The identity service: an account belongs, or does not belong, to the holder of an identifier."""
    fact = "identity.account-link" if linked else "identity.account-unlink"
    return Said(GDS, fact, {"account": account, "holder_of": holder_of, "level_of_confidence": "P2"})


def match(department: Department, nino: str, other: str, *, linked: bool = True) -> Said:
    """A caseworker: two identifiers are, or are not, one person."""
    fact = "matching.link" if linked else "matching.unlink"
    evidence = "DETAILS_COMPARED" if linked else "DOCUMENTS_SEEN"
    return Said(department, fact, {"nino": nino, "other": other, "evidence": evidence})


def decision(
    department: Department,
    subject: str,
    subscriber: str,
    purpose: str,
    *,
    categories: list[str],
    state: str,
    until: str | None,
) -> Said:
    """The consent service, or a council at its desk: a citizen's decision about sharing (C1)."""
    data = {
        "subject": subject,
        "subscriber": subscriber,
        "purpose": purpose,
        "categories": categories,
        "state": state,
        "valid_until": until,
        "channel": "ONLINE" if department is CONSENT else "FACE_TO_FACE",
    }
    return Said(department, "consent.decision", data)


def objection(subject: str, subscriber: str, purpose: str, state: str) -> Said:
    """The consent service: a citizen objects, or lifts the objection (C2)."""
    data = {"subject": subject, "subscriber": subscriber, "purpose": purpose, "state": state}
    return Said(CONSENT, "consent.objection", data)


def restriction(department: Department, subject: str, state: str) -> Said:
    """A protecting authority: a person is, or is no longer, protected (C3)."""
    return Said(department, "consent.restriction", {"subject": subject, "state": state})


def enrolment(department: Department, subject: str, agreement: str, state: str) -> Said:
    """A subscriber: work with a person begins, or ends (C4)."""
    return Said(department, "consent.enrolment", {"subject": subject, "agreement": agreement, "state": state})
