"""A courier against a real HTTP receiver: restarts, duplicates, slow and dead ones, any answer."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from connectors.webhook.addresses import read_networks
from connectors.webhook.courier import Courier
from connectors.webhook.desk import Desk
from connectors.webhook.endpoints import Endpoint
from connectors.webhook.journal import ACTIVE, DISABLED, PARKED, Journal
from connectors.webhook.line import Line, trusted
from connectors.webhook.reader import Reader
from tests.webhook_kit import SECRET, Receiver, Topic, endpoint

PATIENCE_S = 60


class Installation:
    """A topic in memory, a journal on disk, a receiver on this machine; couriers come and go."""

    def __init__(self, place: Path) -> None:
        self.journal = Journal(place / "journal.db")
        self.topic = Topic(lambda: time.time_ns() // 1_000_000)
        self.receiver = Receiver()

    def close(self) -> None:
        self.receiver.close()
        self.journal.close()

    @asynccontextmanager
    async def sending(self, **changes: Any) -> AsyncIterator[Endpoint]:
        """A courier's process: it ends as a kill ends one, wherever it is."""
        made = endpoint(**({"url": self.receiver.url} | changes))

        def desk() -> Desk:
            def readers(outbox):
                return [Reader(made.name, name, self.topic, self.journal, outbox) for name in made.agreements]

            return Desk(made, self.journal, readers, self.topic.is_replaced, random.Random(3))

        line = Line(
            made.url,
            trusted(None),
            read_networks("127.0.0.0/8"),
            connections_max=made.in_flight_max,
            timeout_s=made.timeout_s,
        )
        task = asyncio.create_task(Courier(made, line, self.journal.secret, desk).run())
        try:
            yield made
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def until(self, wanted: Callable[[], bool]) -> None:
        """Wait for something, patiently."""
        async with asyncio.timeout(PATIENCE_S):
            while not wanted():
                await asyncio.sleep(0.02)

    def sequences(self) -> list[tuple[str, int, bool]]:
        """(key, sequence, whether it is a view) of what the receiver got."""
        data = [event["data"] for event in self.receiver.events()]
        return [(each["key"], each["sequence"], each["value"] is not None) for each in data]

    def why(self) -> str:
        found = self.journal.standing("leeds")
        return "" if found is None else found.why

    def state(self) -> str:
        found = self.journal.standing("leeds")
        return "" if found is None else found.state


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_a_view_and_its_retraction_arrive_signed_and_in_order(own: Installation):
    """The official library verifies each; permission was asked for before the first, with our origin."""

    async def story() -> None:
        own.topic.publish("s-1", {"name": "Ada"})
        async with own.sending():
            await own.until(lambda: len(own.receiver.got) == 1)
            own.topic.publish("s-1", None)
            await own.until(lambda: len(own.receiver.got) == 2)

    asyncio.run(story())
    assert own.sequences() == [("s-1", 1, True), ("s-1", 2, False)]
    assert len(own.receiver.asked) == 1
    assert own.receiver.asked[0]["webhook-request-origin"] == "postroom.example"
    assert int(own.receiver.asked[0]["webhook-request-rate"]) == 60_000
    for headers, body in own.receiver.got:
        Webhook(SECRET).verify(body, headers)
        assert headers["webhook-request-origin"] == "postroom.example"
        assert headers["content-type"].startswith("application/cloudevents+json")
        assert headers["webhook-signature"].count(" v1a,") == 1


def test_a_restart_sends_nothing_again_that_was_acknowledged(own: Installation):
    """What the journal has is not repeated; what comes meanwhile is sent."""

    async def story() -> None:
        for number in range(20):
            own.topic.publish(f"s-{number}", {"n": number})
        async with own.sending():
            await own.until(lambda: len(own.receiver.got) == 20)
            await own.until(lambda: own.journal.held_count("leeds") == 20)
            await asyncio.sleep(0.2)
        own.topic.publish("s-0", None)
        async with own.sending():
            await own.until(lambda: len(own.receiver.got) == 21)
            await asyncio.sleep(0.3)

    asyncio.run(story())
    assert len(own.receiver.got) == 21
    assert own.sequences()[-1] == ("s-0", 2, False)
    assert len(own.receiver.asked) == 1, "permission holds for a day"


def test_a_kill_between_arrival_and_answer_is_a_duplicate_with_the_same_id(own: Installation):
    """At least once; the receiver knows it again by webhook-id and by the bytes."""
    holding = threading.Event()

    async def story() -> None:
        own.receiver.answer = lambda _: (holding.wait(20), (204, {}))[1]
        own.topic.publish("s-1", {"name": "Ada"})
        asked = own.receiver
        async with own.sending():
            await own.until(lambda: bool(asked.asked))
            await asyncio.sleep(0.5)  # the request is there, its answer is not
        holding.set()
        await own.until(lambda: len(asked.got) == 1)
        async with own.sending():
            await own.until(lambda: len(asked.got) == 2)

    asyncio.run(story())
    (first, body), (second, again) = own.receiver.got
    assert first["webhook-id"] == second["webhook-id"]
    assert body == again


