"""What every process shows to whoever watches it: `/metrics`, `/health/live`, `/health/ready`.

One small server for workers, the canary and connectors that serve nothing else; the gateway has the same
beside its own port. What it answers is nobody's data, yet it listens on the loopback unless told otherwise.
"""

from __future__ import annotations

import json
import platform
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib.metadata import version
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Gauge,
    make_wsgi_app,
)
from prometheus_client.registry import Collector

from connectors.log_line import say
from connectors.trouble import Misused

BUILD = Gauge(
    "postroom_build_info", "1, with what this process is and which release.", ["process", "version", "python"]
)
REACHABLE = Gauge(
    "postroom_reachable",
    "1 if the system answered when this process last asked, every fifteen seconds.",
    ["system"],
)
CERTIFICATE_END = Gauge(
    "postroom_certificate_end_timestamp_seconds",
    "When a certificate ends that this process presents, believes by, or is presented by Kafka or the "
    "registry; the soonest of several.",
    ["certificate"],
)
DISK_FREE = Gauge(
    "postroom_disk_free_bytes", "Free where this process keeps what it must keep (POSTROOM_STATE).", ["disk"]
)
CLOCK_AHEAD = Gauge(
    "postroom_clock_ahead_seconds",
    "How far this machine's clock is ahead of the registry's, which tells whole seconds.",
    ["of"],
)

ASK_EVERY_S = 15.0
LOOK_EVERY_S = 60.0
"""At what changes slowly: certificates, clocks."""
REQUEST_S_MAX = 10.0
OF_EVERY_PROCESS = (BUILD, REACHABLE, CERTIFICATE_END, DISK_FREE, CLOCK_AHEAD)

WaitingFor = Callable[[], list[str]]
"""Names what a process waits for before it does its work; nothing: it is ready."""
IsAlive = Callable[[], bool]


class Signals:
    """The server of one process, and the questions whether what it needs answers; :meth:`close` ends both."""

    def __init__(
        self,
        process: str,
        host: str,
        port: int,
        waiting_for: WaitingFor,
        is_alive: IsAlive = lambda: True,
        systems: Mapping[str, Callable[[], str | None]] | None = None,
        needed: Collection[str] = (),
        metrics: Iterable[Collector] = (),
    ) -> None:
        """Listen and begin to serve; port 0 chooses a free one. Misused when the place cannot be had.

        A process is not ready while one of the systems that are `needed` does not answer. Beside what every
        process has it tells `metrics`, and nothing that is only loaded.
        """
        self._waiting_for, self._is_alive = waiting_for, is_alive
        self._needed, self._silent = frozenset(needed), set[str]()
        self._problems: dict[str, str | None] = {}
        self._metrics = make_wsgi_app(_registry(metrics))
        self._ended = threading.Event()
        BUILD.labels(process, version("postroom"), platform.python_version()).set(1)
        try:
            self._server = make_server(host, port, self._answer, _server_class(host), _Handler)
        except OSError as error:
            raise Misused(
                "metrics and health cannot be served",
                where=f"{host}:{port}",
                why=error.strerror or type(error).__name__,
                mend="name another place with POSTROOM_METRICS_HOST and POSTROOM_METRICS_PORT, port 0 for "
                "any free one",
            ) from error
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True, name="signals").start()
        for system, ask in (systems or {}).items():
            self.keep_asking(system, lambda system=system, ask=ask: self._note(system, ask()))  # type: ignore[misc]

    def close(self) -> None:
        """End."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def keep_asking(self, name: str, ask: Callable[[], object], every_s: float = ASK_EVERY_S) -> None:
        """Do this at once and every so many seconds, in a thread of its own, as long as this is served."""

        def asking() -> None:
            while not self._ended.is_set():
                ask()
                self._ended.wait(every_s)

        threading.Thread(target=asking, daemon=True, name=name).start()

    def _note(self, system: str, problem: str | None) -> None:
        REACHABLE.labels(system).set(problem is None)
        if problem != self._problems.get(system):
            self._tell(system, problem)
        if problem is not None and system in self._needed:
            self._silent.add(system)
        else:
            self._silent.discard(system)

    def _tell(self, system: str, problem: str | None) -> None:
        """Say once why a system does not answer, and once that it does again: clients only try."""
        if problem is not None:
            say("system-away", "warning", system=system, why=problem)
        elif self._problems.get(system) is not None:
            say("system-answers", system=system)
        self._problems[system] = problem

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            page: Iterable[bytes] = self._metrics(environ, start_response)
            return page
        if path == "/health/live":
            alive = self._is_alive()
            return _json(start_response, 200 if alive else 503, {"status": "live" if alive else "stuck"})
        if path == "/health/ready":
            silent = [f"{system} to answer" for system in sorted(self._silent)]
            return _json(start_response, *readiness([*self._waiting_for(), *silent]))
        return _json(start_response, 404, {"status": "not-found"})


def _registry(metrics: Iterable[Collector]) -> CollectorRegistry:
    """Return what is told: not the library's own registry, in which everything is that was ever imported."""
    told = CollectorRegistry()
    for each in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR, *OF_EVERY_PROCESS, *metrics):
        told.register(each)
    return told


def readiness(waiting_for: list[str]) -> tuple[int, dict[str, Any]]:
    """Return status and body of the answer to whether a process is ready; the gateway's own says the same."""
    return (503, {"status": "waiting", "for": waiting_for}) if waiting_for else (200, {"status": "ready"})


def _json(start_response: Any, status: int, body: dict[str, Any]) -> Iterable[bytes]:
    words = {200: "200 OK", 404: "404 Not Found", 503: "503 Service Unavailable"}
    start_response(words[status], [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return [json.dumps(body).encode()]


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each question, so that a slow asker holds up nobody."""

    daemon_threads = True


class _Server6(_Server):
    """The same on IPv6."""

    address_family = socket.AF_INET6


def _server_class(host: str) -> type[_Server]:
    return _Server6 if ":" in host else _Server


class _Handler(WSGIRequestHandler):
    """Says nothing of requests, and waits for none without end."""

    timeout = REQUEST_S_MAX

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's word
        """Scrapes are no news."""
