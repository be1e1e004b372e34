"""The doctor's mends are true for the installation looked at: nobody is sent to do what cannot be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.kafka_access import KafkaAccess
from connectors.kafka_facts import ClusterFacts, TopicFacts
from connectors.stack import Stack
from postroom.config import load_settings
from postroom.doctor import cluster, work
from postroom.doctor.ground import Ground
from postroom.kafka_plan import AclPlan, Differences, Wanted

FEW = {"transaction.state.log.replication.factor": "1", "offsets.topic.replication.factor": "1"}
SLOW = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "10000"}


def ground(tmp_path: Path, brokers: int, config: Mapping[str, str], *, local: bool) -> Ground:
    """A cluster of so many brokers, with this configuration and one copy of its topic."""
    facts = ClusterFacts(
        tuple(range(brokers)), "4.0", dict.fromkeys(range(brokers), config), {"t": TopicFacts("t", 1, 1)}
    )
    made = Ground(load_settings({}, tmp_path), 0, local, cluster=facts)
    return replace(made, stack=Stack(KafkaAccess("127.0.0.1:1"), "", local=local))


def mends(found: Ground) -> str:
    """All that is to be done about copies."""
    told = [*cluster.transactions(found), *cluster.replication(found)]
    assert len(told) == len(found.cluster.brokers if found.cluster else ()) + 1
    return "\n".join(each.mend for each in told)


def test_three_copies_are_asked_of_nobody_who_has_one_broker(tmp_path: Path):
    """The local stack is one broker for ever; elsewhere the brokers come first."""
    assert "kafka-reassign" not in mends(ground(tmp_path, 1, FEW, local=True))
    assert "cluster of three" in mends(ground(tmp_path, 1, FEW, local=True))
    assert "as many brokers as copies: there are 2; then `kafka-re" in mends(
        ground(tmp_path, 2, FEW, local=False)
    )
    assert "first" not in mends(ground(tmp_path, 3, FEW, local=False)).replace("before the first start", "")


@pytest.mark.parametrize("local", [True, False])
def test_nobody_edits_a_file_that_up_writes(tmp_path: Path, local: bool):
    """`postroom up` makes the local broker's properties anew at each start."""
    (told,) = cluster.transactions(ground(tmp_path, 1, SLOW, local=local))
    assert ("server.properties" in told.mend) != local
    assert ("`postroom up`" in told.mend) == local


def test_a_stack_that_runs_open_is_stopped_before_it_is_secured(tmp_path: Path):
    """`up --secure` refuses beside an open Kafka that runs, and grants nothing by itself."""
    found = replace(
        ground(tmp_path, 1, {}, local=True), wanted=Wanted((), (), ()), differences=Differences([], None, [])
    )
    (told,) = work.permissions(found)
    steps = [told.mend.index(step) for step in ("postroom down", "postroom up --secure", "topics apply")]
    assert steps == sorted(steps)
    assert not list(work.permissions(replace(found, differences=Differences([], AclPlan(), []))))


def test_who_may_not_see_is_told_how_to_be_the_administrator(tmp_path: Path):
    """On the local stack that is nobody's name to give: without one, commands are the administrator's."""
    for local, words in ((True, "leave POSTROOM_KAFKA_USERNAME out"), (False, "=postroom.admin")):
        found = ground(tmp_path, 1, {}, local=local)
        assert found.cluster is not None
        (told,) = cluster.unseen(replace(found, cluster=replace(found.cluster, unseen=("configs",))))
        assert words in told.mend


def test_a_clock_that_seems_behind_may_be_a_worker_that_stood_still():
    """A worker that is stopped in a step writes old times by a clock that is right: both are named."""
    told = work._apart("the clock of the worker of record-2", 41_000, "behind")
    assert "chronyc" in told.mend
    assert "stood still" in told.mend
