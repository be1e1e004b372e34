"""The doctor: a healthy installation has nothing, and each check finds its own fault and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from connectors import Stack
from connectors.certificate_ends import End
from connectors.kafka_access import KafkaAccess
from connectors.kafka_acls import Acl, AclChange, AclPlan
from connectors.kafka_facts import Disk, Hanging
from connectors.kafka_quotas import QuotaChange
from connectors.kafka_topics import Change
from connectors.stack import PartStatus
from postroom.doctor import files
from postroom.doctor.checks import CHECKS, examine
from postroom.doctor.clocks import Skew
from postroom.doctor.finding import Finding
from postroom.doctor.ground import Ground
from processors import Keys, rules
from processors.installation import record_of
from tests.doctor_kit import (
    AGREEMENTS,
    CONTRACTS,
    KEY,
    NOW_MS,
    TOPIC,
    brokers,
    certificate,
    cluster_of,
    differences,
    group,
    healthy,
    own_rules,
    private,
    registry,
    stores,
    topic,
)


@pytest.fixture(autouse=True)
def quick_fingerprints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fingerprint is slow on purpose; what the doctor makes of it does not hang on that (C8)."""
    monkeypatch.setattr(rules, "_FINGERPRINT_ROUNDS", 1)


PLAN = Acl("postroom.worker", "topic", TOPIC, "write")
READ = frozenset(CONTRACTS.by_type)
"""The departments' topics that a worker of these contracts reads."""
MADE = tuple((topic, 0) for topic in READ)
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
    "no worker has recorded a secret": ("installation", "note", lambda p: replace(healthy(p), recorded=None)),
    "the secret of another installation": (
        "installation",
        "fault",
        lambda p: replace(healthy(p), recorded=record_of(Keys(KEY[::-1].encode()), b"salt")),
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
    "a listener whose certificate has ended": (
        "certificates",
        "fault",
        lambda p: replace(healthy(p), presented=(End("kafka:9093", "CN=kafka", NOW_MS - 1),)),
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
        lambda p: (g := healthy(p)) and replace(g, cluster=replace(cluster_of(g), release="3.3")),
    ),
    "no transactions": (
        "transactions",
        "fault",
        lambda p: (
            (g := healthy(p)) and replace(g, cluster=replace(cluster_of(g), no_transactions="no coordinator"))
        ),
    ),
    "a hanging transaction": (
        "transactions",
        "fault",
        lambda p: (
            (g := healthy(p))
            and replace(g, cluster=replace(cluster_of(g), hanging=(Hanging("postroom.record-0", "Ongoing"),)))
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
    "a broker's disk that fills": (
        "broker-disks",
        "warning",
        lambda p: (
            (g := healthy(p)) and replace(g, cluster=replace(cluster_of(g), disks=(Disk(1, "/d", 1 << 29),)))
        ),
    ),
    "a broker's directory that failed": (
        "broker-disks",
        "fault",
        lambda p: (
            (g := healthy(p)) and replace(g, cluster=replace(cluster_of(g), disks=(Disk(1, "/d", 0, True),)))
        ),
    ),
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
            (g := healthy(p)) and replace(g, cluster=replace(cluster_of(g), unseen=("topics' settings",)))
        ),
    ),
    "a user who may not ask": ("unseen", "note", lambda p: replace(healthy(p), unseen=("clocks",))),
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
    "a worker without one of our contracts": (
        "workers-contracts",
        "warning",
        lambda p: group(healthy(p), reads=READ - {"uk.gov.benefits.award.v1"}, ends=dict.fromkeys(MADE, 0)),
    ),
    "a worker with a contract that is not here": (
        "workers-contracts",
        "warning",
        lambda p: group(healthy(p), reads=READ | {"uk.gov.libraries.card.v1"}, ends=dict.fromkeys(MADE, 0)),
    ),
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
    found = list(files.disk(healthy(tmp_path), lambda _: free))
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