def test_a_key_that_fails_waits_and_the_others_go_on(own: Installation):
    """Per key in order: nothing of the failing key overtakes it, and nobody else waits for it."""
    broken = True

    async def story() -> None:
        nonlocal broken
        own.receiver.answer = lambda event: (500 if broken and event["subject"] == "s-1" else 204, {})
        own.topic.publish("s-1", {"n": 1})
        own.topic.publish("s-1", None)
        for number in range(2, 30):
            own.topic.publish(f"s-{number}", {"n": 1})
        async with own.sending(park_after=10_000, in_flight_max=2):
            await own.until(lambda: own.journal.held_count("leeds") == 29)
            await own.until(lambda: len({key for key, *_ in own.sequences()}) == 29)
            assert own.journal.least_of("leeds", endpoint().agreements[0], ["s-1"])["s-1"] <= 2
            broken = False
            await own.until(lambda: own.journal.held_count("leeds") == 28)

    asyncio.run(story())
    of_key = [sequence for key, sequence, _ in own.sequences() if key == "s-1"]
    assert of_key == sorted(of_key)
    assert of_key[-1] == 2
    assert own.state() == ACTIVE


def test_a_dead_receiver_parks_and_a_release_delivers_what_is_owed(own: Installation):
    """Parked after repeated failure, through a restart; then the newest of each key and every retraction."""

    async def story() -> None:
        own.topic.publish("s-1", {"n": 1})
        async with own.sending():
            await own.until(lambda: len(own.receiver.got) == 1)
        own.receiver.answer = lambda _: (503, {})
        own.topic.publish("s-1", None)
        own.topic.publish("s-2", {"n": 1})
        async with own.sending():
            await own.until(lambda: own.state() == PARKED)
            tried = len(own.receiver.got)
            own.topic.publish("s-2", {"n": 2})
            await asyncio.sleep(0.5)
            assert len(own.receiver.got) == tried, "parked is parked"
        own.receiver.answer = lambda _: (204, {})
        async with own.sending():
            await asyncio.sleep(0.5)
            assert len(own.receiver.got) == tried, "a restart releases nothing"
            assert own.journal.release("leeds", 1)
            await own.until(lambda: len(own.receiver.got) == tried + 2)

    asyncio.run(story())
    standing = own.journal.standing("leeds")
    assert standing is not None
    assert sorted(own.sequences()[-2:]) == [("s-1", 2, False), ("s-2", 2, True)]
    assert len(own.receiver.asked) == 2, "after a release permission is asked for again"


def test_410_disables_and_nothing_is_lost(own: Installation):
    """The receiver is gone for good; its retraction stays owed, and goes out if it is released."""

    async def story() -> None:
        own.topic.publish("s-1", {"n": 1})
        async with own.sending():
            await own.until(lambda: len(own.receiver.got) == 1)
            own.receiver.answer = lambda _: (410, {})
            own.topic.publish("s-1", None)
            await own.until(lambda: own.state() == DISABLED)
            assert own.journal.held_count("leeds") == 1
            own.receiver.answer = lambda _: (200, {})
            own.journal.release("leeds", 1)
            await own.until(lambda: len(own.receiver.got) == 3)
            await own.until(lambda: own.journal.held_count("leeds") == 0)

    asyncio.run(story())
    assert own.sequences()[-1] == ("s-1", 2, False)


@pytest.mark.parametrize(
    ("status", "form"), [(429, "seconds"), (429, "date"), (503, "seconds"), (503, "date")]
)
def test_retry_after_is_kept_for_the_whole_endpoint(own: Installation, status: int, form: str):
    """Until then nothing is sent, of any key; meanwhile the status says what the receiver asked for."""
    moments: list[float] = []
    said: list[str] = []

    def answer(_: dict[str, Any]) -> tuple[int, dict[str, str]]:
        moments.append(time.monotonic())
        if len(moments) > 1:
            return 204, {}
        after = "2" if form == "seconds" else formatdate(time.time() + 3, usegmt=True)  # whole seconds
        return status, {"retry-after": after}

    async def story() -> None:
        own.receiver.answer = answer
        own.topic.publish("s-1", {"n": 1})
        own.topic.publish("s-2", {"n": 1})
        async with own.sending(in_flight_max=1):
            await own.until(lambda: "throttled" in own.why())
            said.append(own.why())
            await own.until(lambda: len(own.receiver.got) == 3)

    asyncio.run(story())
    assert moments[1] - moments[0] >= 1.9
    assert said[-1].startswith(f"throttled ({status}), asks for ")
    assert own.state() == ACTIVE


