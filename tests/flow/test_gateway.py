"""Over HTTP on a real Kafka with a worker: a newcomer, a gateway that is killed, a broker that is away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors import own_process
from connectors.ports import free_port
from postroom.config import Settings
from processors import view_topic
from schemas import format_instant
from tests.flow.spine import COMMAND, ROOT, Installation, installation, now_ms

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]

HOUSING, TAX = "council-leeds-housing", "council-leeds-council-tax-reduction"
STRUCTURED = "application/cloudevents+json"
CLIENTS = """\
clients:
  dwp-cis: {owner: dwp, scopes: [publish]}
  leeds-revenues: {owner: council-leeds, scopes: [publish]}
  consent-web: {owner: consent-service, scopes: [publish]}
  leeds: {subscriber: council-leeds, scopes: [subscribe, acknowledge]}
"""


class Gateway:
    """A gateway process of an installation, and its clients."""

    def __init__(self, own: Installation) -> None:
        self.own, self.port = own, free_port()
        own.environ |= {
            "POSTROOM_GATEWAY_PORT": str(self.port),
            "POSTROOM_GATEWAY_CLIENTS": str(own.place / "clients.yaml"),
            "POSTROOM_GATEWAY_ACKNOWLEDGED_WITHIN_MS": "3000",
        }
        (own.place / "clients.yaml").write_text(CLIENTS)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=40)
        self.tokens: dict[str, str] = {}

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        with (self.own.place / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "gateway", "run"],
                env=self.own.environment(),
                cwd=self.own.place,
                stdout=log,
                stderr=log,
            )
        self.wait_ready()

    def wait_ready(self, status: int = 200) -> None:
        """Wait until it says that it is (or is not) ready."""
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline:
            try:
                if self.http.get("/health/ready").status_code == status:
                    return
            except httpx.TransportError:
                assert self.process.poll() is None, self.own.said("gateway")
            time.sleep(0.1)
        raise AssertionError(self.own.said("gateway"))

    def stop(self) -> int:
        """End it with SIGTERM."""
        self.process.terminate()
        return self.process.wait(30)

    def kill(self) -> None:
        """End it as a failing machine would."""
        self.process.kill()
        self.process.wait()

    def auth(self, client: str) -> dict[str, str]:
        """The header of a client's token."""
        if client not in self.tokens:
            done = self.own.command("gateway", "token", client)
            assert done.returncode == 0, done.stderr.decode()
            self.tokens[client] = done.stdout.decode().strip()
        return {"authorization": f"Bearer {self.tokens[client]}"}

    def publish(self, client: str, event: dict[str, Any]) -> httpx.Response:
        """POST one event."""
        headers = self.auth(client) | {"content-type": STRUCTURED}
        return self.http.post("/events", content=json.dumps(event), headers=headers)

    def get(self, path: str, **params: Any) -> httpx.Response:
        """GET as Leeds."""
        return self.http.get(path, params=params, headers=self.auth("leeds"))

    def until(self, path: str, wanted: Callable[[httpx.Response], bool], **params: Any) -> httpx.Response:
        """GET until the answer is the one that is waited for."""
        deadline = time.monotonic() + 150
        while not wanted(answer := self.get(path, **params)):
            assert time.monotonic() < deadline, f"{path}: {answer.status_code} {answer.text}"
            time.sleep(0.1)
        return answer

    def events(self, last_event_id: str, count: int) -> list[tuple[str, dict[str, Any]]]:
        """(id, data) of some events of the stream, from there on."""
        found: list[tuple[str, dict[str, Any]]] = []
        headers = self.auth("leeds") | ({"last-event-id": last_event_id} if last_event_id else {})
        with self.http.stream("GET", f"/views/{HOUSING}/events", headers=headers) as answer:
            assert answer.status_code == 200
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    fields[name] = value
                elif fields.get("event", "").startswith("view-"):
                    found.append((fields["id"], json.loads(fields["data"])))
                    fields = {}
                    if len(found) == count:
                        break
                else:
                    fields = {}
        return found


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest, stack_settings: Settings) -> Iterator[Gateway]:
    agreements = ROOT / "schemas" / "agreements"
    with installation(request, stack_settings, ROOT / "schemas", agreements) as own:
        made = Gateway(own)
        own.start("one", "faust")
        made.start()
        try:
            yield made
        finally:
            made.kill()


def claimant(nino: str) -> dict[str, Any]:
    data = {"nino": nino, "name": {"given_names": "Ada", "family_name": "Specimen"}}
    return _event(f"claimant-{nino}", "urn:gov:dwp:cis", "uk.gov.benefits.claimant.v1", data)


