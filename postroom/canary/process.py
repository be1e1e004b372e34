"""The canary's process, put together: a publisher, a reader, the round, and what it tells of them."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from connectors import Stack, Trouble
from connectors.kafka_following import Following
from connectors.kafka_group_lag import group_lags
from connectors.kafka_reader import RawRecord, TopicReader
from connectors.kafka_views import AvroReader
from connectors.registry import Registry
from postroom.canary.letters import TOPICS as LETTER_TOPICS
from postroom.canary.letters import Letters
from postroom.canary.metrics import GROUP_LAG, LAST_SUCCESS, ROUNDS, SECONDS
from postroom.canary.round import (
    AGREEMENT,
    ATTRIBUTE,
    BEAT,
    CONSENT,
    EVENT_TO_VIEW,
    OWNER,
    WITHDRAWAL_TO_RETRACTION,
    Canary,
    Failed,
    Pace,
    Seen,
)
from postroom.composition import STAGES, load_rules_files, reachable_registry
from postroom.config import Settings
from postroom.errors import UserError
from postroom.first_series import begin, canary_series
from postroom.inputs import publishing
from postroom.signals import show_signals
from processors import ACKNOWLEDGEMENTS_TOPIC, obligations_topic, view_topic
from processors.engine.journal import say
from producers import BrokerUnreachable, Line, NotPublished, Publisher, connect, disconnect
from schemas import Agreement, Contracts

VIEWS, OBLIGATIONS = view_topic(AGREEMENT), obligations_topic(OWNER)
GROUPS = tuple(f"postroom.{stage}" for stage in STAGES)
STANDING_WITHIN_S = 60.0
LOOK_EVERY_S = 15.0
JSON_EVENT = [("content-type", b"application/cloudevents+json")]
ACKNOWLEDGED_WITHIN_S = 30.0


def require_canary(contracts: Contracts, agreements: dict[str, Agreement]) -> None:
    """Refuse to watch an installation whose rules do not have the canary's own."""
    missing = [type_ for type_ in (BEAT, CONSENT) if type_ not in contracts.by_type]
    missing += [AGREEMENT] if AGREEMENT not in agreements else []
    if missing:
        raise UserError(
            "the rules hold no canary",
            where=", ".join(missing),
            why="its contracts and its agreement are files like any other's",
            mend="take schemas/canary, schemas/agreements/postroom-canary.yaml and what attributes.yaml and "
            "identifiers.yaml say of it from Postroom's release into yours (docs/metrics.md)",
        )


class TwoEnds:
    """The backbone as a department and as a subscriber have it."""

    def __init__(self, stack: Stack, registry: Registry, publisher: Publisher, producer: Any) -> None:
        self._publisher, self._producer = publisher, producer
        self._reader = AvroReader(stack.access, registry)
        self._following = Following(stack.access, [VIEWS, OBLIGATIONS])

    def start(self) -> None:
        """Begin to read; UserError if the topics' ends are not found."""
        if not self._following.start(STANDING_WITHIN_S):
            raise UserError(
                "the canary's topics cannot be read",
                where=f"{VIEWS}, {OBLIGATIONS}",
                mend="`postroom topics plan` shows whether they are there",
            )

    def publish(self, line: bytes) -> None:
        """Publish one event as a department would; Failed (publish)."""
        try:
            for result in self._publisher.publish([Line(1, line, len(line))]):
                if isinstance(result, NotPublished):
                    raise Failed("publish", result.refused.why)
        except (BrokerUnreachable, Trouble) as away:
            raise Failed("publish", str(away)) from away

    def acknowledge(self, line: bytes) -> None:
        """Say as a subscriber that an obligation is fulfilled; Failed (publish)."""
        from kafka.errors import KafkaError

        try:
            sent = self._producer.send(ACKNOWLEDGEMENTS_TOPIC, value=line, headers=JSON_EVENT)
            sent.get(timeout=ACKNOWLEDGED_WITHIN_S)
        except KafkaError as error:
            raise Failed("publish", type(error).__name__) from error

    def read(self, within_s: float) -> Seen | None:
        """Return what the subscriber hears next; Failed (view) when it cannot be decoded."""
        record = self._following.next(within_s)
        if record is None:
            return None
        try:
            return self._seen(record)
        except Trouble as trouble:
            raise Failed("view", str(trouble)) from trouble

    def _seen(self, record: RawRecord) -> Seen:
        key = (record.key or b"").decode()
        if record.topic == OBLIGATIONS:
            return Seen(key, obligation=json.loads(record.value or b"{}").get("obligation"))
        value = self._reader.decoded(record).value
        return Seen(key, beat=None if value is None else value.get(ATTRIBUTE))

    def close(self) -> None:
        """End reading."""
        self._following.close()


