"""Follows one topic from its beginning, read committed, and knows at any time whether it is at the end.

Freshness is asked for, not assumed: `reached_the_end` asks the broker where the topic ends now and returns
once everything before that has been taken. Questions that come together share one question to the broker,
never one that was asked before theirs.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from connectors.away import Away
from connectors.kafka_access import KafkaAccess
from connectors.log_line import say

POLL_MS = 1_000
CONNECT_S = 10.0
ASK_S = 5.0
RETRY_S = 1.0


Positions = tuple[int, ...]
"""The next offset to read, by partition number; partitions beyond its end are read from their beginning."""


class Taking(Protocol):
    """What becomes of the records."""

    def take(self, record: Any) -> None:
        """Take one record of aiokafka's, in order within its partition."""

    def start_over(self) -> None:
        """Forget everything: the topic is read again from its beginning."""


class Follower:
    """Follows one topic, whatever becomes of the broker meanwhile."""

    def __init__(self, access: KafkaAccess, topic: str, taking: Taking) -> None:
        self.topic = topic
        self._access = access
        self._taking = taking
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None
        self._positions: list[int] = []
        self._moved = asyncio.Event()
        self._asking: asyncio.Task[Positions] | None = None
        self._asking_next: asyncio.Task[Positions] | None = None
        self._was_at_end = False

    @property
    def is_ready(self) -> bool:
        """Tell whether it has been at the end once."""
        return self._was_at_end

    @property
    def positions(self) -> Positions:
        """Return the next offsets, by partition."""
        return tuple(self._positions)

    def start(self) -> None:
        """Begin to follow, and go on whatever becomes of the broker."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def reached_the_end(self, within_s: float) -> Positions:
        """Return the ends as they were after this was called, once all before them was taken; Away."""
        try:
            async with asyncio.timeout(within_s):
                ends = await self._ends()
                while not self.is_beyond(ends):
                    await self._wait_moved()
                return ends
        except TimeoutError:
            raise Away(f"{self.topic} cannot be read to its end now") from None

    def is_beyond(self, positions: Positions) -> bool:
        """Tell whether everything before these positions was taken."""
        return len(self._positions) == len(positions) and all(
            mine >= theirs for mine, theirs in zip(self._positions, positions, strict=True)
        )

    async def moved_past(self, positions: Positions, seconds: float) -> None:
        """Return once something beyond these positions was taken, or after that time."""
        padded = (*positions, *([0] * max(0, len(self._positions) - len(positions))))
        try:
            async with asyncio.timeout(seconds):
                while not any(mine > theirs for mine, theirs in zip(self._positions, padded, strict=False)):
                    await self._wait_moved()
        except TimeoutError:
            return

    async def _wait_moved(self) -> None:
        await self._moved.wait()

    async def _ends(self) -> Positions:
        """Ask for the ends, together with whoever else asks from now on."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
            return await asyncio.shield(self._asking)
        if self._asking_next is None:
            # INVARIANT: the question that is under way may be older than this one, so it does not answer it.
            self._asking_next = asyncio.create_task(self._ask_after(self._asking))
            self._asking_next.add_done_callback(self._asked)
        return await asyncio.shield(self._asking_next)

    async def _ask_after(self, before: asyncio.Task[Positions]) -> Positions:
        await asyncio.wait([before])
        self._asking, self._asking_next = self._asking_next, None  # from here on this one is under way
        return await self._ask()

    def _asked(self, task: asyncio.Task[Positions]) -> None:
        if self._asking is task and self._asking_next is None:
            self._asking = None
        if not task.cancelled():
            task.exception()  # looked at: those who asked may have gone

    async def _ask(self) -> Positions:
        from aiokafka import TopicPartition
        from aiokafka.errors import KafkaError

        consumer = self._consumer
        if consumer is None or not self._positions:
            raise Away(f"{self.topic} is not there yet")
        partitions = [TopicPartition(self.topic, number) for number in range(len(self._positions))]
        try:
            ends = await asyncio.wait_for(consumer.end_offsets(partitions), ASK_S)
        except (KafkaError, OSError, TimeoutError) as error:
            raise Away(type(error).__name__) from None
        return tuple(ends[partition] for partition in partitions)

    async def _run(self) -> None:
        from aiokafka.errors import KafkaError

        while True:
            try:
                await self._follow()
            except (KafkaError, OSError, TimeoutError) as error:
                say("follows-again", topic=self.topic, error=type(error).__name__)
            except Exception as error:
                # INVARIANT: a follower that stopped in silence would show for ever what was retracted since.
                # What a defect has left is not trusted: until all is read again, whoever asks is sent away.
                say("follows-anew", topic=self.topic, error=type(error).__name__)
                self._positions = []
                self._was_at_end = False
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        from aiokafka import TopicPartition
        from aiokafka.errors import OffsetOutOfRangeError

        asking = make_consumer(self._access)
        reading = make_consumer(self._access, fetch_max_wait_ms=POLL_MS)
        try:
            # Two connections: a question must not wait behind a fetch that waits for data.
            await asyncio.wait_for(asyncio.gather(asking.start(), reading.start()), CONNECT_S)
            partitions = await _partitions(asking, self.topic)
            reading.assign([TopicPartition(self.topic, number) for number in range(partitions)])
            if len(self._positions) == partitions:
                for number, position in enumerate(self._positions):
                    reading.seek(TopicPartition(self.topic, number), position)
            else:
                await self._from_the_beginning(reading, partitions)
            self._consumer = asking
            while True:
                try:
                    await self._poll(reading, partitions)
                except OffsetOutOfRangeError:  # another topic of the same name
                    await self._from_the_beginning(reading, partitions)
        finally:
            self._consumer = None
            for consumer in (asking, reading):
                await let_go(consumer)

    async def _from_the_beginning(self, reading: Any, partitions: int) -> None:
        self._taking.start_over()
        self._positions = [0] * partitions
        self._was_at_end = False
        await reading.seek_to_beginning()

    async def _poll(self, reading: Any, partitions: int) -> None:
        from aiokafka import TopicPartition

        found = await reading.getmany(timeout_ms=POLL_MS if self._was_at_end else 50, max_records=5_000)
        for records in found.values():
            for record in records:
                self._taking.take(record)
        before = self.positions
        for number in range(partitions):
            self._positions[number] = await reading.position(TopicPartition(self.topic, number))
        if not self._was_at_end:
            self._was_at_end = self.is_beyond(await self._ask())
        if self.positions != before:
            self._moved.set()
            self._moved = asyncio.Event()


