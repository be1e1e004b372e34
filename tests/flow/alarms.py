"""An installation that is watched, and the faults that must wake somebody, for test and `make watch-demo`."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import psutil
from confluent_kafka.admin import AdminClient

from connectors.ports import free_port
from producers.synthetic import nhs_number
from tests.flow.spine import COMMAND, STRUCTURED, Installation, decided, event, now_ms, registered
from tests.flow.test_gateway import Gateway
from tests.flow.watched import Watched, total
from tests.flow.watchtower import Watchtower
from tests.flow.webhook_processes import Webhooks

SCALE = 12
"""Five minutes are 25 seconds: as short as a scrape every two seconds on a busy machine allows."""
WORKER, GATEWAY, CANARY = "postroom-worker", "postroom-gateway", "postroom-canary"
WEBHOOK = "postroom-webhook"
SUBSCRIBER, UNWRITTEN = "dwp", "dwp-bereavement"
"""Whose webhook it is, and of which agreement: nothing that happens here is written to its topic."""
BAD_TYPE = "uk.gov.health.demographics.v1"
STUTTER_S = 1.6
LATE = 12
CATCH_UP_S = 30
RETRACTED, VIEWS = "postroom_withdrawal_to_retraction_seconds_count", "postroom_views_total"


class Fault(NamedTuple):
    """What goes wrong, what must be told and by which severity, and how it is mended."""

    name: str
    alert: str
    inject: Callable[[], None]
    go_on: Callable[[], None]
    mend: Callable[[], None]
    lasting: bool = False
    """It is over only when its longest short window has emptied: one goes on meanwhile."""


class Alarms:
    """Worker, gateway, canary and webhook of an installation, under a Prometheus."""

    def __init__(self, own: Installation) -> None:
        self.own = own
        self.ports = {job: free_port() for job in (WORKER, GATEWAY, CANARY, WEBHOOK)}
        self.tower = Watchtower(own.place, self.ports, SCALE)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.gateway: Gateway | None = None
        self._people = 0

    @contextmanager
    def watched(self) -> Iterator[Alarms]:
        """Start everything, and stop it all whatever happens."""
        with ExitStack() as ending:
            ending.callback(self._stop)
            self.run(WORKER, "run", "all", "--instance", "one")
            self.own.environ["POSTROOM_METRICS_PORT"] = str(self.ports[GATEWAY])
            self.gateway = Gateway(self.own)
            self.gateway.start()
            self.run(CANARY, "canary", "run", "--every", "1", "--withdraw-every", "2", "--patience", "10")
            Webhooks(self.own, SUBSCRIBER, UNWRITTEN)
            self.run(WEBHOOK, "webhook", "run")
            self.await_well_being()
            ending.callback(self.tower.stop)
            self.tower.start()
            yield self

    def run(self, job: str, *words: str) -> None:
        """Start a process whose metrics have their port."""
        environ = self.own.environment() | {"POSTROOM_METRICS_PORT": str(self.ports[job])}
        with (self.own.place / f"{job}.log").open("ab") as log:
            self.processes[job] = subprocess.Popen(
                [*COMMAND, *words], env=environ, cwd=self.own.place, stdout=log, stderr=log
            )

    def await_well_being(self) -> None:
        """Wait until the canary has come through both ways."""
        seen = Watched(self.own, f"{CANARY}.log")
        name = "postroom_canary_last_success_timestamp_seconds"
        for path in ("event_to_view", "withdrawal_to_retraction"):
            seen.until(seen.url(), lambda page, path=path: total(page, name, path=path) > 0)

    def _stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.gateway is not None and self.gateway.process.poll() is None:
            self.gateway.stop()

    # -- faults ----------------------------------------------------------------------------------------

    def faults(self) -> list[Fault]:
        """All of them. Nothing after the stutter makes a retraction late: its windows empty slowly."""
        return [
            Fault("the worker is killed", "PostroomStageDown", self.kill_worker, nothing, self.start_worker),
            Fault(
                "the stages stutter while people withdraw (V7)",
                "PostroomRetractionsLate",
                nothing,
                self.stutter,
                nothing,
                lasting=True,
            ),
            Fault(
                "a department's events break its contract",
                "PostroomDeadLettersBurst",
                nothing,
                self.rubbish,
                nothing,
            ),
            Fault(
                "the registry hangs",
                "PostroomSystemUnreachable",
                self.hang_registry,
                nothing,
                self.wake_registry,
            ),
            Fault(
                "somebody objects in the canary's name",
                "PostroomCanaryFailing",
                lambda: self.object("OBJECTED"),
                nothing,
                lambda: self.object("LIFTED"),
            ),
            Fault(
                "a topic that a webhook reads is taken away",
                "PostroomWebhookUnread",
                self.take_topic_away,
                nothing,
                self.make_topics,
                lasting=True,
            ),
        ]

    def stutter(self) -> None:
        """The worker stands for some seconds, and people withdraw meanwhile.

        It is let go until it has caught up, however slow the machine is: a worker that never does would
        rightly bring other pages.
        """
        people = self._consenting(LATE)
        worker, before = self.processes[WORKER], self._counted(RETRACTED)
        worker.send_signal(signal.SIGSTOP)
        try:
            self._withdraw(people)
            time.sleep(STUTTER_S)
        finally:
            worker.send_signal(signal.SIGCONT)
        self._catch_up(RETRACTED, before + LATE)

    def _counted(self, name: str, **labels: str) -> float:
        """What the worker tells now."""
        seen = Watched(self.own, f"{WORKER}.log")
        return total(seen.scrape(f"http://127.0.0.1:{self.ports[WORKER]}"), name, **labels)

    def _catch_up(self, name: str, least: float, **labels: str) -> None:
        """Wait for a while until the worker has counted so many."""
        end = time.monotonic() + CATCH_UP_S
        while self._counted(name, **labels) < least and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(0.5)

    def _consenting(self, count: int) -> list[str]:
        people = [nhs_number(900_000 + self._people + number) for number in range(count)]
        self._people += count
        now, before = now_ms(), self._counted(VIEWS, change="written")
        for nhs in people:
            self._say("uk.gov.health.demographics.v1", registered(nhs, now - 1000))
            self._say("uk.gov.consent.decision.v1", decided(nhs, "GRANTED", now - 1000))
        self.own.flushed()
        self._catch_up(VIEWS, before + count, change="written")
        return people

    def _withdraw(self, people: list[str]) -> None:
        for nhs in people:
            self._say("uk.gov.consent.decision.v1", decided(nhs, "WITHDRAWN", now_ms()))
        self.own.flushed()

    def rubbish(self) -> None:
        """Events with a field that the contract does not have, a few a second."""
        for _ in range(8):
            line = json.loads(registered(nhs_number(1), now_ms()))
            line["data"]["surplus"] = 1
            self._say(BAD_TYPE, json.dumps(line).encode())
        self.own.flushed()
        time.sleep(0.5)

    def _registry(self) -> psutil.Process:
        found = json.loads((self.own.settings.state_dir / "stack.json").read_text())
        return psutil.Process(int(found["registry"]["pid"]))

    def hang_registry(self) -> None:
        """The registry takes connections and answers none."""
        self._registry().suspend()

    def wake_registry(self) -> None:
        """It goes on."""
        self._registry().resume()

    def take_topic_away(self) -> None:
        """Somebody deletes a view topic."""
        topic = f"view.{UNWRITTEN}"
        admin = AdminClient({"bootstrap.servers": self.own.stack.kafka})
        admin.delete_topics([topic])[topic].result(60)

    def make_topics(self) -> None:
        """Make what the rules need and is not there."""
        done = self.own.command("topics", "apply")
        assert done.returncode == 0, done.stderr.decode()

    def object(self, state: str) -> None:
        """The consent service states or lifts an objection of the canary, of this hour and the next."""
        now = datetime.now(UTC)
        for moment in (now, now + timedelta(hours=1)):
            data = {
                "subject": f"canary:{moment:%Y%m%d-%H}-one",
                "subscriber": "*",
                "purpose": "*",
                "state": state,
            }
            name = f"{state}-{moment:%H}-{now_ms()}"
            source = "urn:gov:consent-service:web"
            self._say(
                "uk.gov.consent.objection.v1",
                event(name, source, "uk.gov.consent.objection.v1", now_ms(), data),
            )
        self.own.flushed()

    def kill_worker(self) -> None:
        """The only worker ends as on a machine that fails."""
        self.processes[WORKER].kill()
        self.processes[WORKER].wait()

    def start_worker(self) -> None:
        """It is started again under its name."""
        self.run(WORKER, "run", "all", "--instance", "one")

    def _say(self, topic: str, line: bytes) -> None:
        self.own.produce(topic, line, STRUCTURED)


def nothing() -> None:
    """Nothing is to be done."""
