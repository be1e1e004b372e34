"""Reading views over HTTP: pages, cursors, streams, one key, and what a subscriber owes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from connectors.gateway import Subscribing
from connectors.gateway.ports import Obligation
from schemas import cloudevent_from_json
from tests.gateway_kit import HOUSING, ISSUING, TAX, Rig, rig, view_headers

CHANGES, STREAM = f"/views/{HOUSING}/changes", f"/views/{HOUSING}/events"
DAY_MS = 24 * 3_600_000
RETRACTED = {"ce_type": "uk.gov.postroom.view-retracted.v1", "postroom_reason": "ended"}


@pytest.fixture
def made(tmp_path: Path) -> Rig:
    return rig(tmp_path)


def written(made: Rig, count: int, agreement: str = HOUSING) -> None:
    for number in range(count):
        made.views.write(agreement, f"s-{number:032x}", {"name": number}, view_headers(1))


def read_on(made: Rig, cursor: str | None, limit: int = 2) -> tuple[list[Any], str]:
    """Read to the end in pages."""
    found: list[Any] = []
    while True:
        page = made.get(CHANGES, limit=limit, **({"cursor": cursor} if cursor else {})).json()
        found += page["changes"]
        cursor = page["cursor"]
        if page["at_end"]:
            return found, str(cursor)


def test_pages_go_on_where_the_last_one_ended(made: Rig):
    """Every change once, whatever the size of a page, and later ones from the same cursor."""
    written(made, 7)
    found, cursor = read_on(made, None)
    assert sorted(change["value"]["name"] for change in found) == list(range(7))
    made.views.write(HOUSING, "s-new", {"name": 8}, view_headers(1))
    later, _ = read_on(made, cursor)
    assert [change["key"] for change in later] == ["s-new"]


def test_any_server_goes_on_from_a_cursor(made: Rig, tmp_path: Path):
    """No server affinity: another process with the same key and topic knows what it means."""
    written(made, 3)
    _, cursor = read_on(made, None)
    other = rig(tmp_path)
    other.views.topics = made.views.topics
    made.views.write(HOUSING, "s-new", {"name": 8}, view_headers(1))
    assert [change["key"] for change in read_on(other, cursor)[0]] == ["s-new"]


def test_a_change_says_what_v3_says(made: Rig):
    """Key, value, sequence, agreement with version, cause, times; nothing of Kafka."""
    headers = [*view_headers(3), ("postroom_supersedes", "s-old"), ("postroom_supersedes", "s-older")]
    made.views.write(HOUSING, "s-1", {"name": "A"}, headers, timestamp_ms=1_780_000_000_000)
    [change] = made.get(CHANGES).json()["changes"]
    assert change == {
        "key": "s-1",
        "value": {"name": "A"},
        "type": "uk.gov.postroom.view-updated.v1",
        "id": f"{HOUSING}@1/k/3",
        "time": "2026-05-28T20:26:40Z",
        "agreement": f"{HOUSING}@1",
        "cause": "0" * 32,
        "sequence": 3,
        "published": "2026-05-28T20:26:40Z",
        "supersedes": ["s-old", "s-older"],
    }


def test_a_retraction_is_as_visible_as_a_view(made: Rig):
    """In a page, in a stream, and under its key: 410 with the sequence and V2's reason, and nothing more."""
    made.views.write(HOUSING, "s-1", {"name": "A"}, view_headers(1))
    made.views.write(HOUSING, "s-1", None, view_headers(2, **RETRACTED))
    [change] = made.get(CHANGES).json()["changes"]  # and what it retracts is handed out to nobody (V1)
    assert (change["value"], change["reason"], change["sequence"]) == (None, "ended", 2)
    answer = made.get(f"/views/{HOUSING}/s-1")
    assert answer.status_code == 410
    retraction = answer.json()["retraction"]
    assert (retraction["sequence"], retraction["reason"], retraction["value"]) == (2, "ended", None)


@pytest.mark.parametrize("ask", ["GET", "POST"])
def test_a_key_is_answered_with_its_age(made: Rig, ask: str):
    """The last record under it, fresh from the topic; by POST where the key should not be in an address."""
    published_ms = made.now_ms() - 5_000
    made.views.write(HOUSING, "s-1", {"name": "A"}, view_headers(1), published_ms)
    made.views.write(HOUSING, "s-1", {"name": "B"}, view_headers(2), published_ms)
    if ask == "GET":
        answer = made.get(f"/views/{HOUSING}/s-1")
    else:
        answer = made.http.post(f"/views/{HOUSING}/lookup", json={"key": "s-1"}, headers=made.auth("leeds"))
    assert (answer.json()["value"], answer.json()["sequence"]) == ({"name": "B"}, 2)
    assert 5_000 <= answer.json()["age_ms"] < 15_000
    assert answer.headers["cache-control"] == "no-store"
    assert made.get(f"/views/{HOUSING}/s-2").status_code == 404


