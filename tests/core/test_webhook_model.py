"""Any interleaving of failures, kills, releases, compaction and long absences keeps the promises (V1-V3).

For each key a receiver gets sequences that never decrease, and in the end the last state: the newest view,
or a retraction if it ended and anything of it may ever have arrived. The desk, outbox, reader and journal are
the real ones, the journal on a real file; the topic, the receiver and the time are the test's.
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connectors.webhook import desk as desks
from connectors.webhook.answers import Answer, Outcome
from connectors.webhook.desk import Desk
from connectors.webhook.envelope import body_of, message_id, sequence_of
from connectors.webhook.handshake import Granted
from connectors.webhook.journal import ACTIVE, Journal
from connectors.webhook.outbox import Parcel
from connectors.webhook.reader import Reader, StartOver
from tests.webhook_kit import AGREEMENT, DAY_MS, Topic, endpoint

KEYS = ("s-1", "s-2", "s-3")
FAILURES = (
    Answer(Outcome.TIMED_OUT),
    Answer(Outcome.FAILED, 500),
    Answer(Outcome.THROTTLED, 429, 30.0),
    Answer(Outcome.REFUSED, 400),
    Answer(Outcome.REDIRECTED, 302),
)
ENDPOINT = endpoint(park_after=3, pause_s_max=10.0, in_flight_max=3)


class Webhooks(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 1_800_000_000_000
        self.topic = Topic(lambda: self.now_ms, partitions=1)
        self._directory = tempfile.TemporaryDirectory()
        self.small = mock.patch.object(desks, "RECORDS_MAX", 4)
        self.small.start()
        self.journal = Journal(Path(self._directory.name) / "journal.db")
        self.received: dict[str, list[tuple[int, bool]]] = {key: [] for key in KEYS}
        self.messages: dict[str, str] = {}
        self.on_way: list[Parcel] = []
        self.stuck = KEYS[0]
        self.knows = True
        self.begin()

    def begin(self) -> None:
        """A new life, as after a restart: all that was in memory is gone."""
        self.on_way = []
        self.taken: set[tuple[str, int]] = set()  # retractions that this life has read

        def readers(outbox):
            return [Reader("leeds", AGREEMENT, self.topic, self.journal, outbox, lambda: self.now_ms)]

        self.desk = Desk(
            ENDPOINT,
            self.journal,
            readers,
            lambda agreement, view: self.topic.is_replaced(agreement, view) if self.knows else None,
            random.Random(7),
            lambda: self.now_ms / 1000,
            lambda: self.now_ms,
        )

    def read_once(self, limit: int) -> None:
        reader = self.desk.readers[0]
        if (room := self.desk.outbox.room) == 0:
            return
        page = self.topic.read(reader._read, min(limit, room))
        try:
            reader.take(page)
        except StartOver:
            self.begin()
            return
        self.taken |= {(each.key, sequence_of(each)) for each in page.changes if each.value is None}

    def arrive(self, parcel: Parcel) -> None:
        """The receiver got it, whatever we hear of that."""
        data = json.loads(body_of(parcel.change))["data"]
        self.received[data["key"]].append((data["sequence"], data["value"] is None))
        body = body_of(parcel.change).decode()
        if not parcel.has_vanished:  # its time of publication is that of its making
            assert self.messages.setdefault(message_id(parcel.change, self.journal.secret), body) == body

    @rule(key=st.sampled_from(KEYS), number=st.integers(0, 9))
    def view_changes(self, key, number):
        self.topic.publish(key, {"n": number})

    @rule(key=st.sampled_from(KEYS))
    def view_ends(self, key):
        if self.topic.live.get(key):
            self.topic.publish(key, None)

    @rule(limit=st.integers(1, 4))
    def reads(self, limit):
        self.read_once(limit)

    @rule(arrives=st.booleans())
    def sends(self, arrives):
        """A request leaves; it arrives now or never."""
        self.now_ms += 10  # the pace of the endpoint is a request a millisecond
        if self.desk.must_ask and self.desk.may_send and not self.on_way:
            self.desk.granted(Granted(None))
        if self.desk.may_send and (parcel := self.desk.next()) is not None:
            assert parcel.is_retraction or not self.topic.is_replaced(AGREEMENT, parcel.change), "V1"
            if arrives:
                self.arrive(parcel)
            self.on_way.append(parcel)

    @precondition(lambda self: self.on_way)
    @rule(which=st.integers(0, 2), answer=st.sampled_from((None, None, *FAILURES)))
    def answer_comes(self, which, answer):
        """None is a 2xx, and then it has arrived; a failure may hide that it did."""
        parcel = self.on_way.pop(which % len(self.on_way))
        if answer is not None:
            self.desk.failed(parcel, answer)
            return
        data = json.loads(body_of(parcel.change))["data"]
        if (data["sequence"], data["value"] is None) not in self.received[data["key"]][-1:]:
            self.arrive(parcel)
        self.desk.delivered(parcel)

    @precondition(lambda self: self.on_way)
    @rule()
    def receiver_is_gone(self):
        self.desk.failed(self.on_way.pop(), Answer(Outcome.GONE, 410))

    @rule(key=st.sampled_from(KEYS))
    def receiver_chokes_on(self, key):
        self.stuck = key

    @rule(rounds=st.integers(1, 6))
    def flows(self, rounds):
        """As it mostly goes, but for the one key that the receiver chokes on."""
        for _ in range(rounds):
            self.read_once(4)
            self.sends(False)
            while self.on_way:
                parcel = self.on_way.pop()
                if parcel.place.key == self.stuck:
                    self.desk.failed(parcel, FAILURES[0])
                    continue
                self.arrive(parcel)
                self.desk.delivered(parcel)

    @rule(knows=st.booleans())
    def knowledge_comes_and_goes(self, knows):
        """Of what lies further along the topic: as at a start, or when the topic is made anew."""
        self.knows = knows

    @rule()
    def killed(self):
        self.begin()

    @rule()
    def operator_releases(self):
        self.journal.release("leeds", self.now_ms)
        try:
            self.desk.look()
        except StartOver:
            self.begin()

    @rule(seconds=st.sampled_from((1, 20, 400)))
    def time_passes(self, seconds):
        self.now_ms += seconds * 1000

    @rule(days=st.sampled_from((2, 27, 29, 40, 70)))
    def days_pass(self, days):
        """Long enough that the topic forgets what was superseded, and tombstones too."""
        self.now_ms += days * DAY_MS
        self.topic.compact()

    @invariant()
    def sequences_never_decrease(self):
        for key, received in self.received.items():
            sequences = [sequence for sequence, _ in received]
            assert sequences == sorted(sequences), f"{key}: {received}"

    @invariant()
    def an_active_endpoint_has_a_reason_while_it_fails_and_only_then(self):
        standing = self.journal.standing(ENDPOINT.name)
        assert standing is None or standing.state != ACTIVE or bool(standing.why) == bool(standing.failures)

    def teardown(self) -> None:
        """Everything is well again: all that is owed arrives."""
        try:
            while self.on_way:  # what did not arrive by now never did
                self.desk.failed(self.on_way.pop(), FAILURES[0])
            self.operator_releases()
            self.knows = True
            for _ in range(200):
                self.now_ms += 60_000
                self.read_once(4)
                self.sends(True)
                while self.on_way:
                    self.desk.delivered(self.on_way.pop())
                if self.desk.standing.state != ACTIVE:
                    self.operator_releases()
            self.settled()
        finally:
            self.journal.close()
            self.small.stop()
            self._directory.cleanup()

    def settled(self) -> None:
        assert self.desk.outbox.records == 0
        for key, received in self.received.items():
            if self.topic.live.get(key):
                assert received[-1:] == [(self.topic.sequences[key], False)], key
            elif received:
                assert received[-1][1], f"{key} ended and its retraction did not arrive: {received}"
        for key, sequence in self.taken:
            assert (sequence, True) in self.received[key], f"{key}: a retraction was dropped"
        held = {key for key, live in self.topic.live.items() if live}
        assert self.journal.held_count("leeds") == len(held)
        self.sequences_never_decrease()


TestWebhooks = Webhooks.TestCase
TestWebhooks.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


def story() -> Webhooks:
    """A machine whose steps a test takes by itself; each of these once broke a promise."""
    made = Webhooks()
    made.stuck = ""
    return made


def test_what_came_before_an_update_that_was_sent_is_never_sent():
    """U1 and U2 are read together, U2 is sent and arrives, the process is killed; the next reads U1 first."""
    made = story()
    made.view_changes("s-1", 1)
    made.view_changes("s-1", 2)
    made.reads(4)
    made.sends(True)
    made.killed()
    made.reads(1)
    made.sends(True)
    made.sequences_never_decrease()
    made.teardown()


def test_a_view_is_not_sent_again_after_its_retraction():
    """Another key holds up the position; after a kill the topic is read from before both."""
    made = story()
    made.stuck = "s-2"
    made.view_changes("s-2", 1)
    made.view_changes("s-1", 1)
    made.flows(2)
    made.view_ends("s-1")
    made.flows(2)
    assert made.received["s-1"] == [(1, False), (2, True)]
    made.killed()
    made.flows(4)
    made.sequences_never_decrease()
    made.teardown()


def test_a_tombstone_that_was_read_and_then_forgotten_is_delivered():
    """Behind for 29 days, the tombstone is read on a second way through, not delivered, and gone by then."""
    made = story()
    made.view_changes("s-1", 1)
    made.flows(2)
    made.view_ends("s-1")
    made.days_pass(29)
    made.stuck = "s-1"
    made.flows(3)
    made.killed()
    made.days_pass(2)
    made.teardown()
    assert made.received["s-1"][-1][1]


def test_a_view_and_a_tombstone_that_the_topic_forgot_are_retracted():
    """The endpoint was away for 70 days; what its receiver holds is taken back all the same (V1)."""
    made = story()
    made.view_changes("s-1", 1)
    made.flows(2)
    made.view_ends("s-1")
    made.days_pass(70)
    made.view_changes("s-2", 1)
    made.teardown()
    assert made.received == {"s-1": [(1, False), (2, True)], "s-2": [(1, False)], "s-3": []}


def test_a_retraction_between_two_updates_is_delivered():
    """U1 delivered, then R2 and U3 while it waits: the receiver deletes before it holds again."""
    made = story()
    made.view_changes("s-1", 1)
    made.flows(2)
    made.view_ends("s-1")
    made.view_changes("s-1", 3)
    made.teardown()
    assert made.received["s-1"] == [(1, False), (2, True), (3, False)]
