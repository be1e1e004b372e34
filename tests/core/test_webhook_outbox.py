"""What is owed in memory: one of a key at a time, updates coalesced, retractions never, bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.webhook.outbox import Outbox, is_news
from tests.webhook_kit import AGREEMENT, change


def outbox(*changes, records_max: int = 100) -> Outbox:
    made = Outbox(records_max, 1_000_000)
    for each in changes:
        made.take(AGREEMENT, each, 10)
    return made


def test_the_next_of_a_key_waits_for_the_former_and_other_keys_go_on():
    """Ordered per key, concurrent across keys."""
    box = outbox(change("a", 1, None, 0), change("a", 2, {}, 1), change("b", 1, {}, 2))
    first, other = box.next(0), box.next(0)
    assert first is not None
    assert other is not None
    assert (first.place.key, other.place.key, box.next(0)) == ("a", "b", None)
    box.delivered(first)
    then = box.next(0)
    assert then is not None
    assert (then.place.key, then.change.value) == ("a", {})


def test_a_failed_key_waits_and_others_go_on():
    """The lane that failed comes back at its moment, with its failures counted."""
    box = outbox(change("a", 1, {}, 0), change("b", 1, {}, 1))
    first = box.next(0)
    assert first is not None
    assert box.failed(first, 10.0) == 1
    other = box.next(0)
    assert other is not None
    assert other.place.key == "b"
    assert (box.next(9.9), box.wake_s()) == (None, 10.0)
    again = box.next(10.0)
    assert again is not None
    assert (again.place.key, again.failures) == ("a", 1)


def test_a_waiting_update_is_replaced_and_a_retraction_never_is():
    """U1 R2 U3 U4 R5: U1 and U3 and U4 may go, R2 and R5 arrive, in their order."""
    values = [{"n": 1}, None, {"n": 3}, {"n": 4}, None]
    box = outbox(*(change("a", number, value, number) for number, value in enumerate(values, 1)))
    arrived = []
    while (parcel := box.next(0)) is not None:
        arrived.append(dict(parcel.change.headers)["postroom_sequence"])
        box.delivered(parcel)
    assert arrived == ["2", "5"]


def test_what_is_on_its_way_is_not_replaced_before_it_failed():
    """While it may be arriving it is awaited; once it failed, what came meanwhile takes its place."""
    box = outbox(change("a", 1, {}, 0))
    first = box.next(0)
    assert first is not None
    box.take(AGREEMENT, change("a", 2, None, 1), 10)
    assert box.records == 2
    box.failed(first, 5)
    assert box.records == 1
    then = box.next(5)
    assert then is not None
    assert then.is_retraction


def test_a_replaced_update_leaves_its_superseded_key_to_its_successor():
    """V2: `supersedes` stands on one record only, and must not vanish with it."""
    first = change("b", 1, {"n": 1}, 0)
    first = first._replace(headers=(*first.headers, ("postroom_supersedes", "a")))
    box = outbox(first, change("b", 2, {"n": 2}, 1))
    parcel = box.next(0)
    assert parcel is not None
    assert ("postroom_supersedes", "a") in parcel.change.headers


KEYS = st.sampled_from("abcd")


@given(st.lists(st.tuples(st.sampled_from(("update", "retract", "send", "ok", "fail")), KEYS), max_size=80))
def test_nothing_owed_lies_before_the_low_water_mark(steps):
    """Whatever happens: what begins there again finds all that is owed, and the bounds are the counts."""
    box, read, sequences, on_way = outbox(), [0, 0], {}, []
    for step, key in steps:
        if step in ("update", "retract"):
            partition = ord(key) % 2
            sequences[key] = sequences.get(key, 0) + 1
            value = {} if step == "update" else None
            box.take(AGREEMENT, change(key, sequences[key], value, read[partition], partition), 1)
            read[partition] += 1
        elif step == "send" and (parcel := box.next(0)) is not None:
            on_way.append(parcel)
        elif step in ("ok", "fail") and on_way:
            parcel = on_way.pop()
            box.delivered(parcel) if step == "ok" else box.failed(parcel, 0)
        owed = [each for lane in box._lanes.values() for each, _ in lane.queue]
        mark = box.low_water(AGREEMENT, read)
        assert all(each.offset >= mark[each.partition] for each in owed)
        assert all(
            at == min([each.offset for each in owed if each.partition == number], default=read[number])
            for number, at in enumerate(mark)
        )
        assert (box.records, box.in_flight) == (len(owed), len(on_way))
        assert all(
            [value is None for value in values[:-1]] == [True] * (len(values) - 1)
            for place, lane in box._lanes.items()
            for values in [[each.value for each, _ in list(lane.queue)[lane.busy :]]]
        ), "only the last that waits in a lane is an update"


def test_an_outbox_has_room_until_it_is_full():
    """Bounded by number and by size; what left makes room."""
    box = outbox(*(change(str(number), 1, {}, number) for number in range(3)), records_max=3)
    assert box.room == 0
    parcel = box.next(0)
    assert parcel is not None
    box.delivered(parcel)
    assert box.room == 1
    big = Outbox(100, 5_000)
    big.take(AGREEMENT, change("a", 1, {}, 0), 10_000)
    assert big.room == 0


def test_what_was_delivered_is_no_news():
    """A sequence below the least that is owed is skipped; without a sequence it is always sent."""
    assert is_news(change("a", 3, {}), 0)
    assert is_news(change("a", 3, {}), 3)
    assert not is_news(change("a", 3, {}), 4)
    assert is_news(change("a", 3, {})._replace(headers=()), 4)


def superseding(key: str, sequence: int, offset: int, old: str):
    """A view that carries an older key on (V2)."""
    made = change(key, sequence, {}, offset)
    return made._replace(headers=(*made.headers, ("postroom_supersedes", old)))


def test_what_is_passed_over_is_owed_no_longer_and_holds_no_position():
    """V1: its successor lies further along the topic, so going on behind it loses nothing."""
    box = outbox(change("a", 1, {}, 0), change("b", 1, {}, 1))
    first = box.next(0)
    assert first is not None
    box.passed_over(first)
    assert (box.records, box.in_flight, box.owes(AGREEMENT, "a")) == (1, 0, False)
    assert box.low_water(AGREEMENT, (2,)) == (1,)
    other = box.next(0)
    assert other is not None
    assert other.place.key == "b"


def test_what_a_view_that_is_passed_over_superseded_is_told_with_the_next():
    """V2 says it once. Until the next was read the position stays before it, so that a restart reads it
    again; then it is free. A retraction has no successor to tell of.
    """
    for value, told in (({}, "old"), (None, None)):
        box = outbox(superseding("a", 1, 0, "old"))
        first = box.next(0)
        assert first is not None
        box.passed_over(first)
        assert (box.records, box.low_water(AGREEMENT, (5,))) == (0, (0,))
        box.take(AGREEMENT, change("a", 2, value, 5), 10)
        then = box.next(0)
        assert then is not None
        assert dict(then.change.headers).get("postroom_supersedes") == told
        assert box.low_water(AGREEMENT, (6,)) == (5,)
        box.delivered(then)
        assert (box.records, box.low_water(AGREEMENT, (6,))) == (0, (6,))


def test_what_is_passed_over_hands_on_to_what_waits_behind_it():
    """It had been on its way in vain, and its successor has come meanwhile."""
    box = outbox(superseding("a", 1, 0, "old"))
    first = box.next(0)
    assert first is not None
    box.take(AGREEMENT, change("a", 2, {}, 1), 10)
    box.passed_over(first)
    then = box.next(0)
    assert then is not None
    assert dict(then.change.headers)["postroom_supersedes"] == "old"
    assert (box.records, box.low_water(AGREEMENT, (2,))) == (1, (1,))


def test_what_is_put_off_waits_without_having_failed():
    """Nobody refused it."""
    box = outbox(change("a", 1, {}, 0))
    first = box.next(0)
    assert first is not None
    assert box.put_off(first, 10.0) == 0
    assert (box.next(9.9), box.in_flight) == (None, 0)
    again = box.next(10.0)
    assert again is not None
    assert again.failures == 0
