"""From a department's event to a signed webhook on a real Kafka, with both ends killed on the way."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.ports import free_port
from postroom.config import Settings
from tests.flow.spine import COMMAND, ROOT, Installation, decided, installation, now_ms, registered

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]

AGREEMENT = "council-york-carers"
PATIENCE_S = 120
PEOPLE = 24
KEY = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, no more").decode()
FILE = f"""\
origin: postroom.example
endpoints:
  york:
    subscriber: council-york
    agreements: [{AGREEMENT}]
    url: http://127.0.0.1:PORT/postroom
    keys: [{{env: LEEDS_WEBHOOK_KEY}}]
    requests_per_minute: 60000
    pause_s_max: 0.5
    park_after: 10000
"""


class Webhooks:
    """The webhook process and a receiver's process of an installation."""

    def __init__(self, own: Installation) -> None:
        self.own, self.port = own, free_port()
        self.file, self.got = own.place / "webhooks.yaml", own.place / "got.jsonl"
        self.file.write_text(FILE.replace("PORT", str(self.port)))
        own.environ |= {
            "POSTROOM_WEBHOOKS": str(self.file),
            "POSTROOM_WEBHOOK_NETWORKS": "127.0.0.0/8",
            "LEEDS_WEBHOOK_KEY": KEY,
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        commands = {
            "webhook": [*COMMAND, "webhook", "run"],
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


@pytest.fixture(scope="module")
def webhooks(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Webhooks]:
    agreements = ROOT / "schemas" / "agreements"
    with installation(request, stack_settings, ROOT / "schemas", agreements) as own:
        made = Webhooks(own)
        own.start("one", "faust")
        try:
            yield made
        finally:
            made.close()


def nhs(number: int) -> str:
    """A valid number of the health service."""
    digits = f"99900{number:04}"
    check = -sum(int(digit) * (10 - place) for place, digit in enumerate(digits)) % 11
    return nhs(number + 5_000) if check == 10 else digits + str(check)


NUMBERS = [nhs(number) for number in range(PEOPLE)]


def test_views_and_withdrawals_arrive_although_both_ends_are_killed(webhooks: Webhooks):
    """Events become signed webhooks; kill -9 of the sender, of the receiver, of both; every view of the topic
    and every retraction arrives, in order of each key, a repetition with the same id and the same bytes (V2).
    """
    own = webhooks.own
    webhooks.start("webhook", "receiver")
    own.publish([registered(number, now_ms()) for number in NUMBERS])
    own.publish([decided(number, "GRANTED", now_ms()) for number in NUMBERS])
    for names in (("webhook",), ("receiver",), ("webhook", "receiver")):
        seen = len(webhooks.deliveries())
        webhooks.until(
            lambda seen=seen: len(webhooks.deliveries()) > min(seen, PEOPLE - 1), "nothing arrives"
        )
        webhooks.kill(*names)
        time.sleep(0.5)
        webhooks.start(*names)
    webhooks.until(lambda: webhooks.holds(PEOPLE), "not every view arrived")

    withdrawn = NUMBERS[: PEOPLE // 2]
    own.publish([decided(number, "WITHDRAWN", now_ms()) for number in withdrawn])
    seen = len(webhooks.deliveries())
    webhooks.until(lambda: len(webhooks.deliveries()) > seen, "no retraction arrives")
    webhooks.kill("webhook", "receiver")
    webhooks.start("webhook", "receiver")
    webhooks.until(lambda: webhooks.holds(PEOPLE - len(withdrawn)), "not every retraction arrived")

    bodies: dict[str, set[str]] = defaultdict(set)
    for message, body in webhooks.deliveries():
        bodies[message].add(body)
    assert {len(found) for found in bodies.values()} == {1}
    got = webhooks.by_key()
    latest = {}
    for record in own.view_records()[AGREEMENT]:
        latest[record.key] = (int(record.headers["postroom_sequence"]), record.value)
    assert {key: (found[-1]["sequence"], found[-1]["value"]) for key, found in got.items()} == latest
    for found in got.values():
        sequences = [data["sequence"] for data in found]
        assert sequences == sorted(sequences)
        assert found[-1]["value"] is not None or found[-1]["reason"] == "ended"


def test_what_ends_while_an_endpoint_is_parked_is_retracted_when_it_is_released(webhooks: Webhooks):
    """An operator parks, a citizen withdraws, the process is killed; the release delivers the retraction."""
    own = webhooks.own
    assert own.command("webhook", "status").returncode == 0
    assert own.command("webhook", "park", "york").returncode == 0
    done = own.command("webhook", "status", "-o", "json")
    assert (done.returncode, json.loads(done.stdout)[0]["state"]) == (1, "parked")
    held = json.loads(done.stdout)[0]["held"]
    assert held == PEOPLE // 2
    time.sleep(2)  # it looks every second
    before = own.ends([f"view.{AGREEMENT}"])
    count = len(webhooks.deliveries())
    own.publish([decided(NUMBERS[-1], "WITHDRAWN", now_ms())])
    assert own.wait_moved([f"view.{AGREEMENT}"], before, PATIENCE_S)
    time.sleep(2)
    assert len(webhooks.deliveries()) == count, "parked is parked"
    webhooks.kill("webhook")
    webhooks.start("webhook")
    assert own.command("webhook", "release", "york").returncode == 0
    webhooks.until(lambda: webhooks.holds(held - 1), "the retraction did not arrive after the release")
    assert own.command("webhook", "release", "nobody").returncode == 2


def test_a_newer_file_is_taken_up_while_it_runs(webhooks: Webhooks):
    """A wrong one changes nothing and is said; a right one replaces the courier, and a key is rotated."""
    own, log = webhooks.own, webhooks.own.place / "webhook.log"
    good = webhooks.file.read_text()
    webhooks.file.write_text(good.replace("council-york\n", "council-leeds\n"))
    webhooks.until(lambda: "webhooks-wrong" in log.read_text(), "a wrong file is not noticed")
    taken = log.read_text().count("webhooks-taken-up")
    key = own.place / "new.key"
    made = own.command("webhook", "key")
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as handle:
        handle.write(made.stdout)
    webhooks.file.write_text(good.replace("keys: [", "keys: [{file: new.key}, "))
    webhooks.until(lambda: log.read_text().count("webhooks-taken-up") > taken, "a right file is not taken up")
    count = len(webhooks.deliveries())
    own.publish([decided(NUMBERS[-2], "WITHDRAWN", now_ms())])
    webhooks.until(lambda: len(webhooks.deliveries()) > count, "nothing arrives under the new file")
    done = own.command("webhook", "list", "-o", "json")
    assert [row["state"] for row in json.loads(done.stdout)] == ["active"]


def test_it_ends_with_0_and_its_log_names_nobody(webhooks: Webhooks):
    """SIGTERM, and no identifier, name, key of a view or secret in what it said."""
    process = webhooks.running.pop("webhook")
    process.terminate()
    assert process.wait(30) == 0, webhooks.own.said("webhook")
    log = (webhooks.own.place / "webhook.log").read_text()
    assert "webhook-permitted" in log
    for text in (*NUMBERS, "Garamond", "Amina", KEY, *webhooks.by_key()):
        assert text not in log


def test_a_receiver_inside_is_refused_where_no_network_is_opened(webhooks: Webhooks):
    """The same file on an installation that opens nothing: exit 2, and the field is named."""
    done = webhooks.own.command("webhook", "check", POSTROOM_WEBHOOK_NETWORKS="")
    assert done.returncode == 2
    assert b"endpoints.york.url" in done.stderr
    assert webhooks.own.command("webhook", "check").returncode == 0
    assert webhooks.own.command("webhook", "check", "--ask").returncode == 0
    webhooks.kill("receiver")
    assert webhooks.own.command("webhook", "check", "--ask").returncode == 1