def test_a_page_can_wait_for_a_change(made: Rig):
    """A long poll: the answer comes with the change, or empty when the time is over."""
    _, cursor = read_on(made, None)
    assert made.get(CHANGES, cursor=cursor, wait=0.05).json()["changes"] == []

    async def waited() -> Any:
        write = lambda: made.views.write(HOUSING, "s-1", {"name": "A"}, view_headers(1))  # noqa: E731
        asyncio.get_running_loop().call_later(0.1, write)
        params = {"cursor": cursor, "wait": 10}
        return await made.http.ask("GET", CHANGES, params=params, headers=made.auth("leeds"))

    assert len(made.http.runner.run(waited()).json()["changes"]) == 1


def test_a_cursor_from_before_the_tombstones_were_deleted_has_expired(made: Rig):
    """V1: whoever is further behind rereads everything. A reader at the end is never behind, however quiet
    its view is.
    """
    written(made, 4)
    halfway = made.get(CHANGES, limit=1).json()["cursor"]
    _, at_end = read_on(made, None)
    made.later_ms = 29 * DAY_MS
    _, at_end = read_on(made, at_end)
    slowly = made.get(CHANGES, cursor=halfway, limit=1).json()["cursor"]  # on its way, and still behind
    made.later_ms = 31 * DAY_MS
    for cursor in (halfway, slowly):
        answer = made.get(CHANGES, cursor=cursor)
        assert answer.status_code == 410
        assert answer.json()["type"].endswith(":cursor-expired")
    assert made.get(CHANGES, cursor=at_end).status_code == 200


def test_a_cursor_beyond_the_topic_has_expired(made: Rig):
    """The topic is another one than when it was given out."""
    written(made, 4)
    _, cursor = read_on(made, None)
    made.views.topics.clear()
    assert made.get(CHANGES, cursor=cursor).status_code == 410


def events_of(text: str) -> list[dict[str, str]]:
    """Server-Sent Events as a browser would read them; one with an id alone is no event."""
    found, last = [], ""
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        last = fields.get("id", last)
        if "data" in fields:
            found.append(fields | {"id": last})
    return found


def stream(made: Rig, **headers: str) -> list[dict[str, str]]:
    """The stream of a token that ends soon, but not before a busy machine has said all, to its end."""
    headers |= {"authorization": f"Bearer {ISSUING.token('leeds', exp=made.now_ms() // 1000 + 4)}"}
    answer = made.http.get(STREAM, headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events_of(answer.text)


def test_a_stream_goes_on_from_the_last_event_that_was_read(made: Rig):
    """Last-Event-ID: each event's id is the cursor behind it, so nothing is missed and nothing comes twice.
    The stream ends with the token that opened it.
    """
    written(made, 5)
    events = stream(made)
    names = [event["event"] for event in events]
    assert names == ["view-updated"] * 5 + ["at-end", "stream-ended"]
    assert "a new token" in json.loads(events[-1]["data"])["mend"]
    resumed = stream(made, **{"last-event-id": events[1]["id"]})
    assert [event["data"] for event in resumed[:3]] == [event["data"] for event in events[2:5]]
    again = stream(made, **{"last-event-id": events[-1]["id"]})
    assert [event["event"] for event in again] == ["at-end", "stream-ended"]
    page = made.get(CHANGES, cursor=events[1]["id"]).json()
    assert [json.dumps(change) for change in page["changes"]] == [
        json.dumps(json.loads(event["data"])) for event in events[2:5]
    ]


def test_a_stream_of_an_empty_view_says_that_it_is_at_the_end(made: Rig):
    """Whoever reads to the end before it acts would wait for ever."""
    assert [event["event"] for event in stream(made)] == ["at-end", "stream-ended"]


def test_a_slow_reader_of_a_stream_is_not_sent_what_was_retracted_meanwhile(made: Rig):
    """V1: a page that it takes its time over is not believed for long; the retraction comes."""
    written(made, 5)

    async def slowly() -> list[str]:
        part = Subscribing(made.views, made.cursors, made.now_ms)
        events = part.stream(
            part.start(None, "council-leeds", HOUSING), "council-leeds", HOUSING, lambda: 60.0
        )
        taken = [await anext(events)]
        for key in [change.key for change in (await made.views.page(HOUSING, (), 5)).changes]:
            made.views.write(HOUSING, key, None, view_headers(2, **RETRACTED))
        made.later_ms += 1_500
        async for event in events:
            if b"event: at-end" in event:
                break
            taken.append(event)
        return [event.decode().split("event: ")[1].split("\n")[0] for event in taken]

    assert made.http.runner.run(slowly()) == ["view-updated"] + ["view-retracted"] * 5


def test_what_is_wrong_with_a_stream_is_said_before_it_begins(made: Rig):
    """A problem, not half a stream; and streams of one client are bounded."""
    assert made.get(STREAM, cursor="x" * 40).status_code == 400
    made.views.away = True
    answer = made.get(STREAM)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


def test_a_broker_that_is_away_is_503_with_retry_after(made: Rig):
    """Never an old answer: nothing is kept past the topic."""
    made.views.write(HOUSING, "s-1", {"name": "A"}, view_headers(1))
    made.get(f"/views/{HOUSING}/s-1")
    made.views.away = True
    for path in (CHANGES, f"/views/{HOUSING}/s-1"):
        answer = made.get(path)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "params", [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"wait": -1}, {"wait": "nan"}, {"wait": 31}]
)
def test_parameters_out_of_bounds_are_named_and_not_repeated(made: Rig, params: dict[str, Any]):
    """400 with the place."""
    answer = made.get(CHANGES, **params)
    [problem] = answer.json()["problems"]
    assert (answer.status_code, problem["path"]) == (400, f"$.query.{next(iter(params))}")


