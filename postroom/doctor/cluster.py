"""Checks of the brokers: can the promises hold on this cluster at all (V6, V7)?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from connectors.kafka_facts import ClusterFacts
from postroom.console import counted
from postroom.doctor.finding import Finding, fault, note, warning
from postroom.doctor.ground import Ground
from postroom.doctor.room import too_little
from processors.engine.settings import MESSAGE_BYTES_MAX

RELEASE_MIN = (3, 8)
"""The oldest release that tells which transactions have been open for how long."""
COPIES = 3
IN_SYNC = 2
CLEANUP_MS_MAX = 2_000
REQUEST_BYTES_MIN = MESSAGE_BYTES_MAX + (1 << 20)
SHOWN = 5
Make = Callable[[str, str, str, str], Finding]


def release(ground: Ground) -> Iterator[Finding]:
    """Old brokers cannot do what is asked of them."""
    for cluster in _cluster(ground):
        found = cluster.release
        if found and tuple(map(int, found.split("."))) < RELEASE_MIN:
            yield fault(
                f"Kafka is of release {found}",
                _where(ground),
                "it cannot tell which transactions hang, and nobody tests Postroom on it",
                f"upgrade the brokers to {'.'.join(map(str, RELEASE_MIN))} or later",
            )


def transactions(ground: Ground) -> Iterator[Finding]:
    """Every step is one transaction: without them nothing moves (V6)."""
    for cluster in _cluster(ground):
        if cluster.no_transactions:
            yield fault(
                "the brokers cannot tell of transactions",
                _where(ground),
                cluster.no_transactions,
                "see that __transaction_state has a leader for every partition: `kafka-topics.sh --describe`",
            )
        for hanging in cluster.hanging:
            yield fault(
                "a transaction hangs",
                hanging.transactional_id,
                "it has been open for twice its time-out, and its readers stand still (V7)",
                "`kafka-transactions.sh find-hanging` names it, and `abort` ends it",
            )
        yield from _transaction_settings(ground, cluster)


def _transaction_settings(ground: Ground, cluster: ClusterFacts) -> Iterator[Finding]:
    ours_ms = ground.settings.transaction_timeout_ms
    for broker, config in cluster.configs.items():
        most_ms = _number(config, "transaction.max.timeout.ms", ours_ms)
        if most_ms < ours_ms:
            yield fault(
                f"transactions may last {most_ms} ms, and workers ask for {ours_ms}",
                f"broker {broker}",
                "the broker refuses the worker's producer, and no worker starts",
                _alter(broker, "transaction.max.timeout.ms", "60000"),
            )
        cleanup = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
        if _number(config, cleanup, 0) > CLEANUP_MS_MAX:
            # Not a fault: it only adds to how long fail-over takes, which V7 leaves out and publishes.
            yield _graver(ground, warning)(
                f"the broker looks for abandoned transactions every {config[cleanup]} ms only",
                f"broker {broker}",
                "what a killed worker left open holds up its readers for so long, beside its time-out (V7)",
                "`postroom down`, then `postroom up`: it sets this itself"
                if ground.local
                else f"{cleanup}=1000 in server.properties, and restart the broker",
            )
        copies = _number(config, "transaction.state.log.replication.factor", COPIES)
        if copies < COPIES or _number(config, "offsets.topic.replication.factor", COPIES) < COPIES:
            yield _graver(ground, fault)(
                "Kafka keeps fewer than three copies of transactions and offsets",
                f"broker {broker}",
                "with one broker lost nobody can tell any more what was committed (V6)",
                _by_three(
                    ground,
                    cluster,
                    "transaction.state.log.replication.factor=3 and offsets.topic.replication.factor=3, "
                    "before the first start",
                ),
            )


def replication(ground: Ground) -> Iterator[Finding]:
    """An event that was acknowledged must survive the loss of a broker."""
    for cluster in _cluster(ground):
        few = [each.name for each in cluster.topics.values() if each.replicas_min < COPIES]
        if few:
            yield _graver(ground, fault)(
                f"{counted(len(few), 'topic has', 'topics have')} fewer than three replicas",
                shown(few),
                "the loss of one broker loses or stops what was acknowledged",
                _by_three(
                    ground,
                    cluster,
                    "`kafka-reassign-partitions.sh` with three replicas each; default.replication.factor=3",
                ),
            )
        weak = [
            each.name
            for each in cluster.topics.values()
            if each.replicas_min >= COPIES and _number(each.config, "min.insync.replicas", IN_SYNC) < IN_SYNC
        ]
        if weak:
            yield fault(
                f"{counted(len(weak), 'topic acknowledges', 'topics acknowledge')} what a single replica has",
                shown(weak),
                "min.insync.replicas is 1: an acknowledged event may be lost with that broker",
                "kafka-configs.sh --alter --entity-type topics --entity-name … --add-config "
                "min.insync.replicas=2",
            )
        stuck = [
            each.name
            for each in cluster.topics.values()
            if _number(each.config, "min.insync.replicas", 1) > each.replicas_min
        ]
        if stuck:
            yield fault(
                f"{counted(len(stuck), 'topic wants', 'topics want')} more replicas in sync than there are",
                shown(stuck),
                "nobody can write there: every acknowledged write is refused",
                "lower min.insync.replicas to one less than the number of replicas",
            )


def health(ground: Ground) -> Iterator[Finding]:
    """Partitions without a leader stand still; replicas behind are a loss that waits to happen."""
    for cluster in _cluster(ground):
        leaderless = [each.name for each in cluster.topics.values() if each.leaderless]
        if leaderless:
            yield fault(
                f"{counted(len(leaderless), 'topic has', 'topics have')} partitions without a leader",
                shown(leaderless),
                "nobody can read or write them until a broker with a replica is back",
                "start the brokers that are down",
            )
        behind = [each.name for each in cluster.topics.values() if each.behind]
        if behind:
            yield warning(
                f"{counted(len(behind), 'topic has', 'topics have')} replicas that are not in sync",
                shown(behind),
                "one more loss may stop them",
                "`kafka-topics.sh --describe --under-replicated-partitions` names the broker",
            )


def broker_disks(ground: Ground) -> Iterator[Finding]:
    """A broker ends itself when its last directory fails, and a full disk is a failure."""
    for cluster in _cluster(ground):
        for disk in cluster.disks:
            where = f"broker {disk.broker}: {disk.directory}"
            if disk.failed:
                yield fault(
                    "a broker has given a directory up",
                    where,
                    "it could not read or write there; without its last directory it ends",
                    "its log says why (`No space left on device`?): mend the disk, then start the broker",
                )
            elif disk.free_bytes >= 0 and (make := too_little(disk.free_bytes)):
                yield make(
                    f"{disk.free_bytes >> 20} MiB are free on a broker's disk",
                    where,
                    "when nothing is free the broker ends, and what it alone keeps is out of reach",
                    "make room there, and delete nothing in it: docs/runbooks/PostroomSystemUnreachable.md",
                )


def unclean_election(ground: Ground) -> Iterator[Finding]:
    """A leader that was not in sync forgets what was acknowledged, and offsets lie."""
    setting = "unclean.leader.election.enable"
    for cluster in _cluster(ground):
        brokers = [b for b, config in cluster.configs.items() if config.get(setting) == "true"]
        for broker in brokers:
            yield fault(
                "a replica that is behind may become leader",
                f"broker {broker}",
                "what was acknowledged and committed would vanish from the log without a trace (V6)",
                _alter(broker, setting, "false"),
            )
        topics = [each.name for each in cluster.topics.values() if each.config.get(setting) == "true"]
        if topics and not brokers:
            yield fault(
                "a replica that is behind may become leader",
                shown(topics),
                "what was acknowledged and committed would vanish from the log without a trace (V6)",
                f"kafka-configs.sh --alter --entity-type topics --entity-name … --delete-config {setting}",
            )


def auto_creation(ground: Ground) -> Iterator[Finding]:
    """A typing error must not become a topic."""
    for cluster in _cluster(ground):
        for broker, config in cluster.configs.items():
            if config.get("auto.create.topics.enable") == "true":
                yield warning(
                    "topics are made by whoever names them",
                    f"broker {broker}",
                    "a misspelt topic takes events that nobody reads, without owner, retention or rules",
                    "auto.create.topics.enable=false in server.properties, and restart the broker",
                )


def sizes(ground: Ground) -> Iterator[Finding]:
    """The largest message between stages must fit into a request."""
    for cluster in _cluster(ground):
        for broker, config in cluster.configs.items():
            most = _number(config, "socket.request.max.bytes", REQUEST_BYTES_MIN)
            if most < REQUEST_BYTES_MIN:
                yield fault(
                    f"the broker takes requests of {most} bytes at most",
                    f"broker {broker}",
                    f"a message between stages may have {MESSAGE_BYTES_MAX}: its stage would stop at it",
                    "socket.request.max.bytes=104857600 in server.properties, and restart the broker",
                )


def unseen(ground: Ground) -> Iterator[Finding]:
    """What we may not see is not called healthy."""
    hidden = [name for cluster in _cluster(ground) for name in cluster.unseen] + [*ground.unseen]
    if hidden:
        yield note(
            f"this user may not see {', '.join(hidden)}",
            _where(ground),
            "what hangs on that was not checked",
            "leave POSTROOM_KAFKA_USERNAME out: commands here are then the administrator's"
            if ground.local
            else "run it as the administrator: POSTROOM_KAFKA_USERNAME=postroom.admin",
        )


def _cluster(ground: Ground) -> Sequence[ClusterFacts]:
    """The cluster, if it could be looked at."""
    return () if ground.cluster is None else (ground.cluster,)


def _where(ground: Ground) -> str:
    return "" if ground.stack is None else ground.stack.kafka


def _by_three(ground: Ground, cluster: ClusterFacts, mend: str) -> str:
    """How to get three copies: only where there are three brokers to hold them."""
    if ground.local:
        return (
            "nothing here: the local stack is one broker, to try things; what must not be lost goes to a "
            "cluster of three, named with POSTROOM_KAFKA and POSTROOM_REGISTRY"
        )
    if len(cluster.brokers) < COPIES:
        return f"first as many brokers as copies: there are {len(cluster.brokers)}; then {mend}"
    return mend


def _graver(ground: Ground, severity: Make) -> Make:
    """One node on one machine cannot do better, and is not meant to: there it is a note."""
    return note if ground.local else severity


def _number(config: Mapping[str, str], name: str, otherwise: int) -> int:
    """A number of a configuration; ``otherwise`` where we do not see one."""
    text = str(config.get(name, ""))
    return int(text) if text.lstrip("-").isdigit() else otherwise


def _alter(broker: int, name: str, value: str) -> str:
    return (
        f"kafka-configs.sh --alter --entity-type brokers --entity-name {broker} --add-config {name}={value}"
    )


def shown(names: Iterable[str]) -> str:
    """The first few of some names, and how many more there are."""
    ordered = sorted(names)
    return ", ".join(ordered[:SHOWN]) + (f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else "")
