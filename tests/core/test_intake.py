"""Intake: an event is accepted or rejected, never both, and of several reasons the first is given (E7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from processors.intake import Intake, Rejected
from processors.messages import (
    ASSERTIONS_TOPIC,
    DEAD_LETTERS_TOPIC,
    OBLIGATIONS_TOPIC,
    Acknowledged,
    Said,
    decode_for_obligations,
)
from processors.outcomes import Rejection
from processors.rules import Limits
from processors.stage import Outcome, Record
from schemas import format_instant, frame, parse_instant
from tests.event_kit import (
    AWARD,
    CONTRACTS,
    DWP,
    MISSING,
    NAME,
    NOW_MS,
    RULES,
    TIME_MS,
    Event,
    award,
    binary,
    event,
    intake,
    line,
    reason,
    step,
    structured,
)

# E7: the first reason that applies. Each fault is made on top of all later ones, so only the order decides.

EARLY = Limits(future_ms=0)  # with a broker's timestamp of 1970, an event of 1999 is both too old and too new
TOO_OLD_MS = parse_instant("1999-12-31T23:59:59.999Z")
JSON_FAULTS: tuple[tuple[Rejection, Callable[[Event], Event]], ...] = (
    (Rejection.OVERSIZED, lambda e: e | {"pad": "x" * EARLY.value_bytes}),
    (Rejection.UNDECODABLE, lambda e: e | {"id": ""}),
    (Rejection.NULL_VALUE, lambda e: e | {"data": None}),
    (Rejection.UNKNOWN_TYPE, lambda e: e | {"type": "uk.gov.civil.nothing.v1"}),
    (Rejection.NOT_THE_OWNER, lambda e: e | {"source": "urn:gov:dvla:main"}),
    (Rejection.CONTRACT_MISMATCH, lambda e: e | {"data": e["data"] | {"unknown": 1}}),
    (Rejection.IDENTIFIER_INVALID, lambda e: e | {"data": e["data"] | {"nino": "BG123456C"}}),
    (Rejection.TIME_TOO_OLD, lambda e: e | {"time": format_instant(TOO_OLD_MS)}),
    (Rejection.TIME_IN_FUTURE, lambda e: e),
)


@pytest.mark.parametrize("first", range(len(JSON_FAULTS)), ids=[fault.value for fault, _ in JSON_FAULTS])
def test_of_several_reasons_the_first_is_given(first: int):
    """E7: a line with this fault and every later one."""
    faulty = award()
    for _, fault in reversed(JSON_FAULTS[first:]):
        faulty = fault(faulty)
    stage = intake(EARLY)
    assert reason(stage.accept_json(line(faulty), broker_ms=0)) is JSON_FAULTS[first][0]
    record = structured(faulty)._replace(timestamp_ms=0)
    assert reason(stage.accept_record(record)) is JSON_FAULTS[first][0]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("0000-01-01T00:00:00Z", Rejection.TIME_TOO_OLD),
        ("0001-01-01T00:00:00+00:01", Rejection.TIME_TOO_OLD),
        ("9999-12-31T23:59:59-00:01", Rejection.TIME_IN_FUTURE),
        ("0000-02-30T00:00:00Z", Rejection.UNDECODABLE),
    ],
)
def test_a_time_of_any_year_is_well_formed(time: str, expected: Rejection):
    """E7: it is too old or in the future, and not damaged, by every way in."""
    assert reason(intake().accept_json(line(award() | {"time": time}), NOW_MS)) is expected
    assert reason(intake().accept_record(with_header(binary(award()), "ce_time", time.encode()))) is expected


def with_header(record: Record, name: str, value: bytes) -> Record:
    """The record with one header changed."""
    return record._replace(headers=tuple((n, value if n == name else v) for n, v in record.headers))


def rewritten(record: Record, **data: Any) -> Record:
    """The award with other data; Avro itself checks no identifier."""
    contract = CONTRACTS.by_type[AWARD]
    body = contract.to_avro(contract.from_json(award(**data)["data"]))
    return record._replace(value=(record.value or b"")[:5] + body)


BINARY_FAULTS: tuple[tuple[Rejection, Callable[[Record], Record]], ...] = (
    (Rejection.OVERSIZED, lambda r: r._replace(value=(r.value or b"") + bytes(EARLY.value_bytes))),
    (Rejection.UNDECODABLE, lambda r: with_header(r, "ce_id", b"")),
    (Rejection.NULL_VALUE, lambda r: r._replace(value=None)),
    (Rejection.UNKNOWN_TYPE, lambda r: with_header(r, "ce_type", b"uk.gov.civil.nothing.v1")),
    (Rejection.NOT_THE_OWNER, lambda r: with_header(r, "ce_source", b"urn:gov:dvla:main")),
    (Rejection.CONTRACT_MISMATCH, lambda r: r._replace(value=(r.value or b"")[:-1])),
    (Rejection.IDENTIFIER_INVALID, lambda r: rewritten(r, nino="BG123456C")),
    (Rejection.TIME_TOO_OLD, lambda r: with_header(r, "ce_time", format_instant(TOO_OLD_MS).encode())),
    (Rejection.TIME_IN_FUTURE, lambda r: r._replace(timestamp_ms=0)),
)


@pytest.mark.parametrize("first", range(len(BINARY_FAULTS)), ids=[fault.value for fault, _ in BINARY_FAULTS])
def test_of_several_reasons_the_first_is_given_in_binary_mode_too(first: int):
    """E7, E2: a record with this fault and every later one; nobody's value is longer than nothing's."""
    faulty = binary(award())
    for fault, make in reversed(BINARY_FAULTS[first:]):
        if not (first == 0 and fault is Rejection.NULL_VALUE):
            faulty = make(faulty)
    assert reason(intake(EARLY).accept_record(faulty)) is BINARY_FAULTS[first][0]


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b"7", b'"e"', b"\xff", b"[" * 100_000, b'{"id": "\\ud800"}', b"\xef\xbb\xbf{}"],
)
def test_what_is_no_event_is_undecodable(value: bytes):
    """E1, E7: whatever the bytes, a reason and never an exception."""
    assert reason(intake().accept_json(value, NOW_MS)) is Rejection.UNDECODABLE


@pytest.mark.parametrize("key", ["id", "nino", "data"])
def test_an_event_that_says_a_key_twice_is_undecodable(key: str):
    """E3, E7: of two values nobody knows which was meant; on Kafka in structured mode too."""
    twice = line(award()).replace(f'"{key}"'.encode(), f'"{key}": null, "{key}"'.encode(), 1)
    assert twice != line(award())
    assert reason(intake().accept_json(twice, NOW_MS)) is Rejection.UNDECODABLE
    record = structured(award())._replace(value=twice)
    assert reason(intake().accept_record(record)) is Rejection.UNDECODABLE


@pytest.mark.parametrize("name", ["id", "source", "type", "time"])
def test_each_of_the_four_names_of_an_event_is_needed(name: str):
    """E1, E7: `undecodable` without it, by every way in."""
    lacking = {key: value for key, value in award().items() if key != name}
    assert reason(intake().accept_json(line(lacking), NOW_MS)) is Rejection.UNDECODABLE
    headers = tuple((n, v) for n, v in binary(award()).headers if n != f"ce_{name}")
    assert intake().accept_record(binary(award())._replace(headers=headers)) == Rejected(
        Rejection.UNDECODABLE
    )


@pytest.mark.parametrize("value", [b"", b"\0\0\0\0", b"\1\0\0\0\7", b"\0\0\0\0\7", b"\0\0\0\0\x63", b"{}"])
def test_what_is_not_framed_or_of_a_schema_that_nobody_knows_is_undecodable(value: bytes):
    """E2, E7: the registry has no such id (99), or said so before (7)."""
    record = binary(award())._replace(value=value)
    assert reason(intake().accept_record(record)) is Rejection.UNDECODABLE


def test_data_that_is_absent_is_null():
    """E7: `null-value` is also `data` absent."""
    lacking = {key: value for key, value in award().items() if key != "data"}
    assert reason(intake().accept_json(line(lacking), NOW_MS)) is Rejection.NULL_VALUE


def test_a_null_on_a_department_topic_is_rejected():
    """E2: never read as a deletion, even where it says that it is structured."""
    assert reason(intake().accept_record(binary(award())._replace(value=None))) is Rejection.NULL_VALUE
    assert reason(intake().accept_record(structured(award())._replace(value=None))) is Rejection.UNDECODABLE


@pytest.mark.parametrize("form", [binary, structured])
def test_an_event_on_another_types_topic_has_an_unknown_type(form: Callable[..., Record]):
    """E2: one topic per type; its access rules are not those of the type that the event names."""
    assert reason(intake().accept_record(form(award(), topic=NAME))) is Rejection.UNKNOWN_TYPE


def test_an_event_of_the_greatest_size_is_accepted():
    """E7: `oversized` is over the limit, by every way in; the value of a record counts, not its headers."""
    for record in (binary(award()), structured(award())):
        size = len(record.value or b"")
        assert isinstance(intake(Limits(value_bytes=size)).accept_record(record), Said)
        assert reason(intake(Limits(value_bytes=size - 1)).accept_record(record)) is Rejection.OVERSIZED
    size = len(line(award()))
    assert isinstance(intake(Limits(value_bytes=size)).accept_json(line(award()), NOW_MS), Said)
    assert (
        reason(intake(Limits(value_bytes=size - 1)).accept_json(line(award()), NOW_MS)) is Rejection.OVERSIZED
    )


@pytest.mark.parametrize(
    ("time_ms", "expected"),
    [
        (TOO_OLD_MS, Rejection.TIME_TOO_OLD),
        (TOO_OLD_MS + 1, None),
        (NOW_MS + 5 * 60_000, None),
        (NOW_MS + 5 * 60_000 + 1, Rejection.TIME_IN_FUTURE),
    ],
)
def test_a_time_may_lie_from_2000_to_five_minutes_after_the_brokers(time_ms: int, expected: Rejection | None):
    """E7: to the millisecond; the broker's timestamp decides, not the moment of reading."""
    said = award() | {"time": format_instant(time_ms)}
    assert reason(intake().accept_json(line(said), NOW_MS)) is expected
    assert reason(intake().accept_record(binary(said))) is expected


