"""Hearing of new rules and new input topics while running: a newly registered contract needs no restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from processors.engine.journal import say
from processors.engine.settings import EngineConfig, StageSpec
from processors.stage import Lookup, Record, Stage, Step, Tally

Subscribe = Callable[[frozenset[str]], Awaitable[None]]


class Replaceable:
    """A stage whose place another may take between two steps, because its rules are newer.

    Stages are immutable in their rules and remember nothing between steps, so the whole object is replaced.
    A step runs without a pause from its keys to its end, and so by one set of rules.
    """

    name: str
    rules_version: str | None

    def __init__(self, stage: Stage) -> None:
        self.name = stage.name
        self.replace(stage)

    def replace(self, stage: Stage) -> None:
        """Let ``stage`` do the steps from here on; if its rules count as changed, a sweep follows (V9)."""
        self.current = stage
        self.rules_version = stage.rules_version

    def keys(self, batch: Sequence[Record]) -> set[bytes]:
        """Return what the stage in force asks for."""
        return self.current.keys(batch)

    def step(self, states: Lookup, batch: Sequence[Record], wakes: Sequence[bytes], now_ms: int) -> Step:
        """Do what the stage in force does."""
        return self.current.step(states, batch, wakes, now_ms)

    def tally(self, key: bytes, body: bytes) -> Tally:
        """Count what the stage in force finds in a state."""
        return self.current.tally(key, body)


async def follow_topics(spec: StageSpec, config: EngineConfig, subscribe: Subscribe) -> None:
    """Ask now and then which topics there are, and subscribe anew when they have changed.

    Whoever cannot answer (the registry is down) is asked again: the topics known so far go on.
    """
    known = frozenset(spec.input_topics)
    while spec.discover is not None:
        await asyncio.sleep(config.discover_every_s)
        try:
            found = await spec.discover()
        except Exception as error:
            say("discovery-failed", "warning", stage=spec.stage.name, error=type(error).__name__)
            continue
        if found and found != known:
            say(
                "topics-changed", stage=spec.stage.name, new=sorted(found - known), gone=sorted(known - found)
            )
            known = found
            await subscribe(found)
