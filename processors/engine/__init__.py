"""The engine around the stages: batches, transactions, state, time and recovery (DESIGN §7, V6 to V9)."""

from processors.engine.discovery import Replaceable
from processors.engine.partitions import partition_of
from processors.engine.readiness import READINESS
from processors.engine.settings import EngineConfig, StageSpec
from processors.engine.trouble import EXIT_STOPPED, EngineStop
from processors.engine.worker import run_worker

__all__ = [
    "run_worker",
    "StageSpec",
    "Replaceable",
    "EngineConfig",
    "EngineStop",
    "EXIT_STOPPED",
    "partition_of",
    "READINESS",
]
