"""The record stage by itself: what it answers for when persons and agreements change (V2, V4)."""

from __future__ import annotations

from dataclasses import replace

from processors.messages import (
    Released,
)
from tests.record_kit import (
    ADDRESS,
    CAUSE,
    ESTATES,
    NAME,
    NHS,
    NINO,
    OTHER_NINO,
    POLICE,
    P,
    Q,
    departed,
    fragment,
    released,
    town,
)


def test_what_came_from_an_identifier_that_leaves_is_owed_and_the_rest_stays() -> None:
    """V4: a wrong match unwinds."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME), fragment(P, NHS, NINO, NHS, birth="2000-01-01"))
    leeds.tell(P, departed(P, NHS, Q, merged=False))
    assert leeds.owed() == {NINO: ["birth"]}
    assert leeds.views() == [(NINO, True)]


def test_what_half_a_record_dropped_of_it_is_owed_though_a_view_stands_at_once() -> None:
    """V4: the last to hear of a separation is the record that is whole again by it."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME), fragment(P, NHS, NINO, NHS, birth="2000-01-01"))
    leeds.tell(P, fragment(P, NHS, NINO, NHS), fragment(P, NINO, name=NAME))
    assert leeds.owed() == {}
    leeds.tell(P, departed(P, NHS, Q, merged=False))
    assert leeds.owed() == {NINO: ["birth"]}


def test_when_the_key_itself_leaves_all_that_stood_under_it_is_owed() -> None:
    """V2, V4: what is under somebody else's number was about somebody else."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, NINO, NHS), fragment(P, NHS, NINO, NHS, name=NAME))
    leeds.tell(P, departed(P, NINO, Q, merged=False))
    assert leeds.views() == [(NINO, False)]
    assert leeds.header("postroom_reason") == ["corrected"]
    assert leeds.owed() == {NINO: ["name"]}


def test_a_merge_retracts_and_the_new_record_says_which_key_it_supersedes() -> None:
    """V2: corrected here, superseded there; nothing is owed, because nothing is denied."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(P, fragment(P, NINO, name=NAME))
    ((old, _),) = leeds.views()
    leeds.tell(P, departed(P, NINO, Q, merged=True))
    assert leeds.views() == [(old, False)]
    assert leeds.header("postroom_reason") == ["corrected"]
    assert leeds.owed() == {}
    leeds.deliver(Q)
    leeds.tell(Q, fragment(Q, NHS, NINO, NHS), fragment(Q, NINO, NINO, NHS, move=1, name=NAME))
    assert leeds.header("postroom_supersedes") == [old]


def test_a_superseded_key_is_named_once_though_every_member_brings_it() -> None:
    """V2: the first new view names it, not each that follows."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(P, fragment(P, NINO, NINO, NHS, name=NAME), fragment(P, NHS, NINO, NHS))
    both = [m for i in (NINO, NHS) for m in released(leeds.tell(P, departed(P, i, Q, merged=True)))]
    leeds.tell(Q, both[0], *(fragment(Q, i, NINO, NHS, move=1, name=NAME) for i in (NINO, NHS)))
    assert len(leeds.header("postroom_supersedes")) == 1
    leeds.tell(Q, both[1], fragment(Q, NINO, NINO, NHS, move=1, name={**NAME, "given": "Eva"}))
    assert leeds.header("postroom_supersedes") == []


def test_what_merged_in_is_owed_when_the_new_person_is_denied_it() -> None:
    """V4: the new record answers for the old key."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(P, fragment(P, NINO, name=NAME))
    ((old, _),) = leeds.views()
    leeds.tell(P, departed(P, NINO, Q, merged=True))
    leeds.deliver(Q)
    leeds.tell(
        Q, fragment(Q, NHS, NINO, NHS, restricted=True), fragment(Q, NINO, NINO, NHS, move=1, name=NAME)
    )
    assert leeds.owed() == {old: ["name"]}


