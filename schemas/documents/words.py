"""What a policy person reads instead of the words of the rules: bases, kinds, periods (C5, E4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime

from ..agreement import Agreement, Basis, Deceased, Enrolled, Where
from ..agreement_file import PAIRWISE
from ..catalogue import Contracts
from ..contract import Kind
from ..identifiers import ANY_SCHEME
from ..times import DAY_MS, LONDON, Duration, beginning, ending, format_instant

#: UK GDPR article 6(1), point by point.
BASES: Mapping[Basis, tuple[str, str]] = {
    Basis.CONSENT: ("Consent of the citizen", "article 6(1)(a)"),
    Basis.CONTRACT: ("A contract with the citizen", "article 6(1)(b)"),
    Basis.LEGAL_OBLIGATION: ("A legal obligation", "article 6(1)(c)"),
    Basis.VITAL_INTERESTS: ("Vital interests", "article 6(1)(d)"),
    Basis.PUBLIC_TASK: ("A public task", "article 6(1)(e)"),
    Basis.RECOGNISED_LEGITIMATE_INTEREST: ("A recognised legitimate interest", "article 6(1)(ea)"),
    Basis.LEGITIMATE_INTERESTS: ("Legitimate interests", "article 6(1)(f)"),
}

KINDS: Mapping[Kind, str] = {
    Kind.FACT: "States facts about a person.",
    Kind.ANNULMENT: "Takes an earlier event back: what it said no longer counts.",
    Kind.LINK: "Says that two identifiers belong to one person.",
    Kind.UNLINK: "Says that two identifiers belong to different persons.",
    Kind.CONSENT: "A citizen gives, pauses or withdraws consent to sharing.",
    Kind.OBJECTION: "A citizen objects to sharing, or lifts the objection.",
    Kind.RESTRICTION: "Protects a person: nobody receives anything unless the agreement says so.",
    Kind.ENROLMENT: "A subscriber begins or ends its work with one person.",
}

SENSITIVITY: Mapping[str, str] = {
    "standard": "Standard",
    "sensitive": "Sensitive",
    "special-category": "Special category (UK GDPR article 9): consent must name its category",
}


def basis(agreement: Agreement) -> str:
    """The lawful basis with its article."""
    name, article = BASES[agreement.basis]
    return f"{name}, UK GDPR {article}"


def lasting(duration: Duration) -> str:
    """`7 years`, `1 day`, `12 hours`."""
    hours, rest_ms = divmod(duration.ms, 3_600_000)
    parts = (
        (duration.years, "year"),
        (duration.months, "month"),
        (duration.days, "day"),
        (hours, "hour"),
        (rest_ms / 1000, "second"),
    )
    return listed(f"{n:g} {unit}{'' if n == 1 else 's'}" for n, unit in parts if n) or "no time"


def listed(texts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = [*texts] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def in_force(agreement: Agreement) -> str:
    """From when until when: days where the moments are the start and the end of one in London (DESIGN §1)."""
    begins, ends = _first_day(agreement), _last_day(agreement)
    return (
        f"{begins or format_instant(agreement.valid_from)} to {ends or format_instant(agreement.valid_until)}"
    )


def not_in_force(agreement: Agreement, now_ms: int) -> str | None:
    """Since when an agreement is not in force any more, or from when it will be; None while it is (C6)."""
    if now_ms < agreement.valid_from:
        day, moment = _first_day(agreement), format_instant(agreement.valid_from)
        return f"is not in force yet: it begins {f'on {day}' if day else f'at {moment}'}"
    if now_ms >= agreement.valid_until:
        day, moment = _last_day(agreement), format_instant(agreement.valid_until)
        return f"is not in force any more: {f'its last day was {day}' if day else f'it ended at {moment}'}"
    return None


def _first_day(agreement: Agreement) -> str | None:
    """The day with whose start an agreement begins, if it does."""
    day = _day_of(agreement.valid_from)
    return _day(day) if beginning(day.isoformat()) == agreement.valid_from else None


def _last_day(agreement: Agreement) -> str | None:
    """The day with whose end an agreement ends, if it does."""
    day = _day_of(agreement.valid_until - 1)
    return _day(day) if ending(day.isoformat()) == agreement.valid_until else None


def _day_of(instant: int) -> date:
    return datetime.fromtimestamp(instant // 1000, LONDON).date()


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def about_whom(agreement: Agreement) -> str:
    """Which persons the agreement is about."""
    match agreement.scope:
        case Where(attribute=attribute, field=field, values=values):
            what = f"{attribute}.{field}" if field else attribute
            return f"Persons whose {what} is {' or '.join(sorted(values))}"
        case Enrolled():
            return "Only persons with whom the subscriber has said that it works (it enrols them)"
        case Deceased():
            return "Only persons who have died"
        case _:
            return "Every person of whom something may be shared"


def known_by(agreement: Agreement, contracts: Contracts) -> str:
    """By which key the subscriber knows a person (C8)."""
    if agreement.subject == PAIRWISE:
        shared = agreement.pairwise_group
        beyond = (
            f"shared with the subscriber's agreements of the group {shared}"
            if shared
            else "of no use elsewhere"
        )
        return f"A pseudonym made for this agreement, {beyond}; no identifier is given"
    return f"{scheme(agreement.subject, contracts)}, which the subscriber is entitled to"


def scheme(name: str, contracts: Contracts) -> str:
    """An identifier scheme in words (I1)."""
    return "Any identifier" if name == ANY_SCHEME else contracts.schemes.title(name)


def iso(duration: Duration) -> tuple[float, str]:
    """A duration as a number and a unit, as service levels write it; the parts of a mixed one as days."""
    whole = [(duration.years, "y"), (duration.months, "m"), (duration.days, "d"), (duration.ms / 1000, "s")]
    said = [(number, unit) for number, unit in whole if number]
    return said[0] if len(said) == 1 else (duration.after(0) / DAY_MS, "d")
