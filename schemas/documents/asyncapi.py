"""AsyncAPI 3 documents: the backbone's own, and one for each organisation that sees only its own channels.

In the backbone's document the backbone receives events and sends views; in an organisation's it is the other
way round, so that a generator makes a client of it. Every operation names the Kafka user that may do it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..agreement import Agreement
from . import messages
from .flows import Flows
from .messages import BINDING, Json
from .wire import Topic, Wire
from .words import basis, lasting

BACKBONE = "postroom"
INVERSE = {"send": "receive", "receive": "send"}


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic with its messages by name, as the documents tell them."""

    topic: Topic
    title: str
    summary: str
    messages: Mapping[str, Json]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """What one organisation does on one channel as one Kafka user; `action` is the backbone's."""

    name: str
    party: str
    action: str
    topic: str
    user: str
    title: str
    summary: str
    group: str = ""


def asyncapi(flows: Flows, wire: Wire, party: str | None = None) -> Json:
    """The document of an organisation, or without one the backbone's with everybody's operations."""
    operations = [each for each in _operations(flows, wire) if party in (None, each.party)]
    topics = {each.topic for each in operations}
    channels = [each for each in _channels(flows, wire, party) if each.topic.name in topics]
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:postroom:asyncapi:{party or BACKBONE}",
        "info": _info(party),
        "defaultContentType": "application/avro",
        "servers": {"kafka": _server()},
        "channels": {each.topic.name: _channel(each) for each in channels},
        "operations": {each.name: _operation(each, inverted=party is not None) for each in operations},
        "components": {"securitySchemes": _schemes(operations)},
    }


def _info(party: str | None) -> Json:
    about = (
        f"What {party} publishes to Postroom and receives, on Kafka. `send` and `receive` are {party}'s."
        if party
        else "Every department's topic, every view, obligations and acknowledgements. `send` and `receive` "
        "are the backbone's: it receives events and sends views."
    )
    return {
        "title": f"Postroom for {party}" if party else "Postroom",
        "version": "1",
        "description": f"{about} Over HTTP: openapi.json. Made from the contracts and agreements.",
    }


def _server() -> Json:
    return {
        "host": "{host}:{port}",
        "protocol": "kafka-secure",
        "description": "Your installation's brokers; consumers read with isolation.level=read_committed.",
        "variables": {
            "host": {"description": "Ask who runs the installation.", "default": "localhost"},
            "port": {"description": "The port that speaks TLS.", "default": "9093"},
        },
        "security": [
            {"$ref": "#/components/securitySchemes/password"},
            {"$ref": "#/components/securitySchemes/certificate"},
        ],
        "bindings": {"kafka": {"schemaRegistryVendor": "apicurio", "bindingVersion": BINDING}},
    }


def _channels(flows: Flows, wire: Wire, party: str | None) -> Iterator[Channel]:
    contracts, agreements = flows.contracts, flows.agreements.values()
    for type_, contract in contracts.by_type.items():
        yield Channel(
            wire.topics[type_],
            contract.doc.partition(". ")[0].rstrip("."),
            f"Kept for {lasting(contract.retention)}. Subject of the registry: {type_}-value.",
            {"event": messages.event(contract, contracts)},
            tuple(f"owner:{owner}" for owner in sorted(contract.owners) if party in (None, owner)),
        )
    for agreement in agreements:
        yield Channel(
            wire.topics[wire.view_topic(agreement.agreement)],
            f"What {agreement.subscriber} may see for {agreement.purpose}",
            f"{basis(agreement)}. Subject of the registry: {wire.view_topic(agreement.agreement)}-value.",
            {
                "view-updated": messages.view_updated(agreement, contracts, wire),
                "view-retracted": messages.view_retracted(agreement, wire),
            },
            (f"subscriber:{agreement.subscriber}", f"basis:{agreement.basis}"),
        )
    subscribers = _subscribers(agreements)
    for name in subscribers:
        yield Channel(
            wire.topics[wire.obligations_topic(name)],
            f"What {name} owes to delete",
            "Kept for ever.",
            {"deletion-due": messages.deletion_due(name, wire)},
            (f"subscriber:{name}",),
        )
    mine = (party,) if party in subscribers else subscribers
    yield Channel(
        wire.topics[wire.acknowledgements_topic],
        "What subscribers have deleted",
        "Kept for ever. A subscriber settles its own obligations only.",
        {"deletion-acknowledged": messages.acknowledged(mine)},
        (),
    )