def moved(account: str, nino: str) -> dict[str, Any]:
    data = {"account": account, "nino": nino, "moved_in": "2026-03-01"}
    data["address"] = {"lines": ["1 Sample Row"], "postcode": "LS1 1OV", "authority": "leeds"}  # type: ignore[assignment]
    name = "uk.gov.local.address-change.v1"
    return _event(f"moved-{account}", "urn:gov:council-leeds:revenues", name, data)


def decided(nino: str, state: str) -> dict[str, Any]:
    data = {"subject": f"nino:{nino}", "subscriber": "council-leeds", "purpose": "housing-support"}
    data |= {"categories": [], "state": state}  # type: ignore[dict-item]
    name = f"{state}-{nino}-{now_ms()}"
    return _event(name, "urn:gov:consent-service:web", "uk.gov.consent.decision.v1", data)


def _event(name: str, source: str, type_: str, data: dict[str, Any]) -> dict[str, Any]:
    attributes = {"specversion": "1.0", "id": name, "source": source, "type": type_}
    return attributes | {"time": format_instant(now_ms()), "data": data}


def _has_an_address(answer: httpx.Response) -> bool:
    """Whether the last change is of all that was said: the name may come a moment before it."""
    return any(each["value"] and each["value"]["address"] for each in answer.json()["changes"][-1:])


def test_a_newcomer_publishes_reads_and_acknowledges(gateway: Gateway):
    """From POST to a view, its stream resumed, the withdrawal, the obligation, and its settlement."""
    nino = "NC123456C"
    for client, event in (
        ("dwp-cis", claimant(nino)),
        ("leeds-revenues", moved("E08000035-91234567", nino)),
        ("consent-web", decided(nino, "GRANTED")),
    ):
        assert gateway.publish(client, event).json() == {"written": 1, "known": 0}
    page = gateway.until(f"/views/{HOUSING}/changes", _has_an_address, wait=5).json()
    change = page["changes"][-1]
    assert change["value"]["name"]["given_names"] == "Ada"
    key = f"/views/{HOUSING}/{change['key']}"
    answer = gateway.get(key).json()
    assert answer["value"] == change["value"]
    assert 0 <= answer["age_ms"] < 120_000

    [(last_id, first)] = gateway.events("", 1)
    assert first["key"] == change["key"]
    stream: list[Any] = []
    reading = threading.Thread(target=lambda: stream.extend(gateway.events(last_id, 1)))
    reading.start()
    gateway.publish("consent-web", decided(nino, "WITHDRAWN"))
    reading.join(30)
    while stream and stream[-1][1]["value"] is not None:  # a view that changed before the withdrawal
        stream += gateway.events(stream[-1][0], 1)
    assert stream[-1][1]["reason"] == "ended"
    retracted = gateway.get(key)
    assert retracted.status_code == 410
    assert retracted.json()["retraction"]["sequence"] == stream[-1][1]["sequence"]

    found = gateway.until("/obligations", lambda answer: bool(answer.json()["obligations"])).json()
    for owed in found["obligations"]:
        done = gateway.http.post(
            "/acknowledgements", json={"obligation": owed["obligation"]}, headers=gateway.auth("leeds")
        )
        assert (done.status_code, done.json()["written"]) == (202, True)
    gateway.until("/obligations", lambda answer: not answer.json()["obligations"])


def test_a_gateway_killed_while_it_publishes_loses_and_doubles_nothing(gateway: Gateway):
    """Killed three times (-9), under clients that retry what was not answered with 202: on the topic every
    acknowledged event is there, and behind the worker each counts once.
    """
    count, written = 300, Counter[int]()
    before = {record.key for record in gateway.own.read(view_topic(TAX))}
    known = {event["id"]: event for event in (moved(f"E08000035-8{n:07}", _nino(n)) for n in range(count))}
    gateway.auth("leeds-revenues")
    done = threading.Event()

    def send(event: dict[str, Any]) -> None:
        for _ in range(200):
            try:
                answer = gateway.publish("leeds-revenues", event)
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            written[answer.status_code] += 1
            if answer.status_code == 202:
                return
            time.sleep(0.1)
        raise AssertionError("never acknowledged")

    def torment() -> None:
        for _ in range(3):
            time.sleep(0.4)
            gateway.kill()
            gateway.start()
        done.set()

    tormentor = threading.Thread(target=torment)
    tormentor.start()
    with ThreadPoolExecutor(8) as clients:
        for _ in clients.map(send, list(known.values())):
            pass
        while not done.is_set():  # on and on until the last kill: the same again is answered
            for _ in clients.map(send, list(known.values())[:50]):
                pass
    tormentor.join(60)
    assert written.keys() <= {202, 503, 429}

    records = gateway.own.read("uk.gov.local.address-change.v1")
    ids = Counter(dict(record.headers)["ce_id"].decode() for record in records)
    assert {name for name in ids if name.startswith("moved-E08000035-8")} == known.keys()
    gateway.own.settle()
    views = [record for record in gateway.own.read(view_topic(TAX)) if record.key not in before]
    sequences = Counter(dict(record.headers)["postroom_sequence"] for record in views)
    assert sequences == {b"1": count}, "a view was lost, or written twice"


