"""What citizens decide about the sharing of their data, and what is decided to protect them (§5)."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from producers import departments as said
from producers.circumstances import Circumstance
from producers.life import Life


class Offer(NamedTuple):
    """A service that asks for consent: to whom it is offered, and which categories people choose."""

    subscriber: str
    purpose: str
    authority: str | None
    choices: tuple[list[str], ...]


OFFERS = (
    Offer(
        "council-leeds",
        "housing-support",
        "leeds",
        (["identity", "contact", "money"], ["contact", "money"], [], ["contact", "money", "health"]),
    ),
    Offer("council-york", "carers-support", "york", (["identity", "contact"], [], ["contact", "work"])),
    Offer("dvla", "renewal-reminders", None, (["contact", "driving"],)),
)

GRANTED, PAUSED, WITHDRAWN = "GRANTED", "PAUSED", "WITHDRAWN"
ENROLLED_AGREEMENT = "council-york-social-care"


def _subject(life: Life) -> str:
    """Any identifier will do, and citizens use what they have at hand (C1)."""
    citizen = life.citizen
    return life.chance.choice((f"nino:{citizen.nino}", f"nhs:{citizen.nhs}", f"nhs:{citizen.nhs}"))


def _decide(life: Life, offer: Offer, state: str) -> None:
    life.consents[offer.purpose] = state
    categories = life.chance.choice(offer.choices) if state == GRANTED else []
    at_the_desk = offer.subscriber == "council-leeds" and life.maybe(0.25)
    department = said.COUNCIL["leeds"] if at_the_desk else said.CONSENT
    ends = state == GRANTED and life.maybe(0.2)
    until = (life.day + timedelta(days=365)).isoformat() if ends else None
    who = _subject(life)
    life.say(
        said.decision(
            department,
            who,
            offer.subscriber,
            offer.purpose,
            categories=categories,
            state=state,
            until=until,
        ),
        within_days=0,
    )


def consent(life: Life) -> None:
    """Give, or change one's mind: most who withdrew stay away, some come back."""
    offers = [o for o in OFFERS if o.authority in (None, life.authority)]
    offer = life.chance.choice(offers)
    held = life.consents.get(offer.purpose)
    if held == GRANTED:
        _decide(life, offer, WITHDRAWN if life.maybe(0.75) else PAUSED)
    elif held is None or life.maybe(0.4):
        _decide(life, offer, GRANTED)


def object_to_sharing(life: Life) -> None:
    """An objection to one purpose or to everything; two in five are lifted in the year after."""
    subscriber, purpose = life.chance.choice(
        (("council-york", "adult-social-care"), ("*", "*"), ("dvla", "*"))
    )
    who = _subject(life)
    life.say(said.objection(who, subscriber, purpose, "OBJECTED"), within_days=0)
    if life.maybe(0.4):
        life.say(said.objection(who, subscriber, purpose, "LIFTED"), on=life.later(30, 365))


def need_protection(life: Life) -> None:
    """Somebody in danger; some are safe again later."""
    department = life.chance.choice((said.HOME_OFFICE, said.NHS))
    who = _subject(life)
    life.say(said.restriction(department, who, "RESTRICTED"), within_days=0)
    if life.maybe(0.3):
        life.say(said.restriction(department, who, "LIFTED"), on=life.later(60, 700))


def need_care(life: Life) -> None:
    """York's social workers enrol whom they work with, and end it when the work is done."""
    who, department = _subject(life), said.COUNCIL["york"]
    life.say(said.enrolment(department, who, ENROLLED_AGREEMENT, "ENROLLED"), within_days=3)
    if life.maybe(0.4):
        life.say(said.enrolment(department, who, ENROLLED_AGREEMENT, "ENDED"), on=life.later(60, 500))


#: Beside what happens to people: what they decide.
MONTHLY: tuple[Circumstance, ...] = (
    Circumstance(22, lambda life: life.adult, consent),
    Circumstance(0.7, lambda life: life.adult, object_to_sharing),
    Circumstance(0.2, lambda life: True, need_protection),
    Circumstance(3, lambda life: life.adult and life.authority == "york" and life.once("care"), need_care),
)
