"""What happens in a life, month by month, and what each department records of it.

:data:`MONTHLY` is the table to read first: who may meet with what, and how often.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from producers import departments as said
from producers import synthetic
from producers.life import DRIVER_YEARS, PENSION_YEARS, Claim, Job, Life

LICENCE_YEARS = 10
HOURS = ("UP_TO_15_99", "FROM_16_TO_23_99", "FROM_24_TO_29_99", "FROM_30", "FROM_30", "OTHER")


def become_known(life: Life) -> None:
    """The registers load what they already hold about somebody, or a child is born."""
    citizen = life.citizen
    if not citizen.born_abroad:
        signed = (citizen.born + timedelta(days=14)).isoformat()
        entry = f"{citizen.born.year}-{citizen.serial:06d}"
        hospital = synthetic.HOSPITALS[citizen.birthplace]
        name = {"given_names": citizen.given_names, "family_name": citizen.family_name}
        born = citizen.born.isoformat()
        life.say(
            said.birth(
                citizen.nhs,
                born,
                name,
                authority=citizen.birthplace,
                hospital=hospital,
                entry=entry,
                registered_on=signed,
            ),
            within_days=40,
        )
    since = life.practice_since.isoformat()
    life.say(said.registration(citizen.nhs, life.if_given(0.1, citizen.nino), life.practice, since))
    known = {"name": life.name, "birth_date": citizen.born_as_known, "home_address": life.address}
    life.say(said.demographics(citizen.nhs, life.moved_in.isoformat(), **known))
    if life.adult:
        come_of_age(life)


def come_of_age(life: Life) -> None:
    """HMRC issues a number at sixteen, and a council comes to know the householder."""
    life.flags.add("of age")
    citizen = life.citizen
    nhs = None if citizen.born_abroad else life.if_given(0.75, citizen.nhs)
    life.say(
        said.national_insurance_number(citizen.nino, nhs, life.name, life.day.isoformat()), within_days=30
    )
    open_account(life)
    if life.maybe(0.45):
        identifier = life.chance.choice((f"nino:{citizen.nino}", f"nhs:{citizen.nhs}"))
        life.say(said.account_link(citizen.onelogin, identifier), within_days=90)


def open_account(life: Life) -> None:
    """The council bills whoever has moved in."""
    nino = life.if_given(0.6, life.citizen.nino)
    since = life.moved_in.isoformat()
    life.say(said.address_change(life.authority, life.account, nino, life.address, since))
    liability = {
        "authority": life.authority,
        "band": life.chance.choice("AABBBCCDDEFG"),
        "discount": "SINGLE_PERSON" if life.maybe(0.3) else "NONE",
    }
    life.say(said.council_tax_account(life.authority, life.account, nino, liability, since))
    if nino is None and life.maybe(0.15):
        department = said.COUNCIL[life.authority]
        other = f"ctax:{life.account}"
        life.say(said.match(department, life.citizen.nino, other), on=life.later(20, 200))


def move(life: Life) -> None:
    """To another street, or to the other council; the practice hears of it some time, or never."""
    last_day = (life.day - timedelta(days=1)).isoformat()
    if life.adult:
        since = life.moved_in.isoformat()
        life.say(said.address_change(life.authority, life.account, None, life.address, since, until=last_day))
    if life.maybe(0.35):
        life.authority = "york" if life.authority == "leeds" else "leeds"
    life.address = synthetic.address(life.authority, life.chance.randrange(10**6))
    life.moved_in = life.day
    if life.adult:
        open_account(life)
    if life.claims:
        life.say(said.claimant(life.citizen.nino, life.day.isoformat(), address=life.address), within_days=30)
    if life.maybe(0.7):
        life.say(
            said.demographics(life.citizen.nhs, life.day.isoformat(), home_address=life.address),
            within_days=90,
        )
    if life.maybe(0.6):
        change_practice(life)


def change_practice(life: Life) -> None:
    """A new practice; the old one's list ends the day before."""
    since = life.practice_since.isoformat()
    last_day = (life.day - timedelta(days=1)).isoformat()
    life.say(said.registration(life.citizen.nhs, None, life.practice, since, last_day))
    life.practice = synthetic.practice(life.authority, life.chance.randrange(100))
    life.practice_since = life.day
    life.say(said.registration(life.citizen.nhs, None, life.practice, life.day.isoformat()))


