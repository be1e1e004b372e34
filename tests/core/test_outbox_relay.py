"""The relay of an outbox: rows leave only when acknowledged, an aggregate's in order, bad ones parked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.postgres.outbox_ddl import outbox_ddl
from connectors.trouble import Misused
from producers import Publisher
from producers.outbox import RETRY_S, Relay, waves
from producers.publisher import BrokerUnreachable
from schemas import Contract
from tests.core.test_producers_publisher import FakeProducer, T, contracts, event

TYPE, OTHER = "uk.gov.benefits.claimant.v1", "uk.gov.consent.restriction.v1"


class Row(NamedTuple):
    """A row as the outbox gives it."""

    id: str
    aggregate: str
    type: str
    event: bytes | None


@dataclass
class Outbox:
    """An outbox in memory, as the table is: what is settled is gone."""

    rows: list[Row] = field(default_factory=list)
    parked: dict[str, tuple[str, str]] = field(default_factory=dict)

    def take(self, waiting: Sequence[str] = ()) -> list[Row]:
        """What is due, but for types that wait and what follows them in their aggregates."""
        due, stopped = [], set()
        for row in self.rows:
            if row.type in waiting:
                stopped.add(row.aggregate)
            if row.id not in self.parked and row.aggregate not in stopped:
                due.append(row)
        return due

    def settle(self, done: Sequence[str], parked: Sequence[tuple[str, str, str]]) -> None:
        """Take away, and park."""
        self.rows = [row for row in self.rows if row.id not in done]
        self.parked |= {name: (reason, why) for name, reason, why in parked}


class Producer(FakeProducer):
    """Kafka, with partitions; and what was acknowledged when a record was handed over."""

    def __init__(self, **more: object) -> None:
        super().__init__(**more)  # type: ignore[arg-type]
        self.partitions: list[int | None] = []
        self.unacknowledged: list[int] = []

    def partitions_for(self, topic: str) -> set[int]:
        super().partitions_for(topic)
        return {0, 1, 2}

    def send(
        self, topic: str, *, value: bytes, headers: list[tuple[str, bytes]], partition: int | None = None
    ):  # type: ignore[override]
        self.partitions.append(partition)
        self.unacknowledged.append(sum(not d.is_done for d in self.deliveries))
        return super().send(topic, value=value, headers=headers)


class World:
    """An outbox, a Kafka, a clock, and the relay between them."""

    def __init__(self, *rows: Row, registered: bool = True, **kafka: object) -> None:
        self.outbox, self.kafka, self.now_s = Outbox(list(rows)), Producer(**kafka), 0.0
        self.registered = registered
        self.relay = Relay(self.outbox, self.publisher, lambda: self.now_s)

    def publisher(self) -> Publisher:
        def schema_id(contract: Contract) -> int | None:
            return None if contract.type == OTHER and not self.registered else 1

        return Publisher(self.kafka, contracts(), schema_id, lambda: T, where="127.0.0.1:1", speaks_for="dwp")

    def ids(self) -> list[str]:
        """The ids on Kafka, in their order."""
        return [dict(headers)["ce_id"].decode() for _, _, headers in self.kafka.sent]


def row(number: int, aggregate: str = "a", type_: str = TYPE, **changes: object) -> Row:
    return Row(str(number), aggregate, type_, event(number, type=type_, **changes))


def test_a_row_leaves_once_it_is_acknowledged():
    """And is gone then: the next round finds nothing."""
    world = World(row(1), row(2, "b"))
    assert world.relay.round().published == {TYPE: 2}
    assert (world.ids(), world.outbox.rows) == (["1", "2"], [])
    assert world.relay.round().was_empty


def test_a_row_of_an_aggregate_waits_for_the_one_before():
    """One aggregate is never on its way twice, and always goes to the same partition."""
    world = World(row(1), row(2), row(3, "b"), row(4))
    world.relay.round()
    assert world.ids() == ["1", "3", "2", "4"]
    assert world.kafka.unacknowledged == [0, 1, 0, 0]
    assert len({world.kafka.partitions[n] for n in (0, 2, 3)}) == 1


def test_what_kafka_refuses_stops_its_aggregate_only():
    """The row stays, what follows it stays behind it, the others go; the same again later (E1)."""
    from kafka.errors import MessageSizeTooLargeError

    world = World(row(1), row(2), row(3, "b"), fail={1: MessageSizeTooLargeError()})
    found = world.relay.round()
    assert [each.id for each in world.outbox.rows] == ["1", "2"]
    assert found.published == {TYPE: 1}
    assert not world.outbox.parked
    world.now_s = RETRY_S
    world.relay.round()
    assert world.ids() == ["1", "3", "1", "2"]
    assert not world.outbox.rows


def test_a_type_that_is_not_registered_waits_and_the_others_go():
    """Until it is registered, without a restart; what follows it in its aggregate waits behind it."""
    world = World(protected(1), row(2), row(3, "b"), registered=False)
    found = world.relay.round()
    assert (found.held.keys(), world.ids()) == ({OTHER}, ["3"])
    assert "register" in found.held[OTHER].mend
    assert not world.outbox.parked
    assert world.relay.round().was_empty, "it is not asked for all the time"
    world.registered, world.now_s = True, RETRY_S
    world.relay.round()
    assert (world.ids(), world.outbox.rows) == (["3", "1", "2"], [])


def protected(number: int) -> Row:
    return row(number, "a", OTHER, data={"subject": "nino:NC000017A", "state": "RESTRICTED"})


def test_bad_rows_are_parked_with_their_reason_and_no_value():
    """The reasons are intake's (E7), and nothing of the row is in what is kept about it."""
    long = Row("5", "e", TYPE, None)
    world = World(
        row(1, "a", source="urn:gov:hmrc:paye"),
        row(2, "b", data={"nino": "SECRET"}),
        row(3, "c", type_="uk.gov.no.such.v1"),
        Row("4", "d", TYPE, b"  "),
        long,
        row(6, "f", data=None),
        row(7, "a"),
    )
    found = world.relay.round()
    assert {name: reason for name, (reason, _) in world.outbox.parked.items()} == {
        "1": "not-the-owner",
        "2": "identifier-invalid",
        "3": "unknown-type",
        "4": "undecodable",
        "5": "oversized",
        "6": "null-value",
    }
    assert "SECRET" not in json.dumps(world.outbox.parked)
    assert (found.parked.total(), world.ids()) == (6, ["7"]), "a parked row holds nobody up"
    assert world.relay.round().was_empty


