"""One citizen: who they are from birth, and the state of their life as the years go by."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from producers import synthetic
from producers.departments import Event, Said, cloudevent
from schemas.times import beginning

OFFICE_OPENS_MS, OFFICE_CLOSES_MS = 8 * 3_600_000, 18 * 3_600_000
CHILD_YEARS, DRIVER_YEARS, PENSION_YEARS = 16, 17, 66


@dataclass(frozen=True, slots=True)
class Citizen:
    """What is true of a citizen for life. The serial decides every identifier."""

    serial: int
    woman: bool
    given_names: str
    family_name: str
    born: date
    born_abroad: bool
    birthplace: str

    @property
    def nhs(self) -> str:
        return synthetic.nhs_number(self.serial)

    @property
    def second_nhs(self) -> str:
        """The number that a hospital gave by mistake, where it did."""
        return synthetic.nhs_number(self.serial, second=True)

    @property
    def nino(self) -> str:
        return synthetic.nino(self.serial)

    @property
    def driver(self) -> str:
        return synthetic.driver_number(self.serial, self.family_name, self.born, woman=self.woman)

    @property
    def onelogin(self) -> str:
        return synthetic.onelogin_subject(self.serial)

    @property
    def neighbour_nhs(self) -> str:
        """Another citizen's NHS number, for the day when a caseworker confuses the two."""
        return synthetic.nhs_number(self.serial + 1)

    @property
    def born_as_known(self) -> str:
        """The date of birth as a register has it: abroad often a month or a year is all that is known."""
        text = self.born.isoformat()
        return text[: (4, 7, 10)[self.serial % 3]] if self.born_abroad else text

    def age(self, day: date) -> int:
        """Full years on a day."""
        return day.year - self.born.year - ((day.month, day.day) < (self.born.month, self.born.day))


@dataclass(slots=True)
class Job:
    """A job that is being done."""

    paye: str
    employment: dict[str, object]
    since: date
    monthly_pay_pence: int


@dataclass(slots=True)
class Claim:
    """A benefit claim in payment."""

    reference: str
    award: dict[str, object]
    since: date


@dataclass(slots=True)
class Life:
    """A citizen's life as far as ``day``, and the events that departments recorded about it."""

    citizen: Citizen
    chance: Random
    day: date
    authority: str
    address: dict[str, object]
    moved_in: date
    practice: dict[str, object]
    practice_since: date
    family_name: str
    alive: bool = True
    job: Job | None = None
    claims: dict[str, Claim] = field(default_factory=dict)
    licence_issue: int = 0
    consents: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)

    @property
    def adult(self) -> bool:
        return self.citizen.age(self.day) >= CHILD_YEARS

    @property
    def name(self) -> dict[str, object]:
        return {"given_names": self.citizen.given_names, "family_name": self.family_name}

    @property
    def account(self) -> str:
        """The council tax account with the present council: the same one when a resident comes back."""
        return synthetic.council_tax_account(self.citizen.serial, self.authority)

    def once(self, flag: str) -> bool:
        """True the first time only."""
        first = flag not in self.flags
        self.flags.add(flag)
        return first

    def maybe(self, probability: float) -> bool:
        """A throw of the dice."""
        return self.chance.random() < probability

    def if_given(self, probability: float, identifier: str) -> str | None:
        """An identifier that the citizen gave to a department, or did not."""
        return identifier if self.maybe(probability) else None

    def say(self, said: Said, on: date | None = None, within_days: int = 10) -> Event:
        """A department records something in the days after it happened, in office hours."""
        happened = on or self.day
        recorded = happened + timedelta(days=self.chance.randint(0, within_days))
        of_day_ms = self.chance.randrange(OFFICE_OPENS_MS, OFFICE_CLOSES_MS)
        time_ms = beginning(recorded.isoformat()) + of_day_ms
        event = cloudevent(
            said, f"{said.department.system}-{self.citizen.serial:06d}-{len(self.events):03d}", time_ms
        )
        self.events.append(event)
        return event

    def later(self, days_min: int, days_max: int) -> date:
        """A day some time after today."""
        return self.day + timedelta(days=self.chance.randint(days_min, days_max))


def new_citizen(serial: int, chance: Random, window_start: date, window_end: date) -> Citizen:
    """Somebody alive in the window: one in eight is born in it, the others are of all ages."""
    if chance.random() < 1 / 8:
        born = window_start + timedelta(days=chance.randrange((window_end - window_start).days))
    else:
        born = window_start - timedelta(days=chance.randrange(1, 95 * 365))
    woman = chance.random() < 0.5
    return Citizen(
        serial=serial,
        woman=woman,
        given_names=chance.choice(synthetic.WOMEN if woman else synthetic.MEN),
        family_name=chance.choice(synthetic.FAMILY_NAMES),
        born=born,
        born_abroad=born < window_start and chance.random() < 0.15,
        birthplace=chance.choice(("leeds", "leeds", "york")),
    )


def new_life(citizen: Citizen, chance: Random, window_start: date) -> Life:
    """The life as the window opens, or as the child is born; departments have not heard of it yet."""
    day = max(window_start, citizen.born)
    lived_here_days = chance.randrange(30, 12 * 365)
    since = max(citizen.born, day - timedelta(days=lived_here_days))
    return Life(
        citizen=citizen,
        chance=chance,
        day=day,
        authority=citizen.birthplace,
        address=synthetic.address(citizen.birthplace, chance.randrange(10**6)),
        moved_in=since,
        practice=synthetic.practice(citizen.birthplace, chance.randrange(100)),
        practice_since=since,
        family_name=citizen.family_name,
    )
