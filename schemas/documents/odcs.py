"""Open Data Contract Standard documents (v3.1): one for each contract, one for each agreement's view.

What a data catalogue imports: schema, quality, service levels, who is answerable and who has access. Service
levels are those that the rules promise (R7, V1, V4, V7) and no others.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..agreement import Agreement
from ..agreement_file import PAIRWISE
from ..avro import PlainCodec
from ..catalogue import Contracts
from ..contract import Contract
from ..times import DAY_MS, format_instant
from ..views import view_schema
from .odcs_fields import Json, contract_fields, described
from .wire import Topic, Wire
from .words import BASES, KINDS, about_whom, basis, iso, known_by, lasting

STANDARD = "v3.1.0"
SOURCE_ID = (
    "`ce_source` and `ce_id` name an event: the same pair again is the same event and counts once (E1)."
)
IN_TIME = "`ce_time` is not before 2000 and not more than 5 minutes after the broker's timestamp (E7)."
OWNED = "The department in `ce_source` is one of the contract's owners (E7)."
WHOLE = "The view is complete: it replaces what came under its key before (V1)."
RISING = "`postroom_sequence` rises by one under each key: a lower one is older (V3)."


def contract_document(contract: Contract, contracts: Contracts, wire: Wire) -> Json:
    """The data contract of what a department publishes."""
    topic = wire.topics[contract.type]
    number, unit = iso(contract.retention)
    return {
        **_head(
            f"urn:postroom:contract:{contract.type}", contract.type, str(contract.version), contract.domain
        ),
        "description": {
            "purpose": contract.doc,
            "usage": f"{KINDS[contract.kind]} CloudEvents on Kafka or over HTTP.",
            "limitations": "Nobody reads this topic but the backbone; what is shared of it, agreements say.",
        },
        "servers": [_server(contract.type)],
        "schema": [
            {
                "name": contract.fact,
                "physicalName": topic.name,
                "physicalType": "topic",
                "logicalType": "object",
                "description": contract.doc,
                "dataGranularityDescription": "One record is one event about one person.",
                "tags": [f"kind:{contract.kind}"],
                "properties": contract_fields(contract, contracts),
                "quality": [
                    _rule("uniqueness", SOURCE_ID),
                    _rule("timeliness", IN_TIME),
                    _rule("conformity", OWNED),
                ],
            }
        ],
        "team": _team(contract.owners, "owner"),
        "roles": _roles(topic),
        "slaProperties": [
            {
                "property": "retention",
                "value": number,
                "unit": unit,
                "driver": "regulatory",
                "description": "After that it no longer counts and is erased (R7).",
            }
        ],
    }


def view_document(agreement: Agreement, contracts: Contracts, wire: Wire) -> Json:
    """The data contract of what a subscriber receives under an agreement."""
    topic = wire.topics[wire.view_topic(agreement.agreement)]
    name = f"view.{agreement.agreement}"
    return {
        **_head(
            f"urn:postroom:agreement:{agreement.agreement}", name, str(agreement.version), agreement.purpose
        ),
        "description": {
            "purpose": f"What {agreement.subscriber} may see of one person for {agreement.purpose}.",
            "usage": f"{about_whom(agreement)}. Known by: {known_by(agreement, contracts)}.",
            "limitations": _limits(agreement),
        },
        "servers": [_server(name)],
        "schema": [
            {
                "name": "view",
                "physicalName": topic.name,
                "physicalType": "topic",
                "logicalType": "object",
                "description": "What this agreement may see of one person now.",
                "dataGranularityDescription": "One key is one person; a null value takes the view back.",
                "properties": _view_fields(agreement, contracts),
                "quality": [_rule("completeness", WHOLE), _rule("consistency", RISING)],
            }
        ],
        "team": _team([agreement.subscriber], "subscriber"),
        "roles": _roles(topic),
        "slaProperties": _levels(agreement, topic),
        "customProperties": [
            {"property": "lawfulBasis", "value": str(agreement.basis)},
            {"property": "article", "value": BASES[agreement.basis][1]},
            {"property": "statutoryGateway", "value": agreement.gateway},
            {"property": "recordKey", "value": agreement.subject},
            {"property": "honoursObjection", "value": agreement.honours_objection},
            {"property": "seesRestricted", "value": agreement.sees_restricted},
            {"property": "afterDeath", "value": agreement.after_death},
        ],
    }


def _head(id_: str, name: str, version: str, domain: str) -> Json:
    return {
        "apiVersion": STANDARD,
        "kind": "DataContract",
        "id": id_,
        "name": name,
        "version": version,
        "status": "active",
        "domain": domain,
    }


def _server(topic: str) -> Json:
    """ODCS wants a host; each installation has its own."""
    return {
        "server": "postroom",
        "type": "kafka",
        "host": "${POSTROOM_KAFKA}",
        "format": "avro",
        "description": f"Topic {topic}, Confluent wire format, subject {topic}-value; read committed.",
    }


def _view_fields(agreement: Agreement, contracts: Contracts) -> list[Json]:
    rows = []
    for field in PlainCodec(view_schema(agreement, contracts)).type.fields:
        attribute = contracts.attributes[field.name]
        rows.append(
            described(field)
            | {
                "classification": attribute.sensitivity,
                "tags": [f"attribute:{attribute.name}", f"category:{attribute.category}"],
            }
        )
    return rows


def _limits(agreement: Agreement) -> str:
    gateway = f" ({agreement.gateway})" if agreement.gateway else ""
    rest = f"Shared on the basis: {basis(agreement)}{gateway}. For {agreement.purpose} only."
    if agreement.subject == PAIRWISE:
        return rest + " The key is a pseudonym: it links to nothing outside."
    return rest


def _levels(agreement: Agreement, topic: Topic) -> list[Json]:
    number, unit = iso(agreement.delete_within)
    tombstones = int(topic.config["delete.retention.ms"])
    return [
        {
            "property": "latency",
            "value": 1,
            "unit": "s",
            "element": "view",
            "driver": "regulatory",
            "description": "From a withdrawal at the broker to its committed retraction, 99 of 100 (V7).",
        },
        {
            "property": "deletion",
            "value": number,
            "unit": unit,
            "driver": "regulatory",
            "description": f"What is withdrawn is deleted within {lasting(agreement.delete_within)} (V4).",
        },
        {
            "property": "retention",
            "value": tombstones / DAY_MS,
            "unit": "d",
            "description": "Retractions stay so long; a reader further behind rereads everything (V1).",
        },
        {
            "property": "generalAvailability",
            "value": format_instant(agreement.valid_from),
            "driver": "regulatory",
        },
        {
            "property": "endOfLife",
            "value": format_instant(agreement.valid_until),
            "driver": "regulatory",
            "description": "The agreement is in force before this moment.",
        },
    ]


def _team(names: Iterable[str], role: str) -> Json:
    members = [{"username": name, "role": role} for name in sorted(names)]
    return {"name": " and ".join(str(member["username"]) for member in members), "members": members}


def _roles(topic: Topic) -> list[Json]:
    """Who may on Kafka, user by user."""
    return [
        {"role": user, "access": access}
        for access, users in (("write", topic.writers), ("read", topic.readers))
        for user in sorted(users)
    ]


def _rule(dimension: str, text: str) -> Json:
    return {"type": "text", "dimension": dimension, "description": text}
