"""The connectors' contract, for GOV.UK services against their stand-ins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.connector_contract import Carrier, ConnectorContract, Fuse
from tests.pay_kit import LEEDS, SECRET, PayRig, pay_rig
from tests.standins.govuk_pay_stand_in import GovukPayStandIn, message_body

CREATED = "2026-11-26T10:36:26.988Z"


def named(ids: list[str]) -> list[tuple[str, int]]:
    """Items by their events' ids, each counted where it first came, as (source, id) makes it (E1)."""
    return [(key, int(number)) for key, _, number in (each.partition("-") for each in dict.fromkeys(ids))]


# -- GOV.UK Pay ------------------------------------------------------------------------------------------


class OverPay(Carrier):
    """GOV.UK Pay's stand-in, which sends again what was not answered with 2xx; the door; a broker in memory.

    The stand-in sends in order and waits for each answer; GOV.UK Pay may not, and the event's own moment
    orders a payment's milestones then (R4), wherever they arrive first.
    """

    def __init__(self, directory: Path) -> None:
        self.directory, self.fuse = directory, Fuse()
        self.sender = GovukPayStandIn(self._send, SECRET)
        self.rig: PayRig = pay_rig(directory)
        self.sent = self.rig.sink.sent
        self.told: list[str] = []

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

    def die_at(self, touch: int) -> None:
        self.fuse.left = touch

    def restart(self) -> None:
        state = self.rig.sink.away, self.rig.sink.held
        self.rig, self.fuse = pay_rig(self.directory), Fuse()
        self.rig.sink.sent = self.sent
        self.rig.sink.away, self.rig.sink.held = state

    def peer(self, state: str) -> None:
        sink = self.rig.sink
        sink.away, sink.held = state == "dead", state == "slow"
        if state == "well":
            self.rig.runner.run(_acknowledged(sink.acknowledge))

    def arrived(self) -> list[tuple[str, int]]:
        return named([dict(each.headers)["ce_id"].decode() for each in self.sent])

    def waiting(self) -> int:
        return sum(1 for each in self.sender.waiting() if each.attempts[-1:] != [422])

    def reported(self) -> str:
        return "\n".join(self.told)


async def _acknowledged(acknowledge: Callable[[], None]) -> None:
    acknowledge()
    await asyncio.sleep(0)


class TestPaymentsOfGovukPay(ConnectorContract):
    """GOV.UK Pay's door, and a sender that keeps to its documentation."""

    @pytest.fixture
    def carrier(self, tmp_path: Path) -> Carrier:
        return OverPay(tmp_path)
