"""Every message of the AsyncAPI documents: CloudEvents headers, Avro payload, Kafka binding (E2, V2-V4)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..agreement import Agreement
from ..agreement_file import PAIRWISE
from ..catalogue import Contracts
from ..cloudevents import AVRO_CONTENT_TYPE, STRUCTURED_CONTENT_TYPE
from ..contract import Contract
from ..page import example
from ..views import view_schema
from .wire import Wire

Json = dict[str, object]

AVRO = "application/vnd.apache.avro+json;version=1.9.0"
"""The Avro format that AsyncAPI 3 names; what our schemas use has not changed since that version."""
BINDING = "0.5.0"
TEXT: Json = {"type": "string"}
MOMENT: Json = {"type": "string", "format": "date-time"}
SYSTEM = "[A-Za-z0-9._-]{1,64}"


def event(contract: Contract, contracts: Contracts) -> Json:
    """An event of a contract, binary mode (E2); structured mode is taken too, the example shows it."""
    owners = "|".join(sorted(contract.owners))
    headers = _headers(
        source={"type": "string", "pattern": f"^urn:gov:({owners}):{SYSTEM}$"}, type_=contract.type
    )
    shown = example(contract, contracts)
    return {
        "name": contract.type,
        "title": contract.doc.partition(". ")[0].rstrip("."),
        "summary": contract.doc,
        "contentType": AVRO_CONTENT_TYPE,
        "tags": [{"name": f"kind:{contract.kind}"}],
        "headers": headers,
        "payload": {"schemaFormat": AVRO, "schema": dict(contract.schema)},
        "bindings": {
            "kafka": _binding({"type": "string", "description": "Yours: nothing depends on it (E2)."})
        },
        "examples": [
            {
                "name": "about-nobody",
                "summary": "The data as plain JSON (E3); on Kafka it is Avro in the Confluent wire format.",
                "headers": {f"ce_{name}": value for name, value in shown.items() if name != "data"},
                "payload": shown["data"],
            }
        ],
    }


def view_updated(agreement: Agreement, contracts: Contracts, wire: Wire) -> Json:
    """A view, written when its content changed (V1)."""
    return {
        "name": wire.view_updated,
        "title": f"A person's view for {agreement.purpose}",
        "summary": "All that the subscriber may see of one person now. It replaces what came under this key.",
        "contentType": AVRO_CONTENT_TYPE,
        "headers": _view_headers(
            agreement, wire, wire.view_updated, {"postroom_supersedes": _SUPERSEDES}, ()
        ),
        "payload": {"schemaFormat": AVRO, "schema": view_schema(agreement, contracts)},
        "bindings": {"kafka": _binding(_key(agreement))},
    }


def view_retracted(agreement: Agreement, wire: Wire) -> Json:
    """The withdrawal of a view: a tombstone (V2)."""
    reason: Json = {
        "type": "string",
        "enum": ["ended", "corrected"],
        "description": "Never why: only whether the view ended or was about somebody else.",
    }
    return {
        "name": wire.view_retracted,
        "title": f"The withdrawal of a person's view for {agreement.purpose}",
        "summary": "Delete what you hold under this key. What is owed comes on the topic of obligations too.",
        "headers": _view_headers(
            agreement, wire, wire.view_retracted, {"postroom_reason": reason}, ("postroom_reason",)
        ),
        "payload": {"type": "null"},
        "bindings": {"kafka": {"key": _key(agreement), "bindingVersion": BINDING}},
    }


def deletion_due(subscriber: str, wire: Wire) -> Json:
    """What a subscriber owes to delete, and until when (V4)."""
    properties: Json = {
        "obligation": {"type": "string", "pattern": "^o-[0-9a-f]{32}$"},
        "agreement": TEXT,
        "key": {"type": "string", "description": "The key of the view that held the values."},
        "fields": {"type": "array", "items": TEXT, "description": "The attributes to delete."},
        "sequence": {"type": "integer", "description": "Of the last view that held them."},
        "since": MOMENT,
        "deadline": MOMENT,
    }
    return {
        "name": wire.deletion_due,
        "title": f"What {subscriber} owes to delete",
        "summary": "Delete these attributes under this key by the deadline, then acknowledge the obligation.",
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {
                "ce_type": {"const": wire.deletion_due},
                "content-type": {"const": "application/json"},
            },
            "required": ["ce_type", "content-type"],
        },
        "payload": {"type": "object", "properties": properties, "required": [*properties]},
        "bindings": {"kafka": {"key": TEXT, "bindingVersion": BINDING}},
    }


def acknowledged(subscribers: tuple[str, ...]) -> Json:
    """A subscriber's word that it has deleted (V4): a CloudEvent in JSON."""
    properties: Json = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "pattern": f"^urn:gov:({'|'.join(subscribers)}):{SYSTEM}$"},
        "type": TEXT | {"examples": ["uk.gov.postroom.deletion-acknowledged.v1"]},
        "time": MOMENT,
        "data": {
            "type": "object",
            "properties": {"obligation": {"type": "string", "pattern": "^o-[0-9a-f]{32}$"}},
            "required": ["obligation"],
        },
    }
    return {
        "name": "deletion-acknowledged",
        "title": "What was owed is deleted",
        "summary": "The subscriber's own word settles its obligation; nobody else's does.",
        "contentType": STRUCTURED_CONTENT_TYPE,
        "headers": {
            "type": "object",
            "properties": {"content-type": {"const": STRUCTURED_CONTENT_TYPE}},
            "required": ["content-type"],
        },
        "payload": {"type": "object", "properties": properties, "required": [*properties]},
        "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": BINDING}},
    }


