"""The story that `postroom demo` tells: every step publishes, waits for what follows, and says why it did.

No number is claimed that was not measured in this run, and no step is told before its result was read from
the topic by a reader that sees what the subscriber sees.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors import Stack
from connectors.kafka_reader import TopicReader
from connectors.kafka_views import AvroReader, ReadRecord
from connectors.registry import Registry
from postroom.console import counted
from postroom.demo.citizen import Rosa
from postroom.demo.ground import Worker
from postroom.demo.page import DATA_COLUMN, Page, seconds
from postroom.demo.post import Post, now_ms
from postroom.demo.readers import Readers, Seen
from postroom.errors import Exit, UserError
from processors import obligations_topic, view_topic
from producers import Event, disordered, lives
from schemas import Agreement, Contracts

HOUSING, COUNCIL_TAX = "council-leeds-housing", "council-leeds-council-tax-reduction"
SAFEGUARDING = "nhs-safeguarding"
NEEDED = (HOUSING, COUNCIL_TAX, SAFEGUARDING)
CONSENT_TOPIC = "uk.gov.consent.decision.v1"

CITIZENS = 30
FIRST_WAIT_S, WAIT_S, QUIET_S, SETTLED_S = 120.0, 45.0, 2.0, 1.5


@dataclass
class Story:
    """What the steps share."""

    page: Page
    stack: Stack
    registry: Registry
    contracts: Contracts
    agreements: dict[str, Agreement]
    readers: Readers
    worker: Worker
    post: Post
    rosa: Rosa

    def tell(self) -> None:
        """Tell all of it, in order."""
        self.departments_publish()
        housing = self.a_record_forms()
        self.a_link_joins(housing)
        self.consent_is_withdrawn(housing)
        self.the_statute_goes_on(housing)

    def departments_publish(self) -> None:
        """A crowd of synthetic citizens, in no order and some of it twice, and every subscriber's share."""
        seed = time.time_ns()
        told = list(lives(seed, CITIZENS, now_ms()))
        crowd = disordered(told, seed)
        self.page.chapter("Departments publish")
        self.readers.until(lambda: self.readers.quiet(SETTLED_S) or None, "quiet", WAIT_S, self.worker)
        before = self._written()
        began = time.monotonic()
        self.post.publish(crowd)
        owners = Counter(event["source"].split(":")[2] for event in told)
        self.page.say(
            f"{len(told)} events about {CITIZENS} invented citizens, from {len(owners)} organisations, "
            f"in no order, {len(crowd) - len(told)} of them sent again: {seconds(time.monotonic() - began)}."
        )
        self.page.say(", ".join(f"{owner} {count}" for owner, count in owners.most_common()))
        self.readers.until(lambda: self._written() > before or None, "views", FIRST_WAIT_S, self.worker)
        self.readers.until(lambda: self.readers.quiet(QUIET_S) or None, "quiet", FIRST_WAIT_S, self.worker)
        done = self.readers.last_news - began
        self.page.say(
            f"The last view that followed was read {seconds(done)} after the first event was sent, with the "
            "worker's start. What each subscriber has in its own topic now, read as it reads it:"
        )
        self.page.table(
            ("agreement", "rests on", "people", "records so far"),
            (
                (name, a.basis.value, self.readers.people(view_topic(name)), self._written(name))
                for name, a in self.agreements.items()
            ),
        )

    def a_record_forms(self) -> str:
        """Two departments and a consent; return the key by which the council knows her."""
        rosa, page = self.rosa, self.page
        page.chapter("One record from different identifiers")
        page.say(
            "DWP, Leeds and the consent service speak of Rosa Garamond, each by what it knows her under:"
        )
        page.said("dwp", f"nino {rosa.nino}", "her name; Universal Credit, £812.50 a month")
        page.said("council-leeds", f"ctax {rosa.account}", f"her home; the form also gave NINO {rosa.nino}")
        page.said("consent-service", f"nino {rosa.nino}", "GRANTED to council-leeds for housing-support")
        self.post.publish([*rosa.known_to_leeds(), *rosa.consents(), *rosa.known_to_dwp()])
        whole = ("name", "address", "benefit")
        seen = self._await_view(HOUSING, lambda r: _is_hers(r, rosa) and _has(r, *whole), "Rosa's view")
        page.say("Leeds quoted a number that DWP uses, so they speak of one person. The council reads:")
        self._show(seen.record)
        page.say(
            "The postcode without the street, because the agreement grants no more; a key that means "
            "nothing in any other agreement; no practice, because nobody has said that of this person yet."
        )
        return seen.record.key

    def a_link_joins(self, housing: str) -> None:
        """The NHS's record of her and DWP's become one."""
        rosa, page = self.rosa, self.page
        nhs_key = f"nhs:{rosa.nhs}"
        page.chapter("A link joins two records")
        page.said("nhs", f"nhs {rosa.nhs}", f"her practice, {rosa.practice['name']}")
        self.post.publish(rosa.known_to_nhs())
        alone = self._await_view(
            SAFEGUARDING, lambda r: r.key == nhs_key and _has(r, "practice"), "the NHS's own view"
        )
        page.say(
            f"A record of its own: to the NHS, {nhs_key} has {_held(alone.record)}, and no name. "
            "Then a caseworker at DWP sees that the two numbers are one person:"
        )
        page.said("dwp", f"nino {rosa.nino}", f"LINK to nhs:{rosa.nhs}")
        self.post.publish(rosa.linked())
        joined = self._await_view(
            SAFEGUARDING, lambda r: r.key == nhs_key and _has(r, "name", "address"), "the joined view"
        )
        council = self._await_view(
            HOUSING, lambda r: r.key == housing and _has(r, "practice"), "the practice in the council's view"
        )
        page.say(
            f"One record. To the NHS, {nhs_key} now has {_held(joined.record)}"
            f"{self._moved(nhs_key, alone, joined)}. The council reads one field more, under the same key:"
        )
        self._show(council.record)
        page.say(
            'The code of her surgery is there because her consent names "health"; an unspecific one would '
            "not cover it."
        )

    def consent_is_withdrawn(self, housing: str) -> None:
        """The view goes, and how long that took by the broker's clock."""
        rosa, page = self.rosa, self.page
        page.chapter("A citizen withdraws her consent")
        page.said("consent-service", f"nhs {rosa.nhs}", "WITHDRAWN from council-leeds for housing-support")
        (event,) = events = rosa.withdraws()
        self.post.publish(events)
        gone = self._await_view(HOUSING, lambda r: r.key == housing and r.value is None, "the retraction")
        published_ms = self._broker_time(event)
        page.say(
            "She granted under one number and withdrew under another; both are hers, so it counts. "
            "The council's reader received:"
        )
        page.data(f"key {housing}  value null  {_headers(gone.record, 'ce_type', 'postroom_reason')}")
        page.strong(
            f"From the broker's timestamp of the withdrawal to that of the retraction: "
            f"{gone.record.timestamp_ms - published_ms} ms."
        )
        if self.stack.local:  # one machine, one clock
            page.say(f"In the reader's hands, committed, after {gone.received_ms - published_ms} ms.")
        owed = self._obligation(housing)
        page.say(
            f"What the council had copied it must delete: {', '.join(owed['fields'])}, by {owed['deadline']} "
            f"(topic {obligations_topic('council-leeds')}). It is told that the view ended, never why."
        )

    def the_statute_goes_on(self, housing: str) -> None:
        """Another subscriber flow of the same council, on a statutory gateway."""
        rosa, page = self.rosa, self.page
        key = f"ctax:{rosa.account}"
        topic, agreement = view_topic(COUNCIL_TAX), self.agreements[COUNCIL_TAX]
        page.chapter("What rests on a statute goes on")
        page.said("dwp", f"nino {rosa.nino}", "Universal Credit, £845.00 a month from today")
        housing_before = len(self.readers.seen(view_topic(HOUSING), housing))
        retractions = sum(seen.record.value is None for seen in self.readers.seen(topic, key))
        self.post.publish(rosa.is_paid_more())
        paid = self._await_view(COUNCIL_TAX, lambda r: r.key == key and _pence(r) == 84_500, "the new amount")
        again = len(self.readers.seen(view_topic(HOUSING), housing)) - housing_before
        page.say(
            f"The same council, for council tax reduction, reads a new view, number {_sequence(paid.record)} "
            "under its key:"
        )
        self._show(paid.record)
        page.say(f"It rests on {agreement.basis.value}: {agreement.gateway}.")
        taken = counted(retractions, "retraction")
        page.say(
            f"So the withdrawal took nothing from it: {taken} under this key. For housing "
            f"support, where she withdrew, the new amount led to {counted(again, 'record')}."
        )

    def _await_view(self, agreement: str, wanted: Callable[[ReadRecord], bool], what: str) -> Seen:
        """Wait until the latest record of some key is what is wanted, as the subscriber reads it."""

        def found() -> Seen | None:
            latest = {seen.record.key: seen for seen in self.readers.seen(view_topic(agreement))}
            return next((seen for seen in latest.values() if wanted(seen.record)), None)

        return self.readers.until(found, f"{what} ({view_topic(agreement)})", WAIT_S, self.worker)

    def _written(self, agreement: str | None = None) -> int:
        """How many records are in the view topics, or in one of them."""
        names = self.agreements if agreement is None else (agreement,)
        return sum(len(self.readers.seen(view_topic(name))) for name in names)

    def _moved(self, key: str, before: Seen, after: Seen) -> str:
        """Say it if the key changed hands with a retraction between two views, as the reader saw it (V2)."""
        seen = self.readers.seen(view_topic(SAFEGUARDING), key)
        between = seen[seen.index(before) : seen.index(after)]
        went = any(each.record.value is None for each in between)
        return "; the key's old record took its view back first" if went else ""

    def _broker_time(self, event: Event) -> int:
        """When the broker had an event, by its own clock."""
        records = AvroReader(self.stack.access, self.registry).read(CONSENT_TOPIC)
        return next(r.timestamp_ms for r in records if r.headers.get("ce_id") == event["id"])

    def _obligation(self, key: str) -> dict[str, Any]:
        """What the council must delete of what it holds under a key."""
        records = TopicReader(self.stack.access).read([obligations_topic("council-leeds")])
        owed = [record.value for record in records if record.key == key.encode() and record.value]
        if not owed:
            raise UserError("a deletion is owed and no obligation was written", code=Exit.FAULT)
        last: dict[str, Any] = json.loads(owed[-1])
        return last

    def _show(self, record: ReadRecord) -> None:
        """Write a view as it was read."""
        self.page.data(f"key {record.key}  {_headers(record, 'postroom_agreement', 'postroom_sequence')}")
        for name, value in (record.value or {}).items():
            self.page.data(f"{name:<{DATA_COLUMN}}{json.dumps(value, ensure_ascii=False)}")


def _is_hers(record: ReadRecord, rosa: Rosa) -> bool:
    """Whether a view is Rosa's: the council knows her claim, and no identifier."""
    return any(benefit["item"] == rosa.claim for benefit in (record.value or {}).get("benefit") or ())


def _has(record: ReadRecord, *attributes: str) -> bool:
    return record.value is not None and all(record.value[name] is not None for name in attributes)


def _held(record: ReadRecord) -> str:
    """Name the attributes that have a value."""
    names = [name for name, value in (record.value or {}).items() if value is not None]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _pence(record: ReadRecord) -> int | None:
    benefits = (record.value or {}).get("benefit") or ()
    return next((benefit["value"]["amount_pence"] for benefit in benefits), None)


def _sequence(record: ReadRecord) -> str:
    return record.headers["postroom_sequence"]


def _headers(record: ReadRecord, *names: str) -> str:
    return "  ".join(f"{name} {record.headers[name]}" for name in names)
