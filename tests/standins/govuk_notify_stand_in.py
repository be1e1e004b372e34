"""A stand-in for GOV.UK Notify's API: the same tokens, answers, errors and limits, for e-mails.

Built from docs.notifications.service.gov.uk (REST API: "Authorisation header", "Send an email", "Get the
status of multiple messages", "Error codes", "Limits") and checked by its official client: a JWT by HS256
whose `iss` is the service and whose `iat` is within 30 seconds; 201 with id, reference, content, uri and
template; 400 `ValidationError` and `BadRequestError`, 403 `AuthError`, 429 `RateLimitError` and
`TooManyRequestsError`, 500 `Exception`, each as `{"status_code": …, "errors": [{"error": …, "message": …}]}`,
whose message repeats the address, as the real one may. It delivers nothing: what it took is in `messages`,
and in a file if one is given.

As a program: `python -m tests.standins.govuk_notify_stand_in --port 9300 --keep sent.jsonl`.
"""

from __future__ import annotations

import argparse
import http.server
import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt

NAME = "govuk-notify-stand-in"
SERVICE, SECRET = "26785a09-ab16-4eb0-8407-a37497a57506", "3d844edf-8d35-48ac-975b-e847b4f122b0"
API_KEY = f"stand_in_key-{SERVICE}-{SECRET}"
TEMPLATES = ("f33517ff-2a88-4f6e-b855-c550268ce08a", "740e5834-3a29-46b4-9a6f-16142fde533a")
CLOCK_S = 30
PAGE = 250

Fault = Callable[[dict[str, Any]], tuple[int, str, str] | None]
"""Given a request, the error that is answered instead: status, type, message."""


class GovukNotifyStandIn:
    """One service; `fault` answers instead, `slow_s` answers late, `lost` takes a message and answers 500."""

    def __init__(self, port: int = 0, keep: Path | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.fault: Fault = lambda _: None
        self.slow_s = 0.0
        self.lost = False
        self.per_minute, self.per_day = 3_000, 250_000
        self._keep, self._lately = keep, deque[float]()
        self._lock = threading.Lock()
        if keep is not None and keep.exists():
            self.messages = [json.loads(line) for line in keep.read_text().splitlines()]
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.asked.append(f"POST {self.path}")
                status, said = outer.post(self.path, self.headers.get("authorization", ""), body)
                time.sleep(outer.slow_s)
                self.say(status, said)

            def do_GET(self) -> None:
                outer.asked.append(f"GET {self.path}")
                self.say(*outer.get(self.path, self.headers.get("authorization", "")))

            def say(self, status: int, said: Any) -> None:
                body = json.dumps(said).encode()
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    return  # the client has lost patience

            def log_message(self, *_: object) -> None:
                """What was asked is in `asked`."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def post(self, path: str, authorization: str, body: bytes) -> tuple[int, Any]:
        """Answer a request to send."""
        if (refused := _authorised(authorization)) is not None:
            return refused
        given = json.loads(body)
        if path != "/v2/notifications/email":
            return _error(404, "NoResultFound", "No result found")
        with self._lock:
            refused = self._refused(given)
            if refused is not None:
                return refused
            taken = self._take(given)
            return _error(500, "Exception", "Internal server error") if self.lost else (201, taken)

    def _refused(self, given: dict[str, Any]) -> tuple[int, Any] | None:
        fault = self.fault(given)
        if fault is not None:
            return _error(*fault)
        now_s = time.monotonic()
        while self._lately and now_s - self._lately[0] > 60:
            self._lately.popleft()
        if len(self._lately) >= self.per_minute:
            words = f"Exceeded rate limit for key type LIVE of {self.per_minute} requests per 60 seconds"
            return _error(429, "RateLimitError", words)
        if len(self.messages) >= self.per_day:
            return _error(429, "TooManyRequestsError", f"Exceeded send limits ({self.per_day}) for today")
        address = str(given.get("email_address", ""))
        if "@" not in address or "." not in address.rpartition("@")[2]:
            words = f"email_address {address} is not a valid email address"
            return _error(400, "ValidationError", words)
        if given.get("template_id") not in TEMPLATES:
            return _error(400, "BadRequestError", "Template not found")
        return None

    def _take(self, given: dict[str, Any]) -> dict[str, Any]:
        self._lately.append(time.monotonic())
        message = {"id": str(uuid.uuid4()), **given}
        self.messages.append(message)
        if self._keep is not None:
            with self._keep.open("a") as file:
                file.write(json.dumps(message) + "\n")
        return {
            "id": message["id"],
            "reference": given.get("reference"),
            "content": {
                "subject": "SUBJECT",
                "body": "BODY",
                "from_email": "sender@notifications.service.gov.uk",
            },
            "uri": f"{self.url}/v2/notifications/{message['id']}",
            "template": {"id": given["template_id"], "version": 1, "uri": "…"},
        }

    def get(self, path: str, authorization: str) -> tuple[int, Any]:
        """Answer a question after messages."""
        if (refused := _authorised(authorization)) is not None:
            return refused
        fault = self.fault({})
        if fault is not None:
            return _error(*fault)
        reference = parse_qs(urlsplit(path).query).get("reference", [None])[0]
        found = [each for each in reversed(self.messages) if each.get("reference") == reference]
        return 200, {
            "notifications": [
                {"id": each["id"], "reference": reference, "type": "email", "status": "delivered"}
                for each in found[:PAGE]
            ],
            "links": {"current": path},
        }

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def _authorised(authorization: str) -> tuple[int, Any] | None:
    token = authorization.removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, SECRET, ["HS256"], options={"verify_iat": False})
    except jwt.PyJWTError:
        return _error(403, "AuthError", "Invalid token: signature, API token not found")
    if claims.get("iss") != SERVICE:
        return _error(403, "AuthError", "Invalid token: service not found")
    if abs(time.time() - claims.get("iat", 0)) > CLOCK_S:
        return _error(403, "AuthError", "Error: Your system clock must be accurate to within 30 seconds")
    return None


def _error(status: int, kind: str, message: str) -> tuple[int, Any]:
    return status, {"status_code": status, "errors": [{"error": kind, "message": message}]}


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(prog=NAME, description="Stands in for GOV.UK Notify on this machine.")
    parser.add_argument("--port", type=int, default=9300)
    parser.add_argument("--keep", type=Path, help="where to write the messages that were taken")
    given = parser.parse_args()
    service = GovukNotifyStandIn(given.port, given.keep)
    print(json.dumps({"process": NAME, "url": service.url, "api_key": API_KEY}), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
