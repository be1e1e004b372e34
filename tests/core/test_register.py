"""Registers: what stands, what falls out, what expires (R2, R3, R4, R7)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processors import register
from processors.messages import Assertion
from processors.rules import Limits

NEVER = 10**9


def said(number: int = 0, **changes: Any) -> Assertion:
    """One assertion; ``number`` makes it another event."""
    given_as: dict[str, Any] = {
        "effective_at": 10,
        "asserted_at": 10,
        "source": "urn:gov:dwp:main",
        "id": f"e{number}",
        "until": None,
        "expires": NEVER,
        "value": b'"%d"' % number,
        "content": b"%d" % number,
    }
    return Assertion(**(given_as | changes))


def filled(*assertions: Assertion, now_ms: int = 100, depth: int = 64) -> register.Register:
    """A register to which these were added one by one."""
    held: register.Register = ()
    for assertion in assertions:
        held, _ = register.add(held, assertion, now_ms, Limits(register_depth=depth))
    return held


def value_at(held: register.Register, now_ms: int, sent_at_ms: int | None = None) -> bytes | None:
    """What the record makes, at ``now_ms``, of what it was sent at ``sent_at_ms``."""
    entry = register.current(register.entries(held, now_ms if sent_at_ms is None else sent_at_ms), now_ms)
    return None if entry is None else entry.value


def sent(held: register.Register, now_ms: int = 100) -> list[bytes]:
    """The values of which the record is told, the lowest first."""
    return [entry.value for entry in register.entries(held, now_ms)]


def test_the_greatest_by_effective_then_asserted_then_source_then_id_is_current() -> None:
    """R4: ties are broken in this order."""
    ranks = [
        said(1, effective_at=20, asserted_at=1, source="urn:gov:a:a"),
        said(2, effective_at=10, asserted_at=50, source="urn:gov:a:a"),
        said(3, effective_at=10, asserted_at=40, source="urn:gov:z:a"),
        said(5, effective_at=10, asserted_at=40, source="urn:gov:a:a"),
        said(4, effective_at=10, asserted_at=40, source="urn:gov:a:a"),
    ]
    for first in range(len(ranks)):
        assert value_at(filled(*reversed(ranks[first:])), 100) == ranks[first].value


def test_a_moment_not_yet_reached_takes_effect_by_itself() -> None:
    """R4, V8: a future value is sent along, and counts from its very moment."""
    held = filled(said(1), said(2, effective_at=200))
    assert value_at(held, 199, sent_at_ms=100) == b'"1"'
    assert value_at(held, 200, sent_at_ms=100) == b'"2"'


def test_what_has_ended_hides_what_it_replaced() -> None:
    """R4: none if its end is not after T; an older one does not come back."""
    held = filled(said(1, effective_at=5), said(2, until=50))
    assert value_at(held, 49) == b'"2"'
    assert value_at(held, 50) is None


def test_what_expires_makes_room_for_what_it_outlived() -> None:
    """R7: erased at the very moment of its retention; the record already has what counts again."""
    held = filled(said(1, effective_at=5), said(2, expires=150))
    assert value_at(held, 149, sent_at_ms=100) == b'"2"'
    assert value_at(held, 150, sent_at_ms=100) == b'"1"'
    assert value_at(held, 999, sent_at_ms=100) == b'"1"'
    assert sent(held, 999) == [b'"1"']
    for later in (150, 999):
        assert register.bounded(held, later, Limits())[0] == (said(1, effective_at=5),)


def test_what_cannot_count_again_is_not_sent() -> None:
    """R4: the record is not told of the past that nothing can bring back."""
    held = filled(said(1, effective_at=5), said(2))
    assert sent(held) == [b'"2"']
    assert sent(filled(said(1, effective_at=5, expires=150), said(2, expires=200))) == [b'"2"']


def test_what_is_effective_from_this_very_moment_is_of_the_past() -> None:
    """R4: so it hides what it replaced, and takes a place within the bound."""
    held = filled(said(1), said(2, effective_at=100), depth=1)
    assert held == (said(2, effective_at=100),)
    assert sent(filled(said(1), said(2, effective_at=100))) == [b'"2"']


def test_only_what_outlives_all_that_stands_above_it_is_sent() -> None:
    """R4, R7: the greatest, then each that will count again one day."""
    expiries = (150, 200, 180, 250)
    held = filled(*(said(n, effective_at=50 - n, expires=expires) for n, expires in enumerate(expiries)))
    assert sent(held) == [b'"3"', b'"1"', b'"0"']


def test_nothing_is_kept_that_has_expired_on_arrival() -> None:
    """R7: an assertion counts until its retention ends, not after."""
    assert filled(said(1, expires=100)) == filled(said(1, expires=99)) == ()
    assert register.next_expiry(filled(said(1, expires=101), said(2))) == 101


def test_of_two_contents_the_greater_digest_then_time_wins() -> None:
    """R2: the same event with two contents, in whatever order they come."""
    greater = [
        (said(1, content=b"b", value=b'"b"'), said(1, content=b"a", value=b'"a"', asserted_at=99)),
        (said(1, asserted_at=11, value=b'"b"'), said(1, asserted_at=10, value=b'"a"')),
    ]
    for pair in greater:
        for order in permutations(pair):
            assert value_at(filled(*order), 100) == b'"b"'


def test_an_id_is_used_twice_only_if_it_is_of_one_source_and_says_two_things() -> None:
    """R2, E1: another source may use the id, and who repeats what it said has said nothing else."""
    middle = said(1, content=b"m")
    for source in ("urn:gov:aaa:main", "urn:gov:zzz:main"):
        assert not register.contradicts((middle,), said(1, source=source, content=b"z"))
    same_source = "".join(["urn:gov:", "dwp:main"])  # equal, and another object, as when it was decoded
    assert not register.contradicts((middle,), said(1, source=same_source, content=b"m"))
    assert register.contradicts((middle,), said(1, source=same_source, content=b"z"))
    assert not register.contradicts((middle,), said(2, content=b"z"))


def test_contents_outdo_each_other_within_their_own_event_only() -> None:
    """R2, E1: two sources that use one id speak of two events, and the record hears of both."""
    for source in ("urn:gov:aaa:main", "urn:gov:zzz:main"):
        other = said(1, source=source, content=b"z", effective_at=20, expires=500, value=b'"other"')
        longer = said(1, content=b"m", expires=NEVER, value=b'"longer"', effective_at=5)
        twin = said(1, source="".join(["urn:gov:", "dwp:main"]), content=b"z", expires=600, value=b'"twin"')
        assert sorted(sent(filled(other, longer))) == [b'"longer"', b'"other"']
        assert sorted(sent(filled(other, longer, twin))) == [b'"other"', b'"twin"']
        assert sent(filled(other, longer, twin), 650) == [b'"longer"']


def test_the_digest_that_settles_two_contents_has_sixteen_bytes_of_type_and_form() -> None:
    """R2: every worker, of whatever version, must find the same winner."""
    assert register.content_digest("a.b.v1", b"{}").hex() == "1283aada5799b814d2b6d011186cb1b6"


def test_the_lesser_content_counts_when_the_greater_has_expired() -> None:
    """R2, R7: what is expired does not compete."""
    held = filled(
        said(1, content=b"b", value=b'"b"', expires=150), said(1, content=b"a", value=b'"a"', expires=160)
    )
    assert value_at(held, 149) == b'"b"'
    assert value_at(held, 150) == b'"a"'


def test_a_lesser_content_that_cannot_outlive_the_greater_is_not_kept() -> None:
    """R2, R7: it can never count."""
    greater = said(1, content=b"b", expires=150)
    for expires in (140, 150):
        assert filled(said(1, content=b"a", expires=expires), greater) == (greater,)


def test_an_event_of_two_contents_stands_where_the_greater_stands() -> None:
    """R2, R4: beside the other events of its register."""
    held = filled(
        said(1, effective_at=5),
        said(2, content=b"b", value=b'"b"', expires=150),
        said(2, content=b"a", value=b'"a"', expires=160),
    )
    assert sent(held) == [b'"1"', b'"b"']
    assert sent(held, 150) == [b'"1"', b'"a"']


def test_within_the_bound_nothing_falls_out() -> None:
    """R2, R6: nor when the same assertion comes again, which is no change to count."""
    for held in ((), (said(1),)):
        assert register.add(held, said(1), 100, Limits(register_depth=1)) == ((said(1),), 0)


def test_only_the_deepest_effective_ones_fall_out_and_are_counted() -> None:
    """R2: the bound holds for what is effective; what is not yet is kept besides."""
    held = filled(*(said(n, effective_at=n) for n in (1, 2, 3)), said(9, effective_at=500), depth=3)
    held, fallen = register.add(held, said(4, effective_at=4), 100, Limits(register_depth=3))
    assert fallen == 1
    assert [a.effective_at for a in held] == [500, 4, 3, 2]


def test_the_values_that_a_register_keeps_have_a_bound_in_bytes() -> None:
    """R2: the greatest first, until one has no room; a lesser one that would fit does not take its place."""
    sizes = {5: 4, 4: 4, 3: 3, 2: 1}
    given = [said(n, effective_at=n, value=b"x" * size) for n, size in sizes.items()]
    for order in permutations(given):
        held, fallen = register.bounded(order, 100, Limits(register_bytes=10))
        assert ([a.effective_at for a in held], fallen) == ([5, 4], 2)


def test_a_register_that_has_just_the_bytes_of_its_bound_keeps_all_of_them() -> None:
    """R2: the bound is what a register may have; one byte more is what it may not."""
    three = [said(n, effective_at=n, value=b'"%s"' % (b"x" * n)) for n in (1, 2, 3)]  # of 3, 4 and 5 bytes
    for most, kept, out in ((12, 3, 0), (11, 2, 1), (9, 2, 1), (8, 1, 2)):
        held, fallen = register.bounded(three, 100, Limits(register_bytes=most))
        assert (len(held), fallen) == (kept, out), most


def test_the_greatest_value_is_kept_whatever_its_size_and_what_is_not_yet_effective_too() -> None:
    """R2, R4: it is the current one; a bound takes no moment away that has not come."""
    later = said(9, effective_at=500, value=b"x" * 50)
    large = said(2, effective_at=2, value=b"x" * 20)
    limits = Limits(register_bytes=10)
    held, fallen = register.bounded((large, later, said(1, effective_at=1)), 100, limits)
    assert (held, fallen) == ((later, large), 1)
    exactly = (said(3, effective_at=3, value=b"x" * 5), said(2, effective_at=2, value=b"x" * 5))
    assert register.bounded(exactly, 100, limits) == (exactly, 0)


def test_what_is_annulled_is_gone_by_source_and_id() -> None:
    """R3: of this source and id, and no other."""
    other = said(1, source="urn:gov:dwp:alt")
    held = filled(said(1), said(2), other)
    assert set(register.without(held, {("urn:gov:dwp:main", "e1")})) == {said(2), other}


@given(st.lists(st.tuples(*(st.integers(1, 4) for _ in range(4))), max_size=6), st.integers(1, 6))
def test_order_and_repetition_change_nothing(facts: list[tuple[int, int, int, int]], now_ms: int) -> None:
    """R6: while no bound is met."""
    assertions = [
        said(
            number,
            effective_at=effective,
            expires=now_ms + expires,
            content=b"%d %d %d" % (form, effective, expires),
        )
        for number, effective, expires, form in facts
    ]
    one, other = filled(*assertions, now_ms=now_ms), filled(*reversed(assertions), *assertions, now_ms=now_ms)
    for later in range(now_ms, now_ms + 6):
        assert value_at(one, later) == value_at(other, later)