def _operations(flows: Flows, wire: Wire) -> Iterator[Operation]:
    for type_, contract in flows.contracts.by_type.items():
        for owner in sorted(contract.owners):
            yield _publishing(owner, type_, wire)
    for agreement in flows.agreements.values():
        yield _receiving(agreement, wire)
    for name in _subscribers(flows.agreements.values()):
        user, topic = wire.subscriber_user(name), wire.obligations_topic(name)
        owed = "Read what to delete, and by when."
        yield Operation(f"{name}.owes", name, "send", topic, user, f"{name} owes deletions", owed, user)
        said = "Say that an obligation is fulfilled."
        topic = wire.acknowledgements_topic
        yield Operation(f"{name}.acknowledges", name, "receive", topic, user, f"{name} has deleted", said)


def _publishing(owner: str, type_: str, wire: Wire) -> Operation:
    user, title = wire.owner_user(owner), f"{owner} publishes {type_}"
    summary = "One event a record; the same (source, id) again is the same event."
    if user not in wire.topics[type_].writers:
        # Kafka tells no reader who wrote a record, so a topic of several owners is the gateway's alone.
        user = wire.gateway_user
        summary += (
            " The topic has several owners, so only the gateway writes it: POST /events (openapi.json)."
        )
    return Operation(f"{owner}.publishes.{type_}", owner, "receive", type_, user, title, summary)


def _receiving(agreement: Agreement, wire: Wire) -> Operation:
    name, topic = agreement.subscriber, wire.view_topic(agreement.agreement)
    return Operation(
        f"{name}.receives.{agreement.agreement}",
        name,
        "send",
        topic,
        wire.subscriber_user(name),
        f"{name} receives {topic}",
        "Keep the latest value under each key; a null value takes it back: delete what you hold of it. "
        f"What is owed is deleted within {lasting(agreement.delete_within)}.",
        wire.subscriber_user(name),
    )


def _subscribers(agreements: Iterable[Agreement]) -> tuple[str, ...]:
    return tuple(sorted({agreement.subscriber for agreement in agreements}))


def _channel(channel: Channel) -> Json:
    topic = channel.topic
    return {
        "address": topic.name,
        "title": channel.title,
        "summary": channel.summary,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": dict(channel.messages),
        "tags": [{"name": tag} for tag in channel.tags],
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {name: _setting(name, value) for name, value in topic.config.items()},
                "bindingVersion": BINDING,
            }
        },
    }


def _setting(name: str, value: str) -> object:
    if name == "cleanup.policy":
        return value.split(",")
    return int(value) if value.lstrip("-").isdecimal() else value


def _operation(operation: Operation, *, inverted: bool) -> Json:
    pointer = f"#/channels/{operation.topic}"
    binding: Json = {"bindingVersion": BINDING}
    if operation.group:
        binding = {"groupId": {"type": "string", "pattern": f"^{operation.group}\\..+$"}} | binding
    return {
        "action": INVERSE[operation.action] if inverted else operation.action,
        "channel": {"$ref": pointer},
        "title": operation.title,
        "summary": operation.summary,
        "security": [{"$ref": f"#/components/securitySchemes/{operation.user}"}],
        "tags": [{"name": operation.party}],
        "bindings": {"kafka": binding},
    }


def _schemes(operations: Iterable[Operation]) -> Json:
    users = sorted({operation.user for operation in operations})
    return {
        "password": {
            "type": "scramSha512",
            "description": "SASL_SSL with the user that the operation names.",
        },
        "certificate": {"type": "X509", "description": "SSL with a certificate that comes out as that user."},
        **{user: {"type": "scramSha512", "description": f"As the Kafka user {user}."} for user in users},
    }
