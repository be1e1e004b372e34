"""Who may what on Kafka follows from the rules alone, and nobody may more (adr/0031)."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka_acls import Acl
from connectors.local_security import ADMIN, BROKER
from postroom.access import (
    AUDITOR,
    CANARY,
    FILES,
    GATEWAY,
    OPERATOR,
    STAGES,
    WEBHOOK,
    WORKER,
    ours,
    roles,
    wanted_acls,
)
from postroom.canary.round import AGREEMENT, BEAT, OWNER
from postroom.topics import INTERNAL_TOPICS, changelog, wanted_topics
from processors import (
    ACKNOWLEDGEMENTS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DISCLOSURES_TOPIC,
    INSTALLATION_TOPIC,
    LETTER_DECISIONS_TOPIC,
)

# Names that are made to be confused: beginnings of each other, and words that we use ourselves.
NAMES = ("dwp", "dwp-a", "council", "council-leeds", "postroom", "worker", "owner", "subscriber", "view")
names = st.sampled_from(NAMES)
owners = st.frozensets(names, min_size=1, max_size=3)
contracts_drawn = st.dictionaries(
    st.sampled_from([f"uk.gov.{domain}.{fact}.v1" for domain in "abc" for fact in ("fact", "facts")]), owners
)
agreements_drawn = st.dictionaries(st.sampled_from([f"{name}-x" for name in NAMES] + list(NAMES)), names)
RETENTION = SimpleNamespace(after=lambda _: 1)


class Installation:
    """Rules as far as permissions follow from them, and an authorizer like Kafka's."""

    def __init__(
        self, contracts: dict[str, frozenset[str]], agreements: dict[str, str], shared: bool = False
    ):
        self.owners, self.subscribers = contracts, agreements
        by_type = {
            name: SimpleNamespace(owners=those, retention=RETENTION) for name, those in contracts.items()
        }
        self.contracts: Any = SimpleNamespace(by_type=by_type)
        self.agreements: Any = [
            SimpleNamespace(agreement=name, subscriber=subscriber) for name, subscriber in agreements.items()
        ]
        self.acls = wanted_acls(self.contracts, self.agreements, shared_directly=shared)
        self.users = {role.user for role in roles(self.contracts, self.agreements, shared_directly=shared)}
        self.topics = {topic.name for topic in wanted_topics(self.contracts, self.agreements, 1)}
        self._granted: dict[tuple[str, str], list[Acl]] = {}
        for acl in self.acls:
            self._granted.setdefault((acl.user, acl.operation), []).append(acl)

    def may(self, user: str, operation: str, resource: str, name: str) -> bool:
        return any(acl.covers(resource, name) for acl in self._granted.get((user, operation), ()))

    def who(self, operation: str, resource: str, name: str) -> set[str]:
        return {user for user in self.users if self.may(user, operation, resource, name)}


installations = st.builds(Installation, contracts_drawn, agreements_drawn, st.booleans())


@given(installations)
def test_a_view_is_read_by_its_own_subscriber_the_gateway_and_webhooks_alone(found: Installation):
    """Whatever the agreements are called."""
    for agreement, subscriber in found.subscribers.items():
        assert found.who("read", "topic", f"view.{agreement}") == {
            f"subscriber.{subscriber}",
            GATEWAY,
            WEBHOOK,
        }
        assert found.who("read", "topic", f"obligations.{subscriber}") == {
            f"subscriber.{subscriber}",
            GATEWAY,
        }
        assert found.who("write", "topic", f"view.{agreement}") == {WORKER}


@given(installations)
def test_a_subscriber_writes_acknowledgements_and_nothing_else(found: Installation):
    """V4 is all that it has to say."""
    for user in found.users:
        if user.startswith("subscriber."):
            assert {t for t in found.topics if found.may(user, "write", "topic", t)} == {
                ACKNOWLEDGEMENTS_TOPIC
            }


@given(installations, names, names)
def test_a_group_is_its_subscribers_own(found: Installation, one: str, other: str):
    """Not even a name that begins with the other's reaches into its groups, and nobody into the workers'."""
    group = f"subscriber.{one}.app"
    assert found.who("read", "group", group) <= {f"subscriber.{one}"}
    assert found.who("read", "group", f"postroom.{other}") <= {WORKER}
    assert found.who("read", "group", f"{GATEWAY}.x") == {GATEWAY}


@given(contracts_drawn, agreements_drawn)
def test_a_department_writes_what_it_alone_owns_and_reads_nothing(contracts: Any, agreements: Any):
    """A topic of several owners is the gateway's and the drops', for Kafka tells nobody who wrote."""
    found = Installation(contracts, agreements)
    for type_, those in contracts.items():
        alone = {f"owner.{next(iter(those))}"} if len(those) == 1 else set()
        assert found.who("write", "topic", type_) == {GATEWAY, FILES} | alone
        assert found.who("read", "topic", type_) == {WORKER}
    for acl in found.acls:
        if acl.user.startswith("owner."):
            assert (acl.resource, acl.operation, acl.prefixed) == ("topic", "write", False)
            assert acl.name in contracts


