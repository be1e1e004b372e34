"""Faust is the shell: worker, consumer group, assignor, lifecycle. Everything private of it is in this file.

One Faust app per stage, so one consumer group per stage whichever stages share a process; all apps of a
process run under one Faust worker. Faust fetches and joins groups. It neither commits nor seeks: the engine's
transactions carry the offsets, and its tasks know where they stand. Records do not pass through Faust's
streams either: each fetch goes to the engine whole, because an object and a queue for every record cost more
than the stages do (docs/adr/0020).

``tests/core/test_faust_private.py`` fails when an upgrade changes anything named in :data:`PRIVATE`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import faust
from aiokafka import TopicPartition
from faust import auth
from faust.exceptions import ConsumerNotStarted
from faust.transport.consumer import Consumer as AnyConsumer
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver
from mode import Service
from mode.threads import QueueServiceThread
from mode.worker import Worker as AnyWorker

from processors.engine.consumer_stop import stop_consumer
from processors.engine.discovery import follow_topics
from processors.engine.gathering import set_gathering
from processors.engine.journal import LIBRARIES, say
from processors.engine.rocks import RocksMemory
from processors.engine.settings import EngineConfig, StageSpec
from processors.engine.tasks import Tasks
from processors.engine.trouble import EngineStop, end_at_the_latest, stop_process

PRIVATE: Mapping[Any, Mapping[str, str]] = {
    driver.Consumer: {"_new_consumer_thread": "(self)"},
    driver.AIOKafkaConsumerThread: {
        "_create_worker_consumer": "(self, transport)",
        "_ensure_consumer": "(self)",
        "on_thread_stop": "(self)",
    },
    ThreadDelegateConsumer: {"_getmany": "(self, active_partitions, timeout)"},
    AnyConsumer: {
        "getmany": "(self, timeout)",
        "perform_seek": "(self)",
        "force_commit": "(self, topics=None, start_new_transaction=True)",
    },
    QueueServiceThread: {"call_thread": "(self, fun, *args, **kwargs)", "on_thread_stop": "(self)"},
    AnyWorker: {"_stop_on_signal": "(self, signal)", "on_started": "(self)"},
}
"""What of Faust is overridden or called though it is not promised, as it is in the pinned version."""

CONSUMER_ATTRIBUTES = ("_isolation_level", "_fetch_min_bytes", "_fetch_max_wait_ms")
"""What of aiokafka's consumer is set between its construction and its start: Faust does not pass it on."""

NOWHERE = TopicPartition("", 0)

GROUP_EVERY_S = 2.0

RESTORE_S_MAX = 600.0


class Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread, with a consumer that reads committed and lets the broker gather."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        config: EngineConfig = self.app.postroom_tasks.config
        # INVARIANT: Faust reads uncommitted data unless it runs its own exactly_once.
        consumer._isolation_level = "read_committed"
        consumer._fetch_min_bytes = config.fetch_bytes_min
        consumer._fetch_max_wait_ms = config.fetch_wait_ms_max
        return consumer

    async def on_thread_stop(self) -> None:
        """Do what Faust does, but end even if the consumer breaks off its own end."""
        await QueueServiceThread.on_thread_stop(self)
        if self._consumer is not None:
            await stop_consumer(self._consumer)


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer: each fetch is one turn of the engine's pump, and no record goes on to a stream."""

    def _new_consumer_thread(self) -> Any:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit nothing: offsets are in the engine's transactions."""
        return False

    async def perform_seek(self) -> None:
        """Seek nothing: each task seeks when it has fenced its predecessor and rebuilt its state."""

    @Service.task  # type: ignore[untyped-decorator]
    async def watch_group(self) -> None:
        """End the process if the group does not let it in: Faust would wait for its first task for good."""
        while not self.should_stop:
            await self.sleep(GROUP_EVERY_S)
            try:
                await FaustSource(self.app).check()
            except (*self.consumer_stopped_errors, ConsumerNotStarted):
                continue
            except Exception as error:
                if self.should_stop:
                    return  # the thread that was asked has ended with the worker
                stop_process("group", error)

    async def getmany(self, timeout: float) -> AsyncIterator[Any]:
        """Pump once; yield nothing."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        if not self.should_stop:
            try:
                await self.app.postroom_tasks.pump()
            except self.consumer_stopped_errors:
                raise
            except Exception as error:
                stop_process("pump", error)
        nothing: tuple[Any, ...] = ()
        for record in nothing:
            yield record


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka driver with our consumer."""

    Consumer = Consumer


