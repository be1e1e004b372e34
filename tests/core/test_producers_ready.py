"""A line is ready for the wire, or refused with intake's reason, a why and a way to mend it."""

import json
from functools import cache
from pathlib import Path

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.outcomes import Rejection
from producers import Ready, Refused, Undelivered, make_ready, read_lines
from producers.ready import refuse
from schemas import Contracts, cloudevent_from_headers, load_contracts, parse_instant

ROOT = Path(__file__).resolve().parents[2]
CASE = ROOT / "tests" / "cases" / "12-rejected-and-duplicate"
T = parse_instant("2026-11-23T10:00:00Z")
CANARY = "NC424242A"
GOOD = {
    "specversion": "1.0",
    "id": "1",
    "source": "urn:gov:dwp:cis",
    "type": "uk.gov.benefits.claimant.v1",
    "time": "2025-02-10T11:00:00Z",
    "data": {"nino": "nc 42 42 42 a", "date_of_birth": "1987-04"},
}


@cache
def contracts(directory: str = "schemas") -> Contracts:
    return load_contracts(ROOT / directory)


def ready(**changes: object) -> Ready | Refused:
    event = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    return make_ready(json.dumps(event).encode(), contracts(), T)


def refused(**changes: object) -> Refused:
    answer = ready(**changes)
    assert isinstance(answer, Refused)
    return answer


def test_every_reason_of_intake_and_of_delivery_has_its_mend():
    """A department reads the same words here and in a dead letter (E7), and what to do about each."""
    for reason in (*Rejection, *Undelivered):
        assert refuse(reason, "it is so").mend


def test_the_publisher_refuses_what_the_conformance_case_rejects():
    """The same lines, the same reasons as the expected `rejected` of case 12."""
    expected = json.loads((CASE / "expected.json").read_text())["rejected"]
    now_ms = parse_instant((CASE / "at.txt").read_text().strip())
    found = []
    with (CASE / "events.jsonl").open("rb") as file:
        for line in read_lines(file):
            if not line.blank:
                answer = make_ready(line.content, contracts("tests/cases/contracts"), now_ms)
                if isinstance(answer, Refused):
                    found.append([line.number, answer.reason.value])
    assert found == expected


