"""Every document that is made from contracts and agreements, as files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.gateway import document as gateway_document
from connectors.kafka_acls import Operation, Resource
from postroom.access import GATEWAY, OWNER, SUBSCRIBER, wanted_acls
from postroom.made_files import with_sums
from postroom.topics import wanted_topics
from processors import ACKNOWLEDGEMENTS_TOPIC, obligations_topic, view_topic
from processors.disclosure import OBLIGATION, SOURCE, VIEW_RETRACTED, VIEW_UPDATED
from schemas import Agreement, Contracts
from schemas.documents import Topic, Wire, as_yaml, asyncapi_documents, catalogue, data_contracts, flows


def made(
    contracts: Contracts,
    agreements: Mapping[str, Agreement],
    partitions: int,
    *,
    shared_directly: bool = False,
) -> dict[str, str]:
    """Return every document by its path."""
    wire = wire_of(contracts, agreements, partitions, shared_directly=shared_directly)
    found = flows(contracts, agreements)
    files = {
        **{name: _as_json(each) for name, each in asyncapi_documents(found, wire).items()},
        "openapi.json": _as_json(gateway_document()),
        **{f"odcs/{name}": as_yaml(each) for name, each in data_contracts(found, wire).items()},
        **{f"catalogue/{name}": text for name, text in catalogue(found, wire).items()},
    }
    return with_sums(files)


def wire_of(
    contracts: Contracts,
    agreements: Mapping[str, Agreement],
    partitions: int,
    *,
    shared_directly: bool = False,
) -> Wire:
    """Return the topics and permissions of an installation as documents tell them."""
    acls = wanted_acls(contracts, agreements.values(), shared_directly=shared_directly)
    may: dict[tuple[str, str], set[str]] = {}
    for acl in acls:
        if acl.resource is Resource.TOPIC:
            may.setdefault((acl.name, acl.operation), set()).add(acl.user)
    topics = {
        each.name: Topic(
            each.name,
            each.partitions,
            each.config,
            frozenset(may.get((each.name, Operation.WRITE), ())),
            frozenset(may.get((each.name, Operation.READ), ())),
        )
        for each in wanted_topics(contracts, agreements.values(), partitions)
    }
    return Wire(
        topics=topics,
        view_topic=view_topic,
        obligations_topic=obligations_topic,
        acknowledgements_topic=ACKNOWLEDGEMENTS_TOPIC,
        owner_user=lambda name: OWNER + name,
        subscriber_user=lambda name: SUBSCRIBER + name,
        gateway_user=GATEWAY,
        view_updated=VIEW_UPDATED.decode(),
        view_retracted=VIEW_RETRACTED.decode(),
        deletion_due=OBLIGATION.decode(),
        source=SOURCE.decode(),
    )


def _as_json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
