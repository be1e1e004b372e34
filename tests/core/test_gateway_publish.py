"""Publishing over HTTP: what is written and how, what is written once, and when 202 is said."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from schemas import cloudevent_from_headers, frame, unframe
from tests.gateway_kit import Rig, ce, changed, claimant, rig, type_of

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


def test_a_repetition_with_a_new_time_is_told_what_a_repetition_is(made: Rig):
    """Whoever makes the event anew for each attempt, and its time with it, learns that from the answer."""
    made.publish(claimant())
    answer = made.publish(changed(claimant(), time="2026-03-02T09:00:01Z"))
    assert answer.status_code == 409
    assert "`time` too" in answer.json()["detail"]


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
