"""What departments get wrong, and how they put it right.

A backbone that has only seen right data has not been tried: the wrong matches, the second numbers and the
deaths of the living are here, in proportions that are far above the real ones.
"""

from __future__ import annotations

from producers import departments as said
from producers.circumstances import Circumstance
from producers.life import Life


def confuse_with_neighbour(life: Life) -> None:
    """A caseworker joins two people; most are noticed and taken apart (I2)."""
    department = life.chance.choice((said.DWP, said.COUNCIL[life.authority]))
    other = f"nhs:{life.citizen.neighbour_nhs}"
    life.say(said.match(department, life.citizen.nino, other), within_days=0)
    if life.maybe(0.8):
        corrected = life.later(5, 200)
        life.say(said.match(department, life.citizen.nino, other, linked=False), on=corrected, within_days=0)


def prove_the_wrong_account(life: Life) -> None:
    """A One Login account is proved against another's NHS number, then against the right one."""
    if not life.once("wrong account"):
        return
    account, citizen = life.citizen.onelogin, life.citizen
    wrong = f"nhs:{citizen.neighbour_nhs}"
    life.say(said.account_link(account, wrong), within_days=0)
    day = life.later(1, 60)
    life.say(said.account_link(account, wrong, linked=False), on=day, within_days=0)
    life.say(said.account_link(account, f"nhs:{citizen.nhs}"), on=day, within_days=5)


def be_given_a_second_nhs_number(life: Life) -> None:
    """A hospital does not find a patient and makes another; the National Back Office merges them (I2)."""
    if not life.once("second number"):
        return
    citizen = life.citizen
    nino = life.if_given(0.5, citizen.nino) if life.adult else None
    life.say(said.registration(citizen.second_nhs, nino, life.practice, life.day.isoformat()))
    if life.maybe(0.85):
        superseded = said.number_superseded(citizen.second_nhs, citizen.nhs)
        life.say(superseded, on=life.later(30, 250))


def be_declared_dead(life: Life) -> None:
    """A registrar enters a death against the wrong NHS number; it is annulled and life goes on (R3)."""
    citizen, on = life.citizen, life.day.isoformat()
    entry = f"{life.day.year}-{citizen.serial:06d}X"
    entered = said.death(citizen.nhs, None, on, authority=life.authority, entry=entry, registered_on=on)
    death = life.say(entered, within_days=5)
    subject = f"nhs:{citizen.nhs}"
    annulled = life.later(7, 60)
    life.say(said.annulment(said.GRO, subject, death, "WRONG_PERSON"), on=annulled)


#: Often enough that a few hundred citizens show each.
MONTHLY: tuple[Circumstance, ...] = (
    Circumstance(0.3, lambda life: life.adult, confuse_with_neighbour),
    Circumstance(0.2, lambda life: life.adult, prove_the_wrong_account),
    Circumstance(0.4, lambda life: True, be_given_a_second_nhs_number),
    Circumstance(0.15, lambda life: True, be_declared_dead),
)