def test_a_broker_that_is_away_is_told_and_nothing_acknowledged_is_lost(gateway: Gateway):
    """Kafka stands still: publishing and reading are 503 with Retry-After, soon at once; when it goes on the
    retry is answered, and the event is on the topic once.
    """
    gateway.wait_ready()
    gateway.auth("dwp-cis")  # before the clock runs: making a token takes its time
    gateway.auth("leeds")
    event = claimant("NC234567C")
    kafka = own_process.find(_kafka(gateway.own))
    assert kafka is not None
    kafka.send_signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        answer = gateway.publish("dwp-cis", event)
        first_s = time.monotonic() - started
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) >= 1
        gateway.wait_ready(503)
        started = time.monotonic()
        assert gateway.publish("dwp-cis", claimant("NC234568C")).status_code == 503
        assert time.monotonic() - started < first_s / 2, "what cannot be had is said at once"
        answer = gateway.get(f"/views/{HOUSING}/s-none")
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    finally:
        kafka.send_signal(signal.SIGCONT)
    deadline = time.monotonic() + 150
    while (answer := gateway.publish("dwp-cis", event)).status_code != 202:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.5)
    gateway.wait_ready()
    records = gateway.own.read("uk.gov.benefits.claimant.v1")
    ids = [dict(record.headers)["ce_id"].decode() for record in records]
    assert ids.count(event["id"]) == 1
    assert gateway.get(f"/views/{HOUSING}/s-none").status_code == 404


def test_a_gateway_ends_cleanly_with_open_streams(gateway: Gateway):
    """SIGTERM: exit 0 before a supervisor loses its patience, whoever is reading."""
    headers = gateway.auth("leeds")
    with gateway.http.stream("GET", f"/views/{HOUSING}/events", headers=headers) as answer:
        assert answer.status_code == 200
        started = time.monotonic()
        assert gateway.stop() == 0, gateway.own.said("gateway")
        assert time.monotonic() - started < 30
    gateway.start()


def test_the_log_holds_no_payload(gateway: Gateway):
    """Nor an identifier, nor a key, nor a token."""
    log = (gateway.own.place / "gateway.log").read_text()
    for text in ("NC123456C", "Specimen", "91234567", "s-none", *gateway.tokens.values()):
        assert text not in log


def _nino(number: int) -> str:
    return f"NC{number:06}C"


def _kafka(own: Installation) -> own_process.OwnProcess:
    entry = json.loads((own.settings.state_dir / "stack.json").read_text())["kafka"]
    return own_process.OwnProcess(entry["pid"], entry["token"], entry["started_at"])


def test_settings_and_token_say_what_is_missing(gateway: Gateway, tmp_path: Path):
    """The stand-in issuer is the local stack's alone; a cluster that nobody has secured gets no gateway."""
    own = gateway.own
    elsewhere = {"POSTROOM_KAFKA": own.stack.kafka, "POSTROOM_REGISTRY": own.stack.registry}
    for words in (("gateway", "run"), ("gateway", "token", "dwp-cis")):
        done = own.command(*words, **elsewhere)
        assert done.returncode == 2, done.stderr.decode()
        assert b"issuer" in done.stderr
    assert own.command("gateway", "token", "nobody").returncode == 2
    assert own.command("gateway", "token", "dwp-cis", "--scope", "subscribe").returncode == 2
    done = own.command("gateway", "run", POSTROOM_GATEWAY_HOST="0.0.0.0")  # noqa: S104 - it is refused
    assert (done.returncode, b"clear" in done.stderr) == (2, True)
    key = own.settings.state_dir / "gateway" / "issuer.pem"
    assert oct(os.stat(key).st_mode & 0o777) == "0o600"
