"""A receiver of webhooks: verifies, keeps the newest view of each key, deletes what is retracted."""

import http.server
import os
import sys

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["LEEDS_WEBHOOK_KEY"])
views, newest = {}, {}  # yours: a table of agreement, key, sequence, view


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_OPTIONS(self):  # who may send to us, and how often a minute?
        self.answer(200, {"WebHook-Allowed-Origin": "postroom.example.gov.uk", "WebHook-Allowed-Rate": "600"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            data = webhook.verify(body, dict(self.headers))["data"]
        except WebhookVerificationError:
            self.answer(401)
            return
        place = (data["agreement"].split("@")[0], data["key"])
        if data["sequence"] > newest.get(place, 0):  # else we have it, or a newer one
            newest[place], views[place] = data["sequence"], data["value"]
            if data["value"] is None:  # retracted: delete it here, and wherever you took it
                del views[place]
        self.answer(204)  # only now: what was not answered comes again
        print(f"holding {len(views)}", file=sys.stderr, flush=True)

    def answer(self, status, headers=None):
        self.send_response(status)
        for name, text in {"content-length": "0", **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()


http.server.HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9099"))), Receiver).serve_forever()