def start_work(life: Life) -> None:
    """A job under PAYE; the Universal Credit claim of somebody without one ends."""
    choice = life.chance.randrange(len(synthetic.EMPLOYERS))
    details = {
        "employer_name": synthetic.employer(choice),
        "payroll_id": f"{life.chance.randrange(10**5):05d}",
        "normal_hours": life.chance.choice(HOURS),
        "irregular": life.maybe(0.1),
    }
    pay = life.chance.randrange(60_000, 420_000, 50)
    life.job = Job(synthetic.paye_reference(choice), details, life.day, pay)
    life.say(said.employment(life.citizen.nino, life.job.paye, details, life.day.isoformat()), within_days=35)
    if life.maybe(0.5):
        end_claim(life, "UC")


def be_paid(life: Life) -> None:
    """HMRC's figures twice a year, as of the last payment."""
    job = life.job
    if job is None:
        return
    months = (life.day.month - 4) % 12 + 1
    to_date = job.monthly_pay_pence * months
    first_year = life.day.year if life.day.month >= 4 else life.day.year - 1
    earnings = {
        "tax_year": f"{first_year}-{(first_year + 1) % 100:02d}",
        "pay_frequency": "M1",
        "taxable_pay_in_period_pence": job.monthly_pay_pence,
        "taxable_pay_to_date_pence": to_date,
        "tax_deducted_to_date_pence": max(0, to_date - 104_750 * months) // 5,
    }
    life.say(said.payment(life.citizen.nino, job.paye, earnings, life.day.isoformat()), within_days=3)


def leave_work(life: Life) -> None:
    """A job ends; some claim Universal Credit."""
    job = life.job
    if job is None:
        return
    life.job = None
    start, last_day = job.since.isoformat(), life.day.isoformat()
    life.say(said.employment(life.citizen.nino, job.paye, job.employment, start, last_day), within_days=35)
    if life.maybe(0.5) and life.alive:
        claim(life, "UC")


def become_self_employed(life: Life) -> None:
    """HMRC gives a Unique Taxpayer Reference, once."""
    if life.once("utr"):
        utr = synthetic.utr(life.citizen.serial)
        life.say(said.self_assessment(utr, life.if_given(0.95, life.citizen.nino), life.day.isoformat()))


BENEFITS = {
    "UC": ("UNIVERSAL_CREDIT", "MONTHLY", (40_000, 140_000)),
    "PIP": ("PERSONAL_INDEPENDENCE_PAYMENT", "FOUR_WEEKLY", (29_000, 73_000)),
    "SP": ("STATE_PENSION", "FOUR_WEEKLY", (70_000, 92_000)),
    "PC": ("PENSION_CREDIT", "WEEKLY", (2_000, 9_000)),
}


def claim(life: Life, kind: str) -> None:
    """A benefit is claimed and awarded; DWP takes the claimant's details."""
    if kind in life.claims:
        return
    benefit, period, (least, most) = BENEFITS[kind]
    amount = life.chance.randrange(least, most, 5)
    award = {"benefit": benefit, "status": "IN_PAYMENT", "amount_pence": amount, "payment_period": period}
    if kind == "UC" and life.maybe(0.6):
        award["housing_element_pence"] = amount // 2
    reference = f"{kind}-{life.citizen.serial:06d}{len(life.events):03d}"
    life.claims[kind] = Claim(reference, award, life.day)
    nino, since = life.citizen.nino, life.day.isoformat()
    if life.once("claimant"):
        nhs = life.if_given(0.3, life.citizen.nhs)
        known = {"name": life.name, "date_of_birth": life.citizen.born_as_known, "address": life.address}
        life.say(said.claimant(nino, since, nhs_number=nhs, **known))
    first = life.say(said.award(nino, reference, award, since), within_days=35)
    if life.maybe(0.05):  # the first decision was wrong: the correction says which event it replaces (R3)
        award = {**award, "amount_pence": amount + 1_250}
        life.claims[kind].award = award
        life.say(said.award(nino, reference, award, since, prior=first["id"]), on=life.later(40, 70))