def test_a_good_line_becomes_binary_mode():
    """Headers name the event, the body is Avro of the contract (E2)."""
    answer = ready(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert isinstance(answer, Ready)
    headers = dict(answer.headers)
    assert headers["content-type"] == b"application/avro"
    assert headers["ce_id"] == b"1"
    event = cloudevent_from_headers(answer.headers)
    assert (event.source, event.type) == (GOOD["source"], GOOD["type"])
    assert b"traceparent" in " ".join(headers).encode()


def test_a_key_twice_is_told_with_its_place():
    """E3: of two values nobody knows which was meant, so neither goes."""
    line = json.dumps(GOOD).replace('"id"', '"id": "2", "id"').encode()
    answer = make_ready(line, contracts(), T)
    assert isinstance(answer, Refused)
    assert answer.reason is Rejection.UNDECODABLE
    assert [each.path for each in answer.problems] == ["$.id"]
    assert answer.mend.startswith("write each key once")


def test_a_key_twice_does_not_hide_what_else_is_wrong():
    """Every key that stands twice is told, and what does not rest on one of them is looked at (E7)."""
    line = json.dumps(GOOD | {"time": "2199-01-01T00:00:00Z"}).replace('"nino"', '"nino": "x", "nino"')
    line = line.replace('"id"', '"id": "2", "id"')
    answer = make_ready(line.encode(), contracts(), T)
    assert isinstance(answer, Refused)
    assert answer.reason is Rejection.UNDECODABLE
    assert [(each.path, each.reason) for each in answer.problems] == [
        ("$.id", Rejection.UNDECODABLE),
        ("$.data.nino", Rejection.UNDECODABLE),
        ("$.time", Rejection.TIME_IN_FUTURE),
    ]


def test_of_a_type_that_stands_twice_nobody_knows_what_the_data_should_be():
    """So the data is not judged by the one or the other."""
    line = json.dumps(GOOD | {"data": {}}).replace('"type"', '"type": "uk.gov.no.thing.v1", "type"')
    answer = make_ready(line.encode(), contracts(), T)
    assert isinstance(answer, Refused)
    assert [each.path for each in answer.problems] == ["$.type"]


def test_nothing_is_normalised_away():
    """What is on the wire is what the department wrote; intake normalises (I1)."""
    from io import BytesIO

    answer = ready()
    assert isinstance(answer, Ready)
    read = fastavro.schemaless_reader(
        BytesIO(answer.body), dict(answer.contract.schema), None, return_record_name=False
    )
    assert read["nino"] == "nc 42 42 42 a"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"specversion": "0.3"}, Rejection.UNDECODABLE),
        ({"id": ""}, Rejection.UNDECODABLE),
        ({"id": ...}, Rejection.UNDECODABLE),
        ({"source": "dwp"}, Rejection.UNDECODABLE),
        ({"time": "yesterday"}, Rejection.UNDECODABLE),
        ({"datacontenttype": "application/xml"}, Rejection.UNDECODABLE),
        ({"type": "claimant"}, Rejection.UNDECODABLE),
        ({"data": None}, Rejection.NULL_VALUE),
        ({"data": ...}, Rejection.NULL_VALUE),
        ({"type": "uk.gov.benefits.claimant.v9"}, Rejection.UNKNOWN_TYPE),
        ({"source": "urn:gov:dvla:cis"}, Rejection.NOT_THE_OWNER),
        ({"data": {"nino": CANARY, "surprise": 1}}, Rejection.CONTRACT_MISMATCH),
        ({"data": {"nino": CANARY, "date_of_birth": "1987-13"}}, Rejection.CONTRACT_MISMATCH),
        ({"data": {}}, Rejection.CONTRACT_MISMATCH),
        ({"data": [CANARY]}, Rejection.CONTRACT_MISMATCH),
        ({"data": {"nino": CANARY + "1"}}, Rejection.IDENTIFIER_INVALID),
        ({"data": {"nino": CANARY, "nhs_number": "9990000019"}}, Rejection.IDENTIFIER_INVALID),
        ({"time": "1999-12-31T23:59:59Z"}, Rejection.TIME_TOO_OLD),
        ({"time": "2026-11-23T10:05:00.001Z"}, Rejection.TIME_IN_FUTURE),
    ],
)
def test_a_bad_line_gets_its_reason_and_advice(changes: dict[str, object], reason: Rejection):
    """Each reason of E7, with something to do about it, and no value of the event in it."""
    answer = refused(**changes)
    assert answer.reason is reason
    assert answer.why
    assert answer.mend
    told = f"{answer.why} {answer.mend}"
    assert CANARY not in told
    assert "9990000019" not in told


def test_five_minutes_ahead_is_still_now():
    """The limit itself is taken (E7)."""
    assert isinstance(ready(time="2026-11-23T10:05:00Z"), Ready)


def test_the_first_reason_wins():
    """Of several reasons the first of E7 is given."""
    assert refused(source="urn:gov:dvla:x", data={"x": 1}, time="1990-01-01T00:00:00Z").reason is (
        Rejection.NOT_THE_OWNER
    )
    assert refused(data=None, type="uk.gov.no.such.v1").reason is Rejection.NULL_VALUE


def test_a_typing_error_in_the_type_is_guessed():
    """A department that wrote the type wrongly is told the right one."""
    assert "uk.gov.benefits.claimant.v1" in refused(type="uk.gov.benefit.claimant.v1").mend


def test_a_line_over_one_mebibyte_is_not_even_decoded():
    """Oversized comes first (E7)."""
    assert make_ready(b"{" * 1_048_577, contracts(), T) == make_ready(None, contracts(), T)


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_rubbish_is_refused_and_never_raises(rubbish: bytes):
    """No line takes the publisher down."""
    answer = make_ready(rubbish, contracts(), T)
    assert isinstance(answer, Refused)
    assert answer.reason is Rejection.UNDECODABLE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*GOOD]), JSON, max_size=3))
def test_any_json_in_place_of_an_attribute_is_answered(changes: dict[str, object]):
    """Whatever stands where text should stand, the answer is a value."""
    assert isinstance(ready(**changes), Ready | Refused)


def test_a_deeply_nested_line_is_undecodable():
    """A nest that exhausts the reader is the line's fault, not the reader's end."""
    answer = make_ready(b"[" * 100_000, contracts(), T)
    assert isinstance(answer, Refused)
    assert answer.reason is Rejection.UNDECODABLE
