"""The tasks of one stage in this process: opened at assignment, fed by one pump, closed at revocation.

Both shells use it the same way: ``assign`` and ``revoke`` from the group's callbacks, ``pump`` in a loop.
Assignment returns at once and tasks open in the background, so that a long restore holds up neither the
heartbeat nor the next rebalance.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from aiokafka import TopicPartition

from processors.engine import metrics
from processors.engine.journal import say
from processors.engine.readiness import READINESS
from processors.engine.rocks import RocksMemory, RocksStore
from processors.engine.settings import EngineConfig, StageSpec
from processors.engine.store import MemoryStore, Store
from processors.engine.task import Task
from processors.engine.trouble import InputDeleted, stop_process

TELL_EVERY_S = 1.0
FETCH_WAIT_MS = 100
"""How long one fetch waits; also how long a task that has become hungry waits for the fetch of the others."""
QUIET_AFTER_S = 1.0
QUIET_WAIT_MS = 250
"""How long one fetch waits when nothing has come for a while. The broker then answers at the first record."""

MARKERS_MAX = 16
"""Deleted offsets that are taken for transaction markers rather than for records."""


class Source(Protocol):
    """What the engine asks of a consumer; each shell brings its own."""

    async def fetch(
        self, partitions: Collection[TopicPartition], wait_ms: int
    ) -> Mapping[Any, Sequence[Any]]:
        """Return what has arrived for these partitions, by (topic, partition)."""
        ...

    async def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Return the group's committed offsets as the broker has them now."""
        ...

    async def beginnings(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that each partition still has."""
        ...

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Let the next fetch begin there."""
        ...

    def highwater(self, partition: TopicPartition) -> int | None:
        """Return the end of a partition as last heard, None if not heard yet."""
        ...

    def gather(self, wait_ms: int, bytes_min: int) -> None:
        """Let the broker answer a fetch after so long, or once it has so much; from the next fetch on."""
        ...

    async def check(self) -> None:
        """Raise what has ended this consumer's membership of its group, if something has."""
        ...


class Tasks:
    """The tasks of one stage, from one assignment to the next."""

    def __init__(self, spec: StageSpec, config: EngineConfig, source: Source, memory: RocksMemory) -> None:
        self.spec, self.config = spec, config
        self._source, self._memory = source, memory
        self._tasks: dict[int, Task] = {}
        self._inputs: dict[TopicPartition, Task] = {}
        self._openers: list[asyncio.Task[None]] = []
        self._pump_lock = asyncio.Lock()
        self._rewind = False
        self._tell_due = 0.0
        self._hungry = asyncio.Event()
        self._heard = time.monotonic()
        self._quiet = False
        self._kept: dict[int, MemoryStore] = {}
        self._name = spec.stage.name

    # -- assignment ------------------------------------------------------------------------------------

    def assign(self, assigned: Iterable[tuple[str, int]], subscribed: Mapping[str, int]) -> None:
        """Begin to open the tasks of an assignment; ``subscribed`` has each topic's number of partitions.

        A task that was not given all of its topics is left closed until the next assignment: two workers
        that hold halves of one task would fence each other for ever.
        """
        held: dict[int, set[str]] = {}
        for topic, partition in assigned:
            held.setdefault(partition, set()).add(topic)
        for partition, topics in sorted(held.items()):
            missing = {topic for topic, count in subscribed.items() if count > partition} - topics
            if missing:
                say(
                    "task-waits",
                    "warning",
                    stage=self._name,
                    partition=partition,
                    not_assigned=sorted(missing),
                )
                continue
            task = Task(self.spec, self.config, partition, self._store(partition), self._hungry.set)
            self._tasks[partition] = task
            self._openers.append(asyncio.create_task(self._open(task, topics)))
        metrics.TASKS.labels(self._name).set(len(self._tasks))
        metrics.REBALANCES.labels(self._name).inc()
        if not READINESS.beating:
            READINESS.beat(asyncio.get_running_loop())
        self._say_if_ready()

    def _store(self, partition: int) -> Store:
        if self.config.state_dir is None:
            return self._kept.setdefault(partition, MemoryStore())
        place = self.config.state_dir / self.config.instance / self._name / str(partition)
        try:
            return RocksStore(place, self._memory)
        except Exception as error:
            stop_process(f"{self._name}-{partition}", error)

    async def _open(self, task: Task, topics: set[str]) -> None:
        inputs = [TopicPartition(topic, task.partition) for topic in sorted(topics)]
        try:
            await task.open()
            # INVARIANT: no fetch spans this block. A fetch that began for the previous owner and ended for
            # this one would move the consumer past records that nobody has seen.
            async with self._pump_lock:
                if task.closed:
                    return
                committed = await self._source.committed(inputs)
                beginnings = await self._source.beginnings(inputs)
                positions = {tp: task.position(tp.topic, committed[tp], beginnings[tp]) for tp in inputs}
                self._nothing_deleted(positions, beginnings)
                await self._source.seek(positions)
                self._inputs.update(dict.fromkeys(inputs, task))
                self._heard = time.monotonic()
                task.start()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            task.stop(error)
        self._say_if_ready()

    def _say_if_ready(self) -> None:
        opened = sum(task.ready for task in self._tasks.values())
        ready = opened == len(self._tasks)
        READINESS.holds(self._name, len(self._tasks), opened)
        metrics.READY.labels(self._name).set(ready)
        if ready:
            say("ready", stage=self._name, partitions=sorted(self._tasks))

    async def revoke(self) -> None:
        """Finish the transactions in flight and close every task."""
        metrics.READY.labels(self._name).set(0)
        READINESS.lost(self._name)
        tasks, self._tasks, self._inputs = list(self._tasks.values()), {}, {}
        openers, self._openers = self._openers, []
        for opener in openers:
            opener.cancel()
        await asyncio.gather(*openers, return_exceptions=True)
        await asyncio.gather(*(task.close() for task in tasks))
        if tasks:
            say("revoked", stage=self._name, partitions=sorted(task.partition for task in tasks))

    # -- the pump --------------------------------------------------------------------------------------

    async def pump(self) -> None:
        """Fetch once for the tasks that have room, and feed them."""
        await self._until_hungry()
        async with self._pump_lock:
            if self._rewind:
                await self._source.seek({tp: task.next[tp.topic] for tp, task in self._inputs.items()})
                self._rewind = False
            wanted = {tp: task for tp, task in self._inputs.items() if self._wants(task, tp)}
            if wanted:
                await self._feed(wanted)
        if not wanted:
            if not self._tasks:
                # INVARIANT: a group that does not let us in ends the process. Without a task nothing is
                # fetched, so nothing else would ever say so, and the worker would idle for good.
                await self._source.check()
            await asyncio.sleep(FETCH_WAIT_MS / 1000 / 10)
        self._tell()

    def _wants(self, task: Task, tp: TopicPartition) -> bool:
        """Whether to fetch more: while there is room, and however full it is of what waits when nothing of
        this topic does, although more lies there. Without that no task could take the oldest first.
        """
        if not task.full:
            return True
        return task.lacks(tp.topic) and (self._source.highwater(tp) or 0) > task.next[tp.topic]

    async def _until_hungry(self) -> None:
        """Wait a little while every task works: meanwhile more comes, and one fetch brings it all."""
        self._hungry.clear()
        if self._inputs and not any(task.resting for task in self._inputs.values()):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hungry.wait(), FETCH_WAIT_MS / 1000)

    async def _feed(self, wanted: Mapping[TopicPartition, Task]) -> None:
        try:
            fetched = await self._source.fetch(wanted, self._fetch_wait_ms())
        except BaseException:
            # INVARIANT: what a broken fetch had taken is read again. The consumer has already moved past it.
            self._rewind = True
            raise
        self._listen(bool(fetched))
        for (topic, partition), records in fetched.items():
            tp = TopicPartition(topic, partition)
            if not records:
                continue
            task = wanted[tp]
            if records[0].offset > task.next[topic] and topic not in self.config.internal_topics:
                # Transaction markers leave such gaps, and so does deletion.
                self._nothing_deleted({tp: task.next[topic]}, await self._source.beginnings([tp]))
            task.feed(topic, records)

    def _fetch_wait_ms(self) -> int:
        """Be brief also while tasks open: each needs the lock once, and time is passing (V8)."""
        opening = not all(task.ready for task in self._tasks.values())
        return FETCH_WAIT_MS if opening or not self._quiet else QUIET_WAIT_MS

    def _listen(self, something: bool) -> None:
        """Ask seldom while nothing comes: idling should cost nothing, and the first record not wait."""
        now = time.monotonic()
        if something:
            self._heard = now
        quiet = now - self._heard > QUIET_AFTER_S
        if quiet != self._quiet:
            self._quiet = quiet
            busy = (self.config.fetch_wait_ms_max, self.config.fetch_bytes_min)
            self._source.gather(*((QUIET_WAIT_MS, 1) if quiet else busy))

    def _tell(self) -> None:
        """Let tasks tell how they stand, once a second: every partition of every topic is asked."""
        if time.monotonic() < self._tell_due:
            return
        self._tell_due = time.monotonic() + TELL_EVERY_S
        unread: dict[Task, int] = {}
        for tp, task in self._inputs.items():
            end = self._source.highwater(tp)
            behind = max(0, (end or 0) - task.next[tp.topic])
            if task.resting and behind <= MARKERS_MAX:
                behind = 0  # whoever rests has read all there is: transactions' markers are no records
            unread[task] = unread.get(task, 0) + behind
        for task, records in unread.items():
            task.tell(records)

    def _nothing_deleted(
        self, positions: Mapping[TopicPartition, int], beginnings: Mapping[TopicPartition, int]
    ) -> None:
        """Stop if records of a department's topic were deleted before they were read (InputDeleted).

        Internal topics need no such guess: their senders count. A few offsets may be markers of transactions
        that ended after the last record was read, which retention then took with it.
        """
        for tp, position in positions.items():
            deleted = beginnings[tp] - position
            if deleted <= 0 or tp.topic in self.config.internal_topics:
                continue
            if deleted > MARKERS_MAX:
                raise InputDeleted(
                    f"{tp.topic}-{tp.partition} begins at {beginnings[tp]}, but the next record to read is "
                    f"{position}: {deleted} offsets were deleted before they were read"
                )
            say("offsets-deleted", "warning", topic=tp.topic, partition=tp.partition, offsets=deleted)
