"""The contract of a task's local store, run against every adapter (V6, V8, V9)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.engine.changelog import TASK_KEY, TaskMemory, decode_memory, pack_state
from processors.engine.rocks import RocksMemory, RocksStore
from processors.engine.store import MemoryStore, Store, StoreTaken
from processors.stage import State


def packed(body: bytes, wake: int | None = None) -> bytes:
    return pack_state(State(body, wake))


class StoreContract:
    """What every adapter promises."""

    @pytest.fixture
    def store(self) -> Store:
        raise NotImplementedError

    def test_an_empty_store_knows_nothing(self, store):
        """No offset, no value, no wake, no key."""
        assert store.offset == 0
        assert store.get_many([b"a"]) == {}
        assert store.next_wake_ms() is None
        assert store.due(1 << 50, 10) == []
        assert store.keys_after(b"", 10) == []

    def test_it_returns_what_was_put_and_only_that(self, store):
        """Values by key; a None value deletes; the offset moves with them."""
        store.put({b"a": packed(b"1"), b"b": packed(b"2")}, 7)
        store.put({b"b": None, b"c": packed(b"")}, 9)
        assert store.get_many([b"a", b"b", b"c", b"d"]) == {b"a": packed(b"1"), b"c": packed(b"")}
        assert store.offset == 9

    def test_a_wake_is_due_at_its_moment_and_until_it_is_answered(self, store):
        """Not a millisecond before; again if the step that answered it never committed."""
        store.put({b"a": packed(b"1", 100), b"b": packed(b"2", 50)}, 1)
        assert store.due(49, 10) == []
        assert store.next_wake_ms() <= 50
        assert store.due(50, 10) == [b"b"]
        assert store.due(50, 10) == [b"b"]
        assert store.due(200, 10) == [b"b", b"a"]
        assert store.due(200, 1) == [b"b"]
        store.put({b"b": packed(b"2")}, 2, store.get_many([b"b"]))
        assert store.due(200, 10) == [b"a"]

    def test_a_wake_that_moved_is_due_once_and_at_the_new_moment(self, store):
        """Whether or not the caller knew the value before."""
        store.put({b"a": packed(b"1", 100)}, 1)
        store.put({b"a": packed(b"1", 300)}, 2)
        assert store.due(299, 10) == []
        store.put({b"a": packed(b"1", 200)}, 3, store.get_many([b"a"]))
        assert store.due(250, 10) == [b"a"]
        store.put({b"a": packed(b"1", 100)}, 4)
        assert store.due(250, 10) == [b"a"]

    def test_a_deleted_key_is_never_due(self, store):
        """Its wake dies with it."""
        store.put({b"a": packed(b"1", 100)}, 1)
        store.put({b"a": None}, 2)
        assert store.due(1000, 10) == []
        assert store.next_wake_ms() is None

    def test_keys_come_in_byte_order_after_a_cursor_without_the_task_memory(self, store):
        """A sweep walks them in portions and ends (V9)."""
        names = [b"b", b"a", b"c\xff", b"c"]
        store.put({name: packed(b"x", 5) for name in names} | {TASK_KEY: TaskMemory().encode()}, 1)
        assert store.keys_after(b"", 3) == [b"a", b"b", b"c"]
        assert store.keys_after(b"c", 3) == [b"c\xff"]
        assert store.keys_after(b"c\xff", 3) == []

    def test_wiping_forgets_everything(self, store):
        """Afterwards it is as new."""
        store.put({b"a": packed(b"1", 1)}, 5)
        store.wipe()
        self.test_an_empty_store_knows_nothing(store)


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()


class TestRocksStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        self.place, self.number, self.memory = tmp_path, 0, RocksMemory(1 << 20, 1 << 20)

    def fresh(self):
        self.number += 1
        return RocksStore(self.place / "stage" / str(self.number), self.memory)

    @pytest.fixture
    def store(self, _place):
        store = self.fresh()
        yield store
        store.close()

    def again(self, path: Path) -> RocksStore:
        return RocksStore(path, self.memory)

    def test_reopened_it_has_the_same_values_offset_and_wakes(self):
        """A warm start replays only the tail of the changelog."""
        store = self.fresh()
        store.put({b"a": packed(b"1", 100)}, 5)
        store.due(50, 10)
        store.keys_after(b"", 1)
        store.close()
        store = self.again(self.place / "stage" / "1")
        assert (store.offset, store.next_wake_ms(), store.due(100, 1)) == (5, 100, [b"a"])
        store.close()

    def test_a_deleted_directory_is_an_empty_store(self):
        """It will be rebuilt from the changelog."""
        store = self.fresh()
        store.put({b"a": packed(b"1")}, 5)
        store.close()
        shutil.rmtree(self.place / "stage" / "1")
        store = self.again(self.place / "stage" / "1")
        assert store.offset == 0
        store.close()

    @pytest.mark.parametrize("victim", ["CURRENT", "MANIFEST*", "*.sst"])
    @pytest.mark.parametrize("harm", ["junk", "missing"])
    def test_a_damaged_directory_is_an_empty_store_or_the_whole_one(self, victim, harm):
        """Never a part of it: an offset without what it reflects would be a loss."""
        store = self.fresh()
        store.put({b"%d" % number: packed(b"x" * 100) for number in range(1000)}, 5)
        store._db.flush()
        store.close()
        files = list((self.place / "stage" / "1").glob(victim))
        assert files
        for file in files:
            file.write_bytes(b"junk" * 50) if harm == "junk" else file.unlink()
        store = self.again(self.place / "stage" / "1")
        found = len(store.keys_after(b"", 5000))
        assert (store.offset, found) in {(0, 0), (5, 1000)}
        store.close()

    @pytest.mark.parametrize("kept", [1, 0.5, 0])
    def test_it_is_closed_without_a_flush_and_its_log_gives_back_all_or_a_beginning(self, kept):
        """A flush would wait for compactions. A log cut short gives an offset with just what it reflects."""
        store = self.fresh()
        for number in range(1, 51):
            store.put({b"%d" % number: packed(b"x" * 100)}, number)
        store.close()
        place = self.place / "stage" / "1"
        assert not list(place.glob("*.sst"))
        for log in place.glob("*.log"):
            log.write_bytes(log.read_bytes()[: int(log.stat().st_size * kept)])
        store = self.again(place)
        assert store.offset == len(store.keys_after(b"", 100))
        assert store.offset == 50 * kept or 0 < kept < 1
        store.close()

    def test_a_store_that_another_owner_has_open_is_left_alone(self):
        """It is not damage, and must not be deleted under its owner."""
        store = self.fresh()
        store.put({b"a": packed(b"1")}, 5)
        with pytest.raises(StoreTaken):
            self.again(self.place / "stage" / "1")
        assert store.get_many([b"a"])
        store.close()


def test_the_task_memory_survives_its_encoding():
    """Counts, positions, the sweep's cursor (any bytes) and the clock."""
    memory = TaskMemory(
        now_ms=5, positions={"t": 3}, sent={"u": {0: 7}}, seen={"t": {"intake-0": 2}}, swept="v1"
    )
    assert decode_memory(memory.encode()) == memory


STEPS = st.lists(
    st.tuples(
        st.sampled_from([b"a", b"b", b"c", b"d"]),
        st.one_of(st.none(), st.integers(1, 9)),
        st.booleans(),
        st.booleans(),
    ),
    max_size=30,
)
MEMORY = RocksMemory(1 << 20, 1 << 20)


@pytest.mark.parametrize("kind", ["memory", "rocks"])
@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_due_equals_a_search_through_all_values(kind, steps, tmp_path_factory):
    """Whatever is put, deleted, known or unknown before: the index agrees with the values (V8)."""
    store = MemoryStore() if kind == "memory" else RocksStore(tmp_path_factory.mktemp("s") / "0", MEMORY)
    model = {}
    for offset, (key, wake, delete, known) in enumerate(steps, 1):
        store.put(
            {key: None if delete else packed(b"x", wake)}, offset, store.get_many([key]) if known else None
        )
        model.pop(key, None)
        if wake and not delete:
            model[key] = wake
        now = offset % 10
        due = sorted(key for key, moment in model.items() if moment <= now)
        assert sorted(store.due(now, 100)) == due
    store.close()
