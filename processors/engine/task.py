"""A task: partition p of all input topics of a stage, one transactional producer, one store (DESIGN §7).

The order at assignment is the promise (V6): open the producer, which fences the previous owner → replay the
changelog → read the committed offsets → seek → feed. Then, per batch: read, load the states of the distinct
keys at once, fold, one transaction, and only after its commit the local store.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced

from processors.engine import metrics
from processors.engine.admission import admit
from processors.engine.backlog import Backlog
from processors.engine.batching import BatchLimit, Waiting
from processors.engine.changelog import TASK_KEY, TaskMemory, body_of, pack_state
from processors.engine.counts import origin_of
from processors.engine.faults import faults_from
from processors.engine.gauges import TaskGauges
from processors.engine.journal import say, say_notices
from processors.engine.poison import step_or_say_where
from processors.engine.restore import restore
from processors.engine.settings import EngineConfig, StageSpec
from processors.engine.stops import note_transaction
from processors.engine.store import Store, StoreCorrupt
from processors.engine.sweep import Sweeper
from processors.engine.tallies import add, count_what_nobody_counted, growth
from processors.engine.transaction import Transactor
from processors.engine.trouble import EngineStop, OffsetsMoved, stop_process
from processors.stage import Record, State, Step

TELL_GROUP_S = 1.0
"""How often the group is told where this task stands. It reads on from its own memory; the group's offsets
are for whoever looks from outside and for the check at assignment, and telling them with every step would be
a quarter of what a transaction costs (docs/adr/0016)."""
LOOK_AGAIN_S = 0.5
"""An idle task looks at the clock and at its stage's rules this often (V8 allows a second)."""


def wall_clock_ms() -> int:
    """Return the time of this machine, UTC."""
    return time.time_ns() // 1_000_000


