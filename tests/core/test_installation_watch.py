"""A worker's secret is looked after: at the start, with patience, and while it runs (C8, adr/0066)."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import pytest

from connectors import Stack, Unreachable, kafka_once
from connectors.kafka_access import KafkaAccess
from connectors.registry_users import no_token
from connectors.trouble import NotLetIn, Trouble
from postroom import installation
from postroom.errors import UserError
from postroom.installation import SecretDiffers, looked_after
from processors import INSTALLATION_TOPIC, Keys
from processors.installation import SECRET_KEY, Recorded, record_of

OURS, OTHERS = (record_of(Keys(secret), bytes(16)) for secret in (b"ours", b"another's"))
ACCESS = KafkaAccess("127.0.0.1:1")
STACK = Stack(ACCESS, "http://127.0.0.1:1", True, no_token)
TOPICS = frozenset({"uk.gov.a.b.v1"})


class Stopped(BaseException):
    """What ends the process here, where a process cannot be ended."""


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the topic says at each look, in their order; and every question is a look."""
    answers: list[Any] = []

    def answer(_stack: Stack) -> Recorded | None:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]

    def end(where: str, error: BaseException) -> NoReturn:
        assert (where, type(error)) == ("secret", SecretDiffers)
        raise Stopped(str(error))

    monkeypatch.setattr(installation, "recorded", answer)
    monkeypatch.setattr(installation, "stop_process", end)
    monkeypatch.setattr(installation, "LOOK_EVERY_S", 0.0)
    return answers


async def topics() -> frozenset[str]:
    """What a stage discovers."""
    return TOPICS


def ask_twice() -> None:
    """Two questions for newer rules, as a stage asks them."""
    discover = looked_after(STACK, OURS, lambda _stage: topics)("intake")

    async def asked() -> list[frozenset[str]]:
        return [await discover(), await discover()]

    assert asyncio.run(asked()) == [TOPICS, TOPICS]


def test_a_record_that_stays_lets_a_worker_go_on(looks: list[Any]) -> None:
    """C8: and the stage hears what it asked for."""
    looks += [OURS, OURS]
    ask_twice()
    assert not looks


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (OTHERS, OTHERS.short),
        (None, "is gone"),
        (UserError("the record cannot be read"), "cannot be read"),
        (Trouble("the topic is not there"), "cannot be read"),
    ],
)
def test_a_record_that_changes_ends_a_worker(looks: list[Any], found: Any, said: str) -> None:
    """C8: what it would write from then on may be under keys that nobody else makes."""
    looks += [OURS, found]
    with pytest.raises(Stopped, match=said):
        ask_twice()


@pytest.mark.parametrize("away", [Unreachable("Kafka does not answer"), NotLetIn("the password is another")])
def test_a_kafka_that_is_away_for_a_moment_ends_nobody(looks: list[Any], away: Unreachable) -> None:
    """C8: nothing was said against the secret; the next look asks again."""
    looks += [away, OURS]
    ask_twice()
    assert not looks


def test_it_is_asked_once_a_minute_and_not_with_every_question(
    looks: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stages ask every few seconds, all of them."""
    monkeypatch.setattr(installation, "LOOK_EVERY_S", 60.0)
    ask_twice()
    assert not looks


class Kafka:
    """Answers to reading the record, one after the other; the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), 0

    def read(self, _access: KafkaAccess, _topic: str, _key: bytes) -> bytes | None:
        """Answer."""
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]


def test_what_passes_is_waited_for_and_what_does_not_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """C8: an error is never an answer. A user that is not let in is not tried again."""
    monkeypatch.setattr(kafka_once, "PAUSE_S", 0.0)
    away = Unreachable("Kafka does not answer")
    for answers, patience_s, expected, asked in (
        ((away, away, b"record"), 60.0, b"record", 3),
        ((away, None), 60.0, None, 2),
        ((away,), 0.0, Unreachable, 1),
        ((NotLetIn("wrong password"), b"record"), 60.0, NotLetIn, 1),
    ):
        kafka = Kafka(*answers)
        monkeypatch.setattr(kafka_once, "_read", kafka.read)
        if isinstance(expected, type):
            with pytest.raises(expected):
                kafka_once.read_once(ACCESS, INSTALLATION_TOPIC, SECRET_KEY, patience_s)
        else:
            assert kafka_once.read_once(ACCESS, INSTALLATION_TOPIC, SECRET_KEY, patience_s) == expected
        assert kafka.asked == asked
