"""Identity: what is asked of persons, what waits, and how a fragment moves (I6)."""

from __future__ import annotations

from typing import Any

import pytest

from processors.messages import (
    Claims,
    Consent,
    Departed,
    Enrolment,
    Fragment,
    Objection,
    Restriction,
)
from processors.stage import Record
from tests.identity_kit import (
    ALONE,
    NHS,
    NINO,
    OTHER,
    SOURCE,
    UTR,
    Identifier,
    claims_about,
    named,
    only,
    paired,
    said,
    told,
    values_of,
)

NAMED = (1_000, SOURCE, "s")


def consent(state: Any, id_: str = "s") -> Consent:
    """One decision about everything of one purpose."""
    return Consent(1_000, SOURCE, id_, "dvla", "renewals", (), state)


TAKES_AWAY: dict[str, Any] = {
    "withdrawn": {"consent": consent("WITHDRAWN")},
    "paused": {"consent": consent("PAUSED")},
    "objected": {"objection": Objection(*NAMED, "*", "*", "OBJECTED")},
    "restricted": {"restriction": Restriction(*NAMED, "police", "RESTRICTED")},
    "ended": {"enrolment": Enrolment(*NAMED, "hmrc", "estates", "ENDED")},
}
GRANTS: dict[str, Any] = {
    "granted": {"consent": consent("GRANTED")},
    "objection lifted": {"objection": Objection(*NAMED, "*", "*", "LIFTED")},
    "enrolled": {"enrolment": Enrolment(*NAMED, "hmrc", "estates", "ENROLLED")},
    "a value": {"values": (("name", b"x"),)},
}


# What goes to the record of a person who is nobody else.


def test_an_identifier_that_nobody_linked_is_a_person_by_itself():
    """I3, I4: its fragment goes whole to the record that its own value names."""
    fragment = only(Identifier().step(named("e")), Fragment)
    assert (fragment.person, fragment.identifier, fragment.members) == (ALONE, NINO, (NINO,))
    assert (fragment.move, fragment.whole) == (0, True)
    assert not fragment.restricted
    assert values_of(fragment) == {"name": ["e"]}
    assert (fragment.consents, fragment.objections, fragment.enrolments) == ((), (), ())
    assert fragment.cause.id == "e"


def test_afterwards_only_what_changed_is_sent():
    """§7: identity sends a fragment's changes."""
    one = Identifier(named("e"), said("s", **TAKES_AWAY["objected"]))
    fragment = only(one.step(said("f", values=(("birth", b"1990"),))), Fragment)
    assert not fragment.whole
    assert values_of(fragment) == {"birth": ["1990"]}
    assert (fragment.consents, fragment.objections, fragment.enrolments) == (None, None, None)


def test_the_same_event_again_changes_nothing():
    """E1, R6: whatever it says; and what changes nothing is not sent."""
    sections = {k: v for each in (*TAKES_AWAY.values(), GRANTS["a value"]) for k, v in each.items()}
    everything = said("e", **sections, pairs=(("link", NHS),), annuls="d")
    one = Identifier(everything, told(1, NHS, restricted=True))
    before = one.body
    assert one.step(everything) == []
    assert one.body == before


def test_events_of_one_batch_go_out_together():
    """V7: one fragment for a step, under the name of the last event."""
    fragment = only(Identifier().step(named("e"), said("f", values=(("birth", b"1990"),))), Fragment)
    assert values_of(fragment) == {"birth": ["1990"], "name": ["e"]}
    assert fragment.cause.id == "f"


def test_nothing_is_sent_of_an_identifier_that_says_nothing():
    """§7: an event may be all notes; then no record need know."""
    assert Identifier().step(said("e")) == []


# What is asked of persons (I2, §7).


