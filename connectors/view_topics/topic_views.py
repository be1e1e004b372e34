"""View topics of Kafka as the gateway reads them: pages by offset, and the last record under a key.

Nothing of a view is kept: of each key only where its last record lies, under a hash, so that the memory of
this process names nobody. The record itself is fetched from the topic when it is asked for. By the same
index a page leaves out a view that has been replaced: until compaction the topic still holds it (V1).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import Any

from connectors.away import Away
from connectors.kafka_access import KafkaAccess
from connectors.kafka_follower import Follower, Positions, let_go, make_consumer
from connectors.view_topics.ports import Change, Expired, Page
from connectors.view_topics.records import Schemas, ViewRecords
from connectors.view_topics.shown import SUPERSEDES

WITHIN_S = 10.0
READERS_MAX = 16
IDLE_MAX = 2  # of one topic
FETCH_BYTES = 262_144
POLL_MS = 500
ATTEMPTS = 5
READ_ON_S = 2.0
"""How long a page looks for changes where everything is replaced; then it is told empty, with its cursor."""
_OFFSET_BITS = 48


class _Index:
    """Where the last record under each key lies: 16 bytes of hash to partition and offset."""

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}

    def take(self, record: Any) -> None:
        if record.key is not None:
            self._places[_digest(record.key)] = record.partition << _OFFSET_BITS | record.offset

    def start_over(self) -> None:
        self._places.clear()

    def place(self, key: bytes) -> tuple[int, int] | None:
        found = self._places.get(_digest(key))
        return None if found is None else (found >> _OFFSET_BITS, found & ((1 << _OFFSET_BITS) - 1))

    def is_later(self, key: bytes, partition: int, offset: int) -> bool:
        """Tell whether a later record under a key is known of."""
        found, at = self.place(key) or (-1, -1)
        return found == partition and at > offset

    def is_replaced(self, record: Any) -> bool:
        """Tell whether a record is a view that a later one has replaced; a retraction never is."""
        if record.value is None or record.key is None:
            return False
        return self.is_later(record.key, record.partition, record.offset)

    def is_handed_out(self, record: Any) -> bool:
        """Tell whether something of a record is told: what it superseded is, though it is replaced (V2)."""
        return record.key is not None and (not self.is_replaced(record) or bool(_superseded(record)))


class TopicViews:
    """The views of some agreements; `topic_of` names an agreement's topic."""

    def __init__(
        self,
        access: KafkaAccess,
        agreements: frozenset[str],
        topic_of: Callable[[str], str],
        schemas: Schemas,
    ) -> None:
        self._access = access
        self._topic_of = topic_of
        self._records = ViewRecords(schemas)
        self._indexes: dict[str, _Index] = {}
        self._followers: dict[str, Follower] = {}
        self._add(agreements)
        self._idle: dict[str, list[Any]] = defaultdict(list)
        self._free = asyncio.Semaphore(READERS_MAX)

    @property
    def waiting_for(self) -> list[str]:
        """Name the topics that were not read to their end yet."""
        return sorted(each.topic for each in self._followers.values() if not each.is_ready)

    def _add(self, agreements: Iterable[str]) -> None:
        for name in agreements:
            index = self._indexes[name] = _Index()
            self._followers[name] = Follower(self._access, self._topic_of(name), index)

    def start(self) -> None:
        """Begin to follow."""
        for follower in self._followers.values():
            follower.start()

    def follow(self, agreements: frozenset[str]) -> frozenset[str]:
        """Follow these topics too; return those that were not followed yet."""
        new = agreements - self._followers.keys()
        self._add(new)
        for name in new:
            self._followers[name].start()
        return new

    def is_replaced(self, agreement: str, change: Change) -> bool | None:
        """Tell whether a view has been replaced or retracted since; None while that is not known. It is as
        new as what was read, which follows the topic closely; nothing is asked.
        """
        follower = self._followers.get(agreement)
        if follower is None or not follower.is_ready:
            return None
        return self._indexes[agreement].is_later(change.key.encode(), change.partition, change.offset)

    async def renew(self, agreements: frozenset[str], within_s: float = WITHIN_S) -> None:
        """Follow these topics from now on: new ones are read to their end first, others let go."""
        new = self.follow(agreements)
        deadline = asyncio.get_running_loop().time() + within_s
        while any(not self._followers[name].is_ready for name in new):
            if asyncio.get_running_loop().time() > deadline:
                break  # a long topic: until it is read, whoever asks for it is told to come again
            await asyncio.sleep(0.05)
        for name in self._followers.keys() - agreements:
            del self._indexes[name]
            await self._followers.pop(name).stop()

    async def stop(self) -> None:
        """End."""
        await asyncio.gather(*(follower.stop() for follower in self._followers.values()))
        for consumers in self._idle.values():
            await asyncio.gather(*map(let_go, consumers))
        self._idle.clear()

    def _follower(self, agreement: str) -> Follower:
        """Whoever follows an agreement; Away for one that is followed no longer, and whoever asks
        meanwhile.
        """
        found = self._followers.get(agreement)
        if found is None:
            raise Away(f"{agreement} is not followed")
        return found

    async def page(self, agreement: str, positions: Positions, limit: int) -> Page:
        """Return at most `limit` changes from these positions on, see `ports.Views`."""
        follower, index = self._follower(agreement), self._indexes[agreement]
        # INVARIANT: the index has all that was there when the question came, before anything is read: what
        # was retracted by then is not handed out (V1).
        ends = await follower.reached_the_end(WITHIN_S)
        if len(positions) > len(ends):
            raise Expired
        reached = [*positions, *([0] * (len(ends) - len(positions)))]
        if any(at > end for at, end in zip(reached, follower.positions, strict=True)):
            raise Expired
        changes: list[Change] = []
        if not _are_beyond(reached, ends):
            async with self._reader(follower.topic, len(ends)) as reader:
                records = await _read(reader, follower.topic, reached, ends, limit, index.is_handed_out)
                reader.pause(*reader.assignment())
                found = [await self._handed_out(reader, agreement, record) for record in records]
                changes = [change for change in found if change is not None]
        return Page(changes, tuple(reached), _are_beyond(reached, ends))

    async def _handed_out(self, reader: Any, agreement: str, record: Any) -> Change | None:
        """A record as a change. A view that is replaced, and superseded other keys, is told with what is
        under its key now: its own content may no longer be permitted (V1), and what it superseded is said
        once (V2).
        """
        if not self._indexes[agreement].is_replaced(record):
            return await self._records.change(record)
        now = await self._last(reader, agreement, record.key)
        if now is None or now.value is None:
            return None
        told = now.headers + tuple(pair for pair in _superseded(record) if pair not in now.headers)
        return now._replace(headers=told, partition=record.partition, offset=record.offset)

    async def wait(self, agreement: str, positions: Positions, seconds: float) -> None:
        """Return once there is more, or after that time."""
        await self._follower(agreement).moved_past(positions, seconds)

    async def latest(self, agreement: str, key: str) -> Change | None:
        """Return the last record under a key; Away."""
        follower, raw = self._follower(agreement), key.encode()
        # INVARIANT: as fresh as the topic was when the question came.
        partitions = len(await follower.reached_the_end(WITHIN_S))
        if self._indexes[agreement].place(raw) is None:
            return None
        async with self._reader(follower.topic, partitions) as reader:
            return await self._last(reader, agreement, raw)

    async def _last(self, reader: Any, agreement: str, key: bytes) -> Change | None:
        """Return the last record under a key that is known of; None when compaction has taken it. Away."""
        follower, index = self._follower(agreement), self._indexes[agreement]
        for _ in range(ATTEMPTS):
            place = index.place(key)
            if place is None:
                return None
            record = await _one(reader, follower.topic, *place)
            if record is not None and record.key == key:
                return await self._records.change(record)
            if index.place(key) == place and record is not None:
                return None  # compaction has taken its tombstone
            await follower.reached_the_end(WITHIN_S)
        raise Away("the view changes too fast to be read")

    @asynccontextmanager
    async def _reader(self, topic: str, partitions: int) -> AsyncIterator[Any]:
        """Lend a consumer of one topic; it fetches nothing while it is idle. Away."""
        from aiokafka import TopicPartition
        from aiokafka.errors import KafkaError, OffsetOutOfRangeError

        async with self._free:
            idle = self._idle[topic]
            reader = (
                idle.pop()
                if idle
                else make_consumer(
                    self._access,
                    fetch_max_wait_ms=POLL_MS,
                    max_partition_fetch_bytes=FETCH_BYTES,
                )
            )
            whole = False
            try:
                if not reader.assignment():
                    await asyncio.wait_for(reader.start(), WITHIN_S)
                    reader.assign([TopicPartition(topic, number) for number in range(partitions)])
                    reader.pause(*reader.assignment())
                yield reader
                reader.pause(*reader.assignment())
                whole = True
            except OffsetOutOfRangeError:
                raise Expired from None
            except (KafkaError, OSError, TimeoutError) as error:
                raise Away(type(error).__name__) from None
            finally:
                if whole and len(idle) < IDLE_MAX:
                    idle.append(reader)
                else:
                    await let_go(reader)


