"""What one client with credentials, or anybody with a line, could take of the gateway: memory, time, places.

An attack that took the gateway from everybody before it had its bound has the numbers of then beside it.
"""

import asyncio
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from connectors.doors import limits, serving
from schemas import EVENT_BYTES_MAX, Rejection
from schemas.plain_containers import PROBLEMS_MAX
from tests.core.test_gateway_serving import served
from tests.gateway_kit import Rig, claimant, rig, type_of

BATCH = {"content-type": "application/cloudevents-batch+json"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
MIB = 1 << 20


@pytest.fixture
def made(tmp_path: Path) -> Rig:
    return rig(tmp_path)


def test_an_event_of_more_than_a_mebibyte_is_too_large(made: Rig):
    """E7, whether or not the length was said before."""
    big = json.dumps(claimant(name={"given_names": "A" * EVENT_BYTES_MAX, "family_name": "B"})).encode()

    async def parts() -> Any:
        for start in range(0, len(big), 65_536):
            yield big[start : start + 65_536]

    headers = STRUCTURED | made.auth()
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

    headers = STRUCTURED | made.auth()
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


def test_a_batch_is_bounded(made: Rig):
    """In number, and an empty one is a mistake."""
    assert made.batch([]).status_code == 400
    answer = made.batch([1] * (limits.BATCH_EVENTS_MAX + 1))
    assert (answer.status_code, type_of(answer)) == (413, "too-large")


@pytest.mark.parametrize("element", [b"0", b"{}", b'""', b"[]"])
def test_a_batch_of_millions_of_nothings_is_refused_without_making_them(made: Rig, element: bytes):
    """8 MiB of zeros were half a GiB and seven seconds; now places beyond the bound are never made."""
    body = b"[" + (element + b",") * (2 * MIB) + element + b"]"
    tracemalloc.start()
    answer = made.http.post("/events", content=body[: 8 * MIB], headers=BATCH | made.auth())
    whole = made.http.post("/events", content=b"[0" + b",0" * (2 * MIB) + b"]", headers=BATCH | made.auth())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code in (400, 413)
    assert (whole.status_code, whole.json()["detail"]) == (413, "at most 500 events in a batch")
    assert peak < 64 * MIB


def wrong_lines(count: int) -> dict[str, Any]:
    """An event with so many wrong items in one list."""
    return claimant(address={"lines": [1] * count, "postcode": "LS1 1AA"})


def test_half_a_million_wrong_items_are_not_half_a_million_sentences(made: Rig):
    """One event of 1 MiB was an answer of 48 MB, a batch of seven a minute in which nobody was answered."""
    answer = made.publish(wrong_lines(200_000))
    assert answer.status_code == 422
    assert len(answer.json()["problems"]) == PROBLEMS_MAX
    assert answer.json()["problems"][0]["path"] == "$.data.address.lines[0]"


def test_a_hundred_thousand_unknown_fields_are_named_a_hundred_times(made: Rig):
    """Their names are the sender's own, and so is how many there are."""
    letters = "abcdefghijklmnop"
    names = {f"x{a}{b}{c}": 1 for a in letters for b in letters for c in letters}
    assert len(made.publish(claimant(**names)).json()["problems"]) == PROBLEMS_MAX


def test_what_is_wrong_in_a_short_list_is_all_named(made: Rig):
    """The bound takes nothing from who made a mistake."""
    paths = [problem["path"] for problem in made.publish(wrong_lines(40)).json()["problems"]]
    assert paths == [f"$.data.address.lines[{place}]" for place in range(40)]


async def trickle(*parts: bytes) -> AsyncIterator[bytes]:
    """A body whose last part never comes."""
    for part in parts:
        yield part
    await asyncio.Event().wait()


def test_a_body_that_trickles_is_given_up(made: Rig, monkeypatch: pytest.MonkeyPatch):
    """2,000 connections are all there are: none is held by a client that has stopped sending."""
    monkeypatch.setattr(limits, "BODY_S_MAX", 0.05)
    answer = made.http.post("/events", content=trickle(b"{"), headers=STRUCTURED | made.auth())
    assert (answer.status_code, type_of(answer)) == (408, "too-slow")
    lookup = {"content-type": "application/json"} | made.auth("leeds")
    assert made.http.post("/views/council-leeds-housing/lookup", content=trickle(b"{"), headers=lookup)
    assert made.sink.sent == []


def test_one_clients_half_sent_bodies_are_bounded_and_no_one_elses(
    made: Rig, monkeypatch: pytest.MonkeyPatch
):
    """2,000 bodies of 8 MiB would be 16 GiB; what is under way counts, and stops counting when answered."""
    monkeypatch.setattr(limits, "HELD_BYTES_MAX", 3_000)
    monkeypatch.setattr(limits, "BODY_S_MAX", 0.5)

    async def attack() -> list[httpx.Response]:
        slow = [
            made.http.ask("POST", "/events", content=trickle(b" " * 1_000), headers=BATCH | made.auth())
            for _ in range(4)
        ]
        held = [asyncio.ensure_future(each) for each in slow]
        await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
        other = await made.http.ask(
            "POST", "/events", content=b" " * 1_000, headers=BATCH | made.auth("nhs-pds")
        )
        return [*await asyncio.gather(*held), other]

    *answers, other = made.http.runner.run(attack())
    assert sorted(answer.status_code for answer in answers) == [408, 408, 408, 429]
    (busy,) = [answer for answer in answers if answer.status_code == 429]
    assert (type_of(busy), busy.headers["retry-after"]) == ("busy", "1")
    assert other.status_code == 400
    assert made.publish(claimant()).status_code == 202


@pytest.mark.parametrize("sent", [b"", b"GET /health/live HTTP/1.1\r\nx: "], ids=["nothing", "half a head"])
def test_a_connection_that_asks_nothing_is_hung_up_on(
    made: Rig, monkeypatch: pytest.MonkeyPatch, sent: bytes
):
    """Without credentials: a head that does not come kept its connection for ever."""
    monkeypatch.setattr(serving, "HEAD_S_MAX", 0.2)
    with served(made) as port, socket.create_connection(("127.0.0.1", port), 30) as line:
        line.sendall(sent)
        assert hung_up(line)


def test_a_second_head_that_trickles_is_hung_up_on_too(made: Rig, monkeypatch: pytest.MonkeyPatch):
    """Each byte puts off the end of an idle connection; it does not put off this one."""
    monkeypatch.setattr(serving, "HEAD_S_MAX", 0.5)
    with served(made) as port, socket.create_connection(("127.0.0.1", port), 30) as line:
        line.sendall(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200 OK" in line.recv(65_536)
        line.sendall(b"GET /health/live HTTP/1.1\r\n")
        assert hung_up(line)


def test_a_long_answer_is_not_cut_off_by_the_bound_on_heads(made: Rig, monkeypatch: pytest.MonkeyPatch):
    """Only a head is awaited: a request that waits for changes takes the time that it takes."""
    monkeypatch.setattr(serving, "HEAD_S_MAX", 0.2)
    with served(made) as port:
        url = f"http://127.0.0.1:{port}/views/council-leeds-housing/changes?wait=1"
        answer = httpx.get(url, headers=made.auth("leeds"), trust_env=False, timeout=60)
    assert answer.status_code == 200
    assert json.loads(answer.content)["changes"] == []


def hung_up(line: socket.socket) -> bool:
    """Whether the other side ends the connection, whatever it says before."""
    try:
        while line.recv(65_536):
            pass
    except ConnectionError:
        return True
    return True