def measured(path: str, seconds: float) -> None:
    """Tell one measurement."""
    SECONDS.labels(path).observe(seconds)
    LAST_SUCCESS.labels(path).set(time.time())


def keep_on(canary: Canary, every_s: float, stopping: threading.Event, rounds: int | None) -> bool:
    """Do rounds until told to stop, or so many; return whether the last one succeeded."""
    for path in (EVENT_TO_VIEW, WITHDRAWAL_TO_RETRACTION):
        LAST_SUCCESS.labels(path)
    done, succeeded = 0, False
    while not stopping.is_set() and done != rounds:
        began = time.monotonic()
        try:
            canary.round()
            succeeded = True
            ROUNDS.labels("success").inc()
        except Failed as failed:
            succeeded = False
            ROUNDS.labels(failed.step).inc()
            say("canary-failed", "warning", step=failed.step, why=failed.why)
        done += 1
        if done != rounds:
            stopping.wait(max(0.0, every_s - (time.monotonic() - began)))
    try:
        canary.leave()
    except Failed as failed:
        say("canary-left-a-view", "warning", why=failed.why)
    return succeeded


def stops_at_signals() -> threading.Event:
    """Return what SIGTERM and Ctrl-C set."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


@contextmanager
def watching(
    settings: Settings, stack: Stack, name: str, withdraw_every: int, patience_s: float
) -> Iterator[Canary]:
    """Hold a canary on a stack, its signals served, the groups watched; UserError if it cannot begin."""
    contracts, agreements = load_rules_files(settings.contracts_dir, settings.agreements_dir)
    require_canary(contracts, agreements)
    registry = reachable_registry(stack)
    mend = "`postroom status` says what runs"
    with publishing(stack, registry, contracts, mend) as publisher, acknowledging(stack) as producer:
        ends = TwoEnds(stack, registry, publisher, producer)
        waiting = ["the canary's topics"]
        begin(canary_series())
        signals = show_signals("canary", settings, stack, lambda: waiting)
        say("signals", url=signals.url)
        ends.start()
        waiting.clear()
        groups = Watch(stack, Letters(contracts.by_type))
        try:
            yield Canary(name, ends, measured, Pace(withdraw_every, patience_s))
        finally:
            groups.close()
            ends.close()
            signals.close()


@contextmanager
def acknowledging(stack: Stack) -> Iterator[Any]:
    """Hold a producer as a subscriber has one."""
    producer = connect(stack.kafka, **stack.access.protection())
    try:
        yield producer
    finally:
        disconnect(producer)


class Watch:
    """Looks at what only the cluster knows, in threads: how far the groups are behind, letters that wait."""

    def __init__(self, stack: Stack, letters: Letters) -> None:
        self._stack, self._letters, self._ended = stack, letters, threading.Event()
        for look in (self._keep_looking, self._follow_letters):
            threading.Thread(target=look, daemon=True, name="watch").start()

    def close(self) -> None:
        """End."""
        self._ended.set()

    def _follow_letters(self) -> None:
        while not self._ended.is_set():
            with suppress(Trouble):
                self._take_letters()
            self._ended.wait(LOOK_EVERY_S)

    def _take_letters(self) -> None:
        due_s = 0.0
        with closing(TopicReader(self._stack.access).onward(LETTER_TOPICS, from_now=False)) as records:
            for record in records:
                if self._ended.is_set():
                    return
                if record is not None:
                    self._letters.take(record)
                elif time.monotonic() >= due_s:  # all that is there has been read
                    due_s = time.monotonic() + LOOK_EVERY_S
                    self._letters.tell(time.time_ns() // 1_000_000)

    def _keep_looking(self) -> None:
        while not self._ended.is_set():
            with suppress(Trouble):  # what is away is told by `postroom_reachable`
                for group, records in group_lags(self._stack.access, GROUPS).items():
                    GROUP_LAG.labels(group).set(records)
            self._ended.wait(LOOK_EVERY_S)
