"""CloudEvents in JSON and as Kafka headers (E1, E2, E3)."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import (
    NotACloudEvent,
    cloudevent_from_headers,
    cloudevent_from_json,
    format_instant,
    owner_of,
    parse_instant,
    parse_type,
    to_headers,
)
from schemas.cloudevents import _any_event, _known, _usual_event

EVENT = {
    "specversion": "1.0",
    "id": "n1",
    "source": "urn:gov:council-leeds:main.system_1-x",
    "type": "uk.gov.civil.name-change.v12",
    "time": "2026-06-01T13:00:00+01:00",
    "data": {"a": 1},
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "datacontenttype": "application/json",
}


def test_an_event_is_read_from_json():
    """E1: id, source, type, time, and the owner that the source names."""
    event = cloudevent_from_json(EVENT)
    assert (event.id, event.source, event.type) == (EVENT["id"], EVENT["source"], EVENT["type"])
    assert (event.owner, event.data, event.has_data) == ("council-leeds", {"a": 1}, True)
    assert event.time == parse_instant("2026-06-01T12:00:00Z")
    assert event.extensions["traceparent"] == EVENT["traceparent"]


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "Application/JSON; charset=utf-8", "application/vnd.dwp+json"]
)
def test_data_that_is_said_to_be_json_is_taken(content_type: object):
    """E3: by the subtype, as the JSON format of CloudEvents says (§3.1); null is absent."""
    assert cloudevent_from_json(EVENT | {"datacontenttype": content_type}).data == {"a": 1}


@pytest.mark.parametrize("content_type", ["application/xml", "json", "", "text/plain", 7, True, ["x"], {}])
def test_data_that_is_said_to_be_something_else_makes_it_undecodable(content_type: object):
    """E3, E7: whoever says XML means another event than the one that would be read."""
    with pytest.raises(NotACloudEvent, match="`datacontenttype`"):
        cloudevent_from_json(EVENT | {"datacontenttype": content_type})


def test_absent_data_is_told_apart_from_null():
    """E7 `null-value` covers both; which one it was stays known."""
    absent = {key: value for key, value in EVENT.items() if key != "data"}
    assert cloudevent_from_json(absent).has_data is False
    null = cloudevent_from_json(EVENT | {"data": None})
    assert (null.data, null.has_data) == (None, True)


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "time"])
@pytest.mark.parametrize("value", [None, "", 7, ["x"], {"x": 1}, True])
def test_a_core_attribute_that_is_missing_or_no_text_makes_it_undecodable(name: str, value: object):
    """E7: id, source, type or time missing or malformed."""
    with pytest.raises(NotACloudEvent, match=name):
        cloudevent_from_json(EVENT | {name: value})
    with pytest.raises(NotACloudEvent, match=name):
        cloudevent_from_json({key: each for key, each in EVENT.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", "1.1"),
        ("specversion", "0.3"),
        ("id", "a\nb"),
        ("id", "\x00"),
        ("id", "a\x7f"),
        ("id", "a\x85"),
        ("id", "\ud800"),
        ("source", "urn:gov:dwp"),
        ("source", "urn:gov:DWP:main"),
        ("source", "urn:gov:d:main"),
        ("source", "urn:gov:1wp:main"),
        ("source", "urn:gov:dwp:main system"),
        ("source", "urn:gov:dwp:"),
        ("source", "urn:gov:dwp:" + "x" * 65),
        ("source", "urn:gov:" + "d" * 32 + ":main"),
        ("source", "https://dwp.gov.uk"),
        ("source", "urn:gov:dwp:main\n"),
        ("source", "urn:gov:dwp:a:b"),
        ("type", "uk.gov.civil.name"),
        ("type", "uk.gov.civil.name.v0"),
        ("type", "uk.gov.civil.name.v01"),
        ("type", "uk.gov.Civil.name.v1"),
        ("type", "uk.gov.civil.full.name.v1"),
        ("type", "uk.gov.1civil.name.v1"),
        ("type", "uk.gov.civil.name.v1\n"),
        ("type", "gov.civil.name.v1"),
        ("type", "uk.gov.civil.name_x.v1"),
        ("time", "2026-06-01"),
        ("time", "2026-06-01T12:00:00"),
        ("time", "yesterday"),
        ("time", "2025-02-30T12:00:00Z"),
    ],
)
def test_a_malformed_attribute_makes_it_undecodable_and_is_not_repeated(name: str, value: str):
    """E1's forms, each; the message names the attribute, not its value."""
    with pytest.raises(NotACloudEvent, match=name) as caught:
        cloudevent_from_json(EVENT | {name: value})
    assert value not in str(caught.value) or value in ("1.1", "0.3")


@pytest.mark.parametrize("value", [None, [], "x", 1, [EVENT]])
def test_what_is_no_object_is_no_event(value: object):
    """E3: one JSON object."""
    with pytest.raises(NotACloudEvent):
        cloudevent_from_json(value)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1),
    st.integers(946_684_800_000, 4_000_000_000_000),
)
def test_headers_carry_an_event_without_loss(identity: str, time: int):
    """E2: binary mode; the data travels in the value."""
    event = cloudevent_from_json(EVENT | {"id": identity, "time": format_instant(time)})
    back = cloudevent_from_headers(to_headers(event))
    assert (back.id, back.source, back.type, back.time, back.owner) == (
        event.id,
        event.source,
        event.type,
        event.time,
        event.owner,
    )
    assert back.extensions["traceparent"] == EVENT["traceparent"]
    assert not back.has_data


