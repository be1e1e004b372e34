"""Dead letters on the real way in: listed, replayed from where they are, discarded, and judged afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from postroom.config import Settings
from producers import synthetic
from schemas import format_instant
from tests.flow.spine import ROOT, SHELL, STRUCTURED, Installation, decided, installation, now_ms, registered

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(600)]

TYPE = "uk.gov.health.demographics.v1"
HOUR_MS = 3_600_000
TOO_EARLY_MS = 5 * 60_000 + 8_000
"""A few seconds more than intake allows: rejected now, right by the time that somebody looks."""


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Installation]:
    """An installation with one worker, a citizen who grants, and three dead letters about her."""
    with installation(request, stack_settings, ROOT / "schemas", ROOT / "schemas" / "agreements") as made:
        made.start("a", SHELL)
        nhs = synthetic.nhs_number(230_001)
        made.publish([decided(nhs, "GRANTED", now_ms() - HOUR_MS)])
        early = json.loads(registered(nhs, now_ms() + TOO_EARLY_MS))
        made.produce(TYPE, json.dumps(early | {"id": "early"}).encode(), STRUCTURED, partition=0)
        made.produce(TYPE, json.dumps(early | {"id": "gone"}).encode(), STRUCTURED, partition=1)
        made.produce(
            TYPE, json.dumps(early | {"id": "broken", "data": None}).encode(), STRUCTURED, partition=2
        )
        made.flushed()
        until(lambda: len(letters(made)) == 3)
        yield made
        assert made.exits == [], "no request ends a worker"


def test_letters_are_found_counted_replayed_once_and_discarded(own: Installation):
    """E7: `replayed` when its time is right, `gone` past retention, `still-rejected` with the reason.

    A second replay changes nothing, what was done and why is there for whoever asks, and the history of all
    this keeps its promises (V6): a replayed event is no duplicate.
    """
    by_id = {letter["id"]: letter for letter in letters(own)}
    assert {name: letter["reason"] for name, letter in by_id.items()} == {
        "early": "time-in-future",
        "gone": "time-in-future",
        "broken": "null-value",
    }
    assert len(letters(own, "--reason", "null-value", "--type", TYPE, "--since", "1h")) == 1
    assert letters(own, "--until", "1h") == []
    counted = own.command("dlq", "replay", "--all", "--dry-run", "-o", "json")
    assert {row["reason"]: row["letters"] for row in json.loads(counted.stdout)} == {
        "null-value": 1,
        "time-in-future": 2,
    }
    forget(own, by_id["gone"])
    wait_until_right(by_id["early"])

    answers = act(own, 1, "replay", "--all", "--by", "op", "--why", "OPS-17: a clock was wrong")
    results = {letter["letter"].split("/")[1]: (letter["result"], letter["reason"]) for letter in answers}
    assert results == {"0": ("replayed", ""), "1": ("gone", ""), "2": ("still-rejected", "null-value")}
    own.settle()
    shown = own.command("view", "council-york-carers", "-o", "jsonl")
    assert [json.loads(line)["value"]["name"]["family_name"] for line in shown.stdout.splitlines()] == [
        "Garamond"
    ]

    before = own.ends(["view.council-york-carers", "postroom.assertions"])
    assert act(own, 0, "replay", place(by_id["early"]), "--why", "OPS-17") == []
    assert own.ends(["view.council-york-carers", "postroom.assertions"]) == before

    assert {letter["tried"] for letter in letters(own)} == {"gone", "null-value"}
    assert len(act(own, 0, "discard", "--all", "--by", "op", "--why", "OPS-18: published again")) == 2
    assert letters(own) == []
    assert {letter["state"] for letter in letters(own, "--state", "all")} == {"replayed", "discarded"}
    told = json.loads(own.command("dlq", "show", place(by_id["gone"]), "-o", "json").stdout)
    assert [(step["result"], step["by"]) for step in told["trail"]] == [("gone", "op"), ("discarded", "op")]
    assert told["kept_until"] > format_instant(now_ms())


def test_what_is_asked_while_no_worker_runs_is_done_when_one_does(own: Installation):
    """A crash between asking and answering loses nothing: the request is there and is answered once."""
    nhs = synthetic.nhs_number(230_002)
    early = json.loads(registered(nhs, now_ms() + TOO_EARLY_MS)) | {"id": "late"}
    own.produce(TYPE, json.dumps(early).encode(), STRUCTURED, partition=0)
    own.flushed()
    until(lambda: len(letters(own)) == 1)
    (letter,) = letters(own)
    assert set(own.stop().values()) == {0}
    wait_until_right(letter)
    answers = act(own, 3, "replay", "--all", "--why", "OPS-19", "--wait", "1")
    assert [answer["result"] for answer in answers] == ["unanswered"]
    assert act(own, 3, "replay", "--all", "--why", "OPS-19 again", "--wait", "1")
    own.start("a", SHELL)
    until(lambda: letters(own) == [])
    own.settle()
    told = json.loads(own.command("dlq", "show", place(letter), "-o", "json").stdout)
    assert [step["result"] for step in told["trail"]] == ["replayed", "replayed"]
    verified = own.command("history", "verify", "-o", "json")
    assert json.loads(verified.stdout)["findings"] == [], verified.stdout.decode()[:2000]


@pytest.mark.parametrize(
    "words",
    [
        ("replay",),
        ("replay", "--all"),
        ("discard", "--all", "--why", "about AB123456C"),
        ("replay", "nonsense", "--why", "OPS-1"),
        ("list", "--reason", "bad-luck"),
        ("list", "--since", "soon"),
    ],
)
def test_wrong_use_asks_nothing(own: Installation, words: tuple[str, ...]):
    """Exit 2, and no request: nothing is replayed by a slip, and no citizen's number is kept for ever."""
    before = own.ends(["postroom.dead-letters.requests"])
    assert own.command("dlq", *words).returncode == 2
    assert own.ends(["postroom.dead-letters.requests"]) == before


def letters(own: Installation, *words: str) -> list[dict[str, Any]]:
    """What `postroom dlq list` shows; exit 1 exactly if it shows one."""
    done = own.command("dlq", "list", "-o", "json", *words)
    assert done.returncode in (0, 1), done.stderr.decode()
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.returncode == bool(found)
    return found


def act(own: Installation, code: int, *words: str) -> list[dict[str, Any]]:
    """Ask about letters, and say what was answered."""
    done = own.command("dlq", *words, "-o", "json")
    assert done.returncode == code, (done.stdout + done.stderr).decode()
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def place(letter: dict[str, Any]) -> str:
    """A letter's name."""
    return f"{letter['topic']}/{letter['partition']}/{letter['offset']}"


def forget(own: Installation, letter: dict[str, Any]) -> None:
    """Delete a record from the front of its partition, as retention would."""
    admin = KafkaAdminClient(bootstrap_servers=own.stack.kafka)
    try:
        where = TopicPartition(letter["topic"], letter["partition"])
        admin.delete_records({where: letter["offset"] + 1})
    finally:
        admin.close()


def wait_until_right(letter: dict[str, Any]) -> None:
    """Let the clock come to where the event is not in the future any more (E7)."""
    sent_s = time.mktime(time.strptime(letter["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    time.sleep(max(0.0, sent_s + 10 - time.time()))


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something to become so."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)
