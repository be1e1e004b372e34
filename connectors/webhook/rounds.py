"""All couriers of an installation, each endpoint with its own; a newer file is taken up while they run.

The file is looked at every few seconds. When it, or a key that it names, has changed and lies still, it is
read; if it is wrong, that is said once and what was in force stays. Only couriers of what changed are
replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from connectors.log_line import say
from connectors.trouble import Trouble
from connectors.webhook import metrics
from connectors.webhook.courier import Courier
from connectors.webhook.endpoints import Endpoint

LOOK_EVERY_S = 2.0

Load = Callable[[], Mapping[str, Endpoint]]
"""Reads the file with the keys that it names; Trouble."""


class Rounds:
    """Starts, replaces and ends couriers."""

    def __init__(self, load: Load, courier: Callable[[Endpoint], Courier]) -> None:
        self._load, self._courier = load, courier
        self._in_force: dict[str, Endpoint] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._couriers: dict[str, Courier] = {}
        self._seen: Mapping[str, Endpoint] | None = None
        self._said = ""

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """What is in force."""
        return self._in_force

    def waiting_for(self) -> list[str]:
        """Name what is waited for before everything in force can be delivered."""
        if self._seen is None and not self._in_force:
            return ["the file of webhooks"]
        return [what for courier in list(self._couriers.values()) for what in courier.waiting_for()]

    async def run(self) -> None:
        """Go on until it is cancelled; a courier's defect leaves, and Trouble with the first file."""
        try:
            await self._take_up(self._load())
            while True:
                await self._wait()
                await self._look()
        finally:
            await self._end(list(self._running))

    async def _wait(self) -> None:
        """Wait for the next look; whatever a courier ended with is raised."""
        running = list(self._running.values())
        if not running:
            await asyncio.sleep(LOOK_EVERY_S)
            return
        done, _ = await asyncio.wait(running, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def _look(self) -> None:
        try:
            found = await asyncio.to_thread(self._load)
        except Trouble as trouble:
            metrics.FILE_PROBLEMS.set(1)
            if str(trouble) != self._said:
                say("webhooks-wrong", what=trouble.what, where=trouble.where, why=trouble.why)
            self._said, self._seen = str(trouble), None
            return
        metrics.FILE_PROBLEMS.set(0)
        self._said = ""
        # INVARIANT: only what was found twice. Somebody may be copying files one by one.
        if found != self._in_force and found == self._seen:
            await self._take_up(found)
        self._seen = found

    async def _take_up(self, found: Mapping[str, Endpoint]) -> None:
        gone = [name for name, endpoint in self._in_force.items() if found.get(name) != endpoint]
        come = [endpoint for name, endpoint in found.items() if self._in_force.get(name) != endpoint]
        await self._end(gone)
        for name in set(gone) - found.keys():
            metrics.forget(name)
        for endpoint in come:
            courier = self._couriers[endpoint.name] = self._courier(endpoint)
            self._running[endpoint.name] = asyncio.create_task(courier.run())
        self._in_force = dict(found)
        say("webhooks-taken-up", endpoints=sorted(found), replaced=sorted(gone))

    async def _end(self, names: list[str]) -> None:
        tasks = [self._running.pop(name) for name in names if name in self._running]
        for name in names:
            self._couriers.pop(name, None)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
