"""Hearing of new input topics while running: a newly registered contract needs no restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from processors.engine.journal import say
from processors.engine.settings import EngineConfig, StageSpec

Subscribe = Callable[[frozenset[str]], Awaitable[None]]


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
            say("discovery-failed", stage=spec.stage.name, error=type(error).__name__)
            continue
        if found and found != known:
            say(
                "topics-changed", stage=spec.stage.name, new=sorted(found - known), gone=sorted(known - found)
            )
            known = found
            await subscribe(found)
