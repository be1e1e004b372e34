"""What differs on Kafka, as it is told to a person: granted, revoked, bounded, and what is left alone."""

import re
import sys
from pathlib import Path

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)

from connectors.kafka_access import KafkaAccess
from connectors.kafka_acls import Acl, AclChange, AclPlan, Acls, from_kafka, to_kafka
from connectors.kafka_quotas import QuotaChange, Quotas
from connectors.kafka_topics import Change, WantedTopic
from postroom.access import ours
from postroom.composition import load_rules_files
from postroom.kafka_plan import COLUMNS, COUNT_COLUMNS, LINE_COLUMNS, TOLD_MAX, Differences, Wanted, wanted_of
from postroom.output import Form, write_rows
from postroom.settings import settings

NOWHERE = KafkaAccess("127.0.0.1:9")
VIEW = Acl("subscriber.dwp", "topic", "view.dwp", "read")
WANTED = Wanted([WantedTopic("view.dwp", 1)], frozenset({VIEW}), {})


class Found(Acls):
    """Permissions of a cluster that is not there."""

    def __init__(self, allowed: set[Acl], denied: set[Acl]):
        super().__init__(NOWHERE, ours)
        self.allowed, self.denied = allowed, denied

    def _found(self):
        return self.allowed, self.denied


class Bounds(Quotas):
    """Bounds of a cluster that is not there."""

    def __init__(self, now: dict[str, dict[str, float]]):
        super().__init__(NOWHERE, ours)
        self.now = now

    def _found(self):
        return self.now


def test_what_is_missing_is_granted_and_what_is_no_longer_wanted_revoked():
    """Of a user of ours, whichever rules it once had."""
    old = Acl("subscriber.gone", "topic", "view.gone", "read")
    plan = Found({old}, set()).plan({VIEW})
    assert plan == AclPlan((AclChange("grant", VIEW), AclChange("revoke", old)), (), ())


def test_a_permission_for_one_host_is_not_the_one_that_is_wanted():
    """It is revoked, and the one for every host granted."""
    narrow = VIEW._replace(operation="read from 10.0.0.1")
    plan = Found({narrow}, set()).plan({VIEW})
    assert plan is not None
    assert set(plan.changes) == {AclChange("grant", VIEW), AclChange("revoke", narrow)}


@pytest.mark.parametrize("host", ["*", "10.0.0.1"])
@pytest.mark.parametrize("prefixed", [False, True])
def test_what_kafka_holds_and_what_we_ask_of_it_are_the_same(host: str, prefixed: bool):
    """There and back: who, what, on what, from where; or a permission for one host would pass for all."""
    kind = ACLResourcePatternType.PREFIXED if prefixed else ACLResourcePatternType.LITERAL
    pattern = ResourcePattern(ResourceType.TRANSACTIONAL_ID, "postroom.", kind)
    held = ACL("User:postroom.worker", host, ACLOperation.WRITE, ACLPermissionType.ALLOW, pattern)
    ours_of_it = from_kafka(held)
    assert to_kafka(ours_of_it) == held
    wanted = Acl("postroom.worker", "transactional_id", "postroom.", "write", prefixed)
    assert (ours_of_it == wanted) == (host == "*")


def test_a_denial_is_nobodys_to_release_but_his_who_made_it():
    """Even of a user of ours: it is an emergency brake, and it is told."""
    denied = VIEW._replace(operation="write")
    plan = Found({VIEW}, {denied}).plan({VIEW})
    assert plan == AclPlan((), (), (denied,))
    said = Differences([], plan, []).remarks(WANTED)
    assert said == ["topic view.dwp: write is denied by hand and stays so (subscriber.dwp)"]


def test_what_others_may_on_our_topics_is_told_and_stays():
    """A star is everybody; what does not touch our topics is not our business."""
    everybody = Acl("*", "topic", "view.", "read", prefixed=True)
    elsewhere = Acl("connect", "topic", "connect-offsets", "read")
    plan = Found({VIEW, everybody, elsewhere}, set()).plan({VIEW})
    assert plan is not None
    assert plan.changes == ()
    assert plan.foreign == (everybody, elsewhere)
    said = Differences([], plan, []).remarks(WANTED)
    assert said == ["topic view.*: read is allowed to others and stays (*)"]


