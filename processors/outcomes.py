"""Every reason that Postroom gives, in one place: why an event, an edge or a field was not accepted.

Outcomes are values, never exceptions. The texts are for people; the names are what metrics, dead letters
and tests use, so a name never changes its meaning.
"""

from __future__ import annotations

from enum import StrEnum

from schemas import Rejection

__all__ = ["Denial", "Dispute", "Rejection", "Report", "Retraction"]


class Dispute(StrEnum):
    """Why an edge joins nothing (I3): cut in the first two steps, or skipped in the third."""

    HUB = "hub"
    OVERGROWN = "overgrown"
    UNLINKED = "unlinked"
    EXCLUSIVE_SCHEME = "exclusive-scheme"
    OVERSIZED = "oversized"


class Report(StrEnum):
    """What a department is told of an event of its own that was accepted and cannot do what it says."""

    ANNULMENT_UNMATCHED = "annulment-unmatched"
    CONSENT_NEVER_STANDS = "consent-never-stands"
    FRAGMENT_FULL = "fragment-full"
    FRAGMENT_OVERFULL = "fragment-overfull"
    ID_REUSED = "id-reused"


class Denial(StrEnum):
    """Why a view or a field is withheld (C6), in the order in which the decision asks."""

    AGREEMENT_NOT_IN_FORCE = "agreement-not-in-force"
    OVERFULL = "overfull"
    INCOMPLETE = "incomplete"
    OUT_OF_SCOPE = "out-of-scope"
    RESTRICTED = "restricted"
    DECEASED = "deceased"
    OBJECTED = "objected"
    NO_SUBJECT_IDENTIFIER = "no-subject-identifier"
    NO_CONSENT = "no-consent"
    CONSENT_NOT_YET_VALID = "consent-not-yet-valid"
    CONSENT_EXPIRED = "consent-expired"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    CONSENT_PAUSED = "consent-paused"
    ERROR = "error"


class Retraction(StrEnum):
    """What a subscriber is told of a retraction (V2): never why."""

    ENDED = "ended"
    CORRECTED = "corrected"
