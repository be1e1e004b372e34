"""How often this instance has ended itself, kept in a file: a process that ends is never scraped again.

The next process under the same instance name takes the counts over, so that Prometheus sees them rise. They
are figures for an operator, and nothing depends on them: what cannot be read or written is left.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from processors.engine import metrics
from processors.engine.settings import EngineConfig


class Stops(msgspec.Struct):
    """Ends by error, and transactions by ``stage/result`` that such an end broke off."""

    errors: dict[str, int] = {}
    transactions: dict[str, int] = {}


class _Kept:
    """Where this process keeps them, once it knows."""

    file: Path | None = None


def remember_stops(config: EngineConfig) -> None:
    """Tell Prometheus of the ends of earlier processes, and remember this one's, if there is a place."""
    if config.state_dir is None:
        _Kept.file = None
        return
    _Kept.file = config.state_dir / config.instance / "stops.json"
    kept = _read(_Kept.file)
    for error, times in kept.errors.items():
        metrics.STOPS.labels(error).inc(times)
    for name, times in kept.transactions.items():
        metrics.TRANSACTIONS.labels(*name.split("/", 1)).inc(times)


def note_stop(error: str) -> None:
    """Note that this process ends itself."""
    _note(lambda kept: kept.errors, error)


def note_transaction(stage: str, result: str) -> None:
    """Note a transaction that did not commit: fenced, or aborted."""
    _note(lambda kept: kept.transactions, f"{stage}/{result}")


def _note(of: Callable[[Stops], dict[str, int]], name: str) -> None:
    if _Kept.file is None:
        return
    with suppress(OSError):
        kept = _read(_Kept.file)
        counts = of(kept)
        counts[name] = counts.get(name, 0) + 1
        _Kept.file.parent.mkdir(parents=True, exist_ok=True)
        beside = _Kept.file.with_suffix(f".{os.getpid()}")
        beside.write_bytes(msgspec.json.encode(kept))
        beside.replace(_Kept.file)


def _read(file: Path) -> Stops:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Stops)
    except (OSError, msgspec.DecodeError):
        return Stops()