async def _read(
    reader: Any,
    topic: str,
    reached: list[int],
    ends: Positions,
    limit: int,
    wanted_record: Callable[[Any], bool],
) -> list[Any]:
    """Read on from `reached`, which is moved, until the limit of wanted records, the ends, or some time."""
    from aiokafka import TopicPartition

    loop, began = asyncio.get_running_loop(), list(reached)
    until_s = loop.time() + READ_ON_S

    wanted = [number for number, end in enumerate(ends) if reached[number] < end]
    partitions = [TopicPartition(topic, number) for number in wanted]
    for partition in partitions:
        reader.seek(partition, reached[partition.partition])
    reader.resume(*partitions)
    records: list[Any] = []
    async with asyncio.timeout(WITHIN_S):
        while len(records) < limit and not _are_beyond(reached, ends):
            found = await reader.getmany(*partitions, timeout_ms=POLL_MS, max_records=limit - len(records))
            for each in found.values():
                records += filter(wanted_record, each)
            for partition in partitions:
                reached[partition.partition] = await reader.position(partition)
            if loop.time() > until_s and reached != began:
                break  # much that is replaced lies here: the asker goes on from where this came to
    return records


async def _one(reader: Any, topic: str, partition: int, offset: int) -> Any:
    """The first record at or behind an offset."""
    from aiokafka import TopicPartition

    at = TopicPartition(topic, partition)
    reader.seek(at, offset)
    reader.resume(at)
    found = await reader.getmany(at, timeout_ms=int(WITHIN_S * 1000), max_records=1)
    reader.pause(at)
    records = found.get(at, [])
    return records[0] if records else None


def _are_beyond(reached: list[int], ends: Positions) -> bool:
    return all(at >= end for at, end in zip(reached, ends, strict=True))


def _superseded(record: Any) -> tuple[tuple[str, str], ...]:
    """The headers of a record that name the keys it supersedes."""
    return tuple(
        (name, (raw or b"").decode("utf-8", "replace")) for name, raw in record.headers if name == SUPERSEDES
    )


def _digest(key: bytes) -> bytes:
    return blake2b(key, digest_size=16).digest()
