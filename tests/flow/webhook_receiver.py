"""A receiver's process for flow tests: verifies by the official library, writes what it got, answers 204."""

from __future__ import annotations

import http.server
import json
import os
import sys

from standardwebhooks import Webhook

webhook = Webhook(os.environ["LEEDS_WEBHOOK_KEY"])
got = open(sys.argv[2], "a", encoding="utf-8")  # noqa: SIM115 - until the process ends


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_OPTIONS(self) -> None:
        origin = self.headers["webhook-request-origin"]
        self.say(200, {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        webhook.verify(body, dict(self.headers.items()))
        line = {"id": self.headers["webhook-id"], "body": body.decode()}
        got.write(json.dumps(line) + "\n")
        got.flush()
        self.say(204, {})

    def say(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
