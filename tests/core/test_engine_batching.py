"""What a step takes: how much of what waits, and which of it first (V7)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.engine.batching import BatchLimit, Waiting


def test_batches_grow_with_lag_and_shrink_while_steps_are_slow():
    """V7: a step keeps to its time, and no batch is so small that nothing moves."""
    limit = BatchLimit(2_000, 100)
    for _ in range(10):
        limit.took(limit.records, 0.01)
    assert limit.records == 2_000
    limit.took(2_000, 0.4)
    assert limit.records == 500
    for _ in range(10):
        limit.took(limit.records, 10.0)
    assert limit.records == BatchLimit.LEAST
    limit.took(3, 0.01)
    assert limit.records == BatchLimit.LEAST  # an idle task says nothing about what it could do


def test_steps_of_late_input_are_larger_and_as_before_once_it_is_not():
    """What comes in a burst after a backlog is not stepped a backlog's step at once (V7)."""
    limit = BatchLimit(2_000, 250)
    for _ in range(10):
        limit.took(limit.records, 0.3, waited_s=60)
    assert (limit.records, limit.late) == (8_000, True)
    limit.took(8_000, 2.0, waited_s=60)
    assert limit.records == 4_000  # also of late input no step takes more than a second
    limit.took(10, 0.001, waited_s=0.2)
    assert (limit.records, limit.late) == (2_000, False)


def test_a_backlog_s_second_step_is_as_large_as_what_fits():
    """One step shows how quick they are; to double a few times would fold the same people anew each time."""
    late, prompt = BatchLimit(5_000, 250), BatchLimit(5_000, 250)
    late.took(1_000, 0.04, waited_s=60)
    prompt.took(1_000, 0.04, waited_s=1)
    assert (late.records, prompt.records) == (16_000, 4_000)
    slow = BatchLimit(5_000, 250)
    slow.took(1_000, 0.4, waited_s=60)
    assert slow.records == 2_000


@pytest.mark.parametrize(
    ("waited_s", "most"), [(-3, 2_000), (4, 2_000), (8, 4_000), (16, 8_000), (3_600, 8_000)]
)
def test_how_late_input_is_decides_how_large_steps_may_be(waited_s, most):
    """From four seconds on; four times as large when it has waited for sixteen."""
    limit = BatchLimit(2_000, 250)
    for _ in range(20):
        limit.took(limit.records, 0.001, waited_s)
    assert limit.records == most


def test_a_stage_whose_transactions_hold_up_all_others_does_not_grow():
    """Persons looks at whole components (V7)."""
    limit = BatchLimit(500, 100, grows=False)
    for _ in range(10):
        limit.took(limit.records, 0.01, waited_s=60)
    assert (limit.records, limit.late) == (500, False)


def test_a_limit_is_never_above_the_most():
    """However fast the steps are, and when the most is less than what a batch begins with."""
    limit = BatchLimit(300, 100)
    for _ in range(10):
        limit.took(limit.records, 0.001)
    assert limit.records == 300


def sized(*sizes: int | None) -> list[SimpleNamespace]:
    """Fetched records of these sizes; None is a tombstone."""
    return [SimpleNamespace(value=None if size is None else b"x" * size, timestamp=0) for size in sizes]


def taken(waiting: Waiting, records_max: int) -> list[list[int]]:
    """The sizes of what one step after the other takes, to the end."""
    batches = []
    while waiting:
        batches.append([len(record.value or b"") for record in waiting.take(records_max)])
    return batches


@pytest.mark.parametrize(
    ("sizes", "records_max", "batches"),
    [
        ((1, 2, 3), 5, [[1, 2, 3]]),
        ((1, 2, 3), 2, [[1, 2], [3]]),
        ((60, 40, 1), 5, [[60, 40], [1]]),
        ((60, 41, 1), 5, [[60], [41, 1]]),
        ((500, 1, 500), 5, [[500], [1], [500]]),
        ((None, 100, None, 1), 5, [[0, 100, 0], [1]]),
    ],
)
def test_a_step_takes_so_many_records_and_bytes_but_always_one(sizes, records_max, batches):
    """Or a few hundred events of a MiB would be one transaction, and the memory of the process."""
    waiting = Waiting(bytes_max=100)
    waiting.add("in", sized(*sizes))
    assert taken(waiting, records_max) == batches


def test_a_step_takes_frames_whole_and_at_most_one_beyond_its_limit():
    """Its limit is of messages, its position is of records."""
    waiting = Waiting(bytes_max=1_000)
    waiting.add("in", sized(*range(1, 7)), [100, 100, 30, 100, 1, 1])
    assert waiting.full(166)
    assert not waiting.full(167)
    assert taken(waiting, 150) == [[1, 2], [3, 4, 5, 6]]
    assert not waiting.full(1)


def test_fetching_waits_when_two_steps_input_is_here():
    """By records or by bytes; and goes on when a step has taken some."""
    waiting = Waiting(bytes_max=100)
    waiting.add("in", sized(1, 1, 1))
    assert not waiting.full(2)
    waiting.add("in", sized(1))
    assert waiting.full(2)
    waiting.take(2)
    assert not waiting.full(2)
    waiting.add("in", sized(150, 50))
    assert waiting.full(100)
    waiting.take(100)
    assert len(waiting) == 2
    waiting.take(100)
    assert not waiting.full(100)


def test_a_topic_of_which_nothing_is_here_is_lacking():
    """Until it was fetched, and again once all of it is taken."""
    waiting = Waiting(bytes_max=100)
    waiting.add("addresses", sized(1, 1))
    assert (waiting.lacks("addresses"), waiting.lacks("consents")) == (False, True)
    waiting.take(2)
    assert waiting.lacks("addresses")


chunks = st.lists(
    st.tuples(st.sampled_from("abc"), st.lists(st.integers(0, 20), min_size=1, max_size=6)), max_size=8
)


@given(chunks, st.integers(1, 5), st.integers(1, 60))
def test_of_several_topics_the_oldest_comes_first_and_each_keeps_its_order(fetched, records_max, bytes_max):
    """Whatever was fetched before what: all is taken, once, and no step passes over an older record (V7)."""
    waiting, put, clocks = Waiting(bytes_max), [], dict.fromkeys("abc", 0)
    for topic, steps in fetched:
        for step in steps:
            clocks[topic] += step  # a broker's clock never goes back within a partition
            put.append((topic, clocks[topic], len(put)))
            record = SimpleNamespace(value=b"x" * step, timestamp=clocks[topic], what=put[-1])
            waiting.add(topic, [record])
    taken = []
    while waiting:
        batch = waiting.take(records_max)
        assert 0 < len(batch) <= records_max
        assert len(batch) == 1 or sum(len(each.value) for each in batch) <= bytes_max
        taken += [each.what for each in batch]
    assert [at_ms for _, at_ms, _ in taken] == sorted(at_ms for _, at_ms, _ in put)
    for topic in "abc":
        assert [each for each in taken if each[0] == topic] == [each for each in put if each[0] == topic]