def test_another_owners_shared_contract_does_not_go_this_way():
    """An outbox speaks for one owner, even where a contract has several."""
    shared = next(c for c in contracts().by_type.values() if {"dwp", "hmrc"} <= c.owners or len(c.owners) > 1)
    other = next(owner for owner in sorted(shared.owners) if owner != "dwp")
    world = World(row(1, "a", shared.type, source=f"urn:gov:{other}:x"))
    world.relay.round()
    assert world.outbox.parked["1"][0] == "not-the-owner"


def test_a_broker_that_is_gone_leaves_what_is_not_acknowledged():
    """What it had acknowledged before is settled."""
    from kafka.errors import KafkaTimeoutError

    world = World(row(1), row(2, "b"), row(3, "c"), fail={2: KafkaTimeoutError()})
    with pytest.raises(BrokerUnreachable):
        world.relay.round()
    assert [each.id for each in world.outbox.rows] == ["2", "3"]


@given(st.lists(st.integers(0, 4), max_size=30))
def test_waves_keep_every_row_and_the_order_of_each_aggregate(aggregates: list[int]):
    """No wave has an aggregate twice."""
    rows = [row(number, str(aggregate)) for number, aggregate in enumerate(aggregates)]
    found = list(waves(rows))
    assert all(len({each.aggregate for each in wave}) == len(wave) for wave in found)
    flat = [each for wave in found for each in wave]
    assert sorted(flat) == sorted(rows)
    for aggregate in {each.aggregate for each in rows}:
        own = [each for each in rows if each.aggregate == aggregate]
        assert [each for each in flat if each.aggregate == aggregate] == own


@pytest.mark.parametrize(
    ("owner", "system"), [("DWP", "cis"), ("dwp", "a b"), ("dwp", "x';--"), ("d", "cis")]
)
def test_only_a_source_of_events_gets_an_outbox(owner: str, system: str):
    """What is written into SQL is what E1 allows, and nothing else."""
    with pytest.raises(Misused):
        outbox_ddl(owner, system)


def test_the_outbox_follows_the_convention():
    """The columns of Debezium's outbox event router, and what CloudEvents needs besides."""
    sql = outbox_ddl("dwp", "cis")
    for column in ("id            uuid", "aggregatetype varchar(255)", "aggregateid   varchar(255)"):
        assert column in sql
    assert "payload       jsonb" in sql
    assert "DEFAULT 'urn:gov:dwp:cis'" in sql
