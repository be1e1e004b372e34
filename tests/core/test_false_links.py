"""A department that may link two schemes links its own number to a victim's: what it gains, what shows it.

Authority over two schemes is the power to make such a mistake, or such an attack (I2, E6). What stops it is
that a person has one live number of an exclusive scheme; what remains is named in the log, and taken back.
"""

from __future__ import annotations

import json
from typing import Any

from processors.messages import DISCLOSURES_TOPIC, DISPUTES_TOPIC
from processors.stage import Outgoing
from tests.core.test_inference import BORN, ESTATES, LATER_MS, NINO, Story, name, stated
from tests.event_kit import NOW_MS, TIME_MS, Event

MINE, LEEDS = NINO, "urn:gov:council-leeds:main"
VICTIMS_NINO, VICTIMS_NHS = "CE123456D", "9912003888"
FALSE_MS = TIME_MS + 1


def linked(nino: str, source: str, time_ms: int, kind: str = "link") -> Event:
    said = {"nino": nino, "other": f"nhs:{VICTIMS_NHS}", "evidence": None}
    return stated(f"uk.gov.identity.{kind}.v1", source, time_ms, f"{kind}-{nino}", **said)


def seen(records: list[Outgoing], key: str) -> list[Any]:
    """What the records show under a key: a view, or None for its end."""
    views = [out for out in records if out.topic.startswith("view.") and out.key == key.encode()]
    return [out.value for out in views]


def written(story: Story, topic: str) -> list[dict[str, Any]]:
    return [json.loads(out.value) for out in story.pipeline.written if out.topic == topic and out.value]


def test_a_number_whose_owner_is_known_is_not_taken_by_another() -> None:
    """I3: the victim has a National Insurance number already, so the false link is disputed, no more."""
    story = Story(ESTATES)
    birth = stated("uk.gov.civil.birth.v1", "urn:gov:gro:main", **BORN)
    story.tell([name(), linked(VICTIMS_NINO, "urn:gov:hmrc:main", TIME_MS), birth], NOW_MS)
    assert story.tell([linked(MINE, LEEDS, FALSE_MS)], LATER_MS) == []
    assert "exclusive-scheme" in str(
        [out.value for out in story.pipeline.written if out.topic == DISPUTES_TOPIC]
    )


def test_what_a_false_link_shares_is_in_the_log_under_whoever_stated_it_and_is_taken_back() -> None:
    """V4, V5: within its authority it does share; then the log names the event, and an unlink is owed."""
    story = Story(ESTATES)
    story.tell([name(), stated("uk.gov.civil.birth.v1", "urn:gov:gro:main", **BORN)], NOW_MS)
    shared = seen(story.tell([linked(MINE, LEEDS, FALSE_MS)], LATER_MS), f"nino:{MINE}")
    assert len(shared) == 1
    entry = written(story, DISCLOSURES_TOPIC)[-1]
    assert (entry["cause"]["source"], entry["fields"]) == (LEEDS, ["birth", "name"])
    after = story.tell([linked(MINE, "urn:gov:hmrc:main", LATER_MS, "unlink")], LATER_MS + 1_000)
    owed = [json.loads(out.value or b"") for out in after if out.topic == "obligations.hmrc"]
    assert [(each["key"], each["fields"]) for each in owed] == [(f"nino:{MINE}", ["birth"])]


def test_a_false_link_cannot_be_dated_before_an_unlink_to_count() -> None:
    """I2: a department chooses the time of its event, but only a later link undoes an unlink."""
    story = Story(ESTATES)
    story.tell([name(), stated("uk.gov.civil.birth.v1", "urn:gov:gro:main", **BORN)], NOW_MS)
    story.tell([linked(MINE, "urn:gov:hmrc:main", NOW_MS, "unlink")], LATER_MS)
    assert story.tell([linked(MINE, LEEDS, FALSE_MS)], LATER_MS) == []


def test_a_false_link_dated_before_the_true_one_is_believed_and_the_true_one_disputed() -> None:
    """I3: of links that exclude each other the earliest counts, and its time is its department's word."""
    story = Story(ESTATES)
    birth = stated("uk.gov.civil.birth.v1", "urn:gov:gro:main", **BORN)
    story.tell([name(), linked(VICTIMS_NINO, "urn:gov:hmrc:main", FALSE_MS), birth], NOW_MS)
    out = story.tell([linked(MINE, LEEDS, TIME_MS)], LATER_MS)
    assert seen(out, f"nino:{VICTIMS_NINO}") == [None]
    assert len(seen(out, f"nino:{MINE}")) == 1
    disputed = [out.value for out in story.pipeline.written if out.topic == DISPUTES_TOPIC]
    assert VICTIMS_NINO in str(disputed[-1])


def test_protection_reaches_through_a_disputed_link_to_whoever_stated_it() -> None:
    """C3: better one too many than one too few; so whoever may link can find out, and leaves a dispute."""
    story = Story(ESTATES)
    protected = {"subject": f"nhs:{VICTIMS_NHS}", "state": "RESTRICTED"}
    restriction = stated("uk.gov.protection.restriction.v1", "urn:gov:home-office:main", **protected)
    story.tell([name(), linked(VICTIMS_NINO, "urn:gov:hmrc:main", TIME_MS), restriction], NOW_MS)
    assert seen(story.tell([linked(MINE, LEEDS, FALSE_MS)], LATER_MS), f"nino:{MINE}") == [None]
    assert [out for out in story.pipeline.written if out.topic == DISPUTES_TOPIC] != []