def uprate(life: Life) -> None:
    """Every April, every award rises."""
    for held in life.claims.values():
        amount = held.award["amount_pence"]
        assert isinstance(amount, int)  # noqa: S101 - ours, from the line above it was made
        held.award = {**held.award, "amount_pence": amount * 104 // 100}
        held.since = life.day
        life.say(said.award(life.citizen.nino, held.reference, held.award, life.day.isoformat()))


def end_claim(life: Life, kind: str) -> None:
    """The award ends today."""
    held = life.claims.pop(kind, None)
    if held is not None:
        starts, ends = held.since.isoformat(), life.day.isoformat()
        life.say(said.award(life.citizen.nino, held.reference, held.award, starts, ends=ends))


def learn_to_drive(life: Life) -> None:
    """Provisional, then full, then renewed every ten years; some lose points, few the licence."""
    life.licence_issue += 1
    licence_type = "PROVISIONAL" if life.licence_issue == 1 and life.citizen.age(life.day) < 30 else "FULL"
    points = life.chance.choice((0, 0, 0, 0, 3, 6, 12))
    details = {
        "type": licence_type,
        "status": "DISQUALIFIED" if points == 12 else "VALID",
        "categories": ["AM", "B"] if licence_type == "FULL" else ["B"],
        "penalty_points": points,
    }
    until = (life.day + timedelta(days=LICENCE_YEARS * 365)).isoformat()
    nino = life.if_given(0.8, life.citizen.nino)
    passport = life.if_given(0.5, synthetic.passport_number(life.citizen.serial))
    since, issue = life.day.isoformat(), life.licence_issue
    life.say(
        said.licence(life.citizen.driver, nino, passport, details, since=since, until=until, issue=issue)
    )


def marry(life: Life) -> None:
    """Some take another name; each register hears of it by itself, or does not."""
    if life.maybe(0.5) and life.once("name"):
        life.family_name = life.chance.choice(synthetic.FAMILY_NAMES)
        on = life.day.isoformat()
        life.say(said.national_insurance_number(life.citizen.nino, None, life.name, on), within_days=60)
        if life.maybe(0.7):
            life.say(said.demographics(life.citizen.nhs, on, name=life.name), within_days=120)
        if life.claims:
            life.say(said.claimant(life.citizen.nino, on, name=life.name), within_days=60)


def die(life: Life) -> None:
    """The NHS hears first, the registrar proves it, and whatever was running ends."""
    life.alive = False
    citizen, on = life.citizen, life.day.isoformat()
    if life.maybe(0.5):
        life.say(said.death_notification(citizen.nhs, on), within_days=2)
    signed = life.later(2, 8)
    entry = f"{life.day.year}-{citizen.serial:06d}"
    nino = life.if_given(0.5, citizen.nino) if life.adult else None
    died = on[:7] if life.maybe(0.03) else on
    life.say(
        said.death(
            citizen.nhs, nino, died, authority=life.authority, entry=entry, registered_on=signed.isoformat()
        ),
        on=signed,
        within_days=2,
    )
    leave_work(life)
    for kind in tuple(life.claims):
        end_claim(life, kind)
    life.say(
        said.registration(citizen.nhs, None, life.practice, life.practice_since.isoformat(), on),
        within_days=40,
    )


class Circumstance(NamedTuple):
    """One row: in how many of a thousand months it happens to whom."""

    per_mille: float
    who: Callable[[Life], bool]
    happens: Callable[[Life], None]


def _of_working_age(life: Life) -> bool:
    return life.adult and life.citizen.age(life.day) < PENSION_YEARS


def _may_drive(life: Life) -> bool:
    return life.citizen.age(life.day) >= DRIVER_YEARS and life.licence_issue < 2


def _retired(life: Life) -> bool:
    return life.citizen.age(life.day) >= PENSION_YEARS


#: In this order within a month; a life that has ended meets with nothing more.
MONTHLY: tuple[Circumstance, ...] = (
    Circumstance(1000, lambda life: life.adult and life.once("of age"), come_of_age),
    Circumstance(9, lambda life: True, move),
    Circumstance(60, lambda life: _of_working_age(life) and life.job is None, start_work),
    Circumstance(1000, lambda life: life.job is not None and life.day.month in (3, 9), be_paid),
    Circumstance(18, lambda life: life.job is not None, leave_work),
    Circumstance(3, _of_working_age, become_self_employed),
    Circumstance(3, lambda life: life.adult, lambda life: claim(life, "PIP")),
    Circumstance(1000, lambda life: bool(life.claims) and life.day.month == 4, uprate),
    Circumstance(1000, lambda life: _retired(life) and life.once("pension"), lambda life: claim(life, "SP")),
    Circumstance(4, _retired, lambda life: claim(life, "PC")),
    Circumstance(6, lambda life: True, change_practice),
    Circumstance(25, _may_drive, learn_to_drive),
    Circumstance(3, lambda life: life.adult, marry),
    Circumstance(0.3, lambda life: True, die),
    Circumstance(5, _retired, die),
)
