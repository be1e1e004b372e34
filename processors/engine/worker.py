"""A worker process: the stages it was told to run, their shell, their metrics, and an orderly end."""

from __future__ import annotations

import asyncio
import gc
import logging.config
import signal
from collections.abc import Sequence

from processors.engine.journal import LIBRARIES, say
from processors.engine.readiness import READINESS
from processors.engine.rocks import RocksMemory
from processors.engine.settings import EngineConfig, StageSpec
from processors.engine.stops import remember_stops
from processors.engine.trouble import end_at_the_latest, stop_process

GC_THRESHOLD = 50_000


def run_worker(stages: Sequence[StageSpec], config: EngineConfig) -> int:
    """Run stages until SIGTERM or SIGINT and return 0; anything unexpected ends the process with code 70.

    So does an end that is not over within half a minute.
    """
    READINESS.expect(spec.stage.name for spec in stages)
    remember_stops(config)
    memory = RocksMemory(config.block_cache_bytes, config.write_buffer_bytes)
    # What was loaded so far (contracts, code) stays for good: the collector need not walk it again.
    gc.collect()
    gc.freeze()
    # Batches make and drop thousands of objects, none of them in circles: look for circles less often.
    gc.set_threshold(GC_THRESHOLD)
    if config.shell == "faust":
        from processors.engine.faust_shell import run_faust

        return run_faust(stages, config, memory)
    return asyncio.run(_run_plain(stages, config, memory))


async def _run_plain(stages: Sequence[StageSpec], config: EngineConfig, memory: RocksMemory) -> int:
    logging.config.dictConfig(LIBRARIES)
    from processors.engine.plain_shell import PlainShell

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        end_at_the_latest()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    shells = [PlainShell(spec, config, memory) for spec in stages]
    try:
        await asyncio.gather(*(shell.run(stopping) for shell in shells))
    except BaseException as error:
        stop_process("worker", error)
    say("ended")
    return 0