@pytest.mark.parametrize("kind", ["link", "unlink", "same-person", "superseded-by"])
def test_a_new_statement_about_a_pair_is_asked(kind: str):
    """§7: the question is numbered, so that its answer is known when it comes."""
    claims = only(Identifier().step(paired("e", kind)), Claims)
    assert claims == Claims(NINO, 1, claims_about(NHS, (1_000, "e", kind)), False, claims.cause)
    assert claims.cause.id == "e"


def test_all_that_one_step_says_is_one_question():
    """§7: of each pair everything that shows."""
    claims = only(Identifier().step(paired("e"), paired("f", "link"), paired("g", other=UTR)), Claims)
    assert claims.asked == 1
    both = claims_about(NHS, (1_000, "e", "same-person"), (1_000, "f", "link"))
    assert claims.pairs == both | claims_about(UTR, (1_000, "g", "same-person"))


def test_the_hundredth_repetition_of_a_known_pair_is_not_asked():
    """§7: and so what it says beside does not wait for anything."""
    one = Identifier(paired("e"), told(1, NHS))
    for number in range(100):
        again = named(f"n{number}", pairs=(("same-person", NHS),), time=2_000 + number)
        assert values_of(only(one.step(again), Fragment)) == {"name": [f"n{number}"]}
    assert one.state.asked == 1


def test_an_earlier_statement_and_every_link_are_asked():
    """§7: what changes the earliest statement about a pair; every link; with a new number."""
    one = Identifier(paired("e", time=2_000), told(1, NHS))
    earlier = only(one.step(paired("d")), Claims)
    assert (earlier.asked, earlier.pairs) == (2, claims_about(NHS, (1_000, "d", "same-person")))
    first, second = (only(one.step(paired(id_, "link", time=3_000)), Claims) for id_ in "lm")
    assert (first.asked, second.asked) == (3, 4)
    assert len(second.pairs[NHS]) == 3


def test_once_an_unlink_is_known_every_repetition_is_told():
    """§7, I2: after it only what a later link brought back counts, and that need not be the earliest."""
    one = Identifier(paired("e"), told(1, NHS), paired("f", time=2_000))
    repeated = (1_000, "e", "same-person"), (2_000, "f", "same-person")
    asked = only(one.step(told(1, NHS, contested=(NHS,))), Claims)
    assert (asked.asked, asked.pairs) == (2, claims_about(NHS, *repeated))
    again = only(one.step(paired("g", time=3_000)), Claims)
    assert again.pairs == claims_about(NHS, *repeated, (3_000, "g", "same-person"))


def test_an_unlink_of_which_persons_need_hear_nothing_more_asks_nothing():
    """§7: where this side had told all it said."""
    one = Identifier(paired("e"), told(1, NHS))
    assert one.step(told(1, NHS, contested=(NHS,))) == []
    assert one.state.asked == 1


# What waits for the answer, and what does not (I6).


@pytest.mark.parametrize("granted", GRANTS.values(), ids=GRANTS)
def test_what_an_event_grants_beside_a_new_pair_waits_until_persons_has_answered(granted: Any):
    """I6: nothing is disclosed before a link is judged; then it goes to the person that was answered."""
    one = Identifier()
    only(one.step(said("e", pairs=(("link", NHS),), **granted)), Claims)
    fragment = only(one.step(told(1, NHS)), Fragment)
    assert (fragment.person, fragment.members, fragment.whole) == (OTHER, (NHS, NINO), True)
    assert any((fragment.registers, fragment.consents, fragment.objections, fragment.enrolments))
    assert one.state.held == []


@pytest.mark.parametrize("granted", GRANTS.values(), ids=GRANTS)
def test_what_later_events_grant_waits_behind_an_open_question_too(granted: Any):
    """I6, ADR 0005: or it were seen under a person that no prefix of what was said gives."""
    one = Identifier(paired("e"))
    assert one.step(said("f", time=2_000, **granted)) == []
    assert one.step(said("f", time=2_000, **granted)) == []  # again, and it does not wait twice
    assert [held.said.cause.id for held in one.state.held] == ["f"]
    fragment = only(one.step(told(1, NHS)), Fragment)
    assert any((fragment.registers, fragment.consents, fragment.objections, fragment.enrolments))


