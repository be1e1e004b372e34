"""The golden record: which value wins, what fragments say together, when they are complete (R5, R6, I6)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from processors.golden import Citizen, PersonFragment, fold, is_complete, next_moment
from processors.messages import Consent, Enrolment, Entry, Objection, pack_entries, register_key
from schemas import load_contracts
from tests.nasty.generate import CASES

ATTRIBUTES = load_contracts(CASES / "contracts").attributes
NEVER = 10**9
NOW = 100
NHS, NINO = "nhs:1", "nino:1"
FIRST_TRUSTED, SECOND_TRUSTED = ATTRIBUTES["name"].trust[:2]


def entry(value: str, **changes: Any) -> Entry:
    """One assertion of the past, of no owner in particular."""
    given_as: dict[str, Any] = {
        "effective_at": 10,
        "asserted_at": 10,
        "source": "s",
        "id": "e",
        "until": None,
        "expires": NEVER,
        "value": value.encode(),
    }
    return Entry(**(given_as | changes))


def fragment(identifier: str = NINO, *values: tuple[str, Entry], **changes: Any) -> PersonFragment:
    """A fragment of these (owner, entry), all about the name unless ``changes`` says more."""
    registers = {register_key("name", owner, ""): pack_entries((each,)) for owner, each in values}
    given_as: dict[str, Any] = {"move": 0, "members": (identifier,), "registers": registers}
    return PersonFragment(identifier, **(given_as | changes))


def folded(*fragments: PersonFragment, now_ms: int = NOW) -> Citizen:
    """The record of these fragments, which is the same in whatever order they are held."""
    found = [
        fold({each.identifier: each for each in order}, ATTRIBUTES, now_ms)
        for order in permutations(fragments)
    ]
    assert all(each == found[0] for each in found)
    return found[0]


def name_of(*fragments: PersonFragment) -> tuple[bytes, str, str]:
    """The golden name with its lineage: value, owner, identifier."""
    golden = folded(*fragments).golden["name"][""]
    return golden.entry.value, golden.owner, golden.identifier


def test_the_owner_who_stands_earliest_in_the_trust_wins_however_old() -> None:
    """R5: trust before time."""
    old, new = entry("old"), entry("new", effective_at=20, asserted_at=20)
    both = fragment(NINO, (FIRST_TRUSTED, old), (SECOND_TRUSTED, new))
    assert name_of(both) == (b"old", FIRST_TRUSTED, NINO)


def test_owners_not_listed_share_the_last_place() -> None:
    """R5: behind each that is listed, and among themselves the latest wins."""
    listed, one, other = entry("listed", effective_at=1), entry("one"), entry("other", effective_at=20)
    assert name_of(fragment(NINO, ("zz", one), ("aa", other))) == (b"other", "aa", NINO)
    assert name_of(fragment(NINO, ("zz", one), ("aa", other), (SECOND_TRUSTED, listed)))[0] == b"listed"


@pytest.mark.parametrize("later", ["effective_at", "asserted_at", "source", "id"])
def test_among_equal_trust_the_greatest_wins(later: str) -> None:
    """R5: by (effective_at, asserted_at, source, id), whichever identifier it is said of."""
    greater = entry("greater", **{later: 11 if later.endswith("at") else "z"})
    for one, other in permutations([entry("less"), greater]):
        assert name_of(fragment(NINO, ("gro", one)), fragment(NHS, ("gro", other)))[0] == b"greater"


def test_one_event_about_two_identifiers_is_settled_by_the_identifier() -> None:
    """R5: the identifier is the last tie-break."""
    both = [fragment(identifier, ("gro", entry("same"))) for identifier in (NHS, NINO)]
    assert name_of(*both) == (b"same", "gro", NINO)


def test_what_repeats_has_a_golden_value_for_each_item() -> None:
    """R5: (attribute, item), not attribute alone."""
    registers = {register_key("benefit", "dwp", item): pack_entries((entry(item),)) for item in ("pip", "uc")}
    golden = folded(fragment(registers=registers)).golden["benefit"]
    assert {item: each.entry.value for item, each in golden.items()} == {"pip": b"pip", "uc": b"uc"}


def test_an_attribute_that_the_contracts_no_longer_name_is_left_out() -> None:
    """E5: and those beside it still count, in whatever order they lie."""
    for names in permutations(["name", "gone", "benefit"]):
        registers = {register_key(name, "gro", ""): pack_entries((entry("x"),)) for name in names}
        assert folded(fragment(registers=registers)).golden.keys() == {"name", "benefit"}


def test_a_register_without_a_current_value_says_nothing_and_hides_nothing() -> None:
    """R4, R5: what has ended, or has not begun, leaves the field to the next owner."""
    for silent in (entry("ended", until=NOW), entry("later", effective_at=NOW + 1)):
        assert name_of(fragment(NINO, (FIRST_TRUSTED, silent), ("gro", entry("x"))))[0] == b"x"
    assert folded(fragment(NINO, ("gro", entry("ended", until=NOW)))).golden == {}


def test_a_record_is_complete_when_all_name_the_same_members_and_all_are_there() -> None:
    """I6: nobody is missing, nobody is there whom another does not name; nobody at all is not a person."""
    both = (NHS, NINO)
    nhs, nino = fragment(NHS, members=both), fragment(NINO, members=both)
    assert is_complete({NHS: nhs, NINO: nino})
    assert folded(nhs, nino).complete
    assert not is_complete({NHS: nhs})
    assert not is_complete({NHS: nhs, NINO: fragment(NINO)})
    assert not is_complete({NHS: nhs, NINO: nino, "utr:1": fragment("utr:1", members=both)})
    assert is_complete({NINO: fragment(NINO)})
    assert not is_complete({NINO: nino})
    assert not is_complete({})


def test_one_protected_fragment_protects_the_person() -> None:
    """C3: all must say otherwise to end it."""
    assert folded(fragment(NHS), fragment(NINO, restricted=True)).restricted
    assert not folded(fragment(NHS), fragment(NINO)).restricted


def test_one_overfull_fragment_makes_the_person_overfull() -> None:
    """R8: what one of them could not remember may be a withdrawal of anything."""
    assert not folded(fragment(NINO), fragment(NHS)).overfull
    assert folded(fragment(NINO, overfull=True), fragment(NHS)).overfull
    assert folded(fragment(NINO), fragment(NHS, overfull=True)).overfull


def test_the_person_has_all_identifiers_and_those_superseded_of_each_fragment() -> None:
    """I3, C8: what any fragment knows as superseded is no key."""
    citizen = folded(fragment(NHS), fragment(NINO, superseded=(NINO,)))
    assert citizen.identifiers == {NHS, NINO}
    assert citizen.superseded == {NINO}


def test_consents_of_all_identifiers_count_by_subscriber_and_purpose() -> None:
    """C1: all the person's identifiers count."""
    one = Consent(1, "s", "a", "council-leeds", "housing", (), "GRANTED")
    other = Consent(2, "s", "b", "council-leeds", "housing", (), "WITHDRAWN")
    strange = Consent(3, "s", "c", "council-leeds", "care", (), "GRANTED")
    citizen = fold(
        {NHS: fragment(NHS, consents=(one, strange)), NINO: fragment(consents=(other,))}, ATTRIBUTES, NOW
    )
    assert citizen.consents == {
        ("council-leeds", "housing"): [one, other],
        ("council-leeds", "care"): [strange],
    }


