"""The connectors' contract, for GOV.UK services against their stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.event_types import LINK_TYPE
from connectors.trouble import Trouble
from schemas import unframe
from tests.contract.connector_contract import Carrier, ConnectorContract, Fuse
from tests.contract.sink_carrier import IntoSink
from tests.gateway_kit import rules
from tests.notify_kit import NotifyRig, entry
from tests.onelogin_kit import DRIVER, LinkRig
from tests.pay_kit import LEEDS, SECRET, PayRig, pay_rig
from tests.standins.govuk_notify_stand_in import GovukNotifyStandIn
from tests.standins.govuk_one_login_stand_in import GovukOneLoginStandIn
from tests.standins.govuk_pay_stand_in import GovukPayStandIn, message_body

CREATED = "2026-11-26T10:36:26.988Z"


def named(ids: list[str]) -> list[tuple[str, int]]:
    """Items by their events' ids, each counted where it first came, as (source, id) makes it (E1)."""
    return [(key, int(number)) for key, _, number in (each.partition("-") for each in dict.fromkeys(ids))]


# -- GOV.UK Pay ------------------------------------------------------------------------------------------


class OverPay(IntoSink):
    """GOV.UK Pay's stand-in, which sends again what was not answered with 2xx; the door; a broker in memory.

    The stand-in sends in order and waits for each answer; GOV.UK Pay may not, and the event's own moment
    orders a payment's milestones then (R4), wherever they arrive first.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sender = GovukPayStandIn(self._send, SECRET)
        self.begin()

    def started(self) -> PayRig:
        return pay_rig(self.directory)

    def run(self, step: Any) -> None:
        self.rig.runner.run(step)

    def _send(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        self.fuse.touch()
        answer = self.rig.post(path, body, headers)
        self.fuse.touch()  # killed here, the event is on the broker and GOV.UK Pay never hears of it
        if answer.status_code not in (204, 503, 429):
            self.told.append(answer.text)
        return answer.status_code

    def give(self, key: str, number: int) -> None:
        account = {"council_tax_account": f"E08000035-1000000{ord(key) % 10}"}
        self.sender.queue(LEEDS, message_body(f"{key}-{number}", CREATED, metadata=account))

    def give_again(self, key: str, number: int) -> None:
        self.give(key, number)

    def give_malformed(self, secret: str) -> None:
        metadata = {"council_tax_account": secret}
        self.sender.queue(LEEDS, message_body("x-1", CREATED, metadata=metadata))

    def work(self) -> None:
        for message in self.sender.waiting():
            if not self.sender.attempt(message) and message.attempts[-1] in (503, 429):
                return  # a minute passes before it is sent again

    def arrived(self) -> list[tuple[str, int]]:
        return named([dict(each.headers)["ce_id"].decode() for each in self.sent])

    def waiting(self) -> int:
        return sum(1 for each in self.sender.waiting() if each.attempts[-1:] != [422])


class TestPaymentsOfGovukPay(ConnectorContract):
    """GOV.UK Pay's door, and a sender that keeps to its documentation."""

    @pytest.fixture
    def carrier(self, tmp_path: Path) -> Carrier:
        return OverPay(tmp_path)


# -- GOV.UK One Login ------------------------------------------------------------------------------------


