"""Placeholder."""

from processors.engine.settings import EngineConfig, StageSpec
from processors.engine.rocks import RocksMemory
from collections.abc import Sequence


def run_faust(stages: Sequence[StageSpec], config: EngineConfig, memory: RocksMemory) -> int:
    raise NotImplementedError