def make_consumer(access: KafkaAccess, **more: object) -> Any:
    """Return a consumer without a group that reads what is committed and never jumps by itself."""
    from aiokafka import AIOKafkaConsumer

    settings: dict[str, object] = {
        "client_id": access.client_id,
        "group_id": None,
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "metadata_max_age_ms": 60_000,
    }
    return AIOKafkaConsumer(**(access.settings() | settings | more))


async def _partitions(consumer: Any, topic: str) -> int:
    from aiokafka import TopicPartition

    # Asking for something of the topic brings its metadata, which is public only from then on.
    await asyncio.wait_for(consumer.end_offsets([TopicPartition(topic, 0)]), CONNECT_S)
    return int(max(consumer.partitions_for_topic(topic))) + 1


async def let_go(consumer: Any) -> None:
    """Stop a consumer whatever has become of the broker; CancelledError only if the caller is cancelled.

    A fetch that had just failed sleeps; aiokafka cancels it there and awaits it, and its CancelledError comes
    out.
    """
    from aiokafka.errors import KafkaError

    try:
        await asyncio.wait_for(consumer.stop(), CONNECT_S)
    except asyncio.CancelledError:
        caller = asyncio.current_task()
        if caller is None or caller.cancelling():
            raise
        await consumer._client.close()  # what would have followed
    except (KafkaError, OSError, TimeoutError):
        return