class FaustSource:
    """The engine's view of a Faust consumer: everything is called in the consumer's own thread."""

    def __init__(self, app: Any) -> None:
        self._app = app

    @property
    def _thread(self) -> Any:
        return self._app.consumer._thread

    async def fetch(
        self, partitions: Collection[TopicPartition], wait_ms: int
    ) -> Mapping[Any, Sequence[Any]]:
        """Return what has arrived for these partitions; nothing while Faust holds the flow."""
        fetched: Mapping[Any, Sequence[Any]] = await self._app.consumer._getmany(
            set(partitions), wait_ms / 1000
        )
        if not fetched and not self._app.consumer.flow_active:
            await asyncio.sleep(wait_ms / 1000)  # Faust answers at once while it rebalances
        return fetched

    async def committed(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Ask the broker for the group's offsets."""
        consumer = self._thread._ensure_consumer()
        return {tp: await self._thread.call_thread(consumer.committed, tp) for tp in partitions}

    async def beginnings(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Ask the broker for the first offsets."""
        consumer = self._thread._ensure_consumer()
        return dict(await self._thread.call_thread(consumer.beginning_offsets, list(partitions)))

    async def seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Move the consumer, in its thread, and return when it has moved."""
        consumer = self._thread._ensure_consumer()

        async def move() -> None:
            for tp, offset in offsets.items():
                consumer.seek(tp, offset)

        await self._thread.call_thread(move)

    def highwater(self, partition: TopicPartition) -> int | None:
        """Return the end of a partition as last heard."""
        end: int | None = self._thread._ensure_consumer().highwater(partition)
        return end

    def gather(self, wait_ms: int, bytes_min: int) -> None:
        """Tell the fetcher, which reads both for each request; two numbers, so from any thread."""
        set_gathering(self._thread._ensure_consumer(), wait_ms, bytes_min)

    async def check(self) -> None:
        """Raise the group's troubles: Faust fetches past the place where aiokafka would do so."""
        consumer = self._thread._ensure_consumer()

        async def ask() -> None:
            await consumer.getmany(NOWHERE, timeout_ms=0)

        await self._thread.call_thread(ask)


def credentials(protection: Mapping[str, Any]) -> auth.Credentials | None:
    """Say in Faust's words what protects the line and who we are; None for an open line."""
    protocol = protection.get("security_protocol", "PLAINTEXT")
    if protocol.startswith("SASL"):
        return auth.SASLCredentials(
            username=protection["sasl_plain_username"],
            password=protection["sasl_plain_password"],
            mechanism=protection["sasl_mechanism"],
            ssl_context=protection.get("ssl_context"),
        )
    return auth.SSLCredentials(protection["ssl_context"]) if protocol == "SSL" else None


def stage_app(spec: StageSpec, config: EngineConfig, memory: RocksMemory, datadir: Path) -> Any:
    """Return the Faust app of one stage."""
    app = faust.App(
        config.group(spec.stage),
        broker=[f"kafka://{address}" for address in config.bootstrap.split(",")],
        broker_credentials=credentials(config.protection()),
        broker_client_id=config.instance,
        consumer_group_instance_id=config.group_instance(spec.stage),
        store="memory://",
        datadir=datadir,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        web_tables_enabled=False,
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=config.partition_fetch_bytes_max,
        consumer_metadata_max_age_ms=config.metadata_max_age_ms,
        broker_session_timeout=config.session_timeout_ms / 1000,
        broker_heartbeat_interval=config.session_timeout_ms / 5000,
        broker_request_timeout=RESTORE_S_MAX,
        broker_max_poll_interval=24 * 3600.0,
        # At least 1, or Faust silently takes an assignor that does not keep partitions of topics together.
        table_standby_replicas=1,
    )
    app.transport = Transport(app.conf.broker_consumer, app)
    tasks = app.postroom_tasks = Tasks(spec, config, FaustSource(app), memory)
    topics = frozenset(spec.input_topics)
    app.topics.add(app.topic(*sorted(topics), acks=False))

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def revoked(app: Any, revoked: Any, **_: Any) -> None:
        try:
            await tasks.revoke()
        except Exception as error:
            stop_process("revoke", error)

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
    async def assigned(app: Any, assigned: Any, **_: Any) -> None:
        consumer = app.consumer._thread._ensure_consumer()
        tasks.assign(
            [(tp.topic, tp.partition) for tp in assigned],
            {topic: len(consumer.partitions_for_topic(topic) or ()) for topic in topics},
        )

    @app.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def stopping(app: Any, **_: Any) -> None:
        await tasks.revoke()

    async def subscribe(found: frozenset[str]) -> None:
        nonlocal topics
        topics = found
        await app.consumer.subscribe(sorted(found))

    @app.task  # type: ignore[untyped-decorator]
    async def discover() -> None:
        await follow_topics(spec, config, subscribe)

    return app


class PatientWorker(AnyWorker):  # type: ignore[misc]
    """Mode's worker, which stops once it has begun.

    Told to in the middle of its start, Mode passes over the services that have not started yet, then starts
    them, and waits for them for ever.
    """

    def __init__(self, *services: Any, **options: Any) -> None:
        super().__init__(*services, **options)
        self._begun = asyncio.Event()

    async def start(self) -> None:
        """Start, and let whoever waits to stop know if that fails."""
        try:
            await super().start()
        finally:
            self._begun.set()

    async def on_started(self) -> None:
        """Everything has begun; run."""
        self._begun.set()
        await super().on_started()

    async def _stop_on_signal(self, number: Any) -> None:
        end_at_the_latest()
        await self._begun.wait()
        await super()._stop_on_signal(number)


class Worker(PatientWorker, faust.Worker):  # type: ignore[misc]
    """Faust's worker, which neither draws in the terminal nor takes over stdout and stderr."""

    def on_init_dependencies(self) -> list[Any]:
        """Start all apps as equals; Faust knows only the first as its own."""
        for service in self.services:
            service.beacon.reattach(self.beacon)
        return list(super().on_init_dependencies())


def run_faust(stages: Sequence[StageSpec], config: EngineConfig, memory: RocksMemory) -> int:
    """Run the stages under one Faust worker until SIGTERM or SIGINT."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Faust wants a directory for tables, of which there are none: its parent must exist, it stays empty.
    datadir = (config.state_dir or Path(tempfile.gettempdir())) / config.instance / "faust"
    datadir.mkdir(parents=True, exist_ok=True)
    apps = [stage_app(spec, config, memory, datadir) for spec in stages]
    for app in apps:
        app.finalize()
    worker = Worker(
        *apps, loop=loop, loglevel="WARN", redirect_stdouts=False, quiet=True, logging_config=LIBRARIES
    )
    worker.spinner = None
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        if end.code:
            stop_process("faust", EngineStop(f"Faust gave up ({end.code}); its own words stand above"))
    except BaseException as error:
        stop_process("faust", error)
    say("ended")
    return 0