def test_a_receiver_that_throttles_holds_up_no_other(own: Installation, tmp_path: Path):
    """Each endpoint has its courier: one waits for its moment, the other has everything meanwhile."""
    (tmp_path / "other").mkdir()
    other = Installation(tmp_path / "other")
    other.topic = own.topic

    async def story() -> None:
        own.receiver.answer = lambda _: (429, {"retry-after": "3600"})
        for number in range(20):
            own.topic.publish(f"s-{number}", {"n": 1})
        async with own.sending(), other.sending():
            await other.until(lambda: len(other.receiver.got) == 20)
            await own.until(lambda: bool(own.receiver.got))

    try:
        asyncio.run(story())
    finally:
        other.close()
    assert len(own.receiver.got) <= 4  # what was on its way together


def test_a_view_that_was_retracted_while_it_waited_is_not_sent(own: Installation):
    """V1: at the beginning, and after a receiver that was away; its retraction is sent all the same."""

    async def story() -> None:
        own.topic.publish("s-1", {"n": 1})
        own.topic.publish("s-1", None)
        own.topic.publish("s-2", {"n": 1})
        own.receiver.answer = lambda _: (503, {"retry-after": "1"})
        async with own.sending(in_flight_max=1):
            await own.until(lambda: bool(own.receiver.got))
            own.receiver.got.clear()
            own.topic.publish("s-2", None)
            own.receiver.answer = lambda _: (204, {})
            await own.until(lambda: len(own.receiver.got) == 2)

    asyncio.run(story())
    assert sorted(own.sequences()) == [("s-1", 2, False), ("s-2", 2, False)]


def test_a_slow_receiver_costs_its_time_out_and_memory_stays_bounded(own: Installation):
    """One that never answers holds a few requests, and the outbox takes no more than it has room for."""

    async def story() -> None:
        own.receiver.answer = lambda _: (time.sleep(1.0), (204, {}))[1]
        for number in range(1_500):
            own.topic.publish(f"s-{number}", {"n": 1})
        async with own.sending(timeout_s=0.2, park_after=6):
            await own.until(lambda: own.state() == PARKED)
            await asyncio.sleep(0.3)

    asyncio.run(story())
    reading, positions = own.journal.reading("leeds", endpoint().agreements[0], 0)
    assert sum(positions) == 0, "nothing of what is owed lies before where it goes on"
    assert not reading.complete


@pytest.mark.parametrize("permission", [{}, {"WebHook-Allowed-Origin": "other.example"}])
def test_without_permission_nothing_is_sent(permission, own: Installation):
    """Not even once: the receiver is asked some times, then an operator must look."""

    async def story() -> None:
        own.receiver.permission = permission
        own.topic.publish("s-1", {"n": 1})
        async with own.sending(park_after=3):
            await own.until(lambda: own.state() == PARKED)

    asyncio.run(story())
    standing = own.journal.standing("leeds")
    assert standing is not None
    assert "permission" in standing.why
    assert (len(own.receiver.got), len(own.receiver.asked)) == (0, 3)


def test_the_rate_that_was_granted_is_honoured(own: Installation):
    """The receiver allows 600 a minute although we asked for more: a tenth of a second apart, at least."""
    moments: list[float] = []

    async def story() -> None:
        own.receiver.permission = {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "600"}
        own.receiver.answer = lambda _: (moments.append(time.monotonic()), (204, {}))[1]
        for number in range(8):
            own.topic.publish(f"s-{number}", {"n": 1})
        async with own.sending(in_flight_max=8):
            await own.until(lambda: len(own.receiver.got) == 8)

    asyncio.run(story())
    assert moments[-1] - moments[0] >= 0.65


def test_a_topic_that_is_another_one_is_read_again_and_what_it_lacks_is_retracted(own: Installation):
    """Rebuilt under the same name: new views are sent, and a key that is not in it any more is taken back."""

    async def story() -> None:
        for key in ("s-1", "s-2", "s-1"):
            own.topic.publish(key, {"n": 1})
        async with own.sending():
            await own.until(lambda: {("s-1", 2, True), ("s-2", 1, True)} <= set(own.sequences()))
            await own.until(lambda: own.journal.held_count("leeds") == 2)
        old, own.topic = own.topic, Topic(own.topic._now_ms)
        assert sum(old.ends) == 3
        own.topic.publish("s-2", {"n": 5})
        before = len(own.receiver.got)
        async with own.sending():
            await own.until(lambda: len(own.receiver.got) == before + 2)

    asyncio.run(story())
    assert sorted(own.sequences()[-2:]) == [("s-1", 3, False), ("s-2", 1, True)]


def test_no_line_of_the_log_names_a_key_or_a_value(own: Installation, capfd: pytest.CaptureFixture[str]):
    """Nor a path of the receiver's URL, which may be a secret."""

    async def story() -> None:
        own.topic.publish("nino:AB123456C", {"name": "Garamond"})
        own.receiver.answer = lambda _: (500, {})
        async with own.sending(park_after=4):
            await own.until(lambda: own.state() == PARKED)

    asyncio.run(story())
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert {"webhook-permitted", "webhook-fails", "webhook-stopped"} <= {line["event"] for line in lines}
    assert not any(text in out + err for text in ("AB123456C", "Garamond", "/hook", "whsec_"))