def test_headers_are_those_of_the_kafka_binding():
    """E2: `ce_*`, `content-type: application/avro`, and the trace context under its own name."""
    headers = dict(to_headers(cloudevent_from_json(EVENT)))
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_time"] == b"2026-06-01T12:00:00Z"
    assert headers["content-type"] == b"application/avro"
    assert headers["traceparent"] == str(EVENT["traceparent"]).encode()
    assert "ce_datacontenttype" not in headers


@pytest.mark.parametrize("extra", [("ce_id", b"other"), ("ce_subject", b"\xff")])
def test_headers_that_contradict_or_are_not_text_are_refused(extra: tuple[str, bytes]):
    """E1: `(source, id)` identifies the event, so there is one id."""
    with pytest.raises(NotACloudEvent):
        cloudevent_from_headers([*to_headers(cloudevent_from_json(EVENT)), extra])


def test_foreign_headers_are_left_alone():
    """E2: only `ce_*` and the trace context are an event's."""
    event = cloudevent_from_headers(
        [*to_headers(cloudevent_from_json(EVENT)), ("x-other", b"\xff"), ("ce_none", None)]
    )
    assert event.extensions.keys() == {"traceparent"}


USUAL = {
    "ce_specversion": b"1.0",
    "ce_id": b"n1",
    "ce_source": b"urn:gov:dwp:main",
    "ce_type": b"uk.gov.civil.name.v1",
    "ce_time": b"2026-06-01T12:00:00Z",
    "content-type": b"application/avro",
}
VALUES = [
    None,
    b"",
    b"1.0",
    b"\xff",
    b"a\x85",
    b"\xc2\x85",
    "\u00e9 \u2028".encode(),
    b"urn:gov:hmrc:x",
    b"urn:gov:HMRC:x",
    b"uk.gov.a.b.v2",
    b"uk.gov.a.b.v0",
    b"uk.gov." + b"a" * 500 + b".b.v1",
    b"2026-06-01T13:00:00.5+01:00",
    b"2026-06-31T13:00:00Z",
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
]
OTHERS = ["traceparent", "tracestate", "ce_traceparent", "ce_subject", "ce_data", "ce_", "ce_ce_id", "x"]
ANY = st.tuples(st.sampled_from([*USUAL, *OTHERS]), st.sampled_from(VALUES))


def agree(headers: list) -> None:
    """The quick way reads what it takes as the rules do, and refuses nothing itself."""
    try:
        expected = _any_event(headers)
    except NotACloudEvent as refused:
        with pytest.raises(NotACloudEvent, match=re.escape(refused.problem)):
            cloudevent_from_headers(iter(headers))
    else:
        assert cloudevent_from_headers(iter(headers)) == expected
        assert list(cloudevent_from_headers(headers).extensions) == list(expected.extensions)


@pytest.mark.parametrize("name", [*USUAL, *OTHERS])
def test_a_header_means_the_same_the_quick_way_and_rule_by_rule(name: str):
    """E1, E2: each header absent, with each value, with each as a second one."""
    agree([each for each in USUAL.items() if each[0] != name])
    for value in VALUES:
        agree(list((USUAL | {name: value}).items()))
        agree([*USUAL.items(), (name, value)])
        agree([(name, value), *USUAL.items()])


@given(st.lists(ANY, max_size=3), st.lists(ANY, max_size=2), st.data())
def test_headers_mean_the_same_the_quick_way_and_rule_by_rule(changed: list, more: list, data: st.DataObject):
    """E1, E2: several at once, in any order."""
    agree(data.draw(st.permutations([*(USUAL | dict(changed)).items(), *more])))


def test_the_usual_headers_are_read_the_quick_way():
    """E2: with or without a trace; else nothing would be gained."""
    for trace in ({}, {"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}):
        assert _usual_event(tuple((USUAL | trace).items())) == _any_event((USUAL | trace).items())


def test_what_is_long_or_wrong_is_not_kept():
    """A memory of sources and types must not become a sender's way to fill it."""
    before = _known.cache_info().currsize
    for number in range(10):
        for changed in ({"ce_type": f"uk.gov.a.{'b' * 1000}.v{number + 1}"}, {"ce_source": f"urn:{number}"}):
            headers = USUAL | {name: value.encode() for name, value in changed.items()}
            with contextlib.suppress(NotACloudEvent):
                cloudevent_from_headers(headers.items())
    assert _known.cache_info().currsize == before


def test_types_and_sources_are_taken_apart():
    """E1."""
    assert parse_type("uk.gov.civil.name-change.v12") == ("civil", "name-change", 12)
    assert parse_type("uk.gov.civil.name.v0") is None
    assert owner_of("urn:gov:dwp:main") == "dwp"
    assert owner_of("urn:gov:dwp") is None