class Task:
    """One task of one stage, from assignment to revocation; a new assignment is a new object."""

    def __init__(
        self,
        spec: StageSpec,
        config: EngineConfig,
        partition: int,
        store: Store,
        hungry: Callable[[], None],
        clock: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.spec, self.partition = spec, partition
        self.next: dict[str, int] = {}
        """The next offset to feed, by input topic."""
        self.ready = False
        """Set by the owner once the consumer stands where this task begins."""
        self.resting = True
        """Whether it has nothing to do; ``hungry`` is called when that becomes so."""
        self._hungry = hungry
        self._config, self._store, self._clock = config, store, clock
        self._stage = spec.stage
        self._group = config.group(spec.stage)
        self._changelog = TopicPartition(config.changelog(spec.stage), partition)
        self._transactor = Transactor(
            config, config.transactional_id(spec.stage, partition), f"{spec.stage.name}-{partition}"
        )
        self._limit = BatchLimit(spec.batch_max, spec.step_target_ms, grows=spec.grows_when_late)
        self._waiting = Waiting(config.batch_bytes_max)
        self._backlog = Backlog()
        self._gauges = TaskGauges(spec.stage.name, partition)
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._committing = False
        self._untold: dict[TopicPartition, int] = {}
        self._told_at_s = float("-inf")
        self._runner: asyncio.Task[None] | None = None
        self._memory = TaskMemory()
        self._fault = faults_from(config.fault)

    async def open(self) -> None:
        """Fence the previous owner and rebuild the state that it committed."""
        await self._transactor.open()
        self._fault("opened, state not replayed")
        self._memory = await restore(
            self._config.client(), self._changelog, self._store, self._stage.name, self._tell_restored
        )
        await asyncio.to_thread(count_what_nobody_counted, self._memory, self._store, self._stage)
        self._sweeper = Sweeper(self._memory, self._store)
        self._fault("state replayed, not seeked")

    def position(self, topic: str, committed: int | None, beginning: int) -> int:
        """Return where this task reads on in a topic: where its state stands, checked against the group.

        Raises OffsetsMoved if someone moved the group's offsets. A group that has forgotten them (brokers do,
        after a week without members) is no reason to begin again.
        """
        own = self._memory.positions.get(topic)
        told = self._memory.told.get(topic, own)
        # INVARIANT: what the group was told was committed with the state: they agree, or somebody interfered.
        if told is not None and committed is not None and told != committed:
            raise OffsetsMoved(
                f"group {self._group} stands at {committed} in {topic}-{self.partition}, but the state "
                f"committed with it at {told}: offsets were moved by hand; move them back, or empty the "
                "stage's changelog and outputs together"
            )
        if own is None and committed is not None:
            raise OffsetsMoved(
                f"group {self._group} has an offset in {topic}-{self.partition} that {self._changelog.topic} "
                "does not know: the changelog is not the one that was written with it"
            )
        if own is not None and own != committed:
            self._untold[TopicPartition(topic, self.partition)] = own  # the last owner ended before it told
        position = beginning if own is None else own
        self.next[topic] = position
        return position

    def start(self) -> None:
        """Begin to step; the consumer stands at :attr:`next`."""
        self.ready = True
        self._runner = asyncio.create_task(self._run(), name=f"{self._stage.name}-{self.partition}")

    async def close(self) -> None:
        """Finish the transaction in flight, drop what is only queued, let go."""
        self.ready = False
        self._closing.set()
        self._arrived.set()
        if self._runner is not None:
            await self._runner
        await self._transactor.close()
        self._store.close()
        self._gauges.forget()

    @property
    def full(self) -> bool:
        """Whether enough is waiting that fetching more can wait too."""
        return self._waiting.full(self._limit.records)

    def lacks(self, topic: str) -> bool:
        """Whether nothing of a topic is waiting: what lies there may be older than all that is."""
        return self._waiting.lacks(topic)

    @property
    def closed(self) -> bool:
        """Whether it has been revoked: what is fed now belongs to somebody else."""
        return self._closing.is_set()

    @property
    def lag_fed(self) -> int:
        """Records fetched and not yet stepped."""
        return len(self._waiting)

    def feed(self, topic: str, records: Sequence[Any]) -> None:
        """Take fetched records in order; a closed task drops them, its successor reads them again."""
        if self.closed:
            return
        if topic in self._config.internal_topics:
            origins = (origin_of(record.headers) for record in records)
            self._waiting.add(topic, records, (origin.messages if origin else 1 for origin in origins))
        else:
            self._waiting.add(topic, records)
        self._backlog.add(topic, records)
        self.next[topic] = records[-1].offset + 1
        self.resting = False
        self._arrived.set()

    def tell(self, unread: int) -> None:
        """Set this task's gauges; ``unread`` is what its topics hold beyond what was fetched."""
        memory, gauges, now_ms = self._memory, self._gauges, self._clock()
        gauges.tell(metrics.LAG, self.lag_fed + unread)
        gauges.tell(metrics.LAG_SECONDS, self._backlog.age_s(now_ms))
        gauges.tell(metrics.SWEEPING, memory.sweep is not None)
        gauges.tell(metrics.SWEPT_KEYS, memory.sweep.done if memory.sweep else 0)
        gauges.tell_tallies(memory.tallies, now_ms)

    def _tell_restored(self, share: float) -> None:
        self._gauges.tell(metrics.RESTORE_PROGRESS, share)

    async def _run(self) -> None:
        try:
            while not self.closed:
                if not await self._turn():
                    await self._idle()
        except BaseException as error:
            self.stop(error)

    def stop(self, error: BaseException) -> NoReturn:
        """End the process, saying why; a store that cannot be read is deleted first, to be rebuilt."""
        if isinstance(error, StoreCorrupt):
            with suppress(Exception):
                self._store.wipe()
        if isinstance(error, ProducerFenced):
            note_transaction(self._stage.name, "fenced")
            error = EngineStop("another worker has taken this task over: the producer was fenced")
        elif self._committing:
            note_transaction(self._stage.name, "aborted")
        stop_process(f"{self._stage.name}-{self.partition}", error)

    async def _turn(self) -> bool:
        """Do one step if there is anything to do."""
        if not self._limit.late:
            return await self._work()
        # INVARIANT: large steps by turns. A transaction stays open while other tasks of the process step, and
        # with a dozen of them stepping for a second each it would time out.
        async with self._config.late_turns:
            return await self._work()

    async def _work(self) -> bool:
        if self.closed:
            return True
        now_ms = max(self._memory.now_ms, self._clock())
        wakes = self._store.due(now_ms, self.spec.wakes_max)
        sweeping = self._sweeper.begin(self._stage.rules_version)
        if not (self._waiting or wakes or sweeping or (self._untold and self._is_time_to_tell())):
            return False
        fetched = self._waiting.take(self._limit.records)
        offsets, (batch, since_ms) = self._offsets(fetched), self._admitted(fetched)
        if batch and self.spec.prepare and not await self._prepared(batch):
            return True
        portion = (
            self._sweeper.portion(max(1, self.spec.wakes_max // (4 if batch else 1))) if sweeping else []
        )
        await self._step(batch, offsets, wakes, portion, now_ms, now_ms if since_ms is None else since_ms)
        return True

    async def _idle(self) -> None:
        self._arrived.clear()
        if self._waiting or self.closed:
            return
        self.resting = True
        self._hungry()
        next_wake = self._store.next_wake_ms()
        seconds = LOOK_AGAIN_S
        if next_wake is not None:
            seconds = min(seconds, max(0.001, (next_wake - self._clock()) / 1000))
        try:
            await asyncio.wait_for(self._arrived.wait(), seconds)
        except TimeoutError:
            return

    async def _prepared(self, batch: list[Record]) -> bool:
        """Let the composition prepare a batch for as long as it takes; False if revoked meanwhile."""
        assert self.spec.prepare is not None  # noqa: S101
        preparing = asyncio.ensure_future(self.spec.prepare(batch))
        closing = asyncio.ensure_future(self._closing.wait())
        await asyncio.wait((preparing, closing), return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        if preparing.done():
            preparing.result()
            return True
        preparing.cancel()
        return False

    async def _step(
        self,
        batch: list[Record],
        offsets: dict[TopicPartition, int],
        wakes: list[bytes],
        portion: list[bytes],
        now_ms: int,
        since_ms: int,
    ) -> None:
        """Fold one batch, the oldest of which waits since then, and write all that follows from it, once."""
        started = time.perf_counter()
        delivered = list(dict.fromkeys((*wakes, *portion)))
        wanted = {*self._stage.keys(batch), *delivered}
        before = self._store.get_many(wanted)
        step = step_or_say_where(self._stage, self._lookup(before, wanted), batch, delivered, now_ms)
        changes = self._changes(step, wakes, before, now_ms)
        add(self._memory, growth(changes, before))
        add(self._memory, step.tallies)
        stepped = time.perf_counter()
        routed = await self._transactor.routed(step.outgoing, self._memory.sent, since_ms)
        self._memory.now_ms = now_ms
        told = self._to_tell(offsets)
        changes[TASK_KEY] = self._memory.encode()
        began = time.perf_counter()
        self._committing = True
        end = await self._transactor.commit(
            routed, self._changelog, changes, told, group=self._group, fault=self._fault
        )
        committed = time.perf_counter()
        self._committing = False
        self._fault("committed, store not written")
        # INVARIANT: only now. The store never leads the log, so what it holds was committed.
        self._store.put(changes, end, before)
        self._fault("store written")
        self._backlog.done(self._memory.positions)
        self._limit.took(len(batch), began - started, (now_ms - since_ms) / 1000)
        self._count(step, len(batch), len(wakes), len(portion))
        name = self._stage.name
        metrics.STEP.labels(name).observe(stepped - started)
        metrics.TRANSACTION.labels(name).observe(committed - began)

    def _offsets(self, fetched: Sequence[Any]) -> dict[TopicPartition, int]:
        last = {record.topic: record.offset + 1 for record in fetched}
        self._memory.positions.update(last)
        return {TopicPartition(topic, self.partition): offset for topic, offset in last.items()}

    def _is_time_to_tell(self) -> bool:
        return time.monotonic() - self._told_at_s >= TELL_GROUP_S

    def _to_tell(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return what the group is told with this step: everything it does not know, once a second."""
        self._untold.update(offsets)
        if not self._is_time_to_tell():
            return {}
        told, self._untold, self._told_at_s = self._untold, {}, time.monotonic()
        self._memory.told.update((place.topic, offset) for place, offset in told.items())
        return told

    def _admitted(self, fetched: Sequence[Any]) -> tuple[list[Record], int | None]:
        """Return the messages of what was fetched, and since when the oldest waits; count and say what no
        task of ours wrote.
        """
        batch, foreign, since_ms = admit(fetched, self._config.internal_topics, self._memory.seen)
        if foreign:
            metrics.FOREIGN.labels(self._stage.name).inc(foreign)
            say(
                "foreign-records",
                "warning",
                stage=self._stage.name,
                partition=self.partition,
                records=foreign,
            )
        return batch, since_ms

    def _lookup(self, before: dict[bytes, bytes], wanted: set[bytes]) -> Callable[[bytes], bytes | None]:
        """Return what a step reads states by; what was not loaded with the batch is loaded when asked for."""
        store = self._store
        absent = wanted - before.keys()

        def lookup(key: bytes) -> bytes | None:
            packed = before.get(key)
            if packed is None and key not in absent:
                packed = store.get_many((key,)).get(key)
                if packed is None:
                    absent.add(key)
                else:
                    before[key] = packed
            return None if packed is None else body_of(packed)

        return lookup

    def _changes(
        self, step: Step, wakes: Sequence[bytes], before: Mapping[bytes, bytes], now_ms: int
    ) -> dict[bytes, bytes | None]:
        """Return the changelog records of a step; a wake that was delivered and not renewed is over."""
        changes: dict[bytes, bytes | None] = {}
        for key, state in step.states.items():
            if key[:1] == b"\0":
                raise EngineStop(f"stage {self._stage.name} used a key that begins with a zero byte")
            if state is not None and state.wake_ms is not None and state.wake_ms <= now_ms:
                # A wake that is already past comes a millisecond later, or a step would never end.
                state = State(state.body, now_ms + 1)  # noqa: PLW2901
            changes[key] = None if state is None else pack_state(state)
        for key in wakes:
            if key not in changes and key in before:
                changes[key] = pack_state(State(body_of(before[key])))
        return changes

    def _count(self, step: Step, records: int, wakes: int, swept: int) -> None:
        name = self._stage.name
        if step.notices:
            say_notices(name, self.partition, step.notices)
        committed_ms = wall_clock_ms()
        metrics.count_step(name, step.outcomes, step.latencies, committed_ms)
        if step.traces and self._config.trace is not None:
            self._config.trace(name, step.traces, committed_ms)
        metrics.RECORDS.labels(name).inc(records)
        metrics.BATCH.labels(name).observe(records)
        metrics.TRANSACTIONS.labels(name, "committed").inc()
        if wakes:
            metrics.WAKES.labels(name, "moment").inc(wakes)
        if swept:
            metrics.WAKES.labels(name, "sweep").inc(swept)
