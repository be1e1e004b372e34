"""A history in which dead letters were replayed: judged right, each fault of a replay found (E7, V6)."""

from __future__ import annotations

import json

import pytest

from processors import ASSERTIONS_TOPIC, DEAD_LETTERS_TOPIC, LETTER_DECISIONS_TOPIC, LETTER_REQUESTS_TOPIC
from processors.dead_letters import Request, Result, Standing, read_decision, read_letter, standings
from processors.disclosure import view_topic
from processors.engine.counts import origin_of
from processors.history import Anomaly
from processors.rules import Limits
from processors.stage import Record
from producers import disordered, lives, to_lines
from schemas import format_instant
from tests.backbone import Backbone
from tests.core.test_history_injected import AGREEMENTS, AT_MS, CONTRACTS, DAY_MS, judged, ruled

HOUR_MS = 3_600_000


def told() -> Backbone:
    """Lives, of which every third event says that it was recorded a few hours later than it was."""
    backbone = Backbone(ruled(CONTRACTS, AGREEMENTS, b"secret", Limits()), AT_MS, partitions=2)
    lines = [line.rstrip(b"\n") for line in to_lines(disordered(lives(3, 16, AT_MS), seed=3))]
    early = [json.loads(line) for line in lines[::3]]
    for number, event in enumerate(early):
        event["time"] = format_instant(AT_MS + 3 * HOUR_MS + number)
    backbone.publish(lines[1::3] + lines[2::3])
    backbone.publish(json.dumps(event).encode() for event in early)
    backbone.publish([b"not an event"])
    backbone.run()
    backbone.pass_time(DAY_MS)
    return backbone


def found(backbone: Backbone) -> list[Standing]:
    """The letters with what was decided about them."""
    return standings(
        (read_letter(r.value) for r in of(backbone, DEAD_LETTERS_TOPIC)),
        (read_decision(r.value) for r in of(backbone, LETTER_DECISIONS_TOPIC)),
    )


def of(backbone: Backbone, topic: str) -> list[Record]:
    """The records of a topic."""
    return [record for record in backbone.records() if record.topic == topic]


def replay_all(backbone: Backbone) -> None:
    """Ask for every letter and let the stages do it."""
    for each in found(backbone):
        letter = each.letter
        backbone.ask(Request(letter.topic, letter.partition, letter.offset, "replay", "op", "OPS-1"))
    backbone.run()


def verdict_of(backbone: Backbone, records: list[Record] | None = None) -> list[Anomaly]:
    """The kinds of what is found."""
    records = backbone.records() if records is None else records
    return list(judged(backbone.rules, records, backbone.extent(), backbone.now_ms).counts)


@pytest.fixture(scope="module")
def replayed() -> Backbone:
    """The same, everything replayed once; never changed."""
    backbone = told()
    replay_all(backbone)
    return backbone


def test_a_replayed_event_is_input_and_no_duplicate(replayed: Backbone):
    """V6: what was too early a day ago is taken in, the views follow, and no promise is called broken."""
    verdict = judged(replayed.rules, replayed.records(), replayed.extent(), replayed.now_ms)
    assert verdict.findings == []
    assert verdict.unchecked == []
    states = [each.state for each in found(replayed)]
    assert states.count("replayed") > 5
    assert states.count("open") == 1
    assert verdict.checked["views compared with a replay"]


def test_what_is_no_event_stays_rejected(replayed: Backbone):
    """The letter stays open and says what the last try came to."""
    (still,) = [each for each in found(replayed) if each.state == "open"]
    assert still.tried == "undecodable"
    assert still.decisions[0].result is Result.STILL_REJECTED


def test_a_second_replay_changes_no_view():
    """Identity knows (source, id): asking twice, or a crash before the answer, costs nothing (E1)."""
    backbone = told()
    replay_all(backbone)
    views = [view_topic(name) for name in backbone.rules.agreements]
    before = [len(of(backbone, topic)) for topic in views]
    replay_all(backbone)
    assert [len(of(backbone, topic)) for topic in views] == before
    assert verdict_of(backbone) == []


def test_what_retention_has_passed_is_gone_and_stays_open():
    """E7: `gone` is reported, and the letter is open until somebody says why that is right."""
    backbone = told()
    (letter, *_) = [each.letter for each in found(backbone)]
    backbone.forget(letter.topic, letter.partition, letter.offset)
    backbone.ask(Request(letter.topic, letter.partition, letter.offset, "replay", "op", "OPS-1"))
    backbone.run()
    (gone,) = [each for each in found(backbone) if each.decisions]
    assert (gone.state, gone.tried) == ("open", "gone")
    backbone.ask(Request(letter.topic, letter.partition, letter.offset, "discard", "op", "OPS-2"))
    backbone.run()
    (closed,) = [each for each in found(backbone) if each.decisions]
    assert closed.state == "discarded"
    assert [each.why for each in closed.decisions] == ["OPS-1", "OPS-2"]


def test_a_request_that_nobody_answered_is_lost(replayed: Backbone):
    """V6: a worker that took a request must have written what it decided."""
    dropped = of(replayed, LETTER_DECISIONS_TOPIC)[0]
    records = [record for record in replayed.records() if record != dropped]
    assert Anomaly.LOST_EVENT in verdict_of(replayed, records)


def test_a_second_decision_about_one_request_is_a_duplicate(replayed: Backbone):
    """V6: one request, one decision."""
    again = of(replayed, LETTER_DECISIONS_TOPIC)[0]
    end = replayed.ends[again.topic, again.partition]
    assert verdict_of(replayed, [*replayed.records(), again._replace(offset=end - 1)]) == [
        Anomaly.DUPLICATE_EVENT
    ]


def test_a_decision_without_a_request_is_unfounded(replayed: Backbone):
    """V6: a stage must not act on what was never committed."""
    dropped = of(replayed, LETTER_REQUESTS_TOPIC)[0]
    records = [record for record in replayed.records() if record != dropped]
    assert verdict_of(replayed, records) == [Anomaly.ABORTED_READ]


def test_a_replay_whose_message_is_missing_is_lost(replayed: Backbone):
    """V6: `replayed` means that the message stands on the assertions topic."""
    last = of(replayed, ASSERTIONS_TOPIC)
    from_intake = [r for r in last if (o := origin_of(r.headers)) and o.sender.startswith("intake")]
    records = [record for record in replayed.records() if record != from_intake[-1]]
    assert Anomaly.LOST_EVENT in verdict_of(replayed, records)
