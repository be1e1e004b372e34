"""The record stage by itself: what it writes of one person, whole or half known, and within which bounds."""

from __future__ import annotations

import json
from dataclasses import replace

from processors.messages import (
    DISCLOSURES_TOPIC,
    Entry,
    Released,
    register_key,
)
from tests.record_kit import (
    ADDRESS,
    AGREEMENTS,
    CAUSE,
    ESTATES,
    HOUSING,
    NAME,
    NHS,
    NINO,
    NOW,
    POLICE,
    P,
    consent,
    entry,
    fragment,
    replace_registers,
    town,
)


def test_a_first_view_is_written_with_its_headers_and_one_disclosure() -> None:
    """V1, V3, V5."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    assert leeds.views() == [(NINO, True)]
    assert leeds.header("postroom_sequence") == ["1"]
    assert leeds.header("postroom_agreement") == ["hmrc-estates@1"]
    assert leeds.header("ce_type") == ["uk.gov.postroom.view-updated.v1"]
    assert leeds.header("traceparent") == ["00-trace"]
    (log,) = [json.loads(o.value or b"") for o in leeds.out if o.topic == DISCLOSURES_TOPIC]
    assert (log["person"], log["fields"], log["sequence"]) == (P, ["name"], 1)


def test_what_changes_nothing_writes_nothing() -> None:
    """V1: a view record is written when the view's content changes, and only then."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    assert leeds.tell(P, fragment(P, NINO, name=NAME)) == []
    assert leeds.tell(P, fragment(P, NINO, name=NAME, address=ADDRESS)) == []
    leeds.tell(P, fragment(P, NINO, name={**NAME, "given": "Eva"}))
    assert leeds.header("postroom_sequence") == ["2"]


def test_a_withdrawal_retracts_the_view_and_owes_its_values_in_one_step() -> None:
    """V2, V4: a tombstone that does not say why, and an obligation."""
    leeds = town(HOUSING)
    granted, withdrawn = consent("GRANTED", NOW - 9), consent("WITHDRAWN", NOW - 5)
    leeds.tell(P, fragment(P, NINO, address=ADDRESS, consents=(granted,)))
    ((key, is_view),) = leeds.views()
    assert is_view
    leeds.tell(P, fragment(P, NINO, address=ADDRESS, consents=(granted, withdrawn)))
    assert leeds.views() == [(key, False)]
    assert leeds.header("postroom_reason") == ["ended"]
    assert leeds.owed() == {key: ["address"]}


def test_an_older_move_is_ignored() -> None:
    """I6: the record keeps the highest move."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, move=2, name=NAME), Released(P, NINO, 2, {}, {}, CAUSE))
    assert leeds.tell(P, fragment(P, NINO, move=1, name={**NAME, "given": "Old"})) == []


def test_time_alone_ends_a_view_at_the_moment_that_the_state_names() -> None:
    """V8: the next wake is the earliest moment that can change a decision."""
    leeds = town(ESTATES)
    until = NOW + 50
    ending = (Entry(1, 1, "urn:gov:gro:main", "e1", until, NOW * 2, b'"2020-01-01"'),)
    leeds.tell(P, replace_registers(fragment(P, NINO), {register_key("birth", "gro", ""): ending}))
    assert leeds.views() == [(NINO, True)]
    assert leeds.tell(P, now_ms=until - 1) == []
    leeds.tell(P, now_ms=until)
    assert leeds.views() == [(NINO, False)]


def test_a_moment_that_has_passed_counts_though_its_wake_has_not_come() -> None:
    """V8: a message about something else must not push the moment away."""
    leeds = town(ESTATES)
    until = NOW + 50
    ending = (Entry(1, 1, "urn:gov:gro:main", "e1", until, NOW * 2, b'"2020-01-01"'),)
    leeds.tell(P, replace_registers(fragment(P, NINO), {register_key("birth", "gro", ""): ending}))
    other = replace_registers(fragment(P, NINO), {register_key("address", "gro", ""): entry(ADDRESS)})
    other.whole = False
    leeds.tell(P, other, now_ms=until)
    assert leeds.views() == [(NINO, False)]


def test_a_view_of_the_deceased_begins_with_the_death_and_ends_when_the_death_was_none() -> None:
    """C5, V4: as for any scope that ends; what was sent is owed, though the death itself was never shown."""
    leeds = town(AGREEMENTS["hmcts-probate"])
    death = fragment(P, NINO)
    death.whole = False
    assert leeds.tell(P, fragment(P, NINO, name=NAME)) == []
    leeds.tell(P, replace_registers(death, {register_key("death", "gro", ""): entry("2026-01-01")}))
    assert leeds.views() == [(NINO, True)]
    leeds.tell(P, replace_registers(death, {register_key("death", "gro", ""): ()}))
    assert leeds.views() == [(NINO, False)]
    assert leeds.header("postroom_reason") == ["ended"]
    assert leeds.owed() == {NINO: ["name"]}


def test_no_view_begins_until_all_members_are_present() -> None:
    """I6."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME))
    assert leeds.views() == []
    leeds.tell(P, fragment(P, NHS, NINO, NHS))
    assert leeds.views() == [(NINO, True)]


