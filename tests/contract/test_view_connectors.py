"""The connectors' contract, for views on their way out: by webhook, and over HTTP as a subscriber asks."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.away import Away
from connectors.kafka_follower import Positions
from connectors.view_topics.memory import MemoryViews
from connectors.view_topics.ports import Page
from connectors.view_topics.records import ViewRecords
from connectors.webhook import reader as reading
from connectors.webhook.answers import Answer, Outcome
from connectors.webhook.courier import Courier
from connectors.webhook.desk import Desk
from connectors.webhook.journal import Journal
from connectors.webhook.outbox import Outbox
from connectors.webhook.reader import Reader
from postroom.composition import load_rules_files
from schemas import ViewCodec, frame
from tests.contract.connector_contract import Carrier, ConnectorContract, Died, Fuse
from tests.gateway_kit import HOUSING, ROOT, rig
from tests.webhook_kit import change, endpoint

PATIENCE_S = 60
TRIED_ENOUGH = 3
"""How often a peer that is not well is tried before a test goes on."""


class Topic(MemoryViews):
    """A view topic of framed records, decoded as those of Kafka are; each page is a touch of the outside."""

    def __init__(self) -> None:
        super().__init__()
        contracts, agreements = load_rules_files(ROOT / "schemas", ROOT / "schemas" / "agreements")
        self._codec = ViewCodec(agreements[HOUSING], contracts)
        self.records, self.fuse, self.failed = ViewRecords(self), Fuse(), 0
        self.newest: dict[str, int] = {}

    async def writer(self, _: int) -> dict[str, Any]:
        """What the registry knows."""
        return dict(self._codec.schema)

    def give(self, key: str, number: int) -> None:
        """Write a view."""
        self.newest[key] = number
        value = frame(1, self._codec.encode({"name": {"given_names": str(number)}}))
        self.write(HOUSING, key, value, change(key, number, {}).headers)  # type: ignore[arg-type]

    def give_malformed(self, secret: str) -> None:
        """Write a record that only a broken worker writes, and that none replaces (V1)."""
        self.write(HOUSING, "z", secret.encode(), change("z", 99, {}).headers)  # type: ignore[arg-type]

    def count(self) -> int:
        """How many records it holds."""
        return sum(map(len, self.topics.get(HOUSING, [])))

    async def page(self, agreement: str, positions: Positions, limit: int) -> Page:
        """As `ports.Views` has it."""
        self.fuse.touch()
        try:
            page = await super().page(agreement, positions, limit)
            return page._replace(changes=[await self._decoded(each) for each in page.changes])
        except Away:
            self.failed += 1
            raise

    async def _decoded(self, found: Any) -> Any:
        headers = [(name, text.encode()) for name, text in found.headers]
        place = {"partition": found.partition, "offset": found.offset, "timestamp": found.timestamp_ms}
        return await self.records.change(
            SimpleNamespace(key=found.key.encode(), value=found.value, headers=headers, **place)
        )


def number_of(data: Any) -> tuple[str, int]:
    """The item that a change is."""
    return data["key"], int(data["value"]["name"]["given_names"])


class FromTopic(Carrier):
    """What comes from a view topic. Only a worker writes there, so what is no view ends it."""

    stops_at_malformed = True
    topic: Topic

    def give(self, key: str, number: int) -> None:
        self.topic.give(key, number)

    def give_again(self, key: str, number: int) -> None:
        """A worker that says again what it said says the newest: no older view follows a newer one (V6)."""
        self.give(key, max(number, self.topic.newest.get(key, 0)))

    def give_malformed(self, secret: str) -> None:
        self.topic.give_malformed(secret)


# -- by webhook ------------------------------------------------------------------------------------------


class PagesOf:
    """The topic as a courier reads it."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic

    async def page(self, positions: Positions, limit: int, wait_s: float) -> Page:
        """As `reader.Pages` has it."""
        page = await self._topic.page(HOUSING, positions, limit)
        if not page.changes:
            await asyncio.sleep(0.005)
        return page

    async def close(self) -> None:
        """Nothing is open."""


