"""What the engine is told: which stages to run, and how."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from processors.stage import Record, Stage, Trace

Prepare = Callable[[Sequence[Record]], Awaitable[None]]
"""Called with a batch before it is stepped; it may wait (for a registry), never skip."""

MESSAGE_BYTES_MAX = 32 << 20
"""The largest record between stages, and the largest state.

An event of 1 MiB (E7) is up to six as a message: a byte may need six characters of JSON. A record holds up to
32 fragments of 512 KiB (I3, R8). A broker takes 100 MiB in one request. Topics are made with it
(`postroom/topics.py`).
"""

Discover = Callable[[], Awaitable[frozenset[str]]]
"""Tells the input topics as they are now; asked again every ``discover_every_s``."""


STEP_TARGET_MS = 250
"""Under lag only; while there is none, a step has little to do (docs/adr/0009)."""

LATE_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage to run: partition p of all its input topics is one task (DESIGN §7)."""

    stage: Stage
    input_topics: tuple[str, ...]
    prepare: Prepare | None = None
    discover: Discover | None = None
    batch_max: int = 5_000
    """Records in one step, at most; with lag the larger a step is, the more of it is about the same keys, and
    ``step_target_ms`` sees to it that none takes long."""
    wakes_max: int = 500
    """Due wakes in one step, and keys of a sweep beside idle input, at most."""
    step_target_ms: int = STEP_TARGET_MS
    """A step should take no longer; the batch shrinks until it does not (V7)."""
    grows_when_late: bool = True
    """Whether steps of late input may be several times as large and as long (docs/adr/0075)."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How a worker process runs its stages."""

    bootstrap: str
    state_dir: Path | None
    """Local stores live below it, by instance, stage and partition; None keeps state in memory."""
    instance: str = "worker"
    """The name of this process among its peers; two living processes with one state_dir need two names."""
    prefix: str = "postroom"
    internal_topics: frozenset[str] = frozenset()
    """Topics between stages, whose records are counted by sender and checked by the receiver."""
    shell: Literal["faust", "plain"] = "faust"
    transaction_timeout_ms: int = 10_000
    session_timeout_ms: int = 10_000
    static_membership: bool = False
    """Keep the group's assignment while a worker of this instance name restarts: a crash then costs a second
    instead of a session timeout, but a worker that leaves for good is missed for a session timeout."""
    fetch_bytes_min: int = 1 << 20
    fetch_wait_ms_max: int = 25
    """The broker gathers records up to this long: it batches cheaper than a consumer polls (FINDINGS)."""
    metadata_max_age_ms: int = 10_000
    """How long a group may divide what its leader knew: one that joined while the broker was starting knew of
    no topic, gave nothing to anybody, and by default would have asked again after five minutes."""
    partition_fetch_bytes_max: int = 4 << 20
    """A greater record is fetched all the same, alone: brokers always answer with one."""
    message_bytes_max: int = MESSAGE_BYTES_MAX
    batch_bytes_max: int = 8 << 20
    """Input of one step, at most, but for a single greater record: what comes of it must fit into memory and
    into one transaction's time."""
    discover_every_s: float = 15.0
    block_cache_bytes: int = 64 << 20
    write_buffer_bytes: int = 64 << 20
    """Both for all stores of the process together."""
    protection: Callable[[], Mapping[str, Any]] = field(default=dict, repr=False)
    """What protects each line to Kafka and says who we are, as aiokafka takes it; asked for each client."""
    late_turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LATE_AT_ONCE), repr=False)
    """Taken by each task for a step of late input: one works while the other's transaction is committed."""
    trace: Callable[[str, Sequence[Trace], int], None] | None = field(default=None, repr=False)
    """Told after each commit of a stage's step, with the moment (UTC ms); None: nobody traces."""
    fault: str | None = field(default=None, repr=False)
    """For tests only, see :mod:`processors.engine.faults`."""

    def client(self) -> dict[str, Any]:
        """Return what every client of Kafka is built with, whatever else it is told."""
        return {"bootstrap_servers": self.bootstrap, **self.protection()}

    def group(self, stage: Stage) -> str:
        """Return the consumer group of a stage."""
        return f"{self.prefix}.{stage.name}"

    def group_instance(self, stage: Stage) -> str | None:
        """Return the name by which the group knows this process again, if it is to."""
        return f"{self.instance}-{stage.name}" if self.static_membership else None

    def changelog(self, stage: Stage) -> str:
        """Return the changelog topic of a stage: compacted, as many partitions as the stage has tasks."""
        return f"{self.prefix}.{stage.name}.changelog"

    def transactional_id(self, stage: Stage, partition: int) -> str:
        """Return the id under which a task writes: opening it again fences whoever had it."""
        return f"{self.prefix}.{stage.name}-{partition}"
