"""What somebody may do on Kafka and what not: by user, deed and what it is about."""

from __future__ import annotations

from confluent_kafka import KafkaError

from connectors.local_security import ADMIN
from postroom.access import AUDITOR, CANARY, GATEWAY, OPERATOR, WORKER

NHS, DWP, LEEDS = "owner.nhs", "owner.dwp", "owner.council-leeds"
YORK, LEEDS_READS = "subscriber.council-york", "subscriber.council-leeds"
STRANGER = "stranger"
USERS = (NHS, DWP, LEEDS, YORK, LEEDS_READS, WORKER, GATEWAY, AUDITOR, OPERATOR, CANARY)

OWN_TOPIC = "uk.gov.health.demographics.v1"
DWPS_TOPIC = "uk.gov.benefits.award.v1"
CONSENT_TOPIC = "uk.gov.consent.decision.v1"
YORKS_VIEW, LEEDS_VIEW = "view.council-york-carers", "view.council-leeds-housing"
UNHEARD = "uk.gov.health.unheard-of.v1"

REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}

FORBIDDEN: list[tuple[str, str, tuple[str, ...]]] = [
    # A department reads nothing: no view, not what others say, not even its own topic, nor what is between.
    (NHS, "read", (YORKS_VIEW,)),
    (NHS, "read", (OWN_TOPIC,)),
    (NHS, "read", (DWPS_TOPIC,)),
    (NHS, "read", ("postroom.disclosures",)),
    (NHS, "read", ("postroom.dead-letters",)),
    (NHS, "read", ("postroom.reports",)),
    # It writes what it alone owns.
    (NHS, "write", (DWPS_TOPIC,)),
    (NHS, "write", ("uk.gov.consent.restriction.v1",)),
    (LEEDS, "write", (CONSENT_TOPIC,)),
    (NHS, "write", ("postroom.assertions",)),
    (NHS, "write", (YORKS_VIEW,)),
    (NHS, "write", ("acknowledgements",)),
    # It brings nothing past the gate, and does not change what came through.
    (NHS, "create_topic", (UNHEARD,)),
    (NHS, "write", (UNHEARD,)),
    (NHS, "delete_topic", (OWN_TOPIC,)),
    (NHS, "shorten", (OWN_TOPIC,)),
    (NHS, "see_configuration", (OWN_TOPIC,)),
    (NHS, "add_partitions", (OWN_TOPIC,)),
    (NHS, "delete_records", (OWN_TOPIC,)),
    # It holds up no reader by a transaction, takes over no task, and no group.
    (NHS, "transact", ("owner.nhs.one",)),
    (NHS, "transact", ("postroom.intake-0",)),
    (NHS, "join", ("postroom.intake", OWN_TOPIC)),
    (NHS, "grant", (NHS, YORKS_VIEW)),
    # A subscriber reads its own.
    (YORK, "read", (LEEDS_VIEW,)),
    (YORK, "see", (LEEDS_VIEW,)),
    (YORK, "read", ("obligations.council-leeds",)),
    (YORK, "read", ("postroom.disclosures",)),
    (YORK, "read", ("postroom.fragments",)),
    (YORK, "read", ("postroom.record.changelog",)),
    (YORK, "read", ("acknowledgements",)),
    (YORK, "read", (CONSENT_TOPIC,)),
    (LEEDS_READS, "read", (YORKS_VIEW,)),
    # It writes nothing but acknowledgements: no view, no obligation, no consent.
    (YORK, "write", (YORKS_VIEW,)),
    (YORK, "write", ("obligations.council-york",)),
    (YORK, "write", ("postroom.disclosures",)),
    (YORK, "write", (CONSENT_TOPIC,)),
    # Its groups are its own.
    (YORK, "join", ("subscriber.council-leeds.app", YORKS_VIEW)),
    (YORK, "join", ("council-york", YORKS_VIEW)),
    (YORK, "join", ("postroom.record", YORKS_VIEW)),
    (YORK, "commit", ("subscriber.council-leeds.app", YORKS_VIEW)),
    (YORK, "delete_group", ("subscriber.council-leeds.app",)),
    (YORK, "set_password", (LEEDS_READS,)),
    (YORK, "see_password", (LEEDS_READS,)),
    (YORK, "see_permissions", ()),
    (YORK, "create_topic", ("view.council-york-more",)),
    # A worker's credentials do not administer, and read nothing that it only writes.
    (WORKER, "create_topic", (UNHEARD,)),
    (WORKER, "delete_topic", ("postroom.record.changelog",)),
    (WORKER, "shorten", ("postroom.record.changelog",)),
    (WORKER, "add_partitions", ("postroom.pairs",)),
    (WORKER, "delete_records", ("postroom.identity.changelog",)),
    (WORKER, "configure_broker", ("1",)),
    (WORKER, "grant", (WORKER, YORKS_VIEW)),
    (WORKER, "withdraw", (YORK, YORKS_VIEW)),
    (WORKER, "set_password", (ADMIN,)),
    (WORKER, "see_password", (ADMIN,)),
    (WORKER, "read", (YORKS_VIEW,)),
    (WORKER, "read", ("postroom.disclosures",)),
    (WORKER, "write", (CONSENT_TOPIC,)),
    (WORKER, "write", ("acknowledgements",)),
    (WORKER, "transact", ("gateway-1",)),
    (WORKER, "join", ("subscriber.council-york.app", "postroom.fragments")),
    (WORKER, "delete_group", ("postroom.intake",)),
    # Who looks changes nothing, and sees no more than it must.
    (AUDITOR, "read", (YORKS_VIEW,)),
    (AUDITOR, "write", ("postroom.disclosures",)),
    (AUDITOR, "delete_records", ("postroom.disclosures",)),
    (OPERATOR, "read", ("postroom.disclosures",)),
    (OPERATOR, "read", (YORKS_VIEW,)),
    (OPERATOR, "write", ("postroom.obligations",)),
    (OPERATOR, "write", ("postroom.dead-letters",)),
    (OPERATOR, "write", ("postroom.dead-letters.decisions",)),
    (OPERATOR, "write", (OWN_TOPIC,)),
    (OPERATOR, "read", (OWN_TOPIC,)),
    (OPERATOR, "join", ("postroom.intake", OWN_TOPIC)),
    (CANARY, "read", (OWN_TOPIC,)),
    (CANARY, "read", ("postroom.fragments",)),
    (CANARY, "see", (YORKS_VIEW,)),
    (CANARY, "write", ("postroom.dead-letters.decisions",)),
    (CANARY, "join", ("postroom.intake", "uk.gov.canary.beat.v1")),
    (GATEWAY, "write", (YORKS_VIEW,)),
    (GATEWAY, "read", ("postroom.disclosures",)),
    (GATEWAY, "transact", ("postroom.record-0",)),
    (GATEWAY, "create_topic", (UNHEARD,)),
    # A password alone is no permission.
    (STRANGER, "read", (YORKS_VIEW,)),
    (STRANGER, "write", (OWN_TOPIC,)),
    (STRANGER, "join", ("stranger", YORKS_VIEW)),
]