class OverOneLogin(IntoSink):
    """A department's service that repeats what was not answered with 202, the stand-in's keys, the door, its
    journal on disk, and a broker in memory.
    """

    def __init__(self, directory: Path, stand_in: GovukOneLoginStandIn) -> None:
        self.directory, self.stand_in = directory, stand_in
        self.unanswered: list[dict[str, Any]] = []
        self.given: dict[str, dict[str, Any]] = {}
        self.begin()

    def started(self) -> LinkRig:
        return LinkRig(self.directory, self.stand_in)

    def stopped(self) -> None:
        self.rig.close()

    def run(self, step: Any) -> None:
        self.rig.runner.run(step)

    def give(self, key: str, number: int, identifier: str = DRIVER) -> None:
        subject = f"urn:fdc:gov.uk:2022:{key}-{number}-of-a-test"
        nonce = f"nonce-of-{key}-{number}"
        if nonce not in self.given:
            self.given[nonce] = self.rig.body(nonce, identifier, subject=subject)
        self.unanswered.append(self.given[nonce])

    def give_again(self, key: str, number: int) -> None:
        self.give(key, number)

    def give_malformed(self, secret: str) -> None:
        self.give("x", 1, secret)

    def work(self) -> None:
        while self.unanswered:
            self.fuse.touch()
            answer = self.rig.ask(self.unanswered[0])
            self.fuse.touch()
            if answer.status_code in (429, 503):
                return
            if answer.status_code != 202:
                self.told.append(answer.text)
            self.unanswered.pop(0)

    def arrived(self) -> list[tuple[str, int]]:
        contract = rules()[0].by_type[LINK_TYPE]
        accounts = {}
        for each in self.sent:  # as (source, id) names it, whatever it says (E1)
            link = contract.from_avro(unframe(each.value)[1])
            accounts.setdefault(dict(each.headers)["ce_id"], str(link["account"]).rpartition(":")[2])
        return [(key, int(number)) for key, number, *_ in (each.split("-") for each in accounts.values())]

    def waiting(self) -> int:
        return len(self.unanswered)


class TestLinksOfOneLogin(ConnectorContract):
    """GOV.UK One Login's door, and a service that keeps to its documentation."""

    @pytest.fixture
    def carrier(self, tmp_path: Path) -> Iterator[Carrier]:
        stand_in = GovukOneLoginStandIn()
        made = OverOneLogin(tmp_path, stand_in)
        yield made
        made.rig.close()
        stand_in.close()


# -- GOV.UK Notify ---------------------------------------------------------------------------------------


class OverNotify(Carrier):
    """A disclosure log in memory, the rounds with their journal on disk, the official client, the stand-in.

    A key is a person, a number how many attributes are shown: each is news to that person.
    """

    stops_at_malformed = True

    def __init__(self, directory: Path) -> None:
        self.directory, self.fuse = directory, Fuse()
        self.stand_in = GovukNotifyStandIn()
        self.rig = NotifyRig(directory, self.stand_in, timeout_s=0.5)
        self.told: list[str] = []
        for key in ("a", "b", "c"):
            self.rig.knows(key)
        self._watched()

    def _watched(self) -> None:
        self.rig.touch = self.rig.log.touch = self.fuse.touch

    def give(self, key: str, number: int) -> None:
        shown = [f"attribute_{n}" for n in range(1, number + 1)]
        self.rig.log.records.append(entry(key, number, shown))

    def give_again(self, key: str, number: int) -> None:
        self.rig.log.at = 0  # the log is read again from its beginning, as by one who is not sure

    def give_malformed(self, secret: str) -> None:
        self.rig.log.records.append(f'{{"person": "{secret}"}}'.encode())

    def work(self) -> None:
        try:
            self.rig.work(3)
        except Trouble as trouble:
            self.told.append(str(trouble))

    def die_at(self, touch: int) -> None:
        self.fuse.left = touch

    def restart(self) -> None:
        self.rig.end()
        self.rig.begin()
        self.fuse = Fuse()
        self._watched()

    def peer(self, state: str) -> None:
        self.stand_in.slow_s = 1.0 if state == "slow" else 0.0
        dead = (503, "Exception", "Unavailable")
        self.stand_in.fault = (lambda _: dead) if state == "dead" else (lambda _: None)

    def arrived(self) -> list[tuple[str, int]]:
        counts: dict[str, int] = {}
        found = []
        for address, _ in self.rig.told():  # one that came twice would be counted twice
            key = address.partition("@")[0]
            counts[key] = counts.get(key, 0) + 1
            found.append((key, counts[key]))
        return found

    def waiting(self) -> int:
        counts = self.rig.journal.counts()
        return (
            counts["due"] + counts["unknown"] + len(self.rig.log.records) - self.rig.log.at + len(self.told)
        )

    def reported(self) -> str:
        return "\n".join(self.told)


class TestNoticesOfGovukNotify(ConnectorContract):
    """Notices, with the clock of the test; the peer answers slowly, or with errors, for real."""

    @pytest.fixture
    def carrier(self, tmp_path: Path) -> Iterator[Carrier]:
        made = OverNotify(tmp_path)
        yield made
        made.rig.end()
        made.stand_in.close()
