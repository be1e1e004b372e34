"""What tests of webhooks share: an endpoint, a topic that compacts, a receiver that one commands."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from connectors.kafka_follower import Positions
from connectors.view_topics.ports import Change, Expired, Page
from connectors.webhook.endpoints import Endpoint
from connectors.webhook.signatures import read_key

AGREEMENT = "council-leeds-housing"
SECRET = "whsec_" + base64.b64encode(b"a secret of 32 bytes for testing").decode()
PRIVATE = "whsk_" + base64.b64encode(bytes(range(32))).decode()
DAY_MS = 24 * 3_600_000

ENDPOINT = Endpoint(
    name="leeds",
    subscriber="council-leeds",
    agreements=(AGREEMENT,),
    url="https://hooks.leeds.example/postroom",
    origin="postroom.example",
    keys=(read_key(SECRET), read_key(PRIVATE)),
    bearer=None,
    requests_per_minute=60_000,
    in_flight_max=4,
    timeout_s=5.0,
    park_after=5,
    pause_s_max=0.05,
)


def endpoint(**changes: Any) -> Endpoint:
    """An endpoint that differs from the usual one."""
    return replace(ENDPOINT, **changes)


def change(
    key: str, sequence: int, value: dict[str, Any] | None, offset: int = 0, partition: int = 0, at_ms: int = 0
) -> Change:
    """A record of a view topic as the gateway decodes it (V3)."""
    kind = "retracted" if value is None else "updated"
    headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", f"{AGREEMENT}@1/{key}/{sequence}"),
        ("ce_source", "urn:gov:postroom:record"),
        ("ce_type", f"uk.gov.postroom.view-{kind}.v1"),
        ("ce_time", "2026-03-02T09:00:00.000Z"),
        ("ce_subject", key),
        ("postroom_sequence", str(sequence)),
        ("postroom_agreement", f"{AGREEMENT}@1"),
        ("postroom_cause", "c" * 32),
    ]
    headers += [("postroom_reason", "ended")] if value is None else []
    return Change(key, value, tuple(headers), at_ms, partition, offset)


class Topic:
    """A compacted view topic of some partitions: what was superseded goes, and in time tombstones do."""

    def __init__(self, now_ms: Callable[[], int] = lambda: 0, partitions: int = 2) -> None:
        self._now_ms = now_ms
        self.records: list[list[Change]] = [[] for _ in range(partitions)]
        self.ends = [0] * partitions
        self.sequences: dict[str, int] = {}
        self.live: dict[str, bool] = {}

    def publish(self, key: str, value: dict[str, Any] | None) -> Change:
        """Write a view, or its retraction."""
        sequence = self.sequences[key] = self.sequences.get(key, 0) + 1
        partition = sum(key.encode()) % len(self.ends)
        made = change(key, sequence, value, self.ends[partition], partition, self._now_ms())
        self.records[partition].append(made)
        self.ends[partition] += 1
        self.live[key] = value is not None
        return made

    def is_replaced(self, agreement: str, change: Change) -> bool | None:
        """As `view_topics.TopicViews` knows it."""
        return any(
            each.key == change.key and each.offset > change.offset for each in self.records[change.partition]
        )

    def compact(self) -> None:
        """Drop what must be gone by now: superseded for a day, a tombstone for 30 days and that day (V1)."""
        now_ms = self._now_ms()
        for number, records in enumerate(self.records):
            last = {each.key: each.offset for each in records}
            self.records[number] = [
                each
                for each in records
                if (each.offset == last[each.key] or now_ms - each.timestamp_ms < DAY_MS)
                and (each.value is not None or now_ms - each.timestamp_ms < 31 * DAY_MS)
            ]

    def read(self, positions: Positions, limit: int) -> Page:
        """A page, from there on."""
        if len(positions) > len(self.ends):
            raise Expired
        at = [*positions, *([0] * (len(self.ends) - len(positions)))]
        if any(mine > end for mine, end in zip(at, self.ends, strict=True)):
            raise Expired
        found: list[Change] = []
        for number, records in enumerate(self.records):
            for each in records:
                if each.offset >= at[number] and len(found) < limit:
                    found.append(each)
                    at[number] = each.offset + 1
            if len(found) < limit:
                at[number] = self.ends[number]
        return Page(found, tuple(at), at == self.ends)

    async def page(self, positions: Positions, limit: int, wait_s: float) -> Page:
        """As `reader.Pages` has it."""
        import asyncio

        found = self.read(positions, limit)
        if not found.changes:
            await asyncio.sleep(min(wait_s, 0.02))
        return found

    async def close(self) -> None:
        """Nothing is open."""


class Receiver:
    """A real HTTP server on this machine that answers as it is told and remembers what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.asked: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, Any]], tuple[int, dict[str, str]]] = lambda _: (204, {})
        self.permission: dict[str, str] = {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_OPTIONS(self) -> None:
                outer.asked.append({name.lower(): text for name, text in self.headers.items()})
                self._say(200, outer.permission)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): text for name, text in self.headers.items()}
                status, more = outer.answer(json.loads(body))
                outer.got.append((headers, body))
                self._say(status, more)

            def _say(self, status: int, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                if status != 204:
                    self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def events(self) -> list[dict[str, Any]]:
        """The bodies, parsed."""
        return [json.loads(body) for _, body in self.got]

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
