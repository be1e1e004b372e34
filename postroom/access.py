"""Who may what on Kafka, derived from contracts and agreements alone: users, permissions, bounds (adr/0031).

Everything here is a pure function of the rules, so that it can be read, compared and tested without a broker.
What is not written here nobody may.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.event_types import LINK_TYPE, PAYMENT_TYPE
from connectors.kafka_acls import Acl, Operation, Resource
from connectors.local_security import ADMIN, BROKER
from postroom.canary import round as canary_round
from postroom.topics import INTERNAL_TOPICS, changelog, wanted_topics
from processors import (
    ACKNOWLEDGEMENTS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DISCLOSURES_TOPIC,
    DISPUTES_TOPIC,
    INSTALLATION_TOPIC,
    LETTER_DECISIONS_TOPIC,
    LETTER_REQUESTS_TOPIC,
    REPORTS_TOPIC,
    obligations_topic,
    view_topic,
)
from schemas import Agreement, Contracts

OWNER, SUBSCRIBER, POSTROOM = "owner.", "subscriber.", "postroom."
# INVARIANT: no owner's or subscriber's name has a dot, so no user is taken for another, and none of their
# prefixes begins another's.

WORKER, GATEWAY, WEBHOOK, PAY, ONELOGIN, NOTIFY, FILES, AUDITOR, OPERATOR, CANARY = (
    f"{POSTROOM}{name}"
    for name in (
        *("worker", "gateway", "webhook", "pay", "onelogin", "notify", "files"),
        *("auditor", "operator", "canary"),
    )
)
NOTICES = "citizen-notices"
"""The agreement under which the notifier gets addresses."""
# Who registers contracts needs the registry and nothing of Kafka, so there is no user for that here.
STAGES = ("intake", "identity", "persons", "record", "obligations")


@dataclass(frozen=True, slots=True)
class Role:
    """One user: who that is, and all that it may do."""

    user: str
    meaning: str
    may: frozenset[Acl]


def ours(user: str) -> bool:
    """Whether we answer for a user: what it has and is not wanted is taken away.

    The administrator and the broker are above these rules (super users); nothing is granted to them here.
    """
    return user.startswith((OWNER, SUBSCRIBER, POSTROOM)) and user not in (ADMIN, BROKER)


def wanted_acls(
    contracts: Contracts, agreements: Iterable[Agreement], *, shared_directly: bool = False
) -> frozenset[Acl]:
    """Return every permission of an installation."""
    found = roles(contracts, agreements, shared_directly=shared_directly)
    return frozenset(acl for role in found for acl in role.may)


def roles(
    contracts: Contracts, agreements: Iterable[Agreement], *, shared_directly: bool = False
) -> list[Role]:
    """Return every user with its permissions.

    `shared_directly` lets each owner of a contract with several write its topic itself: then each can write
    in the name of the others, for Kafka tells no reader who wrote a record.
    """
    agreements = list(agreements)
    owners = sorted({owner for contract in contracts.by_type.values() for owner in contract.owners})
    subscribers = sorted({agreement.subscriber for agreement in agreements})
    return [
        *(_owner(owner, contracts, shared_directly=shared_directly) for owner in owners),
        *(_subscriber(name, agreements) for name in subscribers),
        _worker(contracts, agreements),
        _gateway(contracts, agreements),
        _webhook(agreements),
        *_writer(PAY, "`postroom pay run`, for services that it knows", contracts, PAYMENT_TYPE),
        *_writer(ONELOGIN, "`postroom onelogin run`, for services that it knows", contracts, LINK_TYPE),
        *_notify(agreements),
        _files(contracts),
        _auditor(),
        _operator(contracts, agreements),
        *_canary(contracts, agreements),
    ]


def _owner(owner: str, contracts: Contracts, *, shared_directly: bool) -> Role:
    """A department: writes, and reads nothing, not even its own topics, whose other owners' events are there.

    Dead letters and reports name events of everybody, so they are the operator's to pass on.
    """
    user = OWNER + owner
    types = [
        type_
        for type_, contract in contracts.by_type.items()
        if owner in contract.owners and (shared_directly or len(contract.owners) == 1)
    ]
    return Role(user, f"{owner} publishes what it alone owns", _on_topics(user, Operation.WRITE, types))


def _subscriber(name: str, agreements: Iterable[Agreement]) -> Role:
    user = SUBSCRIBER + name
    reads = [view_topic(found.agreement) for found in agreements if found.subscriber == name]
    may = _on_topics(user, Operation.READ, [*reads, obligations_topic(name)])
    may |= _on_topics(user, Operation.WRITE, [ACKNOWLEDGEMENTS_TOPIC])
    groups = Acl(user, Resource.GROUP, f"{user}.", Operation.READ, prefixed=True)
    return Role(user, f"{name} reads its views and what it owes", may | {groups})


def _worker(contracts: Contracts, agreements: Iterable[Agreement]) -> Role:
    """All stages: what comes in is only read, what goes out is only written, and nothing is administered."""
    changelogs = {changelog(stage) for stage in STAGES}
    inputs = {*contracts.by_type, ACKNOWLEDGEMENTS_TOPIC, LETTER_REQUESTS_TOPIC}
    every = {topic.name for topic in wanted_topics(contracts, agreements, 1)}
    may = _on_topics(WORKER, Operation.READ, inputs | INTERNAL_TOPICS | changelogs | {INSTALLATION_TOPIC})
    may |= _on_topics(WORKER, Operation.WRITE, every - inputs)
    may |= {Acl(WORKER, Resource.GROUP, f"{POSTROOM}{stage}", Operation.READ) for stage in STAGES}
    # A transactional id is a task's, and opening it fences whoever had it: nobody else may (V6).
    ids = Acl(WORKER, Resource.TRANSACTIONAL_ID, POSTROOM, Operation.WRITE, prefixed=True)
    return Role(WORKER, "`postroom run`, every stage", may | {ids})


def _gateway(contracts: Contracts, agreements: Iterable[Agreement]) -> Role:
    """The HTTP gateway: it binds each client to its owner or subscriber itself, so it may for all of them."""
    agreements = list(agreements)
    reads = {view_topic(found.agreement) for found in agreements}
    reads |= {obligations_topic(found.subscriber) for found in agreements} | {changelog("obligations")}
    may = _on_topics(GATEWAY, Operation.READ, reads)
    may |= _on_topics(GATEWAY, Operation.WRITE, {*contracts.by_type, ACKNOWLEDGEMENTS_TOPIC})
    groups = Acl(GATEWAY, Resource.GROUP, f"{GATEWAY}.", Operation.READ, prefixed=True)
    return Role(GATEWAY, "the HTTP gateway, for clients that it knows", may | {groups})


def _webhook(agreements: Iterable[Agreement]) -> Role:
    """The sender of webhooks: it reads views, by offset and without a group, and writes nothing."""
    reads = [view_topic(found.agreement) for found in agreements]
    meaning = "`postroom webhook run`, for endpoints that it knows"
    return Role(WEBHOOK, meaning, _on_topics(WEBHOOK, Operation.READ, reads))


def _writer(user: str, meaning: str, contracts: Contracts, type_: str) -> list[Role]:
    """The door of a GOV.UK service, if the rules have its contract: it writes that and reads nothing."""
    if type_ not in contracts.by_type:
        return []
    return [Role(user, meaning, _on_topics(user, Operation.WRITE, [type_]))]


def _notify(agreements: Iterable[Agreement]) -> list[Role]:
    """The notifier, if the rules have its agreement: who was shown what, addresses, and what it owes; it
    writes nothing but that it has deleted.
    """
    own = next((found for found in agreements if found.agreement == NOTICES), None)
    if own is None:
        return []
    meaning = "`postroom notify run`, which tells people through GOV.UK Notify"
    reads = [DISCLOSURES_TOPIC, view_topic(NOTICES), obligations_topic(own.subscriber)]
    may = _on_topics(NOTIFY, Operation.READ, reads)
    return [Role(NOTIFY, meaning, may | _on_topics(NOTIFY, Operation.WRITE, [ACKNOWLEDGEMENTS_TOPIC]))]


def _files(contracts: Contracts) -> Role:
    """The sender of nightly files: each drop's mapping says for which owner it speaks, and an operator writes
    the mappings, so it may for all of them, and reads nothing.
    """
    meaning = "`postroom files`, for drops whose mappings an operator wrote"
    return Role(FILES, meaning, _on_topics(FILES, Operation.WRITE, contracts.by_type))


def _auditor() -> Role:
    reads = (DISCLOSURES_TOPIC, changelog("persons"), INSTALLATION_TOPIC)
    meaning = "`postroom audit`: who saw what about one citizen"
    return Role(AUDITOR, meaning, _on_topics(AUDITOR, Operation.READ, reads))


def _operator(contracts: Contracts, agreements: Iterable[Agreement]) -> Role:
    """Keeps it running: what was rejected, what is disputed, what is owed; no view and no disclosure.

    A dead letter is replayed by asking for it (docs/adr/0042), so no department's topic is read or written.
    How far the stages have come is offsets, which is to describe a topic and tells nothing of what it holds.
    """
    reads = (
        DEAD_LETTERS_TOPIC,
        LETTER_REQUESTS_TOPIC,
        LETTER_DECISIONS_TOPIC,
        REPORTS_TOPIC,
        DISPUTES_TOPIC,
        INSTALLATION_TOPIC,
        changelog("persons"),
        changelog("obligations"),
    )
    may = _on_topics(OPERATOR, Operation.READ, reads)
    may |= _on_topics(OPERATOR, Operation.WRITE, [LETTER_REQUESTS_TOPIC])
    every = {topic.name for topic in wanted_topics(contracts, agreements, 1)}
    may |= _on_topics(OPERATOR, Operation.DESCRIBE, every - {*reads})
    may |= _groups_seen_by(OPERATOR)
    return Role(OPERATOR, "`postroom dlq`, `identity`, `obligations`, `status` and `watch`", may)


def _canary(contracts: Contracts, agreements: Iterable[Agreement]) -> list[Role]:
    """The canary, if the rules have one: what is its own at both ends, and nothing of anybody else.

    What only the cluster knows it tells too: the dead letters, which hold nothing of an event, and how far
    the stages' groups have come in what they read, which is to describe it.
    """
    if not any(found.agreement == canary_round.AGREEMENT for found in agreements):
        return []
    says = [type_ for type_ in (canary_round.BEAT, canary_round.CONSENT) if type_ in contracts.by_type]
    hears = (view_topic(canary_round.AGREEMENT), obligations_topic(canary_round.OWNER))
    may = _on_topics(CANARY, Operation.WRITE, [*says, ACKNOWLEDGEMENTS_TOPIC])
    may |= _on_topics(CANARY, Operation.READ, [*hears, DEAD_LETTERS_TOPIC, LETTER_DECISIONS_TOPIC])
    # INVARIANT: every topic that a stage reads. The broker leaves out a topic that one may not describe, and
    # a group that is behind on it would look as if it were not.
    inputs = {*contracts.by_type, LETTER_REQUESTS_TOPIC} | INTERNAL_TOPICS
    may |= _on_topics(CANARY, Operation.DESCRIBE, inputs - {*says})
    may |= _groups_seen_by(CANARY)
    return [Role(CANARY, "`postroom canary run`, which watches from both ends", may)]


def _on_topics(user: str, operation: Operation, topics: Iterable[str]) -> frozenset[Acl]:
    return frozenset(Acl(user, Resource.TOPIC, topic, operation) for topic in topics)


def _groups_seen_by(user: str) -> frozenset[Acl]:
    """How far the stages have come, for who only looks."""
    return frozenset(Acl(user, Resource.GROUP, f"{POSTROOM}{stage}", Operation.DESCRIBE) for stage in STAGES)
