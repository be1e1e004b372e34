"""A record that a stage cannot step: its place is said and it is not skipped (V6).

A stage raises nothing for data's sake, so what it raises on is garbage under a task's name, or a defect. The
exception may hold somebody's data; the place never does, and is what an operator needs.
"""

from __future__ import annotations

from collections.abc import Sequence

from processors.engine.trouble import EngineStop
from processors.stage import Lookup, Record, Stage, Step


class CannotStep(EngineStop):
    """A stage raised; nothing of the batch was written, and it will be read again."""


def step_or_say_where(
    stage: Stage, states: Lookup, batch: Sequence[Record], wakes: Sequence[bytes], now_ms: int
) -> Step:
    """Step a batch; CannotStep names the first record that cannot be stepped."""
    try:
        return stage.step(states, batch, wakes, now_ms)
    except EngineStop:
        raise
    except Exception as error:
        where = (
            _where(stage, states, batch, now_ms) or f"{len(batch)} records and {len(wakes)} wakes together"
        )
        raise CannotStep(
            f"{stage.name} cannot step {where} ({type(error).__name__}): garbage under a task's name, or a "
            "defect of ours; nothing has been skipped or written, and every start will stop here again until "
            "the record can be read or somebody decides about it"
        ) from error


def _where(stage: Stage, states: Lookup, batch: Sequence[Record], now_ms: int) -> str | None:
    """Find the record by stepping each alone: a stage is pure, so what is thrown away has done nothing."""
    for record in batch:
        try:
            stage.step(states, (record,), (), now_ms)
        except Exception:
            return f"{record.topic}-{record.partition} offset {record.offset}"
    return None
