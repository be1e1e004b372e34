"""A real Prometheus and a real Alertmanager that watch an installation, and whoever they would wake."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml

from connectors.ports import free_port
from postroom.alerts import ALERTMANAGER, RULES, load_promises, made
from tests.alerts.promtool import tool
from tests.flow.spine import ROOT

SCRAPE_S = 2
START_S = 60


@dataclass(frozen=True)
class Told:
    """One alert of a notification, as the receiver got it."""

    severity: str
    status: str
    name: str
    labels: dict[str, str]
    texts: dict[str, str]


class Watchtower:
    """Prometheus on the committed promises, with time that runs faster, and Alertmanager behind it."""

    def __init__(self, place: Path, targets: Mapping[str, int], scale: float) -> None:
        """Write what both read; ``targets`` are the metrics' ports of processes by their job."""
        self.place = place
        self.told: list[Told] = []
        self.port, self._manager_port = free_port(), free_port()
        self._receiver = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        here = f"http://127.0.0.1:{self._receiver.server_port}"
        promises = load_promises(ROOT / "deploy/slo.yaml")
        notify = {"page": f"{here}/page", "ticket": f"{here}/ticket"}
        for name, text in made(promises.model_copy(update={"notify": notify}), scale).items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text, encoding="utf-8")
        (place / "prometheus.yml").write_text(yaml.safe_dump(self._scrapes(targets)), encoding="utf-8")
        self._processes: list[subprocess.Popen[bytes]] = []
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)

    def _scrapes(self, targets: Mapping[str, int]) -> dict[str, Any]:
        every = {
            "scrape_interval": f"{SCRAPE_S}s",
            "scrape_timeout": f"{SCRAPE_S}s",
            "evaluation_interval": "1s",
        }
        manager = [{"static_configs": [{"targets": [f"127.0.0.1:{self._manager_port}"]}]}]
        return {
            "global": every,
            "rule_files": [RULES],
            "alerting": {"alertmanagers": manager},
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
                for job, port in targets.items()
            ],
        }

    def start(self) -> None:
        """Start both, and whoever is told; they are ready when this returns."""
        threading.Thread(target=self._receiver.serve_forever, daemon=True).start()
        self._start(
            "prometheus-alertmanager",
            f"--config.file={self.place / ALERTMANAGER}",
            f"--storage.path={self.place / 'alertmanager-data'}",
            f"--web.listen-address=127.0.0.1:{self._manager_port}",
            "--cluster.listen-address=",
        )
        self._start(
            "prometheus",
            f"--config.file={self.place / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.place / 'prometheus-data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        )
        for port in (self.port, self._manager_port):
            self._wait_ready(port)

    def _start(self, program: str, *arguments: str) -> None:
        with (self.place / f"{program}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen([tool(program), *arguments], stdout=log, stderr=log, cwd=self.place)
            )

    def _wait_ready(self, port: int) -> None:
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/-/ready", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                assert all(process.poll() is None for process in self._processes), self._logs()
            time.sleep(0.1)
        raise AssertionError(self._logs())

    def stop(self) -> None:
        """End everything that was started here."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._receiver.shutdown()
        self._receiver.server_close()
        self.http.close()

    # -- what it knows ---------------------------------------------------------------------------------

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the series of an expression now."""
        answer = self.http.get("/api/v1/query", params={"query": expr}).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def series(self) -> dict[str, set[str]]:
        """Return every series that was scraped or recorded by its name, with all of its labels."""
        found: dict[str, set[str]] = {}
        for each in self.http.get("/api/v1/series", params={"match[]": '{__name__=~"postroom.+|up"}'}).json()[
            "data"
        ]:
            found.setdefault(each.pop("__name__"), set()).update(each)
        return found

    def firing(self, severity: str = "page") -> set[str]:
        """Return the alerts of a severity that fire in Prometheus, held back or not."""
        found = self.query(f'ALERTS{{alertstate="firing",severity="{severity}"}}')
        return {each["metric"]["alertname"] for each in found}

    def pages(self, since: int = 0) -> set[str]:
        """Return the alerts for which somebody was woken, after so many notifications."""
        return {
            each.name for each in self.told[since:] if each.severity == "page" and each.status == "firing"
        }

    def until(
        self, wanted: Callable[[], object], what: str, within_s: float, each: Callable[[], None]
    ) -> None:
        """Wait until something is so; ``each`` is done about once a second meanwhile."""
        end = time.monotonic() + within_s
        while not wanted():
            assert time.monotonic() < end, (
                f"not within {within_s:g} s: {what}; firing {self.firing()}, {self.told}"
            )
            each()
            time.sleep(0.5)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        told = self.told

        class Receiver(BaseHTTPRequestHandler):
            """Takes Alertmanager's notifications."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    labels = alert["labels"]
                    name, severity = labels["alertname"], labels["severity"]
                    told.append(Told(severity, alert["status"], name, labels, alert["annotations"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        return Receiver

    def _logs(self) -> str:
        return "\n".join(log.read_text()[-1500:] for log in sorted(self.place.glob("*.log")))
