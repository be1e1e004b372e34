"""What a webhook message of GOV.UK Pay says, as an event of ours: milestone, amount, payer; nothing else.

The shape is that of docs.payments.service.gov.uk/webhooks ("Webhook message example") and of the sender's
source (github.com/alphagov/pay-webhooks, `WebhookMessageBody`): there types are written in lower case, in the
documentation in upper case, so both are taken. A message about a refund holds the payment that it belongs to
(`WebhookMessageService.getResourceIdForEvent`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from connectors.event_types import PAYMENT_TYPE
from connectors.pay.services import Service
from schemas import IdentifierInvalid, Schemes, json_value

MILESTONES: Mapping[str, str] = {
    "card_payment_succeeded": "SUCCEEDED",
    "card_payment_captured": "CAPTURED",
    "card_payment_settled": "SETTLED",
    "card_payment_refunded": "REFUNDED",
    "card_payment_failed": "FAILED",
    "card_payment_expired": "EXPIRED",
}
"""Every event that a webhook can be subscribed to ("Create a webhook": succeeds, fails, …, is refunded)."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class NotUnderstood(StrEnum):
    """Why a message that GOV.UK Pay signed is no event of ours; also an outcome in the metrics."""

    MALFORMED = "malformed"
    UNKNOWN_EVENT = "unknown-event"
    NO_IDENTIFIER = "no-identifier"
    IDENTIFIER_INVALID = "identifier-invalid"


class Understood(NamedTuple):
    """A message: its id at GOV.UK Pay, and the event as a CloudEvent in JSON."""

    message: str
    line: bytes


class _Refunds(msgspec.Struct):
    amount_submitted: int = 0


class _Resource(msgspec.Struct):
    # INVARIANT: what is not named here is not read. Card, holder, e-mail, address and description are in
    # every message and must not come any further.
    payment_id: str
    amount: int
    reference: str = ""
    metadata: dict[str, str | int | bool] = {}
    refund_summary: _Refunds = msgspec.field(default_factory=_Refunds)


class _Message(msgspec.Struct):
    id: str
    created_date: str
    event_type: str
    resource: _Resource


_decoder = msgspec.json.Decoder(_Message)


def understand(body: bytes, service: Service, schemes: Schemes) -> Understood | NotUnderstood:
    """Read a message whose signature was checked; the payer's identifier is made canonical (I1)."""
    try:
        json_value(
            body
        )  # INVARIANT: of a key that stands twice no value is taken: it may be the payer's (E3)
        message = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NotUnderstood.MALFORMED
    paid = message.resource
    if not (_ID.fullmatch(message.id) and _ID.fullmatch(paid.payment_id)):
        return NotUnderstood.MALFORMED
    milestone = MILESTONES.get(message.event_type.lower())
    if milestone is None:
        return NotUnderstood.UNKNOWN_EVENT
    identifier = _identifier(paid, service)
    if identifier is None:
        return NotUnderstood.NO_IDENTIFIER
    try:
        payer = schemes.canonical(service.scheme, identifier)
    except IdentifierInvalid:
        return NotUnderstood.IDENTIFIER_INVALID
    return Understood(message.id, _line(message, milestone, payer, service))


def _identifier(paid: _Resource, service: Service) -> str | None:
    """The payer's identifier, None where the service gave GOV.UK Pay none."""
    found = paid.reference if service.metadata is None else paid.metadata.get(service.metadata, "")
    # GOV.UK Pay keeps numbers and truth values in metadata as such; an identifier may be all digits.
    text = str(found).strip() if isinstance(found, str | int) and not isinstance(found, bool) else ""
    return text or None


def _line(message: _Message, milestone: str, payer: str, service: Service) -> bytes:
    """The event, named by the message: sent again, it is the same event (E1)."""
    paid = message.resource
    state = {
        "service": service.name,
        "status": milestone,
        "amount_pence": paid.amount,
        "refunded_pence": paid.refund_summary.amount_submitted,
    }
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": message.id,
            "source": service.source,
            "type": PAYMENT_TYPE,
            "time": message.created_date,
            "data": {
                "payer": payer,
                "payment_id": paid.payment_id,
                "payment": state,
                "happened": message.created_date,
            },
        }
    )
