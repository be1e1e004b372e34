"""What a subscriber could work out, and must not: why a view ended, whose two keys are, where a person went.

Each story runs through the real stages; all that leaves for subscribers is compared byte by byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from processors.intake import Intake
from processors.messages import ASSERTIONS_TOPIC, DISCLOSURES_TOPIC, Said, encode
from processors.replay import Pipeline
from processors.rules import Keys, Rules
from processors.stage import Outgoing
from schemas import Agreement, load_agreements
from tests.event_kit import CONTRACTS, NOW_MS, TIME_MS, Event, event, line
from tests.nasty.generate import CASES

AGREEMENTS = load_agreements(CASES / "agreements", CONTRACTS)
HOUSING, CARERS, ESTATES = (AGREEMENTS[name] for name in ("leeds-housing", "leeds-carers", "hmrc-estates"))
NINO, NHS = "AB123456C", "9912003888"
CITIZEN = f"nino:{NINO}"
HUB = "urn:gov:consent-hub:web"
LATER_MS = NOW_MS + 60_000
BORN = {"nhs_number": NHS, "date_of_birth": "2000-01-01", "register_office": "Leeds"}


class Story:
    """Events of one citizen, and what left for subscribers meanwhile."""

    def __init__(self, *agreements: Agreement) -> None:
        rules = Rules(CONTRACTS, {each.agreement: each for each in agreements}, Keys(b"secret"))
        self.pipeline, self.intake = Pipeline(rules), Intake(rules)

    def tell(self, events: Iterable[Event], now_ms: int) -> list[Outgoing]:
        """What subscribers receive because of these events."""
        before = len(self.pipeline.written)
        for each in events:
            said = self.intake.accept_json(line(each), now_ms)
            assert isinstance(said, Said), said
            self.pipeline.send([Outgoing(ASSERTIONS_TOPIC, said.subject.encode(), encode(said))])
            self.pipeline.run(now_ms)
        return received(self.pipeline.written[before:])

    def pass_time(self, now_ms: int) -> list[Outgoing]:
        """What subscribers receive because it is later."""
        before = len(self.pipeline.written)
        self.pipeline.wake(now_ms)
        return received(self.pipeline.written[before:])


def received(written: Iterable[Outgoing]) -> list[Outgoing]:
    """What lies on topics that subscribers read."""
    return [out for out in written if out.topic.startswith(("view.", "obligations."))]


def stated(type_: str, source: str, time_ms: int = TIME_MS, id_: str = "", **data: Any) -> Event:
    return event(type_, source, time_ms, **data) | {"id": id_ or f"{type_}-{time_ms}"}


def address() -> Event:
    home = {"lines": ["1 Row"], "postcode": "LS1 1AA", "authority": "leeds"}
    return stated(
        "uk.gov.benefits.address.v1", "urn:gov:dwp:main", nino=NINO, address=home, since="2020-01-01"
    )


def name() -> Event:
    said = {"given": "Ada", "family": "Specimen"}
    return stated("uk.gov.civil.name.v1", "urn:gov:gro:main", nino=NINO, name=said, since="2020-01-01")


def registration(practice: str | None = None, time_ms: int = TIME_MS) -> Event:
    said = {"nhs_number": NHS, "nino": NINO, "practice": practice}
    return stated("uk.gov.health.registration.v1", "urn:gov:nhs:main", time_ms, **said)


def decided(state: str, time_ms: int = TIME_MS, **more: Any) -> Event:
    said = {"subject": CITIZEN, "subscriber": "council-leeds", "categories": [], "state": state} | more
    return stated("uk.gov.consent.decision.v1", HUB, time_ms, f"{said['purpose']}-{state}-{time_ms}", **said)


def restricted(state: str, time_ms: int) -> Event:
    source = "urn:gov:home-office:main"
    return stated("uk.gov.protection.restriction.v1", source, time_ms, subject=CITIZEN, state=state)


def objected(state: str, time_ms: int) -> Event:
    said = {"subject": CITIZEN, "subscriber": "*", "purpose": "*", "state": state}
    return stated("uk.gov.consent.objection.v1", HUB, time_ms, **said)


def housed() -> list[Event]:
    """Why Leeds sees the citizen: a value, a number that death is registered under, a consent."""
    return [registration(), address(), decided("GRANTED", purpose="housing-support")]


ENDINGS = {
    "restricted": [restricted("RESTRICTED", NOW_MS)],
    "objected": [objected("OBJECTED", NOW_MS)],
    "withdrawn": [decided("WITHDRAWN", NOW_MS, purpose="housing-support")],
    "paused": [decided("PAUSED", NOW_MS, purpose="housing-support")],
    "deceased": [stated("uk.gov.civil.death.v1", "urn:gov:gro:main", nhs_number=NHS, died_on="2026-04-01")],
}


def shown(records: Iterable[Outgoing]) -> list[tuple[Any, ...]]:
    """All of the records but the hash of their cause, which is only shown to be one."""
    found = []
    for out in records:
        headers = dict(out.headers)
        assert re.fullmatch(rb"[0-9a-f]{32}", headers.pop("postroom_cause", b"0" * 32))
        found.append((out.topic, out.key, out.value, sorted(headers.items())))
    return found


@pytest.mark.parametrize("ending", ENDINGS)
def test_why_a_view_ended_is_not_in_what_the_subscriber_receives(ending: str) -> None:
    """V2, C6: protected, objected, dead, withdrawn or paused: the same tombstone, the same obligation."""
    story, other = Story(HOUSING), Story(HOUSING)
    assert shown(story.tell(housed(), NOW_MS)) == shown(other.tell(housed(), NOW_MS)) != []
    ended = shown(story.tell(ENDINGS[ending], LATER_MS))
    assert [topic for topic, *_ in ended] == ["obligations.council-leeds", "view.leeds-housing"]
    assert ended == shown(other.tell(ENDINGS["objected"], LATER_MS))


def test_how_long_it_ended_for_does_not_say_why_either() -> None:
    """V2, V3: after the protection is lifted the view comes back as after a lifted objection, as the next."""
    back = []
    for ended, lifted in (
        (restricted("RESTRICTED", NOW_MS), restricted("LIFTED", LATER_MS)),
        (objected("OBJECTED", NOW_MS), objected("LIFTED", LATER_MS)),
    ):
        story = Story(HOUSING)
        story.tell([*housed(), ended], LATER_MS)
        back.append(shown(story.tell([lifted], LATER_MS + 1_000)))
    assert back[0] == back[1]
    assert dict(back[0][0][3])["postroom_sequence"] == b"3"


def test_somebody_protected_before_anything_was_shared_leaves_no_trace() -> None:
    """C6: a citizen who may not be seen looks like one of whom nothing is known: nothing is written."""
    story = Story(HOUSING, ESTATES)
    assert story.tell([restricted("RESTRICTED", TIME_MS), *housed(), name()], NOW_MS) == []


def causes(records: Iterable[Outgoing]) -> list[bytes]:
    return [dict(out.headers)["postroom_cause"] for out in records if out.topic.startswith("view.")]


def test_one_event_in_two_agreements_does_not_tell_that_two_keys_are_one_person() -> None:
    """C8, V3: Leeds holds two agreements that share no keys, and must not join them by an equal cause."""
    story = Story(HOUSING, CARERS)
    story.tell([decided("GRANTED", purpose="carers"), *housed()], NOW_MS)
    special = [
        decided("GRANTED", TIME_MS + 1, purpose=purpose, categories=["health"])
        for purpose in ("carers", "housing-support")
    ]
    changed = story.tell([*special, registration("A81001", TIME_MS + 2)], NOW_MS)
    views = [out for out in changed if out.topic.startswith("view.")]
    assert {out.topic for out in views} == {"view.leeds-housing", "view.leeds-carers"}
    assert len({out.key for out in views}) == 2
    assert len(set(causes(views))) == len(views)


def test_keys_of_two_agreements_of_one_subscriber_have_nothing_in_common_but_by_a_group() -> None:
    """C8: each has a key of its own; one subscriber's two are as strange to each other as two owners'."""
    keys = Keys(b"secret")
    same = [replace(HOUSING, agreement=name, pairwise_group=None) for name in ("one", "two")]
    other = replace(same[0], subscriber="council-york")
    assert len({keys.pairwise(each) for each in (*same, other)}) == 3
    grouped = [replace(each, pairwise_group="social") for each in same]
    assert len({keys.pairwise(each) for each in grouped}) == 1
    assert keys.pairwise(replace(other, pairwise_group="social")) != keys.pairwise(grouped[0])


def test_the_cause_does_not_say_where_a_person_went_after_a_wrong_match() -> None:
    """V2: no successor, so what an unlink takes from one key and gives to another has no hash in common."""
    agreement = replace(ESTATES, subject="pairwise")
    story = Story(agreement)
    link = {"nino": NINO, "other": f"nhs:{NHS}", "evidence": None}
    birth = stated("uk.gov.civil.birth.v1", "urn:gov:gro:main", **BORN)
    story.tell([name(), stated("uk.gov.identity.link.v1", "urn:gov:hmrc:main", **link), birth], NOW_MS)
    unlink = stated("uk.gov.identity.unlink.v1", "urn:gov:hmrc:main", NOW_MS, **link)
    moved = [out for out in story.tell([unlink], LATER_MS) if out.topic.startswith("view.")]
    assert len({out.key for out in moved}) == 2
    assert len(set(causes(moved))) == len(moved)


def test_a_change_that_time_made_does_not_look_like_one() -> None:
    """V2, V8: an equal hash for whatever no event caused would tell expiry from protection."""
    story = Story(HOUSING)
    story.tell([registration(), address()], NOW_MS)
    for number in range(2):
        until = f"2026-06-{number + 1:02d}"
        story.tell(
            [decided("GRANTED", TIME_MS + number, purpose="housing-support", valid_until=until)], NOW_MS
        )
    ended = story.pass_time(NOW_MS + 3 * 86_400_000)
    story.tell([decided("GRANTED", NOW_MS, purpose="housing-support", valid_until="2026-06-05")], LATER_MS)
    again = story.pass_time(NOW_MS + 9 * 86_400_000)
    assert len(causes(ended)) == len(causes(again)) == 1
    assert causes(ended) != causes(again)


def test_the_disclosure_log_resolves_the_cause_of_every_record() -> None:
    """V3, V5: what means nothing to a subscriber names the event to an auditor."""
    story = Story(HOUSING)
    views = story.tell([*housed(), *ENDINGS["restricted"]], LATER_MS)
    entries = [json.loads(o.value or b"") for o in story.pipeline.written if o.topic == DISCLOSURES_TOPIC]
    assert [entry["cause"]["hash"].encode() for entry in entries] == causes(views)
    assert entries[-1]["cause"]["source"] == "urn:gov:home-office:main"