_SUPERSEDES: Json = {
    "type": "string",
    "description": "After a merge: a key that you had of the same person; it may stand several times.",
}


def _headers(source: Json, type_: str, more: Mapping[str, object] | None = None) -> Json:
    properties: Json = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {
            "type": "string",
            "minLength": 1,
            "description": "With the source, it names the event (E1).",
        },
        "ce_source": source,
        "ce_type": {"const": type_},
        "ce_time": MOMENT | {"description": "When it was recorded, RFC 3339."},
    }
    required = [*properties, "content-type"]
    properties["content-type"] = {"const": AVRO_CONTENT_TYPE}
    properties["traceparent"] = TEXT | {"description": "W3C trace context; carried on."}
    return {"type": "object", "properties": properties | dict(more or {}), "required": required}


def _view_headers(
    agreement: Agreement, wire: Wire, type_: str, more: Mapping[str, object], required: tuple[str, ...]
) -> Json:
    """V3: what stands on every record of a view topic."""
    own: Json = {
        "ce_subject": TEXT | {"description": "The key again."},
        "postroom_sequence": {
            "type": "string",
            "pattern": "^[1-9][0-9]*$",
            "description": "Rises by one under each key.",
        },
        "postroom_agreement": {"type": "string", "pattern": f"^{agreement.agreement}@[1-9][0-9]*$"},
        "postroom_cause": TEXT | {"description": "Opaque; the disclosure log resolves it."},
    }
    headers = _headers({"const": wire.source}, type_, own | dict(more))
    always = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", *own, *required]
    if type_ == wire.view_updated:
        return headers | {"required": [*always, "content-type"]}
    properties = headers["properties"]
    assert isinstance(properties, dict)  # noqa: S101 - made a line above
    without = {name: schema for name, schema in properties.items() if name != "content-type"}
    return headers | {"properties": without, "required": always}


def _key(agreement: Agreement) -> Json:
    """C8: a pseudonym, or the person's identifier."""
    if agreement.subject == PAIRWISE:
        return {
            "type": "string",
            "pattern": "^s-[0-9a-f]{32}$",
            "description": "A pseudonym of this agreement.",
        }
    return {"type": "string", "pattern": f"^{re.escape(agreement.subject)}:.+$"}


def _binding(key: Json) -> Json:
    return {
        "key": key,
        "schemaIdLocation": "payload",
        "schemaIdPayloadEncoding": "confluent",
        "schemaLookupStrategy": "TopicNameStrategy",
        "bindingVersion": BINDING,
    }
