"""A department on HTTP that does what the gateway's page says: it repeats what was not answered with 202."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from producers.synthetic import nino
from tests.flow.spine import Installation
from tests.flow.test_gateway import Gateway, claimant

CLIENT, TYPE = "dwp-cis", "uk.gov.benefits.claimant.v1"
SERIAL = 700_000
PAUSE_S = 0.2
WITHIN_S = 120


class Doorstep:
    """Publishes one event after the other, whatever is answered."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.taken: set[str] = set()
        self.answers: Counter[tuple[int, str]] = Counter()
        """By status and kind of problem."""
        self.without_a_time: list[str] = []
        """Refusals that did not say when to ask again."""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self.gateway.auth(CLIENT)  # a token is made by a command, which needs its time
        self._thread.start()

    def end(self) -> None:
        """End; what was not taken by then is repeated no more."""
        self._ending.set()
        self._thread.join(WITHIN_S)

    def takes_one(self) -> float:
        """Wait until one more event is taken; return the seconds."""
        before, started = len(self.taken), time.monotonic()
        while len(self.taken) == before:
            assert time.monotonic() - started < WITHIN_S, f"nothing is taken: {self.answers}"
            time.sleep(0.1)
        return time.monotonic() - started

    def _run(self) -> None:
        serial = SERIAL
        while not self._ending.is_set():
            serial += 1
            event = claimant(nino(serial))
            while not self._is_taken(event) and not self._ending.wait(PAUSE_S):
                pass

    def _is_taken(self, event: dict[str, Any]) -> bool:
        answer = self.gateway.publish(CLIENT, event)
        if answer.status_code == 202:
            self.answers[202, ""] += 1
            self.taken.add(event["id"])
            return True
        self.answers[answer.status_code, answer.json()["type"].rpartition(":")[2]] += 1
        if "retry-after" not in answer.headers:
            self.without_a_time.append(answer.text)
        return False


@contextmanager
def at_the_gateway(own: Installation) -> Iterator[Doorstep]:
    """A gateway of an installation, and one who publishes there, until the end."""
    gateway = Gateway(own)
    try:
        gateway.start()
        doorstep = Doorstep(gateway)
        doorstep.start()
        try:
            yield doorstep
        finally:
            doorstep.end()
    finally:
        gateway.kill()
