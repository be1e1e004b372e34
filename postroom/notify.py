"""What notices stand on, put together: settings and files to a plan, topics and a journal to rounds."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from connectors import Stack
from connectors.acknowledgements import HEADERS, TOPIC, acknowledgement
from connectors.kafka_positions import topic_positions
from connectors.kafka_reader import RawRecord
from connectors.kafka_views import AvroReader
from connectors.notify import Journal, Letterbox, Pace, Plan, Rounds, load_plan, metrics
from connectors.notify.deletions import Deletions
from connectors.notify.topics import DisclosureLog, ViewAddresses
from connectors.registry import registry_of
from connectors.state_files import locked
from connectors.trouble import Unreachable
from postroom.composition import load_rules_files
from postroom.config import Settings
from postroom.first_series import begin, notify_series
from postroom.gateway import now_ms
from postroom.inputs import producing
from postroom.lasting import Progress
from postroom.private_files import read_secret
from processors import DISCLOSURES_TOPIC, obligations_topic, view_topic
from processors.engine.journal import say

TURN_S = 1.0
IDLE_S = 0.5
FORGET_EVERY_S = 3600.0
ACKNOWLEDGED_WITHIN_S = 30.0
MEND = "`postroom status` says what runs; notices wait in the journal"


def plan_of(settings: Settings) -> Plan:
    """Read what is told and by which template; Misused."""
    _, agreements = load_rules_files(settings.contracts_dir, settings.agreements_dir)
    return load_plan(settings.values["notify"].value, agreements, read_secret)


def journal_of(settings: Settings) -> Journal:
    """Open the journal of this installation; Trouble."""
    return Journal(settings.state_dir / "notify" / "journal.db")


def acknowledging(producer: Any, subscriber: str) -> Callable[[str], None]:
    """Return what writes the notifier's word that it has deleted what it owed (V4)."""
    source = f"urn:gov:{subscriber}:notify"

    def acknowledge(obligation: str) -> None:
        from kafka.errors import KafkaError

        try:
            sent = producer.send(TOPIC, acknowledgement(obligation, source, now_ms()), headers=[*HEADERS])
            sent.get(timeout=ACKNOWLEDGED_WITHIN_S)
        except KafkaError as error:
            raise Unreachable(
                "Kafka does not take an acknowledgement", where=TOPIC, why=type(error).__name__
            ) from error

    return acknowledge


class RunningNotify:
    """The notifier of an installation, the only one with its journal."""

    def __init__(self, settings: Settings, stack: Stack) -> None:
        self._settings, self._stack = settings, stack
        self._plan = plan_of(settings)
        begin(notify_series())

    def waiting_for(self) -> list[str]:
        """What is away ends `work`."""
        return []

    def look(self) -> None:
        """Tell how notices stand, whoever sends them."""
        journal = journal_of(self._settings)
        try:
            for state, count in journal.counts().items():
                metrics.STANDING.labels(state).set(count)
            metrics.OLDEST.set(journal.oldest_s(time.time()))
        finally:
            journal.close()

    def work(self, stop: threading.Event, progress: Progress) -> None:
        """Tell people until told to stop; Trouble when something that it stands on is away."""
        plan, access = self._plan, self._stack.access.of("notify")
        reader = AvroReader(access, registry_of(self._stack))

        def decoded(record: RawRecord) -> tuple[str, dict[str, Any] | None]:
            found = reader.decoded(record)
            return found.key, found.value

        with ExitStack() as held:
            held.enter_context(
                locked(self._settings.state_dir / "notify" / "sending.lock", lambda: None, TURN_S)
            )
            journal = journal_of(self._settings)
            held.callback(journal.close)
            view = held.enter_context(topic_positions(access, view_topic(plan.agreement)))
            log = held.enter_context(topic_positions(access, DISCLOSURES_TOPIC))
            owed = held.enter_context(topic_positions(access, obligations_topic(plan.subscriber)))
            addresses = ViewAddresses(view, decoded, plan.attribute)
            say_deleted = acknowledging(held.enter_context(producing(self._stack, MEND)), plan.subscriber)
            deletions = Deletions(owed, journal, addresses, say_deleted)
            rounds = Rounds(
                plan,
                journal,
                DisclosureLog(log, journal),
                addresses,
                Letterbox(plan.api_key, plan.base_url, plan.timeout_s),
                Pace(plan.per_minute, plan.per_day, time.monotonic),
                time.time,
                random.SystemRandom(),
            )
            say("notices-begin", agreement=plan.agreement, told_of=len(plan.purposes))
            progress.under_way()
            self._keep_telling(rounds, deletions, journal, stop)

    @staticmethod
    def _keep_telling(rounds: Rounds, deletions: Deletions, journal: Journal, stop: threading.Event) -> None:
        forgotten_s = 0.0
        while not stop.is_set():
            if time.monotonic() - forgotten_s > FORGET_EVERY_S:
                journal.forget(time.time())
                forgotten_s = time.monotonic()
            deletions.settle()
            if not rounds.round():
                stop.wait(IDLE_S)
