"""A stand-in for GOV.UK Pay's sender of webhook messages: the same bodies, signatures, patience and retries.

Built from docs.payments.service.gov.uk/webhooks and the sender's source, github.com/alphagov/pay-webhooks:
`Pay-Signature` over the body (`WebhookMessageSignatureGenerator`), five seconds for an answer
(`WebhookMessageSender.TIMEOUT`), and what is not answered with 2xx again after 60 s, 5 min, 1 h, 1 and 2
days (`SendAttempter.nextRetryIn`), with the same body. It has no admin tool and no other resources.

As a program it sends one payment's messages: `python -m tests.standins.govuk_pay_stand_in --help`.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

RETRIES_S = (60, 300, 3_600, 86_400, 172_800)
TIMEOUT_S = 5.0
NAME = "govuk-pay-stand-in"

Send = Callable[[str, bytes, dict[str, str]], int | None]
"""POST to the webhook's path; the answer's status, None when none came in time."""


@dataclass
class Message:
    """One message of a webhook, as it stands in the sender's queue."""

    path: str
    body: bytes
    attempts: list[int | None] = field(default_factory=list)

    @property
    def is_received(self) -> bool:
        return any(status is not None and 200 <= status < 300 for status in self.attempts)

    @property
    def is_given_up(self) -> bool:
        return not self.is_received and len(self.attempts) > len(RETRIES_S)


class GovukPayStandIn:
    """One webhook: its signing secret, and the messages that wait."""

    def __init__(self, send: Send, secret: str) -> None:
        self._send, self.secret = send, secret
        self.messages: list[Message] = []

    def signature(self, body: bytes) -> str:
        """As "Verifying webhook messages from GOV.UK Pay" has it."""
        return hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()

    def queue(self, path: str, body: bytes) -> Message:
        """A payment event happened: its message waits to be sent."""
        message = Message(path, body)
        self.messages.append(message)
        return message

    def attempt(self, message: Message) -> bool:
        """Send a message once, signed with the secret of now; tell whether it was received."""
        headers = {"content-type": "application/json", "pay-signature": self.signature(message.body)}
        message.attempts.append(self._send(message.path, message.body, headers))
        return message.is_received

    def waiting(self) -> list[Message]:
        """What is neither received nor given up, oldest first."""
        return [each for each in self.messages if not (each.is_received or each.is_given_up)]


def over_http(base_url: str) -> Send:
    """Send for real."""

    def send(path: str, body: bytes, headers: dict[str, str]) -> int | None:
        try:
            return httpx.post(base_url + path, content=body, headers=headers, timeout=TIMEOUT_S).status_code
        except httpx.HTTPError:
            return None

    return send


def message_body(
    message_id: str,
    created: str,
    event_type: str = "card_payment_captured",
    payment_id: str = "hu20sqlact5260q2nanm0q8u93",
    metadata: dict[str, Any] | None = None,
    **resource: Any,
) -> bytes:
    """A body as "Webhook message example" has it, with card, holder, e-mail and address as there."""
    said: dict[str, Any] = {
        "amount": 5000,
        "description": "Pay your council tax",
        "reference": "12345",
        "language": "en",
        "email": "sherlock.holmes@example.com",
        "state": {"status": "success", "finished": True},
        "payment_id": payment_id,
        "payment_provider": "stripe",
        "created_date": created,
        "refund_summary": {"status": "available", "amount_available": 5000, "amount_submitted": 0},
        "settlement_summary": {},
        "card_details": {
            "last_digits_card_number": "1234",
            "first_digits_card_number": "123456",
            "cardholder_name": "Sherlock Holmes",
            "expiry_date": "04/24",
            "billing_address": {
                "line1": "221 Baker Street",
                "line2": "Flat b",
                "postcode": "NW1 6XE",
                "city": "London",
                "country": "GB",
            },
            "card_brand": "Visa",
            "card_type": "debit",
        },
        "delayed_capture": False,
        "moto": False,
        "provider_id": "10987654321",
        "return_url": "https://your.service.gov.uk/completed",
    }
    if metadata is not None:
        said["metadata"] = metadata
    whole = {
        "id": message_id,
        "api_version": 1,
        "created_date": created,
        "resource_id": payment_id,
        "resource_type": "payment",
        "event_type": event_type,
        "resource": said | resource,
    }
    return json.dumps(whole).encode()


def main() -> None:
    """Send the messages of one payment: authorised, then taken."""
    parser = argparse.ArgumentParser(prog=NAME, description="Sends webhook messages as GOV.UK Pay does.")
    parser.add_argument("url", help="the door and the service's path: http://127.0.0.1:8090/pay/NAME")
    parser.add_argument("--secret-file", type=Path, required=True)
    parser.add_argument("--metadata", nargs=2, metavar=("KEY", "VALUE"), action="append", default=[])
    parser.add_argument("--created", required=True, help="when it happened, as 2026-11-27T10:00:00.000Z")
    parser.add_argument("--id", default="3c9a1f0d", help="the beginning of the messages' ids")
    given = parser.parse_args()
    sender = GovukPayStandIn(over_http(given.url), given.secret_file.read_text().strip())
    for number, event_type in enumerate(("card_payment_succeeded", "card_payment_captured")):
        body = message_body(f"{given.id}{number}", given.created, event_type, metadata=dict(given.metadata))
        message = sender.queue("", body)
        sender.attempt(message)
        print(json.dumps({"process": NAME, "event": event_type, "status": message.attempts[-1]}))
    sys.exit(0 if all(each.is_received for each in sender.messages) else 1)


if __name__ == "__main__":
    main()