# What is not accepted, and what is not about a person.


def test_a_dead_letter_says_where_and_why_and_never_what():
    """E7: topic, partition, offset, reason, type, source and id; the payload stays where it is."""
    record = structured(award(nino="BG123456C"))
    found = step(record)
    (letter,) = found.outgoing
    assert (letter.topic, letter.key) == (DEAD_LETTERS_TOPIC, f"{AWARD}/3/17".encode())
    assert json.loads(letter.value or b"") == {
        "topic": AWARD,
        "partition": 3,
        "offset": 17,
        "reason": "identifier-invalid",
        "type": AWARD,
        "source": DWP,
        "id": "e-1",
        "timestamp_ms": NOW_MS,
    }
    assert letter.headers == ()
    assert found.outcomes == [Outcome(AWARD, "rejected", "identifier-invalid")]


def test_a_dead_letter_of_what_could_not_be_read_names_nothing_but_the_place():
    """E7: type, source and id only as far as they were read."""
    (letter,) = step(structured(award())._replace(value=b"{")).outgoing
    found = json.loads(letter.value or b"")
    assert (found["type"], found["source"], found["id"]) == (None, None, None)
    assert (found["topic"], found["offset"], found["reason"]) == (AWARD, 17, "undecodable")


def test_a_type_that_no_contract_names_is_not_counted_by_its_name():
    """§7: what is counted is from a bounded set, whatever a department writes into `type`."""
    strange = structured(award() | {"type": "uk.gov.civil.nothing.v1"})
    assert step(strange).outcomes == [Outcome("unknown", "rejected", "unknown-type")]