def test_many_remarks_are_cut_short():
    """The rest is counted."""
    many = tuple(Acl(f"u{number}", "topic", "view.dwp", "read") for number in range(TOLD_MAX + 3))
    said = Differences([], AclPlan((), many, ()), []).remarks(WANTED)
    assert len(said) == TOLD_MAX + 1
    assert said[-1] == "… and 3 more"


def test_a_cluster_that_keeps_no_permissions_is_said_to_be_one():
    """It is no difference, for nothing can be done about it here; and it is not silent."""
    differences = Differences([], None, [])
    assert differences.rows() == []
    (said,) = differences.remarks(WANTED)
    assert "no authorizer" in said
    assert "1 permission is not kept" in said


def test_bounds_are_set_changed_and_taken_away():
    """Of those who have one and should have another, or none."""
    now = {"owner.dwp": {"producer_byte_rate": 5.0}, "owner.gone": {"request_percentage": 1.0}}
    wanted = {"owner.dwp": {"producer_byte_rate": 9.0, "consumer_byte_rate": 3.0}}
    assert Bounds(now).plan(wanted) == [
        QuotaChange("owner.dwp", "producer_byte_rate", 5.0, 9.0),
        QuotaChange("owner.dwp", "consumer_byte_rate", None, 3.0),
        QuotaChange("owner.gone", "request_percentage", 1.0, None),
    ]
    assert Bounds(wanted).plan(wanted) == []


DIFFERENCES = Differences(
    [Change("view.dwp", "create", "partitions", "", "4")],
    AclPlan((AclChange("grant", VIEW), AclChange("revoke", VIEW._replace(prefixed=True)))),
    [QuotaChange("owner.dwp", "request_percentage", 50.0, None)],
)


def test_every_difference_is_a_row():
    """Of one form, whatever it is about."""
    rows = [tuple(row[column] for column in COLUMNS) for row in DIFFERENCES.rows()]
    assert rows == [
        ("topic", "view.dwp", "create", "partitions", "", "4"),
        ("acl", "topic view.dwp", "grant", "subscriber.dwp", "", "read"),
        ("acl", "topic view.dwp*", "revoke", "subscriber.dwp", "read", ""),
        ("quota", "owner.dwp", "unlimit", "request_percentage", "50", ""),
    ]


def test_every_difference_is_a_line_and_counted_in_the_same_order():
    """A person reads sentences, and after a first apply only how many there were of each kind."""
    lines = [tuple(line[column] for column in LINE_COLUMNS) for line in DIFFERENCES.lines()]
    assert lines == [
        ("create", "topic view.dwp: partitions 4"),
        ("grant", "subscriber.dwp: read topic view.dwp"),
        ("revoke", "subscriber.dwp: read topic view.dwp*"),
        ("unlimit", "owner.dwp: request_percentage 50 → unbounded"),
    ]
    counts = [tuple(count[column] for column in COUNT_COLUMNS) for count in DIFFERENCES.counts()]
    assert counts == [
        ("create", "topic", 1),
        ("grant", "permission", 1),
        ("revoke", "permission", 1),
        ("unlimit", "bound", 1),
    ]


def test_the_first_plan_of_these_rules_fits_a_terminal_of_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A line or two for each of hundreds of differences, no name broken; else each would be a paragraph."""
    everything = wanted_of(settings(), *load_rules_files(Path("schemas"), Path("schemas/agreements")))
    differences = Differences(
        [Change(each.name, "create", "partitions", "", "4") for each in everything.topics],
        AclPlan(tuple(AclChange("grant", acl) for acl in sorted(everything.acls))),
        [
            QuotaChange(u, key, None, value)
            for u, of in everything.quotas.items()
            for key, value in of.items()
        ],
    )
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    write_rows(differences.lines(), Form.TABLE, LINE_COLUMNS)
    written = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert all(len(line.rstrip()) <= 80 for line in written.splitlines())
    assert len(written.splitlines()) < 2 * len(differences.rows())
    assert {each.name + ":" for each in everything.topics} <= set(written.split())
