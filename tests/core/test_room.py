"""R8: an identifier has room for so much, and what takes away is never what is forgotten in silence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processors.fragment import encode_state, taken_away_bytes
from processors.identity import Identity
from processors.messages import (
    Consent,
    Enrolment,
    Fragment,
    Message,
    Objection,
    Restriction,
    encode,
)
from processors.rules import Limits, Rules
from processors.stage import Outcome
from tests.identity_kit import KEYS, NHS, RULES, SOURCE, Identifier, named, only, paired, said, values_of

FULL, MOST = 3_000, 4_000
TYPE = "uk.gov.civil.name.v1"
STATED = (1_000, SOURCE, "s")


class Small(Identifier):
    """The NINO with room for little."""

    def __init__(self, *first: Message) -> None:
        super().__init__()
        limits = Limits(fragment_bytes=FULL, fragment_bytes_max=MOST)
        self.stage = Identity(Rules(RULES.contracts, {}, KEYS, limits))
        for message in first:
            self.step(message)

    @property
    def size_bytes(self) -> int:
        return len(self.body or b"")


def item(number: int, value_bytes: int = 500, **changes: Any) -> Any:
    """A value in a register of its own."""
    return named(f"i{number}", "x" * value_bytes, item=str(number), content=b"f", **changes)


def full() -> Small:
    """One that has no room for another value."""
    one = Small(*(item(number) for number in range(9)))
    assert one.outcomes[0] == Outcome(TYPE, "refused", "fragment-full")
    return one


def withdrawal(id_: str = "s", padding: int = 0) -> Any:
    """A withdrawal that names many categories."""
    categories = tuple(f"{number:09}" for number in range(padding // 10))
    return said(id_, consent=Consent(1_000, SOURCE, id_, "dvla", "renewals", categories, "WITHDRAWN"))


def test_what_has_no_room_is_not_taken_in_and_its_source_is_told():
    """R8: counted and reported by its name; what was there stays as it was."""
    one = full()
    before = one.body
    assert one.step(item(99)) == []
    assert one.outcomes == [Outcome(TYPE, "refused", "fragment-full"), Outcome("report", "fragment-full")]
    assert one.reports == [{"report": "fragment-full", "source": SOURCE, "id": "i99"}]
    assert one.body == before
    assert one.size_bytes <= FULL


@pytest.mark.parametrize(
    "grant",
    [
        paired("e", other="nhs:" + "9" * 500),
        paired("e", "link", other="nhs:" + "9" * 500),
        said("e", consent=Consent(1_000, SOURCE, "e", "dvla", "renewals", ("x" * 500,), "GRANTED")),
        said("e", objection=Objection(1_000, SOURCE, "e", "x" * 500, "*", "LIFTED")),
        said("e", enrolment=Enrolment(1_000, SOURCE, "e", "hmrc", "x" * 500, "ENROLLED")),
    ],
    ids=["same-person", "link", "consent", "objection lifted", "enrolled"],
)
def test_whatever_grants_needs_room(grant: Any):
    """R8: values, links, consents, enrolments alike."""
    one = full()
    before = one.body
    assert one.step(grant) == []
    assert one.body == before
    assert one.reports[0]["report"] == "fragment-full"


@pytest.mark.parametrize(
    "message",
    [
        withdrawal(padding=500),
        # The names of these two lie in the state twice: as the key too.
        said("s", objection=Objection(*STATED, "x" * 250, "*", "OBJECTED")),
        said("s", restriction=Restriction(*STATED, "police", "RESTRICTED"), form=b"x" * 500),
        said("s", enrolment=Enrolment(*STATED, "hmrc", "x" * 250, "ENDED")),
        said("s", annuls="i0"),
        paired("s", "unlink"),
    ],
    ids=["withdrawn", "objected", "restricted", "ended", "annulled", "unlinked"],
)
def test_what_takes_away_is_taken_in_when_nothing_else_is(message: Any):
    """R8, I6: a full fragment still hears every withdrawal."""
    one = full()
    assert one.step(message) != []
    assert one.reports == []
    assert not one.state.overfull


def test_what_is_annulled_makes_room():
    """R8, R3: a correction of a full fragment replaces what it annuls, in the same event."""
    one = full()
    corrected = named("again", "y" * 450, item="0", annuls="i0")
    fragment = only(one.step(corrected), Fragment)
    assert values_of(fragment)["name"] == ["y" * 450]
    assert one.reports == []


def test_a_value_takes_the_place_of_those_that_its_register_has_no_room_for():
    """R8, R2: a large value can always be renewed, although beside the one before there is no room."""
    limits = Limits(fragment_bytes=FULL, fragment_bytes_max=MOST, register_bytes=10)
    one = Small()
    one.stage = Identity(Rules(RULES.contracts, {}, KEYS, limits))
    for number in range(1, 5):
        event = named(f"e{number}", f"{number}" * 1_900, time=number, content=b"f")
        assert values_of(only(one.step(event), Fragment)) == {"name": [f"{number}" * 1_900]}
    assert one.reports == []
    assert one.size_bytes < FULL


def test_of_a_correction_too_large_only_the_annulment_is_taken_in():
    """R8: what it takes away needs no more room than its name, and is never refused for its values."""
    one = full()
    large = named("large", "x" * 5_000, annuls="i0")
    fragment = only(one.step(large), Fragment)
    assert values_of(fragment) == {"name": []}
    assert one.reports == [{"report": "fragment-full", "source": SOURCE, "id": "large"}]
    assert not one.state.overfull
    assert taken_away_bytes(large, len(encode(large))) < 100


def test_beyond_that_the_fragment_is_closed_at_once_and_for_good():
    """R8: a withdrawal that cannot be remembered may be of anything, so nothing is shared any more."""
    one = full()
    fragment = only(one.step(withdrawal(padding=5_000)), Fragment)
    assert fragment.overfull
    assert fragment.protective
    assert one.outcomes[0] == Outcome(TYPE, "refused", "fragment-overfull")
    assert one.reports == [{"report": "fragment-overfull", "source": SOURCE, "id": "s"}]
    annulled = [one.step(said(f"a{number}", annuls=f"i{number}")) for number in range(9)]
    assert all(only(sent, Fragment).overfull for sent in annulled[:3])
    assert only(one.step(named("small")), Fragment).overfull


def test_a_fragment_of_which_nothing_else_is_known_is_closed_too():
    """R8: the first thing that is said may be what has no room."""
    fragment = only(Small().step(withdrawal(padding=5_000)), Fragment)
    assert (fragment.whole, fragment.overfull, fragment.registers) == (True, True, {})


def test_repetitions_take_no_room():
    """R8, E1: what is said a thousand times in one step is there once, and room is measured, not guessed."""
    one = Small()
    one.step(*[item(number % 3) for number in range(1_000)])
    assert not one.reports
    assert len(one.state.registers) == 3


def test_what_waits_for_persons_takes_room_too():
    """R8, I6: an event that is held lies in the state."""
    one = Small(paired("p"))
    for number in range(9):
        one.step(item(number))
    assert one.reports[0]["report"] == "fragment-full"
    assert one.size_bytes <= FULL


def _events() -> Any:
    kinds = st.sampled_from(["value", "withdrawal", "annulment", "objection", "pair", "unlink"])
    return st.lists(st.tuples(kinds, st.integers(0, 30), st.integers(1, 900)), max_size=40)


@given(_events(), st.integers(1, 7))
@example([("value", 0, 1), *[("objection", n, size) for n, size in enumerate((255, 830, 900))]], 7)
@example([("objection", n, 900) for n in range(6)], 7)
def test_no_state_outgrows_its_bound_and_nothing_taken_away_is_forgotten_in_silence(
    events: list[tuple[str, int, int]], at_once: int
):
    """R8: whatever is said in whatever batches; who is not closed has every withdrawal that was made."""
    messages, withdrawn = [], set()
    for number, (kind, which, size) in enumerate(events):
        match kind:
            case "value":
                messages.append(item(which, size))
            case "withdrawal":
                messages.append(withdrawal(f"w{number}", size))
                withdrawn.add(f"w{number}")
            case "annulment":
                messages.append(said(f"a{number}", annuls=f"i{which}"))
            case "objection":
                stated = Objection(number, SOURCE, f"o{number}", str(which), "x" * size, "OBJECTED")
                messages.append(said(f"o{number}", objection=stated))
            case _:
                messages.append(paired(f"p{number}", "unlink" if kind == "unlink" else "link", NHS))
    one = Small()
    told = False
    for start in range(0, len(messages), at_once):
        sent = one.step(*messages[start : start + at_once])
        told = told or any(isinstance(each, Fragment) and each.overfull for each in sent)
        assert one.size_bytes <= MOST + 500  # what persons answers, names and counters come on top
        assert one.body == encode_state(one.state)
    if messages:
        assert told == one.state.overfull
        known = {consent.id for consent in one.state.consents}
        assert one.state.overfull or withdrawn <= known
