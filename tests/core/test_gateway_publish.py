"""Publishing over HTTP: what is accepted, what is refused with which path, and when 202 is said."""

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.doors.limits import BATCH_EVENTS_MAX
from schemas import EVENT_BYTES_MAX, Rejection, cloudevent_from_headers, format_instant, frame, unframe
from tests.gateway_kit import Rig, claimant, rig

AWARD = {
    "specversion": "1.0",
    "id": "w-1",
    "source": "urn:gov:dwp:universal-credit",
    "type": "uk.gov.benefits.award.v1",
    "time": "2026-03-02T09:00:00Z",
    "data": {"nino": "NC000017A", "claim_reference": "UC-99000017", "award_starts": "2025-03-01"},
}


@pytest.fixture
def made(tmp_path: Path) -> Rig:
    return rig(tmp_path)


def changed(event: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """The event with other attributes; None takes one out."""
    return {name: value for name, value in (event | attributes).items() if value is not None}


def ce(event: dict[str, Any]) -> dict[str, str]:
    """An event's attributes as headers."""
    return {f"ce-{name}": value for name, value in event.items() if name != "data"}


def type_of(answer: Any) -> str:
    return answer.json()["type"].removeprefix("urn:postroom:problem:")


def test_a_structured_event_goes_out_as_e2_has_it(made: Rig):
    """Binary mode on the topic of its type, Avro in the Confluent frame; 202 and nothing of it repeated."""
    answer = made.publish(claimant())
    assert (answer.status_code, answer.json()) == (202, {"written": 1, "known": 0})
    [sent] = made.sink.sent
    assert sent.topic == "uk.gov.benefits.claimant.v1"
    event = cloudevent_from_headers(sent.headers)
    assert (event.id, event.source, event.owner) == ("a-1", "urn:gov:dwp:cis", "dwp")
    assert dict(sent.headers)["content-type"] == b"application/avro"
    schema_id, body = unframe(sent.value)
    assert schema_id == made.registry.ids[sent.topic]
    assert made.contracts.by_type[sent.topic].from_avro(body)["nino"] == "NC 12 34 56 C"


def test_a_withdrawal_from_nobody_is_taken_with_a_warning(made: Rig):
    """A typing error would let a withdrawal do nothing: 202 says which name no agreement knows, and where."""
    withdrawal = {
        "specversion": "1.0",
        "id": "c-1",
        "source": "urn:gov:consent-service:web",
        "type": "uk.gov.consent.decision.v1",
        "time": "2026-03-02T09:00:00Z",
        "data": {
            "subject": "nino:NC000017A",
            "subscriber": "council-leed",
            "purpose": "housing-support",
            "categories": [],
            "state": "WITHDRAWN",
        },
    }
    answer = made.publish(withdrawal, client="consent-web")
    assert answer.status_code == 202
    [warning] = answer.json()["warnings"]
    assert warning["path"] == "$.data.subscriber"
    assert "did you mean council-leeds?" in warning["problem"]
    [warning] = made.batch([withdrawal | {"id": "c-2"}], client="consent-web").json()["warnings"]
    assert warning["path"] == "$[0].data.subscriber"


def test_a_fact_that_ends_before_it_begins_is_taken_with_a_warning(made: Rig):
    """R4: it holds at no moment; whoever mixed two fields up hears of it in the 202 (ADR 0071)."""
    ended = AWARD | {
        "data": AWARD["data"]
        | {
            "award_ends": "2025-02-28",
            "award": {
                "benefit": "OTHER",
                "status": "IN_PAYMENT",
                "amount_pence": 1,
                "payment_period": "WEEKLY",
            },
        }
    }
    answer = made.publish(ended, client="dwp-cis")
    assert answer.status_code == 202, answer.json()
    [warning] = answer.json()["warnings"]
    assert warning["path"] == "$.data.award_ends"
    assert "it holds at no moment" in warning["problem"]
    assert "2025" not in warning["problem"]


def test_the_three_modes_write_the_same_bytes(made: Rig, tmp_path: Path):
    """How an event came cannot be seen from what was written."""
    event = claimant()
    contract = made.contracts.by_type[event["type"]]
    avro = contract.to_avro(contract.from_json(event["data"]))
    framed = frame(made.registry.ids[contract.type], avro)
    plain = json.dumps(event["data"]).encode()
    written = []
    for content_type, body in (("application/json", plain), ("application/avro", framed)):
        fresh = rig(tmp_path)
        headers = {"content-type": content_type, **ce(event), **fresh.auth()}
        assert fresh.http.post("/events", content=body, headers=headers).status_code == 202
        written.append(fresh.sink.sent)
    made.batch([event])
    assert written == [made.sink.sent, made.sink.sent]


def test_headers_of_binary_mode_are_percent_decoded(made: Rig):
    """The CloudEvents HTTP binding: a value beyond ASCII comes percent-encoded."""
    headers = {"content-type": "application/json", **ce(claimant("x%C3%A9%20y")), **made.auth()}
    body = json.dumps(claimant()["data"]).encode()
    assert made.http.post("/events", content=body, headers=headers).status_code == 202
    assert dict(made.sink.sent[0].headers)["ce_id"].decode() == "xé y"


def test_the_trace_of_the_request_goes_on_with_the_event(made: Rig):
    """V3: traceparent is carried on, the event's own before the request's, a malformed one not at all."""
    mine, theirs = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'c' * 32}-{'d' * 16}-01"
    made.publish(claimant("1"), traceparent=mine)
    made.publish(claimant("2") | {"traceparent": theirs}, traceparent=mine)
    made.publish(claimant("3"), traceparent="x")
    found = [dict(sent.headers).get("traceparent") for sent in made.sink.sent]
    assert found == [mine.encode(), theirs.encode(), None]


