"""A fragment: what an identifier's registers and statements keep, and when time alone acts (R2, R7, §5)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from processors.messages import (
    ASSERTIONS_TOPIC,
    Claims,
    Consent,
    Enrolment,
    Fragment,
    Objection,
    Restriction,
    encode,
    entries_of,
)
from processors.stage import Outcome, Record
from tests.identity_kit import (
    NEVER_MS,
    NHS,
    NINO,
    NOW_MS,
    SOURCE,
    Identifier,
    named,
    only,
    paired,
    said,
    told,
    values_of,
)

HUB = "urn:gov:consent-hub:main"


# Values.


def test_an_assertion_is_kept_with_all_that_its_event_said():
    """R1: and goes to the record without what only identity needs."""
    one = Identifier()
    event = named("e", "x", until=5_000, expires=NEVER_MS, effective_at=900)
    fragment = only(one.step(event), Fragment)
    ((kept,),) = one.state.contents().values()
    ((sent,),) = map(entries_of, fragment.registers.values())
    assert (kept.effective_at, kept.asserted_at, kept.until, kept.expires) == (900, 1_000, 5_000, NEVER_MS)
    assert (kept.source, kept.id, kept.value, kept.content) == (SOURCE, "e", b"x", b"e")
    assert all(getattr(sent, name) == getattr(kept, name) for name in sent.__struct_fields__)


def test_each_attribute_owner_and_item_has_a_register_of_its_own():
    """R2: and nothing else does."""
    events = [
        named("e"),
        named("f", source="urn:gov:hmrc:main"),
        named("g", source="urn:gov:dwp:other"),
        said("h", values=(("benefit", b"1"),), item="pip"),
        said("i", values=(("benefit", b"2"),), item="uc"),
    ]
    assert sorted(map(len, Identifier(*events).state.contents().values())) == [1, 1, 1, 2]


def test_what_falls_out_of_a_register_is_counted_and_nothing_else_is():
    """R2: the bound here is three; what is not yet effective is kept besides."""
    one = Identifier(*(named(f"e{n}", time=n) for n in (1, 2, 3)), named("later", effective_at=NOW_MS + 1))
    assert one.outcomes == []
    one.step(named("e4", time=4))
    assert one.outcomes == [Outcome("uk.gov.civil.name.v1", "bounded", "register-depth", 1)]
    (register,) = one.state.contents().values()
    assert sorted(assertion.id for assertion in register) == ["e2", "e3", "e4", "later"]


def test_a_value_that_changes_nothing_in_the_record_is_not_sent():
    """§7, R4: an older one is kept, and the record, which cannot need it, hears nothing."""
    one = Identifier(named("e", time=2_000))
    assert one.step(named("d", time=1_000)) == []
    assert len(*one.state.contents().values()) == 2


def test_what_has_expired_on_arrival_says_nothing_but_its_pairs_and_statements_count():
    """R7: statements about pairs and §5 do not expire with it."""
    withdrawn = Consent(1_000, SOURCE, "e", "dvla", "renewals", (), "WITHDRAWN")
    event = named("e", expires=NOW_MS, pairs=(("link", NHS),), consent=withdrawn)
    claims, fragment = Identifier().step(event)
    assert isinstance(claims, Claims)
    assert (fragment.registers, fragment.consents) == ({}, (withdrawn,))
    assert values_of(only(Identifier().step(named("e", expires=NOW_MS + 1)), Fragment)) == {"name": ["e"]}


def test_what_expires_is_erased_at_its_moment_and_the_record_is_told():
    """R7, V8: the state wakes by itself, at the earliest expiry of any register."""
    other = said("f", values=(("birth", b"1"),), expires=NOW_MS + 20)
    one = Identifier(named("e", expires=NOW_MS + 10), other)
    assert one.wake_ms == NOW_MS + 10
    assert one.step(now_ms=NOW_MS + 9) == []
    assert values_of(only(one.step(now_ms=NOW_MS + 10), Fragment)) == {"name": []}
    assert (len(one.state.registers), one.wake_ms) == (1, NOW_MS + 20)


def test_what_expires_in_a_step_that_speaks_of_its_register_is_told_all_the_same():
    """R7: the record holds what it was sent before, whatever can be computed now."""
    one = Identifier(named("e", expires=NOW_MS + 10))
    late = said("a", annuls="e")
    assert values_of(only(one.step(late, now_ms=NOW_MS + 10), Fragment)) == {"name": []}


def test_what_it_outlived_counts_again():
    """R7, R4: the older value was sent along, so the record has it before its moment."""
    one = Identifier(named("old", time=500), named("new", expires=NOW_MS + 10))
    assert [values_of(each) for each in one.step(now_ms=NOW_MS + 10)] == [{"name": ["old"]}]
    assert [len(register) for register in one.state.contents().values()] == [1]
    assert one.wake_ms == NEVER_MS


# Statements of §5.


def latest_objection(*events: Any) -> set[str]:
    """The ids of the objections kept, which are the same in every order."""
    kept = {
        tuple(sorted(o.id for o in Identifier(*order).state.objections.values()))
        for order in permutations(events)
    }
    assert len(kept) == 1
    return set(*kept)


def objecting(id_: str, time: int, state: Any = "OBJECTED", purpose: str = "*", source: str = HUB) -> Any:
    """An event that says so of every subscriber."""
    return said(id_, time, source=source, objection=Objection(time, source, id_, "*", purpose, state))


def test_the_latest_statement_of_a_kind_is_kept():
    """§5: by time, then the protective state, then source and id, in whatever order they come."""
    assert latest_objection(objecting("a", 1), objecting("b", 2, "LIFTED")) == {"b"}
    assert latest_objection(objecting("a", 2), objecting("z", 2, "LIFTED")) == {"a"}
    assert latest_objection(objecting("a", 2), objecting("b", 2)) == {"b"}
    assert latest_objection(objecting("b", 2), objecting("a", 2, source="urn:gov:zz:main")) == {"a"}


def test_objections_are_told_apart_as_stated():
    """C2: lifting one that names a purpose does not lift the one that names all."""
    assert latest_objection(objecting("a", 1), objecting("b", 2, "LIFTED", "renewals")) == {"a", "b"}


@pytest.mark.parametrize(
    ("protective", "other"),
    [
        (
            {"enrolment": Enrolment(1, HUB, "a", "hmrc", "estates", "ENDED")},
            {"enrolment": Enrolment(1, HUB, "b", "hmrc", "estates", "ENROLLED")},
        ),
        (
            {"restriction": Restriction(1, HUB, "a", "police", "RESTRICTED")},
            {"restriction": Restriction(1, HUB, "b", "police", "LIFTED")},
        ),
    ],
    ids=["enrolment", "restriction"],
)
def test_at_equal_times_the_protective_state_wins(protective: Any, other: Any):
    """§5: of every kind."""
    for order in permutations((said("a", **protective), said("b", **other))):
        state = Identifier(*order).state
        assert [kept.id for kept in (*state.enrolments.values(), *state.restrictions.values())] == ["a"]


def test_enrolments_are_kept_by_agreement_and_owner():
    """C4: another's word, or another agreement's, replaces nothing."""
    enrolments = [
        Enrolment(number, HUB, f"e{number}", owner, agreement, "ENROLLED")
        for number, (owner, agreement) in enumerate(
            [("hmrc", "estates"), ("dwp", "estates"), ("hmrc", "pilot")]
        )
    ]
    one = Identifier(*(said(each.id, enrolment=each) for each in enrolments))
    assert sorted(kept.id for kept in one.state.enrolments.values()) == ["e0", "e1", "e2"]


def test_all_consents_are_kept_each_once():
    """C1: which of them counts depends on what the others cover, so none replaces another."""
    states: tuple[Any, ...] = ("GRANTED", "WITHDRAWN", "PAUSED", "GRANTED")
    consents = [Consent(n, SOURCE, "e", "dvla", "p", (), state) for n, state in enumerate(states)]
    events = [said(f"e{n}", consent=each) for n, each in enumerate(consents)]
    for order in permutations(events):
        assert set(Identifier(*order, *order).state.consents) == set(consents)
    fragment = only(Identifier(events[0]).step(events[1]), Fragment)
    assert fragment.consents is not None
    assert set(fragment.consents) == set(consents[:2])


# Protection (C3).


def restricted(id_: str, time: int, owner: str = "police", state: Any = "RESTRICTED") -> Any:
    """An owner says that the person is protected, or no longer."""
    source = f"urn:gov:{owner}:main"
    return said(id_, time, source=source, restriction=Restriction(time, source, id_, owner, state))


def test_protection_reaches_the_record_at_once_and_is_asked_of_persons():
    """C3, I6: the record need not wait to hear what persons makes of it for others."""
    claims, fragment = Identifier(named("e")).step(restricted("r", 1))
    assert (claims.asked, claims.pairs, claims.restricted) == (1, {}, True)
    assert fragment.restricted
    assert fragment.protective


def test_protection_by_another_owner_too_asks_nothing():
    """§7: for others nothing changes."""
    one = Identifier(restricted("r", 1), told(1, restricted=True))
    assert not [each for each in one.step(restricted("s", 2, "nhs")) if isinstance(each, Claims)]


def test_protection_ends_when_each_owner_that_stated_it_has_lifted_it():
    """C3: the latest per owner and identifier."""
    one = Identifier(restricted("r", 1), restricted("s", 2, "nhs"), told(1, restricted=True))
    assert not [each for each in one.step(restricted("t", 3, "nhs", "LIFTED")) if isinstance(each, Claims)]
    assert one.state.stated_restricted()
    claims, fragment = one.step(restricted("u", 4, state="LIFTED"))
    assert (claims.asked, claims.restricted) == (2, False)
    assert fragment.restricted  # until persons, who knows of the others, has answered
    assert not only(one.step(told(2)), Fragment).restricted


def test_its_own_protection_holds_whatever_persons_last_said():
    """C3: fails closed while the answer travels."""
    one = Identifier(named("e"), restricted("r", 1))
    assert one.step(told(0)) == []
    stop = Consent(2_000, SOURCE, "s", "dvla", "renewals", (), "WITHDRAWN")
    assert only(one.step(said("s", consent=stop)), Fragment).restricted


def test_what_is_said_after_protection_changed_waits_for_the_answer():
    """I6: a claim about protection is a question like any other."""
    one = Identifier(restricted("r", 1))
    assert one.step(named("e")) == []
    assert values_of(only(one.step(told(1, restricted=True)), Fragment)) == {"name": ["e"]}


def test_lifting_waits_behind_an_open_question():
    """I6: what allows more than before waits; restricting did not."""
    one = Identifier(restricted("r", 1), told(1, restricted=True), paired("p"))
    assert one.step(restricted("u", 2, state="LIFTED")) == []
    assert one.state.stated_restricted()
    claims, _ = one.step(told(2, restricted=True))
    assert (claims.asked, claims.restricted) == (3, False)
    assert not one.state.stated_restricted()


# What a department is told.


def test_a_grant_that_can_never_stand_is_reported_once_to_its_source():
    """C1: whichever of the two comes first."""
    stop = Consent(1_000, SOURCE, "s", "dvla", "renewals", (), "WITHDRAWN")
    grant = Consent(2_000, HUB, "g", "dvla", "renewals", (), "GRANTED")
    for order in permutations((said("s", consent=stop), said("g", source=HUB, consent=grant))):
        one = Identifier(order[0])
        assert one.reports == []
        one.step(order[1])
        assert one.reports == [{"report": "consent-never-stands", "source": HUB, "id": "g"}]
        one.step(order[1])
        one.step(said("x", consent=Consent(9_000, SOURCE, "x", "dvla", "renewals", (), "PAUSED")))
        assert one.reports == []


# What comes twice.


def test_an_event_that_comes_twice_writes_no_state_and_says_nothing():
    """E1, V6: the same event is no change, so nothing of it goes to the changelog."""
    one = Identifier()
    batch = [Record(ASSERTIONS_TOPIC, 0, 0, NOW_MS, NINO.encode(), encode(named("e")))]
    first = one.stage.step({}.get, batch, (), NOW_MS)
    (kept,) = first.states.values()
    assert kept is not None
    again = one.stage.step({NINO.encode(): kept.body}.get, batch, (), NOW_MS)
    assert (again.states, again.outgoing) == ({}, [])