@given(contracts_drawn)
def test_shared_contracts_are_opened_only_when_somebody_says_so(contracts: Any):
    """Then each owner writes them too."""
    found = Installation(contracts, {}, shared=True)
    for type_, those in contracts.items():
        assert found.who("write", "topic", type_) == {GATEWAY, FILES} | {f"owner.{owner}" for owner in those}


@given(installations)
def test_what_is_between_the_stages_is_the_workers(found: Installation):
    """Nobody else writes there or takes a transactional id; only who must reads there."""
    inside = INTERNAL_TOPICS | {changelog(stage) for stage in ("intake", "identity", "persons", "record")}
    for topic in inside | {changelog("obligations"), DISCLOSURES_TOPIC}:
        assert found.who("write", "topic", topic) == {WORKER}
    for topic in INTERNAL_TOPICS | {changelog("record"), changelog("identity")}:
        assert found.who("read", "topic", topic) == {WORKER}
    assert found.who("write", "transactional_id", "postroom.record-3") == {WORKER}


@given(installations)
def test_disclosures_are_the_auditors(found: Installation):
    """Who saw what of everybody is read by nobody else, the worker included, which only writes it."""
    assert found.who("read", "topic", DISCLOSURES_TOPIC) == {AUDITOR}
    assert found.who("read", "topic", changelog("persons")) == {WORKER, AUDITOR, OPERATOR}


@given(installations)
def test_nobody_administers(found: Installation):
    """Topics by their whole names, groups, transactional ids; read, written or looked at, no more."""
    assert {acl.resource for acl in found.acls} <= {"topic", "group", "transactional_id"}
    assert {acl.operation for acl in found.acls} == {"read", "write", "describe"}
    assert {acl.user for acl in found.acls if acl.operation == "describe"} == {OPERATOR}
    assert not [acl for acl in found.acls if acl.prefixed and acl.resource == "topic"]
    assert {acl.name for acl in found.acls if acl.resource == "topic"} <= found.topics


@given(contracts_drawn, agreements_drawn)
def test_the_canary_reads_its_own_view_and_sees_how_far_every_stage_has_come(contracts: Any, agreements: Any):
    """Of everybody else's topics it learns how much there is; of what stages read it misses none."""
    own = {AGREEMENT: OWNER}
    found = Installation({**contracts, BEAT: frozenset({OWNER})}, {**agreements, **own})
    assert {topic for topic in found.topics if found.may(CANARY, "read", "topic", topic)} == {
        f"view.{AGREEMENT}",
        f"obligations.{OWNER}",
        DEAD_LETTERS_TOPIC,
        LETTER_DECISIONS_TOPIC,
    }
    assert {topic for topic in found.topics if found.may(CANARY, "write", "topic", topic)} == {
        BEAT,
        ACKNOWLEDGEMENTS_TOPIC,
    }
    read_by_stages = {topic for topic in found.topics if found.may(WORKER, "read", "topic", topic)}
    # What a worker reads at its start is no stage's input, and no group is behind on it (C8).
    for topic in read_by_stages - {changelog(stage) for stage in STAGES} - {INSTALLATION_TOPIC}:
        # Kafka lets who reads or writes a topic describe it.
        assert any(found.may(CANARY, deed, "topic", topic) for deed in ("read", "write", "describe")), topic
    for stage in STAGES:
        assert found.who("describe", "group", f"postroom.{stage}") == {CANARY, OPERATOR}
    assert {acl.user for acl in found.acls if acl.operation == "describe"} == {CANARY, OPERATOR}
    assert not [acl for acl in found.acls if acl.user == CANARY and acl.prefixed]


@given(installations)
def test_everything_has_somebody_who_writes_it(found: Installation):
    """A topic without one would be a stage that stops."""
    assert not {topic for topic in found.topics if not found.who("write", "topic", topic)}


@given(installations)
def test_we_answer_for_all_that_we_name(found: Installation):
    """So what is no longer wanted is found again and revoked."""
    assert all(ours(user) for user in found.users)
    assert {acl.user for acl in found.acls} <= found.users


@pytest.mark.parametrize("user", [ADMIN, BROKER, "ANONYMOUS", "*", "owner", "connect", "ownership.x", ""])
def test_we_do_not_answer_for_others(user: str):
    """Their permissions are told, never taken away; the administrator's are not ours to grant."""
    assert not ours(user)


def test_a_prefix_covers_what_begins_so_and_a_literal_only_itself():
    """As Kafka has it; the star is everything."""
    assert Acl("u", "group", "a.", "read", prefixed=True).covers("group", "a.b")
    assert not Acl("u", "group", "a.", "read").covers("group", "a.b")
    assert Acl("u", "topic", "*", "read").covers("topic", "view.x")
    assert not Acl("u", "topic", "*", "read").covers("group", "view.x")