class Receiver:
    """The line and whoever is at its other end: it takes a message once, as `webhook-id` tells it."""

    def __init__(self) -> None:
        self.state, self.fuse, self.tried = "well", Fuse(), 0
        self.got: dict[str, tuple[str, int]] = {}

    async def ask(self, method: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> Answer:
        """As `line.Line` has it."""
        self.fuse.touch()
        await asyncio.sleep(0)
        if self.state == "dead":
            self.tried += 1
            return Answer(Outcome.UNREACHABLE)
        if method == "OPTIONS":
            allowed = {"webhook-allowed-origin": "*", "webhook-allowed-rate": "*"}
            return Answer(Outcome.DELIVERED, 200, None, allowed)
        self.got.setdefault(dict(headers)["webhook-id"], number_of(json.loads(body)["data"]))
        self.fuse.touch()
        if self.state == "slow":  # it has it, and nobody waited for its answer
            self.tried += 1
            return Answer(Outcome.TIMED_OUT)
        return Answer(Outcome.DELIVERED, 204)

    async def close(self) -> None:
        """Nothing is open."""


class ByWebhook(FromTopic):
    """A view topic in memory, a courier with its journal on disk, and a receiver."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.topic, self.receiver, self.told = Topic(), Receiver(), list[str]()
        self.journal = Journal(tmp_path / "journal.db")
        self.endpoint = endpoint(park_after=10_000, pause_s_max=0.01)
        monkeypatch.setattr(reading, "KEEP_EVERY_MS", 0)
        monkeypatch.setattr(reading, "RETRY_S", 0.01)
        monkeypatch.setattr(reading, "say", lambda event, **fields: self.told.append(f"{event} {fields}"))

    def work(self) -> None:
        self.receiver.tried = self.topic.failed = 0
        try:
            asyncio.run(asyncio.wait_for(self._life(), PATIENCE_S))
        except BaseExceptionGroup as group:
            if group.subgroup(Died) is None:
                raise
            raise Died from None

    async def _life(self) -> None:
        def readers(outbox: Outbox) -> list[Reader]:
            return [Reader("leeds", HOUSING, PagesOf(self.topic), self.journal, outbox)]

        def desk() -> Desk:
            return Desk(self.endpoint, self.journal, readers, lambda *_: False, random.Random(3))

        courier = Courier(self.endpoint, self.receiver, self.journal.secret, desk)  # type: ignore[arg-type]
        life = asyncio.create_task(courier.run())
        while not self._has_done_all() and not life.done():
            await asyncio.sleep(0.002)
        life.cancel()
        await asyncio.wait([life])
        if not life.cancelled():
            life.result()

    def _has_done_all(self) -> bool:
        gave_up = max(self.receiver.tried, self.topic.failed) >= TRIED_ENOUGH
        return gave_up or self.waiting() == 0

    def die_at(self, touch: int) -> None:
        self.topic.fuse = self.receiver.fuse = fuse = Fuse()
        fuse.left = touch

    def restart(self) -> None:
        self.topic.fuse = self.receiver.fuse = Fuse()

    def peer(self, state: str) -> None:
        self.receiver.state = state

    def arrived(self) -> list[tuple[str, int]]:
        return list(self.receiver.got.values())

    def waiting(self) -> int:
        _, positions = self.journal.reading("leeds", HOUSING, 0)
        return self.topic.count() - sum(positions)

    def reported(self) -> str:
        return "\n".join(self.told)


class TestByWebhook(ConnectorContract):
    """A courier and a receiver that keeps to its documentation."""

    @pytest.fixture
    def carrier(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Carrier:
        return ByWebhook(tmp_path, monkeypatch)


# -- over HTTP -------------------------------------------------------------------------------------------


class AsSubscriber(FromTopic):
    """A view topic in memory, a gateway, and a subscriber that keeps its cursor with what it has taken.

    It asks, so the peer that can be dead is the broker behind the gateway; slow is an answer that comes after
    the subscriber has hung up. A restart is one of both ends: another gateway takes the cursor.
    """

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path, self.topic, self.fuse = tmp_path, Topic(), Fuse()
        self.state, self.told = "well", list[str]()
        self.cursor: str | None = None
        self.taken, self.held = list[tuple[str, int]](), dict[str, int]()
        self.restart()

    def restart(self) -> None:
        self.rig, self.fuse = rig(self.tmp_path, views=self.topic), Fuse()
        self.topic.fuse = self.fuse

    def work(self) -> None:
        for _ in range(100):
            self.fuse.touch()
            asked = {"limit": 2} | ({"cursor": self.cursor} if self.cursor else {})
            answer = self.rig.get(f"/views/{HOUSING}/changes", **asked)
            self.fuse.touch()
            if self.state == "slow":
                return
            if answer.status_code != 200:
                self.told.append(answer.text)
                return
            self._take(answer.json())
            if answer.json()["at_end"]:
                return
        raise AssertionError("it never came to the end")

    def _take(self, page: Any) -> None:
        """Rows and cursor in one, older sequences left out: what the documentation asks of a subscriber."""
        for each in page["changes"]:
            key, number = number_of(each)
            if each["sequence"] > self.held.get(key, 0):
                self.held[key] = each["sequence"]
                self.taken.append((key, number))
        self.cursor = page["cursor"]

    def die_at(self, touch: int) -> None:
        self.fuse.left = touch

    def peer(self, state: str) -> None:
        self.state, self.topic.away = state, state == "dead"

    def arrived(self) -> list[tuple[str, int]]:
        return self.taken

    def waiting(self) -> int:
        """What lies behind the cursor; what was left out on the way is not waited for."""
        if self.cursor is None:
            return self.topic.count()
        return self.topic.count() - sum(
            self.rig.cursors.read(self.cursor, "council-leeds", HOUSING).positions
        )

    def reported(self) -> str:
        return "\n".join(self.told)


class TestAsSubscriber(ConnectorContract):
    """The gateway's changes, and a subscriber that keeps to its documentation."""

    @pytest.fixture
    def carrier(self, tmp_path: Path) -> Carrier:
        return AsSubscriber(tmp_path)
