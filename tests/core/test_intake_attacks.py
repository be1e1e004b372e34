"""Records that a department with credentials could write on Kafka to stop a stage, a log or a subscriber."""

from __future__ import annotations

import json

import pytest

from processors.intake import Rejected
from processors.messages import Said
from processors.outcomes import Rejection
from processors.rules import Limits
from processors.stage import Record
from schemas import frame
from tests.event_kit import CONTRACTS, NOW_MS, award, binary, intake, line, reason, step, structured

MOST = Limits().attributes_bytes
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


def headed(record: Record, **headers: bytes | None) -> Record:
    """The record with other headers, or more."""
    return record._replace(headers=tuple((dict(record.headers) | headers).items()))


# A name lies in every state and disclosure that the event leads to, once for each attribute: a consent with a
# name of 150 kB made 450 kB of each disclosure that rested on it (docs/adr/0061).


@pytest.mark.parametrize("attribute", ["id", "traceparent", "note"])
def test_an_event_with_an_endless_name_is_oversized_by_every_way_in(attribute: str) -> None:
    """E7: attributes count by themselves, whatever room the value has left."""
    for length, expected in ((MOST, Rejection.OVERSIZED), (MOST // 2, None)):
        endless = award() | {attribute: "x" * length}
        assert reason(intake().accept_json(line(endless), NOW_MS)) is expected
        assert reason(intake().accept_record(structured(endless))) is expected
        name = attribute if attribute == "traceparent" else f"ce_{attribute}"
        record = headed(binary(award()), **{name: b"x" * length})
        assert reason(intake().accept_record(record)) is expected


def test_a_name_counts_in_bytes() -> None:
    """E7: what is written is UTF-8, of which a character may be four."""
    endless = award() | {"id": "\U0001f600" * (MOST // 4)}
    assert reason(intake().accept_json(line(endless), NOW_MS)) is Rejection.OVERSIZED


@pytest.mark.parametrize("spoil", [{}, {"value": None}, {"value": b"{}"}], ids=["good", "null", "unframed"])
def test_the_dead_letter_of_an_endless_name_does_not_hold_it(spoil: dict[str, bytes | None]) -> None:
    """E7: a letter, and the line in the log, are short whatever else is wrong with the event."""
    record = headed(binary(award()), ce_id=b'"' * (2 << 20))._replace(**spoil)
    found = step(record)
    (letter,) = found.outgoing
    assert len(letter.value or b"") < 500
    assert json.loads(letter.value or b"")["reason"] == "oversized"
    assert all(len(notice.id) < 500 for notice in found.notices)


@pytest.mark.parametrize(
    "trace",
    [
        b"00-1-2-3",
        b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01\r\nset-cookie: a=b",
        b"ff-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01",
        b"00-" + b"0" * 32 + b"-" + b"b" * 16 + b"-01",
        b"00-" + b"a" * 32 + b"-" + b"0" * 16 + b"-01",
        b"nino:AB123456C",
        "00-\u2028-\u202e".encode(),
        b"x" * 8_000,
    ],
)
def test_what_is_no_trace_goes_no_further(trace: bytes) -> None:
    """V3: every subscriber and the log receive it, so a department cannot write there what it likes."""
    said = intake().accept_record(headed(binary(award()), traceparent=trace))
    assert isinstance(said, Said)
    assert said.cause.traceparent == ""
    rejected = intake().accept_record(headed(binary(award()), traceparent=trace)._replace(value=None))
    assert isinstance(rejected, Rejected)
    assert rejected.traceparent == ""


def test_a_trace_goes_on() -> None:
    """V3: as it was given, with what was accepted and with what was not."""
    record = headed(binary(award()), traceparent=TRACE.encode())
    said, rejected = intake().accept_record(record), intake().accept_record(record._replace(value=None))
    assert isinstance(said, Said)
    assert isinstance(rejected, Rejected)
    assert (said.cause.traceparent, rejected.traceparent) == (TRACE, TRACE)


WHOLE = line(award())
BOMBS = {
    "an integer of 100,000 digits": WHOLE.replace(b"100", b"9" * 100_000),
    "an integer of 100,000 digits as an attribute": WHOLE[:-1] + b', "x": -' + b"9" * 100_000 + b"}",
    "a number beyond every double": WHOLE.replace(b"100", b"1e400"),
    "a word that is no JSON": WHOLE.replace(b"100", b"NaN"),
    "two hundred thousand levels": WHOLE[:-1] + b', "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "half of a surrogate pair in an attribute": WHOLE[:-1] + b', "traceparent": "\\ud800"}',
    "half of a surrogate pair in a name": WHOLE.replace(b'"nino"', b'"\\ud800"'),
    "a type of 5,000 digits": WHOLE.replace(b"award.v1", b"award.v" + b"9" * 5_000),
    "a second, worse data": WHOLE[:-1] + b', "data": null}',
    "a fraction of 900,000 digits": WHOLE.replace(b"00:00:00Z", b"00:00:00." + b"9" * 900_000 + b"Z"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_judged_and_stops_nothing(bomb: str) -> None:
    """E7: an exception here would stop a task, and every start would meet the record again."""
    found = step(structured(award())._replace(value=BOMBS[bomb]))
    assert len(found.outgoing) == len(found.outcomes) == 1
    assert len(found.outgoing[0].value or b"") < 2 * MOST


STRANGE = [
    "string",
    {"type": "array", "items": "null"},
    {"type": "map", "values": "null"},
    {"type": "fixed", "size": 2_147_483_647, "name": "F"},
    {"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]},
    {"type": "array", "items": {"type": "record", "name": "Z", "fields": []}},
    {"type": "record", "name": "R", "fields": [{"name": "a", "type": "Unknown"}]},
    {"foo": 1},
    [],
    7,
]
BODIES = [b"", b"\0" * 20, b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" * 2, b"\x02" * 50, b"\x80" * 40]


def test_a_schema_of_somebody_else_under_any_contract_stops_nothing() -> None:
    """E2: the id in a record is its writer's to choose, so every schema of the registry meets every topic."""
    stage = intake()
    stage.writers |= dict(enumerate(STRANGE, 500))  # type: ignore[arg-type]
    letters = 0
    for type_, contract in CONTRACTS.by_type.items():
        source = f"urn:gov:{min(contract.owners)}:main".encode()
        like = headed(binary(award()), ce_type=type_.encode(), ce_source=source)._replace(topic=type_)
        records = [
            like._replace(value=frame(schema_id, body)) for schema_id in stage.writers for body in BODIES
        ]
        letters += len(stage.step(lambda _: None, records, (), NOW_MS).outgoing)
    assert letters == len(CONTRACTS.by_type) * len(stage.writers) * len(BODIES)