def test_what_comes_before_the_question_in_a_batch_does_not_wait():
    """I6: only what was said with it and after it."""
    claims, fragment = Identifier().step(named("e"), paired("f"), said("g", values=(("birth", b"1990"),)))
    assert isinstance(claims, Claims)
    assert isinstance(fragment, Fragment)
    assert values_of(fragment) == {"name": ["e"]}


def test_the_answer_to_an_earlier_question_releases_only_what_waited_for_that():
    """I6: each waits for its own number, and an older answer that comes late takes none back."""
    granting = said("f", pairs=(("link", UTR),), **GRANTS["granted"])
    one = Identifier(named("e", pairs=(("link", NHS),)), granting)
    assert values_of(only(one.step(told(1, NHS)), Fragment)) == {"name": ["e"]}
    assert [held.said.cause.id for held in one.state.held] == ["f"]
    assert only(one.step(told(2, NHS, UTR)), Fragment).consents == (consent("GRANTED"),)
    one.step(told(1, NHS, UTR))
    assert only(one.step(said("g", values=(("birth", b"1990"),))), Fragment)


def test_what_waits_goes_on_waiting_when_the_answer_brings_an_unlink_to_light():
    """I6: until persons knows what this side says of the pair, the pair is not judged."""
    one = Identifier(paired("e"), told(1, NHS), paired("f", time=2_000))
    one.step(named("g", pairs=(("link", UTR),)))
    asked = only(one.step(told(2, NHS, contested=(NHS,))), Claims)
    assert asked.asked == 3
    assert [held.said.cause.id for held in one.state.held] == ["g"]
    assert values_of(only(one.step(told(3, NHS, UTR)), Fragment)) == {"name": ["g"]}


@pytest.mark.parametrize("taken", TAKES_AWAY.values(), ids=TAKES_AWAY)
@pytest.mark.parametrize("beside", [(), (("link", UTR),)], ids=["", "beside a pair"])
def test_what_takes_away_goes_on_at_once(taken: Any, beside: Any):
    """I6: withdrawal, pause, objection, restriction and the end of an enrolment never wait."""
    one = Identifier(named("e"), paired("f"))
    found = [each for each in one.step(said("s", pairs=beside, **taken)) if isinstance(each, Fragment)]
    (fragment,) = found
    assert fragment.protective
    assert fragment.person == ALONE
    stated = (fragment.consents, fragment.objections, fragment.enrolments, fragment.restricted)
    assert sum(map(bool, stated)) == 1


def test_an_annulment_goes_on_at_once():
    """I6, R3: what was wrong does not stay out while persons thinks."""
    one = Identifier(named("e"), paired("f"))
    assert values_of(only(one.step(said("a", annuls="e")), Fragment)) == {"name": []}


def test_what_a_protective_event_grants_beside_waits():
    """I6: a withdrawal at once, and the value of the same event when the pair is judged."""
    one = Identifier()
    event = said("e", pairs=(("link", NHS),), values=(("name", b"x"),), **TAKES_AWAY["withdrawn"])
    claims, fragment = one.step(event)
    assert isinstance(claims, Claims)
    assert (fragment.consents, fragment.registers) == ((consent("WITHDRAWN"),), {})
    _, fragment = one.step(told(1, NHS))
    assert (fragment.person, values_of(fragment)) == (OTHER, {"name": ["x"]})


def test_only_what_takes_away_marks_a_fragment_as_protective():
    """V7: its latency is measured, that of a grant is not."""
    for granted in GRANTS.values():
        assert not only(Identifier().step(said("e", **granted)), Fragment).protective


# How a fragment moves (I6, V2).


def settled() -> Identifier:
    """A fragment of each section, in the record of its own person."""
    sections = {k: v for name in ("withdrawn", "objected", "ended") for k, v in TAKES_AWAY[name].items()}
    return Identifier(named("e"), said("s", **sections), paired("p"))