def test_the_latest_objection_and_enrolment_of_any_identifier_counts() -> None:
    """C2, C4: at equal times the protective one."""
    objected, lifted = (Objection(1, "s", "e", "*", "*", state) for state in ("OBJECTED", "LIFTED"))
    ended, enrolled = (
        Enrolment(time, "s", "e", "dwp", "pilot", state)  # type: ignore[arg-type]
        for time, state in ((1, "ENDED"), (2, "ENROLLED"))
    )
    citizen = folded(
        fragment(NHS, objections=(objected,), enrolments=(enrolled,)),
        fragment(NINO, objections=(lifted,), enrolments=(ended,)),
    )
    assert [*citizen.objections.values()] == [objected]
    assert [*citizen.enrolments.values()] == [enrolled]


def test_every_moment_at_which_time_alone_acts_is_named() -> None:
    """V8: beginnings, ends and erasures of values; what consents state, and when they begin and end."""
    value = entry("x", effective_at=1, until=2, expires=3)
    endless = entry("y", effective_at=4, expires=5)
    consents = (
        Consent(6, "s", "a", "x", "y", (), "GRANTED", begins=7, ends=8),
        Consent(9, "s", "b", "x", "y", (), "GRANTED"),
    )
    several = [fragment(NINO, ("gro", value), consents=consents), fragment(NHS, ("gro", endless))]
    assert [next_moment(several, now_ms) for now_ms in range(10)] == [*range(1, 10), None]
    assert next_moment([], 0) is None
