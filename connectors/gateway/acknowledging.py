"""A subscriber's obligations over HTTP: which are open, and its word that one is fulfilled (V4, ADR 0004)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from connectors.acknowledgements import HEADERS, TOPIC, acknowledgement
from connectors.away import Away
from connectors.callers import Client
from connectors.doors import Problem
from connectors.gateway.ports import Ledger, Obligation
from connectors.publishing import Sink
from schemas import format_instant

_ID = re.compile(r"o-[0-9a-f]{32}")


class Acknowledging:
    """Reads the ledger and writes acknowledgements for the subscriber that a client is bound to."""

    def __init__(
        self, ledger: Ledger, sink: Sink, now_ms: Callable[[], int], acknowledged_within_s: float
    ) -> None:
        self._ledger = ledger
        self._sink = sink
        self._now_ms = now_ms
        self._within_s = acknowledged_within_s

    async def owed(self, client: Client, *, overdue_only: bool) -> dict[str, Any]:
        """Return the subscriber's open and overdue obligations; Away."""
        now_ms = self._now_ms()
        found = [o for o in await self._ledger.of(client.party) if o.subscriber == client.party]
        shown = [_document(o, now_ms) for o in sorted(found, key=lambda o: (o.deadline_ms, o.obligation))]
        wanted = {"overdue"} if overdue_only else {"open", "overdue"}
        return {"obligations": [each for each in shown if each["state"] in wanted]}

    async def acknowledge(self, client: Client, obligation: str) -> dict[str, Any]:
        """Write the subscriber's word and wait for the broker; Problem `not-found`, the same for another's
        obligation and for none. Away, Full.
        """
        found = await self._ledger.find(obligation) if _ID.fullmatch(obligation) else None
        # INVARIANT: nobody settles another's obligation, nor learns that there is one.
        if found is None or found.subscriber != client.party:
            raise Problem("not-found", "no such obligation", why="not-its-obligation")
        if found.acknowledged_ms is not None:
            return {"obligation": obligation, "written": False}
        event = acknowledgement(obligation, f"urn:gov:{client.party}:{client.id}", self._now_ms())
        delivery = self._sink.send(TOPIC, event, HEADERS)
        await asyncio.wait({delivery}, timeout=self._within_s)
        if not delivery.done():
            raise Away("the broker has not acknowledged it")
        delivery.result()
        return {"obligation": obligation, "written": True}


def _document(owed: Obligation, now_ms: int) -> dict[str, Any]:
    return {
        "obligation": owed.obligation,
        "state": owed.state(now_ms),
        "agreement": owed.agreement,
        "key": owed.key,
        "fields": list(owed.fields),
        "since": format_instant(owed.since_ms),
        "deadline": format_instant(owed.deadline_ms),
    }