def test_each_record_of_a_batch_is_judged_by_itself():
    """E7: accepted or rejected, never both; a bad one takes no other with it."""
    bad = structured(award(nino="x"))
    found = step(binary(award()), bad, structured(award()))
    assert [out.topic for out in found.outgoing] == [ASSERTIONS_TOPIC, DEAD_LETTERS_TOPIC, ASSERTIONS_TOPIC]
    assert found.outcomes == [
        Outcome(AWARD, "rejected", Rejection.IDENTIFIER_INVALID),
        Outcome(AWARD, "accepted", "", 2),
    ]


def test_an_acknowledgement_goes_to_its_obligation_and_a_bad_one_to_the_dead_letters():
    """V4: by the obligation's name, whatever partition it came on; never read as a department's event."""
    name = "o-" + "a" * 32
    done = event("uk.gov.postroom.deletion-done.v1", "urn:gov:dvla:main", obligation=name)
    good = Record("acknowledgements", 5, 1, NOW_MS, b"any", line(done))
    found = step(good, good._replace(value=None))
    first, letter = found.outgoing
    assert (first.topic, first.key) == (OBLIGATIONS_TOPIC, name.encode())
    assert decode_for_obligations(first.value or b"") == Acknowledged(name, "dvla", TIME_MS)
    assert (letter.topic, json.loads(letter.value or b"")["reason"]) == (DEAD_LETTERS_TOPIC, "undecodable")
    assert [outcome.outcome for outcome in found.outcomes] == ["accepted", "rejected"]


def test_the_schemas_that_must_be_fetched_are_the_framed_ones_not_yet_known():
    """E2: once for each id, known to be missing or not; nothing for what is not framed."""
    values = [
        frame(9, b""),
        frame(9, b"x"),
        frame(MISSING, b""),
        frame(100, b""),
        None,
        b"\0\0",
        b"\1\0\0\0\5",
    ]
    batch = [binary(award())._replace(value=value) for value in values]
    assert intake().unknown_schema_ids(batch) == {9}
    assert Intake(RULES).unknown_schema_ids(batch) == {9, 100, MISSING}


def test_intake_has_no_state():
    """§7: so any task may read any record."""
    assert intake().keys([binary(award())]) == set()


def test_what_is_remembered_of_how_events_are_read_does_not_grow_with_their_sources():
    """E1: a department has as many systems as it likes, and names them as it likes."""
    stage = intake()
    record = binary(award())
    for number in range(20):
        source = f"urn:gov:dwp:system-{number}".encode()
        assert isinstance(stage.accept_record(with_header(record, "ce_source", source)), Said)
    assert len(stage._readings) == 1
