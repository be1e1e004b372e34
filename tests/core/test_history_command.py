"""`postroom history verify` where no Kafka is needed: what it reads, what it says, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import typer

from connectors.kafka_history import Span
from connectors.kafka_reader import RawRecord
from connectors.trouble import Unreachable
from postroom.commands import history as command
from postroom.errors import Exit, UserError
from postroom.output import Form
from processors.history import Anomaly, Verdict
from processors.messages import DISCLOSURES_TOPIC
from tests.backbone import in_order
from tests.core.history_by_hand import CITIZEN, KEY, PERSON, RULES, ByHand, whole_story


class Reader:
    """What HistoryReader gives, of a history made by hand."""

    def __init__(self, hand: ByHand) -> None:
        self.hand, self.taken = hand, 0

    def spans(self, topics: Sequence[str], groups: Mapping[str, Sequence[str]]) -> Any:
        assert {topic for read in groups.values() for topic in read} <= set(topics)
        ends = self.hand.ends
        return {where: Span(0, end, end, 1 if end else None) for where, end in ends.items()}, dict(ends)

    def in_order_of_time(self, spans: object, topics: Sequence[str]) -> Iterator[RawRecord]:
        return (RawRecord(*record) for record in in_order(topics, self.hand.records))

    def begins(self, where: Mapping[tuple[str, int], object]) -> dict[tuple[str, int], int]:
        return dict.fromkeys(where, self.taken)


class Registry:
    """A registry that is there, or not."""

    def __init__(self, there: bool = True) -> None:
        self.there = there

    def ping(self) -> None:
        if not self.there:
            raise Unreachable("the schema registry is unreachable")

    def schema_by_id(self, schema_id: int) -> None:
        return None


def judged(hand: ByHand, replay_max: int = 0, there: bool = True) -> Verdict:
    return command.judge(Reader(hand), Registry(there), RULES, replay_max)  # type: ignore[arg-type]


def test_what_is_read_is_judged():
    """A good history is clean, a bad one is not."""
    hand = whole_story(RULES)
    assert judged(hand).clean
    hand.event("lost")
    assert set(judged(hand).counts) == {Anomaly.LOST_EVENT}


def test_the_registry_is_asked_for_only_to_replay():
    """Without it the rest can be checked."""
    assert judged(whole_story(RULES), replay_max=0, there=False).clean
    with pytest.raises(Unreachable):
        judged(whole_story(RULES), replay_max=1, there=False)


def test_retention_that_goes_on_while_it_reads_is_no_verdict():
    """What is missing then was not lost: run it again."""
    reader = Reader(whole_story(RULES))
    reader.taken = 1
    with pytest.raises(UserError) as raised:
        command.judge(reader, Registry(), RULES, 0)  # type: ignore[arg-type]
    assert raised.value.code is Exit.UNREACHABLE


@pytest.mark.parametrize("form", list(Form))
def test_findings_are_data_and_the_rest_is_words(form: Form, capsys: pytest.CaptureFixture[str]):
    """Each with its rule and place on stdout, in the form that was asked for; never whose it is."""
    hand = whole_story(RULES)
    hand.event("lost")
    hand.entry(2, None)
    command._write(judged(hand), form)
    out, err = capsys.readouterr()
    assert not any(secret in out + err for secret in (CITIZEN, KEY, PERSON))
    if form is Form.TABLE:
        assert "duplicate-disclosure" in out
        assert "broken: 1 lost-event, 1 duplicate-disclosure" in err
        return
    rows = (
        [json.loads(line) for line in out.splitlines()] if form is Form.JSONL else json.loads(out)["findings"]
    )
    assert [(row["anomaly"], row["rule"], row["id"]) for row in rows] == [
        ("lost-event", "V6", "lost"),
        ("duplicate-disclosure", "V5", "grant"),
    ]
    assert rows[1]["topic"] == DISCLOSURES_TOPIC


@pytest.mark.parametrize("broken", [False, True])
def test_it_ends_with_one_if_a_promise_was_broken(monkeypatch: pytest.MonkeyPatch, broken: bool):
    """And in good order otherwise."""
    hand = whole_story(RULES)
    if broken:
        hand.event("lost")
    verdict = judged(hand)
    monkeypatch.setattr(command, "judge", lambda *_: verdict)
    monkeypatch.setattr("postroom.installation.require_its_secret", lambda *_: None)
    monkeypatch.setenv("POSTROOM_KAFKA", "127.0.0.1:9")
    monkeypatch.setenv("POSTROOM_REGISTRY", "http://127.0.0.1:9")
    monkeypatch.setenv("POSTROOM_SECRET", "any")
    from postroom import settings

    settings.settings.cache_clear()
    try:
        if broken:
            with pytest.raises(typer.Exit) as ended:
                command.verify(output=Form.JSON)
            assert ended.value.exit_code == Exit.FOUND
        else:
            command.verify(output=Form.JSON)
    finally:
        settings.settings.cache_clear()