REFUSED: dict[str, tuple[Any, int, Rejection, list[str]]] = {
    "not JSON": (b"{", 400, Rejection.UNDECODABLE, ["$"]),
    "not an object": (b"[1]", 400, Rejection.UNDECODABLE, ["$"]),
    "a key twice": (
        json.dumps(claimant()).replace('"nino"', '"nino": "NC000017A", "nino"').encode(),
        400, Rejection.UNDECODABLE, ["$.data.nino"],
    ),
    "an attribute twice": (
        json.dumps(claimant()).replace('"id"', '"id": "x", "id"').encode(),
        400, Rejection.UNDECODABLE, ["$.id"],
    ),
    "not UTF-8": (b'{"id": "\xff"}', 400, Rejection.UNDECODABLE, ["$"]),
    "no id": (changed(claimant(), id=None), 400, Rejection.UNDECODABLE, ["$.id"]),
    "a foreign source": (changed(claimant(), source="urn:x"), 400, Rejection.UNDECODABLE, ["$.source"]),
    "a malformed type": (changed(claimant(), type="x"), 400, Rejection.UNDECODABLE, ["$.type"]),
    "a malformed time": (changed(claimant(), time="noon"), 400, Rejection.UNDECODABLE, ["$.time"]),
    "an extension with a line break": (
        claimant() | {"note": "a\r\nb"}, 400, Rejection.UNDECODABLE, ["$.note"],
    ),
    "XML inside": (
        claimant() | {"datacontenttype": "text/xml"}, 400, Rejection.UNDECODABLE, ["$.datacontenttype"],
    ),
    "null data": (claimant() | {"data": None}, 422, Rejection.NULL_VALUE, ["$.data"]),
    "no data": (changed(claimant(), data=None), 422, Rejection.NULL_VALUE, ["$.data"]),
    "an unknown type": (
        changed(claimant(), type="uk.gov.no.thing.v1"), 422, Rejection.UNKNOWN_TYPE, ["$.type"],
    ),
    "two mistakes": (
        claimant(nino=1, name={"given_names": "A"}), 422, Rejection.CONTRACT_MISMATCH,
        ["$.data.nino", "$.data.name.family_name"],
    ),
    "a field too many": (claimant(x=1), 422, Rejection.CONTRACT_MISMATCH, ["$.data.x"]),
    "a bad identifier": (claimant(nino="QQ"), 422, Rejection.IDENTIFIER_INVALID, ["$.data.nino"]),
    "a bad identifier from the future": (
        changed(claimant(nino="QQ"), time="2199-01-01T00:00:00Z"), 422, Rejection.IDENTIFIER_INVALID,
        ["$.data.nino", "$.time"],
    ),
    "the last century": (
        changed(claimant(), time="1999-12-31T23:59:59Z"), 422, Rejection.TIME_TOO_OLD, ["$.time"],
    ),
    "the next": (changed(claimant(), time="2199-01-01T00:00:00Z"), 422, Rejection.TIME_IN_FUTURE, ["$.time"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_its_reason_and_every_place(made: Rig, name: str):
    """E7's reasons in E7's order, each problem with its JSON path, as problem details, and nothing is
    written.
    """
    event, status, reason, paths = REFUSED[name]
    answer = made.publish(event)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert type_of(answer) == reason
    assert [problem["path"] for problem in answer.json()["problems"]] == paths
    assert not made.sink.sent


SAID: dict[str, tuple[Any, str, str]] = {
    "a byte order mark": (b"\xef\xbb\xbf{}", "expected JSON, not a byte order mark", "the body is one"),
    "two lines": (b'{"id": "a"}\n{"id": "b"}', "trailing characters", "the body is one CloudEvent"),
    "an array": ([claimant()], "not an array", "application/cloudevents-batch+json"),
    "nothing": (b"", "nothing is there", "the body is one CloudEvent"),
    "a key twice": (
        json.dumps(claimant()).replace('"id"', '"id": "x", "id"').encode(),
        "expected this key once", "write each key once",
    ),
    "XML": (
        claimant() | {"datacontenttype": "application/xml"},
        "`datacontenttype` is not application/json", "leave it out, or write application/json",
    ),
    "Latin-1": (b'{"id": "\xe9"}', "expected text in UTF-8", "send it in UTF-8"),
    "a type misspelt": (
        changed(claimant(), type="uk.gov.benefits.claimnt.v1"),
        "did you mean uk.gov.benefits.claimant.v1?", "`GET /contracts` lists the types",
    ),
    "a type that only looks right": (
        changed(claimant(), type="uk.gov.benefits_claimant.v1"),
        "did you mean uk.gov.benefits.claimant.v1?", "in a-z, 0-9 and - only",
    ),
    "a source that only looks right": (
        changed(claimant(), source="urn:gov:d_wp:cis"), "the contract's owner is dwp", "a-z, 0-9 and -",
    ),
    "a field misspelt": (claimant(date_of_brith="1990"), "did you mean date_of_birth?", "/contracts/{type}"),
    "an identifier as a number": (claimant(nino=1234), "text, which stands in quotes", "/contracts/{type}"),
    "a time without a zone": (
        changed(claimant(), time="2026-03-02T09:00:00"), "with an offset", "2026-03-02T09:00:00Z",
    ),
    "another owner's source": (
        changed(claimant(), source="urn:gov:dvla:x"), "an owner of the contract: dwp", "contracts of dwp",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_a_refusal_says_what_was_expected_and_what_to_do(made: Rig, name: str):
    """Whoever begins makes these mistakes: the problem says what was expected there, the detail what to do,
    in words of HTTP and not of our command line.
    """
    event, problem, mend = SAID[name]
    said = made.publish(event).json()
    assert problem in said["problems"][0]["problem"]
    assert mend in said["detail"]
    assert "`postroom" not in json.dumps(said)


def test_a_key_twice_in_the_body_of_binary_mode_is_refused_as_in_an_event(made: Rig):
    """E3: the body becomes an event before it is judged, and its second value would have gone unseen."""
    body = b'{"nino": "NC000017A", "name": {"family_name": "A", "family_name": "B"}, "nino": "NC000018A"}'
    headers = {"content-type": "application/json", **ce(claimant()), **made.auth()}
    answer = made.http.post("/events", content=body, headers=headers)
    assert (answer.status_code, type_of(answer)) == (400, Rejection.UNDECODABLE)
    [problem] = answer.json()["problems"]
    assert problem["path"] == "$.data.name.*"
    assert "write each key once" in answer.json()["detail"]
    assert not made.sink.sent


def test_every_problem_of_a_refused_event_has_the_reason_of_its_own(made: Rig):
    """One round is enough to mend all; the answer's type is E7's first, and its problems stand first."""
    event = changed(claimant(nino=1), time="2199-01-01T00:00:00Z", source="urn:gov:nhs:pds")
    answer = made.publish(event)
    told = [(each["path"], each["reason"]) for each in answer.json()["problems"]]
    assert told == [
        ("$.source", "not-the-owner"), ("$.data.nino", "contract-mismatch"), ("$.time", "time-in-future"),
    ]  # fmt: skip
    assert (answer.status_code, type_of(answer)) == (403, "not-the-owner")


def test_a_batch_that_is_one_event_and_one_that_is_refused_say_what_to_send(made: Rig):
    """One event under the content type of several; and several, one of them wrong."""
    headers = {"content-type": "application/cloudevents-batch+json", **made.auth()}
    alone = made.http.post("/events", content=json.dumps(claimant()).encode(), headers=headers)
    assert alone.json()["detail"].endswith("one event alone is application/cloudevents+json")
    said = made.batch([claimant("1"), claimant("2", nino=1)]).json()
    assert said["detail"].startswith("nothing of the batch was written; `GET /contracts/{type}`")


def test_an_address_or_a_method_that_is_none_says_which_there_are(made: Rig):
    """`/event` for `/events`, GET for POST."""
    body = json.dumps(claimant()).encode()
    for path in ("/event", "/events/", "/"):
        answer = made.http.post(path, content=body, headers=made.auth())
        assert answer.status_code == 404
        assert "/openapi.json" in answer.json()["detail"]
    answer = made.http.get("/events", headers=made.auth())
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["detail"] == "this address takes POST"


def test_a_refusal_repeats_no_value(made: Rig):
    """What was sent may be about somebody: an answer goes into logs."""
    for event in (
        claimant(nino="SECRETNINO", name={"given_names": 17, "family_name": "Secretname"}),
        claimant(nino="SECRETNINO"),
        claimant() | {"time": "Secret"},
        claimant() | {"type": "uk.gov.secret.secret.v1"},
        claimant() | {"source": "urn:gov:secret:x"},
    ):
        assert "secret" not in made.publish(event).text.lower()


def test_intake_has_the_last_word(tmp_path: Path):
    """What only intake finds is refused too, before it is written, with the fields that the kind needs."""
    made = rig(tmp_path, word=lambda line, at_ms: Rejection.CONTRACT_MISMATCH)
    data = {"subject": "nino:NC123456C", "subscriber": "council-leeds", "purpose": "p", "state": "GRANTED"}
    consent = claimant() | {"type": "uk.gov.consent.decision.v1", "data": data}
    consent["source"] = "urn:gov:consent-service:web"
    answer = made.publish(consent, "consent-web")
    assert (answer.status_code, type_of(answer)) == (422, Rejection.CONTRACT_MISMATCH)
    assert "$.data.state" in [problem["path"] for problem in answer.json()["problems"]]
    assert not made.sink.sent


def test_an_event_of_more_than_a_mebibyte_is_too_large(made: Rig):
    """E7, whether or not the length was said before."""
    big = json.dumps(claimant(name={"given_names": "A" * EVENT_BYTES_MAX, "family_name": "B"})).encode()

    async def parts() -> Any:
        for start in range(0, len(big), 65_536):
            yield big[start : start + 65_536]

    headers = {"content-type": "application/cloudevents+json", **made.auth()}
    for content in (big, parts()):
        answer = made.http.post("/events", content=content, headers=headers)
        assert (answer.status_code, type_of(answer)) == (413, "oversized")
    answer = made.batch([claimant("1"), msgspec.json.decode(big)])
    assert (answer.status_code, type_of(answer)) == (413, "oversized")
    assert not made.sink.sent


def test_a_body_without_end_is_not_read_to_its_end(made: Rig):
    """What one request can cost is bounded, whatever it says of itself."""
    read = 0

    async def parts() -> Any:
        nonlocal read
        for _ in range(1_000):
            read += 1
            yield b" " * 65_536

    headers = {"content-type": "application/cloudevents+json", **made.auth()}
    assert made.http.post("/events", content=parts(), headers=headers).status_code == 413
    assert read < 20


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_json_is_refused_and_not_followed(made: Rig, opening: bytes):
    """Nesting costs no stack and no time."""
    nested = opening * 40 + b"1" + (b"]" if opening == b"[" else b"}") * 40
    deep = json.dumps(claimant() | {"data": "HERE"}).encode().replace(b'"HERE"', nested)
    for content in (deep, opening * 100_000):
        assert type_of(made.publish(content)) == Rejection.UNDECODABLE


def test_attributes_are_no_documents(made: Rig):
    """They become headers of a record, which are not counted as its value."""
    answer = made.publish(claimant() | {"note": "x" * 20_000})
    assert (answer.status_code, type_of(answer)) == (413, "oversized")


def test_the_same_event_again_is_answered_and_not_written_again(made: Rig):
    """E1: (source, id) names the event; another system's same id is another event."""
    made.publish(claimant())
    assert made.publish(claimant()).json() == {"written": 0, "known": 1}
    other = changed(claimant(), source="urn:gov:dwp:universal-credit")
    assert made.publish(other).json() == {"written": 1, "known": 0}
    assert len(made.sink.sent) == 2


def test_the_same_name_with_another_content_is_a_conflict(made: Rig):
    """It is a mistake of the client's, and nothing is written of the request that holds it."""
    made.publish(claimant())
    other = claimant(nino="NC 12 34 57 C")
    answer = made.publish(other)
    assert (answer.status_code, type_of(answer)) == (409, "different-content")
    answer = made.batch([claimant("b-1"), other, claimant("b-2"), claimant("b-2", nino="NC123457C")])
    assert answer.status_code == 409
    assert [problem["path"] for problem in answer.json()["problems"]] == ["$[1].id", "$[3].id"]
    assert len(made.sink.sent) == 1


def test_what_is_remembered_is_bounded_in_time(made: Rig):
    """After the window the event is written again: Kafka's readers count it once (E1)."""
    made.publish(claimant())
    made.ahead_s = 601
    assert made.publish(claimant()).json() == {"written": 1, "known": 0}


def test_202_waits_for_the_broker(made: Rig, capsys: pytest.CaptureFixture[str]):
    """No acknowledgement, no 202, and the log says so; a retry meanwhile joins the same delivery, and is told
    when it came.
    """
    made.sink.held = True
    answer = made.publish(claimant())
    assert (answer.status_code, type_of(answer)) == (503, "not-delivered")
    (said,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (said["event"], said["why"], said["route"]) == ("unavailable", "not-delivered", "/events")
    assert int(answer.headers["retry-after"]) >= 1

    async def retried() -> Any:
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, made.sink.acknowledge)
        headers = {"content-type": "application/cloudevents+json", **made.auth()}
        return await made.http.ask("POST", "/events", content=json.dumps(claimant()), headers=headers)

    answer = made.http.runner.run(retried())
    assert (answer.status_code, answer.json()) == (202, {"written": 0, "known": 1})
    assert len(made.sink.sent) == 1


def test_what_was_not_delivered_is_not_known(made: Rig):
    """The broker was away: the retry is written, not answered from memory."""
    made.sink.away = True
    assert made.publish(claimant()).status_code == 503
    made.sink.away = False
    assert made.publish(claimant()).json() == {"written": 1, "known": 0}


def test_a_full_buffer_is_429_with_retry_after(made: Rig):
    """Backpressure reaches the client at once."""
    made.sink.full = True
    answer = made.publish(claimant())
    assert (answer.status_code, type_of(answer), answer.headers["retry-after"]) == (429, "busy", "1")


def test_a_batch_is_judged_whole_before_anything_is_written(made: Rig):
    """One bad event and none goes: a client that looks at the status alone has lost nothing."""
    events = [claimant(f"b-{number}") for number in range(3)]
    events[1]["data"]["nino"] = "QQ"
    answer = made.batch(events)
    assert (answer.status_code, type_of(answer)) == (422, "identifier-invalid")
    assert [problem["path"] for problem in answer.json()["problems"]] == ["$[1].data.nino"]
    assert not made.sink.sent
    events[1] = claimant("b-1")
    assert made.batch(events).json() == {"written": 3, "known": 0}


def test_of_a_batch_that_stops_halfway_each_outcome_is_told(made: Rig):
    """The rest can be repeated with the whole: what is there is not written again."""
    events = [claimant(f"b-{number}") for number in range(3)]
    send = made.sink.send

    def halfway(*given: Any) -> Any:
        made.sink.full = len(made.sink.sent) >= 2
        return send(*given)

    made.sink.send = halfway  # type: ignore[method-assign]
    answer = made.batch(events)
    assert answer.status_code == 429
    assert answer.json()["events"] == ["written", "written", "not-delivered"]
    made.sink.send = send  # type: ignore[method-assign]
    made.sink.full = False
    assert made.batch(events).json() == {"written": 1, "known": 2}


def test_a_batch_is_bounded(made: Rig):
    """In number, and an empty one is a mistake."""
    assert made.batch([]).status_code == 400
    answer = made.batch([1] * (BATCH_EVENTS_MAX + 1))
    assert (answer.status_code, type_of(answer)) == (413, "too-large")


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/cloudevents+json; charset=latin-1"},
        {"content-type": "application/json"},
        {"content-type": "application/cloudevents+json", "content-encoding": "gzip"},
        {},
    ],
)
def test_another_content_type_is_not_guessed(made: Rig, headers: dict[str, str]):
    """415 says what is taken; JSON without ce- headers is not read as an event."""
    answer = made.http.post("/events", content=json.dumps(claimant()), headers=headers | made.auth())
    assert (answer.status_code, type_of(answer)) == (415, "unsupported-media-type")


def test_avro_is_read_by_the_schema_that_its_frame_names(made: Rig):
    """An unknown id, damage, and a body without a frame are refused."""
    headers = {"content-type": "application/avro", **ce(claimant()), **made.auth()}
    for body, reason in (
        (b"\x00\x00\x00\x0f\xff\x02", "undecodable"),
        (b"\x01", "undecodable"),
        (frame(made.registry.ids["uk.gov.benefits.claimant.v1"], b"\xff"), "contract-mismatch"),
        (b"", "null-value"),
    ):
        assert type_of(made.http.post("/events", content=body, headers=headers)) == reason


def test_the_rate_of_a_client_is_bounded_and_told(made: Rig):
    """A token bucket: 429 with Retry-After, and other clients do not suffer."""
    slow = [made.publish(changed(claimant(str(n)), source="urn:gov:dwp:x"), "slow") for n in range(3)]
    assert [answer.status_code for answer in slow] == [202, 202, 429]
    assert slow[2].headers["retry-after"] == "1"
    assert made.publish(claimant()).status_code == 202
    made.ahead_s = 2
    assert made.publish(changed(claimant("9"), source="urn:gov:dwp:x"), "slow").status_code == 202


def test_a_batch_is_paid_off_before_the_next_request(made: Rig):
    """It costs as much as its events, one by one; it is never impossible."""
    events = [changed(claimant(str(n)), source="urn:gov:dwp:x") for n in range(5)]
    assert made.batch(events, "slow").status_code == 202
    assert made.batch(events, "slow").headers["retry-after"] == "4"


def test_a_contract_that_is_not_registered_waits(made: Rig):
    """Nothing is written that its readers could not read."""
    del made.registry.ids["uk.gov.benefits.claimant.v1"]
    answer = made.publish(claimant())
    assert (answer.status_code, type_of(answer)) == (503, "unavailable")
    assert "retry-after" in answer.headers


def test_what_intake_would_say_later_is_said_now(made: Rig):
    """The gateway accepts nothing that intake rejects: tried with every field of an event damaged in turn."""
    from postroom.gateway import last_word, now_ms

    judge = last_word(made.contracts)
    for index, damaged in enumerate(_damaged(claimant())):
        if damaged["id"] == "a-1":
            damaged["id"] = f"d-{index}"
        answer = made.publish(damaged)
        reason = judge(json.dumps(damaged).encode(), now_ms())
        assert (answer.status_code == 202) == (reason is None)
        if reason is not None:
            assert type_of(answer) == reason


def _damaged(event: dict[str, Any]) -> Any:
    for value in (None, 1, "", "x" * 300, [], {}, True, format_instant(0)):
        for name in event:
            yield event | {name: value}
        for name in event["data"]:
            other = copy.deepcopy(event)
            other["data"][name] = value
            yield other
