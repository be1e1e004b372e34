"""The webhook process and a receiver beside an installation, for flow tests of what arrives there."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from connectors.ports import free_port
from tests.flow.spine import COMMAND, ROOT, Installation

AGREEMENT = "council-york-carers"
PATIENCE_S = 120
KEY = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, no more").decode()
FILE = """\
origin: postroom.example
endpoints:
  york:
    subscriber: SUBSCRIBER
    agreements: [AGREEMENT]
    url: http://127.0.0.1:PORT/postroom
    keys: [{env: LEEDS_WEBHOOK_KEY}]
    requests_per_minute: 60000
    pause_s_max: 0.5
    park_after: 10000
"""


class Webhooks:
    """The webhook process and a receiver's process of an installation, and what feeds it."""

    def __init__(
        self, own: Installation, subscriber: str = "council-york", agreement: str = AGREEMENT
    ) -> None:
        self.own, self.port = own, free_port()
        self.file, self.got = own.place / "webhooks.yaml", own.place / "got.jsonl"
        text = FILE.replace("PORT", str(self.port)).replace("SUBSCRIBER", subscriber)
        self.file.write_text(text.replace("AGREEMENT", agreement))
        own.environ |= {
            "POSTROOM_WEBHOOKS": str(self.file),
            "POSTROOM_WEBHOOK_NETWORKS": "127.0.0.0/8",
            "LEEDS_WEBHOOK_KEY": KEY,
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        commands = {
            "webhook": [*COMMAND, "webhook", "run"],
            "files": [*COMMAND, "files", "run"],
            "receiver": [
                sys.executable,
                str(ROOT / "tests" / "flow" / "webhook_receiver.py"),
                str(self.port),
                str(self.got),
            ],
        }
        for name in names:
            with (self.own.place / f"{name}.log").open("ab") as log:
                self.running[name] = subprocess.Popen(
                    commands[name],
                    env=self.own.environment(),
                    cwd=self.own.place,
                    stdout=log,
                    stderr=log,
                )

    def kill(self, *names: str) -> None:
        """End them as failing machines would."""
        for name in names:
            process = self.running.pop(name)
            process.kill()
            process.wait()

    def close(self) -> None:
        self.kill(*self.running)

    def deliveries(self) -> list[tuple[str, str]]:
        """(webhook-id, body) of what arrived; a line that a kill cut short was not answered."""
        if not self.got.exists():
            return []
        found = []
        for line in self.got.read_text().split("\n"):
            try:
                parsed = json.loads(line)
            except ValueError:
                continue
            found.append((parsed["id"], parsed["body"]))
        return found

    def by_key(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for _, body in self.deliveries():
            data = json.loads(body)["data"]
            found[data["key"]].append(data)
        return found

    def until(self, wanted: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not wanted():
            self.own.tend()
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            assert not ended, f"{ended} ended by itself\n{self.own.said('webhook')}"
            assert time.monotonic() < deadline, f"{what}\n{self.own.said('webhook')}\n{self.own.said('one')}"
            time.sleep(0.2)

    def holds(self, count: int) -> bool:
        """Whether the receiver, by what it was last told of each key, holds so many views."""
        return sum(each[-1]["value"] is not None for each in self.by_key().values()) == count

    def assert_what_the_topic_says(self) -> None:
        """Every key's last delivery is the topic's last record, in order of each key, a repetition with the
        same id and the same bytes (V2).
        """
        bodies: dict[str, set[str]] = defaultdict(set)
        for message, body in self.deliveries():
            bodies[message].add(body)
        assert {len(found) for found in bodies.values()} == {1}
        got = self.by_key()
        latest = {}
        for record in self.own.view_records(AGREEMENT)[AGREEMENT]:
            latest[record.key] = (int(record.headers["postroom_sequence"]), record.value)
        assert {key: (found[-1]["sequence"], found[-1]["value"]) for key, found in got.items()} == latest
        for found in got.values():
            sequences = [data["sequence"] for data in found]
            assert sequences == sorted(sequences)
            assert found[-1]["value"] is not None or found[-1]["reason"] == "ended"


def nhs(number: int) -> str:
    """A valid number of the health service."""
    digits = f"99900{number:04}"
    check = -sum(int(digit) * (10 - place) for place, digit in enumerate(digits)) % 11
    return nhs(number + 5_000) if check == 10 else digits + str(check)