# -- obligations -----------------------------------------------------------------------------------------


def owed(made: Rig, number: int, subscriber: str, deadline_ms: int, done_ms: int | None = None) -> str:
    name = f"o-{number:032x}"
    made.ledger.entries.append(
        Obligation(name, subscriber, HOUSING, "s-1", ("name",), 0, made.now_ms() + deadline_ms, done_ms)
    )
    return name


def test_a_subscriber_sees_what_it_owes_and_nobody_else_does(made: Rig):
    """Open and overdue, the earliest deadline first; not what is done, not what is another's."""
    late, soon = owed(made, 1, "council-leeds", -1_000), owed(made, 2, "council-leeds", DAY_MS)
    owed(made, 3, "council-york", DAY_MS)
    owed(made, 4, "council-leeds", DAY_MS, done_ms=1)
    found = made.get("/obligations").json()["obligations"]
    assert [(each["obligation"], each["state"]) for each in found] == [(late, "overdue"), (soon, "open")]
    found = made.get("/obligations", overdue=True).json()["obligations"]
    assert [each["obligation"] for each in found] == [late]


def test_a_ledger_that_says_too_much_is_not_passed_on(made: Rig):
    """The gateway looks at each entry's subscriber itself."""
    owed(made, 1, "council-york", DAY_MS)

    async def everything(_: str) -> Any:
        return made.ledger.entries

    made.ledger.of = everything  # type: ignore[method-assign]
    assert made.get("/obligations").json() == {"obligations": []}


def test_an_acknowledgement_is_a_cloudevent_of_the_subscriber(made: Rig):
    """V4, ADR 0004: its source is the subscriber's, its data the obligation; 202 once the broker has it."""
    from processors.intake import read_acknowledgement

    name = owed(made, 1, "council-leeds", DAY_MS)
    answer = made.http.post("/acknowledgements", json={"obligation": name}, headers=made.auth("leeds"))
    assert (answer.status_code, answer.json()) == (202, {"obligation": name, "written": True})
    [sent] = made.sink.sent
    assert sent.topic == "acknowledgements"
    assert cloudevent_from_json(json.loads(sent.value)).source == "urn:gov:council-leeds:leeds"
    acknowledged = read_acknowledgement(sent.value, 1 << 20)
    assert acknowledged is not None
    assert (acknowledged.obligation, acknowledged.subscriber) == (name, "council-leeds")


def test_what_is_settled_is_not_written_again(made: Rig):
    """Saying it twice changes nothing."""
    name = owed(made, 1, "council-leeds", DAY_MS, done_ms=1)
    answer = made.http.post("/acknowledgements", json={"obligation": name}, headers=made.auth("leeds"))
    assert (answer.status_code, answer.json()["written"]) == (202, False)
    assert not made.sink.sent


def test_an_acknowledgement_that_the_broker_has_not_is_not_accepted(made: Rig):
    """503 while it is held or the broker is away."""
    name = owed(made, 1, "council-leeds", DAY_MS)
    for state in ("held", "away", "full"):
        setattr(made.sink, state, True)
        answer = made.http.post("/acknowledgements", json={"obligation": name}, headers=made.auth("leeds"))
        assert answer.status_code == (429 if state == "full" else 503)
        assert "retry-after" in answer.headers


def test_a_client_may_be_narrowed_to_some_agreements(made: Rig):
    """Least privilege: leeds-tax is the council's and reads one agreement of it."""
    assert made.get(f"/views/{TAX}/changes", "leeds-tax").status_code == 200
    assert made.get(CHANGES, "leeds-tax").status_code == 404
