"""The doctor: a healthy installation has nothing, and each check finds its own fault and no other."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rocksdict
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors import Stack
from connectors.kafka_access import KafkaAccess
from connectors.kafka_acls import Acl, AclChange, AclPlan
from connectors.kafka_facts import ClusterFacts, Hanging, TopicFacts
from connectors.kafka_groups import GroupFacts
from connectors.kafka_quotas import QuotaChange
from connectors.kafka_topics import Change
from connectors.stack import PartStatus
from postroom.cli import run
from postroom.config import load_settings
from postroom.doctor import files
from postroom.doctor.checks import CHECKS, examine
from postroom.doctor.clocks import Skew
from postroom.doctor.finding import Finding
from postroom.doctor.ground import Ground, RegistryFacts
from postroom.kafka_plan import Differences, wanted_of
from postroom.stage_groups import groups_of
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
    )


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
    return replace(ground, cluster=replace(_cluster(ground), configs={1: config}))


def topic(ground: Ground, **changes: Any) -> Ground:
    """The same with one topic in another state."""
    cluster = _cluster(ground)
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


def _cluster(ground: Ground) -> ClusterFacts:
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


PLAN = Acl("postroom.worker", "topic", TOPIC, "write")

CASES: dict[str, tuple[str, str, Callable[[Path], Ground]]] = {
    "a misspelt setting": ("settings", "warning", lambda p: healthy(p, POSTROOM_KAFKAA="x")),
    "a contract that the gate refuses": ("contracts", "fault", own_rules),
    "an agreement that has ended": (
        "agreements",
        "note",
        lambda p: replace(healthy(p), now_ms=min(e.valid_until for e in AGREEMENTS.values())),
    ),
    "an agreement that ends soon": (
        "agreements",
        "warning",
        lambda p: replace(healthy(p), now_ms=min(e.valid_until for e in AGREEMENTS.values()) - 1000),
    ),
    "no secret": ("secret", "fault", lambda p: healthy(p, POSTROOM_SECRET_FILE="")),
    "a secret that others may read": (
        "secret",
        "fault",
        lambda p: healthy(p, POSTROOM_SECRET_FILE=str(private(p / "open", KEY, 0o644))),
    ),
    "a short secret": (
        "secret",
        "fault",
        lambda p: healthy(p, POSTROOM_SECRET_FILE=str(private(p / "short", "abcdefghij"))),
    ),
    "a secret that everybody tries": (
        "secret",
        "fault",
        lambda p: healthy(p, POSTROOM_SECRET_FILE=str(private(p / "word", "changeme\n"))),
    ),
    "a secret of one letter": (
        "secret",
        "fault",
        lambda p: healthy(p, POSTROOM_SECRET_FILE=str(private(p / "same", "a" * 64))),
    ),
    "a secret in the environment": (
        "secret",
        "warning",
        lambda p: healthy(p, POSTROOM_SECRET_FILE="", POSTROOM_SECRET=KEY),
    ),
    "a key that others may read": (
        "private-files",
        "fault",
        lambda p: healthy(p, POSTROOM_GATEWAY_TLS_KEY=str(private(p / "tls", "x", 0o640))),
    ),
    "a certificate that has ended": (
        "certificates",
        "fault",
        lambda p: healthy(p, POSTROOM_GATEWAY_TLS_CERTIFICATE=str(certificate(p / "old.crt", -3))),
    ),
    "a certificate that ends soon": (
        "certificates",
        "warning",
        lambda p: healthy(p, POSTROOM_KAFKA_CA_FILE=str(certificate(p / "ca.crt", 5))),
    ),
    "a certificate that is not there": (
        "certificates",
        "fault",
        lambda p: healthy(p, POSTROOM_GATEWAY_CLIENT_CA=str(p / "nowhere.crt")),
    ),
    "clients of nobody": (
        "gateway",
        "fault",
        lambda p: healthy(p, POSTROOM_GATEWAY_CLIENTS=str(private(p / "clients.yaml", "clients: [x]"))),
    ),
    "a part that died": (
        "local-stack",
        "fault",
        lambda p: replace(healthy(p), parts=(PartStatus("kafka", "dead", problem="it ended"),)),
    ),
    "a broken store": ("stores", "warning", stores),
    "an open line": (
        "open-line",
        "warning",
        lambda p: replace(healthy(p), stack=Stack(KafkaAccess("kafka:9092"), "http://registry", False)),
    ),
    "an old broker": (
        "release",
        "fault",
        lambda p: (g := healthy(p)) and replace(g, cluster=replace(_cluster(g), release="3.3")),
    ),
    "no transactions": (
        "transactions",
        "fault",
        lambda p: (
            (g := healthy(p)) and replace(g, cluster=replace(_cluster(g), no_transactions="no coordinator"))
        ),
    ),
    "a hanging transaction": (
        "transactions",
        "fault",
        lambda p: (
            (g := healthy(p))
            and replace(g, cluster=replace(_cluster(g), hanging=(Hanging("postroom.record-0", "Ongoing"),)))
        ),
    ),
    "short transactions": (
        "transactions",
        "fault",
        lambda p: brokers(healthy(p), transaction_max_timeout_ms="5000"),
    ),
    "transactions kept once": (
        "transactions",
        "fault",
        lambda p: brokers(healthy(p), transaction_state_log_replication_factor="1"),
    ),
    "abandoned transactions found late": (
        "transactions",
        "warning",
        lambda p: brokers(healthy(p), transaction_abort_timed_out_transaction_cleanup_interval_ms="10000"),
    ),
    "two replicas": ("replication", "fault", lambda p: topic(healthy(p), replicas_min=2)),
    "one acknowledgement": (
        "replication",
        "fault",
        lambda p: topic(healthy(p), config={"min.insync.replicas": "1"}),
    ),
    "more in sync than there are": (
        "replication",
        "fault",
        lambda p: topic(healthy(p), config={"min.insync.replicas": "4"}),
    ),
    "no leader": ("health", "fault", lambda p: topic(healthy(p), leaderless=1)),
    "a replica behind": ("health", "warning", lambda p: topic(healthy(p), behind=2)),
    "an unclean election": (
        "unclean-election",
        "fault",
        lambda p: brokers(healthy(p), unclean_leader_election_enable="true"),
    ),
    "an unclean election of one topic": (
        "unclean-election",
        "fault",
        lambda p: topic(
            healthy(p), config={"unclean.leader.election.enable": "true", "min.insync.replicas": "2"}
        ),
    ),
    "topics by a typing error": (
        "auto-creation",
        "warning",
        lambda p: brokers(healthy(p), auto_create_topics_enable="true"),
    ),
    "small requests": ("sizes", "fault", lambda p: brokers(healthy(p), socket_request_max_bytes="1048576")),
    "a user who may not look": (
        "unseen",
        "note",
        lambda p: (
            (g := healthy(p)) and replace(g, cluster=replace(_cluster(g), unseen=("topics' settings",)))
        ),
    ),
    "a missing topic": (
        "topics",
        "fault",
        lambda p: differences(healthy(p), topics=[Change(TOPIC, "create", "partitions", "", "4")]),
    ),
    "another number of partitions": (
        "topics",
        "fault",
        lambda p: differences(healthy(p), topics=[Change(TOPIC, "refuse", "partitions", "3", "4")]),
    ),
    "another retention": (
        "topics",
        "fault",
        lambda p: differences(healthy(p), topics=[Change(TOPIC, "configure", "retention.ms", "1", "2")]),
    ),
    "a missing permission": (
        "permissions",
        "fault",
        lambda p: differences(healthy(p), acls=AclPlan((AclChange("grant", PLAN),))),
    ),
    "somebody else's permission": (
        "permissions",
        "warning",
        lambda p: differences(healthy(p), acls=AclPlan(foreign=(PLAN._replace(user="mallory"),))),
    ),
    "no permissions at all": ("permissions", "fault", lambda p: differences(healthy(p), acls=None)),
    "another bound": (
        "bounds",
        "warning",
        lambda p: differences(healthy(p), quotas=[QuotaChange("owner.dwp", "producer_byte_rate", None, 1.0)]),
    ),
    "an unregistered contract": ("registered", "fault", lambda p: registry(healthy(p), unregistered=("a",))),
    "an unregistered view": ("registered", "note", lambda p: registry(healthy(p), views_unregistered=("a",))),
    "a subject without a rule": (
        "registered",
        "fault",
        lambda p: registry(healthy(p), loose={"a-value": "BACKWARD"}),
    ),
    "no worker, and events wait": (
        "workers",
        "fault",
        lambda p: group(healthy(p), state="Empty", protocol="", members=(), lag={("a", 0): 5}),
    ),
    "no worker, and only markers wait": (
        "workers",
        "warning",
        lambda p: group(
            healthy(p), state="Empty", protocol="", members=(), lag={("postroom.assertions", 0): 2}
        ),
    ),
    "no worker": ("workers", "warning", lambda p: group(healthy(p), state="Empty", protocol="", members=())),
    "a group that does not settle": (
        "workers",
        "warning",
        lambda p: group(healthy(p), state="PreparingRebalance"),
    ),
    "a foreign consumer": ("shells", "fault", lambda p: group(healthy(p), protocol="range")),
    "two shells": ("shells", "warning", lambda p: group(healthy(p), protocol="postroom-tasks")),
    "far behind": ("lag", "warning", lambda p: group(healthy(p), lag={("a", 0): 20_000})),
    "deleted before it was read": ("lag", "fault", lambda p: group(healthy(p), lost={("a", 0): 7})),
    "a worker whose clock is late": (
        "clocks",
        "fault",
        lambda p: replace(healthy(p), skews=(Skew("record-0", 60_000),)),
    ),
    "a worker whose clock is early": (
        "clocks",
        "fault",
        lambda p: replace(healthy(p), skews=(Skew("record-0", -2_000),)),
    ),
    "this machine's clock is late": (
        "clocks",
        "fault",
        lambda p: replace(healthy(p), skews=(Skew("this machine", 2_000),)),
    ),
    "the registry's clock": ("clocks", "warning", lambda p: registry(healthy(p), clock_ahead_ms=60_000)),
}
"""Each fault: the check that must find it, and how grave it is."""

BY_ITSELF = {"disk"}
"""Checks with a test of their own below."""


def test_a_healthy_installation_has_no_finding(tmp_path: Path):
    """Three brokers, three replicas, everything as planned."""
    assert examine(healthy(tmp_path)) == []


@pytest.mark.parametrize("what", CASES)
def test_each_check_finds_its_fault_and_no_other(tmp_path: Path, what: str):
    """What, why it matters and how to mend it are always said."""
    check, severity, made = CASES[what]
    findings = examine(made(tmp_path))
    assert {(each.check, each.severity.value) for each in findings} == {(check, severity)}, findings
    assert all(each.what and each.why and each.mend for each in findings), findings
    assert not any(KEY in str(each) for each in findings)


def test_every_check_has_a_case():
    """A check that nothing makes fire is not known to work."""
    assert {name for name, _ in CHECKS} == {check for check, _, _ in CASES.values()} | BY_ITSELF


@pytest.mark.parametrize(("free", "severity"), [(2 << 30, None), (512 << 20, "warning"), (1 << 20, "fault")])
def test_a_full_disk_is_told_before_it_is_full(tmp_path: Path, free: int, severity: str | None):
    """A worker that cannot write its store ends."""
    found = list(files.disk(healthy(tmp_path), lambda _: SimpleNamespace(free=free)))
    assert [each.severity.value for each in found] == ([severity] if severity else [])


def test_one_node_on_one_machine_gets_notes_for_what_it_cannot_help(tmp_path: Path):
    """A local stack keeps everything once, without permissions: said, and no failure."""
    ground = differences(replace(topic(healthy(tmp_path), replicas_min=1), local=True), acls=None)
    ground = topic(ground, config={"min.insync.replicas": "1"})
    findings = examine(brokers(ground, transaction_state_log_replication_factor="1"))
    assert {each.check for each in findings} == {"transactions", "replication", "permissions"}
    assert not any(each.fails for each in findings)


def test_what_could_not_be_had_is_told_and_the_rest_is_looked_at(tmp_path: Path):
    """Nothing answers: the files are examined all the same, and nothing is called healthy."""
    problem = Finding(files.Severity.FAULT, "Kafka is unreachable", "x", "y", "z", "reach")
    bare = replace(
        healthy(tmp_path, POSTROOM_KAFKAA="x"),
        cluster=None,
        differences=None,
        groups={},
        skews=(),
        registry=None,
        problems=(problem,),
    )
    assert not bare.reached
    assert [each.check for each in examine(bare)] == ["reach", "settings"]


def test_without_anything_to_reach_the_command_ends_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """DESIGN §8: and what can be said without it is said."""
    from postroom.settings import settings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTROOM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("POSTROOM_CONTRACTS", str(ROOT / "schemas"))
    monkeypatch.setenv("POSTROOM_AGREEMENTS", str(ROOT / "schemas" / "agreements"))
    settings.cache_clear()
    try:
        assert run(["doctor", "-o", "json"]) == 3
    finally:
        settings.cache_clear()
    told = json.loads(capsys.readouterr().out)
    assert "reach" in {each["check"] for each in told}


def test_a_setting_that_cannot_be_read_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The doctor does not fall over what it is there to find."""
    from postroom.settings import settings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTROOM_PARTITIONS", "many")
    settings.cache_clear()
    try:
        assert run(["doctor", "-o", "json"]) == 1
    finally:
        settings.cache_clear()
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["check"], told["severity"]) == ("settings", "fault")
