"""The connectors' contract, for publishing over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.connector_contract import Carrier, ConnectorContract
from tests.contract.sink_carrier import IntoSink
from tests.gateway_kit import Rig, claimant, rig

ROOT = Path(__file__).resolve().parents[2]
TYPE, HOUSING = "uk.gov.benefits.claimant.v1", "council-leeds-housing"
NINOS = {"a": "NC000001C", "b": "NC000002C", "c": "NC000003C"}


def in_order(found: Iterator[tuple[str, str]]) -> list[tuple[str, int]]:
    """Items by their ids, each counted where it first came, as (source, id) makes it (E1)."""
    return [(key, int(number)) for key, _, number in dict.fromkeys(name.rpartition("-") for _, name in found)]


# -- publishing over HTTP --------------------------------------------------------------------------------


class OverHttp(IntoSink):
    """A client that repeats what was not answered with 202, a gateway, and a broker in memory."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.unanswered: list[dict[str, Any]] = []
        self.begin()

    def started(self) -> Rig:
        return rig(self.tmp_path)

    def run(self, step: Any) -> None:
        self.rig.http.runner.run(step)

    def give(self, key: str, number: int) -> None:
        self.unanswered.append(claimant(f"{key}-{number}", nino=NINOS[key]))

    def give_again(self, key: str, number: int) -> None:
        self.give(key, number)

    def give_malformed(self, secret: str) -> None:
        self.unanswered.append(claimant("x-1", nino=f"{secret}!"))

    def work(self) -> None:
        while self.unanswered:
            self.fuse.touch()
            answer = self.rig.publish(self.unanswered[0])
            self.fuse.touch()
            if answer.status_code in (429, 503):
                return
            if answer.status_code != 202:
                self.told.append(answer.text)
            self.unanswered.pop(0)

    def arrived(self) -> list[tuple[str, int]]:
        return in_order(("", dict(sent.headers)["ce_id"].decode()) for sent in self.sent)  # type: ignore[arg-type]

    def waiting(self) -> int:
        return len(self.unanswered)


class TestPublishingOverHttp(ConnectorContract):
    """The gateway and a client that keeps to its documentation."""

    @pytest.fixture
    def carrier(self, tmp_path: Path) -> Carrier:
        return OverHttp(tmp_path)