ALLOWED: list[tuple[str, str, tuple[str, ...]]] = [
    (NHS, "write", (OWN_TOPIC,)),
    (YORK, "read", (YORKS_VIEW,)),
    (YORK, "see", (YORKS_VIEW,)),
    (YORK, "read", ("obligations.council-york",)),
    (YORK, "join", ("subscriber.council-york.app", YORKS_VIEW)),
    (YORK, "commit", ("subscriber.council-york.other", YORKS_VIEW)),
    (LEEDS_READS, "read", (LEEDS_VIEW,)),
    (WORKER, "transact", ("postroom.scratch-0",)),
    (AUDITOR, "read", ("postroom.disclosures",)),
    (OPERATOR, "read", ("postroom.dead-letters",)),
    (OPERATOR, "read", ("postroom.dead-letters.decisions",)),
    (OPERATOR, "write", ("postroom.dead-letters.requests",)),
    (OPERATOR, "see", (YORKS_VIEW,)),
    (CANARY, "read", ("postroom.dead-letters.decisions",)),
    (CANARY, "see", (OWN_TOPIC,)),
    (ADMIN, "create_topic", ("scratch",)),
    (ADMIN, "write", ("scratch",)),
    (ADMIN, "see_configuration", ("scratch",)),
    (ADMIN, "shorten", ("scratch",)),
    (ADMIN, "add_partitions", ("scratch",)),
    (ADMIN, "delete_records", ("scratch",)),
    (ADMIN, "configure_broker", ("1",)),
    (ADMIN, "grant", (STRANGER, "scratch")),
    (ADMIN, "see_permissions", ()),
    (ADMIN, "withdraw", (STRANGER, "scratch")),
    (ADMIN, "set_password", ("nobody",)),
    (ADMIN, "see_password", (YORK,)),
    (ADMIN, "delete_group", ("subscriber.council-york.other",)),
    (ADMIN, "delete_topic", ("scratch",)),
]
"""The same deeds by who may: what is refused above is refused because of who asks, not because of how."""
