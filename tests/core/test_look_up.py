"""What is looked up for intake before a step: schemas, and records to judge again (E7)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from connectors import Unreachable
from connectors.kafka_access import KafkaAccess
from connectors.kafka_reader import Place, RawRecord, TopicReader
from postroom import look_up
from processors.dead_letters import Request, encode_json
from processors.engine import Replaceable
from processors.intake import Intake
from processors.messages import LETTER_REQUESTS_TOPIC
from processors.stage import Record
from schemas import frame
from tests.event_kit import AWARD, MISSING, NAME, NOW_MS, RULES, award, binary, intake

PLACE = (AWARD, 3, 17)


class Registry:
    """One that knows a schema from the second time on that it is asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), 0

    def schema_by_id(self, schema_id: int) -> Any:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def asked(action: str = "replay", offset: int = 5) -> Record:
    """A request about one record."""
    request = Request(*PLACE, action, "op", "OPS-1")  # type: ignore[arg-type]
    return Record(LETTER_REQUESTS_TOPIC, 3, offset, NOW_MS, b"", encode_json(request))


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> dict[Place, RawRecord]:
    """What a broker still has; to be filled."""
    found: dict[Place, RawRecord] = {}

    def at(self: TopicReader, places: Collection[Place]) -> dict[Place, RawRecord]:
        return {place: found[place] for place in places if place in found}

    monkeypatch.setattr(TopicReader, "at", at)
    monkeypatch.setattr(look_up, "RETRY_S", 0.0)
    return found


def prepared(stage: Any, registry: Any, *batch: Record) -> None:
    """Look up for one batch."""
    prepare = look_up.look_up(Replaceable(stage), registry, KafkaAccess("localhost:1"))
    asyncio.run(prepare(batch))  # type: ignore[arg-type]


def test_a_record_is_read_from_its_place_and_one_that_is_not_there_is_gone(
    there: dict[Place, RawRecord],
):
    """By the request's place, because a record may be asked for twice."""
    stage, record = intake(), binary(award())
    prepared(stage, Registry(), asked())
    assert stage.fetched == {(3, 5): None}
    there[PLACE] = RawRecord(*record)
    prepared(stage, Registry(), asked(offset=6))
    assert stage.fetched == {(3, 6): record}, "the last batch's are forgotten"


def test_a_discard_reads_nothing(there: dict[Place, RawRecord]):
    """Nor does an ordinary event."""
    stage = intake()
    prepared(stage, Registry(), asked("discard"), binary(award()))
    assert stage.fetched == {}


def test_a_schema_that_was_unknown_is_asked_for_again_for_a_replay(there: dict[Place, RawRecord]):
    """What was undecodable because nobody had registered it may be right by now; the registry waits too."""
    stage, record = intake(), binary(award())
    there[PLACE] = RawRecord(*record._replace(value=b"\0\0\0\0" + bytes([MISSING]) + b"x"))
    registry = Registry(Unreachable("away"), {"type": "string"})
    prepared(stage, registry, asked())
    assert stage.writers[MISSING] == {"type": "string"}
    assert registry.asked == 2
    prepared(stage, Registry(), asked())
    assert stage.writers[MISSING] == {"type": "string"}, "and what is known is not asked for again"


class Endless(Registry):
    """One that knows schemas below a hundred, and counts what it is asked."""

    def schema_by_id(self, schema_id: int) -> Any:
        self.asked += 1
        return {"type": "string"} if schema_id < 100 else None


def of_schema(schema_id: int, topic: str = AWARD) -> Record:
    """A record whose writer names this schema."""
    return binary(award())._replace(topic=topic, value=frame(schema_id, b"x"))


class Flooded:
    """Intake under a department that names another schema with each record; a clock of the test's own."""

    def __init__(self) -> None:
        self.stage, self.registry, self.now_s = Intake(RULES), Endless(), 1_000.0
        held = Replaceable(self.stage)
        access = KafkaAccess("localhost:1")
        self.prepare = look_up.look_up(held, self.registry, access, lambda: self.now_s)  # type: ignore[arg-type]

    def asked(self, *records: Record) -> int:
        """How often the registry is asked because of these."""
        before = self.registry.asked
        asyncio.run(self.prepare(records))  # type: ignore[arg-type]
        return self.registry.asked - before


def test_a_flood_of_schemas_that_nobody_registered_costs_few_questions_and_no_other_topic():
    """E2, V7: everybody waits while the registry is asked, so one topic may ask in vain only so often."""
    flooded = Flooded()
    assert flooded.asked(*(of_schema(number) for number in range(1_000, 6_000))) == look_up.UNKNOWN_AT_ONCE
    assert flooded.asked(*(of_schema(number) for number in range(6_000, 7_000))) == 0
    assert flooded.asked(of_schema(7), of_schema(8_000), of_schema(9, NAME)) == 1, "another topic's is asked"
    assert flooded.stage.writers[9] == {"type": "string"}
    flooded.now_s += 2
    assert flooded.asked(of_schema(8_000), of_schema(7)) == 2, "and after a while its own are again"
    assert flooded.stage.writers[7] == {"type": "string"}


def test_schemas_that_are_registered_cost_nothing_of_it():
    """E2: a department may write with as many versions as there are."""
    flooded = Flooded()
    assert flooded.asked(*(of_schema(number) for number in range(99))) == 99
    assert flooded.asked(of_schema(99)) == 1


def test_what_was_asked_in_vain_is_not_remembered_without_end():
    """A flood of years must not fill the worker's memory, one id at a time."""
    flooded = Flooded()
    for number in range(1_200):
        flooded.now_s += 1
        flooded.asked(of_schema(1_000 + number))
    assert len(flooded.stage.writers) <= look_up.UNKNOWN_KEPT_MAX + 1
