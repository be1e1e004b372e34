"""What a refusal of the gateway says: the reason, every place, what was expected there, and no value."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from schemas import Rejection, format_instant, frame
from tests.gateway_kit import Rig, ce, changed, claimant, rig, type_of


@pytest.fixture
def made(tmp_path: Path) -> Rig:
    return rig(tmp_path)


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


def test_every_answer_ends_its_line(made: Rig):
    """At a terminal the prompt stands below what curl has shown, whether it was taken or refused."""
    answers = [made.publish(claimant()), made.publish(b"{"), made.http.get("/health/live")]
    assert [answer.status_code for answer in answers] == [202, 400, 200]
    assert [answer.text.count("\n") for answer in answers] == [1, 1, 1]
    assert all(answer.text.endswith("}\n") for answer in answers)


def test_a_key_twice_in_the_body_of_binary_mode_is_refused_as_in_an_event(made: Rig):
    """E3: the body becomes an event before it is judged, and its second value would have gone unseen."""
    body = b'{"nino": "NC000017A", "name": {"family_name": "A", "family_name": "B"}, "nino": "NC000018A"}'
    headers = {"content-type": "application/json", **ce(claimant()), **made.auth()}
    answer = made.http.post("/events", content=body, headers=headers)
    assert (answer.status_code, type_of(answer)) == (400, Rejection.UNDECODABLE)
    assert [each["path"] for each in answer.json()["problems"]] == ["$.data.name.*", "$.data.nino"]
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