def test_a_view_that_is_out_keeps_what_is_unchanged_while_a_member_travels() -> None:
    """I6: nothing is taken away because messages travel, nothing granted on half of what was said."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME, birth="2000-01-01"))
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME, birth="2001-01-01"))
    assert leeds.views() == [(NINO, True)]
    assert set(leeds.state(P).sent["hmrc-estates"].content) == {"name"}


def test_what_half_a_record_dropped_is_owed_when_the_whole_denies_it() -> None:
    """V4, I6: nobody could judge it then; somebody must now."""
    leeds = town(replace(POLICE, sees_restricted=False))
    leeds.tell(P, fragment(P, NHS, name=NAME, address=ADDRESS))
    leeds.tell(P, fragment(P, NHS, NINO, NHS, name=NAME))
    assert leeds.owed() == {}
    leeds.tell(P, fragment(P, NINO, NINO, NHS, restricted=True))
    assert leeds.views() == [(NHS, False)]
    assert leeds.owed() == {NHS: ["address", "name"]}


def test_what_half_a_record_dropped_is_in_order_when_the_whole_shows_it_again() -> None:
    """V4: a value that travelled and came is owed by nobody, then or later."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME, birth="2000-01-01"))
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME))
    leeds.tell(P, fragment(P, NHS, NINO, NHS, birth="2000-01-01"))
    assert leeds.owed() == {}
    assert leeds.state(P).dropped == {}


def test_nothing_is_shared_of_a_person_of_whom_more_was_taken_away_than_is_known() -> None:
    """R8, C6: whatever the basis, although half the record is missing; what was sent is owed (V4)."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    assert leeds.views() == [(NINO, True)]
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME, overfull=True))
    assert leeds.views() == [(NINO, False)]
    assert leeds.owed() == {NINO: ["name"]}
    assert leeds.tell(P, fragment(P, NINO, name=NAME, overfull=True)) == []


def test_a_long_value_is_remembered_by_its_digest_and_written_in_full() -> None:
    """R8, V1: enough to tell a change from a repetition, so that one state has room for all agreements."""
    long = {**NAME, "given": "A" * 10_000}
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=long))
    (written,) = [out.value or b"" for out in leeds.out if out.topic.startswith("view.")]
    assert len(written) > 10_000
    assert len(leeds.state(P).sent["hmrc-estates"].content["name"]) < 100
    assert leeds.tell(P, fragment(P, NINO, name=long)) == []
    leeds.tell(P, fragment(P, NINO, name={**long, "family": "B"}))
    assert leeds.views() == [(NINO, True)]


def test_half_a_record_keeps_a_long_value_that_is_still_the_same() -> None:
    """R8, I6: by its digest; one that changed meanwhile is not shown."""
    long = {**NAME, "given": "A" * 10_000}
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=long))
    assert leeds.tell(P, fragment(P, NINO, NINO, NHS, name=long)) == []
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name={**long, "given": "B" * 10_000}))
    assert leeds.views() == [(NINO, False)]


def test_fields_of_a_long_value_that_an_agreement_no_longer_names_are_owed() -> None:
    """V4, R8: the digest knows which fields were not null."""
    long = {"lines": ["1 Row " + "w" * 5_000], "postcode": None, "authority": "leeds"}
    leeds = town(POLICE)
    leeds.tell(P, fragment(P, NHS, address=long))
    grants = tuple(
        replace(g, fields=("authority",)) if g.attribute == "address" else g for g in POLICE.attributes
    )
    leeds.agreements = {POLICE.agreement: replace(POLICE, version=POLICE.version + 1, attributes=grants)}
    leeds.tell(P)
    assert list(leeds.owed().values()) == [["address.lines"]]
