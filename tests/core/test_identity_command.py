"""`postroom identity show` where no Kafka is needed: every statement about an identifier, a hub's too."""

from __future__ import annotations

import json
from typing import Any

import pytest

import connectors.kafka_reader
from connectors.kafka_reader import RawRecord
from postroom.commands import identity as command
from postroom.output import Form
from postroom.topics import changelog
from processors.engine.changelog import TASK_KEY, TaskMemory, pack_state
from processors.messages import DISPUTES_TOPIC, encode
from processors.stage import State
from tests.persons_kit import Graph, claims, same

HUB = "nino:AB123456C"
PASSPORTS = [f"passport:1000000{n}" for n in range(5)]


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> Graph:
    """A graph whose changelog and disputes are what the command reads."""
    graph = Graph(*(same(each, HUB, n) for n, each in enumerate(PASSPORTS)), hub_edges=2, page_edges=2)

    class Reader:
        def __init__(self, access: object) -> None:
            pass

        def latest(self, topic: str) -> dict[bytes, RawRecord]:
            if topic == DISPUTES_TOPIC:
                held = {pair.encode(): encode(each) for pair, each in graph.published.items()}
            else:
                assert topic == changelog("persons")
                held = {key: pack_state(State(body)) for key, body in graph.bodies.items()}
                held[TASK_KEY] = TaskMemory(log=HUB).encode()
            return {key: RawRecord(topic, 0, 0, 0, key, value, ()) for key, value in held.items()}

    monkeypatch.setattr(connectors.kafka_reader, "TopicReader", Reader)
    monkeypatch.setenv("POSTROOM_KAFKA", "127.0.0.1:9")
    monkeypatch.setenv("POSTROOM_REGISTRY", "http://127.0.0.1:9")
    monkeypatch.setenv("POSTROOM_SECRET", "any")
    return graph


def shown(identifier: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the command prints of an identifier."""
    command.show(identifier, Form.JSON)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_hub_shows_all_who_speak_of_it_and_their_disputes(
    graph: Graph, capsys: pytest.CaptureFixture[str]
) -> None:
    """I3: though the hub itself keeps no list of them; one who unlinked it is among them."""
    graph.step(claims(PASSPORTS[0], 2, ("unlink", HUB, 9)))
    found = shown(HUB, capsys)
    assert found["members"] == [HUB]
    assert [(row["other"], row["stated"], row["dispute"]) for row in found["pairs"]] == [
        (PASSPORTS[0], "unlink", None),
        *((each, "same-person", "hub") for each in PASSPORTS[1:]),
    ]


def test_who_speaks_of_a_hub_shows_that_and_nobody_elses_words(
    graph: Graph, capsys: pytest.CaptureFixture[str]
) -> None:
    """I2, I3: its own statement, whose dispute it is, too."""
    found = shown(PASSPORTS[3], capsys)
    assert [(row["other"], row["dispute"]) for row in found["pairs"]] == [(HUB, "hub")]
