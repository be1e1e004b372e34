"""The demo's hand-written citizen: what departments say of her, as their own systems would write it.

Every run invents her anew, with identifiers that no earlier run has used, so that the demo can be played on
a stack that already holds its earlier runs.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from producers import Event, synthetic
from producers import departments as said

DAY_MS = 24 * 3600 * 1000
NAME = {"given_names": "Rosa", "family_name": "Garamond"}
HOUSING = ("council-leeds", "housing-support")


class Rosa:
    """One citizen, known to DWP by one number, to the NHS by another, to Leeds by an account."""

    def __init__(self, serial: int, now_ms: int) -> None:
        self.nino = synthetic.nino(serial)
        self.nhs = synthetic.nhs_number(serial)
        self.account = synthetic.council_tax_account(serial, "leeds")
        self.claim = f"UC-9{serial:07d}"
        self.address = synthetic.address("leeds", serial)
        self.practice = synthetic.practice("leeds", serial)
        self._run = secrets.token_hex(4)
        self._now_ms = now_ms
        self._told = 0

    def known_to_dwp(self) -> list[Event]:
        """DWP: who she is and what she is paid, under her National Insurance number."""
        claimant = said.claimant(self.nino, self._day(400), name=NAME, date_of_birth="1987-04")
        return [self._event(claimant, 400), self._event(self._award(81_250, self._day(90)), 90)]

    def known_to_leeds(self) -> list[Event]:
        """Leeds: where she lives, under her council tax account; the form asked for her NINO."""
        moved = said.address_change("leeds", self.account, self.nino, self.address, self._day(60))
        return [self._event(moved, 58)]

    def consents(self) -> list[Event]:
        """The consent service: she lets Leeds see four categories, to help her keep her home."""
        decision = said.decision(
            said.CONSENT,
            f"nino:{self.nino}",
            *HOUSING,
            categories=["identity", "contact", "money", "health"],
            state="GRANTED",
            until=None,
        )
        return [self._event(decision, 30)]

    def known_to_nhs(self) -> list[Event]:
        """NHS: her practice, under her NHS number; nobody asked for another number."""
        return [self._event(said.registration(self.nhs, None, self.practice, self._day(200)), 200)]

    def linked(self) -> list[Event]:
        """DWP: a caseworker saw that the two numbers are one person."""
        return [self._event(said.match(said.DWP, self.nino, f"nhs:{self.nhs}"), 0)]

    def withdraws(self) -> list[Event]:
        """The consent service: she withdraws, and proves herself with her NHS number this time."""
        decision = said.decision(
            said.CONSENT, f"nhs:{self.nhs}", *HOUSING, categories=[], state="WITHDRAWN", until=None
        )
        return [self._event(decision, 0)]

    def is_paid_more(self) -> list[Event]:
        """DWP: the same claim, another amount from today."""
        return [self._event(self._award(84_500, self._day(0)), 0)]

    def _award(self, pence: int, starts: str) -> said.Said:
        award = {
            "benefit": "UNIVERSAL_CREDIT",
            "status": "IN_PAYMENT",
            "amount_pence": pence,
            "payment_period": "MONTHLY",
            "housing_element_pence": 42_000,
        }
        return said.award(self.nino, self.claim, award, starts)

    def _event(self, what: said.Said, days_ago: int) -> Event:
        self._told += 1
        return said.cloudevent(what, f"demo-{self._run}-{self._told}", self._now_ms - days_ago * DAY_MS)

    def _day(self, days_ago: int) -> str:
        now = datetime.fromtimestamp(self._now_ms / 1000, UTC)
        return (now - timedelta(days=days_ago)).date().isoformat()


def new_rosa(now_ms: int) -> Rosa:
    """Invent her: one of a quarter of a million, so that two runs on one stack rarely meet."""
    return Rosa(secrets.randbelow(synthetic.CITIZENS_MAX), now_ms)