def test_what_merged_in_is_owed_when_the_persons_come_apart_before_a_view_stood() -> None:
    """V4."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(P, fragment(P, NINO, name=NAME))
    ((old, _),) = leeds.views()
    leeds.tell(P, departed(P, NINO, Q, merged=True))
    leeds.deliver(Q)
    leeds.tell(Q, fragment(Q, NINO, NINO, NHS, move=1, name=NAME))
    leeds.tell(Q, departed(Q, NINO, P, merged=False, move=2))
    assert leeds.owed() == {old: ["name"]}


def test_a_departure_before_its_keys_came_carries_on_what_was_delivered() -> None:
    """V2, V4: through any chain of merges, whatever arrives first."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(Q, fragment(Q, NINO, move=1, name=NAME))
    ((second, _),) = leeds.views()
    leeds.tell(Q, departed(Q, NINO, "p-3", merged=True, move=2))
    assert leeds.views() == [(second, False)]
    assert released(leeds.out) == []
    leeds.tell(Q, Released(Q, NINO, 1, {}, {}, CAUSE))
    leeds.deliver("p-3")
    leeds.tell("p-3", fragment("p-3", NINO, move=2, name=NAME))
    assert leeds.header("postroom_supersedes") == [second]


def test_a_key_that_is_an_identifier_begins_only_when_it_was_released_and_goes_on_counting() -> None:
    """V2: two records never write one key."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    leeds.tell(P, departed(P, NINO, Q, merged=True))
    (handed,) = released(leeds.out)
    leeds.tell(Q, fragment(Q, NINO, move=1, name=NAME))
    assert leeds.views() == []
    leeds.tell(Q, handed)
    assert leeds.views() == [(NINO, True)]
    assert leeds.header("postroom_sequence") == ["3"]


def test_a_superseded_number_gives_its_place_to_the_new_one() -> None:
    """V2, C8: the view moves to the live identifier and names the old key."""
    leeds = town(ESTATES)
    leeds.tell(P, fragment(P, NINO, name=NAME))
    both = (NINO, OTHER_NINO)
    superseded = {"superseded": (NINO,)}
    leeds.tell(P, fragment(P, NINO, *both, name=NAME, **superseded), fragment(P, OTHER_NINO, *both))
    assert leeds.views() == [(NINO, False), (OTHER_NINO, True)]
    assert leeds.header("postroom_supersedes") == [NINO]
    assert leeds.owed() == {}


def test_another_subject_owes_what_stood_under_the_old_keys() -> None:
    """V4: no view may say that it stands for a key of another kind, so the old copies are to go."""
    leeds = town(replace(ESTATES, subject="pairwise"))
    leeds.tell(P, fragment(P, NINO, name=NAME))
    ((old, _),) = leeds.views()
    leeds.agreements = {ESTATES.agreement: replace(ESTATES, version=2)}
    leeds.tell(P)
    assert leeds.views() == [(old, False), (NINO, True)]
    assert leeds.owed() == {old: ["name"]}
    assert leeds.header("postroom_supersedes") == []


def test_fields_that_an_agreement_no_longer_names_are_owed() -> None:
    """V4, C7: the attribute is permitted still, a part of it is not."""
    wide = replace(POLICE, version=1)
    leeds = town(wide)
    leeds.tell(P, fragment(P, NHS, address=ADDRESS))
    grants = tuple(
        replace(g, fields=("authority",)) if g.attribute == "address" else g for g in POLICE.attributes
    )
    leeds.agreements = {POLICE.agreement: replace(POLICE, version=2, attributes=grants)}
    leeds.tell(P)
    assert leeds.views() == [(NHS, True)]
    assert leeds.owed() == {NHS: ["address.lines", "address.postcode"]}
    assert leeds.tell(P) == []


def test_an_attribute_that_an_agreement_no_longer_names_is_owed() -> None:
    """V4, V9."""
    leeds = town(POLICE)
    leeds.tell(P, fragment(P, NHS, name=NAME, address=ADDRESS))
    grants = tuple(g for g in POLICE.attributes if g.attribute != "address")
    leeds.agreements = {POLICE.agreement: replace(POLICE, version=2, attributes=grants)}
    leeds.tell(P)
    assert leeds.owed() == {NHS: ["address"]}


def test_an_agreement_that_is_gone_retracts_its_views_and_owes_all_of_them() -> None:
    """V4, V9: and it is told to whoever the subscriber was."""
    leeds = town(POLICE)
    leeds.tell(P, fragment(P, NHS, name=NAME))
    leeds.agreements = {}
    leeds.tell(P)
    assert leeds.views() == [(NHS, False)]
    assert leeds.owed() == {NHS: ["name"]}
    assert [o.topic for o in leeds.out if o.topic.startswith("obligations.")] == ["obligations.police"]