def test_when_the_person_changes_the_whole_fragment_leaves_the_one_and_enters_the_other():
    """I6: with the same move number, which rises, so that the record keeps the highest."""
    departed, fragment = settled().step(told(1, NHS, merged=True, cause=paired("p").cause))
    assert departed == Departed(ALONE, NINO, 1, OTHER, True, paired("p").cause)
    assert (fragment.person, fragment.move, fragment.whole) == (OTHER, 1, True)
    assert values_of(fragment) == {"name": ["e"]}
    assert fragment.consents == (consent("WITHDRAWN"),)
    assert len(fragment.objections) == len(fragment.enrolments) == 1


def test_it_moves_back_in_the_same_way():
    """I6, V2: the numbers go on; whether it was a merge is what persons said."""
    one = settled()
    one.step(told(1, NHS))
    departed, fragment = one.step(told(1, merged=False))
    assert (departed.person, departed.successor, departed.move, departed.merged) == (OTHER, ALONE, 2, False)
    assert (fragment.person, fragment.members, fragment.move) == (ALONE, (NINO,), 2)


def test_other_members_of_the_same_person_are_told_without_a_move():
    """I6: every fragment names all members of its person."""
    one = settled()
    one.step(told(1, NHS))
    fragment = only(one.step(told(1, NHS, UTR)), Fragment)
    assert (fragment.members, fragment.move, fragment.whole) == (tuple(sorted((NHS, NINO, UTR))), 1, False)
    assert (fragment.registers, fragment.consents) == ({}, None)


@pytest.mark.parametrize(
    "change", [{"superseded": (NINO,)}, {"restricted": True}], ids=["superseded", "restricted"]
)
def test_what_persons_says_of_the_person_goes_on_to_the_record(change: dict[str, Any]):
    """C3, C8: and ends when persons says otherwise; said again it is not sent again."""
    one = settled()
    one.step(told(1, NHS))
    fragment = only(one.step(told(1, NHS, **change)), Fragment)
    assert {name: getattr(fragment, name) for name in change} == change
    assert one.step(told(1, NHS, **change)) == []
    back = only(one.step(told(1, NHS)), Fragment)
    assert (back.superseded, back.restricted) == ((), False)


def test_a_member_that_says_nothing_is_an_empty_fragment():
    """I6: the record is not complete without it; it was in no record before, so it departs from none."""
    fragment = only(Identifier().step(told(0, NHS)), Fragment)
    assert (fragment.person, fragment.members, fragment.move, fragment.whole) == (OTHER, (NHS, NINO), 0, True)
    assert (fragment.registers, fragment.consents) == ({}, ())


def test_a_member_that_says_nothing_leaves_again_and_is_alone_in_no_record():
    """I6, V2: but the keys that are this identifier go along from record to record each time."""
    one = Identifier(told(0, NHS))
    departed = only(one.step(told(0, merged=False)), Departed)
    assert (departed.person, departed.successor, departed.move) == (OTHER, ALONE, 1)
    back, fragment = one.step(told(0, NHS))
    assert (back.person, back.successor, back.move) == (ALONE, OTHER, 2)
    assert (fragment.person, fragment.move, fragment.whole) == (OTHER, 2, True)


def test_the_states_of_a_batch_are_loaded_at_once():
    """§7: by identifier, whatever is said of it; a record without a key is nobody's."""
    records = [Record("postroom.assertions", 0, 0, 0, key, b"") for key in (b"a", b"b", b"a", None)]
    assert Identifier().stage.keys(records) == {b"a", b"b"}


def test_whoever_says_the_opposite_of_an_event_says_another_event():
    """I6: what waits is told apart by all that it says, not by its name alone (R2)."""
    one = Identifier(paired("p"))
    one.step(named("e", "a"), named("e", "b"))
    assert [held.said.cause.id for held in one.state.held] == ["e", "e"]
