"""Installations for the doctor: a healthy one, and what may be wrong with each of its parts."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import rocksdict
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors import Stack
from connectors.kafka_access import KafkaAccess
from connectors.kafka_acls import AclPlan
from connectors.kafka_facts import ClusterFacts, TopicFacts
from connectors.kafka_groups import GroupFacts
from postroom.config import Settings, load_settings
from postroom.doctor.clocks import Skew
from postroom.doctor.ground import Ground, RegistryFacts
from postroom.errors import UserError
from postroom.kafka_plan import Differences, wanted_of
from postroom.stage_groups import groups_of
from processors import Keys
from processors.installation import Recorded, record_of
from schemas import load_agreements, load_contracts
from tests.core.test_house import ROOT

CONTRACTS = load_contracts(ROOT / "schemas")
AGREEMENTS = load_agreements(ROOT / "schemas" / "agreements", CONTRACTS)
NOW_MS = min(each.valid_until for each in AGREEMENTS.values()) - 90 * 86_400_000
KEY = "0123456789abcdef" * 4
GOOD_BROKER = {
    "transaction.max.timeout.ms": "900000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "transaction.state.log.replication.factor": "3",
    "offsets.topic.replication.factor": "3",
    "unclean.leader.election.enable": "false",
    "auto.create.topics.enable": "false",
    "socket.request.max.bytes": "104857600",
}
TOPIC = "view.council-leeds-housing"
INTAKE = "postroom.intake"


def healthy(place: Path, **environ: str) -> Ground:
    """A cluster of three with everything as it should be."""
    place.chmod(0o700)
    base = {
        "POSTROOM_STATE": str(place),
        "POSTROOM_SECRET_FILE": str(private(place / "key", KEY)),
        "POSTROOM_CONTRACTS": str(ROOT / "schemas"),
        "POSTROOM_AGREEMENTS": str(ROOT / "schemas" / "agreements"),
        "POSTROOM_KAFKA": "kafka:9093",
        "POSTROOM_REGISTRY": "http://registry",
        "POSTROOM_KAFKA_SECURITY": "SSL",
    }
    settings = load_settings(base | environ, place)
    wanted = wanted_of(settings, CONTRACTS, AGREEMENTS)
    topics = {
        each.name: TopicFacts(
            each.name, each.partitions, 3, config={**each.config, "min.insync.replicas": "2"}
        )
        for each in wanted.topics
    }
    return Ground(
        settings,
        NOW_MS,
        False,
        CONTRACTS,
        AGREEMENTS,
        stack=Stack(KafkaAccess("kafka:9093", "SSL"), "http://registry", local=False),
        cluster=ClusterFacts((1, 2, 3), "4.0", dict.fromkeys((1, 2, 3), GOOD_BROKER), topics),
        wanted=wanted,
        differences=Differences([], AclPlan(), []),
        groups={
            name: GroupFacts(name, "Stable", "faust", ("faust-1",))
            for name in groups_of(CONTRACTS, AGREEMENTS)
        },
        skews=(Skew("record-0", 12), Skew("this machine", -300)),
        registry=RegistryFacts("http://registry"),
        recorded=recorded_of(settings),
    )


def recorded_of(settings: Settings) -> Recorded:
    """The record of the secret that is configured, if one is."""
    try:
        return record_of(Keys(settings.secret_bytes()), b"salt")
    except UserError:
        return record_of(Keys(KEY.encode()), b"salt")


def private(file: Path, content: str, mode: int = 0o600) -> Path:
    """A file as a secret's should be."""
    file.write_text(content)
    file.chmod(mode)
    return file


def certificate(file: Path, days: int, now_ms: int = NOW_MS) -> Path:
    """A certificate that ends so many days after a moment, that of these tests unless given."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kafka")])
    now = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=400))
        .not_valid_after(now + datetime.timedelta(days=days, hours=1))
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return file


def brokers(ground: Ground, **changes: str) -> Ground:
    """The same with other settings of the brokers; underscores stand for dots."""
    config = GOOD_BROKER | {name.replace("_", "."): value for name, value in changes.items()}
    return replace(ground, cluster=replace(cluster_of(ground), configs={1: config}))


def topic(ground: Ground, **changes: Any) -> Ground:
    """The same with one topic in another state."""
    cluster = cluster_of(ground)
    other = replace(cluster.topics[TOPIC], **changes)
    return replace(ground, cluster=replace(cluster, topics={**cluster.topics, TOPIC: other}))


def group(ground: Ground, **changes: Any) -> Ground:
    """The same with intake's group in another state."""
    return replace(ground, groups={**ground.groups, INTAKE: replace(ground.groups[INTAKE], **changes)})


def differences(ground: Ground, **changes: Any) -> Ground:
    """The same with something that is not as planned."""
    found = ground.differences
    assert found is not None
    return replace(ground, differences=replace(found, **changes))


def registry(ground: Ground, **changes: Any) -> Ground:
    """The same with another registry."""
    found = ground.registry
    assert found is not None
    return replace(ground, registry=replace(found, **changes))


def cluster_of(ground: Ground) -> ClusterFacts:
    assert ground.cluster is not None
    return ground.cluster


def stores(place: Path) -> Ground:
    """Two workers' stores: one as RocksDB leaves it, beside what is none, and one with a broken manifest."""
    for name in ("good", "bad"):
        store = place / "workers" / name / "record" / "0"
        store.parent.mkdir(parents=True)
        rocksdict.Rdict(str(store), rocksdict.Options(raw_mode=True)).close()
    (place / "workers" / "good" / "faust" / "v1").mkdir(parents=True)
    (place / "workers" / "good" / "faust" / "v1" / "data").touch()
    (place / "workers" / "bad" / "record" / "0" / "CURRENT").write_text("MANIFEST-999999\n")
    return healthy(place)


def own_rules(place: Path) -> Ground:
    """Contracts of which one lost its retention: the gate refuses it, and workers' loading may not notice."""
    import shutil

    directory = place / "rules"
    shutil.copytree(ROOT / "schemas", directory)
    shutil.rmtree(directory / "history" / "uk.gov.civil.birth.v1")
    file = directory / "civil" / "birth.v1.avsc"
    schema = json.loads(file.read_text())
    schema["fields"].append({"name": "unsaid", "type": ["null", "string"], "default": None})
    file.write_text(json.dumps(schema))
    return healthy(place, POSTROOM_CONTRACTS=str(directory))
